//! The last line of a file that is kept, by which a file that was cut or changed is told from a whole one.
//!
//! It is a comment in every format: `# end` and a checksum of all that stands before it. Who edits the file leaves
//! the checksum out, for nobody can find it by hand; `# end` alone still says that nothing is missing behind. It is no
//! protection against somebody who means to deceive.

use std::fmt;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// What the last line begins with.
const END: &str = "# end";
/// Octets of the checksum: the first ones of a SHA-256.
const SUM_LENGTH: usize = 8;

/// What a header says of it.
pub(super) const ADVICE: &str = "# Edit it only while pop3d is stopped, and make \"# end\" its last line; without one it counts as cut.\n";

/// Why a file is not whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SealError {
    /// The last line is another.
    Cut,
    /// The checksum is not that of what stands before it.
    Changed,
}

impl fmt::Display for SealError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cut => "the file is cut, for its last line is not \"# end\"",
            Self::Changed => {
                "the file is not as it was written; if you have edited it, make \"# end\" its last line"
            }
        })
    }
}

impl std::error::Error for SealError {}

/// Adds the last line to a text, which is empty or ends in a line end.
pub fn seal(text: &mut String) {
    let sum = sum(text.as_bytes());
    // Writing to a string does not fail.
    let _ = writeln!(text, "{END} {sum}");
}

/// Looks whether a file is whole.
///
/// # Errors
/// Where it is not, with the place of its last line.
pub fn check(octets: &[u8]) -> Result<(), (usize, SealError)> {
    // Editors leave line ends of their own there.
    let octets = octets.trim_ascii_end();
    let place = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |place| place + 1);
    let (before, last) = octets.split_at_checked(place).unwrap_or((octets, &[]));
    let Some(told) = last.strip_prefix(END.as_bytes()) else { return Err((place, SealError::Cut)) };
    match told.split_first() {
        None => Ok(()),
        Some((b' ', told)) if told == sum(before).as_bytes() => Ok(()),
        Some((b' ', _)) => Err((place, SealError::Changed)),
        Some(_) => Err((place, SealError::Cut)),
    }
}

/// Takes each line of a file that is whole, with its line end.
///
/// # Errors
/// The place of the first line that is not taken, or of what shows that the file is not whole, and what is wrong there.
pub(super) fn lines<E: fmt::Display>(
    octets: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), (usize, String)> {
    let mut place = 0;
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        take(line).map_err(|error| (place, error.to_string()))?;
        place += line.len();
    }
    check(octets).map_err(|(place, error)| (place, error.to_string()))
}

/// The checksum as text.
fn sum(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().take(SUM_LENGTH).map(|octet| format!("{octet:02x}")).collect()
}

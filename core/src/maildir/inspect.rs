//! Compares the file of a message, once it is open to be sent, with what is known of the message.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use pop3d_protocol::multiline::Measure;
use pop3d_protocol::number::Octets;
use rustix::fs::Statx;

use super::folder::{self, Stamp};
use super::index::{Record, Size};
use super::name::Sizes;
use crate::store::Source;

/// The longest message whose size in the name is compared with its contents when it is opened, in octets: it is read then
/// in any case, and lies in one piece on the stack.
const COUNTED_AT_ONCE: usize = 16 * 1024;

/// Compares an open file with what is known of the message; none where it is not the file that was counted.
pub(super) fn inspect(file: File, status: &Statx, record: &Record<'_>) -> io::Result<Option<Source>> {
    if !folder::is_regular(status) {
        return Err(io::Error::other("not a regular file"));
    }
    let length = status.stx_size;
    let (octets, wire_clean) = match record.size {
        Size::Counted { stamp, .. } if !stamp.is_of_same_file(Stamp::of(status)) => return Ok(None),
        // A file that may have changed without a trace is sent through the encoder, which is right whatever it holds.
        Size::Counted { octets, wire_clean, racy, stamp, content: _ } => {
            (Some(Octets(octets)), wire_clean && !racy && stamp == Stamp::of(status))
        }
        Size::Named { .. } if Sizes::of(record.base).length.is_some_and(|named| named > length) => {
            return Ok(None);
        }
        Size::Named { octets } if is_as_named(&file, length, octets, record.base)? => {
            (Some(Octets(octets)), false)
        }
        Size::Named { .. } | Size::Unknown { .. } => (None, false),
    };
    Ok(Some(Source { file, length, octets, wire_clean }))
}

/// Whether a file has the size that its name or another server's list tells, as far as a look shows: a short one is
/// counted. Who wrote that did not count the line end that a message without one gets on its way.
fn is_as_named(file: &File, length: u64, octets: u64, base: &[u8]) -> io::Result<bool> {
    // Each octet of the file is sent, and a line feed at most with a CR before it.
    let can_be = (length..=length.saturating_mul(2)).contains(&octets);
    if !can_be || Sizes::of(base).length.is_some_and(|named| named != length) {
        return Ok(false);
    }
    let Some(last) = length.checked_sub(1) else { return Ok(true) };
    if length > COUNTED_AT_ONCE as u64 {
        let mut octet = [0];
        file.read_exact_at(&mut octet, last)?;
        return Ok(octet == *b"\n");
    }
    let mut message = [0; COUNTED_AT_ONCE];
    let message =
        usize::try_from(length).ok().and_then(|length| message.get_mut(..length)).unwrap_or_default();
    file.read_exact_at(message, 0)?;
    let mut measure = Measure::default();
    measure.update(message);
    Ok(measure.octets() == Octets(octets))
}

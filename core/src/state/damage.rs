//! Why a file of the state folder cannot be used, in one sentence for who starts the server.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a file of the state folder cannot be used. The file is left as it is: what it keeps is in no other place.
#[derive(Debug)]
pub enum KeptError {
    /// It cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// What it says cannot be.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
}

impl KeptError {
    /// The damage at a place of a text, counted in octets.
    pub(super) fn damaged(path: PathBuf, octets: &[u8], place: usize, what: String) -> Self {
        let before = octets.get(..place).unwrap_or(octets);
        let line = 1 + before.iter().filter(|&&octet| octet == b'\n').count();
        let last = before.rsplit(|&octet| octet == b'\n').next().unwrap_or_default();
        let column = 1 + String::from_utf8_lossy(last).chars().count();
        Self::Damaged { path, line, column, what }
    }
}

impl fmt::Display for KeptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                let advice = match error.kind() {
                    io::ErrorKind::PermissionDenied => "let the server's user read it",
                    _ => "move it away to start without what it keeps",
                };
                write!(formatter, "cannot read {}: {error}; {advice}", path.display())
            }
            Self::Damaged { path, line, column, what } => write!(
                formatter,
                "{}:{line}:{column}: {what}; mend it, or move the file away to start without what it keeps",
                path.display()
            ),
        }
    }
}

impl std::error::Error for KeptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            Self::Damaged { .. } => None,
        }
    }
}

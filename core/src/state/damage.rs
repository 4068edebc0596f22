//! Why a file of the state folder cannot be used, in one sentence for who starts the server.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

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

/// What to do where something cannot be opened or read for want of descriptors or memory; none: it is for something else.
#[must_use]
pub fn what_to_raise(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => Some("raise the limit of open files, such as by ulimit -n"),
        Some(Errno::NFILE) => Some("raise the system's limit of open files, fs.file-max"),
        _ if error.kind() == io::ErrorKind::OutOfMemory => Some("free memory, or raise its limit"),
        _ => None,
    }
}

impl KeptError {
    /// Whether nothing may be wrong with the file: descriptors or memory were wanting.
    #[must_use]
    pub fn is_want(&self) -> bool {
        match self {
            Self::Unreadable { error, .. } => what_to_raise(error).is_some(),
            Self::Damaged { .. } => false,
        }
    }

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
                    _ => what_to_raise(error).unwrap_or("move it away to start without what it keeps"),
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

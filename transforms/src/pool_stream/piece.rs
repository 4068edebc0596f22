//! Some of a message's octets on their way to a task: in memory, or where they stand in a file.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

/// Some of a message's octets.
pub(crate) enum Piece {
    Octets(Vec<u8>),
    /// They stand in its file, and have not been read.
    Extent(Extent),
}

/// Octets of a file.
#[derive(Clone)]
pub(crate) struct Extent {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) length: usize,
}

impl Default for Piece {
    fn default() -> Self {
        Self::Octets(Vec::new())
    }
}

impl Extent {
    /// All of its octets.
    ///
    /// # Errors
    /// Where they cannot be read, or the file ends before.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::with_capacity(self.length);
        while octets.len() < self.length {
            let offset = self.offset + octets.len() as u64;
            match pread(&self.file, spare_capacity(&mut octets), offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        octets.truncate(self.length);
        Ok(octets)
    }
}

impl Piece {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Extent(extent) => extent.length,
        }
    }
}

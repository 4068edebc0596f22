//! A message on its way from its file through a stream: what `retr.rs` and `measure.rs` read from.

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::Source;
use crate::transform::{Chain, Error, Message, Read, Stream, Transform, Wake};

/// Octets of the file that wait for a stream that takes no files.
const BLOCK: usize = 32 * 1024;

/// Octets fed in one call, so that a stream which swallows all does not keep the worker.
const FEED_MAX: usize = 8 * BLOCK;

/// A stream and what feeds it.
pub(crate) struct Pump {
    stream: Box<dyn Stream>,
    feed: Feed,
    /// Who drives it.
    wake: Wake,
}

/// How far a call of `feed` came.
#[derive(PartialEq)]
enum Fed {
    /// There is nothing to feed, or the stream takes no more: its `Wake` will ring.
    All,
    /// Its share.
    Share,
}

enum Feed {
    /// The stream reads the file itself.
    Taken,
    /// The stream has got all of it.
    Done,
    /// The cursor reads the file and writes to the stream.
    Blocks {
        /// Where the next block begins in the file.
        offset: u64,
        /// What waits is `block[start..end]`.
        block: Box<[u8]>,
        start: usize,
        end: usize,
    },
}

/// Why a message cannot be sent to its end.
#[derive(Debug)]
pub(crate) enum Cut {
    /// A link of the chain failed.
    Transform {
        /// Which one, from 0.
        link: usize,
        /// Why.
        error: Error,
    },
    /// The file cannot be read.
    File(io::Error),
    /// There is no temporary file of its output in this folder, or it cannot be written.
    Spool(PathBuf, io::Error),
    /// The file ended before the length that it had when it was opened.
    Shrunk,
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transform { error, .. } => write!(formatter, "transform failed: {error}"),
            Self::File(error) => write!(formatter, "cannot be read: {error}"),
            Self::Spool(folder, error) => write!(
                formatter,
                "its output cannot be spooled in {}: {error}; free room, or name another folder by --state",
                folder.display(),
            ),
            Self::Shrunk => formatter.write_str("its file became shorter"),
        }
    }
}

impl Pump {
    /// Begins a message.
    ///
    /// # Errors
    /// Where the chain cannot begin it.
    pub(crate) fn start(
        chain: &Arc<Chain>,
        source: &Source,
        message: &Arc<Message>,
        wake: Wake,
    ) -> Result<Self, Cut> {
        let failed = |error| Cut::Transform { link: 0, error };
        let mut stream = Arc::clone(chain).open(Arc::clone(message), wake.clone()).map_err(failed)?;
        stream.announce(source.length);
        stream.allow_passing();
        let taken = stream.take_file(&source.file).map_err(Cut::File)?;
        let feed = if taken {
            Feed::Taken
        } else {
            // Most messages are shorter than a block.
            Feed::Blocks { offset: 0, block: vec![0; fitting(source.length, BLOCK)].into(), start: 0, end: 0 }
        };
        Ok(Self { stream, feed, wake })
    }

    /// Feeds what the stream takes, and reads what it gives.
    ///
    /// # Errors
    /// Where the message cannot be sent to its end.
    pub(crate) fn read(&mut self, source: &Source, room: &mut [u8]) -> Result<Read, Cut> {
        let fed = self.feed(source)?;
        let read = self.stream.read(room).map_err(|error| self.failed(error))?;
        if read == Read::Pending && fed == Fed::Share {
            // The stream waits for more, and has no reason to say so.
            self.wake.wake();
        }
        if read == Read::End && matches!(self.feed, Feed::Taken) {
            // A file that was cut while the stream read it looks whole to the stream.
            let length = source.file.metadata().map_err(Cut::File)?.len();
            if length < source.length {
                return Err(Cut::Shrunk);
            }
        }
        Ok(read)
    }

    /// From where on the file itself follows what the stream gave, once that has ended.
    pub(crate) fn passes_from(&self) -> Option<u64> {
        self.stream.passes_from()
    }

    fn feed(&mut self, source: &Source) -> Result<Fed, Cut> {
        let mut fed = 0;
        while let Feed::Blocks { offset, block, start, end } = &mut self.feed {
            if start == end {
                let left = source.length - *offset;
                if left == 0 {
                    self.feed = Feed::Done;
                    self.stream.finish().map_err(|error| self.failed(error))?;
                    return Ok(Fed::All);
                }
                let room = fitting(left, block.len());
                let count = read_at(source, &mut block[..room], *offset)?;
                *offset += count as u64;
                (*start, *end) = (0, count);
            }
            let taken = match self.stream.write(&block[*start..*end]) {
                Ok(taken) => taken,
                Err(error) => return Err(self.failed(error)),
            };
            *start += taken;
            fed += taken;
            if taken == 0 {
                return Ok(Fed::All);
            }
            if fed >= FEED_MAX {
                return Ok(Fed::Share);
            }
        }
        Ok(Fed::All)
    }

    fn failed(&self, error: Error) -> Cut {
        Cut::Transform { link: self.stream.failed_link(), error }
    }
}

/// As many octets of those that are left of a file as there is room for.
pub(crate) fn fitting(left: u64, room: usize) -> usize {
    usize::try_from(left).map_or(room, |left| left.min(room))
}

/// Reads octets of a message's file; at least one.
///
/// # Errors
/// Where it cannot be read, or ends before the length that it had when it was opened.
pub(crate) fn read_at(source: &Source, room: &mut [u8], offset: u64) -> Result<usize, Cut> {
    loop {
        match source.file.read_at(room, offset) {
            Ok(0) => return Err(Cut::Shrunk),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Cut::File(error)),
        }
    }
}

//! What the server knows of where mail is kept. The embedded store is `maildir.rs`; a remote one has the same shape.
//!
//! Opening a maildrop and committing deletions may wait: they are jobs of the pool. Opening a message must not wait
//! for anything but a local disk: it is called on a worker.

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;
use std::{fmt, io};

use pop3d_protocol::maildrop::{Deletions, Snapshot};
use pop3d_protocol::number::{MessageNumber, Octets};

use crate::accounts::UserName;

/// Where the mail of all users is kept.
pub trait MailStore: Send + Sync {
    /// Locks and lists the maildrop of a user. May wait: called in the pool.
    ///
    /// A user without a folder has an empty maildrop.
    ///
    /// # Errors
    /// Where it is locked by another session, or cannot be listed.
    fn open(&self, user: &UserName) -> Result<Box<dyn Maildrop>, OpenError>;

    /// The same where no more is to be done than a worker may: a few looks at a local disk. None: `open` is to be called,
    /// in the pool.
    fn open_at_once(&self, _user: &UserName) -> Option<Result<Box<dyn Maildrop>, OpenError>> {
        None
    }
}

/// A maildrop that is locked for one session. Dropping it frees the lock and changes nothing else.
pub trait Maildrop: Send {
    /// What it held when it was locked.
    fn snapshot(&self) -> Arc<dyn Snapshot + Send + Sync>;

    /// Opens a message to be read from its first octet. `number` is at most the snapshot's count. Does not wait.
    ///
    /// # Errors
    /// Where the file vanished or changed, cannot be read, or is not a regular file.
    fn message(&mut self, number: MessageNumber) -> Result<Source, MessageError>;

    /// Hears that a message, sent whole as it is stored, had other octets than its `Source` told. Does not wait.
    fn miscounted(&mut self, _number: MessageNumber) {}

    /// Removes the messages marked as deleted, in the order of their numbers, then makes the removal durable
    /// (RFC 1939, section 6). May wait: called in the pool. What cannot be removed is logged and counted;
    /// a message that is gone already is no failure.
    fn commit(&mut self, deletions: &Deletions) -> Committed;
}

/// What became of the messages marked as deleted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Committed {
    /// Messages that were removed.
    pub removed: u32,
    /// Messages that somebody else had removed.
    pub gone: u32,
    /// Messages that could not be removed, or may be back after a crash.
    pub remaining: u32,
}

impl Committed {
    /// Nobody knows whether the removal of so many files is on disk: their messages count as not removed.
    pub(crate) fn doubt(&mut self, files: u32) {
        let messages = files.min(self.removed);
        self.removed -= messages;
        self.remaining += messages;
    }
}

/// A message that can be read.
#[derive(Debug)]
pub struct Source {
    /// The open file; to be read with offsets of one's own, from 0.
    pub file: File,
    /// Its length when it was opened. A file that turns out shorter was cut, and must not be sent as whole.
    pub length: u64,
    /// Octets as sent; none where the file is not the one that was counted.
    pub octets: Option<Octets>,
    /// Whether it can be sent as it stands: every line end is CRLF, no line begins with ".", it ends in CRLF or is empty.
    pub wire_clean: bool,
}

/// Why a maildrop cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another session has it, since that time where it is known.
    InUse(Option<SystemTime>),
    /// It cannot be listed or locked now.
    Unavailable(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(_) => formatter.write_str("maildrop in use by another session"),
            Self::Unavailable(error) => write!(formatter, "maildrop unavailable: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InUse(_) => None,
            Self::Unavailable(error) => Some(error),
        }
    }
}

/// Why a message cannot be opened.
#[derive(Debug)]
pub enum MessageError {
    /// It was there at login and is no more.
    Vanished,
    /// Its file is not the one that was there at login: it may have been cut. The next login counts it anew.
    Changed,
    /// It cannot be read.
    Unreadable(io::Error),
}

impl fmt::Display for MessageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vanished => formatter.write_str("message vanished"),
            Self::Changed => formatter.write_str("message changed since login"),
            Self::Unreadable(error) => write!(formatter, "message unreadable: {error}"),
        }
    }
}

impl std::error::Error for MessageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Vanished | Self::Changed => None,
            Self::Unreadable(error) => Some(error),
        }
    }
}

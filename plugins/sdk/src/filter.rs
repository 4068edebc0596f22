//! The contract of a filter: three calls a message, and what they are given.

use std::fmt;

use crate::Options;

/// A filter of messages: what the options say of it, and, cloned for each message, what it knows of that message.
///
/// A value is made once, when the server loads the filter; each message gets a clone of it.
pub trait Filter: Clone + Send + Sync + 'static {
    /// Promises that no call waits for anything, and that a KiB costs less than a microsecond. Natively, with
    /// `isolation = "none"`, the server then calls the filter on the thread that serves the client.
    const NONBLOCKING: bool = false;

    /// Reads the options. Called when the filter is loaded; what was not asked for is refused after it returns.
    ///
    /// # Errors
    /// Why the filter does not take them, as a sentence for the administrator.
    fn configure(options: &mut Options) -> Result<Self, String>;

    /// Begins a message. May write.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn start(&mut self, message: &Message<'_>, out: &mut Output<'_>) -> Result<Flow, Error> {
        let _ = (message, out);
        Ok(Flow::More)
    }

    /// Takes the next octets as stored: at least one, cut anywhere.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn push(&mut self, chunk: &[u8], out: &mut Output<'_>) -> Result<Flow, Error>;

    /// Ends the message. Called as well after `Flow::Pass` and `Flow::Stop`.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn finish(&mut self, out: &mut Output<'_>) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }
}

/// What the server does with the rest of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// Push it.
    More,
    /// Copy it unchanged, after `finish`; the filter costs nothing from here on.
    Pass,
    /// Forget it.
    Stop,
}

/// Why a message cannot be delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Error {
    /// Trying again later may help: the client is told `[SYS/TEMP]`.
    Temporary(String),
    /// An administrator has to act: the client is told `[SYS/PERM]`.
    Permanent(String),
    /// The client is gone; what is answered does not matter.
    Closed,
}

impl Error {
    /// A failure that trying again may mend.
    pub fn temporary(why: impl Into<String>) -> Self {
        Self::Temporary(why.into())
    }

    /// A failure that trying again does not mend.
    pub fn permanent(why: impl Into<String>) -> Self {
        Self::Permanent(why.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temporary(why) | Self::Permanent(why) => f.write_str(why),
            Self::Closed => f.write_str("the client is gone"),
        }
    }
}

impl std::error::Error for Error {}

/// What the client asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// The whole message.
    Retr,
    /// The header and some lines of the body.
    Top {
        /// Lines of the body.
        lines: u32,
    },
}

/// The message that is about to come.
#[derive(Clone, Copy, Debug)]
pub struct Message<'call> {
    /// Who is logged in.
    pub user: &'call str,
    /// The message-number in the session, from 1.
    pub number: u32,
    /// Octets of the message as stored.
    pub octets: u64,
    /// The unique-id, as UIDL shows it.
    pub uid: &'call str,
    /// What the client asked for.
    pub command: Command,
    /// The client's address.
    pub remote: &'call str,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Someone must act.
    Error,
    /// Something is wrong.
    Warn,
    /// Worth knowing.
    Info,
    /// For who looks for a mistake.
    Debug,
}

/// Where octets and lines of the log go.
pub trait Sink {
    /// Appends octets to the transformed message.
    ///
    /// # Errors
    /// `Error::Closed` where the client is gone: the call should return at once.
    fn write(&mut self, octets: &[u8]) -> Result<(), Error>;

    /// Writes a line into the server's log.
    fn log(&mut self, level: Level, text: &str);
}

/// The output of a filter, for the length of one call.
pub struct Output<'call> {
    sink: &'call mut dyn Sink,
}

impl<'call> Output<'call> {
    /// An output into a sink.
    pub fn new(sink: &'call mut dyn Sink) -> Self {
        Self { sink }
    }

    /// Appends octets to the transformed message. Line ends may be LF or CRLF.
    ///
    /// # Errors
    /// `Error::Closed` where the client is gone: return it at once.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        if octets.is_empty() { Ok(()) } else { self.sink.write(octets) }
    }

    /// Writes a line into the server's log: at most 1,024 octets, and 32 lines a message, are kept.
    pub fn log(&mut self, level: Level, text: &str) {
        self.sink.log(level, text);
    }
}

/// What is kept is what a test looks at.
impl Sink for Vec<u8> {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.extend_from_slice(octets);
        Ok(())
    }

    fn log(&mut self, _level: Level, _text: &str) {}
}

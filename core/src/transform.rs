//! What the RETR cursor knows of transforms: a factory for each, a stream for each message, and chains of them.
//!
//! The implementations are elsewhere; this file names none of them.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

mod chain;
pub mod histogram;
pub mod registry;
pub mod rules;
mod statistics;

pub use chain::Chain;
pub use statistics::TransformStatistics;

/// The kinds of transform.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An external program, standard input to standard output.
    Process,
    /// A shared library.
    Native,
    /// A sandboxed WASM filter.
    Wasm,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Process => "process",
            Self::Native => "native",
            Self::Wasm => "wasm",
        })
    }
}

/// What the client asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// The whole message.
    Retr,
    /// The headers and so many lines of the body.
    Top {
        /// Lines of the body.
        lines: u32,
    },
}

/// The message about to be transformed. Owned and shared, so that it can go to another thread.
#[derive(Clone, Debug)]
pub struct Message {
    /// Whose maildrop it is in.
    pub user: String,
    /// Its number in the session, from 1.
    pub number: u32,
    /// Octets as stored: what the cursor will feed in total.
    pub octets: u64,
    /// Its unique-id.
    pub uid: String,
    /// What the client asked for.
    pub command: Command,
    /// The client's address.
    pub remote: IpAddr,
}

/// Why a transform failed. Decides between `[SYS/TEMP]` and `[SYS/PERM]`, and what is counted.
#[derive(Clone, Debug)]
pub enum Error {
    /// The transform said so, or could not be run now (no slot within `queue_timeout`, EAGAIN, ENOMEM).
    Temporary(String),
    /// Wrong configuration: no such program, ABI mismatch, options refused.
    Permanent(String),
    /// It crashed: a trap, a panic, a signal, an exit status that is not 0, a dead plugin host.
    Crashed(String),
    /// It used up `timeout` or `cpu`.
    TimedOut(Duration),
    /// It wrote more than `max_output` or its input permits, or asked for more memory than `memory`.
    Limit(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temporary(reason) | Self::Permanent(reason) | Self::Crashed(reason) => {
                formatter.write_str(reason)
            }
            Self::TimedOut(limit) => write!(formatter, "time limit of {limit:?} used up (timeout or cpu)"),
            Self::Limit(name) => write!(formatter, "limit {name} reached"),
        }
    }
}

impl std::error::Error for Error {}

/// What `Stream::read` found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Read {
    /// This many octets were put into the buffer (never 0).
    Data(usize),
    /// Nothing yet: the `Wake` will be called.
    Pending,
    /// The transform took what it wanted and its exit was clean. Only now may the termination octet be sent.
    End,
}

/// Tells the event loop that a stream can make progress again. Cheap to clone; may be called from any thread and
/// more often than needed. For one connection calls are merged until the loop looks.
#[derive(Clone)]
pub struct Wake(pub Arc<dyn Fn() + Send + Sync>);

impl Wake {
    /// Asks for another look.
    pub fn wake(&self) {
        (self.0)();
    }
}

/// What becomes of a message whose transform failed before "+OK".
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnError {
    /// The client hears "-ERR" with a response code.
    #[default]
    Fail,
    /// The message passes that transform by.
    Pass,
}

/// How the cursor treats the messages of one transform.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// What becomes of a message when it fails.
    pub on_error: OnError,
    /// Whether its output is kept in a temporary file until its end, so that every failure comes before "+OK".
    pub spool: bool,
}

/// A bound of messages at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Places {
    /// Which bound it is, as an administrator knows it. Transforms of the same one share its places.
    pub bound: String,
    /// Messages at once.
    pub count: usize,
}

/// A configured transform: shared by all sessions, replaced as a whole on reload.
pub trait Transform: Send + Sync + 'static {
    /// The name in the configuration.
    fn name(&self) -> &str;

    /// Which implementation it is.
    fn kind(&self) -> Kind;

    /// How the cursor treats its messages.
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// How many messages may be in it at the same time, where that has a bound: others wait for one of its places.
    fn places(&self) -> Option<Places> {
        None
    }

    /// Is told that a message which it failed goes on without it, by its policy.
    fn count_passed(&self) {}

    /// Begins one message. Must not wait: what can (spawning, instantiating, plugin code) happens in the pool, and
    /// its failure is reported by the first `read`.
    ///
    /// # Errors
    /// Where the message cannot be begun at all.
    fn open(self: Arc<Self>, message: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error>;
}

/// One message on its way through one transform: a non-blocking pipe, driven by the RETR cursor on a worker.
///
/// Dropping it cancels: the child's process group is killed, the guest's instance is freed, without waiting for
/// either.
pub trait Stream: Send {
    /// Takes the whole stored message as a file, to be read from offset 0, instead of through `write` (a child's
    /// standard input). `true`: taken, `write` and `finish` must not be called. Only asked before the first `write`.
    ///
    /// # Errors
    /// Where the descriptor cannot be duplicated.
    fn take_file(&mut self, _file: &File) -> io::Result<bool> {
        Ok(false)
    }

    /// All of the input will be so many octets. Without this only what was written so far is known of it, as in the later
    /// links of a chain.
    fn announce(&mut self, _octets: u64) {}

    /// Whoever drives the stream will look at `passes_from`. Without this the stream copies what passes itself.
    fn allow_passing(&mut self) {}

    /// Offers octets as stored. Returns how many were taken; 0 means full: wait for the `Wake`.
    ///
    /// # Errors
    /// Where the transform failed.
    fn write(&mut self, input: &[u8]) -> Result<usize, Error>;

    /// There is no more input.
    ///
    /// # Errors
    /// Where the transform failed.
    fn finish(&mut self) -> Result<(), Error>;

    /// Takes transformed octets (line ends as the transform wrote them, no byte-stuffing). `output` is not empty.
    ///
    /// # Errors
    /// Where the transform failed. It is not asked again.
    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error>;

    /// Where the rest of the input will come out unchanged: from this offset of the input on the cursor may send the
    /// message itself once `read` said `End`.
    fn passes_from(&self) -> Option<u64> {
        None
    }

    /// Which link failed, once a call returned an error: counts from 0; a transform that is no chain is link 0.
    fn failed_link(&self) -> usize {
        0
    }
}

/// What a `Filter` wants done with the rest of the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// Go on.
    More,
    /// Copy the rest unchanged.
    Pass,
    /// Ignore the rest.
    Stop,
}

/// A synchronous transform of one message: what WASM guests and native plugins are. It may wait or compute.
pub trait Filter: Send {
    /// The message begins.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn start(&mut self, message: &Message, out: &mut dyn Sink) -> Result<Flow, Error>;

    /// The next octets as stored.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<Flow, Error>;

    /// The message ends, or the filter wanted no more of it.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn finish(&mut self, out: &mut dyn Sink) -> Result<(), Error>;
}

/// Where a `Filter` writes.
pub trait Sink {
    /// Appends to the output.
    ///
    /// # Errors
    /// `Limit("max_output")`, or when the session is gone.
    fn write(&mut self, octets: &[u8]) -> Result<(), Error>;
}

/// Where process streams register their descriptors. Handed in at start-up.
///
/// Events are edge-triggered: after the `Wake` a descriptor is read or written until `WouldBlock`. Called on the
/// worker that drives the stream.
pub trait Reactor: Send + Sync {
    /// Calls `wake` whenever the descriptor becomes ready.
    ///
    /// # Errors
    /// Where the kernel refuses.
    fn register(&self, descriptor: RawFd, interest: mio::Interest, wake: Wake) -> io::Result<mio::Token>;

    /// Ends what `register` began. To be called before the descriptor is closed, from any thread.
    ///
    /// # Errors
    /// Where the token is unknown.
    fn deregister(&self, token: mio::Token) -> io::Result<()>;
}

/// Where output that is spooled is kept, and how much is held before "+OK".
#[derive(Clone, Debug)]
pub struct Holding {
    /// Octets of output held before "+OK".
    pub hold: usize,
    /// The folder of temporary files, for transforms with `spool`.
    pub spool_folder: PathBuf,
}

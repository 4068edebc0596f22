//! What a POP3 session asks of the outside, and what it is answered.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use super::sasl::{Mechanisms, Step};
use crate::maildrop::{Deletions, Snapshot};
use crate::number::{MessageNumber, Octets};
use crate::reply::ResponseCode;
use crate::wiped::Wiped;

/// Who somebody claims to be, and the proof. `Debug` shows no secret.
pub enum Credentials {
    /// USER and PASS (RFC 1939, section 7).
    Password {
        /// The argument of USER, as sent.
        user: Box<[u8]>,
        /// The rest of the line after "PASS ", spaces included.
        password: Wiped,
    },
    /// APOP (RFC 1939, section 7).
    Apop {
        /// The first argument, as sent.
        user: Box<[u8]>,
        /// The MD5 digest of the greeting's timestamp followed by the shared secret.
        digest: [u8; 16],
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials")
    }
}

/// For whom a proxy speaks; what it does not know stays as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Proxied {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
}

/// How much of a message the client asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// RETR: all of it.
    Whole,
    /// TOP: the headers and so many lines of the body.
    Top {
        /// Lines of the body; a larger number in the command is the largest here.
        lines: u32,
    },
}

/// Something that only the outside can do. Each is answered by one [`Answer`], except `Close`.
#[derive(Debug)]
pub enum Action {
    /// Find out whether these are the credentials of an account: `Answer::Verified`.
    Verify(Credentials),
    /// Go on with a SASL exchange: `Answer::Challenged` or `Answer::Explained`, or `Answer::Verified` at its end. A new one
    /// ends the one before.
    Exchange(Step),
    /// Begin TLS once `poll_output` has nothing more ("+OK"): `Answer::Secured`. All that the client sent in the clear
    /// and that was not taken is thrown away (RFC 2595, section 4). Where TLS fails the connection ends and there is no
    /// answer.
    StartTls,
    /// Take the client for whom a trusted proxy says that it is: `Answer::Identified`.
    Identify(Proxied),
    /// Lock and list the maildrop of the verified user: `Answer::Maildrop`.
    OpenMaildrop,
    /// Find the sizes that the messages have once transformed: `Answer::Measured`. Only where
    /// [`Opened::measure_first`] asked for it.
    Measure,
    /// Open a message and start its transform: `Answer::Message`.
    OpenMessage {
        /// Which one.
        number: MessageNumber,
        /// How much of it.
        part: Part,
    },
    /// Send the message that was opened, as a multi-line response up to its termination octet, after what
    /// `poll_output` has ("+OK"): `Answer::Sent`. Where it cannot be sent whole the connection ends and there is no answer.
    SendMessage,
    /// Remove the messages marked as deleted (RFC 1939, section 6): `Answer::Committed`.
    Commit(Deletions),
    /// Close the connection once `poll_output` has nothing more. There is no answer.
    Close,
}

/// A maildrop that was opened.
pub struct Opened {
    /// What it holds.
    pub snapshot: Arc<dyn Snapshot + Send + Sync>,
    /// Whether sizes shown to the client wait for an `Action::Measure`, asked for once.
    pub measure_first: bool,
}

/// Why something was refused: what the client is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The response code, where one fits.
    pub code: Option<ResponseCode>,
    /// A sentence without CR, LF or response code.
    pub text: String,
}

/// What came of an [`Action`].
pub enum Answer {
    /// The credentials are right, or why not.
    Verified(Result<(), Refusal>),
    /// The client is to answer this challenge, of at most [`super::CHALLENGE_MAX`] octets.
    Challenged(Box<[u8]>),
    /// The same, and it says why the login fails (RFC 7628, section 3.2.2). The answer comes as a response without octets,
    /// whatever it is, and `*` too: who cancels has not cancelled the failure.
    Explained(Box<[u8]>),
    /// TLS is in force, and AUTH offers these. Also before the greeting is sent, where a client begins with TLS.
    Secured(Mechanisms),
    /// The client is who the proxy says it is; or why it may not come in, which ends the session.
    Identified(Result<(), Refusal>),
    /// The maildrop is locked and listed, or why not.
    Maildrop(Result<Opened, Refusal>),
    /// The same messages with the sizes that they have once transformed, or why not.
    Measured(Result<Arc<dyn Snapshot + Send + Sync>, Refusal>),
    /// The message is open, with its octets as sent where they are known ("+OK n octets" to RETR; TOP, which sends
    /// a part, never tells them), or why not.
    Message(Result<Option<Octets>, Refusal>),
    /// The message is out, termination octet included.
    Sent,
    /// UPDATE is done; so many of the messages marked as deleted could not be removed.
    Committed {
        /// Messages marked as deleted that are still there.
        remaining: u32,
    },
}

//! A connection: the socket, the session, and the message that is under way. It moves only within a turn, which is
//! bounded, and never waits; the worker gives it one whenever something may have changed.

mod actions;
mod deadlines;
mod ending;
mod flow;
mod holding;
mod judging;
mod proxy;
mod securing;
mod verifying;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use log::{debug, warn};
use pop3d_protocol::engine::Engine;
use pop3d_protocol::number::MessageNumber;
use pop3d_protocol::pop3::{Answer, Greeting, Part, Refusal, Session};
use pop3d_protocol::reply::ResponseCode;
use zeroize::Zeroizing;

use self::ending::Ending;
use crate::accounts::{Accounts, Exchange, UserName};
use crate::buffer::{Outbound, Spare};
use crate::guesses::Penalty;
use crate::measure::Measuring;
use crate::notice::Notices;
use crate::retr::{Fill, Opening, RetrCursor};
use crate::sessions::{Present, Sessions};
use crate::shared::{Admission, Held, Place, Shared};
use crate::statistics::Counters;
use crate::store::Maildrop;
use crate::token::Key;
use crate::transport::Transport;

/// Octets written in one turn: what a download may take before others have theirs.
const WRITE_SHARE: usize = 256 * 1024;

/// Reads in one turn, each of at most `READ_SIZE` octets: what a client may say before others have their turn.
const READS_PER_TURN: usize = 4;
const READ_SIZE: usize = 16 * 1024;

/// Least room in the outbound buffer for the session to go on. A listing fills what there is.
const REPLY_ROOM: usize = 1024;

/// Output that waits for a client who has not logged in, until nothing more is read of it: replies to more than any login
/// needs.
const UNREAD_BEFORE_LOGIN: usize = 4 * 1024;
const _: () =
    assert!(REPLY_ROOM <= UNREAD_BEFORE_LOGIN, "the greeting and a list of capabilities go together");

/// The scratch memory of a worker.
pub(crate) const SCRATCH_SIZE: usize = 128 * 1024;
const _: () = assert!(READ_SIZE <= SCRATCH_SIZE, "input is read into the scratch memory");

/// What a worker lends to a connection for a turn.
pub(crate) struct Desk {
    /// Its number.
    pub(crate) worker: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) spare: Spare,
    /// `SCRATCH_SIZE` octets that belong to nobody between two steps.
    pub(crate) scratch: Box<[u8]>,
    /// Steps of handshakes that this round of the loop has left.
    pub(crate) handshakes: u32,
    /// The time at which the turn began.
    pub(crate) now: Instant,
}

/// A connected client.
pub(crate) struct Connection {
    /// Gives its seat back when dropped, which is before the socket is closed: who sees its end may connect again. None
    /// before it was admitted.
    admission: Option<Admission>,
    key: Key,
    peer: SocketAddr,
    /// Stands before the socket, so that it is dropped before: who sees the end of the connection finds the maildrop
    /// unlocked.
    account: Account,
    /// What is counted for the user once the credentials were right.
    place: Option<Place>,
    transport: Transport,
    session: Session,
    /// For APOP, what the greeting said.
    timestamp: Option<Box<str>>,
    /// By which accounts the login under way is judged.
    judged_by: Option<Arc<Accounts>>,
    /// A SASL exchange that waits for the client.
    exchange: Option<Box<Exchange>>,
    /// What a login costs whose client has been told what is wrong with it, and is still to answer that.
    explained: Option<Penalty>,
    /// Octets that the client sent for the login under way, or the exchange.
    in_hand: usize,
    /// What is held for the client until it logs in: `in_hand`, and what is read of further lines.
    held: Held,
    input: Input,
    outbound: Outbound,
    /// The socket took all that was written so far.
    is_writable: bool,
    /// The task stopped early, for others to have their turn.
    is_unfinished: bool,
    /// The kernel says that nothing can be sent any more; what the client said before may still be read.
    is_lost: bool,
    task: Task,
    ending: Ending,
    /// Why the session ends, for the log.
    reason: &'static str,
    failed_logins: u32,
    facts: Facts,
    /// Messages that could not be opened, of which the log has warned; mostly there are none.
    #[expect(clippy::box_collection, reason = "most sessions have none, and their place is in each")]
    unopened: Option<Box<BTreeSet<MessageNumber>>>,
    /// Told to who asks for sessions.
    present: Option<Present>,
    /// What the message under way was asked for by.
    part: Part,
    /// That message.
    number: Option<MessageNumber>,
    /// Whether UPDATE has begun.
    has_updated: bool,
    /// Octets of the greeting that are not sent yet; none: it is not written.
    greeting: Option<u32>,
    /// When the client last ended a line, or took something.
    last_sign: Instant,
    slow: Option<deadlines::SlowReader>,
}

/// There may be twenty thousand that do nothing, and what is rare in one stands apart.
#[cfg(all(target_pointer_width = "64", not(test)))]
const _: () = assert!(size_of::<Connection>() <= 896, "an idle session is small");

/// What comes from the client.
#[derive(Default)]
struct Input {
    /// What the session has not taken: it waits for an answer. Bounded by `READ_SIZE`. It may be a password.
    leftover: Zeroizing<Vec<u8>>,
    /// 0 <= taken <= leftover.len()
    taken: usize,
    /// The socket may have more.
    is_readable: bool,
    /// The client has sent an octet as urgent: a short read may have left something.
    has_urgent: bool,
    /// The kernel says that the client has ended its half; what it sent before may still wait.
    is_ending: bool,
    /// The client has ended its half, and all it sent was read.
    has_ended: bool,
}

/// Whose connection it is.
enum Account {
    Unknown,
    /// The credentials were right; the maildrop is not open, or is being committed.
    Verified(UserName),
    Open(UserName, Box<dyn Maildrop>),
}

/// What the session waits for.
enum Task {
    None,
    /// A job of the pool.
    Job,
    /// An answer that is held back for a while.
    Delayed {
        until: Instant,
        refusal: Box<Refusal>,
    },
    /// The reply to STLS to leave, before TLS begins.
    Securing,
    /// The first output of a transform.
    Opening(Box<Opening>),
    /// The session's "+OK".
    Opened(Box<RetrCursor>),
    /// The client, or a transform.
    Sending {
        cursor: Box<RetrCursor>,
        is_pending: bool,
    },
    /// The sizes of all messages once transformed.
    Measuring(Box<Measuring>),
}

/// For the line in the log.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    octets: u64,
    retrieved: u64,
    /// In the outbound buffer with their termination octet, not yet sent.
    unconfirmed: u64,
    /// The same of answers to TOP.
    unconfirmed_tops: u64,
    deleted: u32,
    /// Messages in the maildrop.
    left: u32,
}

/// What a turn leaves behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// Nothing to do until something happens.
    Waiting,
    /// More to do, after the others.
    Unfinished,
    /// The connection has ended: drop it.
    Gone,
}

/// What the next turn of a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    /// An answer, or the beginning of one.
    Short,
    /// A share of something that goes on: a message, a listing, a handshake, what a transform makes.
    Long,
}

/// Why a connection ends in a turn without the session's doing.
enum Fault {
    /// The client, or the network, has ended it.
    Client(io::Error),
    /// A multi-line response cannot be sent to its end.
    Cut(String),
}

impl Connection {
    pub(crate) fn new(key: Key, peer: SocketAddr, transport: Transport, desk: &Desk) -> Self {
        let timestamp = desk.shared.timestamp();
        let greeting = Greeting {
            name: desk.shared.name,
            implementation: desk.shared.implementation,
            timestamp: timestamp.clone(),
            mechanisms: desk.shared.settings.load().accounts.mechanisms(false),
            tolerance: desk.shared.settings.load().limits.tolerance,
            lengths: desk.shared.settings.load().limits.lengths,
            security: securing::security(&transport, peer.ip(), desk),
            login_delay: desk.shared.settings.load().limits.login_delays.told_to_all(),
            is_proxy: desk.shared.settings.load().limits.trusted.contains(peer.ip()),
        };
        // An event tells of what the client has said before it was accepted, too.
        let input = Input::default();
        let mut session = Session::new(greeting);
        session.set_tracing(log::log_enabled!(target: "pop3d::session", log::Level::Debug));
        // A client that came by IPv4 is shown so, whatever socket took it.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Self {
            admission: None,
            key,
            peer,
            account: Account::Unknown,
            place: None,
            transport,
            session,
            timestamp,
            judged_by: None,
            exchange: None,
            explained: None,
            in_hand: 0,
            held: Held::new(&desk.shared),
            input,
            outbound: Outbound::default(),
            is_writable: true,
            is_unfinished: false,
            is_lost: false,
            task: Task::None,
            ending: Ending::No,
            reason: "session ended",
            failed_logins: 0,
            facts: Facts::default(),
            unopened: None,
            present: Sessions::enter(&desk.shared.sessions, desk.worker, key, peer, desk.now),
            part: Part::Whole,
            number: None,
            has_updated: false,
            greeting: None,
            last_sign: desk.now,
            slow: None,
        }
    }

    /// The client's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What an event said of the socket.
    pub(crate) fn handle_event(&mut self, event: &mio::event::Event) {
        self.input.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.input.has_urgent |= event.is_priority();
        self.input.is_ending |= event.is_read_closed();
        self.is_lost |= event.is_write_closed() || event.is_error();
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Goes as far as it can, or as its share lasts.
    pub(crate) fn turn(&mut self, desk: &mut Desk) -> Turn {
        let turn = match self.steps(desk) {
            Ok(turn) => turn,
            Err(Fault::Client(error)) => {
                // It may have been the file that `sendfile` could not read: then the client is still there, and
                // must not take what it has for the whole.
                let _ = self.transport.reset();
                self.log_end(&format!("connection lost: {error}"));
                self.leave(desk)
            }
            Err(Fault::Cut(reason)) => {
                warn!(
                    target: "pop3d::retr",
                    "user {} from {}: connection reset in the middle of a message: {reason}",
                    self.user(), self.peer,
                );
                // What precedes the fault is right as far as it goes: the replies to earlier commands, whole messages, and
                // a beginning that tells the client that there was one.
                self.task = Task::None;
                let _ = self.flush(&mut { usize::MAX }, desk);
                self.reset();
                Turn::Gone
            }
        };
        if turn != Turn::Unfinished {
            self.outbound.release(&mut desk.spare);
        }
        turn
    }

    /// What its next turn is, for who has others to give turns to.
    pub(crate) fn next_work(&self) -> Work {
        let is_long = match self.task {
            Task::None | Task::Job | Task::Delayed { .. } | Task::Securing | Task::Opened(_) => {
                !self.outbound.is_empty() || self.session.is_listing() || self.transport.is_handshaking()
            }
            Task::Opening(_) | Task::Sending { .. } | Task::Measuring(_) => true,
        };
        if is_long { Work::Long } else { Work::Short }
    }

    fn steps(&mut self, desk: &mut Desk) -> Result<Turn, Fault> {
        if self.ending == Ending::AfterJob {
            return Ok(self.leave(desk));
        }
        let mut reads = READS_PER_TURN;
        let mut writes = WRITE_SHARE;
        loop {
            if self.transport.is_handshaking()
                && let Some(turn) = self.handshake(desk)
            {
                return Ok(turn);
            }
            let has_moved = self.work(desk, &mut reads)?;
            let written = self.flush(&mut writes, desk)?;
            desk.counters.add_commands(&self.session.take_counts());
            if writes == 0 || (reads == 0 && self.input.is_readable && self.wants_input()) {
                return Ok(Turn::Unfinished);
            }
            if !has_moved && written == 0 {
                if self.start_tls(desk) {
                    continue;
                }
                return if self.is_unfinished { Ok(Turn::Unfinished) } else { self.end(desk, &mut reads) };
            }
        }
    }

    /// Moves the session and the message under way until neither can, or the outbound buffer is full.
    fn work(&mut self, desk: &mut Desk, reads: &mut usize) -> Result<bool, Fault> {
        let mut has_moved = false;
        while self.work_once(desk, reads)? {
            has_moved = true;
        }
        Ok(has_moved)
    }

    fn work_once(&mut self, desk: &mut Desk, reads: &mut usize) -> Result<bool, Fault> {
        self.is_unfinished = false;
        if self.ending != Ending::No {
            return Ok(self.take_output(desk));
        }
        if let Some(action) = self.session.poll_action() {
            self.act(action, desk);
            return Ok(true);
        }
        if self.advance_task(desk) || self.take_output(desk) {
            return Ok(true);
        }
        if self.outbound.room_len() < REPLY_ROOM {
            return Ok(false);
        }
        if let Task::Sending { cursor, is_pending } = &mut self.task {
            if cursor.sends_file() {
                // `flush` does, once what precedes it is out.
                return Ok(false);
            }
            let before = self.outbound.len();
            let fill = cursor.fill(&mut self.outbound, &mut desk.spare, &mut desk.scratch);
            let fill = fill.map_err(|cut| Fault::Cut(cut.to_string()))?;
            *is_pending = matches!(fill, Fill::Pending);
            if let Fill::Finished = fill {
                if !cursor.is_as_told()
                    && let (Account::Open(_, maildrop), Some(number)) = (&mut self.account, self.number)
                {
                    maildrop.miscounted(number);
                }
                self.task = Task::None;
                match self.part {
                    Part::Whole => self.facts.unconfirmed += 1,
                    Part::Top { .. } => self.facts.unconfirmed_tops += 1,
                }
                self.session.handle_answer(Answer::Sent);
                return Ok(true);
            }
            return Ok(self.outbound.len() > before);
        }
        self.feed(desk, reads)
    }

    /// Takes replies from the session; whether there were any.
    fn take_output(&mut self, desk: &mut Desk) -> bool {
        if self.outbound.room_len() < REPLY_ROOM {
            return false;
        }
        let count = self.session.poll_output(self.outbound.room(&mut desk.spare));
        self.outbound.commit(count);
        // The greeting comes before all else.
        self.greeting.get_or_insert(u32::try_from(count).unwrap_or(u32::MAX));
        count > 0
    }

    /// Whether what the client says can be used now.
    fn wants_input(&self) -> bool {
        matches!(self.task, Task::None) && self.ending == Ending::No && !self.has_too_much_unread()
    }

    /// Whether the client, who has not logged in, is to take some of what it was told before it says more.
    fn has_too_much_unread(&self) -> bool {
        self.outbound.len() > UNREAD_BEFORE_LOGIN && !self.session.is_authenticated()
    }

    /// Whether the session waits for the client and for nothing else.
    fn is_idle(&self) -> bool {
        matches!(self.task, Task::None) && self.input.taken == self.input.leftover.len()
    }

    /// Writes the commands since the last call to the log, without secrets. Called after each input, for the session
    /// keeps only some.
    fn trace(&mut self) {
        while let Some(command) = self.session.poll_trace() {
            debug!(target: "pop3d::session", "{}: {command}", self.peer);
        }
    }

    /// The user, for the log.
    fn user(&self) -> &str {
        match &self.account {
            Account::Unknown => "-",
            Account::Verified(user) | Account::Open(user, _) => user.as_str(),
        }
    }
}

/// The refusal for something that does not work at the moment.
fn temporary(text: impl Into<String>) -> Refusal {
    Refusal { code: Some(ResponseCode::SysTemp), text: text.into() }
}

#[cfg(test)]
pub(crate) mod tests;

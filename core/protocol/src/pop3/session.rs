//! The states of a POP3 session and every transition between them (RFC 1939, sections 3 to 6). What leads to them is in
//! `session/`: commands, answers, STLS.

use alloc::boxed::Box;
use alloc::string::String;

pub use super::action::{Action, Answer, Credentials, Opened, Part, Proxied, Refusal};
use super::authorization::{Authorization, Patience, Tolerance};
use super::capability::LoginDelay;
use super::count::Counts;
use super::sasl::{Mechanisms, RESPONSE_MAX};
use super::trace::Trace;
use super::transaction::Transaction;
use crate::engine::Engine;
use crate::line::{COMMAND_LINE_MAX, LineReader};
use crate::maildrop::Deletions;
use crate::reply::{Replies, ResponseCode};

mod answers;
mod commands;
mod stls;
mod xclient;

pub use self::stls::Security;

/// How a session begins.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// What stands in the greeting and as IMPLEMENTATION before login: a name without a version.
    pub name: &'static str,
    /// What stands as IMPLEMENTATION after login.
    pub implementation: &'static str,
    /// The timestamp for APOP, "<process.clock@host>"; none: no APOP.
    pub timestamp: Option<Box<str>>,
    /// What AUTH offers; none: no AUTH.
    pub mechanisms: Mechanisms,
    /// How often the client may be wrong.
    pub tolerance: Tolerance,
    /// How long its lines may be.
    pub lengths: Lengths,
    /// Whether there is TLS.
    pub security: Security,
    /// What CAPA tells as LOGIN-DELAY before login.
    pub login_delay: Option<LoginDelay>,
    /// Whether the client is a proxy that is believed when it says for whom it speaks (XCLIENT).
    pub is_proxy: bool,
}

/// Longest lines in octets, their ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lengths {
    /// A command (RFC 2449, section 4: 255).
    pub command: usize,
    /// The answer to a challenge of AUTH.
    pub response: usize,
}

impl Lengths {
    /// What holds where nothing else is said.
    pub const DEFAULT: Self = Self { command: COMMAND_LINE_MAX, response: RESPONSE_MAX };
}

impl Default for Lengths {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One POP3 session: AUTHORIZATION, TRANSACTION, UPDATE (RFC 1939).
pub struct Session {
    lines: LineReader,
    /// Reads the answers to challenges, while there is an exchange.
    responses: Option<Box<LineReader>>,
    conversation: Conversation,
}

/// All of a session but the lines it reads.
struct Conversation {
    state: State,
    replies: Replies,
    /// Asked for, and not taken yet.
    action: Option<Action>,
    /// Said in place of the reply to what was begun, or behind it; then the session ends.
    farewell: Option<Box<Refusal>>,
    name: &'static str,
    implementation: &'static str,
    /// Whether the greeting had a timestamp.
    offers_apop: bool,
    mechanisms: Mechanisms,
    tolerance: Tolerance,
    lengths: Lengths,
    /// Whether DELE is refused.
    keeps_all: bool,
    security: Security,
    login_delay: Option<LoginDelay>,
    /// Whether there is XCLIENT.
    is_proxy: bool,
    /// The commands since they were last taken; none while nobody wants them.
    trace: Option<Box<Trace>>,
    counts: Counts,
}

/// The states of RFC 1939, each with what exists in it.
enum State {
    /// AUTHORIZATION (section 4).
    Authorization(Authorization),
    /// TRANSACTION (section 5).
    Transaction(Transaction),
    /// UPDATE (section 6): `Action::Commit` is unanswered.
    Update(Deletions),
    /// `Action::Close` was asked for while a listing waits for room; behind it this is said.
    Leaving(Transaction, Box<Refusal>),
    /// `Action::Close` was asked for; what the client says is of no interest any more.
    Closed,
}

impl Session {
    /// A session whose greeting waits in `poll_output`.
    #[must_use]
    pub fn new(greeting: Greeting) -> Self {
        let Greeting {
            name,
            implementation,
            timestamp,
            mechanisms,
            tolerance,
            lengths,
            security,
            login_delay,
            is_proxy,
        } = greeting;
        let offers_apop = timestamp.is_some();
        let mut replies = Replies::default();
        let code = is_proxy.then_some(ResponseCode::Xclient);
        match timestamp {
            Some(timestamp) => replies.greet(code, format_args!("{name} ready {timestamp}")),
            None => replies.greet(code, format_args!("{name} ready")),
        }
        let conversation = Conversation {
            state: State::Authorization(Authorization::default()),
            replies,
            action: None,
            farewell: None,
            name,
            implementation,
            offers_apop,
            mechanisms,
            tolerance,
            lengths,
            keeps_all: false,
            security,
            login_delay,
            is_proxy,
            trace: None,
            counts: Counts::default(),
        };
        Self { lines: LineReader::new(conversation.line_max()), responses: None, conversation }
    }

    /// Ends the session from outside (the server stops, an administrator closes it): what was begun is finished,
    /// then "-ERR" and `Action::Close`. Never leads to UPDATE; an UPDATE that has begun is finished, and its reply
    /// is the last.
    pub fn refuse_and_close(&mut self, refusal: &Refusal) {
        self.conversation.refuse_and_close(refusal);
        self.forget_lines();
    }

    /// Octets of memory that are held for a line that was cut, and for a name that waits for its password.
    #[must_use]
    pub fn held_octets(&self) -> usize {
        let name = match &self.conversation.state {
            State::Authorization(authorization) => authorization.held(),
            State::Transaction(_) | State::Update(_) | State::Leaving(..) | State::Closed => 0,
        };
        name + self.lines.held() + self.responses.as_ref().map_or(0, |responses| responses.held())
    }

    /// Nothing more is read: what there is of a line is of no use.
    fn forget_lines(&mut self) {
        self.lines = LineReader::new(self.conversation.line_max());
        self.responses = None;
    }

    /// Whether the session is logged in: TRANSACTION or UPDATE. Not after `Action::Close`.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        match &self.conversation.state {
            State::Authorization(_) | State::Closed => false,
            State::Transaction(_) | State::Update(_) | State::Leaving(..) => true,
        }
    }

    /// What CAPA tells as LOGIN-DELAY from here on: that of the user, once it is known who it is.
    pub fn set_login_delay(&mut self, login_delay: Option<LoginDelay>) {
        self.conversation.login_delay = login_delay;
    }

    /// Whether a multi-line response is on its way.
    #[must_use]
    pub fn is_listing(&self) -> bool {
        match &self.conversation.state {
            State::Authorization(_) | State::Update(_) | State::Closed => false,
            State::Transaction(transaction) => transaction.is_listing(),
            State::Leaving(..) => true,
        }
    }

    /// What is marked as deleted so far; nothing after `Action::Close`.
    #[must_use]
    pub fn deletions(&self) -> &Deletions {
        match &self.conversation.state {
            State::Authorization(_) | State::Closed => const { &Deletions::NONE },
            State::Transaction(transaction) | State::Leaving(transaction, _) => &transaction.deletions,
            State::Update(deletions) => deletions,
        }
    }

    /// Whether DELE is refused from here on. Not at first.
    pub fn set_keeps_all(&mut self, keeps_all: bool) {
        self.conversation.keeps_all = keeps_all;
    }

    /// Whether `poll_trace` is to have the commands that come from here on. Not at first.
    pub fn set_tracing(&mut self, wanted: bool) {
        if wanted {
            self.conversation.trace.get_or_insert_default();
        } else {
            self.conversation.trace = None;
        }
    }

    /// The next command since `set_tracing`, as a log may show it: escaped, short, and without anything that may
    /// be a password. To be taken after each `handle_input`; of those that nobody takes only some are kept.
    pub fn poll_trace(&mut self) -> Option<String> {
        self.conversation.trace.as_mut()?.take()
    }

    /// How often each command was said since the last call.
    pub fn take_counts(&mut self) -> Counts {
        core::mem::take(&mut self.conversation.counts)
    }
}

impl Engine for Session {
    type Action = Action;
    type Answer = Answer;

    fn handle_input(&mut self, octets: &[u8]) -> usize {
        let Self { lines, responses, conversation } = self;
        let mut taken = 0;
        while conversation.takes_commands() {
            let rest = octets.get(taken..).unwrap_or_default();
            let count = if conversation.is_challenging() {
                let most = conversation.lengths.response;
                let responses = responses.get_or_insert_with(|| Box::new(LineReader::new(most)));
                let (count, line) = responses.read(rest);
                let Some(line) = line else { return taken + count };
                conversation.handle_response(line);
                if responses.is_skipping() {
                    // That was the end of the exchange: the next line is a command.
                    lines.begin_skipping();
                }
                count
            } else {
                // An answer to a challenge is short-lived, and so is the room for it.
                *responses = None;
                let (count, line) = lines.read(rest);
                let Some(line) = line else { return taken + count };
                conversation.handle_line(line);
                lines.wipe();
                count
            };
            taken += count;
        }
        if let Some(responses) = responses {
            responses.wipe();
        }
        if conversation.is_closing() { octets.len() } else { taken }
    }

    fn handle_answer(&mut self, answer: Answer) {
        // An answer to what was not asked changes nothing.
        match answer {
            Answer::Verified(result) => self.conversation.handle_verified(result),
            Answer::Challenged(challenge) => self.conversation.handle_challenged(&challenge, false),
            Answer::Explained(challenge) => self.conversation.handle_challenged(&challenge, true),
            Answer::Secured(mechanisms) => self.handle_secured(mechanisms),
            Answer::Identified(result) => self.conversation.handle_identified(result),
            Answer::Maildrop(result) => self.conversation.handle_maildrop(result),
            Answer::Measured(result) => self.conversation.handle_measured(result),
            Answer::Message(result) => self.conversation.handle_message(result),
            Answer::Sent => self.conversation.handle_sent(),
            Answer::Committed { remaining } => self.conversation.handle_committed(remaining),
        }
    }

    fn handle_timeout(&mut self) {
        // Who has been silent does not read either: what waits would only keep the connection.
        self.conversation.replies.clear();
        match self.conversation.state {
            State::Authorization(_) | State::Transaction(_) | State::Update(_) => self.conversation.close(),
            State::Leaving(..) => self.conversation.state = State::Closed,
            State::Closed => {}
        }
        self.forget_lines();
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.conversation.action.take()
    }

    fn poll_output(&mut self, room: &mut [u8]) -> usize {
        self.conversation.write(room)
    }
}

/// Whether it goes on, and how it ends.
impl Conversation {
    /// Whether the next line may be read: every earlier command is done, and the reply to one more has room.
    fn takes_commands(&self) -> bool {
        let is_ready = match &self.state {
            State::Authorization(authorization) => !authorization.is_waiting(),
            State::Transaction(transaction) => !transaction.is_waiting() && !transaction.is_listing(),
            State::Update(_) | State::Leaving(..) | State::Closed => false,
        };
        is_ready && self.replies.has_room()
    }

    fn is_closing(&self) -> bool {
        match self.state {
            State::Authorization(_) | State::Transaction(_) | State::Update(_) => false,
            State::Leaving(..) | State::Closed => true,
        }
    }

    fn begin_transaction(&mut self, transaction: Transaction) {
        self.state = State::Transaction(transaction);
    }

    fn begin_update(&mut self, deletions: Deletions) {
        self.state = State::Update(deletions);
    }

    fn refuse_and_close(&mut self, refusal: &Refusal) {
        let is_waiting = match &self.state {
            State::Authorization(authorization) => authorization.is_waiting(),
            State::Transaction(transaction) => transaction.is_waiting(),
            State::Update(_) => true,
            State::Leaving(..) | State::Closed => return,
        };
        if is_waiting {
            self.farewell.get_or_insert_with(|| Box::new(refusal.clone()));
            return;
        }
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Transaction(transaction) if transaction.is_listing() => {
                self.state = State::Leaving(transaction, Box::new(refusal.clone()));
                self.action = Some(Action::Close);
            }
            State::Authorization(_)
            | State::Transaction(_)
            | State::Update(_)
            | State::Leaving(..)
            | State::Closed => self.say_and_close(refusal),
        }
    }

    fn refuse_login(&mut self, refusal: &Refusal, patience: Patience) {
        self.refuse(refusal);
        match patience {
            Patience::Left => {}
            Patience::Lost => self.close(),
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.replies.error(refusal.code, format_args!("{}", refusal.text));
    }

    fn say_and_close(&mut self, refusal: &Refusal) {
        self.refuse(refusal);
        self.close();
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.action = Some(Action::Close);
    }

    /// Writes replies, and behind them what there is of a listing.
    fn write(&mut self, room: &mut [u8]) -> usize {
        let mut produced = self.replies.take(room);
        if !self.replies.is_empty() {
            return produced;
        }
        let behind = room.get_mut(produced..).unwrap_or_default();
        match &mut self.state {
            State::Transaction(transaction) => produced += transaction.write_listing(behind),
            State::Leaving(transaction, farewell) => {
                produced += transaction.write_listing(behind);
                if !transaction.is_listing() {
                    self.replies.error(farewell.code, format_args!("{}", farewell.text));
                    self.state = State::Closed;
                    produced += self.replies.take(room.get_mut(produced..).unwrap_or_default());
                }
            }
            State::Authorization(_) | State::Update(_) | State::Closed => {}
        }
        produced
    }
}

#[cfg(test)]
mod tests;

//! The states of a POP3 session and every transition between them (RFC 1939, sections 3 to 6).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

pub use super::action::{Action, Answer, Credentials, Opened, Part, Refusal};
use super::authorization::{Authorization, Login, Patience, Tolerance};
use super::capability::LoginDelay;
use super::command::{Command, Malformed};
use super::count::{self, Counts};
use super::sasl::{self, Mechanism, Mechanisms, RESPONSE_MAX, Step};
use super::trace::Trace;
use super::transaction::{Activity, Messages, Sizes, Transaction};
use crate::engine::Engine;
use crate::line::{Line, LineReader};
use crate::maildrop::{Deletions, Snapshot};
use crate::number::{MessageNumber, Octets};
use crate::reply::{Replies, ResponseCode};

mod stls;

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
    /// Whether there is TLS.
    pub security: Security,
    /// What CAPA tells as LOGIN-DELAY before login.
    pub login_delay: Option<LoginDelay>,
}

/// One POP3 session: AUTHORIZATION, TRANSACTION, UPDATE (RFC 1939).
pub struct Session {
    lines: LineReader,
    /// Reads the answers to challenges, while there is an exchange.
    responses: Option<Box<LineReader<RESPONSE_MAX>>>,
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
    /// Whether DELE is refused.
    keeps_all: bool,
    security: Security,
    login_delay: Option<LoginDelay>,
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
    Leaving(Transaction, Refusal),
    /// `Action::Close` was asked for; what the client says is of no interest any more.
    Closed,
}

impl Session {
    /// A session whose greeting waits in `poll_output`.
    #[must_use]
    pub fn new(greeting: Greeting) -> Self {
        let Greeting { name, implementation, timestamp, mechanisms, tolerance, security, login_delay } =
            greeting;
        let offers_apop = timestamp.is_some();
        let mut replies = Replies::default();
        match timestamp {
            Some(timestamp) => replies.greet(format_args!("{name} ready {timestamp}")),
            None => replies.greet(format_args!("{name} ready")),
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
            keeps_all: false,
            security,
            login_delay,
            trace: None,
            counts: Counts::default(),
        };
        Self { lines: LineReader::new(), responses: None, conversation }
    }

    /// Ends the session from outside (the server stops, an administrator closes it): what was begun is finished,
    /// then "-ERR" and `Action::Close`. Never leads to UPDATE; an UPDATE that has begun is finished, and its reply
    /// is the last.
    pub fn refuse_and_close(&mut self, refusal: &Refusal) {
        self.conversation.refuse_and_close(refusal);
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
            let count = if let Some(overlong) = responses.as_mut().filter(|reader| reader.is_skipping()) {
                let count = overlong.skip(rest);
                if overlong.is_skipping() {
                    return taken + count;
                }
                count
            } else if conversation.is_challenging() {
                let responses = responses.get_or_insert_default();
                let (count, line) = responses.read(rest);
                let Some(line) = line else { return taken + count };
                conversation.handle_response(line);
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
            Answer::Challenged(challenge) => self.conversation.handle_challenged(&challenge),
            Answer::Secured(mechanisms) => self.handle_secured(mechanisms),
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
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.conversation.action.take()
    }

    fn poll_output(&mut self, room: &mut [u8]) -> usize {
        self.conversation.write(room)
    }
}

/// Commands.
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

    fn handle_line(&mut self, line: Line<'_>) {
        if let Some(trace) = &mut self.trace {
            trace.note(line);
        }
        let command = match line {
            Line::Whole(line) => Command::parse(line),
            Line::TooLong => Err(Malformed::TooLong),
        };
        if let Some(count) = self.counts.get_mut(count::place(command.as_ref().ok())) {
            *count = count.saturating_add(1);
        }
        match (command, &self.state) {
            (Err(malformed), _) => self.mistake(malformed.as_str()),
            (Ok(command), State::Authorization(_)) => self.authorization(command),
            (Ok(command), State::Transaction(_)) => self.transaction(command),
            // No line is read in these.
            (Ok(_), State::Update(_) | State::Leaving(..) | State::Closed) => {}
        }
    }

    /// Whether the next line is the answer to a challenge.
    fn is_challenging(&self) -> bool {
        match &self.state {
            State::Authorization(authorization) => matches!(authorization.login, Login::Challenged { .. }),
            State::Transaction(_) | State::Update(_) | State::Leaving(..) | State::Closed => false,
        }
    }

    /// The answer to a challenge (RFC 5034, section 4).
    fn handle_response(&mut self, line: Line<'_>) {
        if let Some(trace) = &mut self.trace {
            trace.note_response();
        }
        let State::Authorization(authorization @ Authorization { login: Login::Challenged { .. }, .. }) =
            &mut self.state
        else {
            return;
        };
        let response = match line {
            Line::Whole(b"*") => Err("authentication cancelled"),
            Line::Whole(line) => sasl::decode(line).ok_or("not base64"),
            Line::TooLong => Err("line too long"),
        };
        match (response, &authorization.login) {
            (Ok(response), Login::Challenged { challenges }) => {
                authorization.login = Login::Exchanging { challenges: *challenges };
                self.action = Some(Action::Exchange(Step::Response(response)));
            }
            (Ok(_), _) => {}
            (Err(what), _) => {
                authorization.login = Login::Nobody;
                self.mistake(what);
            }
        }
    }

    /// AUTH.
    fn authenticate(&mut self, mechanism: Option<&[u8]>, initial: Option<&[u8]>) {
        let State::Authorization(authorization) = &mut self.state else { return };
        let Some(mechanism) = mechanism else {
            self.replies.ok(format_args!("mechanisms follow"));
            for mechanism in self.mechanisms.iter() {
                self.replies.raw(format_args!("{}\r\n", mechanism.as_str()));
            }
            return self.replies.raw(format_args!(".\r\n"));
        };
        let offered = Mechanism::parse(mechanism).filter(|&mechanism| self.mechanisms.contains(mechanism));
        let Some(mechanism) = offered else { return self.mistake("mechanism not offered") };
        let initial = match initial.map(|initial| sasl::decode_initial(initial).ok_or(())).transpose() {
            Ok(initial) => initial,
            Err(()) => return self.mistake("not base64"),
        };
        authorization.login = Login::Exchanging { challenges: 0 };
        self.action = Some(Action::Exchange(Step::Begin { mechanism, initial }));
    }

    fn authorization(&mut self, command: Command<'_>) {
        if self.refuses_in_clear(command) {
            return;
        }
        let State::Authorization(authorization) = &mut self.state else { return };
        match command {
            Command::Stls => self.start_tls(),
            Command::User(name) => {
                authorization.name(name);
                self.replies.ok(format_args!("send PASS"));
            }
            Command::Pass(password) => match authorization.password(password) {
                Some(credentials) => self.action = Some(Action::Verify(credentials)),
                None => self.mistake("send USER first"),
            },
            Command::Apop { name, digest } if self.offers_apop => {
                self.action = Some(Action::Verify(authorization.apop(name, digest)));
            }
            Command::Apop { .. } => self.mistake(Malformed::Unknown.as_str()),
            Command::Auth { .. } if self.mechanisms.is_empty() => self.mistake(Malformed::Unknown.as_str()),
            Command::Auth { mechanism, initial } => self.authenticate(mechanism, initial),
            Command::Capa => self.say_capabilities(self.name),
            Command::Quit => {
                self.replies.ok(format_args!("goodbye"));
                self.close();
            }
            Command::Stat
            | Command::List(_)
            | Command::Uidl(_)
            | Command::Retr(_)
            | Command::Top { .. }
            | Command::Dele(_)
            | Command::Rset
            | Command::Noop => self.mistake("log in first"),
        }
    }

    fn transaction(&mut self, command: Command<'_>) {
        let State::Transaction(transaction) = &mut self.state else { return };
        match command {
            Command::Capa => self.say_capabilities(self.implementation),
            Command::Stls => self.mistake(match self.security {
                Security::None => Malformed::Unknown.as_str(),
                Security::Offered | Security::Required { .. } | Security::Tls => "not after login",
            }),
            Command::Stat => self.show_sizes(Sizes::Stat),
            Command::List(None) => self.show_sizes(Sizes::List),
            Command::List(Some(number)) => self.show_sizes(Sizes::ListOne(number)),
            Command::Uidl(number) => transaction.show_unique_ids(number, &mut self.replies),
            Command::Retr(number) => self.open_message(number, Part::Whole),
            Command::Top { number, lines } => self.open_message(number, Part::Top { lines }),
            // RFC 3206, section 5: nothing that the client does later would help.
            Command::Dele(_) if self.keeps_all => {
                let code = Some(ResponseCode::SysPerm);
                self.replies.error(code, format_args!("messages of this account cannot be deleted"));
            }
            Command::Dele(number) => transaction.delete(number, &mut self.replies),
            Command::Rset => transaction.reset(&mut self.replies),
            Command::Noop => self.replies.ok(format_args!("")),
            Command::Quit => self.quit(),
            Command::User(_) | Command::Pass(_) | Command::Apop { .. } | Command::Auth { .. } => {
                self.mistake("already logged in");
            }
        }
    }

    /// STAT and LIST, where needed after a measurement.
    fn show_sizes(&mut self, sizes: Sizes) {
        let State::Transaction(transaction) = &mut self.state else { return };
        let is_absent = match sizes {
            Sizes::Stat | Sizes::List => false,
            Sizes::ListOne(number) => transaction.check(number).is_err(),
        };
        if is_absent || transaction.is_measured() {
            transaction.show_sizes(sizes, &mut self.replies);
        } else {
            transaction.activity = Activity::Measuring(sizes);
            self.action = Some(Action::Measure);
        }
    }

    /// RETR and TOP.
    fn open_message(&mut self, number: MessageNumber, part: Part) {
        let State::Transaction(transaction) = &mut self.state else { return };
        match transaction.check(number) {
            Ok(()) => {
                transaction.activity = Activity::Opening(part);
                self.action = Some(Action::OpenMessage { number, part });
            }
            Err(absent) => self.replies.error(None, format_args!("{}", absent.as_str())),
        }
    }

    /// QUIT in TRANSACTION: UPDATE, where something is to be removed.
    fn quit(&mut self) {
        let State::Transaction(transaction) = &mut self.state else { return };
        let deletions = core::mem::take(&mut transaction.deletions);
        if deletions.count() == 0 {
            self.replies.ok(format_args!("goodbye"));
            self.close();
        } else {
            self.action = Some(Action::Commit(deletions.clone()));
            self.state = State::Update(deletions);
        }
    }

    /// A line that is no command, or none for this state.
    fn mistake(&mut self, text: &str) {
        self.mistake_with(None, format_args!("{text}"));
    }

    fn mistake_with(&mut self, code: Option<ResponseCode>, text: fmt::Arguments<'_>) {
        let patience = match &mut self.state {
            State::Authorization(authorization) => {
                authorization.mistake(self.tolerance.mistakes_before_login)
            }
            State::Transaction(transaction) => transaction.mistake(self.tolerance.mistakes),
            State::Update(_) | State::Leaving(..) | State::Closed => return,
        };
        match patience {
            Patience::Left => self.replies.error(code, text),
            Patience::Lost => {
                self.replies.error(None, format_args!("too many errors"));
                self.close();
            }
        }
    }
}

/// Answers.
impl Conversation {
    fn handle_verified(&mut self, result: Result<(), Refusal>) {
        let State::Authorization(
            authorization @ Authorization { login: Login::Verifying | Login::Exchanging { .. }, .. },
        ) = &mut self.state
        else {
            return;
        };
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(()) => {
                authorization.login = Login::Opening;
                self.action = Some(Action::OpenMaildrop);
            }
            Err(refusal) => {
                let patience = authorization.fail_login(self.tolerance.failed_logins);
                self.refuse_login(&refusal, patience);
            }
        }
    }

    fn handle_challenged(&mut self, challenge: &[u8]) {
        let State::Authorization(authorization @ Authorization { login: Login::Exchanging { .. }, .. }) =
            &mut self.state
        else {
            return;
        };
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        let Login::Exchanging { challenges } = authorization.login else { return };
        match (sasl::encode(challenge), authorization.challenge(challenges)) {
            (Some(encoded), Patience::Left) => self.replies.challenge(&encoded),
            (None, _) | (_, Patience::Lost) => {
                authorization.login = Login::Nobody;
                self.mistake("authentication failed");
            }
        }
    }

    fn handle_maildrop(&mut self, result: Result<Opened, Refusal>) {
        let State::Authorization(authorization @ Authorization { login: Login::Opening, .. }) =
            &mut self.state
        else {
            return;
        };
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(opened) => {
                let transaction = Transaction::new(opened);
                self.replies.ok(format_args!("maildrop locked, {}", Messages(transaction.remaining())));
                self.state = State::Transaction(transaction);
            }
            Err(refusal) => {
                let patience = authorization.refuse_maildrop();
                self.refuse_login(&refusal, patience);
            }
        }
    }

    fn handle_measured(&mut self, result: Result<Arc<dyn Snapshot + Send + Sync>, Refusal>) {
        let State::Transaction(transaction) = &mut self.state else { return };
        let Activity::Measuring(sizes) = transaction.activity else { return };
        transaction.activity = Activity::Ready;
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(snapshot) => {
                transaction.measure(snapshot);
                transaction.show_sizes(sizes, &mut self.replies);
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn handle_message(&mut self, result: Result<Option<Octets>, Refusal>) {
        let State::Transaction(transaction) = &mut self.state else { return };
        let Activity::Opening(part) = transaction.activity else { return };
        transaction.activity = Activity::Ready;
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(octets) => {
                match (part, octets) {
                    (Part::Whole, Some(octets)) => self.replies.ok(format_args!("{octets} octets")),
                    (Part::Whole, None) => self.replies.ok(format_args!("message follows")),
                    (Part::Top { .. }, _) => self.replies.ok(format_args!("top of message follows")),
                }
                transaction.activity = Activity::Sending;
                self.action = Some(Action::SendMessage);
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn handle_sent(&mut self) {
        let State::Transaction(transaction @ Transaction { activity: Activity::Sending, .. }) =
            &mut self.state
        else {
            return;
        };
        transaction.activity = Activity::Ready;
        if let Some(farewell) = self.farewell.take() {
            self.say_and_close(&farewell);
        }
    }

    fn handle_committed(&mut self, remaining: u32) {
        let State::Update(deletions) = &self.state else { return };
        let count = deletions.count();
        if remaining == 0 {
            self.replies.ok(format_args!("{} deleted", Messages(count)));
        } else {
            let code = Some(ResponseCode::SysTemp);
            self.replies.error(code, format_args!("{remaining} of {count} deleted messages not removed"));
        }
        self.close();
    }
}

/// Ends.
impl Conversation {
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
                self.state = State::Leaving(transaction, refusal.clone());
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

//! What each command, and each answer to a challenge, leads to. The states that they lead to are entered in `session.rs`.

use core::fmt;

use super::{Action, Conversation, Part, Security, State, xclient};
use crate::line::Line;
use crate::number::MessageNumber;
use crate::pop3::authorization::{Login, Patience};
use crate::pop3::command::{Command, Malformed};
use crate::pop3::count;
use crate::pop3::language;
use crate::pop3::sasl::{self, Mechanism, Step};
use crate::pop3::transaction::{Activity, Sizes};
use crate::reply::ResponseCode;
use crate::wiped::Wiped;

impl Conversation {
    /// A command line.
    pub(super) fn handle_line(&mut self, line: Line<'_>) {
        let line = self.bounded(line);
        if let Some(trace) = &mut self.trace {
            trace.note(line);
        }
        if self.is_proxy
            && let Line::Whole { text, .. } = line
            && let Some(arguments) = xclient::arguments(text)
        {
            return self.identify(arguments);
        }
        let command = match line {
            Line::Whole { text, .. } => Command::parse(text),
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
    pub(super) fn is_challenging(&self) -> bool {
        match &self.state {
            State::Authorization(authorization) => {
                matches!(authorization.login, Login::Challenged { .. } | Login::Explained)
            }
            State::Transaction(_) | State::Update(_) | State::Leaving(..) | State::Closed => false,
        }
    }

    /// The answer to a challenge (RFC 5034, section 4).
    pub(super) fn handle_response(&mut self, line: Line<'_>) {
        if let Some(trace) = &mut self.trace {
            trace.note_response();
        }
        let State::Authorization(authorization) = &mut self.state else { return };
        let challenges = match authorization.login {
            Login::Challenged { challenges } => challenges,
            Login::Explained => {
                authorization.login = Login::Exchanging { challenges: 0 };
                self.action = Some(Action::Exchange(Step::Response(Wiped::default())));
                return;
            }
            Login::Nobody
            | Login::Named(_)
            | Login::Verifying
            | Login::Exchanging { .. }
            | Login::Opening
            | Login::Securing
            | Login::Identifying => return,
        };
        let response = match line {
            Line::Whole { text: b"*", .. } => Err("authentication cancelled"),
            Line::Whole { text, .. } => sasl::decode(text).ok_or("not base64"),
            Line::TooLong => Err("line too long"),
        };
        match response {
            Ok(response) => {
                authorization.login = Login::Exchanging { challenges };
                self.action = Some(Action::Exchange(Step::Response(response)));
            }
            Err(what) => {
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
            // RFC 6856, section 2.1. Nothing is sent otherwise in this mode: see docs/accounts.md.
            Command::Utf8 => self.replies.ok(format_args!("UTF-8 mode")),
            Command::Lang(range) => language::answer(range, &mut self.replies),
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
            Command::Utf8 => self.mistake("not after login"),
            Command::Lang(range) => language::answer(range, &mut self.replies),
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
            self.begin_update(deletions);
        }
    }

    /// A line that is no command, or none for this state.
    pub(super) fn mistake(&mut self, text: &str) {
        self.mistake_with(None, format_args!("{text}"));
    }

    pub(super) fn mistake_with(&mut self, code: Option<ResponseCode>, text: fmt::Arguments<'_>) {
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

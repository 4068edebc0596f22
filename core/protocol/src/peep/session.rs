//! The server's half: its two states and every transition between them.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::command::{self, Argument, COMMAND_MAX, COMMANDS, Command, Line as Said};
use super::reply::{Failure, REPLY_LINE_MAX, Reply};
use crate::engine::Engine;
use crate::line::{Line, LineReader};

/// Wrong `a` commands after which a connection is closed, where nothing else is said.
pub const WRONG_CREDENTIALS_MAX: u32 = 5;

/// Octets of replies that may wait before the next command is taken. A listing may exceed it: it is the last then.
const REPLIES_MAX: usize = 4096;
const _: () = assert!(REPLY_LINE_MAX < REPLIES_MAX, "replies to several commands go out together");

/// One administrator's connection as a value.
pub struct Session {
    state: State,
    /// Wrong `a` commands after which it ends.
    wrong_max: u32,
    reader: LineReader,
    replies: Vec<u8>,
    /// How many of `replies` are sent.
    sent: usize,
    request: Asking,
}

enum State {
    /// `wrong`: how often `a` has failed.
    Authentication {
        wrong: u32,
    },
    Authenticated,
    /// Nothing more is taken; what waits goes out.
    Ended,
}

/// What only the outside can do, on its way there and back.
enum Asking {
    Nothing,
    /// Not taken yet.
    Ready(Action),
    /// Taken; its answer is awaited.
    Taken,
}

/// What only the outside can do.
#[derive(Debug, Eq, PartialEq)]
pub enum Action {
    /// Find out whether these are an administrator's credentials. After the answer `false` to a number of them, which
    /// is told, the session ends; answers to wrong ones are to be held back ever longer.
    Authenticate {
        /// The first argument.
        user: Argument,
        /// The second.
        password: Argument,
        /// How many were wrong before these.
        wrong_before: u32,
    },
    /// Tell the ranges of the commands that take a number.
    Ranges,
    /// Carry out a command.
    Do(Command),
    /// Close the connection once the replies are out. Has no answer.
    Close,
}

/// What came of an action.
#[derive(Debug, Eq, PartialEq)]
pub enum Answer {
    /// Whether they are.
    Authenticated(bool),
    /// The ranges.
    Ranges(Ranges),
    /// The reply.
    Done(Result<Reply, Failure>),
}

/// The numbers that commands take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ranges {
    /// Of `c=`.
    pub connections: RangeInclusive<u64>,
    /// Of `t=`, in seconds.
    pub timeout: RangeInclusive<u64>,
}

impl Session {
    /// A session in AUTHENTICATION.
    #[must_use]
    pub const fn new() -> Self {
        Self::in_state(State::Authentication { wrong: 0 })
    }

    /// A session whose administrator is known from the start, by the kernel's word.
    #[must_use]
    pub const fn authenticated() -> Self {
        Self::in_state(State::Authenticated)
    }

    const fn in_state(state: State) -> Self {
        let wrong_max = WRONG_CREDENTIALS_MAX;
        Self {
            state,
            wrong_max,
            reader: LineReader::new(COMMAND_MAX),
            replies: Vec::new(),
            sent: 0,
            request: Asking::Nothing,
        }
    }

    /// The same, ended by so many wrong `a` commands.
    #[must_use]
    pub const fn with_wrong_credentials_max(mut self, most: u32) -> Self {
        self.wrong_max = most;
        self
    }

    /// Whether the administrator is known.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        matches!(self.state, State::Authenticated)
    }

    /// Whether replies wait for room.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.replies.is_empty()
    }

    fn listens(&self) -> bool {
        matches!(self.request, Asking::Nothing)
            && !matches!(self.state, State::Ended)
            && self.replies.len() < REPLIES_MAX
    }

    fn handle_line(&mut self, said: Result<Said, Failure>) {
        match (said, &self.state) {
            (_, State::Ended) => {}
            (Err(failure), State::Authentication { .. } | State::Authenticated) => self.refuse(failure),
            (Ok(Said::Quit), State::Authentication { .. } | State::Authenticated) => {
                self.reply(&Reply::Done);
                self.end();
            }
            (Ok(Said::Capabilities), State::Authentication { .. } | State::Authenticated) => {
                self.request = Asking::Ready(Action::Ranges);
            }
            (Ok(Said::Authenticate { user, password }), State::Authentication { wrong }) => {
                let wrong_before = *wrong;
                self.request = Asking::Ready(Action::Authenticate { user, password, wrong_before });
            }
            (Ok(Said::Other(command)), State::Authenticated) => {
                self.request = Asking::Ready(Action::Do(command));
            }
            // Not read in these states.
            (Ok(Said::Authenticate { .. }), State::Authenticated)
            | (Ok(Said::Other(_)), State::Authentication { .. }) => self.refuse(Failure::UnknownCommand),
        }
    }

    fn handle_authenticated(&mut self, is_right: bool) {
        let State::Authentication { wrong } = &mut self.state else { return };
        if is_right {
            self.state = State::Authenticated;
            self.reply(&Reply::Done);
            return;
        }
        *wrong += 1;
        let is_last = *wrong >= self.wrong_max;
        self.refuse(Failure::WrongCredentials);
        if is_last {
            self.end();
        }
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.request = Asking::Ready(Action::Close);
    }

    fn refuse(&mut self, failure: Failure) {
        self.line("-", &alloc::format!("{}", failure.code()));
    }

    fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Done => self.line("+", ""),
            Reply::Integer(number) => self.line("+", &alloc::format!("{number}")),
            Reply::Text(text) => self.line("+", text),
            Reply::Lines(lines) => {
                self.line("+", &alloc::format!("{}", lines.len()));
                for line in lines {
                    self.line("", line);
                }
            }
        }
    }

    /// Writes a line of a reply: never longer than one may be, and never two.
    fn line(&mut self, status: &str, text: &str) {
        let mut room = REPLY_LINE_MAX - 2 - status.len();
        self.replies.extend_from_slice(status.as_bytes());
        for character in text.chars() {
            let character = if character.is_control() { '?' } else { character };
            let Some(left) = room.checked_sub(character.len_utf8()) else { break };
            room = left;
            self.replies.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.replies.extend_from_slice(b"\r\n");
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine for Session {
    type Action = Action;
    type Answer = Answer;

    fn handle_input(&mut self, octets: &[u8]) -> usize {
        let mut taken = 0;
        while self.listens() {
            let (count, line) = self.reader.read(octets.get(taken..).unwrap_or_default());
            taken += count;
            let Some(line) = line else { break };
            let said = match line {
                Line::Whole { text, .. } => command::parse(text, matches!(self.state, State::Authenticated)),
                Line::TooLong => Err(Failure::BadSyntax),
            };
            self.reader.wipe();
            self.handle_line(said);
        }
        taken
    }

    fn handle_answer(&mut self, answer: Answer) {
        if !matches!(self.request, Asking::Taken) {
            return;
        }
        self.request = Asking::Nothing;
        match answer {
            Answer::Authenticated(is_right) => self.handle_authenticated(is_right),
            Answer::Ranges(ranges) => self.reply(&Reply::Lines(capabilities(&ranges))),
            Answer::Done(Ok(reply)) => self.reply(&reply),
            Answer::Done(Err(failure)) => self.refuse(failure),
        }
    }

    fn handle_timeout(&mut self) {
        self.end();
    }

    fn poll_action(&mut self) -> Option<Action> {
        match core::mem::replace(&mut self.request, Asking::Nothing) {
            Asking::Ready(action) => {
                self.request = Asking::Taken;
                Some(action)
            }
            Asking::Taken => {
                self.request = Asking::Taken;
                None
            }
            Asking::Nothing => None,
        }
    }

    fn poll_output(&mut self, room: &mut [u8]) -> usize {
        let waiting = self.replies.get(self.sent..).unwrap_or_default();
        let count = waiting.len().min(room.len());
        for (place, &octet) in room.iter_mut().zip(waiting) {
            *place = octet;
        }
        self.sent += count;
        if self.sent == self.replies.len() {
            // An administrator who waits takes no memory.
            self.replies = Vec::new();
            self.sent = 0;
        }
        count
    }
}

/// The lines of `cap?`.
fn capabilities(ranges: &Ranges) -> Vec<String> {
    let range =
        |name: &str, range: &RangeInclusive<u64>| alloc::format!("{name}{}-{}", range.start(), range.end());
    let mut lines =
        alloc::vec![String::from("a"), range("c=", &ranges.connections), range("t=", &ranges.timeout)];
    let extensions = COMMANDS.iter().filter(|form| form.is_extension);
    lines.extend(extensions.map(|form| String::from(form.commencement)));
    lines
}

//! What one connection says and expects, scenario by scenario. No sockets, no loop: the swarm feeds it octets
//! and the time, and takes the next command.

use std::fmt;
use std::time::{Duration, Instant};

use crate::answer::{Answer, AnswerReader, Content, Difference, Form};
use crate::maildir::user_name;
use crate::tally::{Step, Tally};
use crate::text::Block;

/// Octets at the end of a message that are always read: its last lines, and the termination octet.
const TAIL: u64 = 256;

/// Fewer octets are read rather than skipped: it costs less than another call.
const SKIP_LEAST: u64 = 4 << 10;

/// Parts of a rest in which slow readers begin.
const SHARES: u32 = 64;

/// What a session does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scenario {
    /// Logs in once, then retrieves all messages round and round.
    Retr {
        /// Messages until QUIT; without: until told to leave.
        count: Option<u64>,
    },
    /// STAT, LIST, UIDL, RETR 1, QUIT, and then the same in another connection.
    Short,
    /// STAT, LIST, UIDL, QUIT, each timed by itself, and then the same in another connection.
    Listing {
        /// Whether there is no other connection.
        once: bool,
    },
    /// Logs in once, then says NOOP with a rest between.
    Noop {
        /// The rest.
        rest: Duration,
    },
    /// Logs in once, then retrieves messages as slowly as a slow reader does.
    Crawl {
        /// The rest between two reads.
        rest: Duration,
    },
}

impl Scenario {
    /// Whether sessions follow one another: none waits for the others after its login.
    #[must_use]
    pub fn is_in_a_row(self) -> bool {
        match self {
            Self::Short | Self::Listing { .. } => true,
            Self::Retr { .. } | Self::Noop { .. } | Self::Crawl { .. } => false,
        }
    }
}

/// What all sessions of a run have in common.
#[derive(Debug)]
pub struct Common {
    /// What they do.
    pub scenario: Scenario,
    /// Every user's password.
    pub password: String,
    /// One message of so many is compared with its text; 0: none.
    pub compare_every: u64,
    /// The plain and the dotted text.
    pub blocks: [Block; 2],
}

/// What a session wants after it was fed.
#[derive(Debug, Eq, PartialEq)]
pub enum Next {
    /// More octets.
    Hear,
    /// This line sent.
    Say(String),
    /// To wait until all have logged in: `begin` comes then.
    Begin,
    /// To wait for so long: `rested` comes then.
    Rest(Duration),
    /// Nothing: QUIT was answered.
    Ended,
}

/// How a session wants the next octets taken off the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taking {
    /// Read, as many as there are.
    Read,
    /// Read, but few: what follows a status line is to be skipped.
    ReadFew,
    /// Unread, at most so many: the session is told how many by `skip`.
    Skip(usize),
}

/// Why a session cannot go on.
#[derive(Debug, Eq, PartialEq)]
pub enum Fault {
    /// A command was refused.
    Refused(&'static str, String),
    /// A reply was none of POP3's.
    Garbage(String),
    /// A listing cannot be read.
    Listing,
    /// A message has not the octets that LIST told.
    Octets {
        /// By LIST.
        told: u64,
        /// Counted, byte-stuffing taken off.
        heard: u64,
    },
    /// A message has not the octets on the wire that it had the time before.
    Wire {
        /// The time before.
        before: u64,
        /// Counted.
        heard: u64,
    },
    /// A message is not the one asked for.
    Message(u32, Difference),
    /// Octets came that nothing asked for.
    Unasked,
}

/// One connection's dialogue.
#[derive(Debug)]
pub struct Session<'a> {
    common: &'a Common,
    user: String,
    /// Where in a rest of all together its own begins, in 64ths: nobody wants all to read at the same moment.
    share: u32,
    state: State,
    reader: AnswerReader,
    content: Content<'a>,
    connected: Instant,
    asked: Instant,
    /// When PASS was said.
    logging_in: Instant,
    /// Octets of each message, as LIST told.
    sizes: Vec<u64>,
    /// Octets of each message on the wire, behind the status line, once it was read from end to end.
    wires: Vec<Option<u64>>,
    /// Messages retrieved.
    retrieved: u64,
    leaving: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Greeting,
    User,
    Pass,
    Stat,
    List,
    Uidl,
    /// Logged in; the others are not yet.
    Ready,
    /// The message with this number is coming.
    Retr(u32),
    Noop,
    Resting,
    Quit,
}

impl<'a> Session<'a> {
    /// A connection that is being made at `now`.
    #[must_use]
    pub fn new(common: &'a Common, user: u32, now: Instant) -> Self {
        Self {
            common,
            user: user_name(user),
            share: user % SHARES,
            state: State::Greeting,
            reader: AnswerReader::new(),
            content: Content::count(),
            connected: now,
            asked: now,
            logging_in: now,
            sizes: Vec::new(),
            wires: Vec::new(),
            retrieved: 0,
            leaving: false,
        }
    }

    /// Takes octets of the server; how many, and what comes next.
    ///
    /// # Errors
    /// Where the server says what it must not.
    pub fn handle_input(
        &mut self,
        octets: &[u8],
        now: Instant,
        tally: &mut Tally,
    ) -> Result<(usize, Next), Fault> {
        if matches!(self.state, State::Ready | State::Resting) {
            return Err(Fault::Unasked);
        }
        let before = self.content.octets();
        let (taken, answer) = self.reader.read(octets, &mut self.content);
        if let State::Retr(_) = self.state
            && tally.measuring
        {
            tally.octets += self.content.octets() - before;
        }
        match answer {
            None => Ok((taken, Next::Hear)),
            Some(Answer::Ok(text)) => Ok((taken, self.handle_ok(&text, now, tally)?)),
            Some(Answer::Err(text)) => Err(Fault::Refused(self.state.name(), text)),
            Some(Answer::Garbage(text)) => Err(Fault::Garbage(text)),
        }
    }

    /// How the next octets are to be taken. What is not compared need not be read either: a client that copies and
    /// searches all of it takes from the server the processor that is measured. Its length on the wire is known from the
    /// first time, and its end is read.
    #[must_use]
    pub fn taking(&self) -> Taking {
        let (Some(wire), None) = (self.known_wire(), self.pace()) else { return Taking::Read };
        let Some(lines) = self.reader.lines() else { return Taking::ReadFew };
        match wire.saturating_sub(lines + TAIL) {
            left @ SKIP_LEAST.. => Taking::Skip(usize::try_from(left).unwrap_or(usize::MAX)),
            _ => Taking::Read,
        }
    }

    /// So many octets were skipped, as `taking` said.
    pub fn skip(&mut self, count: usize, tally: &mut Tally) {
        self.reader.skip(count);
        if let Content::Count(octets) = &mut self.content {
            *octets += count as u64;
        }
        if tally.measuring {
            tally.octets += count as u64;
        }
    }

    /// How long the message on the wire is that comes, where that is known and it is not compared.
    fn known_wire(&self) -> Option<u64> {
        match (self.state, &self.content) {
            (State::Retr(number), Content::Count(_)) => {
                self.wires.get(number as usize - 1).copied().flatten()
            }
            (_, _) => None,
        }
    }

    /// How long to rest between reads, where the session is at a message that it reads slowly.
    #[must_use]
    pub fn pace(&self) -> Option<Duration> {
        match (self.common.scenario, self.state) {
            (Scenario::Crawl { rest }, State::Retr(_)) => Some(rest),
            (_, _) => None,
        }
    }

    /// All have logged in: the session's own work begins.
    pub fn begin(&mut self, now: Instant) -> Next {
        match self.common.scenario {
            Scenario::Retr { .. } => self.retrieve_next(now),
            Scenario::Noop { .. } => self.say(State::Noop, "NOOP".to_owned(), Form::Single, now),
            Scenario::Crawl { rest } => {
                self.state = State::Resting;
                Next::Rest(rest * self.share / SHARES)
            }
            Scenario::Short | Scenario::Listing { .. } => Next::Hear,
        }
    }

    /// The rest is over; nothing to say where the session was told to leave meanwhile.
    pub fn rested(&mut self, now: Instant) -> Next {
        match (self.state, self.common.scenario) {
            (State::Resting, Scenario::Crawl { .. }) => self.retrieve_next(now),
            (State::Resting, _) => self.say(State::Noop, "NOOP".to_owned(), Form::Single, now),
            (_, _) => Next::Hear,
        }
    }

    /// Asks the session to QUIT when it has what it asked for; what to say at once, where it waits.
    pub fn leave(&mut self, now: Instant) -> Next {
        self.leaving = true;
        match self.state {
            State::Ready | State::Resting => self.quit(now),
            // At that pace the message would never end.
            State::Retr(_) if self.pace().is_some() => Next::Ended,
            State::Greeting
            | State::User
            | State::Pass
            | State::Stat
            | State::List
            | State::Uidl
            | State::Retr(_)
            | State::Noop
            | State::Quit => Next::Hear,
        }
    }

    fn handle_ok(&mut self, text: &str, now: Instant, tally: &mut Tally) -> Result<Next, Fault> {
        let is_short = self.common.scenario.is_in_a_row();
        let lists = matches!(self.common.scenario, Scenario::Listing { .. });
        tally.answered(now - self.asked);
        if lists {
            self.time_step(now, tally);
        }
        Ok(match self.state {
            State::Greeting => self.say(State::User, format!("USER {}", self.user), Form::Single, now),
            State::User => self.say(State::Pass, format!("PASS {}", self.common.password), Form::Single, now),
            State::Pass if is_short => self.say(State::Stat, "STAT".to_owned(), Form::Single, now),
            State::Pass if matches!(self.common.scenario, Scenario::Noop { .. }) => self.ready(now),
            State::Pass | State::Stat => {
                if self.state == State::Stat && !text.starts_with(|first: char| first.is_ascii_digit()) {
                    return Err(Fault::Listing);
                }
                self.content = Content::Listing(Vec::new());
                self.say(State::List, "LIST".to_owned(), Form::Multi, now)
            }
            State::List => {
                self.sizes = self.read_sizes()?;
                self.wires = vec![None; self.sizes.len()];
                self.content = Content::count();
                if is_short {
                    self.say(State::Uidl, "UIDL".to_owned(), Form::Multi, now)
                } else {
                    self.ready(now)
                }
            }
            State::Uidl if lists => self.quit(now),
            State::Uidl => self.retrieve_next(now),
            State::Retr(number) => {
                self.check_message(number, tally)?;
                self.retrieved += 1;
                if tally.measuring {
                    tally.messages += 1;
                }
                if is_short {
                    return Ok(self.quit(now));
                }
                tally.took(now - self.asked);
                let is_last =
                    matches!(self.common.scenario, Scenario::Retr { count } if count == Some(self.retrieved));
                if !is_last && !self.leaving { self.retrieve_next(now) } else { self.quit(now) }
            }
            State::Noop => {
                tally.took(now - self.asked);
                tally.noops += u64::from(tally.measuring);
                if self.leaving {
                    return Ok(self.quit(now));
                }
                self.state = State::Resting;
                let Scenario::Noop { rest } = self.common.scenario else { return Ok(Next::Hear) };
                Next::Rest(rest)
            }
            State::Quit => {
                if is_short {
                    tally.took(now - self.connected);
                }
                tally.sessions += u64::from(tally.measuring);
                Next::Ended
            }
            // Nothing was asked.
            State::Ready | State::Resting => return Err(Fault::Unasked),
        })
    }

    /// Counts how long a step of a login took: PASS and STAT together, LIST, UIDL.
    fn time_step(&mut self, now: Instant, tally: &mut Tally) {
        let step = match self.state {
            State::Pass => {
                self.logging_in = self.asked;
                return;
            }
            State::Stat => Step::Login,
            State::List => Step::List,
            State::Uidl => Step::Uidl,
            State::Greeting
            | State::User
            | State::Ready
            | State::Retr(_)
            | State::Noop
            | State::Resting
            | State::Quit => return,
        };
        let since = if step == Step::Login { self.logging_in } else { self.asked };
        tally.step_took(step, now - since);
    }

    fn ready(&mut self, now: Instant) -> Next {
        if self.leaving {
            return self.quit(now);
        }
        self.state = State::Ready;
        Next::Begin
    }

    fn retrieve_next(&mut self, now: Instant) -> Next {
        let Ok(messages @ 1..) = u64::try_from(self.sizes.len()) else { return self.quit(now) };
        let number = u32::try_from(self.retrieved % messages).unwrap_or(u32::MAX - 1) + 1;
        // The first one always: a run too short for a sample would compare nothing.
        let compares =
            self.common.compare_every > 0 && self.retrieved.is_multiple_of(self.common.compare_every);
        self.content = if compares {
            Content::compare(&self.common.blocks, &self.user, number)
        } else {
            Content::count()
        };
        self.say(State::Retr(number), format!("RETR {number}"), Form::Multi, now)
    }

    fn quit(&mut self, now: Instant) -> Next {
        self.say(State::Quit, "QUIT".to_owned(), Form::Single, now)
    }

    fn say(&mut self, state: State, mut line: String, form: Form, now: Instant) -> Next {
        self.state = state;
        self.asked = now;
        self.reader.expect(form);
        line.push_str("\r\n");
        Next::Say(line)
    }

    fn check_message(&mut self, number: u32, tally: &mut Tally) -> Result<(), Fault> {
        let wire = self.reader.lines().unwrap_or_default();
        let heard = self.content.octets();
        let told = self.sizes.get(number as usize - 1).copied().unwrap_or_default();
        if let Some(before) = self.known_wire() {
            if tally.measuring {
                // Byte-stuffing was skipped too.
                tally.octets = tally.octets.saturating_sub(heard.saturating_sub(told));
            }
            return if before == wire { Ok(()) } else { Err(Fault::Wire { before, heard: wire }) };
        }
        if told != heard {
            return Err(Fault::Octets { told, heard });
        }
        self.content.verdict().map_err(|difference| Fault::Message(number, difference))?;
        tally.compared += u64::from(matches!(self.content, Content::Compare(_)));
        if let Some(known) = self.wires.get_mut(number as usize - 1) {
            *known = Some(wire);
        }
        Ok(())
    }

    fn read_sizes(&self) -> Result<Vec<u64>, Fault> {
        let Content::Listing(lines) = &self.content else { return Err(Fault::Listing) };
        let text = std::str::from_utf8(lines).map_err(|_| Fault::Listing)?;
        let size = |(place, line): (usize, &str)| {
            let (number, octets) = line.split_once(' ')?;
            (number.parse() == Ok(place + 1)).then(|| octets.parse().ok())?
        };
        text.lines().enumerate().map(|line| size(line).ok_or(Fault::Listing)).collect()
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Greeting => "the greeting",
            Self::User => "USER",
            Self::Pass => "PASS",
            Self::Stat => "STAT",
            Self::List => "LIST",
            Self::Uidl => "UIDL",
            Self::Ready | Self::Resting => "nothing",
            Self::Retr(_) => "RETR",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(command, text) => write!(formatter, "{command} refused: {text}"),
            Self::Garbage(text) => write!(formatter, "not a reply: {text}"),
            Self::Listing => formatter.write_str("a listing cannot be read"),
            Self::Octets { told, heard } => write!(formatter, "LIST told {told} octets, RETR sent {heard}"),
            Self::Wire { before, heard } => {
                write!(formatter, "RETR sent {before} octets the time before, {heard} this time")
            }
            Self::Message(number, difference) => write!(formatter, "message {number}: {difference}"),
            Self::Unasked => formatter.write_str("octets that nothing asked for"),
        }
    }
}

#[cfg(test)]
mod tests;

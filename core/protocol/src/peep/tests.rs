//! Dialogues: what an administrator says, what is heard, with a small server behind the session.

mod commands;
mod grammar;
mod talking;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::engine::Engine;

/// What stands behind a session: enough to answer every command, and each of its errors.
struct Model {
    users: BTreeMap<String, String>,
    connections: u64,
    timeout: u64,
    mailbox: String,
    chain: Vec<String>,
    level: String,
    /// What else was asked for.
    done: Vec<Command>,
}

const RANGES: Ranges = Ranges { connections: 1..=998, timeout: 0..=86_400 };

impl Model {
    fn new() -> Self {
        Self {
            users: [("ann", "one"), ("bob", "two")]
                .map(|(user, password)| (user.into(), password.into()))
                .into(),
            connections: 998,
            timeout: 600,
            mailbox: "/var/mail".into(),
            chain: vec!["first".into()],
            level: "info".into(),
            done: Vec::new(),
        }
    }

    fn answer(&mut self, action: Action) -> Answer {
        match action {
            Action::Authenticate { user, password, .. } => {
                Answer::Authenticated((user.octets(), password.octets()) == (b"root", b"pass"))
            }
            Action::Ranges => Answer::Ranges(RANGES),
            Action::Do(command) => Answer::Done(self.reply(command)),
            Action::Close => unreachable!("has no answer"),
        }
    }

    fn reply(&mut self, command: Command) -> Result<Reply, Failure> {
        match command {
            Command::AddUser { user, password } => match self.users.get(text(&user)) {
                Some(_) => Err(Failure::UserExists),
                None => self.put(&user, &password),
            },
            Command::SetPassword { user, password } => {
                self.user(&user)?;
                self.put(&user, &password)
            }
            Command::RemoveUser { user } => {
                self.users.remove(text(&user)).map(|_| Reply::Done).ok_or(Failure::NoSuchUser)
            }
            Command::Users => Ok(Reply::Lines(self.users.keys().cloned().collect())),
            Command::SetConnections(count) if RANGES.connections.contains(&count) => {
                self.connections = count;
                Ok(Reply::Done)
            }
            Command::SetConnections(_) => Err(Failure::ConnectionsOutOfRange),
            Command::Connections => Ok(Reply::Integer(self.connections)),
            Command::SetMailbox { path } if text(&path).starts_with('/') => {
                self.mailbox = text(&path).to_string();
                Ok(Reply::Done)
            }
            Command::SetMailbox { .. } => Err(Failure::BadPath),
            Command::Mailbox => Ok(Reply::Text(self.mailbox.clone())),
            Command::SetTimeout(seconds) if RANGES.timeout.contains(&seconds) => {
                self.timeout = seconds;
                Ok(Reply::Done)
            }
            Command::SetTimeout(_) => Err(Failure::TimeoutOutOfRange),
            Command::Timeout => Ok(Reply::Integer(self.timeout)),
            other => self.further(other),
        }
    }

    fn further(&mut self, command: Command) -> Result<Reply, Failure> {
        self.done.push(command.clone());
        match command {
            Command::RetrievedOctets => Ok(Reply::Integer(1)),
            Command::RetrievedMessages => Ok(Reply::Integer(2)),
            Command::RemovedMessages => Ok(Reply::Integer(3)),
            Command::CurrentConnections => Ok(Reply::Integer(4)),
            Command::AllConnections => Ok(Reply::Integer(5)),
            Command::AllLogins => Ok(Reply::Integer(u64::MAX)),
            Command::CurrentUsers => Ok(Reply::Lines(Vec::new())),
            Command::Chain { user } => {
                user.as_ref().map_or(Ok(()), |user| self.user(user))?;
                Ok(Reply::Lines(self.chain.clone()))
            }
            Command::SetChain { chain, user } => {
                user.as_ref().map_or(Ok(()), |user| self.user(user))?;
                self.chain = text(&chain).split(',').map(String::from).collect();
                if self.chain.iter().any(|link| link == "nothing") {
                    Err(Failure::NoSuchTransform)
                } else {
                    Ok(Reply::Done)
                }
            }
            Command::Transforms => Ok(Reply::Lines(vec!["first process ready 1".into()])),
            Command::LoadTransform { .. } => Err(Failure::NotLoadable),
            Command::RemoveTransform { .. } => Err(Failure::TransformInUse),
            Command::ReloadTransform { .. } | Command::SetOption { .. } | Command::Reload => Ok(Reply::Done),
            Command::TransformStatistics { .. } => Ok(Reply::Lines(vec!["messages 1".into()])),
            Command::TransformError { .. } => Ok(Reply::Text(String::new())),
            Command::SetProgram { .. } => Err(Failure::NotPermitted),
            Command::Sessions => Ok(Reply::Lines(vec!["1 - 127.0.0.1:1 AUTHORIZATION 0 17".into()])),
            Command::Kick { session: 1 } => Ok(Reply::Done),
            Command::Kick { .. } => Err(Failure::NoSuchSession),
            Command::KickUser { user } => self.user(&user).map(|()| Reply::Integer(0)),
            Command::AppPasswords { user } => {
                self.user(&user).map(|()| Reply::Lines(vec!["phone 1780000000 -".into()]))
            }
            Command::AddAppPassword { name, .. } if text(&name) == "phone" => Err(Failure::AppPasswordExists),
            Command::AddAppPassword { user, .. } => {
                self.user(&user).map(|()| Reply::Text("abcd-efgh".into()))
            }
            Command::RemoveAppPassword { name, .. } if text(&name) == "phone" => Ok(Reply::Done),
            Command::RemoveAppPassword { .. } => Err(Failure::NoSuchAppPassword),
            Command::RefusedAddresses => Ok(Reply::Lines(vec!["192.0.2.7 600".into()])),
            Command::AdmitAddress { address } if text(&address) == "192.0.2.7" => Ok(Reply::Done),
            Command::AdmitAddress { .. } => Err(Failure::NotRefused),
            Command::Statistics => Ok(Reply::Lines(vec!["pop3d_logins_total{result=\"ok\"} 1".into()])),
            Command::LogLevel => Ok(Reply::Text(self.level.clone())),
            Command::SetLogLevel { level } if text(&level) == "debug" => Ok(Reply::Done),
            Command::SetLogLevel { .. } => Err(Failure::UnknownLevel),
            Command::Version => Ok(Reply::Text("1.2.3".into())),
            Command::Uptime => Ok(Reply::Integer(17)),
            answered => unreachable!("{answered:?} is answered above"),
        }
    }

    fn put(&mut self, user: &Argument, password: &Argument) -> Result<Reply, Failure> {
        self.users.insert(text(user).to_string(), text(password).to_string());
        Ok(Reply::Done)
    }

    fn user(&self, user: &Argument) -> Result<(), Failure> {
        self.users.get(text(user)).map(|_| ()).ok_or(Failure::NoSuchUser)
    }
}

fn text(argument: &Argument) -> &str {
    argument.text().unwrap_or("?")
}

/// A session with its model, and what was heard.
struct Dialogue {
    session: Session,
    model: Model,
    /// Sent and not taken.
    waiting: Vec<u8>,
    heard: Vec<u8>,
    /// Whether actions are answered as they come.
    is_answering: bool,
    asked: Vec<Action>,
    is_closed: bool,
}

impl Dialogue {
    fn with(session: Session) -> Self {
        Self {
            session,
            model: Model::new(),
            waiting: Vec::new(),
            heard: Vec::new(),
            is_answering: true,
            asked: Vec::new(),
            is_closed: false,
        }
    }

    fn in_authentication() -> Self {
        Self::with(Session::new())
    }

    fn authenticated() -> Self {
        Self::with(Session::authenticated())
    }

    fn says(&mut self, line: &str) -> &mut Self {
        self.sends(format!("{line}\r\n").as_bytes())
    }

    fn sends(&mut self, octets: &[u8]) -> &mut Self {
        self.waiting.extend_from_slice(octets);
        self.pump();
        self
    }

    fn pump(&mut self) {
        loop {
            let taken = self.session.handle_input(&self.waiting);
            self.waiting.drain(..taken);
            let mut has_moved = taken > 0;
            while let Some(action) = self.session.poll_action() {
                has_moved = true;
                match action {
                    Action::Close => self.is_closed = true,
                    action if self.is_answering => {
                        let answer = self.model.answer(action);
                        self.session.handle_answer(answer);
                    }
                    action => self.asked.push(action),
                }
            }
            let mut room = [0; 7];
            let count = self.session.poll_output(&mut room);
            self.heard.extend_from_slice(&room[..count]);
            if !has_moved && count == 0 {
                return;
            }
        }
    }

    /// Hears exactly these lines and nothing more.
    #[track_caller]
    fn hears(&mut self, lines: &[&str]) -> &mut Self {
        let expected: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let heard = core::mem::take(&mut self.heard);
        assert_eq!(String::from_utf8_lossy(&heard), expected);
        self
    }
}

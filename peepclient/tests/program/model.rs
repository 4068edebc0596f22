//! What the played server knows, and how it answers commands.

use std::collections::BTreeMap;

use pop3d_protocol::peep::{Argument, Command, Failure, Reply};

/// A server without mail: what PEEP can see of one.
pub(crate) struct Model {
    /// Users and their passwords.
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) connections: u64,
    pub(crate) timeout: u64,
    pub(crate) mailbox: String,
    /// `id user address state seconds octets`
    pub(crate) sessions: Vec<String>,
    /// Names.
    pub(crate) transforms: Vec<String>,
    pub(crate) chain: Vec<String>,
    pub(crate) log_level: String,
    pub(crate) program: String,
    /// How often statistics were asked for: they grow with it.
    pub(crate) polls: u64,
}

impl Default for Model {
    fn default() -> Self {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Self {
            users: [("alice", "one"), ("bob", "two")].map(|(name, word)| (name.into(), word.into())).into(),
            connections: 998,
            timeout: 600,
            mailbox: "/var/mail".into(),
            sessions: strings(&[
                "7 bob 192.0.2.1:50312 TRANSACTION 5 123456",
                "12 - [2001:db8::7]:40100 AUTHORIZATION 61 20",
                "13 alice 192.0.2.9:50313 TRANSACTION 2 7340032",
            ]),
            transforms: strings(&["banner", "redact"]),
            chain: strings(&["banner"]),
            log_level: "info".into(),
            program: String::new(),
            polls: 0,
        }
    }
}

fn text(argument: &Argument) -> String {
    String::from_utf8_lossy(argument.octets()).into_owned()
}

impl Model {
    /// Does a command.
    pub(crate) fn answer(&mut self, command: &Command) -> Result<Reply, Failure> {
        match command {
            Command::Users => Ok(Reply::Lines(self.users.keys().cloned().collect())),
            Command::SetConnections(number) if !(1..=998).contains(number) => {
                Err(Failure::ConnectionsOutOfRange)
            }
            Command::SetConnections(number) => Self::set(&mut self.connections, *number),
            Command::Connections => Ok(Reply::Integer(self.connections)),
            Command::SetMailbox { path } if !text(path).starts_with('/') => Err(Failure::BadPath),
            Command::SetMailbox { path } => Self::set(&mut self.mailbox, text(path)),
            Command::Mailbox => Ok(Reply::Text(self.mailbox.clone())),
            Command::SetTimeout(seconds) => Self::set(&mut self.timeout, *seconds),
            Command::Timeout => Ok(Reply::Integer(self.timeout)),
            Command::RetrievedOctets => {
                self.polls += 1;
                Ok(Reply::Integer(self.polls * 1_000_000))
            }
            Command::RetrievedMessages => Ok(Reply::Integer(42)),
            Command::RemovedMessages => Ok(Reply::Integer(3)),
            Command::CurrentConnections => Ok(Reply::Integer(self.sessions.len() as u64)),
            Command::CurrentUsers => Ok(Reply::Lines(vec!["alice".into(), "bob".into()])),
            Command::AllConnections => Ok(Reply::Integer(1000)),
            Command::AllLogins => Ok(Reply::Integer(900)),
            Command::Sessions => Ok(Reply::Lines(self.sessions.clone())),
            Command::Kick { session } => {
                let prefix = format!("{session} ");
                let before = self.sessions.len();
                self.sessions.retain(|line| !line.starts_with(&prefix));
                if self.sessions.len() < before { Ok(Reply::Done) } else { Err(Failure::NoSuchSession) }
            }
            Command::RefusedAddresses => {
                Ok(Reply::Lines(vec!["192.0.2.7 412".into(), "2001:db8:: 598".into()]))
            }
            Command::AdmitAddress { address } if text(address) == "192.0.2.7" => Ok(Reply::Done),
            Command::AdmitAddress { .. } => Err(Failure::NotRefused),
            Command::LogLevel => Ok(Reply::Text(self.log_level.clone())),
            Command::SetLogLevel { level } => Self::set(&mut self.log_level, text(level)),
            Command::Reload => Err(Failure::NotTaken),
            Command::Version => Ok(Reply::Text("0.1.0".into())),
            Command::Uptime => Ok(Reply::Integer(90_061)),
            Command::Statistics => Ok(Reply::Lines(vec![
                "pop3d_connections 3".into(),
                "pop3d_replies_total{kind=\"+OK x\"} 1000".into(),
            ])),
            Command::Chain { .. }
            | Command::SetChain { .. }
            | Command::Transforms
            | Command::LoadTransform { .. }
            | Command::RemoveTransform { .. }
            | Command::ReloadTransform { .. }
            | Command::SetOption { .. }
            | Command::TransformStatistics { .. }
            | Command::TransformError { .. }
            | Command::SetProgram { .. } => self.answer_of_transforms(command),
            Command::AddUser { .. }
            | Command::SetPassword { .. }
            | Command::RemoveUser { .. }
            | Command::KickUser { .. }
            | Command::AppPasswords { .. }
            | Command::AddAppPassword { .. }
            | Command::RemoveAppPassword { .. } => self.answer_of_users(command),
        }
    }

    fn answer_of_users(&mut self, command: &Command) -> Result<Reply, Failure> {
        match command {
            Command::AddUser { user, password } => {
                if self.users.contains_key(&text(user)) {
                    return Err(Failure::UserExists);
                }
                self.users.insert(text(user), text(password));
                Ok(Reply::Done)
            }
            Command::SetPassword { user, password } => {
                let known = self.users.get_mut(&text(user)).ok_or(Failure::NoSuchUser)?;
                *known = text(password);
                Ok(Reply::Done)
            }
            Command::RemoveUser { user } => {
                self.users.remove(&text(user)).map(|_| Reply::Done).ok_or(Failure::NoSuchUser)
            }
            Command::KickUser { user } if !self.users.contains_key(&text(user)) => Err(Failure::NoSuchUser),
            Command::KickUser { .. } => Ok(Reply::Integer(2)),
            Command::AppPasswords { user } if !self.users.contains_key(&text(user)) => {
                Err(Failure::NoSuchUser)
            }
            Command::AppPasswords { .. } => Ok(Reply::Lines(vec!["phone 1780000000 -".into()])),
            Command::AddAppPassword { .. } => Ok(Reply::Text("abcd-efgh-jkmn-pqrs-tuvw-xyz2".into())),
            Command::RemoveAppPassword { .. } => Err(Failure::NoSuchAppPassword),
            _ => Err(Failure::UnknownCommand),
        }
    }

    fn answer_of_transforms(&mut self, command: &Command) -> Result<Reply, Failure> {
        match command {
            Command::Chain { .. } => Ok(Reply::Lines(self.chain.clone())),
            Command::SetChain { chain, .. } => {
                let chain = text(chain);
                let names: Vec<String> = match chain.as_str() {
                    "none" | "default" => Vec::new(),
                    names => names.split(',').map(str::to_owned).collect(),
                };
                if names.iter().any(|name| !self.transforms.contains(name)) {
                    return Err(Failure::NoSuchTransform);
                }
                Self::set(&mut self.chain, names)
            }
            Command::Transforms => {
                Ok(Reply::Lines(self.transforms.iter().map(|name| format!("{name} wasm ready 1")).collect()))
            }
            Command::LoadTransform { name, .. } => {
                self.transforms.push(text(name));
                Ok(Reply::Done)
            }
            Command::RemoveTransform { .. } => Err(Failure::TransformInUse),
            Command::TransformStatistics { name } => {
                self.known(name)?;
                let pairs = ["messages 12", "failed 1", "running 0", "p50_us 180", "p99_us 2300"];
                Ok(Reply::Lines(pairs.map(str::to_owned).to_vec()))
            }
            Command::TransformError { name } => {
                self.known(name)?;
                Ok(Reply::Text("out%20of%20fuel%0Aat%20push".into()))
            }
            Command::SetProgram { command } => Self::set(&mut self.program, text(command)),
            _ => Ok(Reply::Done),
        }
    }

    fn known(&self, name: &Argument) -> Result<(), Failure> {
        if self.transforms.contains(&text(name)) { Ok(()) } else { Err(Failure::NoSuchTransform) }
    }

    fn set<Value>(place: &mut Value, value: Value) -> Result<Reply, Failure> {
        *place = value;
        Ok(Reply::Done)
    }
}

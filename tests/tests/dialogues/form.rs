//! The form of a dialogue: a file becomes a list of steps.

use super::maildrop::Kind;
use super::text::Text;

/// The numbers of connections by PEEP begin behind this one.
pub(crate) const PEEP: usize = 1000;

/// A dialogue, ready to be played.
pub(crate) struct Dialogue {
    /// Its file, below the folder of dialogues.
    pub(crate) name: String,
    /// The forms of a maildrop it is played with.
    pub(crate) maildrops: Vec<Kind>,
    pub(crate) messages: Vec<Message>,
    pub(crate) folder: Folder,
    /// Further accounts, "name:password".
    pub(crate) users: Vec<String>,
    /// Whether it tells of what only our program does.
    is_of_ours: bool,
    /// Arguments for our program.
    pub(crate) options: Vec<String>,
    /// Lines of its configuration.
    pub(crate) config: String,
    /// Whether it begins in TRANSACTION.
    pub(crate) in_transaction: bool,
    /// Whether its administrator begins in AUTHENTICATED.
    pub(crate) is_authenticated: bool,
    pub(crate) steps: Vec<(usize, Step)>,
}

/// A message in a maildrop before the dialogue begins.
pub(crate) struct Message {
    /// Whose it is, where it is not that of the user of the dialogue.
    pub(crate) of: Option<String>,
    /// The name of its file, where it matters.
    pub(crate) name: Option<String>,
    pub(crate) octets: Vec<u8>,
}

/// What stands in the place of the folder of the user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Folder {
    Mail,
    None,
    File,
}

/// What happens in a dialogue. Connections are numbered from 1.
pub(crate) enum Step {
    Say {
        connection: usize,
        octets: Text,
        is_held: bool,
    },
    Hear {
        connection: usize,
        heard: Heard,
    },
    /// `C: <close>`.
    Close(usize),
    /// `C: <half-close>`.
    HalfClose(usize),
    /// `C: <tls>`.
    StartTls(usize),
    Deliver(Vec<u8>),
    Remove(usize),
    Obstruct(usize),
    Shorten(usize, u64),
    After(Vec<usize>),
}

/// What the server is to say.
pub(crate) enum Heard {
    /// A line, its CRLF left out.
    Line(Text),
    /// A status indicator, and whatever follows it on the line.
    Status(String),
    /// Octets as they are.
    Octets(Text),
    /// Lines up to the termination octet, in any order; none of the unwanted ones.
    Among {
        wanted: Vec<Text>,
        unwanted: Vec<Text>,
    },
    Closed,
    Reset,
}

impl Dialogue {
    /// Reads a dialogue; an error names its file and line.
    pub(crate) fn parse(name: &str, written: &str) -> Result<Self, String> {
        let mut dialogue = Self {
            name: name.to_owned(),
            maildrops: vec![Kind::Flat, Kind::Maildir],
            messages: Vec::new(),
            folder: Folder::Mail,
            users: Vec::new(),
            is_of_ours: false,
            options: Vec::new(),
            config: String::new(),
            in_transaction: false,
            is_authenticated: false,
            steps: Vec::new(),
        };
        for (index, line) in written.lines().enumerate() {
            dialogue.line(index + 1, line).map_err(|wrong| format!("{name}:{}: {wrong}", index + 1))?;
        }
        Ok(dialogue)
    }

    /// Whether an administrator says something, and whether a client of POP3 does.
    pub(crate) fn speakers(&self) -> (bool, bool) {
        let connections = || {
            self.steps.iter().filter_map(|(_, step)| match step {
                Step::Say { connection, .. } | Step::Hear { connection, .. } => Some(*connection),
                Step::Close(connection) | Step::HalfClose(connection) | Step::StartTls(connection) => {
                    Some(*connection)
                }
                _ => None,
            })
        };
        let is_peep = connections().any(|connection| connection > PEEP) || self.is_authenticated;
        (is_peep, connections().any(|connection| connection <= PEEP) || self.in_transaction)
    }

    /// Whether it needs what only our program has.
    pub(crate) fn is_for_ours_only(&self) -> bool {
        self.is_of_ours
            || self.folder != Folder::Mail
            || self.messages.iter().any(|message| message.name.is_some())
            || !self.users.is_empty()
            || !self.options.is_empty()
            || !self.config.is_empty()
    }

    fn line(&mut self, at: usize, line: &str) -> Result<(), String> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let signs: &[char] =
            if line.starts_with("message") { &[':'] } else { &[':', '|', '=', '+', '?', '!'] };
        let end = line.find(signs).ok_or("neither a header nor a step")?;
        let (key, sign) = (&line[..end], &line[end..=end]);
        let rest = &line[end + 1..];
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if let Some(connection) = connection(key, 'C') {
            return self.said(at, connection, sign, rest);
        }
        if let Some(connection) = connection(key, 'S') {
            return self.heard(at, connection, sign, rest);
        }
        if let Some(connection) = connection(key, 'A') {
            return self.said(at, PEEP + connection, sign, rest);
        }
        if let Some(connection) = connection(key, 'P') {
            return self.heard(at, PEEP + connection, sign, rest);
        }
        match (key, sign) {
            ("deliver", ":") => self.steps.push((at, Step::Deliver(Text::parse(rest)?.plain()?))),
            ("remove", ":") => self.steps.push((at, Step::Remove(number(rest)?))),
            ("obstruct", ":") => self.steps.push((at, Step::Obstruct(number(rest)?))),
            ("shorten", ":") => {
                let (message, octets) = rest.split_once(' ').ok_or("write: number octets")?;
                self.steps.push((at, Step::Shorten(number(message)?, number(octets)? as u64)));
            }
            ("maildrop after", ":") => {
                let numbers = rest.split_whitespace().filter(|&word| word != "empty");
                self.steps.push((at, Step::After(numbers.map(number).collect::<Result<_, _>>()?)));
            }
            (_, ":") if self.steps.is_empty() => self.header(key, rest)?,
            _ => return Err(format!("\"{key}{sign}\" is not known here")),
        }
        Ok(())
    }

    fn header(&mut self, key: &str, rest: &str) -> Result<(), String> {
        match (key, rest) {
            ("maildrop", "flat") => self.maildrops = vec![Kind::Flat],
            ("maildrop", "maildir") => self.maildrops = vec![Kind::Maildir],
            ("maildrop", "none" | "file") => {
                self.maildrops = vec![Kind::Maildir];
                self.folder = if rest == "none" { Folder::None } else { Folder::File };
            }
            ("message", _) => self.message(None, None, rest)?,
            ("user", _) => self.users.push(rest.to_owned()),
            ("server", "ours") => self.is_of_ours = true,
            ("options", _) => self.options.extend(words(rest)),
            ("config", _) => self.config = format!("{}{rest}\n", self.config),
            ("state", "TRANSACTION") => self.in_transaction = true,
            ("state", "AUTHENTICATED") => self.is_authenticated = true,
            _ => match (key.strip_prefix("message of "), key.strip_prefix("message in ")) {
                (Some(user), _) => self.message(Some(user), None, rest)?,
                (None, Some(name)) => self.message(None, Some(name), rest)?,
                (None, None) => return Err(format!("\"{key}: {rest}\" is no header")),
            },
        }
        Ok(())
    }

    fn message(&mut self, of: Option<&str>, name: Option<&str>, written: &str) -> Result<(), String> {
        let octets = Text::parse(written)?.plain()?;
        self.messages.push(Message { of: of.map(str::to_owned), name: name.map(str::to_owned), octets });
        Ok(())
    }

    fn said(&mut self, at: usize, connection: usize, sign: &str, rest: &str) -> Result<(), String> {
        let line = || Text::parse(&format!("{rest}\\r\\n"));
        let step = match (sign, rest) {
            (":", "<close>") => Step::Close(connection),
            (":", "<half-close>") => Step::HalfClose(connection),
            (":", "<tls>") => Step::StartTls(connection),
            (":", _) => Step::Say { connection, octets: line()?, is_held: false },
            ("+", _) => Step::Say { connection, octets: line()?, is_held: true },
            ("|", _) => Step::Say { connection, octets: Text::parse(rest)?, is_held: false },
            _ => return Err(format!("\"C{sign}\" is not known")),
        };
        self.steps.push((at, step));
        Ok(())
    }

    fn heard(&mut self, at: usize, connection: usize, sign: &str, rest: &str) -> Result<(), String> {
        if let (
            "?" | "!",
            Some((_, Step::Hear { connection: before, heard: Heard::Among { wanted, unwanted } })),
        ) = (sign, self.steps.last_mut())
            && *before == connection
        {
            let list = if sign == "?" { wanted } else { unwanted };
            list.push(Text::parse(rest)?);
            return Ok(());
        }
        let heard = match (sign, rest) {
            (":", "<closed>") => Heard::Closed,
            (":", "<reset>") => Heard::Reset,
            (":", "+OK" | "-ERR") => Heard::Status(rest.to_owned()),
            (":", _) => Heard::Line(Text::parse(rest)?),
            ("=", _) => Heard::Octets(Text::parse(rest)?),
            ("?", _) => Heard::Among { wanted: vec![Text::parse(rest)?], unwanted: Vec::new() },
            ("!", _) => Heard::Among { wanted: Vec::new(), unwanted: vec![Text::parse(rest)?] },
            _ => return Err(format!("\"S{sign}\" is not known")),
        };
        self.steps.push((at, Step::Hear { connection, heard }));
        Ok(())
    }
}

/// The connection of "C", "S", "C2", "S2" and so on; "A" and "P" are an administrator and PEEP.
fn connection(key: &str, speaker: char) -> Option<usize> {
    match key.strip_prefix(speaker)? {
        "" => Some(1),
        number => number.parse().ok(),
    }
}

fn number(word: &str) -> Result<usize, String> {
    word.parse().map_err(|_| format!("\"{word}\" is no number"))
}

/// Words of a command line; spaces between apostrophes belong to the word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

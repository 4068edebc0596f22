//! The commands: the table of both halves, and how a line becomes a command.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::reply::Failure;

/// Longest commencement.
pub const COMMENCEMENT_MAX: usize = 8;

/// Longest argument.
pub const ARGUMENT_MAX: usize = 128;

/// Longest command: a commencement, two arguments with the spaces before them, CRLF.
pub const COMMAND_MAX: usize = COMMENCEMENT_MAX + 2 * (1 + ARGUMENT_MAX) + 2;

/// An argument: 1 to 128 octets without space, CR and LF. May be a password: zero-filled when dropped, and shown by
/// nothing.
#[derive(Clone, Eq, PartialEq)]
pub struct Argument(Box<[u8]>);

impl Argument {
    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The argument as text, where it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        core::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Argument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Argument")
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        self.0.fill(0);
        core::hint::black_box(&self.0);
    }
}

/// A command of an administrator who is AUTHENTICATED; `a`, `q` and `cap?` are the session's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// `u+`: a new user.
    AddUser {
        /// The user.
        user: Argument,
        /// The password.
        password: Argument,
    },
    /// `u-`: no more logins of a user.
    RemoveUser {
        /// The user.
        user: Argument,
    },
    /// `u?`
    Users,
    /// `u=`: another password.
    SetPassword {
        /// The user.
        user: Argument,
        /// The password.
        password: Argument,
    },
    /// `c=`; a number too large for the type is its greatest.
    SetConnections(u64),
    /// `c?`
    Connections,
    /// `m=`
    SetMailbox {
        /// The folder.
        path: Argument,
    },
    /// `m?`
    Mailbox,
    /// `t=`, in seconds, 0: none.
    SetTimeout(u64),
    /// `t?`
    Timeout,
    /// `rb?`
    RetrievedOctets,
    /// `re?`
    RetrievedMessages,
    /// `xe?`
    RemovedMessages,
    /// `cc?`
    CurrentConnections,
    /// `cu?`
    CurrentUsers,
    /// `hc?`
    AllConnections,
    /// `hu?`
    AllLogins,
    /// `tf?`: the chain in force, of all or of a user.
    Chain {
        /// Whose; none: everybody's.
        user: Option<Argument>,
    },
    /// `tf=`
    SetChain {
        /// Names joined by commas, "none" or "default".
        chain: Argument,
        /// Whose; none: everybody's.
        user: Option<Argument>,
    },
    /// `tfl?`
    Transforms,
    /// `tf+`
    LoadTransform {
        /// The name of a transform.
        name: Argument,
        /// A file of the transform folder.
        file: Argument,
    },
    /// `tf-`
    RemoveTransform {
        /// The name of a transform.
        name: Argument,
    },
    /// `tfr`; "*": all.
    ReloadTransform {
        /// The name of a transform.
        name: Argument,
    },
    /// `tfo=`; the option is `key:value`, with a key that is not empty.
    SetOption {
        /// The name of a transform.
        name: Argument,
        /// `key:value`.
        option: Argument,
    },
    /// `tfs?`
    TransformStatistics {
        /// The name of a transform.
        name: Argument,
    },
    /// `tfe?`
    TransformError {
        /// The name of a transform.
        name: Argument,
    },
    /// `tfx=`; percent-encoded.
    SetProgram {
        /// A command line, percent-encoded.
        command: Argument,
    },
    /// `s?`
    Sessions,
    /// `k`
    Kick {
        /// Its id.
        session: u64,
    },
    /// `ku`
    KickUser {
        /// The user.
        user: Argument,
    },
    /// `ua?`
    AppPasswords {
        /// Whose.
        user: Argument,
    },
    /// `ua+`: a new one, which the server makes.
    AddAppPassword {
        /// Whose.
        user: Argument,
        /// For what it is.
        name: Argument,
    },
    /// `ua-`
    RemoveAppPassword {
        /// Whose.
        user: Argument,
        /// For what it was.
        name: Argument,
    },
    /// `ban?`
    RefusedAddresses,
    /// `ban-`
    AdmitAddress {
        /// An IP address.
        address: Argument,
    },
    /// `st?`
    Statistics,
    /// `lg?`
    LogLevel,
    /// `lg=`
    SetLogLevel {
        /// Its name.
        level: Argument,
    },
    /// `cf`
    Reload,
    /// `v?`
    Version,
    /// `up?`
    Uptime,
}

/// What a positive reply holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// `+` alone.
    Nothing,
    /// `+` and a number.
    Integer,
    /// `+` and a text.
    Text,
    /// `+n` and n lines.
    Lines,
}

/// How a command is written and answered.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// What it begins with.
    pub commencement: &'static str,
    /// Least and most arguments; more are ignored.
    pub arguments: (usize, usize),
    /// What its positive reply holds.
    pub shape: Shape,
    /// Whether it is an addition of this project, which `cap?` lists.
    pub is_extension: bool,
}

impl Form {
    /// Whether the state allows the command.
    fn is_allowed(&self, is_authenticated: bool) -> bool {
        match self.commencement {
            "a" => !is_authenticated,
            "q" | "cap?" => true,
            _ => is_authenticated,
        }
    }
}

const fn published(commencement: &'static str, arguments: usize, shape: Shape) -> Form {
    Form { commencement, arguments: (arguments, arguments), shape, is_extension: false }
}

const fn added(commencement: &'static str, arguments: (usize, usize), shape: Shape) -> Form {
    Form { commencement, arguments, shape, is_extension: true }
}

/// Every command there is.
pub const COMMANDS: [Form; 44] = [
    published("a", 2, Shape::Nothing),
    published("q", 0, Shape::Nothing),
    published("cap?", 0, Shape::Lines),
    published("u+", 2, Shape::Nothing),
    published("u-", 1, Shape::Nothing),
    published("u?", 0, Shape::Lines),
    published("c=", 1, Shape::Nothing),
    published("c?", 0, Shape::Integer),
    published("m=", 1, Shape::Nothing),
    published("m?", 0, Shape::Text),
    published("t=", 1, Shape::Nothing),
    published("t?", 0, Shape::Integer),
    published("rb?", 0, Shape::Integer),
    published("re?", 0, Shape::Integer),
    published("xe?", 0, Shape::Integer),
    published("cc?", 0, Shape::Integer),
    published("cu?", 0, Shape::Lines),
    published("hc?", 0, Shape::Integer),
    published("hu?", 0, Shape::Integer),
    added("tf?", (0, 1), Shape::Lines),
    added("tf=", (1, 2), Shape::Nothing),
    added("tfl?", (0, 0), Shape::Lines),
    added("tf+", (2, 2), Shape::Nothing),
    added("tf-", (1, 1), Shape::Nothing),
    added("tfr", (1, 1), Shape::Nothing),
    added("tfo=", (2, 2), Shape::Nothing),
    added("tfs?", (1, 1), Shape::Lines),
    added("tfe?", (1, 1), Shape::Text),
    added("tfx=", (1, 1), Shape::Nothing),
    added("u=", (2, 2), Shape::Nothing),
    added("s?", (0, 0), Shape::Lines),
    added("k", (1, 1), Shape::Nothing),
    added("ku", (1, 1), Shape::Integer),
    added("ua?", (1, 1), Shape::Lines),
    added("ua+", (2, 2), Shape::Text),
    added("ua-", (2, 2), Shape::Nothing),
    added("ban?", (0, 0), Shape::Lines),
    added("ban-", (1, 1), Shape::Nothing),
    added("st?", (0, 0), Shape::Lines),
    added("lg?", (0, 0), Shape::Text),
    added("lg=", (1, 1), Shape::Nothing),
    added("cf", (0, 0), Shape::Nothing),
    added("v?", (0, 0), Shape::Text),
    added("up?", (0, 0), Shape::Integer),
];

/// What a command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    Authenticate { user: Argument, password: Argument },
    Capabilities,
    Quit,
    Other(Command),
}

/// The form of a command.
pub(super) fn form(commencement: &[u8]) -> Option<&'static Form> {
    COMMANDS.iter().find(|form| form.commencement.as_bytes() == commencement)
}

/// Reads a command line without its end.
///
/// # Errors
/// `UnknownCommand`, also for one that its state does not allow, before `BadSyntax`: what is unknown has no syntax.
pub(super) fn parse(line: &[u8], is_authenticated: bool) -> Result<Line, Failure> {
    let mut words = line.split(|&octet| octet == b' ');
    let form = words.next().and_then(form).filter(|form| form.is_allowed(is_authenticated));
    let form = form.ok_or(Failure::UnknownCommand)?;
    let mut arguments = Vec::new();
    for word in words {
        let argument = Argument::parse(word).ok_or(Failure::BadSyntax)?;
        // Those that are ignored have their form too.
        if arguments.len() < form.arguments.1 {
            arguments.push(argument);
        }
    }
    if arguments.len() < form.arguments.0 {
        return Err(Failure::BadSyntax);
    }
    let mut arguments = Arguments(arguments.into_iter());
    command(form.commencement, &mut arguments).ok_or(Failure::BadSyntax)
}

/// The arguments that a command has not taken.
struct Arguments(alloc::vec::IntoIter<Argument>);

impl Arguments {
    fn next(&mut self) -> Option<Argument> {
        self.0.next()
    }

    fn number(&mut self) -> Option<u64> {
        self.0.next().and_then(|argument| number(argument.octets()))
    }
}

fn command(commencement: &str, arguments: &mut Arguments) -> Option<Line> {
    Some(Line::Other(match commencement {
        "a" => return Some(Line::Authenticate { user: arguments.next()?, password: arguments.next()? }),
        "cap?" => return Some(Line::Capabilities),
        "q" => return Some(Line::Quit),
        "u+" => Command::AddUser { user: arguments.next()?, password: arguments.next()? },
        "u-" => Command::RemoveUser { user: arguments.next()? },
        "u?" => Command::Users,
        "u=" => Command::SetPassword { user: arguments.next()?, password: arguments.next()? },
        "c=" => Command::SetConnections(arguments.number()?),
        "c?" => Command::Connections,
        "m=" => Command::SetMailbox { path: arguments.next()? },
        "m?" => Command::Mailbox,
        "t=" => Command::SetTimeout(arguments.number()?),
        "t?" => Command::Timeout,
        "rb?" => Command::RetrievedOctets,
        "re?" => Command::RetrievedMessages,
        "xe?" => Command::RemovedMessages,
        "cc?" => Command::CurrentConnections,
        "cu?" => Command::CurrentUsers,
        "hc?" => Command::AllConnections,
        "hu?" => Command::AllLogins,
        "tf?" => Command::Chain { user: arguments.next() },
        "tf=" => Command::SetChain { chain: arguments.next()?, user: arguments.next() },
        "tfl?" => Command::Transforms,
        "tf+" => Command::LoadTransform { name: arguments.next()?, file: arguments.next()? },
        "tf-" => Command::RemoveTransform { name: arguments.next()? },
        "tfr" => Command::ReloadTransform { name: arguments.next()? },
        "tfo=" => {
            let (name, option) = (arguments.next()?, arguments.next()?);
            option.octets().iter().position(|&octet| octet == b':').filter(|&colon| colon > 0)?;
            Command::SetOption { name, option }
        }
        "tfs?" => Command::TransformStatistics { name: arguments.next()? },
        "tfe?" => Command::TransformError { name: arguments.next()? },
        "tfx=" => Command::SetProgram { command: arguments.next()? },
        "s?" => Command::Sessions,
        "k" => Command::Kick { session: arguments.number()? },
        "ku" => Command::KickUser { user: arguments.next()? },
        "ua?" => Command::AppPasswords { user: arguments.next()? },
        "ua+" => Command::AddAppPassword { user: arguments.next()?, name: arguments.next()? },
        "ua-" => Command::RemoveAppPassword { user: arguments.next()?, name: arguments.next()? },
        "ban?" => Command::RefusedAddresses,
        "ban-" => Command::AdmitAddress { address: arguments.next()? },
        "st?" => Command::Statistics,
        "lg?" => Command::LogLevel,
        "lg=" => Command::SetLogLevel { level: arguments.next()? },
        "cf" => Command::Reload,
        "v?" => Command::Version,
        "up?" => Command::Uptime,
        // A row of the table that nobody reads; a test looks for those.
        _ => return None,
    }))
}

impl Argument {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        let fits = (1..=ARGUMENT_MAX).contains(&word.len())
            && !word.iter().any(|&octet| matches!(octet, b' ' | b'\r' | b'\n' | 0));
        fits.then(|| Self(word.into()))
    }
}

/// Digits only; a number too large for the type is its greatest.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |number, octet| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

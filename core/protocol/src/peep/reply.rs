//! Replies: what a command came to.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Longest line of a reply, CRLF included.
pub const REPLY_LINE_MAX: usize = 512;

/// A positive reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// It is done.
    Done,
    /// A number.
    Integer(u64),
    /// One line.
    Text(String),
    /// Any number of lines.
    Lines(Vec<String>),
}

/// Why a command was not done: the codes of negative replies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Failure {
    /// No such command, or none of this state.
    UnknownCommand,
    /// Too few arguments, or a form that cannot be.
    BadSyntax,
    /// Wrong user or password of the administrator.
    WrongCredentials,
    /// There is such a user already.
    UserExists,
    /// There is no such user.
    NoSuchUser,
    /// A limit of connections that cannot be.
    ConnectionsOutOfRange,
    /// A mail folder that cannot be used.
    BadPath,
    /// A time that cannot be.
    TimeoutOutOfRange,
    /// There is no such session.
    NoSuchSession,
    /// There is no such level of the log.
    UnknownLevel,
    /// The configuration was not taken; the log says why.
    NotTaken,
    /// It cannot be kept over a restart, and was not done; the log says why.
    NotSaved,
    /// No login from that address is refused.
    NotRefused,
    /// There is no such app password.
    NoSuchAppPassword,
    /// There is an app password of that name.
    AppPasswordExists,
    /// The user has as many app passwords as there may be.
    TooManyAppPasswords,
    /// There is no such transform.
    NoSuchTransform,
    /// The transform cannot be loaded.
    NotLoadable,
    /// There is a transform of that name.
    NameInUse,
    /// A chain or a rule uses the transform.
    TransformInUse,
    /// The configuration does not permit it.
    NotPermitted,
    /// There is no such program.
    NoSuchProgram,
    /// A code that this version does not know, of another server.
    Other(u32),
}

/// Each failure that has a name, and its code.
const CODES: [(Failure, u32); 22] = [
    (Failure::UnknownCommand, 0),
    (Failure::BadSyntax, 1),
    (Failure::WrongCredentials, 2),
    (Failure::UserExists, 3),
    (Failure::NoSuchUser, 4),
    (Failure::ConnectionsOutOfRange, 5),
    (Failure::BadPath, 6),
    (Failure::TimeoutOutOfRange, 7),
    (Failure::NoSuchSession, 9),
    (Failure::UnknownLevel, 10),
    (Failure::NotTaken, 11),
    (Failure::NotSaved, 12),
    (Failure::NotRefused, 13),
    (Failure::NoSuchAppPassword, 14),
    (Failure::AppPasswordExists, 15),
    (Failure::TooManyAppPasswords, 16),
    (Failure::NoSuchTransform, 20),
    (Failure::NotLoadable, 21),
    (Failure::NameInUse, 22),
    (Failure::TransformInUse, 23),
    (Failure::NotPermitted, 24),
    (Failure::NoSuchProgram, 25),
];

impl Failure {
    /// The code that stands for it.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Other(code) => code,
            named => CODES.iter().find(|(failure, _)| *failure == named).map_or(u32::MAX, |(_, code)| *code),
        }
    }

    /// What a code stands for.
    #[must_use]
    pub fn of_code(code: u32) -> Self {
        CODES.iter().find(|(_, known)| *known == code).map_or(Self::Other(code), |(failure, _)| *failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownCommand => "the server does not know this command, or not in this state",
            Self::BadSyntax => "the server cannot read the command: an argument is missing or has a bad form",
            Self::WrongCredentials => "wrong user or password",
            Self::UserExists => "there is such a user already",
            Self::NoSuchUser => "there is no such user",
            Self::ConnectionsOutOfRange => "the server cannot hold that number of connections",
            Self::BadPath => "the server cannot use that folder",
            Self::TimeoutOutOfRange => "that time is out of range",
            Self::NoSuchSession => "there is no such session",
            Self::UnknownLevel => "there is no such level",
            Self::NotTaken => {
                "the configuration was not taken, and nothing changed; the server's log says why"
            }
            Self::NotSaved => "it cannot be kept over a restart and was not done; the server's log says why",
            Self::NotRefused => "that address is not refused",
            Self::NoSuchAppPassword => "the user has no app password of that name",
            Self::AppPasswordExists => "the user has an app password of that name already",
            Self::TooManyAppPasswords => "the user has as many app passwords as there may be",
            Self::NoSuchTransform => "there is no such transform",
            Self::NotLoadable => "the transform cannot be loaded; the server's log says why",
            Self::NameInUse => "there is a transform of that name already",
            Self::TransformInUse => "a chain or a rule uses the transform",
            Self::NotPermitted => "the configuration of the server does not permit it",
            Self::NoSuchProgram => "there is no such program",
            Self::Other(code) => return write!(formatter, "the server refused, with code {code}"),
        })
    }
}

impl core::error::Error for Failure {}

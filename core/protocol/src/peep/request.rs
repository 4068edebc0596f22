//! What a client sends: a command and its arguments as a line.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::command::{ARGUMENT_MAX, Argument, COMMAND_MAX, Shape, form};

/// A command that a client is to send.
#[derive(Clone)]
pub struct Request {
    /// With its CRLF. May hold a password.
    pub(super) line: Box<[u8]>,
    pub(super) shape: Shape,
}

/// Why something cannot be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestError {
    /// There is no such command.
    UnknownCommand,
    /// It needs more arguments.
    TooFewArguments,
    /// The protocol has no form for an argument that is empty.
    EmptyArgument,
    /// An argument has more than `ARGUMENT_MAX` octets.
    ArgumentTooLong,
    /// An argument has a space, or an octet that would end the line.
    ForbiddenOctet,
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCommand => formatter.write_str("there is no such command"),
            Self::TooFewArguments => formatter.write_str("an argument is missing"),
            Self::EmptyArgument => formatter.write_str("an argument cannot be empty"),
            Self::ArgumentTooLong => write!(formatter, "an argument has at most {ARGUMENT_MAX} octets"),
            Self::ForbiddenOctet => {
                formatter.write_str("an argument cannot have a space, a line end or NUL in it")
            }
        }
    }
}

impl core::error::Error for RequestError {}

impl Request {
    /// A command and its arguments, of which it takes as many as its form says.
    ///
    /// # Errors
    /// Where the protocol has no form for it.
    pub fn new(commencement: &str, arguments: &[&[u8]]) -> Result<Self, RequestError> {
        let form = form(commencement.as_bytes()).ok_or(RequestError::UnknownCommand)?;
        if arguments.len() < form.arguments.0 {
            return Err(RequestError::TooFewArguments);
        }
        let mut line = Vec::with_capacity(COMMAND_MAX);
        line.extend_from_slice(commencement.as_bytes());
        for argument in arguments.iter().take(form.arguments.1) {
            if argument.is_empty() {
                return Err(RequestError::EmptyArgument);
            }
            if argument.len() > ARGUMENT_MAX {
                return Err(RequestError::ArgumentTooLong);
            }
            let argument = Argument::parse(argument).ok_or(RequestError::ForbiddenOctet)?;
            line.push(b' ');
            line.extend_from_slice(argument.octets());
        }
        line.extend_from_slice(b"\r\n");
        Ok(Self { line: line.into(), shape: form.shape })
    }

    /// What a positive reply will hold.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The commencement alone: what follows may be a password.
        let commencement = self.line.split(|&octet| octet == b' ' || octet == b'\r').next();
        formatter.write_str(&String::from_utf8_lossy(commencement.unwrap_or_default()))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.line.fill(0);
        core::hint::black_box(&self.line);
    }
}

//! How the program ends: one sentence on standard error, and the exit statuses of sysexits.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use pop3d_protocol::text::one_line;

/// Why the program does not go on. Each has the status that scripts know from `sysexits.h`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// 0: what was asked for has been done; the text is for standard output.
    Done(String),
    /// 1: the server refused a command; that has been said already.
    Refused,
    /// 64, `EX_USAGE`: the command line is wrong.
    Usage(String),
    /// 65, `EX_DATAERR`: a line of standard input was no phrase; that has been said already.
    BadPhrase,
    /// 66, `EX_NOINPUT`: a file that is needed cannot be read.
    NoInput(String),
    /// 68, `EX_NOHOST`: there is no host of that name.
    NoHost(String),
    /// 69, `EX_UNAVAILABLE`: nobody answers there.
    Unavailable(String),
    /// 71, `EX_OSERR`: the system does not give what every program needs.
    System(String),
    /// 74, `EX_IOERR`: the connection was lost, or the answers cannot be written.
    Lost(String),
    /// 76, `EX_PROTOCOL`: what answers there is no PEEP server, or cannot show that it is the one that is meant.
    NotPeep(String),
    /// 77, `EX_NOPERM`: the server does not take this administrator.
    NotPermitted(String),
    /// 128 and the number of the signal that ended it.
    Signal(u8),
}

/// The exit statuses, and what each means.
pub const EXIT_STATUSES: [(&str, &str); 12] = [
    ("0", "every command was done"),
    ("1", "the server refused a command"),
    ("64", "the command line is wrong"),
    ("65", "a line of standard input is no command"),
    ("66", "a file that is named cannot be read"),
    ("68", "there is no host of that name"),
    ("69", "nobody answers there"),
    ("71", "the system does not give what every program needs"),
    ("74", "the connection was lost, or the answers cannot be written"),
    ("76", "what answers there is no PEEP server, or not the one that is meant"),
    ("77", "the server does not take this administrator"),
    ("128 + n", "signal n has ended the program"),
];

impl Exit {
    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Done(_) => 0,
            Self::Refused => 1,
            Self::Usage(_) => 64,
            Self::BadPhrase => 65,
            Self::NoInput(_) => 66,
            Self::NoHost(_) => 68,
            Self::Unavailable(_) => 69,
            Self::System(_) => 71,
            Self::Lost(_) => 74,
            Self::NotPeep(_) => 76,
            Self::NotPermitted(_) => 77,
            Self::Signal(number) => 128_u8.saturating_add(*number),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(text)
            | Self::Usage(text)
            | Self::NoInput(text)
            | Self::NoHost(text)
            | Self::Unavailable(text)
            | Self::System(text)
            | Self::Lost(text)
            | Self::NotPeep(text)
            | Self::NotPermitted(text) => formatter.write_str(text),
            Self::Refused | Self::BadPhrase | Self::Signal(_) => Ok(()),
        }
    }
}

/// Says why the program ends, on one line; the status for the system.
pub(crate) fn code(result: Result<(), Exit>) -> ExitCode {
    let Err(exit) = result else { return ExitCode::SUCCESS };
    let text = exit.to_string();
    // What cannot be said is said by the status: nobody may be reading.
    if matches!(exit, Exit::Done(_)) {
        let _ = writeln!(io::stdout(), "{}", text.trim_end());
    } else if !text.is_empty() {
        let _ = writeln!(io::stderr(), "peepclient: {}", one_line(&text));
    }
    ExitCode::from(exit.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_the_status_that_a_shell_gives_it() {
        assert_eq!(Exit::Signal(15).status(), 143);
    }
}

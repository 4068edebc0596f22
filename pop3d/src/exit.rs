//! How the program ends: one line on standard error, and the exit statuses of sysexits.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use pop3d_core::state::{KeptError, what_to_raise};
use pop3d_protocol::text::one_line;

/// Why the program does not go on. Each but one has the status that scripts and service managers know from `sysexits.h`.
#[derive(Debug)]
pub(crate) enum Exit {
    /// 0: what was asked for has been done; the text is for standard output.
    Done(String),
    /// 1: all was done, and a message of a trial failed, or a password is another.
    Failed(String),
    /// 64, `EX_USAGE`: the command line is wrong.
    Usage(String),
    /// 65, `EX_DATAERR`: what was given to read is wrong.
    Data(String),
    /// 66, `EX_NOINPUT`: a file or folder that is needed cannot be read.
    NoInput(String),
    /// 67, `EX_NOUSER`: there is no such user.
    NoUser(String),
    /// 69, `EX_UNAVAILABLE`: an address cannot be listened on.
    Unavailable(String),
    /// 71, `EX_OSERR`: the system does not give what every server needs.
    System(String),
    /// 73, `EX_CANTCREAT`: a file cannot be written.
    CannotCreate(String),
    /// 78, `EX_CONFIG`: the configuration is wrong.
    Config(String),
}

impl Exit {
    fn status(&self) -> u8 {
        match self {
            Self::Done(_) => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 64,
            Self::Data(_) => 65,
            Self::NoInput(_) => 66,
            Self::NoUser(_) => 67,
            Self::Unavailable(_) => 69,
            Self::System(_) => 71,
            Self::CannotCreate(_) => 73,
            Self::Config(_) => 78,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(text)
            | Self::Failed(text)
            | Self::Usage(text)
            | Self::Data(text)
            | Self::NoInput(text)
            | Self::NoUser(text)
            | Self::Unavailable(text)
            | Self::System(text)
            | Self::CannotCreate(text)
            | Self::Config(text) => formatter.write_str(text),
        }
    }
}

/// Says on one line what is not right and stops nothing, where there is no log.
pub(crate) fn warn(what: &str) {
    // Nobody may be reading.
    let _ = writeln!(io::stderr(), "pop3d: warning: {}", one_line(what));
}

/// What to do about a file or folder that cannot be read.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "let the server's user read it",
        io::ErrorKind::NotFound => "make it",
        _ => "put there what can be read",
    }
}

/// Says that something that is needed cannot be read, and what to do.
pub(crate) fn no_input(what: &str, error: &io::Error, advice: &str) -> Exit {
    match what_to_raise(error) {
        // Nothing may be wrong with it.
        Some(raise) => Exit::System(format!("{what}: {error}; {raise}")),
        None => Exit::NoInput(format!("{what}: {error}; {advice}")),
    }
}

/// Says that what is kept in the state folder cannot be used.
pub(crate) fn of_kept(error: &KeptError) -> Exit {
    let what = error.to_string();
    if error.is_want() { Exit::System(what) } else { Exit::Config(what) }
}

/// Why a file cannot be read or replaced, for who calls the program, and what to do.
pub(crate) fn of_file(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "call this as somebody who may replace it in its folder, such as root"
        }
        io::ErrorKind::NotFound => "name one that is there, or make its folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room; it is as it was",
        io::ErrorKind::ReadOnlyFilesystem => "have its folder writable; it is as it was",
        // It says so itself, or there is nothing to say.
        _ => return error.to_string(),
    };
    format!("{error}; {advice}")
}

/// Says why the program ends, on one line; the status for the system.
pub(crate) fn code(result: Result<(), Exit>) -> ExitCode {
    // What cannot be said is said by the status: nobody may be reading.
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit::Done(text)) => {
            let _ = writeln!(io::stdout(), "{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(exit) => {
            let _ = writeln!(io::stderr(), "pop3d: {}", one_line(&exit.to_string()));
            ExitCode::from(exit.status())
        }
    }
}

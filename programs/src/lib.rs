//! What pop3d and peepclient do alike: reading a command line, and finding the state folder. Not here: what their arguments
//! are, and how they end.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Command, FromArgMatches};

/// Why there is nothing to do by a command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotRead {
    /// It asks for help or the version: this is it.
    Asked(String),
    /// It is wrong: how, on one line.
    Wrong(String),
}

/// Reads a command line by its definition.
///
/// # Errors
/// Where it is wrong, and where it only asks for help or the version.
pub fn read<T: FromArgMatches>(
    definition: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<T, NotRead> {
    let read = definition
        .try_get_matches_from(arguments)
        .and_then(|mut matches| T::from_arg_matches_mut(&mut matches));
    read.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => NotRead::Asked(error.to_string()),
        _ => NotRead::Wrong(what_is_wrong(error)),
    })
}

/// What clap says on several lines, on one.
fn what_is_wrong(mut error: clap::Error) -> String {
    // Its advice would be a line of usage.
    error.remove(ContextKind::Usage);
    let text = error.to_string();
    let mut parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let said = parts.next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let tip =
        parts.find_map(|part| part.strip_prefix("tip: ").map(|tip| format!("; {tip}"))).unwrap_or_default();
    format!("{said}{tip}")
}

/// The state folder of a server that was told of no other; none: nothing says where a user's is.
#[must_use]
pub fn state_folder() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/pop3d"));
    }
    user_state().map(|folder| folder.join("pop3d"))
}

/// Where programs keep the state of a user.
#[must_use]
pub fn user_state() -> Option<PathBuf> {
    // The base directory specification: a relative path is to be ignored.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Eq, Parser, PartialEq)]
    #[command(name = "some", version = "1.2")]
    struct Arguments {
        #[arg(long)]
        address: Option<String>,
    }

    fn read_some(arguments: &[&str]) -> Result<Arguments, NotRead> {
        read(Arguments::command(), ["some"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn a_command_line_is_read_or_asks_for_help_or_is_wrong_on_one_line() {
        assert_eq!(read_some(&["--address", "x"]), Ok(Arguments { address: Some("x".to_owned()) }));
        assert_eq!(read_some(&["--version"]), Err(NotRead::Asked("some 1.2\n".to_owned())));
        assert!(matches!(read_some(&["--help"]), Err(NotRead::Asked(text)) if text.contains("--address")));
        for (arguments, said) in [
            (
                &["--addres", "x"][..],
                "unexpected argument '--addres' found; a similar argument exists: '--address'",
            ),
            (&["--address"], "a value is required for '--address <ADDRESS>' but none was supplied"),
        ] {
            assert_eq!(read_some(arguments), Err(NotRead::Wrong(said.to_owned())));
        }
    }
}

//! The command line. What it says wins over the configuration file.

use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;
use pop3d_core::accounts::UserName;

use crate::exit::Exit;

/// A POP3 server that can be programmed: each message can pass through transforms on its way out.
#[derive(Debug, Parser)]
#[command(name = "pop3d", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// An account; may be given several times. The password may contain ":". It can be seen in the list of
    /// processes: for more than a trial use the configuration file.
    #[arg(short, long = "user", value_name = "NAME:PASSWORD", value_parser = account)]
    pub(crate) users: Vec<Account>,

    /// The mail folder: the mail of a user is in the folder of that name in it, a Maildir or plain files.
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) mailbox: Option<PathBuf>,

    /// The port, on all addresses of this machine; 0 takes any that is free [default: 1110].
    #[arg(short, long, value_name = "PORT")]
    pub(crate) pop3_port: Option<u16>,

    /// A program that each message passes through, from its standard input to its standard output; may be given
    /// several times, which makes a chain. '': none.
    #[arg(short, long = "transform", value_name = "COMMAND")]
    pub(crate) transforms: Vec<String>,

    /// Seconds of silence after which a session is closed; 0: never [default: 600].
    #[arg(short = 'T', long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) timeout: Option<u64>,

    /// The configuration file.
    #[arg(short, long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,

    /// The folder for what outlives the process: indexes and locks [default: $XDG_STATE_HOME/pop3d, or
    /// /var/lib/pop3d as root].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,

    /// What is logged: error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<log::LevelFilter>,

    /// Reads the configuration, says what is wrong with it, and starts nothing.
    #[arg(long)]
    pub(crate) check: bool,
}

/// A name and a password of the command line. `Debug` shows no password.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) name: UserName,
    pub(crate) password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Account({})", self.name)
    }
}

impl Cli {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// Where it is wrong, and where it only asks for help or the version.
    pub(crate) fn read() -> Result<Self, Exit> {
        Self::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done(error.to_string()),
            _ => Exit::Usage(what_is_wrong(&error)),
        })
    }
}

/// What clap says on several lines, on one.
fn what_is_wrong(error: &clap::Error) -> String {
    let text = error.to_string();
    let said = text.split("\n\n").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{words}; 'pop3d --help' shows what is understood")
}

fn account(text: &str) -> Result<Account, String> {
    // Neither sentence repeats the text: it may hold a password.
    let (name, password) = text.split_once(':').ok_or("write it as name:password")?;
    let name = UserName::parse(name.as_bytes())
        .ok_or("a user name has 1 to 128 octets, no \"/\", no control character and no leading \".\"")?;
    Ok(Account { name, password: password.to_owned() })
}

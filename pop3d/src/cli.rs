//! The command line. What it says wins over the configuration file.

mod passwd;
mod transform;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory, Parser};
use pop3d_core::accounts::{NAME_RULE, Secret, UserName};
use pop3d_programs::NotRead;
use pop3d_protocol::peep::Request;

pub(crate) use self::passwd::Passwd;
pub(crate) use self::transform::{Bench, Chain, Check, List, Task, TransformTask};
use crate::exit::Exit;

/// A POP3 server that can be programmed: each message can pass through transforms on its way out.
#[derive(Debug, Parser)]
#[command(name = "pop3d", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What is done in place of serving.
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    /// An account; may be given several times. The password may contain ":". It can be seen in the list of
    /// processes: for more than a trial use the configuration file.
    #[arg(short, long = "user", value_name = "NAME:PASSWORD", value_parser = AccountParser)]
    pub(crate) users: Vec<Account>,

    /// The mail folder: the mail of a user is in the folder of that name in it, a Maildir or plain files.
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) mailbox: Option<PathBuf>,

    /// The port, on all addresses of this machine; 0 takes any that is free [default: 1110].
    #[arg(short, long, value_name = "PORT")]
    pub(crate) pop3_port: Option<u16>,

    /// The port of POP3 in TLS, on all addresses of this machine; 0 takes any that is free [default: 1995, where there is
    /// a certificate].
    #[arg(long, value_name = "PORT")]
    pub(crate) pop3s_port: Option<u16>,

    /// Makes a certificate that nobody vouches for, for a trial of TLS, where the configuration names none.
    #[arg(long)]
    pub(crate) tls_self_signed: bool,

    /// A program that each message passes through, from its standard input to its standard output; may be given
    /// several times, which makes a chain. '': none.
    #[arg(short, long = "transform", value_name = "COMMAND")]
    pub(crate) transforms: Vec<String>,

    /// Seconds of silence after which a session is closed; 0: never [default: 600].
    #[arg(short = 'T', long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) timeout: Option<u64>,

    /// The port of PEEP, the admin protocol, on the loopback addresses; 0 takes any that is free [default: 2110]. It
    /// is listened on only where there is an administrator.
    #[arg(short = 'P', long, value_name = "PORT")]
    pub(crate) peep_port: Option<u16>,

    /// An administrator for PEEP; may be given several times. As with --user, it can be seen in the list of processes.
    #[arg(short = 'a', long = "peep-admin", value_name = "NAME:PASSWORD", value_parser = AdministratorParser)]
    pub(crate) administrators: Vec<Account>,

    /// The configuration file.
    #[arg(short, long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,

    /// The folder for what outlives the process: accounts and settings that PEEP changed, statistics, indexes, locks,
    /// and PEEP's socket [default: $XDG_STATE_HOME/pop3d, or ~/.local/state/pop3d; /var/lib/pop3d as root].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,

    /// What is logged: off, error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) log_level: Option<log::LevelFilter>,

    /// Reads the configuration, says what is wrong with it, and starts nothing.
    #[arg(long)]
    pub(crate) check: bool,
}

/// A name and a password of the command line. `Debug` shows no password.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: UserName,
    pub(crate) password: Arc<Secret>,
}

impl Cli {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// Where it is wrong, and where it only asks for help or the version.
    pub(crate) fn read() -> Result<Self, Exit> {
        Self::from_arguments(std::env::args_os())
    }

    fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        pop3d_programs::read(Self::command(), arguments).map_err(|not_read| match not_read {
            NotRead::Asked(text) => Exit::Done(text),
            NotRead::Wrong(what) => Exit::Usage(format!("{what}; 'pop3d --help' shows what is understood")),
        })
    }
}

/// Reads `name:password`. The password may have any octets, and no error repeats it.
#[derive(Clone)]
struct AccountParser;

impl TypedValueParser for AccountParser {
    type Value = Account;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Account, clap::Error> {
        account("--user", value.as_bytes())
            .map_err(|what| clap::Error::raw(ErrorKind::ValueValidation, what).with_cmd(command))
    }
}

/// Reads `name:password` of somebody who can log in by PEEP.
#[derive(Clone)]
struct AdministratorParser;

impl TypedValueParser for AdministratorParser {
    type Value = Account;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Account, clap::Error> {
        account("--peep-admin", value.as_bytes())
            .and_then(|account| {
                let is_sayable =
                    is_argument(account.name.as_str().as_bytes()) && is_argument(account.password.octets());
                if is_sayable { Ok(account) } else { Err(format!("--peep-admin: {ADMINISTRATOR_RULE}")) }
            })
            .map_err(|what| clap::Error::raw(ErrorKind::ValueValidation, what).with_cmd(command))
    }
}

/// What an administrator's name and password must be, as a sentence for who wrote one that is none.
pub(crate) const ADMINISTRATOR_RULE: &str = "name and password of an administrator have 1 to 128 octets, and no space, and the name is one that a user may have: \
     no \"/\", no control character and no leading \".\"";

/// Whether PEEP has a form for it.
pub(crate) fn is_argument(octets: &[u8]) -> bool {
    Request::new("u-", &[octets]).is_ok()
}

/// What is said of a level of the log that there is not.
pub(crate) const LEVEL_RULE: &str = "a level is off, error, warn, info, debug or trace";

fn level(text: &str) -> Result<log::LevelFilter, &'static str> {
    text.parse().map_err(|_| LEVEL_RULE)
}

/// Splits at the first ":", so that the password may contain ":".
fn account(option: &str, octets: &[u8]) -> Result<Account, String> {
    let colon = octets.iter().position(|&octet| octet == b':');
    // Without ":" it may be the password alone: it is not repeated.
    let colon = colon.ok_or_else(|| format!("{option}: there is no \":\"; write it as name:password"))?;
    let (name, password) = (&octets[..colon], &octets[colon + 1..]);
    let name = UserName::parse(name)
        .ok_or_else(|| format!("{option}: \"{}\" is no user name; {NAME_RULE}", name.escape_ascii()))?;
    Ok(Account { name, password: Arc::new(Secret::new(password)) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn read(arguments: &[&str]) -> Result<Cli, Exit> {
        Cli::from_arguments(["pop3d"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn a_password_may_contain_anything() {
        let cli = read(&["-u", "user:pass:word ", "--user=other:"]).unwrap();
        let users: Vec<_> =
            cli.users.iter().map(|user| (user.name.as_str(), user.password.octets())).collect();
        assert_eq!(users, [("user", &b"pass:word "[..]), ("other", b"")]);
        let argument = OsString::from_vec(b"user:\xFF".to_vec());
        let cli = Cli::from_arguments(["pop3d".into(), "-u".into(), argument]).unwrap();
        assert_eq!(cli.users[0].password.octets(), b"\xFF");
    }

    #[test]
    fn neither_errors_nor_debug_show_a_password() {
        for wrong in ["secret", "a/b:secret", ".x:secret", ":secret", "a\nb:secret", "\u{7F}:secret"] {
            let said = read(&["-u", wrong]).unwrap_err().to_string();
            assert!(!said.contains("secret") && said.starts_with("--user: "), "{said}");
        }
        let said = read(&["-u", "a/b:secret"]).unwrap_err().to_string();
        assert!(said.contains("\"a/b\""), "{said}");
        let shown = format!("{:?}", read(&["-u", "user:secret"]).unwrap());
        assert!(shown.contains("user") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_is_wrong_stands_on_one_line_with_what_to_do() {
        for (arguments, said) in [
            (&["--verbos"][..], "unexpected argument '--verbos' found; "),
            (&["--mailbx", "x"], "a similar argument exists: '--mailbox'"),
            (&["-T", "86401"], "86401 is not in 0..=86400"),
            (&["-T", "-1"], "-1"),
            (&["-p", "65536"], "65536 is not in 0..=65535"),
            (&["-a", "root:pass word"], "no space"),
            (&["-P", "x"], "invalid value 'x'"),
            (&["-m"], "a value is required for '--mailbox <FOLDER>'"),
            (&["--log-level", "loud"], "'loud' for '--log-level <LEVEL>': a level is off, error, warn"),
            (&["-m", "a", "-m", "b"], "'--mailbox <FOLDER>' cannot be used multiple times"),
        ] {
            let text = read(arguments).unwrap_err().to_string();
            assert!(text.contains(said) && !text.contains('\n'), "{text}");
            assert!(text.ends_with("'pop3d --help' shows what is understood"), "{text}");
        }
    }
}

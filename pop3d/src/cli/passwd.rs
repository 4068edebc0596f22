//! The command line of `pop3d passwd`: accounts of an accounts file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgGroup, Args, Command};
use pop3d_core::accounts::file::{self, edit};
use pop3d_core::accounts::{NAME_RULE, Scheme, UserName};

/// `pop3d passwd`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).args(["config", "file"])))]
pub(crate) struct Passwd {
    /// Whose account.
    #[arg(value_name = "USER", value_parser = UserParser)]
    pub(crate) user: UserName,

    /// The configuration file; the accounts file that it names is changed.
    #[arg(short, long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,

    /// The accounts file; made where there is none.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Sets a further password, for a program, under a name; with --remove it is taken back.
    #[arg(long, value_name = "NAME", value_parser = app_name, conflicts_with = "verify")]
    pub(crate) app: Option<String>,

    /// Removes the account. The mail stays.
    #[arg(long, conflicts_with_all = ["verify", "stdin", "scheme"])]
    pub(crate) remove: bool,

    /// Changes nothing, and says whether the password is right: the status is 0 where it is, and 1 where it is not.
    #[arg(long, conflicts_with = "scheme")]
    pub(crate) verify: bool,

    /// Reads the password from the first line of standard input, and asks nobody.
    #[arg(long)]
    pub(crate) stdin: bool,

    /// How the password is kept. SCRAM-SHA-256: for logins by SCRAM, also.
    #[arg(long, value_name = "SCHEME", default_value = "ARGON2ID", value_parser = SchemeParser)]
    pub(crate) scheme: Scheme,
}

fn app_name(name: &str) -> Result<String, String> {
    if file::is_app_name(name) { Ok(name.to_owned()) } else { Err(file::APP_NAME_RULE.to_owned()) }
}

/// Reads a name that an accounts file has a form for.
#[derive(Clone)]
struct UserParser;

impl TypedValueParser for UserParser {
    type Value = UserName;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<UserName, clap::Error> {
        let user = UserName::parse(value.as_bytes()).ok_or_else(|| NAME_RULE.to_owned()).and_then(|user| {
            let rule = "in an accounts file a user name has no \":\" and does not begin with \"#\"";
            if edit::is_writable(&user) { Ok(user) } else { Err(rule.to_owned()) }
        });
        user.map_err(|what| {
            let what = format!("\"{}\" is no user name; {what}", value.as_bytes().escape_ascii());
            clap::Error::raw(ErrorKind::ValueValidation, what).with_cmd(command)
        })
    }
}

/// Reads the name of a scheme by which hashes are made.
#[derive(Clone)]
struct SchemeParser;

impl TypedValueParser for SchemeParser {
    type Value = Scheme;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Scheme, clap::Error> {
        let scheme = Scheme::parse(value.as_bytes()).filter(|scheme| scheme.is_made());
        scheme.ok_or_else(|| {
            let names: Vec<_> = Scheme::made().map(Scheme::as_str).collect();
            let what = format!("--scheme: one of {}", names.join(", "));
            clap::Error::raw(ErrorKind::ValueValidation, what).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Scheme::made().map(|scheme| PossibleValue::new(scheme.as_str()))))
    }
}

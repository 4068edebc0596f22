//! The command line: where the server is, who asks, and what is asked.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use pop3d_programs::{NotRead, state_folder};
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::link::{DEFAULT_PORT, DEFAULT_TLS_PORT, Target};
use crate::tls::{Fingerprint, Tls, Trust, fingerprint};

/// The long options that the published client writes with one dash, and those that go with them.
const SINGLE_DASH: [&str; 11] = [
    "address",
    "port",
    "user",
    "pass",
    "tls",
    "tls-ca",
    "tls-name",
    "tls-fingerprint",
    "tls-insecure",
    "tls-certificate",
    "tls-key",
];

/// The short options that take a value.
const SHORT_WITH_VALUE: [char; 4] = ['a', 'p', 'u', 's'];

/// The long ones.
const WITH_VALUE: [&str; 11] = [
    "--address",
    "--port",
    "--user",
    "--pass",
    "--password-file",
    "--socket",
    "--tls-ca",
    "--tls-name",
    "--tls-fingerprint",
    "--tls-certificate",
    "--tls-key",
];

/// Administers a running POP3 server by PEEP.
///
/// Without a command: a prompt, or, where standard input is no terminal, one command on each line of it. "top" is a
/// screen that shows what the server does. Without an address, a port and a user the server of this machine is asked,
/// by its Unix socket. -address, -port, -user, -pass and -tls… are understood with one dash too.
#[derive(Debug, Parser)]
#[command(name = "peepclient", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// The host of the server, by name or address [default: localhost].
    #[arg(short, long, value_name = "HOST", value_hint = clap::ValueHint::Hostname)]
    pub(crate) address: Option<String>,

    /// Its port [default: 2110, in TLS 2995].
    #[arg(short, long)]
    pub(crate) port: Option<u16>,

    /// The administrator.
    #[arg(short, long)]
    pub(crate) user: Option<String>,

    /// The administrator's password. It can be seen in the list of processes: better is a file, the environment
    /// (PEEP_PASSWORD), or to be asked.
    #[arg(long, value_name = "PASSWORD", allow_hyphen_values = true, conflicts_with = "password_file")]
    pass: Option<String>,

    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,

    /// The Unix socket of a server on this machine, for root and the user of the server
    /// [default: /var/lib/pop3d/peep.sock as root, else $XDG_STATE_HOME/pop3d/peep.sock].
    #[arg(short, long, value_name = "PATH", value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["address", "port", "user", "pass", "password_file", "tls", "tls_ca", "tls_name",
            "tls_fingerprint", "tls_insecure", "tls_certificate", "tls_key"])]
    socket: Option<PathBuf>,

    /// Connects in TLS. The server has to have a certificate of the host's name that an authority of this system
    /// vouches for; the options below ask for something else, and for TLS too.
    #[arg(long)]
    tls: bool,

    /// The file of the authorities that may vouch for the server, as PEM: those of the system count no more.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    tls_ca: Option<PathBuf>,

    /// The name that its certificate has to have, where that is not the host's.
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,

    /// The SHA-256 of its certificate: then no one has to vouch for it, and its name does not matter.
    #[arg(long, value_name = "SHA256", value_parser = fingerprint, conflicts_with_all = ["tls_ca", "tls_name"])]
    tls_fingerprint: Option<Fingerprint>,

    /// Takes any certificate. Whoever stands in between reads along, the password too: for trials only.
    #[arg(long, conflicts_with_all = ["tls_ca", "tls_name", "tls_fingerprint"])]
    tls_insecure: bool,

    /// The administrator's own certificate, as PEM, where the server asks for one.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    tls_certificate: Option<PathBuf>,

    /// Its key, as PEM [default: in the file of the certificate].
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Answers in JSON: one object or array for each command, each on one line.
    #[arg(short, long)]
    pub(crate) json: bool,

    /// "top", or a command such as "add user bob secret"; several with ";" between them.
    pub(crate) command: Vec<String>,
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
        pop3d_programs::read(definition(), normalised(arguments)).map_err(|not_read| match not_read {
            NotRead::Asked(text) => Exit::Done(text),
            NotRead::Wrong(what) => {
                Exit::Usage(format!("{what}; \"peepclient --help\" shows what is understood"))
            }
        })
    }

    /// Where the server is.
    pub(crate) fn target(&self) -> Result<Target, Exit> {
        let is_remote = self.address.is_some()
            || self.port.is_some()
            || self.user.is_some()
            || self.pass.is_some()
            || self.password_file.is_some()
            || self.is_tls();
        if is_remote {
            let host = self.address.as_deref().unwrap_or("localhost");
            // As in an address of the web.
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let tls = self.is_tls().then(|| self.tls());
            let default = if tls.is_some() { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
            return Ok(Target::Tcp { host: host.to_owned(), port: self.port.unwrap_or(default), tls });
        }
        let path = self.socket.clone().or_else(|| state_folder().map(|folder| folder.join("peep.sock")));
        path.map(Target::Socket).ok_or_else(|| {
            Exit::Usage(
                "neither HOME nor XDG_STATE_HOME says where the server is; use --socket or --address".into(),
            )
        })
    }

    /// Whether anything is said of TLS.
    fn is_tls(&self) -> bool {
        self.tls
            || self.tls_insecure
            || self.tls_ca.is_some()
            || self.tls_name.is_some()
            || self.tls_fingerprint.is_some()
            || self.tls_certificate.is_some()
    }

    fn tls(&self) -> Tls {
        let trust = match (&self.tls_ca, self.tls_fingerprint) {
            (Some(path), _) => Trust::Authorities(path.clone()),
            (None, Some(fingerprint)) => Trust::Fingerprint(fingerprint),
            (None, None) if self.tls_insecure => Trust::Anybody,
            (None, None) => Trust::System,
        };
        // They may be one file.
        let key = self.tls_key.as_ref().or(self.tls_certificate.as_ref());
        let own = self.tls_certificate.clone().zip(key.cloned());
        Tls { trust, name: self.tls_name.clone(), own }
    }

    /// Takes the password that the command line has.
    pub(crate) fn take_pass(&mut self) -> Option<Zeroizing<String>> {
        self.pass.take().map(Zeroizing::new)
    }
}

/// The definition of the command line, from which also the documents are made.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command().after_help("\"peepclient help\" lists the commands.")
}

/// The arguments, with two dashes where the published client has one.
fn normalised(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut normal: Vec<OsString> = arguments.next().into_iter().collect();
    while let Some(argument) = arguments.next() {
        let is_command = !argument.as_encoded_bytes().starts_with(b"-") || argument == "--";
        let argument = doubled(&argument).unwrap_or(argument);
        let has_value = argument.to_str().is_some_and(takes_next);
        if is_command && argument != "--" {
            // What follows is the command's, whatever it looks like.
            normal.push("--".into());
        }
        normal.push(argument);
        if has_value {
            normal.extend(arguments.next());
        }
        if is_command {
            normal.extend(arguments.by_ref());
        }
    }
    normal
}

/// Whether what follows an argument is its value, and no option. Short ones may stand together: the first that takes a value
/// has what is left of the argument, if anything is.
fn takes_next(argument: &str) -> bool {
    match argument.strip_prefix('-').filter(|letters| !letters.starts_with('-')) {
        Some(letters) => letters.find(SHORT_WITH_VALUE).is_some_and(|at| at + 1 == letters.len()),
        None => WITH_VALUE.contains(&argument),
    }
}

/// An option with one dash, written with two.
fn doubled(argument: &OsStr) -> Option<OsString> {
    let text = argument.to_str()?;
    let option = text.strip_prefix('-')?;
    let name = option.split('=').next()?;
    SINGLE_DASH.contains(&name).then(|| format!("--{option}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Cli, Exit> {
        Cli::from_arguments(["peepclient"].iter().chain(arguments).map(OsString::from))
    }

    fn tcp(host: &str, port: u16) -> Target {
        Target::Tcp { host: host.into(), port, tls: None }
    }

    #[test]
    fn short_options_may_stand_together() {
        for arguments in
            [&["-ju", "root", "users"][..], &["-juroot", "users"], &["-j", "-u", "root", "users"]]
        {
            let cli = read(arguments).unwrap();
            assert!(cli.json, "{arguments:?}");
            assert_eq!((cli.user.as_deref(), &cli.command[..]), (Some("root"), &["users".to_owned()][..]));
        }
    }

    #[test]
    fn each_option_of_tls_asks_for_tls_with_one_dash_or_two() {
        let tls = |arguments: &[&str]| match read(arguments).unwrap().target().unwrap() {
            Target::Tcp { host, port, tls: Some(tls) } => (host, port, tls),
            other => panic!("{other}"),
        };
        let plain = Tls { trust: Trust::System, name: None, own: None };
        assert_eq!(tls(&["-tls"]), ("localhost".to_owned(), 2995, plain.clone()));
        let (host, port, found) =
            tls(&["-a", "h", "-port", "1", "-tls-ca", "x.pem", "--tls-name=mail.example"]);
        assert_eq!((host.as_str(), port, found.trust), ("h", 1, Trust::Authorities("x.pem".into())));
        assert_eq!(found.name.as_deref(), Some("mail.example"));
        assert_eq!(tls(&["-tls-insecure"]).2.trust, Trust::Anybody);
        let pinned = tls(&["--tls-fingerprint", &"ab".repeat(32)]).2.trust;
        assert_eq!(pinned, Trust::Fingerprint([0xAB; 32]));
        let own = tls(&["-tls-certificate", "me.pem"]).2.own;
        assert_eq!(own, Some(("me.pem".into(), "me.pem".into())));
        assert!(read(&["--tls-insecure", "--tls-ca", "x"]).is_err());
        assert!(read(&["--tls-key", "x"]).is_err());
        assert!(read(&["--socket", "/x", "-tls"]).is_err());
        let said = read(&["--tls-fingerprint", "1234"]).unwrap_err().to_string();
        assert!(said.contains("64 hexadecimal digits"), "{said}");
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        for arguments in [
            &["-address", "host", "-port", "2111", "-user", "root", "-pass", "-user"][..],
            &["--address", "host", "--port", "2111", "--user", "root", "--pass", "-user"],
            &["-address=host", "-port=2111", "-user=root", "-pass=-user"],
            &["-a", "host", "-p2111", "-u", "root", "--pass=-user"],
        ] {
            let mut cli = read(arguments).unwrap();
            assert_eq!(cli.target().unwrap(), tcp("host", 2111), "{arguments:?}");
            assert_eq!(cli.user.as_deref(), Some("root"));
            assert_eq!(cli.take_pass().unwrap().as_str(), "-user");
        }
    }

    #[test]
    fn what_follows_the_command_is_its_own() {
        let cli = read(&["-j", "set", "program", "cut", "-pass", "--json"]).unwrap();
        assert_eq!(cli.command, ["set", "program", "cut", "-pass", "--json"]);
    }

    #[test]
    fn an_address_has_defaults_and_without_one_there_is_the_socket() {
        assert_eq!(read(&["-u", "root"]).unwrap().target().unwrap(), tcp("localhost", 2110));
        assert_eq!(read(&["-port", "1"]).unwrap().target().unwrap(), tcp("localhost", 1));
        assert_eq!(read(&["-address", "[::1]"]).unwrap().target().unwrap(), tcp("::1", 2110));
        assert_eq!(read(&["-s", "/x"]).unwrap().target().unwrap(), Target::Socket("/x".into()));
        assert!(
            matches!(read(&[]).unwrap().target(), Ok(Target::Socket(path)) if path.ends_with("pop3d/peep.sock"))
        );
    }

    #[test]
    fn what_is_wrong_stands_on_one_line_with_what_to_do() {
        for (arguments, said) in [
            (&["--addres", "x"][..], "a similar argument exists: '--address'"),
            (&["-port", "x"], "invalid value 'x' for '--port <PORT>'"),
            (&["--socket", "/x", "-user", "root"], "'--socket <PATH>' cannot be used with"),
            (&["--pass", "x", "--password-file", "y"], "cannot be used with '--password-file <FILE>'"),
        ] {
            let text = read(arguments).unwrap_err().to_string();
            assert!(text.contains(said) && !text.contains('\n'), "{text}");
            assert!(text.ends_with("\"peepclient --help\" shows what is understood"), "{text}");
        }
    }
}

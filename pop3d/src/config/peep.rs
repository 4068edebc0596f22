//! `[peep]`: who may administrate the server, and where.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pop3d_core::accounts::{Accounts, UserName, told_password};
use pop3d_core::admin::Bounds;
use serde::Deserialize;
use toml::Spanned;

use super::File;
use super::values::{Address, Password};
use crate::cli::{ADMINISTRATOR_RULE, Cli, is_argument};
use crate::exit::Exit;

/// The table as it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// TCP addresses.
    pub(crate) listen: Option<Spanned<Vec<Spanned<Address>>>>,
    /// TCP addresses where administrators begin with TLS.
    pub(crate) tls_listen: Option<Spanned<Vec<Spanned<Address>>>>,
    /// Whether who comes there has to have a certificate that `client_ca` in `[tls]` vouches for.
    pub(crate) require_certificate: Option<Spanned<bool>>,
    /// The Unix socket.
    pub(crate) socket: Option<PathBuf>,
    /// Administrators at once, by TCP and by the socket, and how often one may be wrong.
    connections: Option<Spanned<usize>>,
    socket_connections: Option<Spanned<usize>>,
    failed_logins: Option<Spanned<usize>>,
    /// Administrators by name: a password, or `{SCHEME}secret`.
    #[serde(default)]
    admins: BTreeMap<Spanned<String>, Spanned<Password>>,
    /// Whether `tf+` and `tfr` are permitted.
    #[serde(default = "yes")]
    pub(crate) transform_load: bool,
    /// Whether `tfx=` is permitted.
    #[serde(default)]
    pub(crate) transform_exec: bool,
}

fn yes() -> bool {
    true
}

impl Default for Table {
    fn default() -> Self {
        Self {
            listen: None,
            tls_listen: None,
            require_certificate: None,
            socket: None,
            connections: None,
            socket_connections: None,
            failed_logins: None,
            admins: BTreeMap::new(),
            transform_load: true,
            transform_exec: false,
        }
    }
}

impl Table {
    /// Whether a password stands there in plain.
    pub(super) fn has_plain_passwords(&self) -> bool {
        self.admins.values().any(|password| password.as_ref().is_plain())
    }
}

/// Most administrators at once: each is looked at in every round.
const CONNECTIONS_MAX: usize = 1024;

/// Most wrong logins of one connection; the answer to the last is held back for some seconds, as that to the fifth.
const FAILED_LOGINS_MAX: usize = 100;

/// How many administrators there may be, and how often each may be wrong.
///
/// # Errors
/// Where one cannot be, with line and column.
pub(crate) fn bounds(file: &File) -> Result<Bounds, Exit> {
    let table = &file.config.peep;
    let within = |said: &Option<Spanned<usize>>, otherwise: usize, most: usize| {
        let Some(said) = said else { return Ok(otherwise) };
        let count = Some(*said.as_ref()).filter(|count| (1..=most).contains(count));
        count.ok_or_else(|| file.error(said.span(), &format!("at least 1, and at most {most}")))
    };
    let Bounds { connections, socket_connections, failed_logins } = Bounds::default();
    let failed_logins = usize::try_from(failed_logins).unwrap_or(FAILED_LOGINS_MAX);
    let failed_logins = within(&table.failed_logins, failed_logins, FAILED_LOGINS_MAX)?;
    Ok(Bounds {
        connections: within(&table.connections, connections, CONNECTIONS_MAX)?,
        socket_connections: within(&table.socket_connections, socket_connections, CONNECTIONS_MAX)?,
        failed_logins: u32::try_from(failed_logins).unwrap_or(u32::MAX),
    })
}

/// Who may administrate: those of the file and of the command line.
///
/// # Errors
/// Where one could never log in, with line and column.
pub(crate) fn administrators(cli: &Cli, file: &File) -> Result<Accounts, Exit> {
    let mut accounts = Accounts::new(false);
    for (name, secret) in &file.config.peep.admins {
        let user = UserName::parse(name.as_ref().as_bytes())
            .ok_or_else(|| file.error(name.span(), ADMINISTRATOR_RULE))?;
        if !is_argument(user.as_str().as_bytes()) {
            return Err(file.error(name.span(), ADMINISTRATOR_RULE));
        }
        let octets = secret.as_ref().0.octets();
        if octets.starts_with(b"{") {
            if told_password(octets).is_some_and(|password| !is_argument(password.octets())) {
                return Err(file.error(secret.span(), ADMINISTRATOR_RULE));
            }
            let added = accounts.add_stored(user, octets);
            added.map_err(|error| file.error(secret.span(), &error.to_string()))?;
        } else if is_argument(octets) {
            accounts.add(user, octets);
        } else {
            return Err(file.error(secret.span(), ADMINISTRATOR_RULE));
        }
    }
    for account in &cli.administrators {
        accounts.add(account.name.clone(), account.password.octets());
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn bounds_of(text: &str) -> Result<Bounds, String> {
        let file = File::parse(Path::new("pop3d.toml"), text.as_bytes());
        file.and_then(|file| bounds(&file)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_that_no_administrator_could_send_is_an_error() {
        let said = |secret: &str| {
            let text = format!("[peep.admins]\nroot = \"{secret}\"\n");
            let file = File::parse(Path::new("pop3d.toml"), text.as_bytes()).unwrap();
            let cli = <Cli as clap::Parser>::try_parse_from(["pop3d"]).unwrap();
            administrators(&cli, &file).map(drop).map_err(|error| error.to_string())
        };
        for wrong in ["pass word", "", "{PLAIN}pass word", "{PLAIN}", "{PLAIN.b64}cGFzcyB3b3Jk"] {
            let said = said(wrong).unwrap_err();
            assert!(said.starts_with("pop3d.toml:2:8: ") && said.contains(ADMINISTRATOR_RULE), "{said}");
        }
        for right in ["pass", "{PLAIN}pass", "{CLEAR.hex}70617373"] {
            assert_eq!(said(right), Ok(()));
        }
    }

    #[test]
    fn bounds_of_administrators_can_be_set_within_reason() {
        assert_eq!(bounds_of(""), Ok(Bounds::default()));
        let said = bounds_of("[peep]\nconnections = 1\nsocket_connections = 2\nfailed_logins = 3\n");
        assert_eq!(said, Ok(Bounds { connections: 1, socket_connections: 2, failed_logins: 3 }));
        for (text, place, named) in [
            ("[peep]\nconnections = 0", "2:15", "at least 1, and at most 1024"),
            ("[peep]\nsocket_connections = 1025", "2:22", "at most 1024"),
            ("[peep]\nfailed_logins = 101", "2:17", "at most 100"),
        ] {
            let said = bounds_of(text).unwrap_err();
            assert!(said.starts_with(&format!("pop3d.toml:{place}: ")) && said.contains(named), "{said}");
        }
    }
}

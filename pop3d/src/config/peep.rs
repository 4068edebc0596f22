//! `[peep]`: who may administrate the server, and where.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pop3d_core::accounts::{Accounts, NAME_RULE, UserName};
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

/// Who may administrate: those of the file and of the command line.
///
/// # Errors
/// Where one could never log in, with line and column.
pub(crate) fn administrators(cli: &Cli, file: &File) -> Result<Accounts, Exit> {
    let mut accounts = Accounts::new(false);
    for (name, secret) in &file.config.peep.admins {
        let user =
            UserName::parse(name.as_ref().as_bytes()).ok_or_else(|| file.error(name.span(), NAME_RULE))?;
        if !is_argument(user.as_str().as_bytes()) {
            return Err(file.error(name.span(), ADMINISTRATOR_RULE));
        }
        let octets = secret.as_ref().0.octets();
        if octets.starts_with(b"{") {
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

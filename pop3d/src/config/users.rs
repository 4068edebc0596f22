//! `[users]`: a password or a hash for each, or a table that switches something too.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use pop3d_core::accounts::file::{APP_NAME_RULE, APPS_MAX, is_app_name};
use pop3d_core::accounts::{Accounts, Switches, UserName};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use toml::Spanned;

use super::File;
use super::values::{NetText, Password};
use crate::exit::Exit;

/// An account of the configuration.
#[derive(Debug)]
pub(crate) struct User {
    password: Password,
    switches: Switches,
    apps: BTreeMap<Spanned<String>, Spanned<Password>>,
}

impl User {
    /// Whether its password stands there, not the hash of one.
    pub(super) fn is_plain(&self) -> bool {
        self.password.is_plain() || self.apps.values().any(|it| it.as_ref().is_plain())
    }

    /// Its passwords as they stand there, each with its place, and with its name where a program has it.
    pub(super) fn passwords(
        user: &Spanned<Self>,
    ) -> impl Iterator<Item = (Option<&str>, Range<usize>, &[u8])> {
        let own = (None, user.span(), user.as_ref().password.0.octets());
        let apps = user.as_ref().apps.iter();
        let apps = apps.map(|(app, it)| (Some(app.as_ref().as_str()), it.span(), it.as_ref().0.octets()));
        std::iter::once(own).chain(apps)
    }

    /// Adds it to the accounts, in place of one of that name.
    ///
    /// # Errors
    /// Where its secret is none, with its place.
    pub(crate) fn add_to(
        user: &Spanned<Self>,
        accounts: &mut Accounts,
        name: &UserName,
        file: &File,
    ) -> Result<(), Exit> {
        let Self { password, switches, apps } = user.as_ref();
        let octets = password.0.octets();
        if octets.starts_with(b"{") {
            let added = accounts.add_stored(name.clone(), octets);
            added.map_err(|error| file.error(user.span(), &error.to_string()))?;
        } else {
            accounts.add(name.clone(), octets);
        }
        accounts.switch(name, switches.clone());
        if apps.len() > APPS_MAX {
            return Err(file.error(user.span(), &format!("at most {APPS_MAX} app passwords")));
        }
        for (app, secret) in apps {
            if !is_app_name(app.as_ref()) {
                return Err(file.error(app.span(), APP_NAME_RULE));
            }
            let added = accounts.add_app(name, app.as_ref(), secret.as_ref().0.octets());
            added.map_err(|error| file.error(secret.span(), &error.to_string()))?;
        }
        Ok(())
    }
}

/// An account as a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    password: Password,
    #[serde(default)]
    disabled: bool,
    allow_nets: Option<Vec<NetText>>,
    #[serde(default = "yes")]
    delete: bool,
    #[serde(default)]
    app_passwords: BTreeMap<Spanned<String>, Spanned<Password>>,
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        // Every kind of value is met here, since the error for one that is not would repeat it.
        impl<'de> Visitor<'de> for Reader {
            type Value = User;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a password between quotes, or a table with one")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<User, E> {
                Ok(User {
                    password: Password::new(text),
                    switches: Switches::default(),
                    apps: BTreeMap::new(),
                })
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<User, E> {
                Err(E::invalid_type(Unexpected::Other("a number"), &self))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<User, E> {
                Err(E::invalid_type(Unexpected::Other("a number"), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<User, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                let nets = table.allow_nets.map(|nets| nets.into_iter().map(|net| net.0).collect());
                let switches = Switches { is_disabled: table.disabled, nets, may_not_delete: !table.delete };
                Ok(User { password: table.password, switches, apps: table.app_passwords })
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

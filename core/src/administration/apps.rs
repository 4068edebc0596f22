//! App passwords: made here, so that each is of one program alone, and taken back.

use log::error;
use pop3d_protocol::peep::{Argument, Failure};

use super::Administration;
use crate::accounts::file::{APPS_MAX, is_app_name};
use crate::accounts::{self, AppPassword, UserName, seconds_now};

impl Administration {
    /// Those of a user, a line each: name, when it was made, when it was used last.
    pub(super) fn app_passwords(&self, user: &Argument) -> Result<Vec<String>, Failure> {
        let apps = self.apps_of(&user_of(user)?)?;
        let shown =
            |seconds: Option<u64>| seconds.map_or_else(|| "-".to_owned(), |seconds| seconds.to_string());
        Ok(apps.iter().map(|app| format!("{} {} {}", app.name, shown(app.made), shown(app.used))).collect())
    }

    /// Makes one; the secret, which is told once and kept as a hash.
    pub(super) fn add_app_password(&self, user: &Argument, name: &Argument) -> Result<String, Failure> {
        let user = user_of(user)?;
        let name = name.text().filter(|name| is_app_name(name)).ok_or(Failure::BadSyntax)?;
        // Asked before so that a refusal costs no hash, and asked again once nobody else changes anything.
        self.check_new_app(&user, name)?;
        let secret = accounts::make_secret().ok_or_else(|| {
            error!(target: "pop3d::peep", "no app password can be made: the system gives no random octets");
            Failure::NotSaved
        })?;
        let hashed = accounts::hash(secret.as_bytes()).map_err(|error| {
            error!(target: "pop3d::peep", "an app password of {user} cannot be hashed: {error}");
            Failure::NotSaved
        })?;
        let mut state = self.lock();
        self.check_new_app(&user, name)?;
        let mut kept = state.kept.clone();
        let made = seconds_now();
        kept.apps.add(&user, name, made, &hashed);
        self.keep_apps(&kept)?;
        state.kept = kept;
        self.replace_accounts(|accounts| {
            let mut changed = accounts.clone();
            changed.add_made_app(&user, name, made, &hashed);
            changed
        });
        Ok(secret)
    }

    /// Takes one back: no new logins by it.
    pub(super) fn remove_app_password(&self, user: &Argument, name: &Argument) -> Result<(), Failure> {
        let user = user_of(user)?;
        let name = name.text().ok_or(Failure::NoSuchAppPassword)?;
        let mut state = self.lock();
        if !self.apps_of(&user)?.iter().any(|app| app.name == name) {
            return Err(Failure::NoSuchAppPassword);
        }
        let configured = self.view.load().accounts.app_passwords(&user).unwrap_or_default();
        let mut kept = state.kept.clone();
        kept.apps.remove(&user, name, configured.iter().any(|app| app.name == name));
        self.keep_apps(&kept)?;
        state.kept = kept;
        self.replace_accounts(|accounts| {
            let mut changed = accounts.clone();
            changed.remove_app(&user, name);
            changed
        });
        Ok(())
    }

    fn apps_of(&self, user: &UserName) -> Result<Vec<AppPassword>, Failure> {
        self.server.settings().accounts.app_passwords(user).ok_or(Failure::NoSuchUser)
    }

    fn check_new_app(&self, user: &UserName, name: &str) -> Result<(), Failure> {
        let apps = self.apps_of(user)?;
        if apps.iter().any(|app| app.name == name) {
            return Err(Failure::AppPasswordExists);
        }
        if apps.len() >= APPS_MAX { Err(Failure::TooManyAppPasswords) } else { Ok(()) }
    }
}

fn user_of(user: &Argument) -> Result<UserName, Failure> {
    UserName::parse(user.octets()).ok_or(Failure::NoSuchUser)
}

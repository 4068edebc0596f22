//! Changes of accounts.

use std::sync::Arc;

use log::{error, warn};
use pop3d_protocol::peep::{Argument, Failure};

use super::{Administration, Kept, State};
use crate::accounts::{self, Accounts, UserName};
use crate::settings::Settings;

impl Administration {
    pub(super) fn add_user(&self, user: &Argument, password: &Argument) -> Result<(), Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::BadSyntax)?;
        // Nobody could log in by it.
        if accounts::is_prohibited(user.as_str().as_bytes()) {
            return Err(Failure::BadSyntax);
        }
        let is_free = |accounts: &Accounts| !accounts.contains(&user);
        // Asked before so that a refusal costs no hash, and asked again once nobody else changes anything.
        self.require(is_free, Failure::UserExists)?;
        self.put_password(&user, password, true, |this| this.require(is_free, Failure::UserExists))
    }

    pub(super) fn set_password(&self, user: &Argument, password: &Argument) -> Result<(), Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::NoSuchUser)?;
        let is_there = |accounts: &Accounts| accounts.contains(&user);
        self.require(is_there, Failure::NoSuchUser)?;
        self.put_password(&user, password, false, |this| this.require(is_there, Failure::NoSuchUser))
    }

    pub(super) fn remove_user(&self, user: &Argument) -> Result<(), Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::NoSuchUser)?;
        let mut state = self.lock();
        self.require(|accounts| accounts.contains(&user), Failure::NoSuchUser)?;
        let mut kept = state.kept.clone();
        let configured = &self.view.load().accounts;
        kept.accounts.remove(&user, configured.contains(&user));
        // A user who is added anew must not be logged in to by what was given to programs of the one before.
        kept.apps.forget(&user);
        for app in configured.app_passwords(&user).unwrap_or_default() {
            kept.apps.remove(&user, &app.name, true);
        }
        self.keep_account(&state, &kept)?;
        state.kept = kept;
        self.note_override(&mut state, &user);
        self.replace_accounts(|accounts| accounts.without(&user));
        Ok(())
    }

    fn require(&self, is_so: impl Fn(&Accounts) -> bool, otherwise: Failure) -> Result<(), Failure> {
        if is_so(&self.server.settings().accounts) { Ok(()) } else { Err(otherwise) }
    }

    /// Keeps accounts and app passwords, both or none of them.
    fn keep_account(&self, state: &State, kept: &Kept) -> Result<(), Failure> {
        let has_other_apps = kept.apps != state.kept.apps;
        if has_other_apps {
            // First: without the account they are of no use to anybody.
            self.keep_apps(kept)?;
        }
        self.keep_accounts(kept).inspect_err(|_| {
            if has_other_apps {
                // Should that fail as well, it has been told.
                let _ = self.keep_apps(&state.kept);
            }
        })
    }

    /// Hashes a password, keeps it and lets it log in. `is_new`: as an account of which nothing is left of one before but
    /// what the configuration says of it.
    fn put_password(
        &self,
        user: &UserName,
        password: &Argument,
        is_new: bool,
        check: impl Fn(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // Nobody could log in by it.
        if accounts::is_prohibited(password.octets()) {
            return Err(Failure::BadSyntax);
        }
        let password = accounts::form_to_keep(password.octets());
        let hashed = accounts::hash(&password).map_err(|error| {
            error!(target: "pop3d::peep", "the password of {user} cannot be hashed: {error}");
            Failure::NotSaved
        })?;
        let mut state = self.lock();
        check(self)?;
        let mut kept = state.kept.clone();
        kept.accounts.add(user.clone(), &hashed);
        if is_new {
            kept.apps.forget(user);
        }
        self.keep_account(&state, &kept)?;
        state.kept = kept;
        self.note_override(&mut state, user);
        self.replace_accounts(|accounts| {
            if !is_new {
                return accounts.with(user.clone(), &hashed, &password);
            }
            // As the configuration would make it when it is read again.
            let mut changed = accounts.clone();
            changed.copy(user, &self.view.load().accounts);
            let mut changed = changed.with(user.clone(), &hashed, &password);
            state.kept.apps.apply_to(user, &mut changed);
            changed
        });
        Ok(())
    }

    /// The accounts alone are replaced: who logs in meanwhile costs nothing more than a hash that is known.
    pub(super) fn replace_accounts(&self, change: impl FnOnce(&Accounts) -> Accounts) {
        let mut settings = Settings::clone(&self.server.settings());
        settings.accounts = Arc::new(change(&settings.accounts));
        self.server.replace_settings(settings);
    }

    fn note_override(&self, state: &mut State, user: &UserName) {
        let is_of_command_line = self.view.load().command_line.iter().any(|(name, _)| name == user);
        if is_of_command_line && state.overridden.insert(user.clone()) {
            warn!(
                target: "pop3d::peep",
                "user {user} is given on the command line, which the next start will go by"
            );
        }
    }
}

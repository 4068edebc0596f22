//! Changes of accounts.

use std::sync::Arc;

use log::{error, warn};
use pop3d_protocol::peep::{Argument, Failure};

use super::{Administration, State};
use crate::accounts::{self, Accounts, UserName};
use crate::settings::Settings;

impl Administration {
    pub(super) fn add_user(&self, user: &Argument, password: &Argument) -> Result<(), Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::BadSyntax)?;
        let is_free = |accounts: &Accounts| !accounts.contains(&user);
        // Asked before so that a refusal costs no hash, and asked again once nobody else changes anything.
        self.require(is_free, Failure::UserExists)?;
        self.put_password(&user, password, |this| this.require(is_free, Failure::UserExists))
    }

    pub(super) fn set_password(&self, user: &Argument, password: &Argument) -> Result<(), Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::NoSuchUser)?;
        let is_there = |accounts: &Accounts| accounts.contains(&user);
        self.require(is_there, Failure::NoSuchUser)?;
        self.put_password(&user, password, |this| this.require(is_there, Failure::NoSuchUser))
    }

    pub(super) fn remove_user(&self, user: &Argument) -> Result<(), Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::NoSuchUser)?;
        let mut state = self.lock();
        self.require(|accounts| accounts.contains(&user), Failure::NoSuchUser)?;
        let mut kept = state.kept.clone();
        kept.accounts.remove(&user, self.view.load().accounts.contains(&user));
        self.keep_accounts(&kept)?;
        state.kept = kept;
        self.note_override(&mut state, &user);
        self.replace_accounts(|accounts| accounts.without(&user));
        Ok(())
    }

    fn require(&self, is_so: impl Fn(&Accounts) -> bool, otherwise: Failure) -> Result<(), Failure> {
        if is_so(&self.server.settings().accounts) { Ok(()) } else { Err(otherwise) }
    }

    /// Hashes a password, keeps it and lets it log in.
    fn put_password(
        &self,
        user: &UserName,
        password: &Argument,
        check: impl Fn(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let hashed = accounts::hash(password.octets()).map_err(|error| {
            error!(target: "pop3d::peep", "the password of {user} cannot be hashed: {error}");
            Failure::NotSaved
        })?;
        let mut state = self.lock();
        check(self)?;
        let mut kept = state.kept.clone();
        kept.accounts.add(user.clone(), &hashed);
        self.keep_accounts(&kept)?;
        state.kept = kept;
        self.note_override(&mut state, user);
        self.replace_accounts(|accounts| accounts.with(user.clone(), &hashed, password.octets()));
        Ok(())
    }

    /// The accounts alone are replaced: who logs in meanwhile costs nothing more than a hash that is known.
    fn replace_accounts(&self, change: impl FnOnce(&Accounts) -> Accounts) {
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

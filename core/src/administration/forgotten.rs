//! App passwords that go with their users.

use std::collections::BTreeSet;

use log::info;

use super::configured::{Configured, Kept};
use crate::accounts::{Accounts, UserName};

impl Configured {
    /// Forgets the app passwords of users who have no account, and tells who they are: but not by an accounts file that has
    /// nobody, which may have been read between its being emptied and being written, nor where there is nobody but who is on
    /// the command line, by which somebody tries the program.
    pub(super) fn forget_strangers(&self, kept: &mut Kept, accounts: &Accounts) -> BTreeSet<UserName> {
        let is_told = match &self.accounts_file {
            Some(_) => self.accounts.has_any_of_file(),
            None => !self.accounts.is_empty(),
        };
        if is_told { kept.apps.forget_strangers(accounts) } else { BTreeSet::new() }
    }
}

/// Says whose app passwords were forgotten with the account.
pub(super) fn tell_forgotten(users: &BTreeSet<UserName>) {
    for user in users {
        info!(target: "pop3d", "the app passwords that were made for user {user} are forgotten: there is no such account");
    }
}

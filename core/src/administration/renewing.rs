//! Weak hashes that are made anew once a login has told the password: those that PEEP has set, and those of the
//! accounts file.

use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};

use log::{info, warn};

use super::{Administration, State};
use crate::accounts::file::edit::Renewal;
use crate::accounts::{self, Hashed, Prepared, Secret, UserName};

/// Hashes that are to come into the accounts file. It is written as a whole, so that those that come while it is written
/// wait, and are written together.
#[derive(Default)]
pub(super) struct Renewals {
    waiting: Vec<(Renewal, Secret)>,
    writing: Writing,
}

/// Who writes the accounts file.
#[derive(Default)]
enum Writing {
    /// Nobody: the next one does.
    #[default]
    Nobody,
    /// Somebody, who looks for more afterwards.
    Somebody,
    /// It could not be written, and nobody tries until the configuration is read again.
    Failed,
}

impl Renewals {
    /// Tries again what failed.
    pub(super) fn try_again(&mut self) {
        match self.writing {
            Writing::Failed => self.writing = Writing::Nobody,
            Writing::Nobody | Writing::Somebody => {}
        }
    }
}

impl Administration {
    /// Has weak hashes made anew, from here on, where the settings say so.
    pub fn renew_hashes(self: &Arc<Self>) {
        let this = Arc::downgrade(self);
        self.server.set_renewer(Box::new(move |user, password| {
            if let Some(this) = this.upgrade() {
                this.renew(user, password);
            }
        }));
    }

    /// Makes the hash of an account anew. The password is one of the account's.
    fn renew(&self, user: &UserName, password: &[u8]) {
        if self.lock().kept.accounts.hashed(user).is_some() {
            self.renew_kept(user, password);
        } else {
            self.renew_in_file(user, password);
        }
    }

    /// Makes a hash anew that PEEP has set.
    fn renew_kept(&self, user: &UserName, password: &[u8]) {
        let weak =
            |state: &State| state.kept.accounts.hashed(user).filter(|hashed| hashed.is_weak()).cloned();
        // Let go of before the hash: it takes long.
        let before = weak(&self.lock());
        let Some(before) = before else { return };
        let Some(password) = form_of(&before, password) else { return };
        let Some(hashed) = hashed_anew(user, &password) else { return };
        let mut state = self.lock();
        // Meanwhile it may have been changed, or made anew by another login.
        if weak(&state).as_ref() != Some(&before) {
            return;
        }
        let mut kept = state.kept.clone();
        kept.accounts.add(user.clone(), &hashed);
        if self.keep_accounts(&kept).is_err() {
            return;
        }
        state.kept = kept;
        self.replace_accounts(|accounts| {
            let mut changed = accounts.clone();
            changed.renew(user, &hashed, &password);
            changed
        });
        info!(target: "pop3d::peep", "the password of {user} is kept by a stronger hash");
    }

    /// Makes a hash anew that stands in the accounts file.
    fn renew_in_file(&self, user: &UserName, password: &[u8]) {
        if matches!(self.renewals().writing, Writing::Failed) {
            return;
        }
        let accounts = Arc::clone(&self.server.settings().accounts);
        let Some(before) = accounts.weak_of_file(user).cloned() else { return };
        let Some(password) = form_of(&before, password) else { return };
        let Some(hashed) = hashed_anew(user, &password) else { return };
        let mut renewals = self.renewals();
        // One of each is enough, and bounds what waits.
        if renewals.waiting.iter().any(|(waiting, _)| waiting.user == *user) {
            return;
        }
        renewals.waiting.push((Renewal { user: user.clone(), before, hashed }, Secret::new(&password)));
        match renewals.writing {
            Writing::Nobody => renewals.writing = Writing::Somebody,
            Writing::Somebody => return,
            Writing::Failed => {
                renewals.waiting.clear();
                return;
            }
        }
        loop {
            let (batch, passwords): (Vec<_>, Vec<_>) = renewals.waiting.drain(..).unzip();
            if batch.is_empty() {
                renewals.writing = Writing::Nobody;
                return;
            }
            drop(renewals);
            let is_written = self.write_renewals(&batch, &passwords);
            renewals = self.renewals();
            if !is_written {
                renewals.waiting.clear();
                renewals.writing = Writing::Failed;
                return;
            }
        }
    }

    /// Writes hashes into the accounts file, and puts them in force; whether that could be. Those that are left out are made
    /// anew at another login.
    fn write_renewals(&self, renewals: &[Renewal], passwords: &[Secret]) -> bool {
        // A configuration that is read meanwhile would put those of before in force again.
        let _loading = match self.loading.try_lock() {
            Ok(loading) => loading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return true,
        };
        let view = self.view.load();
        let Some(file) = &view.accounts_file else { return true };
        let written = match self.host.renew_hashes(file, renewals) {
            Ok(written) => written,
            Err(what) => {
                warn!(
                    target: "pop3d::login",
                    "hashes of the accounts file stay as weak as they are until the configuration is read again: {what}"
                );
                return false;
            }
        };
        let _state = self.lock();
        self.replace_accounts(|accounts| {
            let mut changed = accounts.clone();
            for (renewal, password) in renewals.iter().zip(passwords) {
                let Renewal { user, before, hashed } = renewal;
                if written.contains(user) && changed.weak_of_file(user) == Some(before) {
                    changed.renew(user, hashed, password.octets());
                }
            }
            changed
        });
        for user in written {
            info!(target: "pop3d::login", "the password of {user} is kept by a stronger hash in {}", file.display());
        }
        true
    }

    pub(super) fn renewals(&self) -> MutexGuard<'_, Renewals> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The form in which a password is to be hashed anew; none: the hash is of another. Those of other servers may be of either form.
fn form_of<'a>(before: &Hashed, password: &'a [u8]) -> Option<Prepared<'a>> {
    if before.verify(password) {
        return Some(accounts::form_to_keep(password));
    }
    let prepared = accounts::prepared(password);
    (*prepared != *password && before.verify(&prepared)).then_some(prepared)
}

fn hashed_anew(user: &UserName, password: &[u8]) -> Option<Hashed> {
    let hashed = accounts::hash(password);
    let told = hashed.inspect_err(|error| {
        warn!(target: "pop3d::login", "the password of {user} cannot be hashed anew: {error}");
    });
    told.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "pässword", composed and not.
    const COMPOSED: &str = "{SSHA}0IWXldXFVZ7t3Labg0KrWqyxprtzYWx0c2FsdA==";
    const DECOMPOSED: &str = "{SSHA}/nrzpE09kj3iAvKJXUz/shDkwMBzYWx0c2FsdA==";

    #[test]
    fn a_hash_of_either_form_of_a_password_is_found_and_made_anew_of_the_composed_one() {
        let (composed, decomposed) = ("p\u{e4}ssword".as_bytes(), "pa\u{308}ssword".as_bytes());
        let form = |before: &str, password| {
            form_of(&Hashed::parse(before.as_bytes()).unwrap(), password).map(|form| form.to_vec())
        };
        assert_eq!(form(COMPOSED, composed).as_deref(), Some(composed));
        assert_eq!(form(COMPOSED, decomposed).as_deref(), Some(composed));
        assert_eq!(form(DECOMPOSED, decomposed).as_deref(), Some(composed));
        // Nor is it let in by that.
        assert_eq!(form(DECOMPOSED, composed), None);
        assert_eq!(form(COMPOSED, b"password"), None);
    }
}

//! App passwords: secrets that were given to programs, each under a name, and when each was used last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::scheme::Stored;
use super::{Accounts, Hashed, UserName};

/// Where an app password comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// Command line, configuration or accounts file.
    Configured,
    /// PEEP, so many seconds after 1970.
    Made(u64),
}

/// What is known of an app password.
#[derive(Debug)]
pub(super) struct AppFacts {
    name: Box<str>,
    origin: Origin,
    /// Seconds after 1970; 0: not as far as is known.
    used: AtomicU64,
}

/// What is told of an app password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppPassword {
    /// For what it is.
    pub name: String,
    /// When it was made, in seconds after 1970; none: the configuration has it.
    pub made: Option<u64>,
    /// When it was used last, in seconds after 1970; none: not as far as is known.
    pub used: Option<u64>,
}

/// Octets of a secret that is made here, before they are written: 120 bits, which nobody guesses.
const SECRET: usize = 24;
/// What it is written with: no two of these are taken for each other. Each stands for five bits.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Seconds after 1970.
pub(crate) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A secret that nobody has had before, in groups that can be read aloud; none: the system gives no random octets.
#[must_use]
pub fn make_secret() -> Option<String> {
    let mut random = [0; SECRET];
    getrandom::fill(&mut random).ok()?;
    let letters = random.iter().filter_map(|octet| LETTERS.get(usize::from(octet % 32)));
    let mut secret = String::with_capacity(SECRET + SECRET / 4);
    for (place, &letter) in letters.enumerate() {
        if place > 0 && place % 4 == 0 {
            secret.push('-');
        }
        secret.push(char::from(letter));
    }
    Some(secret)
}

impl AppFacts {
    pub(super) fn new(name: &str, origin: Origin) -> Self {
        Self { name: name.into(), origin, used: AtomicU64::new(0) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// It has let somebody in.
    pub(super) fn note_use(&self) {
        self.used.store(seconds_now(), Ordering::Relaxed);
    }

    /// It is the same as one that was there before.
    pub(super) fn inherit(&self, before: &Self) {
        self.used.fetch_max(before.used.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// It was used then, as an earlier process has seen. What was made since has not been.
    fn restore(&self, used: u64) {
        let is_older = matches!(self.origin, Origin::Made(made) if used < made);
        if !is_older {
            self.used.fetch_max(used, Ordering::Relaxed);
        }
    }

    fn told(&self) -> AppPassword {
        let made = match self.origin {
            Origin::Configured => None,
            Origin::Made(seconds) => Some(seconds),
        };
        let used = Some(self.used.load(Ordering::Relaxed)).filter(|&seconds| seconds > 0);
        AppPassword { name: self.name.to_string(), made, used }
    }
}

impl Accounts {
    /// The app passwords of a user, sorted by name; none: there is no such account.
    #[must_use]
    pub fn app_passwords(&self, user: &UserName) -> Option<Vec<AppPassword>> {
        let mut told: Vec<_> = self.accounts.get(user)?.apps().map(AppFacts::told).collect();
        told.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Some(told)
    }

    /// Each app password that was used, by its user and name, with when that was last, in seconds after 1970.
    pub(crate) fn app_uses(&self) -> impl Iterator<Item = (&UserName, &str, u64)> {
        let apps =
            self.accounts.iter().flat_map(|(user, account)| account.apps().map(move |app| (user, app)));
        apps.map(|(user, app)| (user, app.name(), app.used.load(Ordering::Relaxed))).filter(|it| it.2 > 0)
    }

    /// An app password was used then, as an earlier process has seen; nothing happens where there is none.
    pub(crate) fn restore_app_use(&self, user: &UserName, name: &str, used: u64) {
        let mut apps = self.accounts.get(user).into_iter().flat_map(|account| account.apps());
        if let Some(app) = apps.find(|app| app.name() == name) {
            app.restore(used);
        }
    }

    /// Adds an app password that was made at that time, in place of one of that name; nothing happens where there is no account.
    pub fn add_made_app(&mut self, user: &UserName, name: &str, made: u64, hashed: &Hashed) {
        if let Some(mut account) = self.accounts.get(user).cloned() {
            account.add(name, Origin::Made(made), Stored::hashed(hashed.clone()));
            self.insert(user.clone(), account);
        }
    }

    /// Takes an app password back; nothing happens where there is none.
    pub fn remove_app(&mut self, user: &UserName, name: &str) {
        if let Some(mut account) = self.accounts.get(user).cloned() {
            account.remove(name);
            self.insert(user.clone(), account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_once_and_can_be_read_aloud() {
        let (first, second) = (make_secret().unwrap(), make_secret().unwrap());
        assert_ne!(first, second);
        assert_eq!(first.len(), 29);
        assert!(
            first.split('-').all(|group| group.len() == 4 && group.bytes().all(|it| LETTERS.contains(&it)))
        );
    }
}

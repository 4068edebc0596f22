//! One account: its secrets, and what it may be used for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::apps::{AppFacts, Origin};
use super::code::Code;
use super::hashed::{Cost, Hashed};
use super::scheme::Stored;
use super::scram::{self, ITERATIONS, Keys};
use super::secret::Secret;
use super::switches::Switches;

/// Octets of the salt of keys that are made at login.
pub(super) const SALT: usize = 16;

/// What a failed login costs an account: each of its hashes.
pub(super) type Price = Box<[Cost]>;

/// What SCRAM shows of an account before a proof: the octets of its salt, and its rounds.
pub(super) type Look = (usize, u32);

/// What an account keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// The password, then those that were given to programs. Any of them lets in.
    secrets: Vec<Kept>,
    /// Another one, of no other account, once a secret lets in no more. Who was found right before that is not let in then.
    epoch: u64,
    /// Whether its password is the one of a line of the accounts file.
    is_of_file: bool,
    pub(super) switches: Switches,
}

/// The epoch of the account that is made next.
static NEXT_EPOCH: AtomicU64 = AtomicU64::new(0);

fn next_epoch() -> u64 {
    NEXT_EPOCH.fetch_add(1, Ordering::Relaxed)
}

/// A secret of an account.
#[derive(Clone, Debug)]
struct Kept {
    /// What is known of it where a program has it; none: it is the user's own.
    app: Option<Arc<AppFacts>>,
    stored: Arc<Stored>,
}

impl Account {
    pub(super) fn new(stored: Stored, switches: Switches) -> Self {
        let secrets = vec![Kept { app: None, stored: Arc::new(stored) }];
        Self { secrets, epoch: next_epoch(), is_of_file: false, switches }
    }

    /// That of a line of the accounts file.
    pub(super) fn of_line(stored: Stored, switches: Switches) -> Self {
        Self { is_of_file: true, ..Self::new(stored, switches) }
    }

    /// Adds a secret that a program has, in place of one of that name.
    pub(super) fn add(&mut self, name: &str, origin: Origin, stored: Stored) {
        self.remove(name);
        let app = Some(Arc::new(AppFacts::new(name, origin)));
        self.secrets.push(Kept { app, stored: Arc::new(stored) });
    }

    /// Takes a secret of that name from a program.
    pub(super) fn remove(&mut self, name: &str) {
        let before = self.secrets.len();
        self.secrets.retain(|kept| kept.app.as_ref().is_none_or(|app| app.name() != name));
        if self.secrets.len() < before {
            self.epoch = next_epoch();
        }
    }

    /// Whether each secret that let in then still does.
    pub(super) fn is_of_epoch(&self, before: &Self) -> bool {
        self.epoch == before.epoch
    }

    /// What is known of the secrets that programs have.
    pub(super) fn apps(&self) -> impl Iterator<Item = &AppFacts> {
        self.secrets.iter().filter_map(|kept| kept.app.as_deref())
    }

    fn stored(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.secrets.iter().map(|kept| &kept.stored)
    }

    /// The same with another password; what programs have, and what is switched, stays.
    pub(super) fn with(mut self, stored: Stored) -> Self {
        self.epoch = next_epoch();
        self.is_of_file = false;
        self.renewed(stored)
    }

    /// The same with another hash of the same password.
    pub(super) fn renewed(mut self, stored: Stored) -> Self {
        match self.secrets.first_mut() {
            Some(first) => first.stored = Arc::new(stored),
            None => self.secrets.push(Kept { app: None, stored: Arc::new(stored) }),
        }
        self
    }

    /// Whether one of its secrets is of the password, which `code` is the code of. `hashes` counts what it costs.
    pub(super) fn verify(&self, password: &[u8], code: &Code, now: Instant, hashes: &AtomicU64) -> bool {
        // Those that are remembered come first: they cost nothing.
        self.recognize(code, now) || self.uses(|stored| stored.verify(password, code, now, hashes))
    }

    /// Whether it is known already that one of its secrets is of the password with that code.
    pub(super) fn recognize(&self, code: &Code, now: Instant) -> bool {
        self.uses(|stored| stored.recognize(code, now))
    }

    /// Whether one of its secrets is right, which is used then.
    fn uses(&self, is_right: impl Fn(&Stored) -> bool) -> bool {
        let used = self.secrets.iter().find(|kept| is_right(&kept.stored));
        if let Some(app) = used.and_then(|kept| kept.app.as_ref()) {
            app.note_use();
        }
        used.is_some()
    }

    /// Whether it stands in the accounts file, and holds as it does there.
    pub(super) fn is_of_file(&self) -> bool {
        self.is_of_file
    }

    /// Whether its password is kept by a hash that is to be made anew.
    pub(super) fn is_weak(&self) -> bool {
        self.weak().is_some()
    }

    fn weak(&self) -> Option<&Hashed> {
        self.stored().next()?.hash().filter(|hashed| hashed.is_weak())
    }

    /// That hash, where a line of the accounts file has it.
    pub(super) fn weak_of_file(&self) -> Option<&Hashed> {
        self.weak().filter(|_| self.is_of_file)
    }

    /// How many of its passwords are kept by hashes that are guessed fast: its own, and those of programs.
    pub(super) fn guessed_fast(&self) -> (usize, usize) {
        let is_fast =
            |kept: &&Kept| kept.stored.hash().is_some_and(|hashed| hashed.scheme().is_guessed_fast());
        let (apps, own): (Vec<_>, Vec<_>) =
            self.secrets.iter().filter(is_fast).partition(|kept| kept.app.is_some());
        (own.len(), apps.len())
    }

    /// What a failed login costs.
    pub(super) fn price(&self) -> Price {
        self.stored().filter_map(|stored| stored.hash()).map(|hashed| hashed.cost().clone()).collect()
    }

    /// The secret itself, where it is kept.
    pub(super) fn plain(&self) -> Option<&Secret> {
        self.stored().find_map(|stored| stored.plain())
    }

    /// The keys of SCRAM, where they are kept.
    pub(super) fn keys(&self, hash: scram::Hash) -> Option<&Keys> {
        let keys = self.stored().filter_map(|stored| stored.hash()?.keys());
        keys.into_iter().find(|keys| keys.hash() == hash)
    }

    /// What SCRAM shows of it; none: it cannot be logged in to by SCRAM.
    pub(super) fn look(&self, hash: scram::Hash) -> Option<Look> {
        let keys = self.keys(hash).map(|keys| (keys.salt().len(), keys.iterations()));
        keys.or_else(|| self.plain().map(|_| (SALT, ITERATIONS)))
    }

    /// Takes over what is known of the same hashes.
    pub(super) fn inherit(&mut self, before: &Self, keeps_plain: bool) {
        if before.secrets.iter().all(|known| self.stored().any(|stored| stored.is_same(&known.stored))) {
            self.epoch = before.epoch;
        }
        for kept in &mut self.secrets {
            let hash = kept.stored.hash();
            let known = before.secrets.iter().find(|it| hash.is_some() && it.stored.hash() == hash);
            let Some(known) = known else { continue };
            if keeps_plain || known.stored.plain().is_none() {
                kept.stored = Arc::clone(&known.stored);
            }
            if let (Some(app), Some(before)) = (&kept.app, &known.app) {
                app.inherit(before);
            }
        }
    }
}

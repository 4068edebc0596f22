//! One account: its secrets, and what it may be used for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

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
    secrets: Vec<Arc<Stored>>,
    pub(super) switches: Switches,
}

impl Account {
    pub(super) fn new(stored: Stored, switches: Switches) -> Self {
        Self { secrets: vec![Arc::new(stored)], switches }
    }

    /// Adds a secret that a program has.
    pub(super) fn add(&mut self, stored: Stored) {
        self.secrets.push(Arc::new(stored));
    }

    /// The same with another password; what programs have, and what is switched, stays.
    pub(super) fn with(mut self, stored: Stored) -> Self {
        match self.secrets.first_mut() {
            Some(first) => *first = Arc::new(stored),
            None => self.add(stored),
        }
        self
    }

    /// Whether one of its secrets is of the password, which `code` is the code of. `hashes` counts what it costs.
    pub(super) fn verify(&self, password: &[u8], code: &Code, now: Instant, hashes: &AtomicU64) -> bool {
        // Those that are remembered come first: they cost nothing.
        self.recognize(code, now)
            || self.secrets.iter().any(|stored| stored.verify(password, code, now, hashes))
    }

    /// Whether it is known already that one of its secrets is of the password with that code.
    pub(super) fn recognize(&self, code: &Code, now: Instant) -> bool {
        self.secrets.iter().any(|stored| stored.recognize(code, now))
    }

    /// Whether its password is kept by a hash weaker than those that are made here.
    pub(super) fn is_weak(&self) -> bool {
        self.secrets.first().and_then(|stored| stored.hash()).is_some_and(Hashed::is_weak)
    }

    /// What a failed login costs.
    pub(super) fn price(&self) -> Price {
        self.secrets.iter().filter_map(|stored| stored.hash()).map(|hashed| hashed.cost().clone()).collect()
    }

    /// The secret itself, where it is kept.
    pub(super) fn plain(&self) -> Option<&Secret> {
        self.secrets.iter().find_map(|stored| stored.plain())
    }

    /// The keys of SCRAM, where they are kept.
    pub(super) fn keys(&self, hash: scram::Hash) -> Option<&Keys> {
        let keys = self.secrets.iter().filter_map(|stored| stored.hash()?.keys());
        keys.into_iter().find(|keys| keys.hash() == hash)
    }

    /// What SCRAM shows of it; none: it cannot be logged in to by SCRAM.
    pub(super) fn look(&self, hash: scram::Hash) -> Option<Look> {
        let keys = self.keys(hash).map(|keys| (keys.salt().len(), keys.iterations()));
        keys.or_else(|| self.plain().map(|_| (SALT, ITERATIONS)))
    }

    /// Takes over what is known of the same hashes.
    pub(super) fn inherit(&mut self, before: &Self, keeps_plain: bool) {
        for stored in &mut self.secrets {
            let known = before.secrets.iter().find(|it| it.hash().is_some() && it.hash() == stored.hash());
            if let Some(known) = known.filter(|known| keeps_plain || known.plain().is_none()) {
                *stored = Arc::clone(known);
            }
        }
    }
}

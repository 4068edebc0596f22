//! Who may log in.
//!
//! Verifying costs what the scheme costs: it is a job of the pool.

mod costs;
mod exchange;
pub mod file;
mod hashed;
mod scheme;
mod scram;
mod secret;
#[cfg(test)]
mod tests;
mod verified;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use argon2::Params;
use md5::{Digest, Md5};
use pop3d_protocol::pop3::Credentials;
use subtle::ConstantTimeEq;

use self::costs::Costs;
pub use self::exchange::{Exchange, Stepped};
use self::file::LineError;
pub use self::hashed::{Hashed, hash};
pub use self::scheme::SchemeError;
use self::scheme::{MemoryKey, Stored};
pub use self::secret::Secret;

/// A user name that may be part of a path: UTF-8, 1 to 128 octets, no "/", no control character, no leading ".".
/// Cheap to clone.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserName(Arc<str>);

/// Longest user name in octets.
pub const USER_NAME_MAX: usize = 128;

/// What a user name must be, as a sentence for who wrote one that is none.
pub const NAME_RULE: &str =
    "a user name has 1 to 128 octets of UTF-8, no \"/\", no control character and no leading \".\"";

impl UserName {
    /// Reads a user name; none where it could not be a folder's name.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(octets).ok()?;
        let fits = (1..=USER_NAME_MAX).contains(&name.len())
            && !name.starts_with('.')
            && !name.contains(|character: char| character == '/' || character.is_control());
        fits.then(|| Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The accounts of a server: a value that does not change while it is in use. [`Accounts::with`] and
/// [`Accounts::without`] make another one, which shares what both have.
///
/// A login that fails takes the same time whatever was wrong: always one code under the key of this process, and one
/// argon2 hash where any account has one. Where those differ in their costs, each name that has no hash is held
/// against the cost of one that does, always the same for the same name.
#[derive(Clone)]
pub struct Accounts {
    accounts: HashMap<UserName, Arc<Stored>>,
    key: &'static MemoryKey,
    /// Whether plain secrets are kept, which APOP needs.
    keeps_plain: bool,
    /// What the hashes of accounts cost.
    costs: Costs,
    /// How many hashes logins have cost, in these accounts and in those they were made from.
    hashes: Arc<AtomicU64>,
}

/// The credentials are not those of an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrongCredentials;

impl Default for Accounts {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Accounts {
    /// No accounts. `keeps_plain`: secrets that are told in plain are kept so, which APOP needs.
    ///
    /// # Panics
    /// Where the system gives no random octets: nothing could be kept safely.
    #[must_use]
    pub fn new(keeps_plain: bool) -> Self {
        let (accounts, costs) = (HashMap::new(), Costs::default());
        Self { accounts, key: MemoryKey::of_process(), keeps_plain, costs, hashes: Arc::default() }
    }

    /// Adds an account whose password is known, or replaces it. It lives in memory only.
    pub fn add(&mut self, user: UserName, password: &[u8]) {
        let stored = Stored::keyed(self.key, password, self.keeps_plain);
        self.insert(user, stored);
    }

    /// Adds an account whose secret is kept by a scheme, `{SCHEME}secret`, or replaces it.
    ///
    /// # Errors
    /// Where the scheme is not known, or the secret is not of that scheme.
    pub fn add_stored(&mut self, user: UserName, stored: &[u8]) -> Result<(), SchemeError> {
        let stored = Stored::parse(stored, self.key, self.keeps_plain)?;
        self.insert(user, stored);
        Ok(())
    }

    /// Adds the accounts of an accounts file.
    ///
    /// # Errors
    /// The number of the first line that is wrong, from 1, and what is wrong with it.
    pub fn add_file(&mut self, text: &[u8]) -> Result<(), (usize, LineError)> {
        let mut seen = HashSet::new();
        for (number, line) in (1..).zip(text.split(|&octet| octet == b'\n')) {
            let Some((user, stored)) = file::parse_line(line).map_err(|error| (number, error))? else {
                continue;
            };
            // One of two lines is forgotten; it may be the one with the old password.
            if !seen.insert(user.clone()) {
                return Err((number, LineError::Twice));
            }
            self.add_stored(user, stored).map_err(|error| (number, LineError::Secret(error)))?;
        }
        Ok(())
    }

    /// Adds an account of which only the hash is known, or replaces it.
    pub fn add_hashed(&mut self, user: UserName, hashed: &Hashed) {
        self.insert(user, Stored::hashed(hashed.clone()));
    }

    /// Removes an account; whether there was one.
    pub fn remove(&mut self, user: &UserName) -> bool {
        let removed = self.accounts.remove(user);
        if let Some(hashed) = removed.as_deref().and_then(Stored::hash) {
            self.costs.remove(hashed.params());
        }
        removed.is_some()
    }

    /// A copy with that account added, or replaced. The password, which the hash must be of, counts as verified, and
    /// is kept for APOP where that is offered.
    #[must_use]
    pub fn with(&self, user: UserName, hashed: &Hashed, password: &[u8]) -> Self {
        self.with_at(user, hashed, password, Instant::now())
    }

    fn with_at(&self, user: UserName, hashed: &Hashed, password: &[u8], now: Instant) -> Self {
        let mut changed = self.clone();
        changed.insert(user, Stored::told(hashed.clone(), self.key, password, self.keeps_plain, now));
        changed
    }

    /// A copy without that account. What is verified of the others stays so.
    #[must_use]
    pub fn without(&self, user: &UserName) -> Self {
        let mut changed = self.clone();
        changed.remove(user);
        changed
    }

    /// Takes over what this process knows of the same hashes in other accounts: passwords that are verified, and
    /// those that are kept for APOP. For accounts that were read anew and replace those.
    pub fn inherit(&mut self, before: &Self) {
        self.hashes = Arc::clone(&before.hashes);
        for (user, stored) in &mut self.accounts {
            let Some(known) = before.accounts.get(user) else { continue };
            let is_same = stored.hash().is_some() && stored.hash() == known.hash();
            if is_same && (self.keeps_plain || known.plain().is_none()) {
                *stored = Arc::clone(known);
            }
        }
    }

    fn insert(&mut self, user: UserName, stored: Stored) {
        self.remove(&user);
        if let Some(hashed) = stored.hash() {
            self.costs.add(hashed.params());
        }
        self.accounts.insert(user, Arc::new(stored));
    }

    /// How many hashes logins have cost.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// Whether there is an account of that name.
    #[must_use]
    pub fn contains(&self, user: &UserName) -> bool {
        self.accounts.contains_key(user)
    }

    /// Whether nobody could log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Who could log in, in no order.
    pub fn names(&self) -> impl Iterator<Item = &UserName> {
        self.accounts.keys()
    }

    /// Finds out whose credentials these are. `timestamp` is what the greeting said, for APOP. May take long:
    /// called in the pool.
    ///
    /// # Errors
    /// One answer after one amount of work, whatever was wrong: no such user, a wrong password, a name that cannot
    /// be one.
    pub fn verify(
        &self,
        credentials: &Credentials,
        timestamp: Option<&str>,
    ) -> Result<UserName, WrongCredentials> {
        self.verify_at(credentials, timestamp, Instant::now())
    }

    /// Whose credentials these are, where that is known without a hash. None says nothing of them: `verify` is to be asked.
    /// One code is made for everybody, so the time it takes tells nothing.
    #[must_use]
    pub fn verify_at_once(&self, credentials: &Credentials, timestamp: Option<&str>) -> Option<UserName> {
        let (Credentials::Password { user, .. } | Credentials::Apop { user, .. }) = credentials;
        let account = self.account(user);
        let stored = account.map(|(_, stored)| stored);
        let is_right = match credentials {
            Credentials::Password { password, .. } => {
                let code = self.key.code(password);
                stored.is_some_and(|stored| stored.knows(&code, Instant::now()))
            }
            Credentials::Apop { digest, .. } => verify_apop(stored, digest, timestamp),
        };
        account.filter(|_| is_right).map(|(user, _)| user.clone())
    }

    fn verify_at(
        &self,
        credentials: &Credentials,
        timestamp: Option<&str>,
        now: Instant,
    ) -> Result<UserName, WrongCredentials> {
        let (Credentials::Password { user, .. } | Credentials::Apop { user, .. }) = credentials;
        let account = self.account(user);
        let stored = account.map(|(_, stored)| stored);
        let is_right = match credentials {
            Credentials::Password { user, password } => self.verify_password(stored, user, password, now),
            Credentials::Apop { digest, .. } => verify_apop(stored, digest, timestamp),
        };
        match account {
            Some((user, _)) if is_right => Ok(user.clone()),
            Some(_) | None => Err(WrongCredentials),
        }
    }

    fn account(&self, user: &[u8]) -> Option<(&UserName, &Stored)> {
        let account = UserName::parse(user).and_then(|user| self.accounts.get_key_value(&user));
        account.map(|(user, stored)| (user, stored.as_ref()))
    }

    fn verify_password(&self, stored: Option<&Stored>, user: &[u8], password: &[u8], now: Instant) -> bool {
        // Made for everybody, whether there is one to compare it with or not.
        let code = self.key.code(password);
        let is_right = stored.is_some_and(|stored| stored.verify(password, code, now, &self.hashes));
        let is_hashed = stored.is_some_and(|stored| stored.hash().is_some());
        if !is_right
            && !is_hashed
            && let Some(params) = self.cost_of_nobody(user)
        {
            // Else the time would tell who is hashed and who is nobody.
            self.hashes.fetch_add(1, Ordering::Relaxed);
            hashed::spend(password, params);
        }
        is_right
    }

    /// What a failed login costs for a name that has no hash: always the same, and nobody can tell which beforehand.
    fn cost_of_nobody(&self, user: &[u8]) -> Option<&Params> {
        self.costs.pick(self.key.code(user).number())
    }
}

/// The digest of APOP: MD5 of the timestamp followed by the secret (RFC 1939, section 7).
fn verify_apop(stored: Option<&Stored>, digest: &[u8; 16], timestamp: Option<&str>) -> bool {
    let Some(timestamp) = timestamp else { return false };
    let secret = stored.and_then(Stored::plain);
    let octets = secret.unwrap_or(scheme::nobody()).octets();
    let expected: [u8; 16] = Md5::new().chain_update(timestamp).chain_update(octets).finalize().into();
    let is_right: bool = expected.ct_eq(digest).into();
    is_right && secret.is_some()
}

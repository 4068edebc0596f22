//! Who may log in.
//!
//! Verifying costs what the scheme costs: it is a job of the pool.

pub mod file;
mod kept;
mod scheme;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use argon2::Params;
use md5::{Digest, Md5};
use pop3d_protocol::pop3::Credentials;
use subtle::ConstantTimeEq;

use self::file::LineError;
pub use self::kept::KeptAccounts;
pub use self::scheme::{Hashed, SchemeError, hash};
use self::scheme::{MemoryKey, Stored};
pub use self::secret::Secret;

/// A user name that may be part of a path: UTF-8, 1 to 128 octets, no "/", no control character, no leading ".".
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserName(Box<str>);

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

/// The accounts of a server.
///
/// A login that fails takes the same time whatever was wrong: always one code under the key of this process, and one
/// argon2 hash where any account has one. Where those differ in their costs, each name that has no hash is held
/// against the cost of one that does, always the same for the same name.
#[derive(Clone)]
pub struct Accounts {
    accounts: HashMap<UserName, Arc<Stored>>,
    key: Arc<MemoryKey>,
    /// Whether plain secrets are kept, which APOP needs.
    keeps_plain: bool,
    /// What the hashes of accounts cost, one for each account that has one.
    costs: Vec<Params>,
    /// Stands for the secret of who has none.
    nobody: Arc<Secret>,
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
        let (key, nobody) = (Arc::new(MemoryKey::random()), Arc::new(scheme::random()));
        Self { accounts: HashMap::new(), key, keeps_plain, costs: Vec::new(), nobody }
    }

    /// Adds an account whose password is known, or replaces it. It lives in memory only.
    pub fn add(&mut self, user: UserName, password: &[u8]) {
        let stored = Stored::keyed(&self.key, password, self.keeps_plain);
        self.insert(user, stored);
    }

    /// Adds an account whose secret is kept by a scheme, `{SCHEME}secret`, or replaces it.
    ///
    /// # Errors
    /// Where the scheme is not known, or the secret is not of that scheme.
    pub fn add_stored(&mut self, user: UserName, stored: &[u8]) -> Result<(), SchemeError> {
        let stored = Stored::parse(stored, &self.key, self.keeps_plain)?;
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

    /// Adds an account whose password was hashed here, or replaces it. The password is known as right from the start.
    pub fn add_hashed(&mut self, user: UserName, hashed: &Hashed, password: &[u8]) {
        let stored = Stored::hashed(hashed);
        stored.learn(self.key.code(password), Instant::now());
        self.insert(user, stored);
    }

    /// Takes an account away.
    pub fn remove(&mut self, user: &UserName) {
        if let Some(removed) = self.accounts.remove(user) {
            self.forget_cost(&removed);
        }
    }

    fn insert(&mut self, user: UserName, stored: Stored) {
        if let Stored::Argon2id(_, params, _) = &stored {
            self.costs.push(params.clone());
        }
        if let Some(replaced) = self.accounts.insert(user, Arc::new(stored)) {
            self.forget_cost(&replaced);
        }
    }

    fn forget_cost(&mut self, gone: &Stored) {
        if let Stored::Argon2id(_, gone, _) = gone {
            let known = self.costs.iter().position(|params| params == gone);
            self.costs.swap_remove(known.expect("each hash has its cost"));
        }
    }

    /// Whether there is such an account.
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
        let (Credentials::Password { user, .. } | Credentials::Apop { user, .. }) = credentials;
        let account = UserName::parse(user).and_then(|user| self.accounts.get_key_value(&user));
        let stored = account.map(|(_, stored)| stored.as_ref());
        let is_right = match credentials {
            Credentials::Password { user, password } => {
                self.verify_password(stored, user, password, Instant::now())
            }
            Credentials::Apop { digest, .. } => self.verify_apop(stored, digest, timestamp),
        };
        match account {
            Some((user, _)) if is_right => Ok(user.clone()),
            Some(_) | None => Err(WrongCredentials),
        }
    }

    fn verify_password(&self, stored: Option<&Stored>, user: &[u8], password: &[u8], now: Instant) -> bool {
        // Made for everybody, whether there is one to compare it with or not.
        let code = self.key.code(password);
        let is_right = stored.is_some_and(|stored| stored.verify(password, &code, now));
        let is_hashed = matches!(stored, Some(Stored::Argon2id(..)));
        if !is_right
            && !is_hashed
            && let Some(params) = self.cost_of_nobody(user)
        {
            // Else the time would tell who is hashed and who is nobody.
            scheme::spend(password, params);
        }
        is_right
    }

    /// What a failed login costs for a name that has no hash: always the same, and nobody can tell which beforehand.
    fn cost_of_nobody(&self, user: &[u8]) -> Option<&Params> {
        let [first, second, third, fourth, ..] = self.key.code(user);
        let number = u32::from_ne_bytes([first, second, third, fourth]);
        let index = usize::try_from(number).ok()?.checked_rem(self.costs.len())?;
        self.costs.get(index)
    }

    /// The digest of APOP: MD5 of the timestamp followed by the secret (RFC 1939, section 7).
    fn verify_apop(&self, stored: Option<&Stored>, digest: &[u8; 16], timestamp: Option<&str>) -> bool {
        let Some(timestamp) = timestamp else { return false };
        let secret = match stored {
            Some(Stored::Keyed { plain, .. }) => plain.as_ref(),
            Some(Stored::Argon2id(..)) | None => None,
        };
        let octets = secret.unwrap_or(&self.nobody).octets();
        let expected: [u8; 16] = Md5::new().chain_update(timestamp).chain_update(octets).finalize().into();
        let is_right: bool = expected.ct_eq(digest).into();
        is_right && secret.is_some()
    }
}

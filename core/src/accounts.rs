//! Who may log in.
//!
//! Verifying costs what the scheme costs: it is a job of the pool.

mod account;
mod apps;
mod bearer;
mod code;
mod doubt;
mod exchange;
mod external;
pub mod file;
mod hashed;
mod number;
mod prepared;
mod scheme;
mod scram;
mod secret;
mod shares;
mod switches;
#[cfg(test)]
mod tests;
pub mod token;
mod verified;
mod verify;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use self::account::{Account, Look, Price};
use self::apps::Origin;
pub(crate) use self::apps::seconds_now;
pub use self::apps::{AppPassword, make_secret};
pub use self::bearer::{Bearer, Presented, TokenCheck, TooLong};
use self::code::MemoryKey;
pub use self::code::answer_names_by;
pub use self::doubt::{Doubt, Doubted, Doubts};
pub use self::exchange::{Exchange, Stepped};
pub use self::external::{Asking, Checker, External};
use self::file::{Line, LineError};
pub use self::hashed::{Digest, Hashed, Scheme, SchemeError, hash, hash_by, tells_password, told_password};
pub(crate) use self::prepared::prepared;
pub use self::prepared::{Prepared, form_to_keep, is_prohibited};
use self::scheme::Stored;
pub use self::secret::Secret;
use self::shares::Shares;
pub use self::switches::Switches;

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
/// A login that fails takes the same time whatever was wrong: always one code under the key of this process, and the
/// hashes of an account where any has some. Where accounts differ in what those cost, each name that has no hash is held
/// against the costs of one that has, always the same for the same name.
#[derive(Clone)]
pub struct Accounts {
    accounts: HashMap<UserName, Account>,
    key: &'static MemoryKey,
    /// Whether plain secrets are kept, which APOP and CRAM-MD5 need.
    keeps_plain: bool,
    /// How many accounts have one.
    plain: usize,
    /// What failed logins cost accounts, those that have hashes.
    prices: Shares<Price>,
    /// What SCRAM-SHA-1 and SCRAM-SHA-256 show of accounts, those that can be logged in to by them.
    looks: [Shares<Look>; 2],
    /// How many hashes logins have cost, in these accounts and in those they were made from.
    hashes: Arc<AtomicU64>,
    /// Who knows the passwords of users that have no account here.
    external: Option<Arc<External>>,
    /// Logins by tokens; none: there are none.
    bearer: Option<Arc<Bearer>>,
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
        Self {
            accounts: HashMap::new(),
            key: MemoryKey::of_process(),
            keeps_plain,
            plain: 0,
            prices: Shares::default(),
            looks: Default::default(),
            hashes: Arc::default(),
            external: None,
            bearer: None,
        }
    }

    /// Adds an account whose password is known, or replaces it. It lives in memory only.
    pub fn add(&mut self, user: UserName, password: &[u8]) {
        let stored = Stored::keyed(self.key, password, self.keeps_plain);
        self.insert(user, Account::new(stored, Switches::default()));
    }

    /// Adds an account whose secret is kept by a scheme, `{SCHEME}secret`, or replaces it.
    ///
    /// # Errors
    /// Where the scheme is not known, or the secret is not of that scheme.
    pub fn add_stored(&mut self, user: UserName, stored: &[u8]) -> Result<(), SchemeError> {
        let stored = Stored::parse(stored, self.key, self.keeps_plain)?;
        self.insert(user, Account::new(stored, Switches::default()));
        Ok(())
    }

    /// Switches an account; nothing happens where there is none.
    pub fn switch(&mut self, user: &UserName, switches: Switches) {
        if let Some(account) = self.accounts.get_mut(user) {
            account.switches = switches;
        }
    }

    /// Asks somebody else about users that have no account here.
    pub fn set_external(&mut self, external: External) {
        self.external = Some(Arc::new(external));
    }

    /// Lets users log in by tokens.
    pub fn set_bearer(&mut self, bearer: Bearer) {
        self.bearer = Some(Arc::new(bearer));
    }

    /// Whom to ask about a user; none: the user has an account here, which alone decides, or nobody else knows any.
    #[must_use]
    pub fn asking(&self, user: &[u8]) -> Option<Asking> {
        let external = self.external.as_ref()?;
        if self.account(user).is_some() || is_prohibited(user) {
            return None;
        }
        Some(Asking::new(external, UserName::parse(user)?))
    }

    /// Whether the password of an account is kept by a hash that is to be made anew.
    #[must_use]
    pub fn is_weak(&self, user: &UserName) -> bool {
        self.accounts.get(user).is_some_and(Account::is_weak)
    }

    /// Its hash, where that is so and a line of the accounts file has it.
    #[must_use]
    pub fn weak_of_file(&self, user: &UserName) -> Option<&Hashed> {
        self.accounts.get(user)?.weak_of_file()
    }

    /// How many passwords, and how many app passwords, are kept by hashes that are guessed fast.
    #[must_use]
    pub fn guessed_fast(&self) -> (usize, usize) {
        let add = |(own, apps), (one, more)| (own + one, apps + more);
        self.accounts.values().map(Account::guessed_fast).fold((0, 0), add)
    }

    /// Adds an app password to an account, as it stands in the configuration; nothing happens where there is no account.
    ///
    /// # Errors
    /// Where the scheme is not known, or the secret is not of that scheme.
    pub fn add_app(&mut self, user: &UserName, name: &str, secret: &[u8]) -> Result<(), SchemeError> {
        let stored = if secret.starts_with(b"{") {
            Stored::parse(secret, self.key, self.keeps_plain)?
        } else {
            Stored::keyed(self.key, secret, false)
        };
        if let Some(mut account) = self.accounts.get(user).cloned() {
            account.add(name, Origin::Configured, stored);
            self.insert(user.clone(), account);
        }
        Ok(())
    }

    /// Adds the accounts of an accounts file; with which of its passwords something is wrong that does not keep them out.
    ///
    /// # Errors
    /// The number of the first line that is wrong, from 1, and what is wrong with it.
    pub fn add_file(&mut self, text: &[u8]) -> Result<Doubts, (usize, LineError)> {
        let (mut seen, mut doubts) = (HashSet::new(), Doubts::default());
        for (number, line) in (1..).zip(file::without_mark(text).split(|&octet| octet == b'\n')) {
            let Some(line) = file::parse_line(line).map_err(|error| (number, error))? else { continue };
            // One of two lines is forgotten; it may be the one with the old password.
            if !seen.insert(line.user.clone()) {
                return Err((number, LineError::Twice));
            }
            doubts.note(number, &line);
            self.add_line(line).map_err(|error| (number, LineError::Secret(error)))?;
        }
        Ok(doubts)
    }

    /// Adds the account of a line.
    ///
    /// # Errors
    /// Where its secret cannot be kept.
    pub fn add_line(&mut self, line: Line<'_>) -> Result<(), SchemeError> {
        let stored = match line.secret {
            file::Secret::Anything => Stored::Anything,
            file::Secret::Locked => Stored::Nothing,
            file::Secret::Stored(text) => self.stored(text)?,
        };
        let mut account = Account::of_line(stored, line.switches);
        for (name, secret) in line.apps {
            account.add(name, Origin::Configured, self.stored(secret)?);
        }
        self.insert(line.user, account);
        Ok(())
    }

    /// Reads a secret of an accounts file.
    fn stored(&self, text: &[u8]) -> Result<Stored, SchemeError> {
        if text.starts_with(b"$") {
            // A hash that says by itself what it is.
            return Hashed::parse(text).map(Stored::hashed);
        }
        Stored::parse(text, self.key, self.keeps_plain)
    }

    /// Adds an account of which only the hash is known, or replaces its password. What is switched for it, and what
    /// programs have, stays.
    pub fn add_hashed(&mut self, user: UserName, hashed: &Hashed) {
        let account = self.with_password(&user, Stored::hashed(hashed.clone()));
        self.insert(user, account);
    }

    /// Removes an account; whether there was one.
    pub fn remove(&mut self, user: &UserName) -> bool {
        let Some(removed) = self.accounts.remove(user) else { return false };
        self.plain -= usize::from(removed.plain().is_some());
        let price = removed.price();
        if !price.is_empty() {
            self.prices.remove(&price);
        }
        for (hash, looks) in scram::Hash::ALL.into_iter().zip(&mut self.looks) {
            if let Some(look) = removed.look(hash) {
                looks.remove(&look);
            }
        }
        true
    }

    /// A copy with that account added, or its password replaced. The password, which the hash must be of, counts as
    /// verified, and is kept for APOP where that is offered. What is switched for the account, and what programs have, stays.
    #[must_use]
    pub fn with(&self, user: UserName, hashed: &Hashed, password: &[u8]) -> Self {
        self.with_at(user, hashed, password, Instant::now())
    }

    fn with_at(&self, user: UserName, hashed: &Hashed, password: &[u8], now: Instant) -> Self {
        let mut changed = self.clone();
        let stored = Stored::told(hashed.clone(), self.key, password, self.keeps_plain, now);
        let account = self.with_password(&user, stored);
        changed.insert(user, account);
        changed
    }

    /// Puts another hash of the same password in place, which counts as verified. Nothing happens where there is no
    /// account.
    pub fn renew(&mut self, user: &UserName, hashed: &Hashed, password: &[u8]) {
        if let Some(account) = self.accounts.get(user).cloned() {
            let stored = Stored::told(hashed.clone(), self.key, password, self.keeps_plain, Instant::now());
            self.insert(user.clone(), account.renewed(stored));
        }
    }

    /// An account with another password.
    fn with_password(&self, user: &UserName, stored: Stored) -> Account {
        match self.accounts.get(user) {
            Some(account) => account.clone().with(stored),
            None => Account::new(stored, Switches::default()),
        }
    }

    /// Whether one of them stands in the accounts file.
    #[must_use]
    pub fn has_any_of_file(&self) -> bool {
        self.accounts.values().any(Account::is_of_file)
    }

    /// Puts the account of that name in place that there is in others; nothing happens where there is none.
    pub fn copy(&mut self, user: &UserName, from: &Self) {
        if let Some(account) = from.accounts.get(user) {
            self.insert(user.clone(), account.clone());
        }
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
        let users: Vec<_> = self.accounts.keys().cloned().collect();
        for user in users {
            if let (Some(account), Some(known)) = (self.accounts.get(&user), before.accounts.get(&user)) {
                let mut account = account.clone();
                account.inherit(known, self.keeps_plain);
                self.insert(user, account);
            }
        }
    }

    fn insert(&mut self, user: UserName, account: Account) {
        self.remove(&user);
        self.plain += usize::from(account.plain().is_some());
        let price = account.price();
        if !price.is_empty() {
            self.prices.add(price);
        }
        for (hash, looks) in scram::Hash::ALL.into_iter().zip(&mut self.looks) {
            if let Some(look) = account.look(hash) {
                looks.add(look);
            }
        }
        self.accounts.insert(user, account);
    }

    /// What is switched for an account; nothing, where there is none.
    #[must_use]
    pub fn switches(&self, user: &UserName) -> Switches {
        self.accounts.get(user).map(|account| account.switches.clone()).unwrap_or_default()
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

    /// Whether who was verified by `before`, an earlier state of these, may still come in: the account may have been removed,
    /// switched off or bound to other nets meanwhile, or one of its secrets changed or taken back. Which of them it was that
    /// let in is not kept: a client that had another one logs in again. Who had no account comes in by the word of others.
    #[must_use]
    pub fn still_admits(&self, before: &Self, user: &UserName, from: IpAddr) -> bool {
        match self.accounts.get(user) {
            Some(account) => account.switches.permit(from) && self.has_secrets_of(before, user),
            None => !before.contains(user),
        }
    }

    /// Whether each secret of an account that let in by `before` still does. One that was not there had none.
    fn has_secrets_of(&self, before: &Self, user: &UserName) -> bool {
        match (self.accounts.get(user), before.accounts.get(user)) {
            (Some(account), Some(before)) => account.is_of_epoch(before),
            (_, None) => true,
            (None, Some(_)) => false,
        }
    }

    /// The same in any form that SASLprep takes for that name.
    pub(crate) fn knows(&self, user: &UserName) -> bool {
        self.account(user.as_str().as_bytes()).is_some()
    }

    /// Whether some account keeps a plain secret, which APOP and CRAM-MD5 need.
    #[must_use]
    pub fn has_plain(&self) -> bool {
        self.plain > 0
    }

    /// Whether nobody could log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let bearer = self.bearer.as_ref().map(|bearer| &bearer.check);
        let asks = self.external.is_some() || matches!(bearer, Some(TokenCheck::Program(_)));
        self.accounts.is_empty() && !asks
    }

    /// Who could log in, in no order.
    pub fn names(&self) -> impl Iterator<Item = &UserName> {
        self.accounts.keys()
    }
}

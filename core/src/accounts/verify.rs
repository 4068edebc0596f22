//! Whose credentials are right. A login that fails costs the same whatever was wrong with it.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use md5::{Digest, Md5};
use pop3d_protocol::pop3::Credentials;
use subtle::ConstantTimeEq;

use super::account::{Account, Look, Price};
use super::code::MemoryKey;
use super::shares::Shares;
use super::{Accounts, Secret, Switches, UserName, WrongCredentials, is_prohibited, prepared, scram};

impl Accounts {
    /// Finds out whose credentials these are. `timestamp` is what the greeting said, for APOP; `from`: where they come
    /// from, none: from no network. May take long: called in the pool.
    ///
    /// # Errors
    /// One answer after one amount of work, whatever was wrong: no such user, a wrong password, a name that cannot
    /// be one, an account that is not to be used, or not from there.
    pub fn verify(
        &self,
        credentials: &Credentials,
        timestamp: Option<&str>,
        from: IpAddr,
    ) -> Result<UserName, WrongCredentials> {
        self.verify_at(credentials, timestamp, from, Instant::now())
    }

    /// Whose credentials these are, where that is known without a hash. None says nothing of them: `verify` is to be asked.
    /// One code is made for everybody, so the time it takes tells nothing.
    #[must_use]
    pub fn verify_at_once(
        &self,
        credentials: &Credentials,
        timestamp: Option<&str>,
        from: IpAddr,
    ) -> Option<UserName> {
        let (Credentials::Password { user, .. } | Credentials::Apop { user, .. }) = credentials;
        let account = self.account(user);
        let kept = account.map(|(_, account)| account);
        let is_right = match credentials {
            Credentials::Password { password, .. } => {
                let code = self.key.code(password);
                !is_prohibited(password)
                    && kept.is_some_and(|account| account.recognize(&code, Instant::now()))
            }
            Credentials::Apop { digest, .. } => verify_apop(kept, digest, timestamp),
        };
        let account = account.filter(|(_, account)| is_right && account.switches.permit(from));
        account.map(|(user, _)| user.clone())
    }

    pub(super) fn verify_at(
        &self,
        credentials: &Credentials,
        timestamp: Option<&str>,
        from: IpAddr,
        now: Instant,
    ) -> Result<UserName, WrongCredentials> {
        let (Credentials::Password { user, .. } | Credentials::Apop { user, .. }) = credentials;
        let account = self.account(user);
        let kept = account.map(|(_, account)| account);
        let is_right = match credentials {
            Credentials::Password { user, password } => {
                // A hash of another server may be of either form. One that is known to be right costs no hash of the other.
                let prepared = prepared(password);
                let has_two = *prepared != **password;
                let is_right = has_two && self.recognize(kept, &prepared, from, now)
                    || self.verify_password(kept, user, password, from, now)
                    || has_two && self.verify_password(kept, user, &prepared, from, now);
                is_right && !is_prohibited(password)
            }
            Credentials::Apop { digest, .. } => verify_apop(kept, digest, timestamp),
        };
        match account {
            Some((user, account)) if is_right && account.switches.permit(from) => Ok(user.clone()),
            Some(_) | None => Err(WrongCredentials),
        }
    }

    /// Whether these are the user's credentials, whatever is switched for the account.
    #[must_use]
    pub fn is_password(&self, credentials: &Credentials) -> bool {
        let (Credentials::Password { user, .. } | Credentials::Apop { user, .. }) = credentials;
        let Some(user) = UserName::parse(user) else { return false };
        let mut accounts = self.clone();
        accounts.switch(&user, Switches::default());
        accounts.verify(credentials, None, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)).is_ok()
    }

    pub(super) fn account(&self, user: &[u8]) -> Option<(&UserName, &Account)> {
        if is_prohibited(user) {
            return None;
        }
        let named = |user: &[u8]| UserName::parse(user).and_then(|user| self.accounts.get_key_value(&user));
        named(user).or_else(|| named(&prepared(user)))
    }

    /// Whether it is known already that it is the password of an account that may be used from there.
    fn recognize(&self, account: Option<&Account>, password: &[u8], from: IpAddr, now: Instant) -> bool {
        // Made for everybody, as below.
        let code = self.key.code(password);
        let account = account.filter(|account| account.switches.permit(from));
        account.is_some_and(|account| account.recognize(&code, now))
    }

    fn verify_password(
        &self,
        account: Option<&Account>,
        user: &[u8],
        password: &[u8],
        from: IpAddr,
        now: Instant,
    ) -> bool {
        // Made for everybody, whether there is one to compare it with or not.
        let code = self.key.code(password);
        // Of an account that is not to be used nothing is looked at: it fails as a name does that there is not.
        let account = account.filter(|account| account.switches.permit(from));
        let is_right = account.is_some_and(|account| account.verify(password, &code, now, &self.hashes));
        if is_right {
            return true;
        }
        if account.is_none_or(|account| account.price().is_empty()) {
            // Else the time would tell who is hashed and who is nobody.
            let code = MemoryKey::of_names().code(&prepared(user));
            let salt = code.octets().first_chunk().copied().unwrap_or_default();
            for cost in self.price_of_nobody(user).into_iter().flatten() {
                self.hashes.fetch_add(1, Ordering::Relaxed);
                cost.spend(password, &salt);
            }
        }
        false
    }

    pub(super) fn looks_of(&self, hash: scram::Hash) -> &Shares<Look> {
        let [of_sha1, of_sha256] = &self.looks;
        match hash {
            scram::Hash::Sha1 => of_sha1,
            scram::Hash::Sha256 => of_sha256,
        }
    }

    /// What a failed login costs for a name that has no hash: always the same, however it is spelt, and nobody can tell which
    /// beforehand.
    pub(super) fn price_of_nobody(&self, user: &[u8]) -> Option<&Price> {
        self.prices.pick(MemoryKey::of_names().code(&prepared(user)).number())
    }
}

/// The digest of APOP: MD5 of the timestamp followed by the secret (RFC 1939, section 7).
fn verify_apop(account: Option<&Account>, digest: &[u8; 16], timestamp: Option<&str>) -> bool {
    let Some(timestamp) = timestamp else { return false };
    let secret = account.and_then(Account::plain);
    let octets = secret.unwrap_or(Secret::of_nobody()).octets();
    let expected: [u8; 16] = Md5::new().chain_update(timestamp).chain_update(octets).finalize().into();
    let is_right: bool = expected.ct_eq(digest).into();
    is_right && secret.is_some()
}

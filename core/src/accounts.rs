//! Who may log in.
//!
//! Verifying costs what the scheme costs: it is a job of the pool.

pub mod file;
mod scheme;
mod secret;

use std::collections::HashMap;
use std::fmt;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use md5::{Digest, Md5};
use pop3d_protocol::pop3::Credentials;
use subtle::ConstantTimeEq;

use self::file::LineError;
pub use self::scheme::SchemeError;
use self::scheme::{MemoryKey, Stored, nobody};
pub use self::secret::Secret;

/// A user name that may be part of a path: UTF-8, 1 to 128 octets, no "/", no control character, no leading ".".
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserName(Box<str>);

/// Longest user name in octets.
pub const USER_NAME_MAX: usize = 128;

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
pub struct Accounts {
    accounts: HashMap<UserName, Stored>,
    key: MemoryKey,
    /// Whether plain secrets are kept, which APOP needs.
    keeps_plain: bool,
    /// Where an account is hashed: what a login that fails otherwise is held against, so that it costs as much.
    nobody: Option<PasswordHash>,
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
    #[must_use]
    pub fn new(keeps_plain: bool) -> Self {
        Self { accounts: HashMap::new(), key: MemoryKey::random(), keeps_plain, nobody: None }
    }

    /// Adds an account whose password is known, or replaces it. It lives in memory only.
    pub fn add(&mut self, user: UserName, password: &[u8]) {
        let stored = Stored::keyed(&self.key, password, self.keeps_plain);
        self.accounts.insert(user, stored);
    }

    /// Adds an account whose secret is kept by a scheme, `{SCHEME}secret`, or replaces it.
    ///
    /// # Errors
    /// Where the scheme is not known, or the secret is not of that scheme.
    pub fn add_stored(&mut self, user: UserName, stored: &str) -> Result<(), SchemeError> {
        let stored = Stored::parse(stored, &self.key, self.keeps_plain)?;
        if let Stored::Argon2id(_) = stored
            && self.nobody.is_none()
        {
            self.nobody = nobody();
        }
        self.accounts.insert(user, stored);
        Ok(())
    }

    /// Adds the accounts of an accounts file.
    ///
    /// # Errors
    /// The number of the first line that is wrong, from 1, and what is wrong with it.
    pub fn add_file(&mut self, text: &[u8]) -> Result<(), (usize, LineError)> {
        for (number, line) in (1..).zip(text.split(|&octet| octet == b'\n')) {
            if let Some((user, stored)) = file::parse_line(line).map_err(|error| (number, error))? {
                self.add_stored(user, stored).map_err(|error| (number, LineError::Secret(error)))?;
            }
        }
        Ok(())
    }

    /// Whether nobody could log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
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
        let stored = account.map(|(_, stored)| stored);
        let is_right = match credentials {
            Credentials::Password { password, .. } => self.verify_password(stored, password),
            Credentials::Apop { digest, .. } => verify_apop(stored, digest, timestamp),
        };
        match account {
            Some((user, _)) if is_right => Ok(user.clone()),
            Some(_) | None => Err(WrongCredentials),
        }
    }

    fn verify_password(&self, stored: Option<&Stored>, password: &[u8]) -> bool {
        let is_right = stored.is_some_and(|stored| stored.verify(&self.key, password));
        if !is_right
            && !matches!(stored, Some(Stored::Argon2id(_)))
            && let Some(nobody) = &self.nobody
        {
            // Else the time would tell who is hashed and who is nobody.
            let _ = Argon2::default().verify_password(password, nobody);
        }
        is_right
    }
}

/// The digest of APOP: MD5 of the timestamp followed by the secret (RFC 1939, section 7).
fn verify_apop(stored: Option<&Stored>, digest: &[u8; 16], timestamp: Option<&str>) -> bool {
    let Some(timestamp) = timestamp else { return false };
    let Some(Stored::Keyed { plain: Some(secret), .. }) = stored else { return false };
    let expected: [u8; 16] =
        Md5::new().chain_update(timestamp).chain_update(secret.octets()).finalize().into();
    expected.ct_eq(digest).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text.as_bytes()).unwrap()
    }

    fn login(accounts: &Accounts, user: &[u8], password: &[u8]) -> Result<String, WrongCredentials> {
        let credentials = Credentials::Password { user: user.into(), password: password.into() };
        accounts.verify(&credentials, None).map(|user| user.to_string())
    }

    #[test]
    fn a_name_that_could_leave_the_mail_folder_is_no_name() {
        for wrong in ["", ".", "..", ".x", "a/b", "/", "../x", "a\0b", "a\nb"] {
            assert_eq!(UserName::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(UserName::parse(&[b'x'; USER_NAME_MAX + 1]), None);
        assert_eq!(UserName::parse(b"\xFF"), None);
        assert_eq!(name("user@example.org").as_str(), "user@example.org");
    }

    #[test]
    fn a_password_is_right_to_the_octet() {
        let mut accounts = Accounts::new(false);
        accounts.add(name("user"), b" pass: word ");
        assert_eq!(login(&accounts, b"user", b" pass: word "), Ok("user".into()));
        for wrong in [&b"pass: word"[..], b" pass: word", b"", b" pass: word \0", b" PASS: WORD "] {
            assert_eq!(login(&accounts, b"user", wrong), Err(WrongCredentials));
        }
        for wrong in [&b"User"[..], b"user\0", b"user ", b"./user", b"../user", b""] {
            assert_eq!(login(&accounts, wrong, b" pass: word "), Err(WrongCredentials));
        }
    }

    #[test]
    fn a_hashed_account_logs_in_with_its_password_only() {
        let hash = argon2::PasswordHasher::hash_password(&Argon2::default(), b"secret").unwrap();
        let mut accounts = Accounts::new(false);
        accounts
            .add_file(format!("# accounts\n\nuser:{{ARGON2ID}}{hash}\nother:{{PLAIN}}x\n").as_bytes())
            .unwrap();
        assert_eq!(login(&accounts, b"user", b"secret"), Ok("user".into()));
        assert_eq!(login(&accounts, b"user", b"secre"), Err(WrongCredentials));
        assert_eq!(login(&accounts, b"nobody", b"secret"), Err(WrongCredentials));
        assert_eq!(login(&accounts, b"other", b"x"), Ok("other".into()));
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let mut accounts = Accounts::new(false);
        assert_eq!(accounts.add_file(b"a:{PLAIN}x\nb\n"), Err((2, LineError::NoSecret)));
        let unknown = LineError::Secret(SchemeError::UnknownScheme);
        assert_eq!(accounts.add_file(b"a:{ROT13}x\n"), Err((1, unknown)));
        assert_eq!(accounts.add_file(b"a:plain\n"), Err((1, unknown)));
        let bad = LineError::Secret(SchemeError::BadHash);
        assert_eq!(accounts.add_file(b"a:{ARGON2ID}x\n"), Err((1, bad)));
        assert_eq!(accounts.add_file(b"a:{ARGON2ID}$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ\n"), Err((1, bad)));
    }

    #[test]
    fn apop_is_that_of_the_rfc_and_only_where_the_secret_is_kept() {
        // RFC 1939, section 7: the example.
        let timestamp = "<1896.697170952@dbc.mtview.ca.us>";
        let digest = 0xc4c9_334b_ac56_0ecc_979e_5800_1b3e_22fb_u128.to_be_bytes();
        let mut accounts = Accounts::new(true);
        accounts.add(name("mrose"), b"tanstaaf");
        let apop = |digest| Credentials::Apop { user: (*b"mrose").into(), digest };
        assert_eq!(accounts.verify(&apop(digest), Some(timestamp)), Ok(name("mrose")));
        assert_eq!(accounts.verify(&apop([0; 16]), Some(timestamp)), Err(WrongCredentials));
        assert_eq!(accounts.verify(&apop(digest), None), Err(WrongCredentials));
        let mut without = Accounts::new(false);
        without.add(name("mrose"), b"tanstaaf");
        assert_eq!(without.verify(&apop(digest), Some(timestamp)), Err(WrongCredentials));
    }
}

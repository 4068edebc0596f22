//! Who may log in.
//!
//! Verifying costs what the scheme costs: it is a job of the pool.

use std::fmt;

use pop3d_protocol::pop3::Credentials;

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
#[derive(Default)]
pub struct Accounts {}

/// The credentials are not those of an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrongCredentials;

impl Accounts {
    /// Finds out whose credentials these are. `timestamp` is what the greeting said, for APOP. May take long:
    /// called in the pool.
    ///
    /// # Errors
    /// One answer after one amount of work, whatever was wrong: no such user, a wrong password, a name that cannot be one.
    pub fn verify(
        &self,
        _credentials: &Credentials,
        _timestamp: Option<&str>,
    ) -> Result<UserName, WrongCredentials> {
        Err(WrongCredentials)
    }
}

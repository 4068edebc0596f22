//! Accounts that only something outside knows: who it is asked for, and what it said a short time ago.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::code::{Code, MemoryKey};
use super::verified::REMEMBERED_FOR;
use super::{UserName, is_prohibited};

/// Something that knows whether a password is right. Asking it may take long: called in a pool of its own.
pub trait Checker: Send + Sync {
    /// Whether it is the user's password.
    ///
    /// # Errors
    /// Why that cannot be found out now, for the log.
    fn check(&self, user: &UserName, password: &[u8]) -> Result<bool, String>;
}

/// Users whose passwords are remembered at once. Where there is no room for one more all are asked for again.
const USERS_MAX: usize = 32_768;

/// A checker, and the passwords that it found right last.
pub struct External {
    checker: Box<dyn Checker>,
    key: &'static MemoryKey,
    /// Whether what was right is remembered.
    remembers: bool,
    known: Mutex<HashMap<UserName, (Code, Instant)>>,
}

/// Somebody whom only the checker can know.
#[derive(Debug)]
pub struct Asking {
    external: Arc<External>,
    user: UserName,
    /// Whether the user is not let in whatever the checker says.
    pub(super) is_in_vain: bool,
}

impl External {
    /// Nobody is remembered yet.
    ///
    /// # Panics
    /// Where the system gives no random octets: nothing could be kept safely.
    #[must_use]
    pub fn new(checker: Box<dyn Checker>) -> Self {
        Self { checker, key: MemoryKey::of_process(), remembers: true, known: Mutex::default() }
    }

    /// The same for what ends by itself, as tokens do: each time it is asked.
    #[must_use]
    pub fn without_memory(self) -> Self {
        Self { remembers: false, ..self }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<UserName, (Code, Instant)>> {
        // Its entries are replaced as a whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the password with that code was found right a short time ago.
    fn knows(&self, user: &UserName, code: &Code, now: Instant) -> bool {
        self.known().get(user).is_some_and(|(known, since)| {
            now.saturating_duration_since(*since) < REMEMBERED_FOR && known.is(code)
        })
    }

    fn ask(&self, user: &UserName, password: &[u8], now: Instant) -> Result<bool, String> {
        if !self.remembers {
            return self.checker.check(user, password);
        }
        let code = self.key.code(password);
        if self.knows(user, &code, now) {
            return Ok(true);
        }
        let is_right = self.checker.check(user, password)?;
        if is_right {
            let mut known = self.known();
            if known.len() >= USERS_MAX && !known.contains_key(user) {
                known.retain(|_, (_, since)| now.saturating_duration_since(*since) < REMEMBERED_FOR);
            }
            if known.len() >= USERS_MAX && !known.contains_key(user) {
                known.clear();
            }
            known.insert(user.clone(), (code, now));
        }
        Ok(is_right)
    }
}

impl fmt::Debug for External {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("External")
    }
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.external, &other.external) && self.user == other.user
    }
}

impl Eq for Asking {}

impl Asking {
    pub(super) fn new(external: &Arc<External>, user: UserName) -> Self {
        Self { external: Arc::clone(external), user, is_in_vain: false }
    }

    /// Who logs in.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Whether it is known to be their password, so that nobody need be asked. Does not wait.
    #[must_use]
    pub fn is_known(&self, password: &[u8]) -> bool {
        let Self { external, user, is_in_vain } = self;
        let code = || external.key.code(password);
        external.remembers
            && !is_in_vain
            && !is_prohibited(password)
            && external.knows(user, &code(), Instant::now())
    }

    /// Whether it is their password, and they may use it. Waits: called in a pool.
    ///
    /// # Errors
    /// Why that cannot be found out now, for the log.
    pub fn ask(&self, password: &[u8]) -> Result<bool, String> {
        if is_prohibited(password) {
            return Ok(false);
        }
        let is_right = self.external.ask(&self.user, password, Instant::now())?;
        Ok(is_right && !self.is_in_vain)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Knows one password, and counts how often it was asked.
    struct Known(Arc<AtomicUsize>);

    impl Checker for Known {
        fn check(&self, user: &UserName, password: &[u8]) -> Result<bool, String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if user.as_str() == "down" { Err("it is down".to_owned()) } else { Ok(password == b"secret") }
        }
    }

    #[test]
    fn a_password_that_was_right_is_asked_for_again_after_its_time() {
        let asked = Arc::new(AtomicUsize::new(0));
        let external = External::new(Box::new(Known(Arc::clone(&asked))));
        let name = |text: &str| UserName::parse(text.as_bytes()).unwrap();
        let start = Instant::now();
        let cost = |user: &str, password: &[u8], now| {
            let before = asked.load(Ordering::Relaxed);
            let outcome = external.ask(&name(user), password, now);
            (outcome, asked.load(Ordering::Relaxed) - before)
        };
        assert_eq!(cost("ann", b"secret", start), (Ok(true), 1));
        assert_eq!(cost("ann", b"secret", start + Duration::from_secs(1)), (Ok(true), 0));
        assert_eq!(cost("ann", b"wrong", start), (Ok(false), 1));
        assert_eq!(cost("ann", b"wrong", start), (Ok(false), 1));
        assert_eq!(cost("ann", b"secret", start), (Ok(true), 0));
        assert_eq!(cost("bob", b"secret", start), (Ok(true), 1));
        assert_eq!(cost("ann", b"secret", start + REMEMBERED_FOR), (Ok(true), 1));
        assert_eq!(cost("down", b"secret", start).1, 1);
        assert_eq!(
            cost("down", b"secret", start),
            (Err("it is down".to_owned()), 1),
            "nothing is remembered of it"
        );
    }
}

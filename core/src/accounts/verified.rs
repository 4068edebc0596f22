//! The password of a hash, remembered for a short time: a client that looks for mail every minute costs one hash in
//! that time. It belongs to the account's entry, and is gone when that is replaced or removed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::code::Code;

/// How long a password is remembered, from when it was hashed. Using it makes that no longer.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// The code of the password that was found right last, and when.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<Option<(Code, Instant)>>);

impl Verified {
    /// Begins with a password that is known to be right.
    pub(super) fn by(code: Code, now: Instant) -> Self {
        Self(Mutex::new(Some((code, now))))
    }

    /// Whether it is the code of the password that is remembered. One that is too old is forgotten.
    pub(super) fn is(&self, code: &Code, now: Instant) -> bool {
        let mut remembered = self.lock();
        if remembered
            .as_ref()
            .is_some_and(|(_, since)| now.saturating_duration_since(*since) >= REMEMBERED_FOR)
        {
            *remembered = None;
        }
        remembered.as_ref().is_some_and(|(expected, _)| expected.is(code))
    }

    /// Remembers the code of a password that was found right.
    pub(super) fn remember(&self, code: Code, now: Instant) {
        *self.lock() = Some((code, now));
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Code, Instant)>> {
        // What it guards is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! When users last logged in, where a least time between two logins is to be kept (LOGIN-DELAY; RFC 2449, section 6.5).
//! Bounded by the accounts there are; it has no clock: the caller says what time it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pop3d_protocol::pop3::LoginDelay;

use crate::accounts::UserName;

/// Least entries at which those whose time is over are looked for.
const SWEPT_AT: usize = 1024;

/// The least times between two logins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LoginDelays {
    /// Of everybody who has none of their own; zero: none.
    pub all: Duration,
    /// Of these users.
    pub of: Arc<HashMap<UserName, Duration>>,
}

impl LoginDelays {
    /// That of a user; zero: none.
    #[must_use]
    pub fn of(&self, user: &UserName) -> Duration {
        self.of.get(user).copied().unwrap_or(self.all)
    }

    /// What is told before login, when nobody knows which user it will be: the longest.
    #[must_use]
    pub fn told_to_all(&self) -> Option<LoginDelay> {
        let longest = self.longest();
        let differs = self.of.values().any(|&delay| delay != self.all);
        (!longest.is_zero()).then(|| LoginDelay { seconds: seconds(longest), differs })
    }

    /// What is told to a user who has logged in: a user who need not wait is told so where others must.
    #[must_use]
    pub fn told_to(&self, user: &UserName) -> Option<LoginDelay> {
        self.told_to_all().map(|_| LoginDelay { seconds: seconds(self.of(user)), differs: false })
    }

    fn longest(&self) -> Duration {
        self.of.values().copied().max().unwrap_or_default().max(self.all)
    }
}

/// Whole seconds, none too few; what is too long for the type is its greatest.
fn seconds(time: Duration) -> u32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// The last login of each user for whom it matters.
#[derive(Default)]
pub(crate) struct Logins(Mutex<Last>);

#[derive(Default)]
struct Last {
    at: HashMap<UserName, Instant>,
    /// How many entries there are when it is next looked for those whose time is over.
    swept_at: usize,
}

impl Logins {
    /// How many seconds a user has still to wait; none: no longer.
    pub(crate) fn wait(&self, user: &UserName, now: Instant, delays: &LoginDelays) -> Option<u32> {
        let delay = delays.of(user);
        if delay.is_zero() {
            return None;
        }
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = (*last.at.get(user)? + delay).saturating_duration_since(now);
        (!left.is_zero()).then(|| seconds(left))
    }

    /// A user has logged in.
    pub(crate) fn note(&self, user: &UserName, now: Instant, delays: &LoginDelays) {
        if delays.of(user).is_zero() {
            return;
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.len() >= last.swept_at {
            last.at.retain(|user, since| *since + delays.of(user) > now);
            last.swept_at = SWEPT_AT.max(2 * last.at.len());
        }
        last.at.insert(user.clone(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserName {
        UserName::parse(name.as_bytes()).unwrap()
    }

    fn delays(all: u64, of: &[(&str, u64)]) -> LoginDelays {
        let of = of.iter().map(|&(name, seconds)| (user(name), Duration::from_secs(seconds)));
        LoginDelays { all: Duration::from_secs(all), of: Arc::new(of.collect()) }
    }

    #[test]
    fn each_user_waits_from_their_own_login_on_and_who_has_no_delay_does_not() {
        let (logins, now) = (Logins::default(), Instant::now());
        let delays = delays(60, &[("fast", 0), ("slow", 120)]);
        let after = |seconds| now + Duration::from_secs(seconds);
        for name in ["ann", "fast", "slow"] {
            assert_eq!(logins.wait(&user(name), now, &delays), None);
            logins.note(&user(name), now, &delays);
        }
        let waits = |seconds| {
            ["ann", "fast", "slow", "bob"].map(|name| logins.wait(&user(name), after(seconds), &delays))
        };
        assert_eq!(waits(0), [Some(60), None, Some(120), None]);
        assert_eq!(waits(59), [Some(1), None, Some(61), None]);
        assert_eq!(waits(60), [None, None, Some(60), None]);
        assert_eq!(waits(120), [None, None, None, None]);
        assert!(!logins.0.lock().unwrap().at.contains_key(&user("fast")));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let (logins, now) = (Logins::default(), Instant::now());
        let delays = delays(60, &[]);
        for count in 0..100_000_u32 {
            let now = now + Duration::from_secs(u64::from(count));
            logins.note(&user(&format!("user{count}")), now, &delays);
            assert!(logins.0.lock().unwrap().at.len() <= SWEPT_AT);
        }
    }

    #[test]
    fn before_login_the_longest_is_told_and_whether_they_differ() {
        let told = |seconds, differs| Some(LoginDelay { seconds, differs });
        let ann = user("ann");
        for (all, of, before, after) in [
            (0, &[][..], None, None),
            (60, &[], told(60, false), told(60, false)),
            (60, &[("ann", 60)], told(60, false), told(60, false)),
            (60, &[("ann", 0)], told(60, true), told(0, false)),
            (0, &[("ann", 0)], None, None),
            (0, &[("ann", 90)], told(90, true), told(90, false)),
            (60, &[("bob", 90)], told(90, true), told(60, false)),
        ] {
            let delays = delays(all, of);
            assert_eq!((delays.told_to_all(), delays.told_to(&ann)), (before, after), "{all} {of:?}");
        }
        let parts = LoginDelays { all: Duration::from_millis(1), ..LoginDelays::default() };
        assert_eq!(parts.told_to_all(), told(1, false));
    }
}

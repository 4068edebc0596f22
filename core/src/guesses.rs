//! What failed logins cost whoever guesses: the address they come from, and the account they are for.
//!
//! Answers to failures take longer and longer, and after too many of them the address is refused for a while. An
//! account is never refused: its owner would be shut out by a stranger. Nothing here waits or knows the time; the
//! connection holds its answer back by a deadline.

mod shards;
mod table;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use self::shards::Shards;
use self::table::{Counted, Terms};
use crate::nets::CountedAddress;
use crate::settings::FailedLogins;

/// Addresses, and accounts, whose failures are remembered: where there are as many, 16 MiB of memory in all.
const REMEMBERED: usize = 32 * 1024;

/// Doublings of the delay after a failed login; more would only keep a descriptor.
pub(crate) const DELAY_DOUBLINGS_MAX: u32 = 4;

/// What a client hears whose address is refused.
pub(crate) const FAILED_LOGINS: &str = "too many failed logins from your address, wait and try again later";

/// The failed logins of a while, for all threads.
pub(crate) struct Guesses {
    addresses: Shards<CountedAddress>,
    /// By a code of the name that nobody outside can make: names may be long, and need not be those of accounts.
    accounts: Shards<u64>,
    codes: RandomState,
}

/// What a failed login costs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Penalty {
    /// How often the delay of the answer is doubled.
    pub(crate) doublings: u32,
    /// The address is refused from here on, after so many failures.
    pub(crate) refused_after: Option<u32>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            addresses: Shards::new(REMEMBERED),
            accounts: Shards::new(REMEMBERED),
            codes: RandomState::new(),
        }
    }
}

impl Guesses {
    /// Counts a failed login for its address and, where one was named, its account.
    pub(crate) fn fail(
        &self,
        address: CountedAddress,
        account: &[u8],
        now: Instant,
        rules: &FailedLogins,
    ) -> Penalty {
        let &FailedLogins { period, refused_after, refused_for, .. } = rules;
        let terms = Terms { period, refused_after, refused_for };
        let mut penalty = Penalty::default();
        match self.addresses.of(&address).fail(address, now, &terms) {
            Counted::Failures(count) => penalty.doublings = doublings(count, rules),
            Counted::Refused(count) => {
                penalty = Penalty { doublings: DELAY_DOUBLINGS_MAX, refused_after: Some(count) };
            }
            Counted::Still => penalty.doublings = DELAY_DOUBLINGS_MAX,
        }
        if !account.is_empty() {
            let code = self.codes.hash_one(account);
            let terms = Terms { refused_after: None, ..terms };
            if let Counted::Failures(count) = self.accounts.of(&code).fail(code, now, &terms) {
                penalty.doublings = penalty.doublings.max(doublings(count, rules));
            }
        }
        penalty
    }

    /// A right login: whoever is at that address belongs here. What failed for the account is not forgotten, or its
    /// owner's polling would be a guesser's fresh start; it delays wrong answers only.
    pub(crate) fn forgive(&self, address: CountedAddress) {
        self.addresses.of(&address).forgive(&address);
    }

    /// The addresses that are refused (IPv6: the first of the /64), and until when.
    pub(crate) fn refused(&self, now: Instant) -> Vec<(IpAddr, Instant)> {
        let refused = |(address, until): (CountedAddress, Instant)| (address.first(), until);
        self.addresses.all().flat_map(|table| table.refused(now).map(refused).collect::<Vec<_>>()).collect()
    }

    /// Ends the refusal of an address; whether there was one.
    pub(crate) fn admit(&self, address: CountedAddress, now: Instant) -> bool {
        self.addresses.of(&address).admit(&address, now)
    }

    /// Whether nobody at that address may log in.
    pub(crate) fn is_refused(&self, address: CountedAddress, now: Instant) -> bool {
        self.addresses.of(&address).is_refused(&address, now)
    }
}

/// How often the delay of an answer is doubled after so many failures.
fn doublings(failures: u32, rules: &FailedLogins) -> u32 {
    failures.saturating_sub(rules.undelayed).min(DELAY_DOUBLINGS_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RULES: FailedLogins = FailedLogins {
        period: Duration::from_secs(600),
        undelayed: 10,
        refused_after: Some(100),
        refused_for: Duration::from_secs(600),
    };

    fn address(text: &str) -> CountedAddress {
        CountedAddress::of(text.parse().unwrap())
    }

    fn doublings_of(guesses: &Guesses, from: &str, account: &str, now: Instant) -> u32 {
        guesses.fail(address(from), account.as_bytes(), now, &RULES).doublings
    }

    #[test]
    fn the_rules_are_those_of_the_settings() {
        assert_eq!(FailedLogins::default(), RULES);
    }

    #[test]
    fn a_handful_of_failures_costs_an_address_nothing_and_each_further_one_more() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let costs: Vec<_> =
            (0..16).map(|count| doublings_of(&guesses, "192.0.2.7", &format!("user{count}"), now)).collect();
        assert_eq!(costs, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 4, 4]);
        assert_eq!(doublings_of(&guesses, "192.0.2.8", "somebody", now), 0);
        guesses.forgive(address("192.0.2.7"));
        assert_eq!(doublings_of(&guesses, "192.0.2.7", "somebody", now), 0);
    }

    #[test]
    fn an_account_is_remembered_wherever_its_failures_come_from_and_never_refused() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let mut last = 0;
        for host in 0..200 {
            let from = format!("192.0.2.{host}");
            assert_eq!(guesses.fail(address(&from), b"", now, &RULES), Penalty::default());
            let penalty = guesses.fail(address(&from), b"user", now, &RULES);
            assert_eq!(penalty.refused_after, None);
            assert!(penalty.doublings >= last, "{host}");
            last = penalty.doublings;
            // A right login of that address is none of the others.
            guesses.forgive(address(&from));
        }
        assert_eq!(last, DELAY_DOUBLINGS_MAX);
    }

    #[test]
    fn an_address_is_refused_once_for_all_that_one_client_has_of_it() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let mut refusals = Vec::new();
        for host in 1..=120 {
            // Each another address of one /64.
            let from = address(&format!("2001:db8::{host:x}"));
            assert_eq!(guesses.is_refused(from, now), host > 100);
            refusals.extend(guesses.fail(from, b"user", now, &RULES).refused_after);
        }
        assert_eq!(refusals, [100]);
        assert_eq!(guesses.refused(now), [("2001:db8::".parse().unwrap(), now + RULES.refused_for)]);
        assert!(!guesses.is_refused(address("2001:db8:0:1::1"), now));
        assert!(!guesses.is_refused(address("2001:db8::1"), now + RULES.refused_for));
        assert!(guesses.admit(address("2001:db8::ffff"), now));
        assert!(!guesses.is_refused(address("2001:db8::1"), now));
        assert_eq!(guesses.refused(now), []);
    }
}

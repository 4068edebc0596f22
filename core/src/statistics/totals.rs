//! Sums of all counters by their OpenMetrics names, as text too, so that they outlive the process.

use std::collections::BTreeMap;
use std::fmt::Write;

use pop3d_protocol::pop3::COUNTED;

use super::Counters;

const CONNECTIONS: &str = "pop3d_connections_total";
const REFUSED: &str = "pop3d_connections_refused_total";
const LOGINS: &str = "pop3d_logins_total{result=\"ok\"}";
const LOGINS_WRONG: &str = "pop3d_logins_total{result=\"wrong_credentials\"}";
const LOGINS_IN_USE: &str = "pop3d_logins_total{result=\"in_use\"}";
const LOGINS_TOO_SOON: &str = "pop3d_logins_total{result=\"too_soon\"}";
const LOGINS_UNAVAILABLE: &str = "pop3d_logins_total{result=\"unavailable\"}";
const HANDSHAKES: &str = "pop3d_tls_handshakes_total{result=\"ok\"}";
const HANDSHAKES_FAILED: &str = "pop3d_tls_handshakes_total{result=\"failed\"}";
const OCTETS_RECEIVED: &str = "pop3d_received_octets_total";
const OCTETS_SENT: &str = "pop3d_sent_octets_total";
const OCTETS_ANSWERED: &str = "pop3d_answered_octets_total";
const RETRIEVED: &str = "pop3d_messages_sent_total{command=\"RETR\"}";
const TOPPED: &str = "pop3d_messages_sent_total{command=\"TOP\"}";
const REMOVED: &str = "pop3d_messages_removed_total";
const TRANSFORMS_FAILED: &str = "pop3d_transforms_failed_total";

/// Numbers by their names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Totals(BTreeMap<String, u64>);

impl Totals {
    /// Adds what a worker has counted.
    pub fn add_counters(&mut self, counters: &Counters) {
        for (name, counter) in [
            (CONNECTIONS, &counters.connections),
            (REFUSED, &counters.refused),
            (LOGINS, &counters.logins),
            (LOGINS_WRONG, &counters.logins_wrong),
            (LOGINS_IN_USE, &counters.logins_in_use),
            (LOGINS_TOO_SOON, &counters.logins_too_soon),
            (LOGINS_UNAVAILABLE, &counters.logins_unavailable),
            (HANDSHAKES, &counters.handshakes),
            (HANDSHAKES_FAILED, &counters.handshakes_failed),
            (OCTETS_RECEIVED, &counters.octets_received),
            (OCTETS_SENT, &counters.octets_sent),
            (OCTETS_ANSWERED, &counters.octets_answered),
            (RETRIEVED, &counters.messages_retrieved),
            (TOPPED, &counters.messages_topped),
            (REMOVED, &counters.messages_removed),
            (TRANSFORMS_FAILED, &counters.transforms_failed),
        ] {
            self.add(name, counter.value());
        }
        for (name, counter) in COUNTED.iter().zip(&counters.commands) {
            self.add(&format!("pop3d_commands_total{{command=\"{name}\"}}"), counter.value());
        }
    }

    fn add(&mut self, name: &str, value: u64) {
        match self.0.get_mut(name) {
            Some(known) => *known = known.saturating_add(value),
            None => drop(self.0.insert(name.to_owned(), value)),
        }
    }

    /// Puts a number by another name.
    pub(crate) fn put(&mut self, name: String, value: u64) {
        self.0.insert(name, value);
    }

    /// Takes out the numbers whose names begin so.
    pub(crate) fn take(&mut self, beginning: &str) -> Vec<(String, u64)> {
        self.0.extract_if(.., |name, _| name.starts_with(beginning)).collect()
    }

    fn value(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Each name with its number.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, &value)| (name.as_str(), value))
    }

    /// Connections ever.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.value(CONNECTIONS)
    }

    /// Logins ever.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.value(LOGINS)
    }

    /// Octets sent as answers to commands.
    #[must_use]
    pub fn octets_answered(&self) -> u64 {
        self.value(OCTETS_ANSWERED)
    }

    /// Messages sent whole by RETR.
    #[must_use]
    pub fn messages_retrieved(&self) -> u64 {
        self.value(RETRIEVED)
    }

    /// Messages removed in UPDATE.
    #[must_use]
    pub fn messages_removed(&self) -> u64 {
        self.value(REMOVED)
    }

    /// Reads what `to_text` wrote. Names that nothing counts by any more are kept.
    ///
    /// # Errors
    /// The number of the first line that is wrong, from 1, and what is wrong with it.
    pub fn from_text(text: &str) -> Result<Self, (usize, String)> {
        let mut totals = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let named = line.rsplit_once(' ').filter(|(name, _)| !name.is_empty() && !name.contains(' '));
            let (name, value) = named.ok_or_else(|| (number, "it is no name and number".to_owned()))?;
            let is_number = value.bytes().all(|octet| octet.is_ascii_digit());
            let value = value.parse().ok().filter(|_| is_number);
            totals.add(name, value.ok_or_else(|| (number, "the number is none".to_owned()))?);
        }
        Ok(totals)
    }

    /// A line for each name.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.iter() {
            // Writing into memory does not fail.
            let _ = writeln!(text, "{name} {value}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(numbers in prop::collection::btree_map("[a-z_]{1,20}(\\{[a-z]=\"[A-Z]\"\\})?", any::<u64>(), 0..20)) {
            let totals = Totals(numbers);
            prop_assert_eq!(Totals::from_text(&totals.to_text()), Ok(totals));
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for line in ["x", "x y", "x -1", "x +1", "x y 1", " 1", "x 99999999999999999999"] {
            assert_eq!(Totals::from_text(&format!("a 1\n{line}\n")).unwrap_err().0, 2, "{line}");
        }
    }

    #[test]
    fn what_was_counted_before_is_added_to() {
        let counters = Counters::default();
        counters.logins.add(3);
        counters.commands[0].add(2);
        let mut totals = Totals::from_text(&format!("{LOGINS} 4\nforgotten 1\n")).unwrap();
        totals.add_counters(&counters);
        assert_eq!(totals.logins(), 7);
        assert_eq!(totals.value("pop3d_commands_total{command=\"USER\"}"), 2);
        assert_eq!(totals.value("forgotten"), 1);
    }
}

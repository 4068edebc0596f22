//! Counts of failures, each forgotten after a while. Bounded; it has no clock: the caller says what time it is.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Entries whose time is over that one failure removes at most: more than one, so that the table shrinks, and few, so
/// that nobody waits for it.
const FORGOTTEN_AT_ONCE: usize = 8;

/// How failures are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How long failures count, from the first one.
    pub(super) period: Duration,
    /// The failure within a period that a refusal begins with; none: it never begins.
    pub(super) refused_after: Option<u32>,
    /// How long the refusal lasts.
    pub(super) refused_for: Duration,
}

/// What a failure came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Counted {
    /// So many within the period, this one included.
    Failures(u32),
    /// So many: the refusal begins.
    Refused(u32),
    /// It came while the refusal lasts, which it does not make longer.
    Still,
}

/// Failures by whom they are counted for.
pub(super) struct Table<K> {
    entries: HashMap<K, Entry>,
    /// The same keys by when they are forgotten: where there is no room, the first of them gives way.
    ends: BTreeSet<(Instant, K)>,
    /// entries.len() == ends.len() <= capacity
    capacity: usize,
}

struct Entry {
    /// When it is forgotten.
    until: Instant,
    state: State,
}

enum State {
    Failures(u32),
    Refused,
}

impl<K: Copy + Eq + Hash + Ord> Table<K> {
    /// An empty table of at most `capacity` entries, which must not be 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), ends: BTreeSet::new(), capacity }
    }

    /// Counts a failure.
    pub(super) fn fail(&mut self, key: K, now: Instant, terms: &Terms) -> Counted {
        self.forget_some(now);
        let known = self.remove(&key).filter(|entry| entry.until > now);
        let (until, before) = match known {
            None => (now + terms.period, 0),
            Some(Entry { until, state: State::Failures(count) }) => (until, count),
            Some(entry @ Entry { state: State::Refused, .. }) => {
                self.insert(key, entry);
                return Counted::Still;
            }
        };
        let count = before.saturating_add(1);
        if terms.refused_after.is_some_and(|after| count >= after) {
            self.insert(key, Entry { until: now + terms.refused_for, state: State::Refused });
            return Counted::Refused(count);
        }
        self.insert(key, Entry { until, state: State::Failures(count) });
        Counted::Failures(count)
    }

    /// Forgets the failures of `key`; a refusal that has begun goes on.
    pub(super) fn forgive(&mut self, key: &K) {
        if let Some(Entry { state: State::Failures(_), .. }) = self.entries.get(key) {
            self.remove(key);
        }
    }

    /// Whether `key` is refused.
    pub(super) fn is_refused(&self, key: &K, now: Instant) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| matches!(entry.state, State::Refused) && entry.until > now)
    }

    /// Ends the refusal of `key`; whether there was one.
    pub(super) fn admit(&mut self, key: &K, now: Instant) -> bool {
        let was_refused = self.is_refused(key, now);
        if was_refused {
            self.remove(key);
        }
        was_refused
    }

    /// Who is refused, and until when: the first to end comes first.
    pub(super) fn refused(&self, now: Instant) -> impl Iterator<Item = (K, Instant)> {
        let ends = self.ends.iter().filter(move |(_, key)| self.is_refused(key, now));
        ends.map(|&(until, key)| (key, until))
    }

    fn forget_some(&mut self, now: Instant) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            match self.ends.first() {
                Some(&(until, key)) if until <= now => self.remove(&key),
                Some(_) | None => return,
            };
        }
    }

    fn insert(&mut self, key: K, entry: Entry) {
        while self.entries.len() >= self.capacity
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.entries.remove(&first);
        }
        self.ends.insert((entry.until, key));
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &K) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.ends.remove(&(entry.until, *key));
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TERMS: Terms = Terms {
        period: Duration::from_secs(10),
        refused_after: Some(3),
        refused_for: Duration::from_secs(20),
    };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn failures_count_from_the_first_one_for_a_period() {
        let (start, mut table) = (Instant::now(), Table::new(10));
        assert_eq!(table.fail('a', start, &TERMS), Counted::Failures(1));
        assert_eq!(table.fail('a', start + seconds(9), &TERMS), Counted::Failures(2));
        assert_eq!(table.fail('b', start + seconds(9), &TERMS), Counted::Failures(1));
        // The period is over for one of them.
        assert_eq!(table.fail('a', start + seconds(10), &TERMS), Counted::Failures(1));
        assert_eq!(table.fail('b', start + seconds(10), &TERMS), Counted::Failures(2));
    }

    #[test]
    fn a_refusal_lasts_its_time_whatever_comes_meanwhile() {
        let (start, mut table) = (Instant::now(), Table::new(10));
        for count in 1..3 {
            assert_eq!(table.fail('a', start, &TERMS), Counted::Failures(count));
            assert!(!table.is_refused(&'a', start));
        }
        assert_eq!(table.fail('a', start, &TERMS), Counted::Refused(3));
        assert_eq!(table.fail('a', start + seconds(19), &TERMS), Counted::Still);
        table.forgive(&'a');
        assert!(table.is_refused(&'a', start + seconds(19)));
        assert!(!table.is_refused(&'b', start));
        assert!(!table.is_refused(&'a', start + seconds(20)));
        assert_eq!(table.fail('a', start + seconds(20), &TERMS), Counted::Failures(1));
    }

    #[test]
    fn who_is_refused_is_told_and_can_be_let_in_again() {
        let (start, mut table) = (Instant::now(), Table::new(10));
        for (after, key) in ['c', 'a', 'b'].into_iter().enumerate() {
            for _ in 0..if key == 'b' { 2 } else { 3 } {
                table.fail(key, start + seconds(after as u64), &TERMS);
            }
        }
        let refused = |table: &Table<char>, now| table.refused(now).collect::<Vec<_>>();
        assert_eq!(refused(&table, start), [('c', start + seconds(20)), ('a', start + seconds(21))]);
        assert_eq!(refused(&table, start + seconds(20)), [('a', start + seconds(21))]);
        // Neither whose refusal is over, nor who only failed.
        assert!(!table.admit(&'c', start + seconds(20)) && !table.admit(&'b', start));
        assert!(table.admit(&'a', start) && !table.admit(&'a', start));
        assert_eq!(refused(&table, start), [('c', start + seconds(20))]);
        assert_eq!(table.fail('a', start, &TERMS), Counted::Failures(1));
    }

    #[test]
    fn what_is_forgiven_counts_from_the_beginning() {
        let (start, mut table) = (Instant::now(), Table::new(10));
        table.fail('a', start, &TERMS);
        table.forgive(&'a');
        assert!(table.entries.is_empty() && table.ends.is_empty());
        assert_eq!(table.fail('a', start, &TERMS), Counted::Failures(1));
    }

    #[test]
    fn a_full_table_forgets_what_it_would_forget_first() {
        let (start, mut table) = (Instant::now(), Table::new(3));
        for (after, key) in ['a', 'b', 'c', 'd'].into_iter().enumerate() {
            table.fail(key, start + seconds(after as u64), &TERMS);
        }
        assert_eq!(table.entries.len(), 3);
        assert_eq!(table.fail('b', start + seconds(4), &TERMS), Counted::Failures(2));
        assert_eq!(table.fail('a', start + seconds(4), &TERMS), Counted::Failures(1));
        // It took the place of the oldest.
        assert_eq!(table.fail('b', start + seconds(4), &TERMS), Counted::Failures(1));
    }

    #[test]
    fn what_is_over_leaves_the_table_while_others_come() {
        let (start, mut table) = (Instant::now(), Table::new(1000));
        for key in 0..500 {
            table.fail(key, start, &TERMS);
        }
        for key in 1000..1100 {
            table.fail(key, start + seconds(10), &TERMS);
        }
        assert_eq!((table.entries.len(), table.ends.len()), (100, 100));
    }

    /// The slow twin: a list, of which what is over is removed before each step.
    struct Twin(Vec<(Instant, u8, Option<u32>)>);

    impl Twin {
        fn fail(&mut self, key: u8, now: Instant, capacity: usize) -> Counted {
            self.0.retain(|&(until, _, _)| until > now);
            let found = self.0.iter().position(|&(_, known, _)| known == key);
            let (until, count) = match found.map(|index| self.0.remove(index)) {
                None => (now + TERMS.period, 1),
                Some((until, _, Some(count))) => (until, count + 1),
                Some(refused @ (_, _, None)) => {
                    self.0.push(refused);
                    return Counted::Still;
                }
            };
            if self.0.len() == capacity {
                self.0.sort_unstable();
                self.0.remove(0);
            }
            if count >= 3 {
                self.0.push((now + TERMS.refused_for, key, None));
                return Counted::Refused(count);
            }
            self.0.push((until, key, Some(count)));
            Counted::Failures(count)
        }
    }

    proptest! {
        #[test]
        fn the_table_is_a_list_that_forgets(
            capacity in 1_usize..6,
            steps in proptest::collection::vec((0_u64..4, 0_u8..8, 0_u8..10), 0..200),
        ) {
            let (mut now, mut table, mut twin) = (Instant::now(), Table::new(capacity), Twin(Vec::new()));
            for (passed, key, step) in steps {
                now += seconds(passed);
                if step == 0 {
                    table.forgive(&key);
                    twin.0.retain(|&(_, known, count)| known != key || count.is_none());
                } else {
                    prop_assert_eq!(table.fail(key, now, &TERMS), twin.fail(key, now, capacity));
                }
                for key in 0..8 {
                    let refused = twin.0.iter().any(|&(until, known, count)| {
                        known == key && count.is_none() && until > now
                    });
                    prop_assert_eq!(table.is_refused(&key, now), refused);
                }
                prop_assert!(table.entries.len() <= capacity);
                prop_assert_eq!(table.entries.len(), table.ends.len());
            }
        }
    }
}

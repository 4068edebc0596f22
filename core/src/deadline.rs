//! The deadlines of one worker: one queue for all its connections, no timer for each.
//!
//! A deadline belongs to a slot, and one that moves away leaves its entry where it is: when that falls due, the worker asks
//! whoever is in the slot by then, and puts it back. So a command costs the queue nothing, nor does a session that ends
//! before its time, and the queue does not grow with the sessions that there have been.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Bits of an entry that name its slot, of which a worker has no more than descriptors; the others count milliseconds, for
/// more than thirty years.
const SLOT_BITS: u32 = 24;
const SLOTS: u64 = 1 << SLOT_BITS;

/// A time in milliseconds since the beginning, and a slot below it: entries are in the order of their times.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Entry(u64);

/// Slots by the time at which they are to be looked at.
pub(crate) struct Deadlines {
    beginning: Instant,
    entries: BinaryHeap<Reverse<Entry>>,
    /// The earliest entry of each slot, which is the one that counts; none: `Entry::NONE`.
    earliest: Vec<Entry>,
}

impl Entry {
    /// Later than all others.
    const NONE: Self = Self(u64::MAX);

    fn new(milliseconds: u64, slot: u32) -> Self {
        debug_assert!(u64::from(slot) < SLOTS);
        Self(milliseconds << SLOT_BITS | u64::from(slot) & (SLOTS - 1))
    }

    fn milliseconds(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    fn slot(self) -> u32 {
        u32::try_from(self.0 & (SLOTS - 1)).unwrap_or_default()
    }
}

impl Deadlines {
    /// None, from this time on.
    pub(crate) fn new(beginning: Instant) -> Self {
        Self { beginning, entries: BinaryHeap::new(), earliest: Vec::new() }
    }

    /// Has a slot looked at when `due` comes, or before.
    pub(crate) fn push(&mut self, due: Instant, slot: u32) {
        // Never before its time: a part of a millisecond counts as a whole one.
        let since = due.saturating_duration_since(self.beginning) + Duration::from_nanos(999_999);
        let entry = Entry::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX >> SLOT_BITS), slot);
        let place = slot as usize;
        if self.earliest.len() <= place {
            self.earliest.resize(place + 1, Entry::NONE);
        }
        if entry < self.earliest[place] {
            self.earliest[place] = entry;
            self.entries.push(Reverse(entry));
        }
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse(entry)| self.time_of(*entry))
    }

    /// Takes one that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        while self.next_due()? <= now {
            let Reverse(entry) = self.entries.pop()?;
            let earliest = self.earliest.get_mut(entry.slot() as usize)?;
            // One that was overtaken by an earlier one says nothing.
            if *earliest == entry {
                *earliest = Entry::NONE;
                return Some(entry.slot());
            }
        }
        None
    }

    fn time_of(&self, entry: Entry) -> Instant {
        self.beginning + Duration::from_millis(entry.milliseconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_due_comes_out_and_the_earliest_first() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::new(start);
        deadlines.push(after(2), 1);
        deadlines.push(after(3), 2);
        deadlines.push(after(1), 0);
        assert_eq!(deadlines.next_due(), Some(after(1)));
        assert_eq!(deadlines.pop_due(start), None);
        assert_eq!(deadlines.pop_due(after(2)), Some(0));
        assert_eq!(deadlines.pop_due(after(2)), Some(1));
        assert_eq!(deadlines.pop_due(after(2)), None);
        assert_eq!(deadlines.pop_due(after(3)), Some(2));
        assert_eq!(deadlines.next_due(), None);
    }

    #[test]
    fn no_deadline_comes_before_its_time() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        let due = start + Duration::from_micros(1_000_001);
        deadlines.push(due, 0);
        assert_eq!(deadlines.pop_due(due - Duration::from_micros(1)), None);
        assert!(deadlines.next_due().is_some_and(|next| next >= due));
        assert_eq!(deadlines.pop_due(due + Duration::from_millis(1)), Some(0));
    }

    #[test]
    fn sessions_that_follow_one_another_in_a_slot_leave_no_entries_behind() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut deadlines = Deadlines::new(start);
        for session in 0..100_000 {
            // Before login, after it, and at the end.
            for limit in [60_000, 600_000, 2_000] {
                deadlines.push(after(session + limit), 7);
            }
            while let Some(slot) = deadlines.pop_due(after(session)) {
                assert_eq!(slot, 7);
                deadlines.push(after(session + 600_000), slot);
            }
            assert!(deadlines.entries.len() < 100, "{} entries", deadlines.entries.len());
        }
    }

    #[test]
    fn the_earliest_of_a_slot_counts_whatever_was_said_before() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::new(start);
        for seconds in [5, 9, 3, 4] {
            deadlines.push(after(seconds), 0);
        }
        assert_eq!(deadlines.pop_due(after(3)), Some(0));
        assert_eq!(deadlines.pop_due(after(9)), None, "who is asked says when to be asked again");
        deadlines.push(after(10), 0);
        assert_eq!(deadlines.pop_due(after(10)), Some(0));
    }
}

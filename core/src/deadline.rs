//! The deadlines of one worker: one queue for all its connections, no timer for each.
//!
//! A deadline that moves away leaves its entry where it is: when that falls due, the worker asks the connection and
//! puts it back. So a command costs the queue nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::token::Key;

/// Connections by the time at which they are to be looked at.
#[derive(Default)]
pub(crate) struct Deadlines(BinaryHeap<Reverse<(Instant, Key)>>);

impl Deadlines {
    /// Has `key` looked at when `due` comes.
    pub(crate) fn push(&mut self, due: Instant, key: Key) {
        self.0.push(Reverse((due, key)));
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes one that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        if self.next_due()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, key))| key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::token::Slots;

    #[test]
    fn only_what_is_due_comes_out_and_the_earliest_first() {
        let mut slots = Slots::new();
        let (first, second, third) = (slots.insert(()), slots.insert(()), slots.insert(()));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.push(after(2), second);
        deadlines.push(after(3), third);
        deadlines.push(after(1), first);
        assert_eq!(deadlines.next_due(), Some(after(1)));
        assert_eq!(deadlines.pop_due(start), None);
        assert_eq!(deadlines.pop_due(after(2)), Some(first));
        assert_eq!(deadlines.pop_due(after(2)), Some(second));
        assert_eq!(deadlines.pop_due(after(2)), None);
    }
}

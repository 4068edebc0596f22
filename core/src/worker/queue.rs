//! Whose turn is next: who has said something and waits for the answer, before transfers that go on.

use std::collections::VecDeque;

use crate::connection::Work;
use crate::token::Key;

/// Turns of those who wait for an answer that take about as long as one of a transfer: for so many a transfer has one turn
/// more, so that neither kind starves the other.
const SHORT_PER_LONG: usize = 8;

/// Connections that want a turn, each once, in the order in which they came.
#[derive(Default)]
pub(super) struct Ready {
    short: VecDeque<Key>,
    long: VecDeque<Key>,
}

/// The turns between two looks at the events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Round {
    short: usize,
    long: usize,
}

impl Ready {
    /// Somebody wants a turn.
    pub(super) fn push(&mut self, key: Key, work: Work) {
        match work {
            Work::Short => self.short.push_back(key),
            Work::Long => self.long.push_back(key),
        }
    }

    /// Whether nobody does.
    pub(super) fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    /// Begins a round: one turn for everybody who waits for an answer now, and at least one of a transfer. More of those
    /// would have the next command wait for all of them.
    pub(super) fn round(&self) -> Round {
        let short = self.short.len();
        Round { short, long: self.long.len().min(1 + short / SHORT_PER_LONG) }
    }

    /// Who has the next turn of a round; none: the round is over.
    pub(super) fn next(&mut self, round: &mut Round) -> Option<Key> {
        if let Some(left) = round.short.checked_sub(1) {
            round.short = left;
            return self.short.pop_front();
        }
        round.long = round.long.checked_sub(1)?;
        self.long.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Slots;

    fn keys(count: usize) -> Vec<Key> {
        let mut slots = Slots::new();
        (0..count).map(|_| slots.insert(())).collect()
    }

    /// The keys of a round, each of which wants another turn at once.
    fn play(ready: &mut Ready, work: impl Fn(Key) -> Work) -> Vec<Key> {
        let mut round = ready.round();
        let mut turns = Vec::new();
        while let Some(key) = ready.next(&mut round) {
            turns.push(key);
            ready.push(key, work(key));
        }
        turns
    }

    #[test]
    fn a_command_waits_for_one_share_of_one_transfer_however_many_there_are() {
        let keys = keys(101);
        let (client, transfers) = (keys[100], &keys[..100]);
        let mut ready = Ready::default();
        for &key in transfers {
            ready.push(key, Work::Long);
        }
        for &transfer in transfers {
            ready.push(client, Work::Short);
            assert_eq!(play(&mut ready, |_| Work::Long)[..2], [client, transfer]);
            ready.long.retain(|&key| key != client);
        }
    }

    #[test]
    fn neither_commands_nor_transfers_wait_for_ever() {
        let keys = keys(60);
        let work = |key| if keys[..50].contains(&key) { Work::Short } else { Work::Long };
        let mut ready = Ready::default();
        for &key in &keys {
            ready.push(key, work(key));
        }
        let turns: Vec<_> = (0..10).flat_map(|_| play(&mut ready, work)).collect();
        for key in &keys {
            let count = turns.iter().filter(|&turn| turn == key).count();
            // Ten rounds of seven turns for ten transfers.
            assert_eq!(count, if work(*key) == Work::Short { 10 } else { 7 });
        }
        assert!(!ready.is_empty());
    }
}

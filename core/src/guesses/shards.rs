//! A table in parts, each with a lock of its own: whoever holds one of them holds up few others, and not for long, for a
//! part that grows or is searched is small.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::table::Table;

/// Parts: more than there are workers on most machines, and none of them worth a thought of memory.
const PARTS: usize = 128;

/// Failures by whom they are counted for.
pub(super) struct Shards<K> {
    parts: Box<[Mutex<Table<K>>]>,
    /// Nobody outside can tell which part a key is in, and so fill one.
    codes: RandomState,
}

impl<K: Copy + Eq + Hash + Ord> Shards<K> {
    /// Empty parts, for `capacity` entries in all.
    pub(super) fn new(capacity: usize) -> Self {
        let part = || Mutex::new(Table::new((capacity / PARTS).max(1)));
        Self { parts: std::iter::repeat_with(part).take(PARTS).collect(), codes: RandomState::new() }
    }

    /// The part that a key is in, for this thread alone.
    pub(super) fn of(&self, key: &K) -> MutexGuard<'_, Table<K>> {
        #[allow(clippy::cast_possible_truncation, reason = "it is less than PARTS")]
        let place = (self.codes.hash_one(key) % PARTS as u64) as usize;
        lock(&self.parts[place])
    }

    /// Each part in turn.
    pub(super) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Table<K>>> {
        self.parts.iter().map(lock)
    }
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole between any two steps.
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Counters per worker, without contention; summed when asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one worker counts. Aligned so that no two workers share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Connections ever accepted.
    pub connections: Counter,
    /// Logins ever.
    pub logins: Counter,
    /// Failed logins ever.
    pub failed_logins: Counter,
    /// Octets sent to clients.
    pub octets_sent: Counter,
    /// Messages sent whole, termination octet included.
    pub messages_retrieved: Counter,
    /// Messages removed in UPDATE.
    pub messages_removed: Counter,
    /// Messages that a transform failed.
    pub transforms_failed: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the number.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

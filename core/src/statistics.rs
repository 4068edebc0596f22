//! Counters per worker, without contention; summed when asked, and kept over restarts.

mod totals;

use std::sync::atomic::{AtomicU64, Ordering};

use pop3d_protocol::pop3::{COUNTED, Counts};

pub use self::totals::Totals;

/// What one worker counts. Aligned so that no two workers share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Connections ever accepted.
    pub connections: Counter,
    /// Clients that were turned away.
    pub refused: Counter,
    /// Logins ever.
    pub logins: Counter,
    /// Logins that failed for wrong credentials.
    pub logins_wrong: Counter,
    /// Logins that failed because the maildrop was in use.
    pub logins_in_use: Counter,
    /// Logins that failed because they came too soon after the last.
    pub logins_too_soon: Counter,
    /// Logins that failed because the maildrop could not be opened.
    pub logins_unavailable: Counter,
    /// TLS handshakes that came to their end.
    pub handshakes: Counter,
    /// Those that did not.
    pub handshakes_failed: Counter,
    /// Octets that clients sent.
    pub octets_received: Counter,
    /// Octets sent to clients.
    pub octets_sent: Counter,
    /// Those of them that were answers to commands: greetings are not.
    pub octets_answered: Counter,
    /// Messages sent whole by RETR, termination octet included.
    pub messages_retrieved: Counter,
    /// Answers to TOP, termination octet included.
    pub messages_topped: Counter,
    /// Messages removed in UPDATE.
    pub messages_removed: Counter,
    /// Messages that a transform failed.
    pub transforms_failed: Counter,
    /// Commands, as `COUNTED` names them.
    pub commands: [Counter; COUNTED.len()],
}

/// A number that only grows, but for what was counted too early.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the number.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What was counted before it happened was another number.
    pub(crate) fn correct(&self, counted: u64, happened: u64) {
        if happened >= counted {
            self.add(happened - counted);
        } else {
            self.0.fetch_sub(counted - happened, Ordering::Relaxed);
        }
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Adds what a session has counted.
    pub(crate) fn add_commands(&self, counts: &Counts) {
        for (counter, &count) in self.commands.iter().zip(counts) {
            if count > 0 {
                counter.add(u64::from(count));
            }
        }
    }
}

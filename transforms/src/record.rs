//! What a transform has by its name, and keeps over all its generations: counts, its last error, the queue before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pop3d_core::transform::histogram::Histogram;
use pop3d_core::transform::{Error, TransformStatistics};

use crate::queue::Queue;

/// Octets that are kept of a last error.
const LAST_ERROR_MAX: usize = 400;

#[derive(Default)]
pub(crate) struct Record {
    /// One for all generations, so that together they are no more than may run.
    pub(crate) queue: Arc<Queue>,
    messages: AtomicU64,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    passed: AtomicU64,
    cpu_microseconds: AtomicU64,
    durations: Histogram,
    /// Messages in the pool; those of programs are counted by the queue.
    in_pool: AtomicU64,
    /// Empty: there was none.
    last_error: Mutex<String>,
}

impl Record {
    /// A message begins.
    pub(crate) fn count_message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// A message is in the hands of the pool.
    pub(crate) fn begin(&self) {
        self.in_pool.fetch_add(1, Ordering::Relaxed);
    }

    /// It is so no more.
    pub(crate) fn end(&self) {
        self.in_pool.fetch_sub(1, Ordering::Relaxed);
    }

    /// A message failed; `reason` is what the log says of it, with the user.
    pub(crate) fn count_failure(&self, error: &Error, mut reason: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if matches!(error, Error::TimedOut(_)) {
            self.timed_out.fetch_add(1, Ordering::Relaxed);
        }
        reason.truncate(reason.floor_char_boundary(LAST_ERROR_MAX));
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// It could not be loaded.
    pub(crate) fn note_error(&self, mut reason: String) {
        reason.truncate(reason.floor_char_boundary(LAST_ERROR_MAX));
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// A message that failed goes on without the transform.
    pub(crate) fn count_passed(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    /// A message is over.
    pub(crate) fn add_octets(&self, consumed: u64, produced: u64) {
        self.octets_in.fetch_add(consumed, Ordering::Relaxed);
        self.octets_out.fetch_add(produced, Ordering::Relaxed);
    }

    /// Processor time was used.
    pub(crate) fn add_cpu(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.cpu_microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// A message is over, which took so long.
    pub(crate) fn add_duration(&self, time: Duration) {
        self.durations.add(time);
    }

    pub(crate) fn statistics(&self) -> TransformStatistics {
        let (running, queued) = self.queue.counts();
        TransformStatistics {
            messages: self.messages.load(Ordering::Relaxed),
            bytes_in: self.octets_in.load(Ordering::Relaxed),
            bytes_out: self.octets_out.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
            passed: self.passed.load(Ordering::Relaxed),
            running: running as u64 + self.in_pool.load(Ordering::Relaxed),
            queued: queued as u64,
            cpu: Duration::from_micros(self.cpu_microseconds.load(Ordering::Relaxed)),
            durations: self.durations.durations(),
        }
    }

    /// Adds what was counted in earlier processes.
    pub(crate) fn restore(&self, before: &TransformStatistics) {
        for (counter, value) in [
            (&self.messages, before.messages),
            (&self.octets_in, before.bytes_in),
            (&self.octets_out, before.bytes_out),
            (&self.failed, before.failed),
            (&self.timed_out, before.timed_out),
            (&self.passed, before.passed),
        ] {
            counter.fetch_add(value, Ordering::Relaxed);
        }
        self.add_cpu(before.cpu);
        self.durations.restore(&before.durations);
    }

    pub(crate) fn last_error(&self) -> String {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_error_is_cut_between_letters() {
        let record = Record::default();
        assert_eq!(record.last_error(), "");
        let error = Error::TimedOut(Duration::from_secs(1));
        record.count_failure(&error, format!("x{}", "ü".repeat(300)));
        assert_eq!(record.last_error(), format!("x{}", "ü".repeat(199)));
        record.count_failure(&Error::Limit("memory"), "short".to_owned());
        assert_eq!(record.last_error(), "short");
        let statistics = record.statistics();
        assert_eq!((statistics.failed, statistics.timed_out), (2, 1));
    }
}

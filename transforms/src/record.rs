//! What a transform has by its name, and keeps over all its generations: counts, its last error, the queue before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};
use pop3d_core::transform::histogram::Histogram;
use pop3d_core::transform::{Error, TransformStatistics};
use pop3d_protocol::text::one_line;

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
    cpu_nanoseconds: AtomicU64,
    durations: Histogram,
    /// Messages in the pool; those of programs are counted by the queue.
    in_pool: AtomicU64,
    /// Those of them that wait in a queue which others share.
    in_line: AtomicU64,
    /// Empty: there was none.
    last_error: Mutex<String>,
    rest: Mutex<Rest>,
}

/// A message that waits in a queue which others share. Dropping it says that it does so no more.
#[cfg(feature = "wasm")]
pub(crate) struct InLine(Arc<Record>);

/// Failures in a row before a transform rests: whatever is wrong, it is wrong with every message.
const FAILURES_MAX: u32 = 10;

/// How long it rests. Its policy applies at once to every message meanwhile.
const REST: Duration = Duration::from_secs(60);

/// Whether a transform rests.
#[derive(Default)]
struct Rest {
    /// Whose it is, for the log: known once a message was to begin.
    name: String,
    /// Failures since the last message that went well.
    failures: u32,
    until: Option<Instant>,
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

    /// A message waits in a queue which others share.
    #[cfg(feature = "wasm")]
    pub(crate) fn stand_in_line(self: &Arc<Self>) -> InLine {
        self.in_line.fetch_add(1, Ordering::Relaxed);
        InLine(Arc::clone(self))
    }

    /// A message went well.
    pub(crate) fn count_success(&self) {
        let mut rest = self.lock_rest();
        if rest.until.take().is_some() {
            info!(target: "pop3d::transform", "transform {} works again", rest.name);
        }
        rest.failures = 0;
    }

    /// A message ends before its end is known, as those of TOP do, and has gone well so far. That ends no rest before
    /// its time.
    pub(crate) fn count_progress(&self, now: Instant) {
        let mut rest = self.lock_rest();
        if rest.until.is_none_or(|until| until <= now) {
            rest.until = None;
            rest.failures = 0;
        }
    }

    /// Asks whether a message may begin, of the transform with this name.
    ///
    /// # Errors
    /// It rests.
    pub(crate) fn admit(&self, name: &str, now: Instant) -> Result<(), Error> {
        let mut rest = self.lock_rest();
        if rest.name.is_empty() {
            name.clone_into(&mut rest.name);
        }
        match rest.until {
            Some(until) if now < until => {
                let reason = format!("transform {name} rests after {FAILURES_MAX} failures in a row");
                Err(Error::Temporary(reason))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whose record it is: known once a message was to begin.
    pub(crate) fn name(&self) -> String {
        self.lock_rest().name.clone()
    }

    /// A message failed by the transform's own doing.
    fn tire(&self, now: Instant) {
        let mut rest = self.lock_rest();
        rest.failures = rest.failures.saturating_add(1);
        let is_resting = rest.until.is_some_and(|until| now < until);
        if rest.failures >= FAILURES_MAX && !is_resting {
            // Said once: a transform that fails its first message after a rest goes on resting.
            if rest.until.is_none() {
                warn!(
                    target: "pop3d::transform",
                    "transform {} failed {FAILURES_MAX} messages in a row and rests for {} seconds; its on_error \
                     applies at once until it works again", rest.name, REST.as_secs(),
                );
            }
            rest.until = Some(now + REST);
        }
    }

    /// Another generation: what was wrong may be mended.
    pub(crate) fn wake_up(&self) {
        let mut rest = self.lock_rest();
        rest.failures = 0;
        if rest.until.take().is_some() {
            info!(target: "pop3d::transform", "transform {} was made anew, and rests no more", rest.name);
        }
    }

    fn lock_rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message of that user failed in what was called for it: the log says so, and it is counted.
    pub(crate) fn report_failure(&self, user: &str, number: u32, error: &Error, is_its_own: bool) {
        let user = one_line(user);
        warn!(target: "pop3d::transform", "{}: {user}, message {number}: {error}", self.name());
        self.count_failure(error, format!("user {user}: {error}"), is_its_own);
    }

    /// A message failed; `reason` is what the log says of it, with the user. `is_its_own`: not for want of something that the
    /// server was to have, which no rest would mend.
    pub(crate) fn count_failure(&self, error: &Error, mut reason: String, is_its_own: bool) {
        match error {
            // What it refuses for good is a verdict on that message, or waits for somebody who mends it. To rest would
            // have it refuse everybody's for a while, or let them through unseen.
            Error::Permanent(_) => {}
            Error::Temporary(_) | Error::Crashed(_) | Error::TimedOut(_) | Error::Limit(_) if is_its_own => {
                self.tire(Instant::now());
            }
            Error::Temporary(_) | Error::Crashed(_) | Error::TimedOut(_) | Error::Limit(_) => {}
        }
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
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.cpu_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// A message is over, which took so long.
    pub(crate) fn add_duration(&self, time: Duration) {
        self.durations.add(time);
    }

    pub(crate) fn statistics(&self) -> TransformStatistics {
        let (running, queued) = self.queue.counts();
        let in_line = self.in_line.load(Ordering::Relaxed);
        // One is in line a moment before it is in the pool.
        let in_pool = self.in_pool.load(Ordering::Relaxed).saturating_sub(in_line);
        TransformStatistics {
            messages: self.messages.load(Ordering::Relaxed),
            bytes_in: self.octets_in.load(Ordering::Relaxed),
            bytes_out: self.octets_out.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
            passed: self.passed.load(Ordering::Relaxed),
            running: running as u64 + in_pool,
            queued: queued as u64 + in_line,
            cpu: Duration::from_nanos(self.cpu_nanoseconds.load(Ordering::Relaxed)),
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

#[cfg(feature = "wasm")]
impl Drop for InLine {
    fn drop(&mut self) {
        self.0.in_line.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_in_a_row_are_followed_by_a_minute_of_rest() {
        let (record, begun) = (Record::default(), Instant::now());
        for _ in 0..9 {
            record.tire(begun);
        }
        assert!(record.admit("x", begun).is_ok());
        record.count_success();
        for _ in 0..10 {
            assert!(record.admit("x", begun).is_ok());
            record.tire(begun);
        }
        assert!(matches!(record.admit("x", begun + REST / 2), Err(Error::Temporary(_))));
        // One message may try, and the next rest begins where it fails.
        let later = begun + REST;
        assert!(record.admit("x", later).is_ok());
        record.tire(later);
        assert!(record.admit("x", later).is_err());
        record.wake_up();
        assert!(record.admit("x", later).is_ok());
    }

    #[test]
    fn messages_that_nobody_wants_to_the_end_are_between_failures_and_end_no_rest() {
        let (record, begun) = (Record::default(), Instant::now());
        for _ in 0..5 {
            (0..9).for_each(|_| record.tire(begun));
            record.count_progress(begun);
        }
        assert!(record.admit("x", begun).is_ok());
        (0..10).for_each(|_| record.tire(begun));
        record.count_progress(begun);
        assert!(record.admit("x", begun).is_err());
        record.tire(begun + REST);
        assert!(record.admit("x", begun + REST).is_err());
        let later = begun + 2 * REST;
        record.count_progress(later);
        (0..9).for_each(|_| record.tire(later));
        assert!(record.admit("x", later).is_ok(), "a rest that is over is over");
    }

    #[test]
    fn neither_verdicts_nor_what_the_server_lacks_are_followed_by_a_rest() {
        let record = Record::default();
        let fail = |error: &Error, is_its_own| {
            for _ in 0..9 {
                record.count_failure(error, error.to_string(), is_its_own);
            }
            record.admit("x", Instant::now())
        };
        let (verdict, later) = (Error::Permanent("a virus".to_owned()), Error::Temporary("later".to_owned()));
        assert!(fail(&verdict, true).is_ok() && fail(&verdict, true).is_ok());
        assert!(fail(&later, false).is_ok() && fail(&later, false).is_ok());
        assert_eq!(record.statistics().failed, 36);
        // They are no success either.
        assert!(fail(&later, true).is_ok() && fail(&verdict, true).is_ok() && fail(&later, false).is_ok());
        assert!(fail(&later, true).is_err());
    }

    #[test]
    fn a_last_error_is_cut_between_letters() {
        let record = Record::default();
        assert_eq!(record.last_error(), "");
        let error = Error::TimedOut(Duration::from_secs(1));
        record.count_failure(&error, format!("x{}", "ü".repeat(300)), true);
        assert_eq!(record.last_error(), format!("x{}", "ü".repeat(199)));
        record.count_failure(&Error::Limit("memory"), "short".to_owned(), true);
        assert_eq!(record.last_error(), "short");
        let statistics = record.statistics();
        assert_eq!((statistics.failed, statistics.timed_out), (2, 1));
    }
}

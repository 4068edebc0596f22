//! How long messages took: a histogram whose buckets grow with the time, written without a lock.
//!
//! Times are counted in whole microseconds, rounded up. The first eight buckets hold one each; from there on every
//! doubling has eight buckets of equal width. So the upper end of a bucket, which is what is told of the times in it, is
//! at most an eighth more than each of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of each doubling, a power of two.
const PARTS: usize = 1 << PARTS_LOG;
const PARTS_LOG: u32 = 3;

/// Times from 2 to this power of microseconds on, twelve days, are counted as just below it.
const LONGEST_LOG: u32 = 40;

const BUCKETS: usize = (LONGEST_LOG - PARTS_LOG + 1) as usize * PARTS;

/// The bounds told to others: powers of two in microseconds, from 16 us to 268 s. Each is the end of a bucket.
const BOUNDS_LOG: std::ops::RangeInclusive<u32> = 4..=28;
const _: () = assert!(*BOUNDS_LOG.start() >= PARTS_LOG && *BOUNDS_LOG.end() < LONGEST_LOG);

/// Counts times, on any thread.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    /// All of them together, in nanoseconds.
    sum: AtomicU64,
}

/// What a histogram has counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Durations {
    /// One for each bucket, or none at all.
    counts: Vec<u64>,
    sum: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts a time.
    pub fn add(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(nanoseconds)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Adds what another histogram has counted.
    pub fn restore(&self, before: &Durations) {
        for (bucket, &count) in self.buckets.iter().zip(&before.counts) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        let sum = u64::try_from(before.sum.as_nanos()).unwrap_or(u64::MAX);
        self.sum.fetch_add(sum, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn durations(&self) -> Durations {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        Durations { counts, sum: Duration::from_nanos(self.sum.load(Ordering::Relaxed)) }
    }
}

impl Durations {
    /// Each bucket that has counted something.
    pub(super) fn counted(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().copied().enumerate().filter(|&(_, count)| count > 0)
    }

    /// Puts the number of a bucket back; `false` where there is no such bucket.
    pub(super) fn restore_bucket(&mut self, bucket: usize, count: u64) -> bool {
        self.counts.resize(BUCKETS, 0);
        self.counts.get_mut(bucket).map(|place| *place = count).is_some()
    }

    /// Puts the sum back.
    pub(super) fn restore_sum(&mut self, sum: Duration) {
        self.sum = sum;
    }

    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All times together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The time, in microseconds, that so many of a hundred did not exceed: never less than it was, and at most an
    /// eighth more. 0 where nothing was counted.
    #[must_use]
    pub fn percentile_us(&self, percent: u64) -> u64 {
        let rank = u128::from(self.count()) * u128::from(percent.min(100));
        let rank = rank.div_ceil(100).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return upper_end(index);
            }
        }
        0
    }

    /// The buckets of an OpenMetrics histogram: how many times did not exceed a bound in seconds (`le`). The last bound
    /// is infinite, and counts all.
    #[must_use]
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let up_to = |log: u32| {
            let buckets = (log - PARTS_LOG + 1) as usize * PARTS;
            self.counts.iter().take(buckets).sum()
        };
        let bound = |log: u32| Duration::from_micros(1 << log).as_secs_f64();
        let finite = BOUNDS_LOG.map(|log| (bound(log), up_to(log)));
        finite.chain([(f64::INFINITY, self.count())]).collect()
    }
}

/// The bucket of a time: an end belongs to the bucket below it.
fn bucket_of(nanoseconds: u64) -> usize {
    let below = (nanoseconds.saturating_sub(1) / 1000).min((1 << LONGEST_LOG) - 1);
    let doubling = below.checked_ilog2().unwrap_or(0).saturating_sub(PARTS_LOG);
    // Below 2 * PARTS nothing is shifted, and the buckets follow the microseconds.
    let part = usize::try_from(below >> doubling).unwrap_or(0);
    doubling as usize * PARTS + part
}

/// The longest time of a bucket in microseconds.
fn upper_end(index: usize) -> u64 {
    let (doubling, part) = match index / PARTS {
        0 => (0, index),
        row => (row - 1, PARTS + index % PARTS),
    };
    (part as u64 + 1) << doubling
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn microseconds(nanoseconds: u64) -> u64 {
        nanoseconds.div_ceil(1000)
    }

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for index in 0..BUCKETS {
            let end = upper_end(index) * 1000;
            assert_eq!(bucket_of(end), index, "the end of bucket {index}");
            if index + 1 < BUCKETS {
                assert_eq!(bucket_of(end + 1), index + 1, "just above bucket {index}");
            }
        }
        assert_eq!((bucket_of(0), bucket_of(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn without_a_time_all_is_nothing() {
        let durations = Histogram::default().durations();
        assert_eq!((durations.count(), durations.percentile_us(50), durations.sum()), (0, 0, Duration::ZERO));
        assert!(durations.buckets().iter().all(|(_, count)| *count == 0));
        assert_eq!(Durations::default().percentile_us(99), 0);
    }

    #[test]
    fn bounds_are_in_seconds_and_count_what_is_equal() {
        let histogram = Histogram::default();
        for nanoseconds in [1, 16_000, 16_001, 1_024_000, 1_000_000_000_000] {
            histogram.add(Duration::from_nanos(nanoseconds));
        }
        let buckets = histogram.durations().buckets();
        assert_eq!(buckets[..2], [(0.000_016, 2), (0.000_032, 3)]);
        assert_eq!(buckets[6], (0.001_024, 4));
        assert_eq!(buckets[24..], [(268.435_456, 4), (f64::INFINITY, 5)]);
    }

    proptest! {
        #[test]
        fn a_percentile_is_that_of_the_sorted_times_or_at_most_an_eighth_more(
            times in prop::collection::vec(
                prop_oneof![0..100_000_u64, 0..10_000_000_000_u64, 0..1_000_000_000_000_000_u64], 1..300),
            percent in 1..=100_u64,
        ) {
            let histogram = Histogram::default();
            for time in &times {
                histogram.add(Duration::from_nanos(*time));
            }
            let durations = histogram.durations();
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let rank = (times.len() as u64 * percent).div_ceil(100).max(1);
            // A time of nothing is told as one microsecond.
            let twin = microseconds(sorted[usize::try_from(rank).unwrap() - 1]).max(1);
            let told = durations.percentile_us(percent);
            prop_assert!(twin <= told && told <= twin + twin / 8, "{told} for {twin}");
            prop_assert_eq!(durations.sum(), Duration::from_nanos(times.iter().sum()));
        }

        #[test]
        fn a_bound_counts_the_times_up_to_it(times in prop::collection::vec(0..1_000_000_000_000_u64, 0..300)) {
            let histogram = Histogram::default();
            for time in &times {
                histogram.add(Duration::from_nanos(*time));
            }
            for (bound, count) in histogram.durations().buckets() {
                let is_within = |time: &&u64| Duration::from_nanos(**time).as_secs_f64() <= bound;
                prop_assert_eq!(count, times.iter().filter(is_within).count() as u64);
            }
        }
    }
}

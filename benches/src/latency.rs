//! Durations by their logarithm: percentiles to 3%, in memory that does not grow with the run.

use std::time::Duration;

/// Sub-buckets of each power of two.
const FINE: usize = 32;

/// Powers of two of microseconds above the fine ones: up to two hours.
const COARSE: usize = 28;

/// How many answers took how long.
#[derive(Clone, Debug)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Latencies {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self { buckets: vec![0; FINE * (COARSE + 1)], count: 0, longest: Duration::ZERO }
    }

    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let bucket =
            bucket_of(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
        self.longest = self.longest.max(took);
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// What `per_mille` in a thousand did not exceed; zero where none was counted.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Duration {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper_end(bucket)).min(self.longest);
            }
        }
        self.longest
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// One bucket for each microsecond below `FINE`, then `FINE` for each power of two.
fn bucket_of(micros: u64) -> usize {
    let fine = FINE as u64;
    if micros < fine {
        return usize::try_from(micros).unwrap_or_default();
    }
    let power = micros.ilog2() - fine.ilog2();
    let within = usize::try_from((micros >> power) - fine).unwrap_or_default();
    FINE * (power as usize + 1) + within
}

/// The largest number of microseconds that falls into a bucket.
fn upper_end(bucket: usize) -> u64 {
    if bucket < FINE {
        return bucket as u64;
    }
    let (power, within) = (bucket / FINE - 1, bucket % FINE);
    (((FINE + within + 1) as u64) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_within_three_percent_of_its_buckets_end() {
        for micros in (0..5_000).chain((0..60).map(|step| 5_000 + step * 1_234_567)) {
            let end = upper_end(bucket_of(micros));
            assert!(end >= micros && end - micros <= micros / 30 + 1, "{micros}: {end}");
        }
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.quantile(500), Duration::ZERO);
        for micros in 1..=1000 {
            latencies.add(Duration::from_micros(micros));
        }
        let near = |found: Duration, micros: u64| {
            found.as_micros().abs_diff(u128::from(micros)) <= u128::from(micros) / 30
        };
        assert!(near(latencies.quantile(500), 500));
        assert!(near(latencies.quantile(990), 990));
        assert_eq!(latencies.quantile(1000), Duration::from_millis(1));
        latencies.add(Duration::MAX);
        assert_eq!(latencies.longest(), Duration::MAX);
    }
}

//! What a transform has done, as an administrator sees it.

use std::time::Duration;

use super::histogram::Durations;

/// What the transform of one name has done since the server began, over all its generations.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TransformStatistics {
    /// Messages begun.
    pub messages: u64,
    /// Octets that it has taken, of messages that are over.
    pub bytes_in: u64,
    /// Octets that it has written, of messages that are over.
    pub bytes_out: u64,
    /// Messages that failed. One whose client went has not.
    pub failed: u64,
    /// Those of them that used up `timeout` or `cpu`.
    pub timed_out: u64,
    /// Those of them that went on without it (`on_error = "pass"`).
    pub passed: u64,
    /// Messages under way in it.
    pub running: u64,
    /// Messages that wait for their turn.
    pub queued: u64,
    /// Processor time, of the system for it included.
    pub cpu: Duration,
    /// How long messages took from their beginning to their end, whatever that was: waiting in the queue and for a slow
    /// client included.
    pub durations: Durations,
}

impl TransformStatistics {
    /// Each by its name in PEEP, in the order of its answer.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("messages", self.messages),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("failed", self.failed),
            ("timed_out", self.timed_out),
            ("passed", self.passed),
            ("running", self.running),
            ("queued", self.queued),
            ("cpu_ms", u64::try_from(self.cpu.as_millis()).unwrap_or(u64::MAX)),
            ("p50_us", self.durations.percentile_us(50)),
            ("p99_us", self.durations.percentile_us(99)),
        ]
    }
}

/// To be kept over restarts. What is under way is not.
impl TransformStatistics {
    /// Each number that is kept, by a name.
    #[must_use]
    pub fn kept(&self) -> Vec<(String, u64)> {
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        let mut kept = vec![
            ("messages".to_owned(), self.messages),
            ("bytes_in".to_owned(), self.bytes_in),
            ("bytes_out".to_owned(), self.bytes_out),
            ("failed".to_owned(), self.failed),
            ("timed_out".to_owned(), self.timed_out),
            ("passed".to_owned(), self.passed),
            ("cpu_us".to_owned(), whole(self.cpu.as_micros())),
            ("sum_ns".to_owned(), whole(self.durations.sum().as_nanos())),
        ];
        kept.extend(self.durations.counted().map(|(bucket, count)| (format!("bucket_{bucket}"), count)));
        kept
    }

    /// Puts a number back; `false` where nothing is kept by that name.
    pub fn restore(&mut self, name: &str, value: u64) -> bool {
        match name {
            "messages" => self.messages = value,
            "bytes_in" => self.bytes_in = value,
            "bytes_out" => self.bytes_out = value,
            "failed" => self.failed = value,
            "timed_out" => self.timed_out = value,
            "passed" => self.passed = value,
            "cpu_us" => self.cpu = Duration::from_micros(value),
            "sum_ns" => self.durations.restore_sum(Duration::from_nanos(value)),
            _ => {
                let bucket = name.strip_prefix("bucket_").and_then(|bucket| bucket.parse().ok());
                return bucket.is_some_and(|bucket| self.durations.restore_bucket(bucket, value));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::histogram::Histogram;

    /// Counts that are all different.
    fn counted(histogram: &Histogram) -> TransformStatistics {
        TransformStatistics {
            messages: 1,
            bytes_in: 2,
            bytes_out: 3,
            failed: 4,
            timed_out: 5,
            passed: 6,
            durations: histogram.durations(),
            ..TransformStatistics::default()
        }
    }

    #[test]
    fn what_is_kept_is_restored() {
        let histogram = Histogram::default();
        for time in [0, 1, 17, 123_456, u64::MAX] {
            histogram.add(Duration::from_micros(time));
        }
        let statistics = TransformStatistics { cpu: Duration::from_micros(7), ..counted(&histogram) };
        let mut restored = TransformStatistics::default();
        for (name, value) in statistics.kept() {
            assert!(restored.restore(&name, value), "{name}");
        }
        assert_eq!(restored, statistics);
        assert!(!restored.restore("bucket_9999", 1) && !restored.restore("x", 1));
        let again = Histogram::default();
        again.restore(&restored.durations);
        assert_eq!(again.durations(), statistics.durations);
    }

    #[test]
    fn lines_are_in_the_order_of_the_answer() {
        let histogram = Histogram::default();
        for _ in 0..98 {
            histogram.add(Duration::from_micros(7));
        }
        for _ in 0..2 {
            histogram.add(Duration::from_micros(1024));
        }
        let cpu = Duration::from_micros(9_999);
        let statistics = TransformStatistics { running: 7, queued: 8, cpu, ..counted(&histogram) };
        let lines: Vec<_> =
            statistics.lines().iter().map(|(name, value)| format!("{name} {value}")).collect();
        let expected = "messages 1,bytes_in 2,bytes_out 3,failed 4,timed_out 5,passed 6,running 7,queued 8,cpu_ms 9,\
                        p50_us 7,p99_us 1024";
        assert_eq!(lines.join(","), expected);
    }
}

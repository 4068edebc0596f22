//! How long a task has computed and got nowhere.

use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Clock {
    /// Since when it has computed without taking or giving anything; none: it has, or it waits.
    since: Option<Instant>,
    /// What the pipe had counted by then.
    steps: u64,
}

impl Clock {
    /// A task was polled from `begun` until `now`, and has not ended; `steps`: how often it has taken or given something
    /// so far; `waits`: for input, for room, or for somebody else. How long it has got nowhere by its own doing.
    pub(super) fn stuck(&mut self, begun: Instant, now: Instant, steps: u64, waits: bool) -> Duration {
        if waits || steps != self.steps {
            self.steps = steps;
            self.since = None;
        } else {
            self.since.get_or_insert(begun);
        }
        // A call that is not interrupted may have taken all of it by itself.
        now.saturating_duration_since(self.since.unwrap_or(begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_which_it_computes_and_gets_nowhere_counts() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut stuck = |begun, now, steps, waits| clock.stuck(at(begun), at(now), steps, waits).as_secs();
        // It takes something each time.
        assert_eq!([stuck(0, 1, 1, false), stuck(1, 2, 2, false)], [1, 1]);
        // From here on it does not, and others have their turns in between.
        assert_eq!([stuck(5, 6, 2, false), stuck(20, 21, 2, false)], [1, 16]);
        // It waits for long, and goes on.
        assert_eq!([stuck(22, 23, 2, true), stuck(100, 101, 2, false), stuck(102, 103, 2, false)], [1, 1, 3]);
        // One call takes long; what it wrote before was long ago.
        assert_eq!(stuck(200, 230, 3, false), 30);
    }
}

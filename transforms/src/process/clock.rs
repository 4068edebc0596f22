//! How long a child has got nowhere while it could have.

use std::time::{Duration, Instant};

/// A limit is looked at in so many parts: a child is stopped at most one part too late.
const PARTS: u32 = 8;

/// Runs from a `read` that found nothing to the next octet, in or out.
pub(super) struct Clock {
    limit: Duration,
    /// `None`: stands still, since there was output; the next step is the client's.
    stretch: Option<Stretch>,
}

struct Stretch {
    since: Instant,
    /// What the child had taken of its input by then.
    consumed: u64,
}

impl Clock {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, stretch: None }
    }

    /// There was progress that can be seen from here.
    pub(super) fn stop(&mut self) {
        self.stretch = None;
    }

    /// There is no output. `consumed` is what the child has taken of its input so far; `starves`: it waits for
    /// more. Whether that is so for too long already.
    pub(super) fn has_run_out(&mut self, now: Instant, consumed: u64, starves: bool) -> bool {
        match &self.stretch {
            Some(stretch) if stretch.consumed == consumed && !starves => {
                now.saturating_duration_since(stretch.since) >= self.limit
            }
            Some(_) | None => {
                self.stretch = Some(Stretch { since: now, consumed });
                false
            }
        }
    }

    /// When to look again where nothing else happens.
    pub(super) fn look_after(&self) -> Duration {
        (self.limit / PARTS).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_without_progress_counts() {
        let mut clock = Clock::new(Duration::from_secs(30));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!clock.has_run_out(at(0), 0, false));
        assert!(!clock.has_run_out(at(29), 0, false));
        // It has read.
        assert!(!clock.has_run_out(at(30), 5, false));
        assert!(!clock.has_run_out(at(59), 5, false));
        // It has written, and the client was busy with that for long.
        clock.stop();
        assert!(!clock.has_run_out(at(200), 5, false));
        // It waits for input.
        assert!(!clock.has_run_out(at(300), 5, true));
        assert!(!clock.has_run_out(at(329), 5, false));
        assert!(clock.has_run_out(at(330), 5, false));
    }
}

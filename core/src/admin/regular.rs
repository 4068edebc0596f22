//! What the admin thread has done again and again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::pool::Pool;

/// What is done again and again, in a pool of its own: a file system that does not answer holds up nobody but it.
pub(super) struct Regular {
    pool: Pool,
    every: Duration,
    at: Instant,
    /// Whether the one before has not ended.
    is_out: Arc<AtomicBool>,
}

impl Regular {
    /// The first time is after `every`.
    ///
    /// # Errors
    /// Where the kernel gives no thread.
    pub(super) fn new(name: &str, every: Duration, now: Instant) -> io::Result<Self> {
        Ok(Self { pool: Pool::start(name, 1)?, every, at: now + every, is_out: Arc::default() })
    }

    /// When it is to be done next.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Has it done once it is time, unless the one before goes on still.
    pub(super) fn run(&mut self, now: Instant, job: impl FnOnce() + Send + 'static) {
        if now < self.at {
            return;
        }
        self.at = now + self.every;
        if self.is_out.swap(true, Ordering::AcqRel) {
            return;
        }
        let ended = Ended(Arc::clone(&self.is_out));
        self.pool.run(move || {
            let _ended = ended;
            job();
        });
    }
}

/// Says that a job has ended, also where it panicked.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn one_that_does_not_end_is_not_begun_again() {
        const EVERY: Duration = Duration::from_secs(5);
        let start = Instant::now();
        let mut regular = Regular::new("regular", EVERY, start).unwrap();
        let (tell, told) = channel();
        let (go_on, held_up) = channel::<()>();
        let again = |tell: &std::sync::mpsc::Sender<u32>, number| {
            let tell = tell.clone();
            move || tell.send(number).unwrap()
        };
        regular.run(start, again(&tell, 0));
        let tells = again(&tell, 1);
        regular.run(start + EVERY, move || {
            let _ = held_up.recv();
            tells();
        });
        regular.run(start + 2 * EVERY, again(&tell, 2));
        go_on.send(()).unwrap();
        assert_eq!(told.recv(), Ok(1), "it was begun before its time");
        while regular.is_out.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        regular.run(start + 3 * EVERY, again(&tell, 3));
        assert_eq!(told.recv(), Ok(3), "it was begun beside another");
    }
}

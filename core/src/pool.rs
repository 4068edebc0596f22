//! Threads for what would wait: passwords, directory scans, starting programs. Never on the way of an octet.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A piece of work.
pub type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and the jobs that wait for one. Cheap to clone; dropping the last clone lets the
/// threads end once nothing is queued. Jobs that are due later are dropped then.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    // Counts the owners: the threads hold `shared` too.
    _owner: Arc<Owner>,
}

struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    queue: VecDeque<Job>,
    later: BinaryHeap<Later>,
    sequence: u64,
    /// Threads that wait for the bell: where there is none, ringing is a system call for nothing.
    idle: usize,
    closed: bool,
}

struct Later {
    due: Instant,
    sequence: u64,
    job: Job,
}

struct Owner(Arc<Shared>);

impl Pool {
    /// Starts `threads` threads whose names begin with `name`.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(name: &str, threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                later: BinaryHeap::new(),
                sequence: 0,
                idle: 0,
                closed: false,
            }),
            bell: Condvar::new(),
        });
        // Dropped on an early return, which ends the threads that were started.
        let owner = Arc::new(Owner(Arc::clone(&shared)));
        for index in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("{name}-{index}")).spawn(move || shared.run())?;
        }
        Ok(Self { shared, _owner: owner })
    }

    /// Runs a job as soon as a thread is free, in the order of calls.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        state.queue.push_back(Box::new(job));
        self.shared.ring(state);
    }

    /// Runs a job once `delay` has passed and a thread is free.
    pub fn run_after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        let sequence = state.sequence;
        state.sequence += 1;
        state.later.push(Later { due: Instant::now() + delay, sequence, job: Box::new(job) });
        self.shared.ring(state);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.bell.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Jobs run outside the lock; what it guards is never half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread look, where one waits. One that does not looks by itself before it waits.
    fn ring(&self, state: MutexGuard<'_, State>) {
        let is_awaited = state.idle > 0;
        drop(state);
        if is_awaited {
            self.bell.notify_one();
        }
    }

    fn run(&self) {
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                log::error!(target: "pop3d::pool", "a job of the pool panicked");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if !state.later.is_empty() {
                state.queue_due(Instant::now());
            }
            if let Some(job) = state.queue.pop_front() {
                if !state.queue.is_empty() {
                    self.ring(state);
                }
                return Some(job);
            }
            if state.closed {
                return None;
            }
            let wait = state.later.peek().map(|later| later.due.saturating_duration_since(Instant::now()));
            state.idle += 1;
            state = match wait {
                Some(wait) => {
                    self.bell.wait_timeout(state, wait).map_or_else(|poison| poison.into_inner().0, |it| it.0)
                }
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.idle -= 1;
        }
    }
}

impl State {
    /// Puts what is due behind what waits.
    fn queue_due(&mut self, now: Instant) {
        while self.later.peek().is_some_and(|later| later.due <= now) {
            if let Some(later) = self.later.pop() {
                self.queue.push_back(later.job);
            }
        }
    }
}

// The heap gives its greatest first: that is the job that is due first.
impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Later {}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_job_that_panics_costs_no_thread() {
        let pool = Pool::start("test", 1).unwrap();
        let (sender, receiver) = mpsc::channel();
        pool.run(|| panic!("expected in this test"));
        pool.run(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
    }

    #[test]
    fn delayed_jobs_run_in_the_order_in_which_they_are_due() {
        let pool = Pool::start("test", 1).unwrap();
        let (sender, receiver) = mpsc::channel();
        for (delay, value) in [(3_000, 3), (2_000, 2), (1_000, 1)] {
            let sender = sender.clone();
            pool.run_after(Duration::from_millis(delay), move || sender.send(value).unwrap());
        }
        assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn what_is_queued_still_runs_when_the_pool_is_dropped() {
        let pool = Pool::start("test", 1).unwrap();
        let (sender, receiver) = mpsc::channel();
        for value in 0..10 {
            let sender = sender.clone();
            pool.run(move || sender.send(value).unwrap());
        }
        drop((pool, sender));
        assert_eq!(receiver.iter().count(), 10);
    }
}

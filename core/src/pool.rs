//! Threads for what would wait: passwords, directory scans, starting programs. Never on the way of an octet.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
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
}

struct State {
    queue: VecDeque<Job>,
    later: BinaryHeap<Later>,
    sequence: u64,
    /// Threads that wait and were not woken. The last is the first to go on: what it worked with is near its core.
    idle: Vec<Thread>,
    /// When the first of these wakes by itself; none: it does not.
    watch: Option<Instant>,
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
                idle: Vec::with_capacity(threads),
                watch: None,
                closed: false,
            }),
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
        Shared::ring(state);
    }

    /// Runs a job once `delay` has passed and a thread is free.
    pub fn run_after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        let sequence = state.sequence;
        state.sequence += 1;
        state.later.push(Later { due: Instant::now() + delay, sequence, job: Box::new(job) });
        Shared::ring(state);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        idle.iter().for_each(Thread::unpark);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Jobs run outside the lock; what it guards is never half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread look, where one waits. One that does not looks by itself before it waits.
    fn ring(mut state: MutexGuard<'_, State>) {
        let woken = state.idle.pop();
        if state.idle.is_empty() {
            state.watch = None;
        }
        drop(state);
        if let Some(thread) = woken {
            thread.unpark();
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
                let is_watched = state.later.is_empty() || state.watch.is_some();
                if !state.queue.is_empty() || !is_watched {
                    Self::ring(state);
                }
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// Waits until it is woken, or, where none of those who wait does so in time, until the next job is due.
    fn wait<'state>(&'state self, mut state: MutexGuard<'state, State>) -> MutexGuard<'state, State> {
        let due = state.later.peek().map(|later| later.due);
        let watch = due.filter(|due| state.watch.is_none_or(|watch| *due < watch));
        let own = thread::current();
        let id = own.id();
        if watch.is_some() {
            // Woken last, for a thread that works watches nothing.
            state.idle.insert(0, own);
            state.watch = watch;
        } else {
            state.idle.push(own);
        }
        drop(state);
        // One that was woken before does not wait.
        match watch {
            Some(due) => thread::park_timeout(due.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
        let mut state = self.lock();
        // Nobody may have woken it.
        state.idle.retain(|thread| thread.id() != id);
        if state.watch == watch {
            state.watch = None;
        }
        state
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
        for (delay, value) in [(30, 3), (20, 2), (10, 1)] {
            let sender = sender.clone();
            pool.run_after(Duration::from_millis(delay), move || sender.send(value).unwrap());
        }
        assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn what_is_due_does_not_wait_for_threads_that_work() {
        for round in 0..20 {
            let pool = Pool::start("test", 3).unwrap();
            let (sender, receiver) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let due = |after| {
                let sender = sender.clone();
                pool.run_after(Duration::from_millis(after), move || sender.send(after).unwrap());
            };
            due(4);
            if round % 2 == 0 {
                pool.run(|| ());
            }
            due(2);
            pool.run(move || released.recv().unwrap_or_default());
            due(3);
            let (waits, waited) = mpsc::channel::<()>();
            pool.run(move || waited.recv().unwrap_or_default());
            due(1);
            // One thread is left.
            assert_eq!(receiver.iter().take(4).sum::<u64>(), 10);
            drop((release, waits));
        }
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

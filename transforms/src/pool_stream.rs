//! A message on its way through code that computes or waits: shown to the cursor as a stream, run by the pool.
//!
//! ```text
//! worker:  write ──► input ──► next()  ┐
//!                                      ├ the task, polled by a job of the pool
//!          read  ◄── output ◄─ write() ┘
//! ```
//!
//! The task is a future. What it waits for is input or room, and it gives its thread up at every slice, so that none
//! holds up the others. A synchronous filter is wrapped in one (`filter.rs`).

mod clock;
mod filter;
mod input;
mod output;
mod piece;
mod pipe;
mod slice;
#[cfg(test)]
mod tests;
mod watchdog;

use std::cell::RefCell;
use std::fs::File;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, Wake as Awake, Waker};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Message, Read, Stream, Wake};

use self::clock::Clock;
pub(crate) use self::filter::run as run_filter;
pub(crate) use self::input::CHUNK;
pub(crate) use self::piece::{Extent, Piece};
pub(crate) use self::pipe::Pipe;
use crate::record::Record;

/// What one message may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// Longest time without progress while it computes; none: somebody else looks at that.
    pub(crate) timeout: Option<Duration>,
    /// Whether nothing interrupts what it calls: it may never return.
    pub(crate) may_hang: bool,
    /// Octets of output; what comes in is a bound as well (`bound.rs`).
    pub(crate) max_output: u64,
}

/// The work on one message. It ends once all its output is in the pipe.
pub(crate) type Task = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// One message. Dropping it cancels: the task is dropped by the pool.
pub(crate) struct PoolStream {
    shared: Arc<Shared>,
    /// The pool has been asked to begin: not before there is something to begin with.
    has_begun: bool,
    /// It begins on the thread that drives it.
    begins_here: bool,
}

struct Shared {
    pipe: Arc<Pipe>,
    pool: Pool,
    record: Arc<Record>,
    limits: Limits,
    user: String,
    number: u32,
    begun: Instant,
    task: Mutex<Progress>,
    /// A job that will poll the task waits in the pool, or the task is to be polled once more after this time.
    is_queued: AtomicBool,
    /// A job has found the task in the hands of another one, which is to look again.
    is_asked: AtomicBool,
    /// It has ended, or was given up.
    is_over: AtomicBool,
    /// The task is dropped, and nothing is left to do in the pool.
    is_gone: AtomicBool,
}

/// The task, and what it has cost.
struct Progress {
    /// None: it has ended.
    task: Option<Task>,
    /// Processor time of the threads that have polled it.
    spent: Duration,
    clock: Clock,
}

impl PoolStream {
    /// A stream whose task is made of its pipe by `begin`, in the pool.
    pub(crate) fn new(
        pool: Pool,
        record: Arc<Record>,
        limits: Limits,
        message: &Message,
        wake: Wake,
        begin: impl FnOnce(Arc<Pipe>) -> Task + Send + 'static,
    ) -> Self {
        record.count_message();
        let pipe = Arc::new(Pipe::new(wake, limits.max_output, message.octets));
        let task: Task = {
            let pipe = Arc::clone(&pipe);
            // What is made of the pipe may take long as well.
            Box::pin(async move { begin(pipe).await })
        };
        let shared = Arc::new(Shared {
            pipe,
            pool,
            record,
            limits,
            user: message.user.clone(),
            number: message.number,
            begun: Instant::now(),
            task: Mutex::new(Progress { task: Some(task), spent: Duration::ZERO, clock: Clock::default() }),
            is_queued: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        });
        shared.record.begin();
        Self { shared, has_begun: false, begins_here: false }
    }

    /// Has it begin on the thread that drives it. For a task that soon waits for somebody else, and for nothing before.
    pub(crate) fn begin_here(&mut self) {
        self.begins_here = true;
    }

    /// Has the task begin. With input in the pipe the first slice may be the only one.
    fn begin(&mut self) {
        match std::mem::replace(&mut self.has_begun, true) {
            true => {}
            false if self.begins_here => go_on_here(|| Shared::enqueue(&self.shared)),
            false => Shared::enqueue(&self.shared),
        }
    }
}

impl Stream for PoolStream {
    fn take_file(&mut self, file: &File) -> io::Result<bool> {
        // What is one chunk is written: a descriptor of its own, and closing it, would cost more than a copy.
        if self.shared.pipe.octets() < CHUNK as u64 {
            return Ok(false);
        }
        self.shared.pipe.take_file(file.try_clone()?);
        self.begin();
        Ok(true)
    }

    fn announce(&mut self, octets: u64) {
        self.shared.pipe.announce(octets);
    }

    fn allow_passing(&mut self) {
        self.shared.pipe.allow_passing();
    }

    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        let taken = self.shared.pipe.offer(input);
        // A piece that is not full may be all there is: `finish` or `read` come next.
        if !matches!(taken, Ok(count) if count == input.len() && count < CHUNK) {
            self.begin();
        }
        taken
    }

    fn finish(&mut self) -> Result<(), Error> {
        let ended = self.shared.pipe.end_input();
        self.begin();
        ended
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        self.begin();
        self.shared.pipe.take(output)
    }

    fn passes_from(&self) -> Option<u64> {
        self.shared.pipe.passes_from()
    }
}

impl Drop for PoolStream {
    fn drop(&mut self) {
        if self.shared.is_gone.load(Ordering::Acquire) {
            return;
        }
        self.shared.pipe.cancel();
        // The task may hold much, and ends where it may wait.
        Shared::enqueue(&self.shared);
    }
}

thread_local! {
    /// Those that are woken by this thread and that it will go on with by itself; none: the pool does.
    static WOKEN_HERE: RefCell<Option<Vec<Arc<Shared>>>> = const { RefCell::new(None) };
}

/// Goes on, on this thread, with the messages that `wake` wakes. For those whose tasks never wait.
pub(crate) fn go_on_here(wake: impl FnOnce()) {
    WOKEN_HERE.set(Some(Vec::new()));
    wake();
    for shared in WOKEN_HERE.take().unwrap_or_default() {
        shared.poll();
    }
}

impl Shared {
    fn enqueue(shared: &Arc<Self>) {
        if shared.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let own = Arc::clone(shared);
        let left = WOKEN_HERE.with_borrow_mut(|woken| match woken {
            Some(woken) => {
                woken.push(own);
                None
            }
            None => Some(own),
        });
        if let Some(own) = left {
            shared.pool.run(move || own.poll());
        }
    }

    /// Goes on until the task waits, has had its slice, or has ended. Called in the pool.
    fn poll(self: Arc<Self>) {
        // Whatever happens from here on asks for another look.
        self.is_queued.store(false, Ordering::SeqCst);
        // Where another thread is in a call, which may never return, that one looks again, and this one is free.
        self.is_asked.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let progress = match self.task.try_lock() {
            Ok(progress) => progress,
            Err(TryLockError::Poisoned(poison)) => poison.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.is_asked.store(false, Ordering::SeqCst);
        Self::advance(&self, progress);
        // Either who was turned away is seen here, or it has seen that the task is free.
        fence(Ordering::SeqCst);
        if self.is_asked.load(Ordering::SeqCst) {
            Self::enqueue(&self);
        }
    }

    fn advance(this: &Arc<Self>, mut progress: MutexGuard<'_, Progress>) {
        let Some(task) = &mut progress.task else { return };
        if this.pipe.is_cancelled() {
            this.drop_task(&mut progress);
            let spent = progress.spent + this.pipe.charged();
            drop(progress);
            this.record.add_cpu(spent);
            this.end(Ok(()), false);
            return;
        }
        if this.is_over.load(Ordering::Acquire) {
            this.drop_task(&mut progress);
            return;
        }
        let waker = Waker::from(Arc::clone(this));
        let timeout = this.limits.timeout.filter(|_| this.limits.may_hang);
        let watched = timeout.and_then(|timeout| watchdog::watch(this, timeout));
        let (begun, spent) = (Instant::now(), thread_time());
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut Context::from_waker(&waker))));
        drop(watched);
        progress.spent += thread_time().saturating_sub(spent);
        let spent = progress.spent + this.pipe.charged();
        if matches!(polled, Ok(Poll::Pending)) {
            this.pipe.end_slice();
        }
        let outcome = match polled {
            Ok(Poll::Ready(outcome)) => outcome,
            Ok(Poll::Pending) if spent > this.limits.cpu => Err(Error::TimedOut(this.limits.cpu)),
            Ok(Poll::Pending) => match this.limits.timeout {
                Some(timeout) => {
                    // What has given its thread up waits in the pool already. Else it waits for somebody.
                    let waits =
                        !this.is_queued.load(Ordering::SeqCst) && !this.is_asked.load(Ordering::SeqCst);
                    let stuck = progress.clock.stuck(begun, Instant::now(), this.pipe.steps(), waits);
                    if stuck < timeout {
                        return;
                    }
                    Err(Error::TimedOut(timeout))
                }
                None => return,
            },
            Err(_) => Err(Error::Crashed("it panicked".to_owned())),
        };
        this.drop_task(&mut progress);
        drop(progress);
        this.record.add_cpu(spent);
        this.end(outcome, !this.pipe.is_cancelled());
    }

    fn drop_task(&self, progress: &mut Progress) {
        progress.task = None;
        self.is_gone.store(true, Ordering::Release);
    }

    /// A call has not returned in time, and may never do.
    fn give_up(&self) {
        let timeout = self.limits.timeout.unwrap_or_default();
        self.end(Err(Error::TimedOut(timeout)), !self.pipe.is_cancelled());
    }

    /// The task is over. `is_wanted`: somebody waits for how it went; else that is how it went so far.
    fn end(&self, outcome: Result<(), Error>, is_wanted: bool) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        let (consumed, produced) = self.pipe.counts();
        self.record.add_octets(consumed, produced);
        self.record.add_duration(self.begun.elapsed());
        self.record.end();
        self.pipe.let_go();
        match &outcome {
            Ok(()) if is_wanted => self.record.count_success(),
            Err(error) if is_wanted => {
                let is_its_own = !self.pipe.is_excused();
                self.record.report_failure(&self.user, self.number, error, is_its_own);
            }
            // A task that was at work just then hears that nobody takes its output: it has gone well so far, too.
            Ok(()) | Err(_) if produced > 0 && (outcome.is_ok() || self.pipe.was_missed()) => {
                self.record.count_progress(Instant::now());
            }
            Ok(()) | Err(_) => {}
        }
        if is_wanted {
            self.pipe.end(outcome);
        }
    }
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

impl Awake for Shared {
    fn wake(self: Arc<Self>) {
        Self::enqueue(&self);
    }
}

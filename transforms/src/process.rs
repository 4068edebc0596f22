//! External programs: the message on standard input, what they write is what the client gets.
//!
//! ```text
//! open ──► Queue ──► a job of the pool: start ──► Running, on the worker ──► End
//!                                                    └─ dropped: SIGTERM, SIGKILL after 1 s, jobs of the pool
//! ```
//!
//! Workers only read and write pipes; whatever may wait is a job of the pool.

mod child;
mod clock;
mod complaints;
mod errand;
mod running;
mod start;
mod stream;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Kind, Message, Policy, Reactor, Stream, Transform, Wake};

pub use self::child::Children;
use self::errand::Errand;

use self::stream::ProcessStream;
use crate::queue::Queue;
use crate::spec::ProcessSpec;

/// Children at once for each core, where the configuration says nothing.
const RUNNING_PER_CORE: usize = 8;

/// What all processes share.
#[derive(Clone)]
pub struct Resources {
    /// Starts and ends children, and keeps their time.
    pub pool: Pool,
    /// Where their descriptors are registered.
    pub reactor: Arc<dyn Reactor>,
    /// POP3D_VERSION in their environment.
    pub version: &'static str,
    /// All that run, so that none outlives the server.
    pub children: Arc<Children>,
}

/// A program that is started for each message.
pub struct Process {
    spec: ProcessSpec,
    resources: Resources,
    queue: Arc<Queue>,
    counters: Counters,
}

/// What a process has done since it was configured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Messages begun.
    pub messages: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those of them that used up `timeout` or `cpu`.
    pub timed_out: u64,
    /// Octets that children have read, of messages that are over.
    pub octets_in: u64,
    /// Octets that they have written.
    pub octets_out: u64,
    /// Children that run.
    pub running: usize,
    /// Messages that wait for one to end.
    pub queued: usize,
}

#[derive(Default)]
struct Counters {
    messages: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
}

impl Resources {
    /// With no children yet.
    #[must_use]
    pub fn new(pool: Pool, reactor: Arc<dyn Reactor>, version: &'static str) -> Self {
        Self { pool, reactor, version, children: Arc::default() }
    }
}

impl Process {
    /// A transform made of a program.
    #[must_use]
    pub fn new(spec: ProcessSpec, resources: Resources) -> Self {
        let limit = match spec.max_running {
            0 => RUNNING_PER_CORE * thread::available_parallelism().map_or(1, usize::from),
            limit => limit,
        };
        Self { spec, resources, queue: Arc::new(Queue::new(limit)), counters: Counters::default() }
    }

    /// What it has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (running, queued) = self.queue.counts();
        Statistics {
            messages: self.counters.messages.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            timed_out: self.counters.timed_out.load(Ordering::Relaxed),
            octets_in: self.counters.octets_in.load(Ordering::Relaxed),
            octets_out: self.counters.octets_out.load(Ordering::Relaxed),
            running,
            queued,
        }
    }
}

impl Transform for Process {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn policy(&self) -> Policy {
        self.spec.policy
    }

    fn open(self: Arc<Self>, message: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error> {
        self.counters.messages.fetch_add(1, Ordering::Relaxed);
        let place = self.queue.join(wake.clone(), self.spec.queue_timeout, &self.resources.pool);
        Ok(Box::new(ProcessStream::new(Arc::new(Errand::new(self, message, wake)), place)))
    }
}

impl Counters {
    fn count_failure(&self, error: &Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if matches!(error, Error::TimedOut(_)) {
            self.timed_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add_octets(&self, consumed: u64, produced: u64) {
        self.octets_in.fetch_add(consumed, Ordering::Relaxed);
        self.octets_out.fetch_add(produced, Ordering::Relaxed);
    }
}

//! External programs: the message on standard input, what they write is what the client gets.
//!
//! ```text
//! open ──► Queue ──► a job of the pool: start ──► Running, on the worker ──► End
//!                                                    └─ dropped: SIGTERM, SIGKILL after 1 s, jobs of the pool
//! ```
//!
//! Workers only read and write pipes; whatever may wait is a job of the pool.

mod clock;
mod errand;
mod failure;
mod running;
mod start;
mod stream;
mod watch;

use std::sync::Arc;
use std::time::Instant;

use pop3d_core::transform::{Error, Message, Places, Stream, Transform, TransformStatistics, Wake};

use self::errand::Errand;
pub(crate) use self::start::check;
use self::stream::ProcessStream;
use crate::alike::alike;
use crate::record::Record;
use crate::resources::Resources;
use crate::spec::ProcessSpec;

/// A program that is started for each message.
pub struct Process {
    spec: ProcessSpec,
    /// Children at once.
    limit: usize,
    resources: Resources,
    record: Arc<Record>,
}

impl Process {
    /// A transform made of a program.
    #[must_use]
    pub fn new(spec: ProcessSpec, resources: Resources) -> Self {
        Self::generation(spec, resources, Arc::default())
    }

    /// One that goes on with the record of others of its name.
    pub(crate) fn generation(spec: ProcessSpec, resources: Resources, record: Arc<Record>) -> Self {
        let limit = spec.running_limit();
        Self { spec, limit, resources, record }
    }

    /// What its name has done so far.
    #[must_use]
    pub fn statistics(&self) -> TransformStatistics {
        self.record.statistics()
    }

    /// Why it last failed a message; empty where it has failed none.
    #[must_use]
    pub fn last_error(&self) -> String {
        self.record.last_error()
    }

    pub(crate) fn spec(&self) -> &ProcessSpec {
        &self.spec
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

impl Transform for Process {
    alike!(Process);

    fn places(&self) -> Option<Places> {
        Some(Places { bound: format!("max_running of {}", self.spec.name), count: self.limit })
    }

    fn open(self: Arc<Self>, message: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error> {
        self.record.admit(&self.spec.name, Instant::now())?;
        self.record.count_message();
        let Resources { pool, .. } = &self.resources;
        let place = self.record.queue.join(self.limit, wake.clone(), self.spec.queue_timeout, pool);
        Ok(Box::new(ProcessStream::new(Arc::new(Errand::new(self, message, wake)), place)))
    }
}

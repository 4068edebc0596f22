//! Filters in WebAssembly: a fresh instance for each message, with no files, no network and so much memory and time.
//!
//! ```text
//! load ──► Shape ──► Code: a component (guest.rs) or a WASI command (command.rs), compiled and linked once
//! open ──► a task of the pool: a place among the instances ──► Code::run ──► the rest, where it passes
//! ```
//!
//! A guest runs on a fiber: where it waits for input or room, or has had its slice, its task is `Pending`.

pub mod alone;
mod cache;
mod command;
mod engine;
mod failure;
mod guest;
mod host;
mod preview1;
mod shape;
mod system;
#[cfg(test)]
mod tests;
mod ticker;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pop3d_core::pool::Pool;
use pop3d_core::transform::{
    Error, Flow, Message, Places, Policy, Stream, Transform, TransformStatistics, Wake,
};

use self::command::Command;
use self::engine::Queued;
pub use self::engine::WasmEngine;
use self::guest::Guest;
use self::shape::Shape;
use crate::alike::alike;
use crate::pool_stream::{Limits, Pipe, PoolStream};
use crate::record::Record;

/// What the configuration says of a filter in WebAssembly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WasmSpec {
    /// The name in the configuration.
    pub name: String,
    /// How the cursor treats its messages.
    pub policy: Policy,
    /// Longest time in which a guest computes and neither takes nor writes anything.
    pub timeout: Duration,
    /// Processor time for one message.
    pub cpu: Duration,
    /// Memory of one instance in octets.
    pub memory: u64,
    /// Octets of output for one message; 100 times what comes in and 1 MiB is a bound as well.
    pub max_output: u64,
    /// Longest time before an instance may be made.
    pub queue_timeout: Duration,
    /// Added to the environment of a WASI command.
    pub env: Vec<(String, String)>,
    /// What the filter is told when a message begins; for a WASI command `OPTION_<KEY>` in its environment.
    pub options: Vec<(String, String)>,
}

/// A filter in WebAssembly, compiled.
pub struct Wasm {
    spec: WasmSpec,
    code: Code,
    engine: Arc<WasmEngine>,
    pool: Pool,
    record: Arc<Record>,
}

/// The engine of a server, made when it is needed for the first time.
#[derive(Default)]
pub(crate) struct Shared {
    cache: Option<PathBuf>,
    instances: Option<u32>,
    engine: OnceLock<Result<Arc<WasmEngine>, String>>,
}

impl Shared {
    /// One that keeps what it has compiled.
    pub(crate) fn with_cache(&self, folder: PathBuf) -> Self {
        Self { cache: Some(folder), instances: self.instances, engine: OnceLock::new() }
    }

    /// One with room for so many guests.
    pub(crate) fn with_instances(&self, instances: u32) -> Self {
        Self { cache: self.cache.clone(), instances: Some(instances), engine: OnceLock::new() }
    }

    /// The engine, or why there is none.
    pub(crate) fn engine(&self) -> Result<Arc<WasmEngine>, String> {
        let make = || {
            let cache = self.cache.clone();
            match self.instances {
                Some(instances) => WasmEngine::with_instances(instances, cache),
                None => WasmEngine::new(cache),
            }
        };
        self.engine.get_or_init(|| make().map(Arc::new)).clone()
    }
}

/// What a file holds, ready to be instantiated.
enum Code {
    Guest(Guest),
    Command(Command),
}

impl WasmSpec {
    /// A spec with every default (`transforms.md`, part 8).
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            policy: Policy::default(),
            timeout: Duration::from_secs(30),
            cpu: Duration::from_secs(10),
            memory: 64 << 20,
            max_output: 1 << 30,
            queue_timeout: Duration::from_secs(30),
            env: Vec::new(),
            options: Vec::new(),
        }
    }
}

impl Wasm {
    /// A filter made of the octets of a `.wasm` file. May take seconds: call it where that holds up nobody.
    ///
    /// # Errors
    /// Where it is none, in one sentence.
    pub fn new(spec: WasmSpec, file: &[u8], engine: &Arc<WasmEngine>, pool: Pool) -> Result<Self, String> {
        Self::load(spec, file, engine, pool, Arc::default())
    }

    /// One that goes on with the record of others of its name.
    pub(crate) fn load(
        spec: WasmSpec,
        file: &[u8],
        engine: &Arc<WasmEngine>,
        pool: Pool,
        record: Arc<Record>,
    ) -> Result<Self, String> {
        let code = match Shape::of(file)? {
            Shape::Component(component) => Code::Guest(Guest::load(engine, file, &component)?),
            Shape::Command => Code::Command(Command::load(engine, file)?),
        };
        Ok(Self { spec, code, engine: Arc::clone(engine), pool, record })
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// What it was made by.
    #[must_use]
    pub fn spec(&self) -> &WasmSpec {
        &self.spec
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

    /// The way of one message.
    async fn run(
        self: Arc<Self>,
        message: Arc<Message>,
        queued: Queued,
        pipe: Arc<Pipe>,
    ) -> Result<(), Error> {
        let place = queued.enter().await.inspect_err(|_| pipe.excuse())?;
        let flow = self
            .engine
            .ticking(async {
                match &self.code {
                    Code::Guest(guest) => guest.run(&self, &message, &pipe).await,
                    Code::Command(command) => command.run(&self, &message, &pipe).await,
                }
            })
            .await?;
        // Its instance is gone: the rest needs none.
        drop(place);
        if flow == Flow::Pass { pipe.pass().await } else { Ok(()) }
    }
}

impl Transform for Wasm {
    alike!(Wasm);

    fn places(&self) -> Option<Places> {
        Some(Places { bound: "max_wasm_instances".to_owned(), count: self.engine.places() })
    }

    fn open(self: Arc<Self>, message: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error> {
        self.record.admit(&self.spec.name, Instant::now())?;
        let WasmSpec { cpu, timeout, max_output, .. } = self.spec;
        let limits = Limits { cpu, timeout: Some(timeout), may_hang: false, max_output };
        let (pool, record) = (self.pool.clone(), Arc::clone(&self.record));
        let own = Arc::clone(&message);
        let queued = self.engine.queue(&self.pool, self.spec.queue_timeout, &self.record);
        let work = move |pipe| self.run(own, queued, pipe);
        let stream = PoolStream::new(pool, record, limits, &message, wake, move |pipe| Box::pin(work(pipe)));
        Ok(Box::new(stream))
    }
}

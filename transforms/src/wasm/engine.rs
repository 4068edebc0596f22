//! What all filters in WebAssembly share: the compiler, the room for instances, their clock, the cache.

use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Wake};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use super::WasmSpec;
use super::cache::Cache;
use super::host::Bounded;
use super::ticker::Ticker;
use crate::queue::{Place, Queue, Turn};
use crate::record::{InLine, Record};

/// Instances at once, where the configuration says nothing: each costs mappings, of which a process may have 65,530.
const INSTANCES: u32 = 1000;

/// Core instances of one component: that of JavaScript has 9.
const CORE_INSTANCES: u32 = 100;

/// Address space of one memory: so much, and no access needs a check.
const MEMORY_RESERVATION: usize = 4 << 30;

/// Octets of a table that an instance leaves in memory, zeroed, for the next: to give the few entries that most have back to
/// the kernel costs more, for every processor must hear of it.
const TABLE_KEPT: usize = 16 << 10;

/// Stack of a guest.
const GUEST_STACK: usize = 512 << 10;

/// Stack of a guest and of what it calls here.
const FIBER_STACK: usize = 1 << 20;

/// Where guests are compiled and run.
pub struct WasmEngine {
    pub(super) engine: Engine,
    pub(super) cache: Option<Cache>,
    ticker: Ticker,
    queue: Arc<Queue>,
    instances: u32,
}

/// A message in the queue for an instance.
pub(super) struct Queued {
    place: Place,
    /// It was not its turn at once.
    _in_line: Option<InLine>,
    /// Who is to be told that its turn has come, once somebody waits for it.
    waker: Arc<Mutex<Option<Waker>>>,
    patience: Duration,
    instances: usize,
}

impl WasmEngine {
    /// An engine that keeps what it compiled in a folder, where one is named.
    ///
    /// # Errors
    /// Where this machine cannot run guests; why.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, String> {
        Self::with_instances(INSTANCES, cache)
    }

    /// One with room for so many instances at once; further messages queue.
    ///
    /// # Errors
    /// Where this machine cannot run guests; why.
    pub fn with_instances(instances: u32, cache: Option<PathBuf>) -> Result<Self, String> {
        let engine = Engine::new(&pooling(instances)).or_else(|error| {
            log::warn!(
                target: "pop3d::transform",
                "no room for {instances} instances of WASM filters is set aside, each takes its own: {error}"
            );
            Engine::new(&on_demand())
        });
        Self::of(engine.map_err(|error| format!("no WASM filter can run here: {error}"))?, instances, cache)
    }

    /// One of a compiler that is set up.
    pub(super) fn of(engine: Engine, instances: u32, cache: Option<PathBuf>) -> Result<Self, String> {
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| format!("the clock of WASM filters cannot run: {error}"))?;
        let cache = cache.and_then(|folder| Cache::open(folder, &engine));
        Ok(Self { engine, cache, ticker, queue: Arc::default(), instances })
    }

    /// Instances at once.
    pub(super) fn places(&self) -> usize {
        usize::try_from(self.instances).unwrap_or(usize::MAX)
    }

    /// Takes the last place in the queue for an instance: when a message begins, so that in a chain the earlier of two
    /// messages is the earlier at every link, and they never wait for each other.
    pub(super) fn queue(&self, pool: &Pool, patience: Duration, record: &Arc<Record>) -> Queued {
        let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
        let asleep = Arc::clone(&waker);
        let wake = Wake(Arc::new(move || {
            if let Some(waker) = asleep.lock().unwrap_or_else(PoisonError::into_inner).take() {
                waker.wake();
            }
        }));
        let place = self.queue.join(self.places(), wake, patience, pool);
        let in_line = (place.turn() == Turn::Waiting).then(|| record.stand_in_line());
        Queued { place, _in_line: in_line, waker, patience, instances: self.places() }
    }

    /// Runs guests: each poll takes at most a tick.
    pub(super) async fn ticking<T>(&self, work: impl Future<Output = T>) -> T {
        self.ticker.ticking(work).await
    }

    /// Where one instance lives. It gives its thread up at every tick.
    pub(super) fn store<T: Bounded>(&self, data: T) -> Store<T> {
        let mut store = Store::new(&self.engine, data);
        store.limiter(|data| data.memory());
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }
}

impl Queued {
    /// Waits for its turn: the place is that of an instance then.
    pub(super) async fn enter(self) -> Result<Place, Error> {
        poll_fn(|context| {
            // Before it is looked whose turn it is: else the call could come in between.
            *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            match self.place.turn() {
                Turn::Waiting => Poll::Pending,
                Turn::Called => Poll::Ready(Ok(())),
                Turn::TooLate => {
                    let patience = self.patience;
                    let reason = format!(
                        "no turn within queue_timeout, {patience:?}: max_wasm_instances is {}",
                        self.instances,
                    );
                    Poll::Ready(Err(Error::Temporary(reason)))
                }
            }
        })
        .await?;
        Ok(self.place)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(8))
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK);
    config
}

/// Room for so many instances is set aside.
pub(super) fn pooling(instances: u32) -> Config {
    let mut pooling = PoolingAllocationConfig::new();
    // Most have one memory, and a shim or two beside the program; where that is not enough, messages fail for now.
    pooling
        .total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4).saturating_add(CORE_INSTANCES))
        .total_memories(instances.saturating_add(CORE_INSTANCES))
        .total_tables(instances.saturating_mul(3).saturating_add(CORE_INSTANCES))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(CORE_INSTANCES)
        .max_tables_per_component(CORE_INSTANCES)
        .max_memory_size(MEMORY_RESERVATION)
        .linear_memory_keep_resident(0)
        .table_keep_resident(TABLE_KEPT);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling));
    config
}

/// Each instance takes its own room, as much address space as a filter may have memory by default.
pub(super) fn on_demand() -> Config {
    let mut config = config();
    let memory = WasmSpec::new("").memory;
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand).memory_reservation(memory);
    config
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn who_began_first_has_its_turn_first_whoever_asks_first() {
        let engine = WasmEngine::with_instances(1, None).unwrap();
        let pool = Pool::start("test", 1).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let record = Arc::default();
        let [early, late] = [(); 2].map(|()| engine.queue(&pool, Duration::from_mins(10), &record));
        let (mut early, mut late) = (Box::pin(early.enter()), pin!(late.enter()));
        assert!(late.as_mut().poll(&mut context).is_pending());
        let Poll::Ready(Ok(place)) = early.as_mut().poll(&mut context) else { panic!("it waits") };
        assert!(late.as_mut().poll(&mut context).is_pending());
        drop(place);
        assert!(late.as_mut().poll(&mut context).is_ready());
    }
}

//! Native plugins: shared libraries that export the C interface of `plugins/abi`.
//!
//! By default a plugin runs in helper processes (`host.rs`, `helper.rs`): one that crashes, hangs or exits costs the
//! messages that it has. Trusted ones may run in this process (`isolation = "none"`).

pub mod alone;
mod frames;
pub mod helper;
mod host;
mod incoming;
pub mod inherited;
mod inline;
mod launch;
pub(crate) mod library;
mod outgoing;
mod plugin;
#[cfg(test)]
mod tests;
mod words;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Message, Stream, Transform, Wake};

use self::host::Host;
use self::inline::Inline;
use self::launch::Start;
pub use self::launch::{ARGUMENT, SEALED, TIED};
use self::plugin::Plugin;
use crate::alike::alike;
use crate::children::Children;
use crate::pool_stream::{Limits, PoolStream, run_filter};
use crate::record::Record;
use crate::spec::{Isolation, PluginSpec};

/// Most helper processes of one transform where the configuration says nothing.
const HOSTS_MAX: usize = 4;

/// How long a helper that died is not started again: at first, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A plugin that was loaded.
pub struct Native {
    spec: PluginSpec,
    pool: Pool,
    record: Arc<Record>,
    place: Place,
}

enum Place {
    Here {
        plugin: Arc<Plugin>,
        /// It never waits, as it says, and has kept to that: who drives a message may call it.
        is_quick: AtomicBool,
    },
    Helpers {
        library: Vec<u8>,
        children: Arc<Children>,
        slots: Vec<Mutex<Slot>>,
    },
}

/// Where a helper is, or may be again.
#[derive(Default)]
struct Slot {
    host: Option<Arc<Host>>,
    /// How often it died in a row, and when it may be started again.
    deaths: u32,
    again: Option<Instant>,
}

impl Native {
    /// Loads a plugin from its file. Takes long: not for a worker.
    ///
    /// # Errors
    /// Why it cannot be used, as a sentence.
    pub(crate) fn load(
        spec: PluginSpec,
        pool: Pool,
        children: Arc<Children>,
        record: Arc<Record>,
    ) -> Result<Self, String> {
        let library = library::read(&spec.file)?;
        let in_file = |what: String| format!("{}: {what}", spec.file.display());
        let place = match spec.isolation {
            Isolation::None => {
                let descriptor = library::load(&library).map_err(in_file)?;
                let plugin = Plugin::configure(descriptor, &spec.name, &spec.options).map_err(in_file)?;
                Place::Here { is_quick: AtomicBool::new(plugin.is_nonblocking()), plugin: Arc::new(plugin) }
            }
            Isolation::Process => {
                let count = match spec.hosts {
                    0 => thread::available_parallelism().map_or(1, usize::from).min(HOSTS_MAX),
                    count => count,
                };
                let mut slots: Vec<Mutex<Slot>> = (0..count).map(|_| Mutex::default()).collect();
                // Whether it loads is found out by the first.
                let host = Host::start(&start(&spec, &library, &children, &record)).map_err(in_file)?;
                if let Some(slot) = slots.first_mut() {
                    *slot = Mutex::new(Slot { host: Some(host), ..Slot::default() });
                }
                Place::Helpers { library, children, slots }
            }
        };
        Ok(Self { spec, pool, record, place })
    }

    pub(crate) fn spec(&self) -> &PluginSpec {
        &self.spec
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// A helper for one message: that with the fewest, started where there is none. May wait: called in the pool.
    fn helper(&self, library: &[u8], children: &Children, slots: &[Mutex<Slot>]) -> Result<Arc<Host>, Error> {
        let lock = |slot: &'_ Mutex<Slot>| -> Option<usize> {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let host = slot.host.as_ref().filter(|host| host.is_alive());
            // One that is not started costs a little more than one that is idle.
            Some(host.map_or(1, |host| 2 * host.load()))
        };
        let place = slots.iter().min_by_key(|slot| lock(slot)).ok_or_else(|| none("it has no helper"))?;
        let mut slot = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = slot.host.as_ref().filter(|host| host.is_alive()) {
            return Ok(Arc::clone(host));
        }
        if slot.host.take().is_some() {
            let is_long_ago = slot.again.is_none_or(|again| again.elapsed() > BACK_OFF.1);
            slot.deaths = if is_long_ago { 1 } else { slot.deaths + 1 };
            let delay = (BACK_OFF.0 * 2_u32.saturating_pow(slot.deaths - 1)).min(BACK_OFF.1);
            slot.again = Some(Instant::now() + delay);
        }
        if slot.again.is_some_and(|again| Instant::now() < again) && slot.deaths > 1 {
            return Err(none("its helper process died, and is not started again yet"));
        }
        let start = start(&self.spec, library, children, &self.record);
        let host = Host::start(&start).map_err(Error::Temporary)?;
        slot.host = Some(Arc::clone(&host));
        Ok(host)
    }
}

/// That which `Native::helper` would choose, where it is there and nobody has to wait for it.
fn ready_helper(slots: &[Mutex<Slot>]) -> Option<Arc<Host>> {
    let mut best: Option<(usize, Arc<Host>)> = None;
    let mut is_any_missing = false;
    for slot in slots {
        let host = slot.try_lock().ok().and_then(|slot| slot.host.clone()).filter(|host| host.is_alive());
        let Some(host) = host else {
            is_any_missing = true;
            continue;
        };
        let load = host.load();
        if best.as_ref().is_none_or(|(least, _)| load < *least) {
            best = Some((load, host));
        }
    }
    best.filter(|(load, _)| *load == 0 || !is_any_missing).map(|(_, host)| host)
}

fn none(what: &str) -> Error {
    Error::Temporary(what.to_owned())
}

fn start<'start>(
    spec: &'start PluginSpec,
    library: &'start [u8],
    children: &'start Children,
    record: &'start Arc<Record>,
) -> Start<'start> {
    let PluginSpec { name, options, memory, timeout, .. } = spec;
    Start { name, options, library, children, record, memory: *memory, timeout: *timeout }
}

impl Transform for Native {
    alike!(Native);

    fn open(self: Arc<Self>, message: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error> {
        self.record.admit(&self.spec.name, Instant::now())?;
        if let Place::Here { plugin, is_quick } = &self.place
            && is_quick.load(Ordering::Relaxed)
        {
            let instance = Plugin::instance(plugin);
            return Ok(Box::new(Inline::new(self, instance, message, wake)));
        }
        let PluginSpec { cpu, timeout, max_output, .. } = self.spec;
        // A helper is watched by who reads from it.
        let timeout = matches!(self.place, Place::Here { .. }).then_some(timeout);
        let limits = Limits { cpu, timeout, may_hang: timeout.is_some(), max_output };
        let (own, told) = (Arc::clone(&self), Arc::clone(&message));
        let (pool, record) = (self.pool.clone(), Arc::clone(&self.record));
        let ready = match &self.place {
            Place::Here { .. } => None,
            Place::Helpers { slots, .. } => ready_helper(slots),
        };
        let is_ready = ready.is_some();
        let mut stream = PoolStream::new(pool, record, limits, &message, wake, move |pipe| {
            Box::pin(async move {
                match (&own.place, ready) {
                    (Place::Here { plugin, .. }, _) => {
                        let instance = Box::new(Plugin::instance(plugin));
                        run_filter(instance, told, pipe).await
                    }
                    (Place::Helpers { .. }, Some(host)) => host.run(told, pipe).await,
                    (Place::Helpers { library, children, slots }, None) => {
                        let host = own.helper(library, children, slots)?;
                        host.run(told, pipe).await
                    }
                }
            })
        });
        if is_ready {
            stream.begin_here();
        }
        Ok(Box::new(stream))
    }
}

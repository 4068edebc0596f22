//! Native plugins: shared libraries that export the C interface of `plugins/abi`.
//!
//! By default a plugin runs in helper processes (`slots.rs`, `host.rs`, `helper.rs`): one that crashes, hangs or exits costs the
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
mod slots;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use log::warn;
use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Message, Stream, Transform, Wake};

use self::host::Host;
use self::inline::Inline;
pub use self::launch::{ARGUMENT, SEALED, TIED};
use self::launch::{Start, Unstarted};
use self::plugin::Plugin;
use self::slots::{Choice, Slots, Vacancy};
use crate::alike::alike;
use crate::children::Children;
use crate::pool_stream::{Limits, Pipe, PoolStream, run_filter};
use crate::record::Record;
use crate::spec::{Isolation, PluginSpec};

/// Most helper processes of one transform where the configuration says nothing.
const HOSTS_MAX: usize = 4;

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
        slots: Arc<Slots>,
    },
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
                let plugin = plugin.released_in(pool.clone());
                Place::Here { is_quick: AtomicBool::new(plugin.is_nonblocking()), plugin: Arc::new(plugin) }
            }
            Isolation::Process => {
                let count = match spec.hosts {
                    0 => thread::available_parallelism().map_or(1, usize::from).min(HOSTS_MAX),
                    count => count,
                };
                // Whether it loads is found out by the first.
                let host = Host::start(&start(&spec, &library, &children, &record));
                let host = host.map_err(|unstarted| in_file(unstarted.to_string()))?;
                let slots = Arc::new(Slots::new(count, host));
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

    /// A helper for the message of a pipe. Where one is to be started, which may take long, a thread of its own does so.
    async fn helper(self: &Arc<Self>, slots: &Arc<Slots>, pipe: &Pipe) -> Result<Arc<Host>, Error> {
        let (starting, is_first) = match slots.choose(Instant::now()) {
            Choice::Ready(host) => return Ok(host),
            Choice::Awaited(starting) => (starting, false),
            Choice::Vacant(vacancy, beside) => {
                let starting = vacancy.starting();
                let native = Arc::clone(self);
                let work = move || native.start_helper(&vacancy);
                let started = thread::Builder::new().name("helper-start".to_owned()).spawn(work);
                if let Some(host) = beside {
                    return Ok(host);
                }
                started.map_err(|error| {
                    pipe.excuse();
                    Error::Temporary(format!("its helper process cannot be started: {error}"))
                })?;
                (starting, true)
            }
            Choice::Refused => {
                // Nothing was tried.
                pipe.excuse();
                let what = "its helper process died or could not be started, and is not started again yet";
                return Err(Error::Temporary(what.to_owned()));
            }
        };
        starting.outcome().await.map_err(|unstarted| {
            // That a plugin was not loaded once is one failure of it, however many messages wait for that.
            if !is_first || matches!(unstarted, Unstarted::OfServer(_)) {
                pipe.excuse();
            }
            Error::Temporary(unstarted.to_string())
        })
    }

    /// Starts a helper. May wait.
    fn start_helper(&self, vacancy: &Vacancy) {
        if let Place::Helpers { library, children, .. } = &self.place {
            let host = Host::start(&start(&self.spec, library, children, &self.record));
            if let Err(unstarted) = &host {
                // Where another helper has taken the message, nobody else tells it.
                warn!(target: "pop3d::transform", "transform {}: {unstarted}", self.spec.name);
            }
            vacancy.end(host, Instant::now());
        }
    }
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
        let now = Instant::now();
        self.record.admit(&self.spec.name, now)?;
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
            Place::Helpers { slots, .. } => slots.ready(now),
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
                    (Place::Helpers { slots, .. }, None) => {
                        own.helper(slots, &pipe).await?.run(told, pipe).await
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

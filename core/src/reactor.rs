//! Where the descriptors of transforms are registered: each with the worker that drives its stream.

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::token::{Key, Place, Slots};
use crate::transform::{Reactor, Wake};

thread_local! {
    /// Which worker this thread is.
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The descriptors of all workers.
pub(crate) struct WorkerReactor {
    workers: Vec<Sources>,
}

struct Sources {
    registry: Registry,
    wakes: Mutex<Slots<(RawFd, Wake)>>,
}

impl WorkerReactor {
    /// A reactor of the workers that poll these registries.
    ///
    /// # Errors
    /// Where a registry cannot be cloned.
    pub(crate) fn new<'registry>(registries: impl Iterator<Item = &'registry Registry>) -> io::Result<Self> {
        let sources = |registry: &Registry| {
            Ok(Sources { registry: registry.try_clone()?, wakes: Mutex::new(Slots::new()) })
        };
        Ok(Self { workers: registries.map(sources).collect::<io::Result<_>>()? })
    }

    /// Says that the calling thread is a worker.
    pub(crate) fn enter(worker: usize) {
        WORKER.set(Some(worker));
    }

    /// A descriptor of this worker is ready.
    pub(crate) fn handle_event(&self, worker: usize, key: Key) {
        let wake = self.workers.get(worker).and_then(|sources| {
            let wakes = sources.lock();
            wakes.get(key).map(|(_, wake)| wake.clone())
        });
        // Called without the lock: what wakes may register and deregister.
        if let Some(wake) = wake {
            wake.wake();
        }
    }
}

impl Sources {
    fn lock(&self) -> MutexGuard<'_, Slots<(RawFd, Wake)>> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reactor for WorkerReactor {
    fn register(&self, descriptor: RawFd, interest: Interest, wake: Wake) -> io::Result<Token> {
        let worker = WORKER.get().unwrap_or(0);
        let sources = self.workers.get(worker).ok_or(io::ErrorKind::NotFound)?;
        let mut wakes = sources.lock();
        let key = wakes.insert((descriptor, wake));
        let registered = sources.registry.register(
            &mut SourceFd(&descriptor),
            Place::Source(worker, key).token(),
            interest,
        );
        if let Err(error) = registered {
            wakes.remove(key);
            return Err(error);
        }
        Ok(Place::Source(worker, key).token())
    }

    fn deregister(&self, token: Token) -> io::Result<()> {
        let Place::Source(worker, key) = Place::of(token) else { return Err(io::ErrorKind::NotFound.into()) };
        let sources = self.workers.get(worker).ok_or(io::ErrorKind::NotFound)?;
        let (descriptor, _wake) = sources.lock().remove(key).ok_or(io::ErrorKind::NotFound)?;
        sources.registry.deregister(&mut SourceFd(&descriptor))
    }
}

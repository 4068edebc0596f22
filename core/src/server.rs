//! The server as a whole: listeners, workers and pools; start, drain, stop.

mod descriptors;
mod handle;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::Poll;

use self::descriptors::{DESCRIPTORS_PER_THREAD, connections_for, open_descriptors, raise_descriptor_limit};
pub use self::handle::Handle;
use crate::listening::Listening;
pub use crate::listening::Protocol;
use crate::notice::{Notice, Notices};
use crate::pool::Pool;
use crate::reactor::WorkerReactor;
use crate::settings::Settings;
pub use crate::shared::Pools;
use crate::shared::Shared;
use crate::socket;
use crate::statistics::Totals;
pub use crate::token::WORKERS_MAX;
use crate::transform::Reactor;
use crate::worker::Worker;

/// Logins at once that wait for another program: what they cost is its time, not that of a core.
pub const EXTERNALS: usize = 8;

/// A server that does not serve yet: its workers' loops and its pools, so that transforms can be made for it.
pub struct Server {
    polls: Vec<Poll>,
    notices: Vec<Arc<Notices>>,
    reactor: Arc<WorkerReactor>,
    pools: Pools,
    /// For each address one listener a worker.
    listeners: Vec<Vec<Listening>>,
    /// The first port of POP3S.
    pop3s_port: Option<u16>,
    /// The limit of the process.
    descriptors: usize,
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct ListenError {
    /// Which one.
    pub address: SocketAddr,
    /// Why.
    pub cause: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot listen on {}: {}", self.address, self.cause)
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A server that serves.
pub struct Running {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// One from each worker that has ended, and from a stopper.
    signs: Receiver<Sign>,
    sender: Sender<Sign>,
}

impl Server {
    /// Makes the loops of `workers` workers (0: one a core) and the pools; `transforming` threads for transforms (0: one a
    /// core, and one). Raises the process's limit of
    /// descriptors to its hard limit.
    ///
    /// # Errors
    /// Where the kernel gives no event queue, descriptor or thread.
    pub fn new(workers: usize, transforming: usize) -> io::Result<Self> {
        let descriptors = raise_descriptor_limit()?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers = if workers == 0 { cores } else { workers }.min(WORKERS_MAX);
        let polls = (0..workers).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let notices = polls
            .iter()
            .map(|poll| Notices::new(poll.registry()).map(Arc::new))
            .collect::<io::Result<Vec<_>>>()?;
        let reactor = Arc::new(WorkerReactor::new(polls.iter().map(Poll::registry))?);
        let pools = Pools {
            passwords: Pool::start("passwords", cores)?,
            externals: Pool::start("externals", EXTERNALS)?,
            // These wait for disks more than they compute.
            maildrops: Pool::start("maildrops", 2 * cores + 2)?,
            transforms: Pool::start("transforms", if transforming == 0 { cores + 1 } else { transforming })?,
        };
        Ok(Self { polls, notices, reactor, pools, listeners: Vec::new(), pop3s_port: None, descriptors })
    }

    /// Where process streams register their descriptors.
    #[must_use]
    pub fn reactor(&self) -> Arc<dyn Reactor> {
        Arc::clone(&self.reactor) as Arc<dyn Reactor>
    }

    /// The pools.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Listens on an address, once for each worker; returns the address with its true port. "::" takes IPv4 too.
    ///
    /// # Errors
    /// Where the address is in use, is not of this machine, or may not be taken.
    pub fn listen(&mut self, address: SocketAddr, protocol: Protocol) -> Result<SocketAddr, ListenError> {
        self.listen_all(address, protocol, false).map_err(|cause| ListenError { address, cause })
    }

    /// Listens for balancers: each connection begins with a header of the PROXY protocol, then with what the client says.
    ///
    /// # Errors
    /// As those of `listen`.
    pub fn listen_for_balancers(
        &mut self,
        address: SocketAddr,
        protocol: Protocol,
    ) -> Result<SocketAddr, ListenError> {
        self.listen_all(address, protocol, true).map_err(|cause| ListenError { address, cause })
    }

    fn listen_all(
        &mut self,
        address: SocketAddr,
        protocol: Protocol,
        is_proxied: bool,
    ) -> io::Result<SocketAddr> {
        if address.port() != 0 {
            socket::check_free(address)?;
        }
        let first = socket::listener(address)?;
        let true_address = first.local_addr()?;
        let mut listeners = vec![first];
        while listeners.len() < self.polls.len() {
            listeners.push(socket::listener(true_address)?);
        }
        let listening = |socket| Listening { socket, protocol, is_proxied };
        self.listeners.push(listeners.into_iter().map(listening).collect());
        // Clients do not know the address of a listener for balancers.
        if protocol == Protocol::Pop3s && !is_proxied {
            self.pop3s_port.get_or_insert(true_address.port());
        }
        Ok(true_address)
    }

    /// Starts to serve. `before`: what earlier processes have counted.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(self, settings: Settings, before: Totals) -> io::Result<Running> {
        let threads = self.polls.len() + 1;
        let descriptors =
            connections_for(self.descriptors, open_descriptors() + DESCRIPTORS_PER_THREAD * threads);
        let mut shared = Shared::new(settings, before, self.pools, self.notices, descriptors);
        shared.pop3s_port = self.pop3s_port;
        let shared = Arc::new(shared);
        let (sender, signs) = mpsc::channel();
        let mut listeners = self.listeners;
        let mut workers = Vec::new();
        for (number, poll) in self.polls.into_iter().enumerate() {
            let own = listeners.iter_mut().filter_map(Vec::pop).collect();
            let worker = Worker::new(number, poll, Arc::clone(&self.reactor), own, Arc::clone(&shared))?;
            let farewell = Farewell(sender.clone());
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            workers.push(thread.spawn(move || {
                let _farewell = farewell;
                worker.run();
            })?);
        }
        Ok(Running { shared, workers, signs, sender })
    }
}

/// Ends a server that is being drained, from another thread.
#[derive(Clone)]
pub struct Stopper(Sender<Sign>);

impl Stopper {
    /// Resets every connection: nothing that is under way is taken for whole. `drain` returns soon after.
    pub fn stop(&self) {
        // Where nobody hears it, it is drained.
        let _ = self.0.send(Sign::Stop);
    }
}

/// How long workers may take to end once every connection is reset.
const STOP_LIMIT: Duration = Duration::from_secs(5);

impl Running {
    /// What can end the server while it is being drained.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// The server for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Accepts no more, lets transfers run to their end for at most `limit`, tells the other sessions, and returns
    /// once every connection is closed. Waits; but not for ever for a worker that hangs, in a file system that does not answer
    /// or in a filter: the end of the process is to end it.
    pub fn drain(self, limit: Duration) {
        self.shared.tell_all(|| Notice::Drain);
        let (mut left, mut until, mut is_stopped) = (self.workers.len(), Instant::now() + limit, false);
        while left > 0 {
            match self.signs.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Sign::Ended) => left -= 1,
                Ok(Sign::Stop) | Err(_) if !is_stopped => {
                    self.shared.tell_all(|| Notice::Stop);
                    (until, is_stopped) = (Instant::now() + STOP_LIMIT, true);
                }
                Ok(Sign::Stop) => {}
                Err(_) => {
                    log::error!(target: "pop3d::server", "workers that hang, and end with the process: {left}");
                    return;
                }
            }
        }
        for worker in self.workers {
            if worker.join().is_err() {
                log::error!(target: "pop3d::server", "a worker panicked");
            }
        }
    }
}

/// What whoever drains the server waits for.
enum Sign {
    /// A worker has ended.
    Ended,
    /// It is to be stopped.
    Stop,
}

/// Says that a worker has ended, also where it panicked.
struct Farewell(Sender<Sign>);

impl Drop for Farewell {
    fn drop(&mut self) {
        // Nobody hears it where the server is not being drained.
        let _ = self.0.send(Sign::Ended);
    }
}

#[cfg(test)]
mod tests;

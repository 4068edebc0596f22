//! The server as a whole: listeners, workers and pools; start, drain, stop.

mod handle;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use mio::Poll;
use mio::net::TcpListener;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use self::handle::Handle;
use crate::accounts::UserName;
use crate::guesses::Guesses;
use crate::logins::Logins;
use crate::measure::ExactSizes;
use crate::nets::CountedAddress;
use crate::notice::{Notice, Notices};
use crate::pool::Pool;
use crate::reactor::WorkerReactor;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::socket;
use crate::statistics::{Counters, Totals};
use crate::timestamp::timestamp;
use crate::token::WORKERS_MAX;
use crate::transform::Reactor;
use crate::worker::Worker;

/// Descriptors that connections may not take: messages and folders that are open for a while, pipes. Where there are
/// few in all, half of them.
const DESCRIPTORS_KEPT: usize = 128;

/// The least of them, beside those that the server has open once it serves.
const DESCRIPTORS_SPARE: usize = 4;

/// Descriptors that each worker and the admin thread open later: a reserve, an event queue and its bell.
const DESCRIPTORS_PER_THREAD: usize = 2;

/// Logins at once that wait for another program: what they cost is its time, not that of a core.
pub const EXTERNALS: usize = 8;

/// The name in the greeting, which tells no version before login.
const NAME: &str = "pop3d";

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

/// A listener of one worker.
pub(crate) struct Listening {
    pub(crate) socket: TcpListener,
    pub(crate) protocol: Protocol,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub(crate) is_proxied: bool,
}

/// The pools of a server, one for each kind of waiting, so that one kind never holds up another.
#[derive(Clone)]
pub struct Pools {
    /// Hashing passwords.
    pub passwords: Pool,
    /// Asking other programs about passwords.
    pub externals: Pool,
    /// Listing maildrops, counting octets, removing messages.
    pub maildrops: Pool,
    /// Starting and ending programs, and their time.
    pub transforms: Pool,
}

/// What a client speaks who comes to a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// POP3, in the clear until STLS.
    Pop3,
    /// POP3 in TLS from the first octet on (RFC 8314, section 3.3).
    Pop3s,
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

/// What the workers share.
pub(crate) struct Shared {
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) pools: Pools,
    pub(crate) notices: Vec<Arc<Notices>>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) sessions: Arc<Sessions>,
    /// What earlier processes have counted.
    before: Totals,
    pub(crate) exact_sizes: ExactSizes,
    pub(crate) name: &'static str,
    pub(crate) implementation: &'static str,
    host: Box<str>,
    /// The port of POP3S that clients are told of.
    pub(crate) pop3s_port: Option<u16>,
    /// Makes each timestamp of a greeting another.
    greetings: AtomicUsize,
    /// Connections that the descriptors are enough for.
    descriptors: usize,
    connections: AtomicUsize,
    /// Whether a worker found no seat, and is to be told when there is one.
    is_waiting: AtomicBool,
    addresses: Mutex<HashMap<CountedAddress, usize>>,
    users: Mutex<HashMap<UserName, usize>>,
    pub(crate) guesses: Guesses,
    pub(crate) logins: Logins,
    /// Who makes weak hashes anew.
    renewer: OnceLock<Renewer>,
}

/// Makes the hash of an account anew, of the password that it is of.
pub(crate) type Renewer = Box<dyn Fn(&UserName, &[u8]) + Send + Sync>;

/// A seat among the connections that are served at once. Dropping it gives it back.
pub(crate) struct Seat {
    shared: Arc<Shared>,
}

/// A seat and what is counted for the client's address.
pub(crate) struct Admission {
    seat: Seat,
    /// None: an address without a bound.
    address: Option<CountedAddress>,
}

/// One of the sessions that a user has at once. Dropping it gives it back.
pub(crate) struct Place {
    shared: Arc<Shared>,
    user: UserName,
}

/// Why a client is turned away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TurnedAway {
    /// Its address has as many connections as it may have.
    TooMany,
    /// Too many logins from its address failed.
    FailedLogins,
}

/// A server that serves.
pub struct Running {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// One message from each worker that has ended.
    ended: Receiver<()>,
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
        let (sender, ended) = mpsc::channel();
        let mut listeners = self.listeners;
        let mut workers = Vec::new();
        for (number, poll) in self.polls.into_iter().enumerate() {
            let own = listeners.iter_mut().filter_map(Vec::pop).collect();
            let worker = Worker::new(number, poll, Arc::clone(&self.reactor), own, Arc::clone(&shared))?;
            let sender = sender.clone();
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            workers.push(thread.spawn(move || {
                worker.run();
                // Nobody hears it where the server is not being drained.
                let _ = sender.send(());
            })?);
        }
        Ok(Running { shared, workers, ended })
    }
}

/// Ends a server that is being drained, from another thread.
#[derive(Clone)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Resets every connection: nothing that is under way is taken for whole. `drain` returns soon after.
    pub fn stop(&self) {
        self.0.tell_all(|| Notice::Stop);
    }
}

impl Running {
    /// What can end the server while it is being drained.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared))
    }

    /// The server for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Accepts no more, lets transfers run to their end for at most `limit`, tells the other sessions, and returns
    /// once every connection is closed. Waits.
    pub fn drain(self, limit: Duration) {
        let until = Instant::now() + limit;
        self.shared.tell_all(|| Notice::Drain);
        for _ in &self.workers {
            let left = until.saturating_duration_since(Instant::now());
            if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(left) {
                self.shared.tell_all(|| Notice::Stop);
                break;
            }
        }
        for worker in self.workers {
            if worker.join().is_err() {
                log::error!(target: "pop3d::server", "a worker panicked");
            }
        }
    }
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        before: Totals,
        pools: Pools,
        notices: Vec<Arc<Notices>>,
        descriptors: usize,
    ) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            pools,
            counters: notices.iter().map(|_| Arc::default()).collect(),
            sessions: Arc::new(Sessions::new(&notices)),
            before,
            notices,
            exact_sizes: ExactSizes::default(),
            name: NAME,
            implementation: concat!("pop3d-", env!("CARGO_PKG_VERSION")),
            host: rustix::system::uname().nodename().to_string_lossy().into(),
            pop3s_port: None,
            greetings: AtomicUsize::new(0),
            descriptors,
            connections: AtomicUsize::new(0),
            is_waiting: AtomicBool::new(false),
            addresses: Mutex::new(HashMap::new()),
            users: Mutex::new(HashMap::new()),
            guesses: Guesses::default(),
            logins: Logins::default(),
            renewer: OnceLock::new(),
        }
    }

    /// Has a weak hash made anew, where somebody does that. Takes long: called in the pool.
    pub(crate) fn renew(&self, user: &UserName, password: &[u8]) {
        if let Some(renewer) = self.renewer.get() {
            renewer(user, password);
        }
    }

    /// What the greeting says for APOP, where it is offered (RFC 1939, section 7): never the same again.
    pub(crate) fn timestamp(&self) -> Option<Box<str>> {
        if !self.settings.load().apop {
            return None;
        }
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let count = self.greetings.fetch_add(1, Ordering::Relaxed);
        Some(timestamp(std::process::id(), clock, count, &self.host))
    }

    /// Whether too many logins from that address failed.
    pub(crate) fn is_refused(&self, address: IpAddr, now: Instant) -> bool {
        let counted = self.settings.load().limits.counted(address);
        counted.is_some_and(|address| self.guesses.is_refused(address, now))
    }

    /// Whether no further connection may be accepted.
    pub(crate) fn is_full(&self) -> bool {
        self.connections.load(Ordering::SeqCst) >= self.limit()
    }

    /// Whether there are more connections, the last one included, than the descriptors are enough for.
    pub(crate) fn is_short_of_descriptors(&self) -> bool {
        self.connections.load(Ordering::SeqCst) > self.descriptors
    }

    /// Takes a seat, where there is one; else the workers are told once there is.
    pub(crate) fn take_seat(shared: &Arc<Self>) -> Option<Seat> {
        let is_free = shared.connections.fetch_add(1, Ordering::SeqCst) < shared.limit();
        let seat = Seat { shared: Arc::clone(shared) };
        if is_free {
            return Some(seat);
        }
        shared.is_waiting.store(true, Ordering::SeqCst);
        // Giving it back tells the workers where another has left in the meantime.
        drop(seat);
        None
    }

    /// Never more than there are descriptors for, so that a client waits in the backlog in place of being refused.
    fn limit(&self) -> usize {
        self.settings.load().limits.connections
    }

    fn tell_all(&self, notice: impl Fn() -> Notice) {
        for notices in &self.notices {
            notices.push(notice());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let shared = &self.shared;
        let before = shared.connections.fetch_sub(1, Ordering::SeqCst);
        if before <= shared.limit() && shared.is_waiting.swap(false, Ordering::SeqCst) {
            shared.tell_all(|| Notice::Accept);
        }
    }
}

impl Admission {
    /// Counts a client for its address; an error where nobody from there may come in.
    pub(crate) fn new(seat: Seat, address: IpAddr, now: Instant) -> Result<Self, TurnedAway> {
        let mut admission = Self { seat, address: None };
        admission.move_to(address, now)?;
        Ok(admission)
    }

    /// Counts the client for another address, and not for the one before; an error where nobody from there may come in.
    pub(crate) fn move_to(&mut self, address: IpAddr, now: Instant) -> Result<(), TurnedAway> {
        self.leave();
        let (counted, limit) = {
            let limits = &self.seat.shared.settings.load().limits;
            (limits.counted(address), limits.connections_per_address)
        };
        let Some(address) = counted else { return Ok(()) };
        if self.seat.shared.guesses.is_refused(address, now) {
            return Err(TurnedAway::FailedLogins);
        }
        let mut addresses = self.seat.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_default();
        if *count >= limit {
            return Err(TurnedAway::TooMany);
        }
        *count += 1;
        self.address = Some(address);
        Ok(())
    }

    /// Counts the client for no address.
    fn leave(&mut self) {
        let Some(address) = self.address.take() else { return };
        let mut addresses = self.seat.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Place {
    /// A session of a user, where one more may be.
    pub(crate) fn take(shared: &Arc<Shared>, user: &UserName, most: Option<usize>) -> Option<Self> {
        let mut users = shared.users.lock().unwrap_or_else(PoisonError::into_inner);
        let count = users.entry(user.clone()).or_default();
        if most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        Some(Self { shared: Arc::clone(shared), user: user.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.shared.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user);
            }
        }
    }
}

/// Raises the limit of descriptors to the hard limit; returns it.
fn raise_descriptor_limit() -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX))
}

/// How many descriptors the process has open.
fn open_descriptors() -> usize {
    // Where that cannot be found out, half of all are kept.
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// How many connections a limit of descriptors is enough for, of which the server has some itself.
fn connections_for(limit: usize, own: usize) -> usize {
    let kept = DESCRIPTORS_KEPT.min(limit / 2).max(own + DESCRIPTORS_SPARE);
    limit.saturating_sub(kept).max(1)
}

#[cfg(test)]
mod tests;

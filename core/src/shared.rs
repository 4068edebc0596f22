//! What the workers share: settings, pools, notices and counters, and how many connections there are.

mod held;
mod seats;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

pub(crate) use self::held::Held;
pub(crate) use self::seats::{Admission, Place, Seat, TurnedAway};
use crate::accounts::UserName;
use crate::guesses::Guesses;
use crate::logins::Logins;
use crate::measure::ExactSizes;
use crate::nets::CountedAddress;
use crate::notice::{Notice, Notices};
use crate::pool::Pool;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::statistics::{Counters, Totals};
use crate::timestamp::timestamp;

/// The name in the greeting, which tells no version before login.
const NAME: &str = "pop3d";

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

/// What the workers share.
pub(crate) struct Shared {
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) pools: Pools,
    pub(crate) notices: Vec<Arc<Notices>>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) sessions: Arc<Sessions>,
    /// What earlier processes have counted.
    pub(crate) before: Totals,
    pub(crate) exact_sizes: ExactSizes,
    pub(crate) name: &'static str,
    pub(crate) implementation: &'static str,
    host: Box<str>,
    /// The port of POP3S that clients are told of.
    pub(crate) pop3s_port: Option<u16>,
    /// Makes each timestamp of a greeting another.
    greetings: AtomicUsize,
    /// Connections that the descriptors are enough for.
    pub(crate) descriptors: usize,
    connections: AtomicUsize,
    /// Whether a worker found no seat, and is to be told when there is one.
    is_waiting: AtomicBool,
    /// Whether somebody waits at a worker that has nobody to give way: who is silent at another one does.
    is_asking: AtomicBool,
    /// Octets that are held for clients who have not logged in, but for a little of each.
    pub(crate) held: Arc<AtomicUsize>,
    addresses: Mutex<HashMap<CountedAddress, usize>>,
    users: Mutex<HashMap<UserName, usize>>,
    pub(crate) guesses: Guesses,
    pub(crate) logins: Logins,
    /// Who makes weak hashes anew.
    pub(crate) renewer: OnceLock<Renewer>,
}

/// Makes the hash of an account anew, of the password that it is of.
pub(crate) type Renewer = Box<dyn Fn(&UserName, &[u8]) + Send + Sync>;

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
            is_asking: AtomicBool::new(false),
            held: Arc::default(),
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

    /// What the greeting says for APOP, where somebody could log in by it (RFC 1939, section 7): never the same again.
    pub(crate) fn timestamp(&self) -> Option<Box<str>> {
        if !self.settings.load().accounts.has_plain() {
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
        let seat = Seat::of(shared);
        if is_free {
            return Some(seat);
        }
        shared.is_waiting.store(true, Ordering::SeqCst);
        // Giving it back tells the workers where another has left in the meantime.
        drop(seat);
        None
    }

    /// Asks all workers for somebody who gives way: each looks at its own clients only.
    pub(crate) fn ask_for_way(&self) {
        if !self.is_asking.swap(true, Ordering::SeqCst) {
            self.tell_all(|| Notice::Accept);
        }
    }

    /// Whether a worker asks for somebody who gives way.
    pub(crate) fn is_asked_for_way(&self) -> bool {
        if !self.is_asking.load(Ordering::SeqCst) {
            return false;
        }
        let has_room = self.connections.load(Ordering::SeqCst) < self.limit().min(self.descriptors);
        if has_room {
            // There is a seat for who waits. One who asked at this very moment asks again.
            self.is_asking.store(false, Ordering::SeqCst);
        }
        !has_room
    }

    /// Whether whoever is found is to give way: for each who asks it is one.
    pub(crate) fn answers_for_way(&self) -> bool {
        self.is_asking.swap(false, Ordering::SeqCst)
    }

    /// Beyond it clients wait in the backlog. There may be descriptors for fewer.
    fn limit(&self) -> usize {
        self.settings.load().limits.connections
    }

    pub(crate) fn tell_all(&self, notice: impl Fn() -> Notice) {
        for notices in &self.notices {
            notices.push(notice());
        }
    }
}

//! The POP3 sessions that are open, for who asks about them and for who closes one.
//!
//! Each worker keeps its own in a table; only somebody who lists them all ever makes it wait, for as long as a copy takes.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::accounts::UserName;
use crate::notice::{Notice, Notices};
use crate::token::Key;

/// The state of a session (RFC 1939, section 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The client has not logged in.
    Authorization,
    /// It has.
    Transaction,
    /// Messages are being removed.
    Update,
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Authorization => "AUTHORIZATION",
            Self::Transaction => "TRANSACTION",
            Self::Update => "UPDATE",
        })
    }
}

/// What is known of a session.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// No other session of this process has or had it.
    pub id: u64,
    /// Who logged in, if anybody did.
    pub user: Option<UserName>,
    /// The client's address.
    pub address: SocketAddr,
    /// How far it is.
    pub stage: Stage,
    /// When it began.
    pub since: Instant,
    /// Octets sent so far.
    pub octets_sent: u64,
}

/// All sessions.
pub struct Sessions {
    tables: Vec<Arc<Table>>,
    next_id: AtomicU64,
    count: AtomicUsize,
    peak: AtomicUsize,
}

/// Those of one worker.
struct Table {
    notices: Arc<Notices>,
    open: Mutex<HashMap<u64, Arc<Presence>>>,
}

/// What a connection tells of itself.
struct Presence {
    key: Key,
    address: Mutex<SocketAddr>,
    since: Instant,
    stage: AtomicU8,
    octets_sent: AtomicU64,
    user: Mutex<Option<UserName>>,
}

/// That a session is open. Dropping it says that it has ended, unless an administrator has said so before.
pub(crate) struct Present {
    sessions: Arc<Sessions>,
    table: Arc<Table>,
    id: u64,
    presence: Arc<Presence>,
}

impl Sessions {
    /// No sessions yet, of workers that are told by these notices.
    pub(crate) fn new(notices: &[Arc<Notices>]) -> Self {
        let table = |notices: &Arc<Notices>| {
            Arc::new(Table { notices: Arc::clone(notices), open: Mutex::new(HashMap::new()) })
        };
        Self {
            tables: notices.iter().map(table).collect(),
            next_id: AtomicU64::new(1),
            count: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// A session begins on a worker; none where there is no such worker.
    pub(crate) fn enter(
        sessions: &Arc<Self>,
        worker: usize,
        key: Key,
        address: SocketAddr,
        since: Instant,
    ) -> Option<Present> {
        let table = Arc::clone(sessions.tables.get(worker)?);
        let id = sessions.next_id.fetch_add(1, Ordering::Relaxed);
        let presence = Arc::new(Presence {
            key,
            address: Mutex::new(address),
            since,
            stage: AtomicU8::new(0),
            octets_sent: AtomicU64::new(0),
            user: Mutex::new(None),
        });
        table.lock().insert(id, Arc::clone(&presence));
        let count = sessions.count.fetch_add(1, Ordering::Relaxed) + 1;
        sessions.peak.fetch_max(count, Ordering::Relaxed);
        Some(Present { sessions: Arc::clone(sessions), table, id, presence })
    }

    /// All of them, in the order in which they began.
    #[must_use]
    pub fn list(&self) -> Vec<SessionFacts> {
        let mut list: Vec<_> = self.tables.iter().flat_map(|table| table.list()).collect();
        list.sort_unstable_by_key(|session| session.id);
        list
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The most that there were at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Who is logged in.
    #[must_use]
    pub fn users(&self) -> Vec<UserName> {
        self.list().into_iter().filter_map(|session| session.user).collect()
    }

    /// Has a session closed, without UPDATE; whether there is one of that id. From here on it is neither listed nor counted,
    /// though its worker may have something else to do first.
    #[must_use]
    pub fn kick(&self, id: u64) -> bool {
        let is_there = self.tables.iter().any(|table| table.kick(id));
        if is_there {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        is_there
    }

    /// Has all sessions of a user closed, without UPDATE; how many.
    #[must_use]
    pub fn kick_user(&self, user: &UserName) -> usize {
        let sessions = self.list();
        let theirs = sessions.iter().filter(|session| session.user.as_ref() == Some(user));
        theirs.filter(|session| self.kick(session.id)).count()
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Presence>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Vec<SessionFacts> {
        // What is told of each is found out once the worker can go on.
        let open: Vec<_> = self.lock().iter().map(|(&id, presence)| (id, Arc::clone(presence))).collect();
        open.into_iter().map(|(id, presence)| presence.facts(id)).collect()
    }

    fn kick(&self, id: u64) -> bool {
        let Some(presence) = self.lock().remove(&id) else { return false };
        self.notices.push(Notice::Kick(presence.key));
        true
    }
}

impl Presence {
    fn facts(&self, id: u64) -> SessionFacts {
        let stage = match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Authorization,
            1 => Stage::Transaction,
            _ => Stage::Update,
        };
        SessionFacts {
            id,
            user: self.user.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            address: *self.address.lock().unwrap_or_else(PoisonError::into_inner),
            stage,
            since: self.since,
            octets_sent: self.octets_sent.load(Ordering::Relaxed),
        }
    }
}

impl Present {
    /// A proxy has said whose session it is.
    pub(crate) fn moved(&self, address: SocketAddr) {
        *self.presence.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// The user has logged in.
    pub(crate) fn logged_in(&self, user: &UserName) {
        *self.presence.user.lock().unwrap_or_else(PoisonError::into_inner) = Some(user.clone());
        self.presence.stage.store(1, Ordering::Relaxed);
    }

    /// The user is not let in after all.
    pub(crate) fn sent_away(&self) {
        self.presence.stage.store(0, Ordering::Relaxed);
        *self.presence.user.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// UPDATE has begun.
    pub(crate) fn updating(&self) {
        self.presence.stage.store(2, Ordering::Relaxed);
    }

    /// So many octets more were sent.
    pub(crate) fn sent(&self, octets: u64) {
        self.presence.octets_sent.fetch_add(octets, Ordering::Relaxed);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        // One that was kicked is counted no longer.
        if self.table.lock().remove(&self.id).is_some() {
            self.sessions.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

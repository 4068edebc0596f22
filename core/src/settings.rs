//! What the server works by: one immutable snapshot, changed by replacing it. A session keeps what it began with.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::{Accounts, UserName};
use crate::store::MailStore;
use crate::transform::{Chain, Holding};

/// Everything that may be changed while the server runs.
#[derive(Clone)]
pub struct Settings {
    /// Where mail is kept.
    pub store: Arc<dyn MailStore>,
    /// The mail folder, for who asks.
    pub mailbox: PathBuf,
    /// Who may log in.
    pub accounts: Arc<Accounts>,
    /// What each message passes through; none: nothing.
    pub chain: Option<Arc<Chain>>,
    /// What the messages of some users pass through instead; none: nothing.
    pub user_chains: Arc<HashMap<UserName, Option<Arc<Chain>>>>,
    /// How much output is held before "+OK", and where it is spooled.
    pub holding: Holding,
    /// Which sizes STAT and LIST tell.
    pub sizes: Sizes,
    /// Whether APOP is offered.
    pub apop: bool,
    /// Bounds of every connection and of all.
    pub limits: Limits,
}

impl Settings {
    /// What the messages of a user pass through; none: nothing.
    #[must_use]
    pub fn chain_of(&self, user: &UserName) -> Option<&Arc<Chain>> {
        self.user_chains.get(user).unwrap_or(&self.chain).as_ref()
    }
}

/// Which sizes STAT and LIST tell where there is a transform.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sizes {
    /// Those of the messages as sent without a transform.
    #[default]
    Stored,
    /// Those of the messages as sent with it, which costs a whole pass.
    Exact,
}

/// Bounds of connections. A duration of none: no bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections served at once; further ones wait in the backlog.
    pub connections: usize,
    /// Connections served at once from one address, loopback addresses excepted.
    pub connections_per_address: usize,
    /// Silence before login.
    pub login_silence: Option<Duration>,
    /// Silence after login; RFC 1939, section 3 wants 10 minutes or more.
    pub silence: Option<Duration>,
    /// Least octets a second that a client must take in a transfer, over `SLOW_READER_PERIOD`.
    pub slow_reader_rate: u64,
    /// How long the answer to a first failed login is held back; each further one doubles it.
    pub failed_login_delay: Duration,
}

/// The time over which a slow reader is measured.
pub const SLOW_READER_PERIOD: Duration = Duration::from_secs(300);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 100,
            login_silence: Some(Duration::from_secs(60)),
            silence: Some(Duration::from_secs(600)),
            slow_reader_rate: 1024,
            failed_login_delay: Duration::from_millis(500),
        }
    }
}

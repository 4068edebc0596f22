//! What the server works by: one immutable snapshot, changed by replacing it. A session keeps what it began with.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pop3d_protocol::pop3::{Lengths, Tolerance};

use crate::accounts::{Accounts, UserName};
pub use crate::buffer::OUTBOUND_BOUNDS;
use crate::buffer::OUTBOUND_CAPACITY;
pub use crate::logins::LoginDelays;
use crate::nets::{CountedAddress, Nets};
use crate::store::{MailStore, Source};
use crate::tls::Tls;
use crate::transform::rules::{HEAD_MAX, Rule};
use crate::transform::{Chain, Command, Holding};

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
    /// What messages pass through by what they are, where their user has no chain of their own. The first that matches
    /// wins; none does: `chain`.
    pub rules: Arc<[Rule]>,
    /// How much output is held before "+OK", and where it is spooled.
    pub holding: Holding,
    /// Which sizes STAT and LIST tell.
    pub sizes: Sizes,
    /// TLS; none: there is none.
    pub tls: Option<Arc<Tls>>,
    /// Whether a weak hash that PEEP has set is made anew at the next login by its password.
    pub rehash: bool,
    /// Bounds of every connection and of all.
    pub limits: Limits,
}

impl Settings {
    /// What a message passes through; none: nothing.
    #[must_use]
    pub fn chain_for(&self, user: &UserName, source: &Source, command: Command) -> Option<&Arc<Chain>> {
        if let Some(chain) = self.user_chains.get(user) {
            return chain.as_ref();
        }
        let read = OnceCell::new();
        let head = || read.get_or_init(|| read_head(&source.file, source.length)).as_slice();
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.condition.matches(user.as_str(), source.length, command, head));
        rule.map_or(&self.chain, |rule| &rule.chain).as_ref()
    }

    /// What the messages of a user pass through, as far as the user alone decides; none: nothing.
    #[must_use]
    pub fn chain_of(&self, user: &UserName) -> Option<&Arc<Chain>> {
        let own = self.user_chains.get(user);
        let rule = || {
            let decides =
                |rule: &&Rule| rule.condition.is_of_users_alone() && rule.condition.is_about(user.as_str());
            self.rules.iter().find(decides).map(|rule| &rule.chain)
        };
        own.or_else(rule).unwrap_or(&self.chain).as_ref()
    }

    /// All chains that a message may pass through.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &Arc<Chain>> {
        let rules = self.rules.iter().map(|rule| &rule.chain);
        self.user_chains.values().chain(rules).chain([&self.chain]).flatten()
    }

    /// Whether any message of a user may pass through something.
    #[must_use]
    pub fn may_transform(&self, user: &UserName) -> bool {
        let own = self.user_chains.get(user).map(Option::is_some);
        own.unwrap_or_else(|| self.chain.is_some() || self.rules.iter().any(|rule| rule.chain.is_some()))
    }
}

/// The beginning of a message, where its header is; nothing where it cannot be read, which RETR will find out.
fn read_head(file: &impl FileExt, length: u64) -> Vec<u8> {
    let most = usize::try_from(length).map_or(HEAD_MAX, |length| length.min(HEAD_MAX));
    let mut head = vec![0; most];
    let mut used = 0;
    loop {
        match file.read_at(&mut head[used..], used as u64) {
            Ok(0) => break,
            Ok(count) => used += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    head.truncate(used);
    head
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
    /// Connections served at once from one address.
    pub connections_per_address: usize,
    /// Sessions of one user at once; none: as many as the store allows.
    pub sessions_per_user: Option<usize>,
    /// How long who has not logged in may be silent at the limit of connections while others wait.
    pub give_way_after: Duration,
    /// From where neither connections nor failed logins are counted by address.
    pub excepted: Nets,
    /// Who may say, by the PROXY protocol, for whom it speaks.
    pub proxies: Nets,
    /// Who may say the same by XCLIENT.
    pub trusted: Nets,
    /// Silence before login.
    pub login_silence: Option<Duration>,
    /// Silence after login; RFC 1939, section 3 wants 10 minutes or more.
    pub silence: Option<Duration>,
    /// Least octets a second that a client must take in a transfer, over `slow_reader_period`.
    pub slow_reader_rate: u64,
    /// The time over which a slow reader is measured; a second or more.
    pub slow_reader_period: Duration,
    /// How often a client may be wrong in one connection.
    pub tolerance: Tolerance,
    /// How long its lines may be.
    pub lengths: Lengths,
    /// Octets that all connections together may have sent before login, and the server holds, but for 1 KiB of each.
    pub held_before_login: usize,
    /// Octets that may wait for one client to take them; within [`OUTBOUND_BOUNDS`].
    pub outbound: usize,
    /// How long the answer to a first failed login is held back; each further one doubles it.
    pub failed_login_delay: Duration,
    /// Least time between two logins of a user.
    pub login_delays: LoginDelays,
    /// What failed logins cost the address that they come from, and the account that they are for.
    pub failed_logins: FailedLogins,
}

/// What failed logins cost beyond the connection that they are made in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedLogins {
    /// How long failures of an address or an account count, from the first one.
    pub period: Duration,
    /// So many within that cost nothing; each further one doubles the delay of its answer.
    pub undelayed: u32,
    /// The failure within that after which an address is refused; none: it never is.
    pub refused_after: Option<u32>,
    /// How long it is refused.
    pub refused_for: Duration,
}

impl Limits {
    /// What a client's connections and failed logins are counted for; none: they are not.
    pub(crate) fn counted(&self, address: IpAddr) -> Option<CountedAddress> {
        (!self.excepted.contains(address)).then(|| CountedAddress::of(address))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 100,
            sessions_per_user: None,
            give_way_after: Duration::from_secs(5),
            excepted: Nets::loopback(),
            proxies: Nets::none(),
            trusted: Nets::none(),
            login_silence: Some(Duration::from_secs(60)),
            silence: Some(Duration::from_secs(600)),
            slow_reader_rate: 1024,
            slow_reader_period: Duration::from_secs(300),
            tolerance: Tolerance::DEFAULT,
            lengths: Lengths::DEFAULT,
            // 256 of the longest answers at once; the tokens of 10,000 clients, each of 1.5 KiB.
            held_before_login: 16 << 20,
            outbound: OUTBOUND_CAPACITY,
            failed_login_delay: Duration::from_millis(500),
            login_delays: LoginDelays::default(),
            failed_logins: FailedLogins::default(),
        }
    }
}

impl Default for FailedLogins {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(600),
            undelayed: 10,
            refused_after: Some(100),
            refused_for: Duration::from_secs(600),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A file whose every second reading is interrupted, and the others give a few octets.
    struct Interrupted {
        octets: Vec<u8>,
        readings: Cell<u32>,
    }

    impl FileExt for Interrupted {
        fn read_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
            self.readings.set(self.readings.get() + 1);
            if self.readings.get() % 2 == 1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let rest = &self.octets[usize::try_from(offset).unwrap()..];
            let count = rest.len().min(room.len()).min(7);
            room[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }

        fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    #[test]
    fn a_head_is_whole_where_readings_are_interrupted() {
        let octets: Vec<u8> = (0..=255).cycle().take(HEAD_MAX + 100).collect();
        let file = Interrupted { octets: octets.clone(), readings: Cell::new(0) };
        assert!(read_head(&file, 100) == octets[..100]);
        assert!(read_head(&file, octets.len() as u64) == octets[..HEAD_MAX]);
        // A file that became shorter since has no more than it has.
        let file = Interrupted { octets: octets[..50].to_vec(), ..file };
        assert!(read_head(&file, 100) == octets[..50]);
    }
}

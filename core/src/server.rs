//! The server as a whole: listeners, workers and pools; start, drain, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::pool::Pool;
use crate::settings::Settings;
use crate::transform::Reactor;

/// A server that does not serve yet: its workers' loops and its pools, so that transforms can be made for it.
pub struct Server {}

/// The pools of a server, one for each kind of waiting, so that one kind never holds up another.
#[derive(Clone)]
pub struct Pools {
    /// Hashing passwords.
    pub passwords: Pool,
    /// Listing maildrops, counting octets, removing messages.
    pub maildrops: Pool,
    /// Starting and ending programs, and their time.
    pub transforms: Pool,
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
pub struct Running {}

impl Server {
    /// Makes the loops of `workers` workers (0: one a core) and the pools. Raises the process's limit of
    /// descriptors to its hard limit.
    ///
    /// # Errors
    /// Where the kernel gives no event queue, descriptor or thread.
    pub fn new(_workers: usize) -> io::Result<Self> {
        Err(io::Error::other("not there yet"))
    }

    /// Where process streams register their descriptors.
    #[must_use]
    pub fn reactor(&self) -> Arc<dyn Reactor> {
        unreachable!()
    }

    /// The pools.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        unreachable!()
    }

    /// Listens on an address, once for each worker; returns the address with its true port. "::" takes IPv4 too.
    ///
    /// # Errors
    /// Where the address is in use, is not of this machine, or may not be taken.
    pub fn listen(&mut self, _address: SocketAddr) -> Result<SocketAddr, ListenError> {
        unreachable!()
    }

    /// Starts to serve.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(self, _settings: Settings) -> io::Result<Running> {
        unreachable!()
    }
}

impl Running {
    /// Replaces the settings: sessions that begin afterwards use them.
    pub fn replace_settings(&self, _settings: Settings) {}

    /// Accepts no more, lets transfers run to their end for at most `limit`, tells the other sessions, and returns
    /// once every connection is closed. Waits.
    pub fn drain(self, _limit: Duration) {}
}

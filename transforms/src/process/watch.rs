//! Descriptors that the worker's loop watches, until they are dropped.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mio::{Interest, Token};
use pop3d_core::transform::{Reactor, Wake};

/// The loop's interest in a descriptor. To be dropped before the descriptor is closed.
pub(super) struct Watch {
    reactor: Arc<dyn Reactor>,
    token: Token,
}

/// A descriptor of our own, and the loop's interest in it.
pub(super) struct Watched {
    // Fields are dropped in their order: the interest ends before the descriptor is closed.
    _watch: Watch,
    descriptor: OwnedFd,
}

impl Watch {
    pub(super) fn new(
        reactor: &Arc<dyn Reactor>,
        descriptor: BorrowedFd<'_>,
        interest: Interest,
        wake: Wake,
    ) -> io::Result<Self> {
        let token = reactor.register(descriptor.as_raw_fd(), interest, wake)?;
        Ok(Self { reactor: Arc::clone(reactor), token })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Err(error) = self.reactor.deregister(self.token) {
            log::debug!(target: "pop3d::transform", "{:?} was not registered: {error}", self.token);
        }
    }
}

impl Watched {
    pub(super) fn new(
        reactor: &Arc<dyn Reactor>,
        descriptor: OwnedFd,
        interest: Interest,
        wake: Wake,
    ) -> io::Result<Self> {
        let watch = Watch::new(reactor, descriptor.as_fd(), interest, wake)?;
        Ok(Self { _watch: watch, descriptor })
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

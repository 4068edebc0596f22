//! Who is let in: seats among all connections, those of an address, and the sessions of a user. Each is given back by
//! dropping it.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::Shared;
use crate::accounts::UserName;
use crate::guesses::FAILED_LOGINS;
use crate::nets::CountedAddress;
use crate::notice::Notice;

/// A seat among the connections that are served at once. Dropping it gives it back.
pub(crate) struct Seat {
    shared: Arc<Shared>,
}

/// A seat and what is counted for the client's address.
pub(crate) struct Admission {
    seat: Seat,
    counted: Counted,
}

/// Where a client is counted.
enum Counted {
    /// Nowhere yet: a trusted proxy may still say for whom it speaks.
    NotYet,
    /// Nowhere: its address has no bound.
    Nowhere,
    /// At this address.
    At(CountedAddress),
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

impl TurnedAway {
    /// What the client hears.
    pub(crate) fn reply(self) -> &'static str {
        match self {
            Self::TooMany => "too many connections from your address",
            Self::FailedLogins => FAILED_LOGINS,
        }
    }
}

impl Seat {
    /// One that was counted already.
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
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
    /// Counts a client for its address; an error where nobody from there may come in. Not so a trusted proxy: what there is
    /// at its own address is others' doing, for whom it is yet to speak.
    pub(crate) fn new(seat: Seat, address: IpAddr, now: Instant) -> Result<Self, TurnedAway> {
        let is_trusted = seat.shared.settings.load().limits.trusted.contains(address);
        let mut admission = Self { seat, counted: Counted::NotYet };
        if !is_trusted {
            admission.move_to(address, now)?;
        }
        Ok(admission)
    }

    /// Counts a client that begins a login at its address, where it is not counted yet; an error as that of `new`.
    pub(crate) fn settle(&mut self, address: IpAddr, now: Instant) -> Result<(), TurnedAway> {
        match self.counted {
            Counted::NotYet => self.move_to(address, now),
            Counted::Nowhere | Counted::At(_) => Ok(()),
        }
    }

    /// Counts the client for another address, and not for the one before; an error where nobody from there may come in.
    pub(crate) fn move_to(&mut self, address: IpAddr, now: Instant) -> Result<(), TurnedAway> {
        self.leave();
        let (counted, limit) = {
            let limits = &self.seat.shared.settings.load().limits;
            (limits.counted(address), limits.connections_per_address)
        };
        let Some(address) = counted else {
            self.counted = Counted::Nowhere;
            return Ok(());
        };
        if self.seat.shared.guesses.is_refused(address, now) {
            return Err(TurnedAway::FailedLogins);
        }
        let mut addresses = self.seat.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        // Who is turned away leaves nothing behind.
        let count = addresses.get(&address).copied().unwrap_or_default();
        if count >= limit {
            return Err(TurnedAway::TooMany);
        }
        addresses.insert(address, count + 1);
        self.counted = Counted::At(address);
        Ok(())
    }

    /// Counts the client for no address.
    fn leave(&mut self) {
        let Counted::At(address) = std::mem::replace(&mut self.counted, Counted::NotYet) else { return };
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
        let count = users.get(user).copied().unwrap_or_default();
        if most.is_some_and(|most| count >= most) {
            return None;
        }
        users.insert(user.clone(), count + 1);
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

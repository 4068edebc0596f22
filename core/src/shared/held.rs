//! What the server holds in memory of what clients sent who have not logged in: lines that were cut, commands that wait for
//! an answer to the one before, and what an exchange of AUTH has taken. One of them may hold little; all of them could hold
//! much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Shared;

/// Octets of each connection that are not counted: a login by a password, and a command that was cut, go on whatever others
/// hold.
const UNCOUNTED: usize = 1024;

/// What one connection holds. Dropping it gives it back.
pub(crate) struct Held {
    /// What all connections hold.
    all: Arc<AtomicUsize>,
    /// What is counted of it for this one.
    counted: usize,
}

impl Held {
    /// Nothing yet.
    pub(crate) fn new(shared: &Shared) -> Self {
        Self { all: Arc::clone(&shared.held), counted: 0 }
    }

    /// Holds so many octets from here on; false where all would hold more than `most` then: what it held before stays
    /// counted.
    #[must_use]
    pub(crate) fn hold(&mut self, octets: usize, most: usize) -> bool {
        let wanted = octets.saturating_sub(UNCOUNTED);
        let more = wanted.saturating_sub(self.counted);
        if more > 0 {
            let fits = |all: usize| all.checked_add(more).filter(|&all| all <= most);
            if self.all.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_err() {
                return false;
            }
        } else if wanted < self.counted {
            self.all.fetch_sub(self.counted - wanted, Ordering::SeqCst);
        }
        self.counted = wanted;
        true
    }

    /// Holds nothing from here on.
    pub(crate) fn release(&mut self) {
        let _ = self.hold(0, 0);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

//! A running server, for other threads: its settings, sessions and sums.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;

use crate::nets::CountedAddress;
use crate::notice::Notice;
use crate::sessions::Sessions;
use crate::settings::{Limits, Settings};
use crate::shared::{Renewer, Shared};
use crate::statistics::Totals;

/// A running server. Cheap to clone.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Shared>);

impl Handle {
    /// What it works by now.
    #[must_use]
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.0.settings.load()
    }

    /// Replaces the settings: what begins afterwards uses them. No worker waits for it.
    pub fn replace_settings(&self, settings: Settings) {
        let silences = |limits: &Limits| (limits.silence, limits.login_silence);
        let after = silences(&settings.limits);
        let before = self.0.settings.swap(Arc::new(settings));
        // Those that are silent already may be so for less, now.
        if silences(&before.limits) != after {
            self.0.tell_all(|| Notice::Silence);
        }
        // There may be room for more connections.
        self.0.tell_all(|| Notice::Accept);
    }

    /// Who makes weak hashes anew from here on; the first one stays.
    pub(crate) fn set_renewer(&self, renewer: Renewer) {
        // A second administration of one server has the same accounts to care for.
        let _ = self.0.renewer.set(renewer);
    }

    /// The sessions that are open.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What was counted, by earlier processes too.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.0.before.clone();
        for counters in &self.0.counters {
            totals.add_counters(counters);
        }
        totals
    }

    /// The most connections that the descriptors are enough for.
    #[must_use]
    pub fn connections_max(&self) -> usize {
        self.0.descriptors
    }

    /// The addresses that are refused for failed logins (IPv6: the first of the /64), and for how long still.
    #[must_use]
    pub fn refused_addresses(&self) -> Vec<(IpAddr, Duration)> {
        let now = Instant::now();
        let refused = self.0.guesses.refused(now);
        refused.into_iter().map(|(address, until)| (address, until.saturating_duration_since(now))).collect()
    }

    /// Lets an address in again that is refused for failed logins; whether it was.
    pub fn admit_address(&self, address: IpAddr) -> bool {
        self.0.guesses.admit(CountedAddress::of(address), Instant::now())
    }
}

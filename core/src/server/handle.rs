//! A running server, for other threads: its settings, sessions and sums.

use std::sync::Arc;

use arc_swap::Guard;

use super::Shared;
use crate::notice::Notice;
use crate::sessions::Sessions;
use crate::settings::Settings;
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
        self.0.settings.store(Arc::new(settings));
        // There may be room for more connections.
        self.0.tell_all(|| Notice::Accept);
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
}

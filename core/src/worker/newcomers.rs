//! Who came and may not have logged in yet, the first to come first: one of them gives way where there is no seat left
//! and somebody waits for one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Client;
use crate::token::{Key, Slots};

/// How many are looked at for one that gives way: those before them are at work, and soon silent or logged in.
const LOOKS: usize = 64;

/// Keys of connections in the order in which they came. Some have gone, or have logged in, since.
#[derive(Default)]
pub(super) struct Newcomers(VecDeque<Key>);

/// Who gives way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// This one.
    Of(Key),
    /// Nobody before then.
    At(Instant),
    /// Nobody.
    Nobody,
}

impl Newcomers {
    /// Somebody has come.
    pub(super) fn enter(&mut self, key: Key, connections: &Slots<Client>) {
        if self.0.len() >= 2 * connections.len() + LOOKS {
            self.0.retain(|&key| is_newcomer(connections, key));
        }
        self.0.push_back(key);
    }

    /// Who has come first of those who have not logged in, and have been silent for so long.
    pub(super) fn first_silent(
        &mut self,
        connections: &Slots<Client>,
        now: Instant,
        silence: Duration,
    ) -> Way {
        while self.0.front().is_some_and(|&key| !is_newcomer(connections, key)) {
            self.0.pop_front();
        }
        let mut way = Way::Nobody;
        for &key in self.0.iter().take(LOOKS) {
            let since = connections.get(key).and_then(|client| client.connection.silent_before_login());
            let Some(due) = since.map(|since| since + silence) else { continue };
            if due <= now {
                return Way::Of(key);
            }
            way = match way {
                Way::At(before) => Way::At(before.min(due)),
                Way::Of(_) | Way::Nobody => Way::At(due),
            };
        }
        way
    }
}

/// Whether it is there, and has not logged in.
fn is_newcomer(connections: &Slots<Client>, key: Key) -> bool {
    connections.get(key).is_some_and(|client| client.connection.is_before_login())
}

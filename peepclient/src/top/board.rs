//! What is known of the server, and what the administrator has chosen to see of it.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::poll::{News, Session, Snapshot, Transform};

/// Samples that are kept for the moving lines: as many as the widest screen has columns, and some.
const SAMPLES_MAX: usize = 512;

/// The columns of the table of sessions.
pub(super) const SESSION_COLUMNS: [&str; 6] = ["id", "user", "address", "state", "time", "octets"];

/// The columns of the table of transforms; from the fifth on they are keys of `tfs?`.
pub(super) const TRANSFORM_COLUMNS: [&str; 9] =
    ["name", "kind", "state", "gen", "messages", "failed", "timed_out", "running", "p99_us"];

/// Everything that the screen shows.
pub(super) struct Board {
    pub(super) target: String,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) octets: Rate,
    pub(super) logins: Rate,
    pub(super) focus: Focus,
    pub(super) sessions: Sorting,
    pub(super) transforms: Sorting,
    pub(super) mode: Mode,
    /// What came of the last order.
    pub(super) said: Option<Result<String, String>>,
    pub(super) lost: Option<Lost>,
}

/// There is no connection.
pub(super) struct Lost {
    pub(super) why: String,
    pub(super) next: Instant,
}

/// The table that the keys are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Focus {
    Sessions,
    Transforms,
}

/// What the keys are for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Mode {
    Watching,
    Help,
    /// Asks whether a session is to be closed.
    Kicking {
        id: u64,
        who: String,
    },
    /// Asks for a chain.
    Choosing {
        chain: String,
    },
}

/// How a table is sorted, and which of its rows is chosen.
pub(super) struct Sorting {
    pub(super) column: usize,
    pub(super) is_descending: bool,
    /// The row, by what names it: it stays chosen where it moves.
    pub(super) chosen: Option<String>,
}

/// A count as a rate: its samples, in hundredths a second, the last at the end.
#[derive(Default)]
pub(super) struct Rate {
    samples: VecDeque<u64>,
    last: Option<(Instant, u64)>,
}

impl Rate {
    fn add(&mut self, at: Instant, count: u64) {
        if let Some((before, counted)) = self.last {
            let milliseconds = at.saturating_duration_since(before).as_millis().max(1);
            // A server that was started again counts from less.
            let hundredths = u128::from(count.saturating_sub(counted)) * 100_000 / milliseconds;
            self.samples.push_back(u64::try_from(hundredths).unwrap_or(u64::MAX));
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.last = Some((at, count));
    }

    fn interrupt(&mut self) {
        self.last = None;
    }

    /// The last samples, as many as there is room for.
    pub(super) fn last(&self, room: usize) -> impl Iterator<Item = u64> {
        self.samples.iter().skip(self.samples.len().saturating_sub(room)).copied()
    }

    /// The last sample, in hundredths a second.
    pub(super) fn current(&self) -> u64 {
        self.samples.back().copied().unwrap_or(0)
    }
}

impl Board {
    /// A board without anything on it yet.
    pub(super) fn new(target: String) -> Self {
        Self {
            target,
            snapshot: None,
            octets: Rate::default(),
            logins: Rate::default(),
            focus: Focus::Sessions,
            sessions: Sorting { column: 5, is_descending: true, chosen: None },
            transforms: Sorting { column: 0, is_descending: false, chosen: None },
            mode: Mode::Watching,
            said: None,
            lost: None,
        }
    }

    /// Takes what the server said, or that it says nothing.
    pub(super) fn handle_news(&mut self, news: News) {
        match news {
            News::Polled(snapshot) => {
                self.lost = None;
                self.octets.add(snapshot.at, snapshot.octets.unwrap_or(0));
                self.logins.add(snapshot.at, snapshot.logins.unwrap_or(0));
                self.snapshot = Some(*snapshot);
            }
            News::Said(said) => self.said = Some(said),
            News::Lost { why, pause } => {
                self.octets.interrupt();
                self.logins.interrupt();
                self.lost = Some(Lost { why, next: Instant::now() + pause });
            }
            News::Ended(_) => {}
        }
    }

    /// How long until the next attempt to connect.
    pub(super) fn wait(lost: &Lost, now: Instant) -> Duration {
        lost.next.saturating_duration_since(now)
    }

    /// The sessions in the order that was chosen.
    pub(super) fn sorted_sessions(&self) -> Vec<&Session> {
        let sessions = self.snapshot.iter().filter_map(|snapshot| snapshot.sessions.as_deref()).flatten();
        let mut sorted: Vec<&Session> = sessions.collect();
        // Those that are alike keep one order, or rows would jump.
        sorted.sort_by_key(|session| session.id);
        self.sessions.sort(&mut sorted, |one, other, column| match column {
            0 => one.id.cmp(&other.id),
            1 => one.user.cmp(&other.user),
            2 => one.address.cmp(&other.address),
            3 => one.state.cmp(&other.state),
            4 => one.seconds.cmp(&other.seconds),
            _ => one.octets.cmp(&other.octets),
        });
        sorted
    }

    /// The transforms in the order that was chosen.
    pub(super) fn sorted_transforms(&self) -> Vec<&Transform> {
        let transforms = self.snapshot.iter().filter_map(|snapshot| snapshot.transforms.as_deref()).flatten();
        let mut sorted: Vec<&Transform> = transforms.collect();
        sorted.sort_by(|one, other| one.name.cmp(&other.name));
        self.transforms.sort(&mut sorted, |one, other, column| match column {
            0 => one.name.cmp(&other.name),
            1 => one.kind.cmp(&other.kind),
            2 => one.state.cmp(&other.state),
            3 => one.generation.cmp(&other.generation),
            _ => {
                let key = TRANSFORM_COLUMNS.get(column).copied().unwrap_or_default();
                one.count(key).cmp(&other.count(key))
            }
        });
        sorted
    }

    /// What names the rows of a table, in their order.
    pub(super) fn rows(&self, focus: Focus) -> Vec<String> {
        match focus {
            Focus::Sessions => self.sorted_sessions().iter().map(|session| session.id.to_string()).collect(),
            Focus::Transforms => {
                self.sorted_transforms().iter().map(|transform| transform.name.clone()).collect()
            }
        }
    }

    /// The row that is chosen in a table: the first where the one that was has gone.
    pub(super) fn chosen(&self, focus: Focus) -> Option<usize> {
        let rows = self.rows(focus);
        let found =
            self.sorting(focus).chosen.as_ref().and_then(|key| rows.iter().position(|row| row == key));
        found.or_else(|| (!rows.is_empty()).then_some(0))
    }

    /// How a table is sorted.
    pub(super) fn sorting(&self, focus: Focus) -> &Sorting {
        match focus {
            Focus::Sessions => &self.sessions,
            Focus::Transforms => &self.transforms,
        }
    }
}

impl Sorting {
    fn sort<Row>(&self, rows: &mut [&Row], compare: impl Fn(&Row, &Row, usize) -> Ordering) {
        rows.sort_by(|one, other| {
            let order = compare(one, other, self.column);
            if self.is_descending { order.reverse() } else { order }
        });
    }
}

/// The greatest of some samples, at least 1 so that a line of zeros is flat.
pub(super) fn highest(samples: &[u64]) -> u64 {
    samples.iter().copied().max().unwrap_or(0).max(1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn snapshot(sessions: &[(u64, &str, u64)]) -> Snapshot {
        let session = |&(id, user, octets): &(u64, &str, u64)| Session {
            id,
            user: user.into(),
            address: "192.0.2.1".into(),
            state: "TRANSACTION".into(),
            seconds: 5,
            octets,
        };
        Snapshot {
            at: Instant::now(),
            version: None,
            uptime: None,
            limit: None,
            connections: None,
            octets: None,
            messages: None,
            logins: None,
            sessions: Some(sessions.iter().map(session).collect()),
            users: Vec::new(),
            transforms: None,
            chain: Vec::new(),
        }
    }

    #[test]
    fn a_rate_is_what_was_counted_between_two_polls() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        rate.add(start, 1000);
        rate.add(seconds(1), 1500);
        rate.add(seconds(3), 1503);
        // Started again.
        rate.add(seconds(4), 10);
        rate.interrupt();
        rate.add(seconds(60), 100_000);
        rate.add(seconds(61), 100_001);
        assert_eq!(rate.last(9).collect::<Vec<_>>(), [50_000, 150, 0, 100]);
        assert_eq!(rate.last(2).collect::<Vec<_>>(), [0, 100]);
        assert_eq!(rate.current(), 100);
    }

    #[test]
    fn a_row_stays_chosen_where_it_moves() {
        let mut board = Board::new("here".into());
        board.handle_news(News::Polled(Box::new(snapshot(&[(1, "a", 10), (2, "b", 20)]))));
        assert_eq!(board.rows(Focus::Sessions), ["2", "1"]);
        assert_eq!(board.chosen(Focus::Sessions), Some(0));
        board.sessions.chosen = Some("2".into());
        board.handle_news(News::Polled(Box::new(snapshot(&[(1, "a", 30), (2, "b", 20)]))));
        assert_eq!(board.chosen(Focus::Sessions), Some(1));
        board.handle_news(News::Polled(Box::new(snapshot(&[(1, "a", 30)]))));
        assert_eq!(board.chosen(Focus::Sessions), Some(0));
        assert_eq!(board.chosen(Focus::Transforms), None);
    }
}

//! What exists in TRANSACTION (RFC 1939, section 5): the maildrop as it was at login, what is marked as deleted,
//! and what is being done. Replies to commands that need no more than that are written here.

use alloc::sync::Arc;
use core::fmt;

use super::action::{Opened, Part};
use super::authorization::Patience;
use super::listing::{Column, Listing, Rest, shown_unique_id};
use crate::maildrop::{Deletions, Snapshot};
use crate::number::{MessageNumber, Octets};
use crate::reply::Replies;

/// The TRANSACTION state.
pub(super) struct Transaction {
    pub(super) deletions: Deletions,
    pub(super) activity: Activity,
    snapshot: Arc<dyn Snapshot + Send + Sync>,
    totals: Totals,
    mistakes: u16,
}

/// What a session in TRANSACTION is doing.
#[derive(Debug)]
pub(super) enum Activity {
    /// It takes commands.
    Ready,
    /// The rest of a listing waits for room.
    Listing(Listing),
    /// `Action::Measure` is unanswered; then this is shown.
    Measuring(Sizes),
    /// `Action::OpenMessage` is unanswered.
    Opening(Part),
    /// `Action::SendMessage` is unanswered.
    Sending,
}

/// What shows sizes to the client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sizes {
    /// STAT.
    Stat,
    /// LIST.
    List,
    /// LIST with an argument.
    ListOne(MessageNumber),
}

/// Octets of the maildrop: STAT does not go through all messages again.
#[derive(Clone, Copy, Debug)]
enum Totals {
    /// Sizes are shown once `Action::Measure` has found them.
    Unmeasured,
    /// What all messages have, and those marked as deleted.
    Measured { all: u64, deleted: u64 },
}

/// Why there is no such message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Absent {
    /// The maildrop never had so many.
    Beyond,
    /// It is marked as deleted.
    Deleted,
}

impl Absent {
    /// What the client is told.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Beyond => "no such message",
            Self::Deleted => "message is deleted",
        }
    }
}

impl Transaction {
    pub(super) fn new(opened: Opened) -> Self {
        let mut transaction = Self {
            deletions: Deletions::NONE,
            activity: Activity::Ready,
            snapshot: opened.snapshot,
            totals: Totals::Unmeasured,
            mistakes: 0,
        };
        if !opened.measure_first {
            transaction.sum();
        }
        transaction
    }

    /// Takes the same messages with the sizes that they have once transformed.
    pub(super) fn measure(&mut self, snapshot: Arc<dyn Snapshot + Send + Sync>) {
        self.snapshot = snapshot;
        self.sum();
    }

    /// Whether sizes can be shown.
    pub(super) fn is_measured(&self) -> bool {
        matches!(self.totals, Totals::Measured { .. })
    }

    /// Whether the message can be acted on.
    pub(super) fn check(&self, number: MessageNumber) -> Result<(), Absent> {
        if number.value() > self.snapshot.count() {
            Err(Absent::Beyond)
        } else if self.deletions.contains(number) {
            Err(Absent::Deleted)
        } else {
            Ok(())
        }
    }

    /// Messages that are not marked as deleted.
    pub(super) fn remaining(&self) -> u32 {
        self.snapshot.count().saturating_sub(self.deletions.count())
    }

    /// DELE: marks a message.
    pub(super) fn delete(&mut self, number: MessageNumber, replies: &mut Replies) {
        if let Err(absent) = self.check(number) {
            return replies.error(None, format_args!("{}", absent.as_str()));
        }
        self.deletions.mark(number);
        self.forgive();
        if let Totals::Measured { all: _, deleted } = &mut self.totals {
            *deleted = deleted.saturating_add(self.snapshot.octets(number).0);
        }
        replies.ok(format_args!("message {number} deleted"));
    }

    /// RSET: takes every mark back.
    pub(super) fn reset(&mut self, replies: &mut Replies) {
        self.deletions.clear();
        if let Totals::Measured { all: _, deleted } = &mut self.totals {
            *deleted = 0;
        }
        replies.ok(format_args!("{}", Messages(self.remaining())));
    }

    /// STAT and LIST: shows sizes, which are measured.
    pub(super) fn show_sizes(&mut self, sizes: Sizes, replies: &mut Replies) {
        match sizes {
            Sizes::Stat => replies.ok(format_args!("{} {}", self.remaining(), self.octets())),
            Sizes::List => {
                replies.ok(format_args!("{} ({} octets)", Messages(self.remaining()), self.octets()));
                self.activity = Activity::Listing(Listing::new(Column::Octets));
            }
            Sizes::ListOne(number) => match self.check(number) {
                Ok(()) => replies.ok(format_args!("{number} {}", self.snapshot.octets(number))),
                Err(absent) => replies.error(None, format_args!("{}", absent.as_str())),
            },
        }
    }

    /// UIDL: shows unique-ids, of one message or all.
    pub(super) fn show_unique_ids(&mut self, number: Option<MessageNumber>, replies: &mut Replies) {
        let Some(number) = number else {
            replies.ok(format_args!("unique-id listing follows"));
            self.activity = Activity::Listing(Listing::new(Column::UniqueId));
            return;
        };
        match self.check(number) {
            Ok(()) => {
                let unique_id = shown_unique_id(&*self.snapshot, number);
                replies.ok(format_args!("{number} {}", core::str::from_utf8(unique_id).unwrap_or_default()));
            }
            Err(absent) => replies.error(None, format_args!("{}", absent.as_str())),
        }
    }

    /// Writes what there is of a listing, as far as there is room; returns how many octets.
    pub(super) fn write_listing(&mut self, room: &mut [u8]) -> usize {
        let Activity::Listing(listing) = &mut self.activity else { return 0 };
        let (produced, rest) = listing.write(&*self.snapshot, &self.deletions, room);
        match rest {
            Rest::Some => {}
            Rest::None => self.activity = Activity::Ready,
        }
        produced
    }

    /// A line was no command, or no command for TRANSACTION.
    pub(super) fn mistake(&mut self, most: u16) -> Patience {
        Patience::count(&mut self.mistakes, most)
    }

    /// A message is fetched or deleted: what came before was no nonsense. There are clients that say LAST, which
    /// RFC 1939 dropped, before each RETR and DELE.
    pub(super) fn forgive(&mut self) {
        self.mistakes = 0;
    }

    /// Whether an action is unanswered.
    pub(super) fn is_waiting(&self) -> bool {
        match self.activity {
            Activity::Ready | Activity::Listing(_) => false,
            Activity::Measuring(_) | Activity::Opening(_) | Activity::Sending => true,
        }
    }

    /// Whether a listing waits for room.
    pub(super) fn is_listing(&self) -> bool {
        matches!(self.activity, Activity::Listing(_))
    }

    /// The octets of the messages that are not marked as deleted.
    fn octets(&self) -> Octets {
        match self.totals {
            Totals::Unmeasured => Octets(0),
            Totals::Measured { all, deleted } => Octets(all.saturating_sub(deleted)),
        }
    }

    /// Sums up, once after login and once after `Action::Measure`.
    fn sum(&mut self) {
        let count = self.snapshot.count();
        let Octets(all) = self.snapshot.total();
        let mut deleted = 0_u64;
        for number in self.deletions.iter().filter(|number| number.value() <= count) {
            deleted = deleted.saturating_add(self.snapshot.octets(number).0);
        }
        self.totals = Totals::Measured { all, deleted };
    }
}

/// A count of messages, in words.
pub(super) struct Messages(pub(super) u32);

impl fmt::Display for Messages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count) = self;
        write!(formatter, "{count} message{}", if *count == 1 { "" } else { "s" })
    }
}

//! Whether an index lacks messages that the one before knows and that may be there all the same: it is shown, and does not
//! take that one's place, which has unique-ids that nothing else tells.

use super::super::folder::{Layout, Place};
use super::super::name::{self, Delivery};
use super::{Index, Record};

impl Index {
    /// Whether it lacks such messages, so that it is not to be written.
    pub(in crate::maildir) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// The same index; it is partial where it was made in place of one that is.
    pub(in crate::maildir) fn in_place_of(mut self, other: &Self) -> Self {
        self.is_partial = other.is_partial;
        self
    }

    /// The same index, which is partial where it lacks what `known` has: since listings may have missed it, which they did
    /// not where they are whole, or since a folder is away, or another one that has nothing of what was in it.
    pub(in crate::maildir) fn missing_from(mut self, known: Option<&Self>, is_whole: bool) -> Self {
        self.is_partial = known.is_some_and(|known| self.lacks(known, is_whole));
        self
    }

    fn lacks(&self, known: &Self, is_whole: bool) -> bool {
        match (known.layout(), self.layout()) {
            // So does a mount point look whose folder is not mounted. What is in another one that is not empty must be known
            // at the next login.
            (Layout::Flat(before), Layout::Flat(top)) => {
                before.inode != top.inode && self.count() == 0 && known.count() > 0
            }
            (before @ Layout::Maildir { .. }, layout @ Layout::Maildir { .. }) => {
                let is_own = |record: &Record<'_>| record.unique_id.is_some();
                let is_missed = || !is_whole && known.unmet_in(self).any(|record| is_own(&record));
                let is_away = |&place: &Place| {
                    let there = before.visit(place).map(|visit| visit.inode);
                    there.is_some()
                        && there != layout.visit(place).map(|visit| visit.inode)
                        && known.unmet_in(self).any(|record| record.place == place && is_own(&record))
                        && known.records().filter(|record| record.place == place).count()
                            == known.unmet_in(self).filter(|record| record.place == place).count()
                };
                is_missed() || layout.places().iter().any(is_away)
            }
            (Layout::Flat(_), Layout::Maildir { .. }) | (Layout::Maildir { .. }, Layout::Flat(_)) => false,
        }
    }

    /// The messages that another index does not have. Both are in the same order.
    pub(in crate::maildir) fn unmet_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Record<'a>> {
        let key = |record: &Record<'a>| (Delivery::of(record.base), record.base);
        let mut others = other.records().peekable();
        self.records().filter(move |record| {
            while others.next_if(|other| name::order(key(other), key(record)).is_lt()).is_some() {}
            others.peek().is_none_or(|other| other.base != record.base)
        })
    }
}

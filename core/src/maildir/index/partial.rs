//! Whether an index lacks messages that the one before knows and that may be there all the same: it is shown, and does not
//! take that one's place, which has unique-ids that nothing else tells.

use super::super::folder::Layout;
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

    /// The same index, which is partial where it lacks what `known` has. `is_whole` says that nothing was missed.
    pub(in crate::maildir) fn missing_from(mut self, known: Option<&Self>, is_whole: bool) -> Self {
        self.is_partial = known.is_some_and(|known| self.lacks(known, is_whole));
        self
    }

    fn lacks(&self, known: &Self, is_whole: bool) -> bool {
        match (known.layout(), self.layout()) {
            (Layout::Maildir { .. }, Layout::Maildir { .. }) if !is_whole => {
                known.unmet_in(self).any(|record| record.unique_id.is_some())
            }
            _ => false,
        }
    }

    /// The messages that another index does not have. Both are in the same order.
    fn unmet_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Record<'a>> {
        let key = |record: &Record<'a>| (Delivery::of(record.base), record.base);
        let mut others = other.records().peekable();
        self.records().filter(move |record| {
            while others.next_if(|other| name::order(key(other), key(record)).is_lt()).is_some() {}
            others.peek().is_none_or(|other| other.base != record.base)
        })
    }
}

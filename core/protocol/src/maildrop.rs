//! What a session knows of its maildrop: the snapshot taken at login, and what it marked as deleted.

use alloc::vec::Vec;

use crate::number::{MessageNumber, Octets};

/// The messages of one user as they were when the maildrop was locked, numbered from 1 (RFC 1939, section 4).
/// Never changes: what arrives later belongs to a later session.
pub trait Snapshot {
    /// How many messages there are; at most 2^32 - 2.
    fn count(&self) -> u32;
    /// The size of a message as sent. `number` is at most `count`.
    fn octets(&self, number: MessageNumber) -> Octets;
    /// The octets of all messages.
    fn total(&self) -> Octets {
        let numbers = (0..self.count()).filter_map(MessageNumber::from_index);
        Octets(numbers.fold(0, |total, number| self.octets(number).0.saturating_add(total)))
    }

    /// The unique-id of a message: 1 to 70 octets of 0x21 to 0x7E (RFC 1939, section 7). `number` is at most `count`.
    fn unique_id(&self, number: MessageNumber) -> &[u8];
}

/// The messages marked as deleted in this session, in the order of their numbers.
///
/// Takes no memory until the first DELE, then one bit a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Deletions {
    words: Vec<u64>,
    count: u32,
}

impl Deletions {
    /// No message marked.
    pub const NONE: Self = Self { words: Vec::new(), count: 0 };

    /// Marks a message; `false` where it was marked before.
    pub fn mark(&mut self, number: MessageNumber) -> bool {
        let (word, bit) = Self::place(number);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let Some(word) = self.words.get_mut(word) else { return false };
        let fresh = *word & bit == 0;
        *word |= bit;
        self.count += u32::from(fresh);
        fresh
    }

    /// Whether the message is marked.
    #[must_use]
    pub fn contains(&self, number: MessageNumber) -> bool {
        let (word, bit) = Self::place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The first message from this one on that is not marked; none: all are, up to the largest message-number. Looks at
    /// 64 marks at once.
    #[must_use]
    pub fn next_kept(&self, from: MessageNumber) -> Option<MessageNumber> {
        let mut index = from.index();
        while let Some(word) = self.words.get((index / 64) as usize) {
            let marks = (word >> (index % 64)).trailing_ones();
            index = index.checked_add(marks)?;
            if marks == 0 || !index.is_multiple_of(64) {
                break;
            }
        }
        MessageNumber::from_index(index)
    }

    /// Takes every mark back (RSET).
    pub fn clear(&mut self) {
        self.words = Vec::new();
        self.count = 0;
    }

    /// How many messages are marked.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The marked messages, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = MessageNumber> + '_ {
        (0_u32..).zip(&self.words).flat_map(|(place, &word)| {
            (0..64)
                .filter(move |bit| word & (1 << bit) != 0)
                .filter_map(move |bit| MessageNumber::from_index(place * 64 + bit))
        })
    }

    fn place(number: MessageNumber) -> (usize, u64) {
        let index = number.index();
        ((index / 64) as usize, 1 << (index % 64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: u32) -> MessageNumber {
        MessageNumber::from_index(value - 1).unwrap()
    }

    #[test]
    fn a_message_is_marked_once_and_marks_come_in_the_order_of_their_numbers() {
        let mut deletions = Deletions::default();
        for value in [200, 1, 64, 65, 64] {
            assert_eq!(deletions.mark(number(value)), !(value == 64 && deletions.count() == 4));
        }
        assert_eq!(deletions.count(), 4);
        assert!(deletions.iter().map(MessageNumber::value).eq([1, 64, 65, 200]));
        assert!(deletions.contains(number(65)) && !deletions.contains(number(66)));
        assert!(!deletions.contains(number(u32::MAX)));
    }

    #[test]
    fn no_mark_is_left_after_clear() {
        let mut deletions = Deletions::default();
        deletions.mark(number(7));
        deletions.clear();
        assert_eq!(deletions, Deletions::NONE);
        assert_eq!(deletions.iter().next(), None);
    }

    #[test]
    fn the_next_that_is_kept_may_be_the_last_that_there_is() {
        let last = number(u32::MAX);
        let mut deletions = Deletions::default();
        assert_eq!(deletions.next_kept(last), Some(last));
        for value in 1..=128 {
            deletions.mark(number(value));
        }
        assert_eq!(deletions.next_kept(number(1)), Some(number(129)));
        assert_eq!(deletions.next_kept(last), Some(last));
    }

    proptest! {
        /// Marks in runs, so that whole words of them come up.
        #[test]
        fn the_next_that_is_kept_is_what_a_look_at_each_finds(
            runs in prop::collection::vec((1_u32..600, 1_u32..200), 0..6),
        ) {
            let mut deletions = Deletions::default();
            for (first, count) in runs {
                for value in first..first + count {
                    deletions.mark(number(value));
                }
            }
            for from in (1..900).map(number) {
                let mut one_by_one = (from.value()..).map(number);
                let kept = one_by_one.find(|&number| !deletions.contains(number));
                prop_assert_eq!(deletions.next_kept(from), kept);
            }
        }
    }
}

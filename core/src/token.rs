//! Tokens that tell the living from the gone, and the slots that they name.
//!
//! An event or a notice may arrive after its connection has ended and another has taken the slot: the generation
//! in the token tells them apart.

use mio::Token;

/// What a token belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// The bell that other threads ring.
    Bell,
    /// A listener, by its index.
    Listener(usize),
    /// A connection whose balancer has not said for whom it speaks.
    Header(Key),
    /// A connection.
    Connection(Key),
    /// A descriptor of a transform, and the number of the worker that polls it.
    Source(usize, Key),
}

/// A slot and the generation of what stood in it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    index: u32,
    /// Less than `GENERATIONS`.
    generation: u32,
}

impl Key {
    /// The number of the slot.
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

const INDEX_BITS: u32 = 32;
const GENERATION_BITS: u32 = 20;
const WORKER_BITS: u32 = 10;
const GENERATIONS: u32 = 1 << GENERATION_BITS;
const WORKER_SHIFT: u32 = INDEX_BITS + GENERATION_BITS;
const KIND_SHIFT: u32 = WORKER_SHIFT + WORKER_BITS;
const _: () = assert!(KIND_SHIFT + 2 == usize::BITS, "a token holds kind, worker, generation and index");

/// Most workers of a server: a token has room for no more.
pub const WORKERS_MAX: usize = 1 << WORKER_BITS;

impl Place {
    /// The token of this place.
    pub(crate) fn token(self) -> Token {
        let pack = |kind: usize, key: Key| {
            kind << KIND_SHIFT | (key.generation as usize) << INDEX_BITS | key.index as usize
        };
        Token(match self {
            Self::Bell => 0,
            Self::Listener(index) => 1 << KIND_SHIFT | index,
            Self::Header(key) => pack(1, key) | 1 << WORKER_SHIFT,
            Self::Connection(key) => pack(2, key),
            Self::Source(worker, key) => pack(3, key) | worker << WORKER_SHIFT,
        })
    }

    /// The place of a token that `token` made.
    #[allow(clippy::cast_possible_truncation, reason = "the masks leave no more than fits")]
    pub(crate) fn of(token: Token) -> Self {
        let key =
            Key { index: token.0 as u32, generation: (token.0 >> INDEX_BITS) as u32 & (GENERATIONS - 1) };
        match token.0 >> KIND_SHIFT {
            0 => Self::Bell,
            1 if token.0 >> WORKER_SHIFT & (WORKERS_MAX - 1) != 0 => Self::Header(key),
            1 => Self::Listener(key.index as usize),
            2 => Self::Connection(key),
            _ => Self::Source(token.0 >> WORKER_SHIFT & (WORKERS_MAX - 1), key),
        }
    }
}

/// Values in numbered slots, each with the generation that its key must have.
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// The key that `insert` will give next.
    pub(crate) fn next_key(&self) -> Key {
        match self.free.last() {
            Some(&index) => Key { index, generation: self.slots[index as usize].generation },
            None => Key {
                index: u32::try_from(self.slots.len()).expect("there are fewer descriptors than 2^32"),
                generation: 0,
            },
        }
    }

    /// Puts a value into a free slot.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let key = self.next_key();
        match self.free.pop() {
            Some(index) => self.slots[index as usize].value = Some(value),
            None => self.slots.push(Slot { generation: 0, value: Some(value) }),
        }
        key
    }

    /// The value of a key, where it is still there.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_ref() } else { None }
    }

    /// The value of a key, where it is still there.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    /// Takes the value of a key out; the key is of no use afterwards.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = (slot.generation + 1) % GENERATIONS;
        self.free.push(key.index);
        Some(value)
    }

    /// The key of the value in a slot; none where it is free.
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let Slot { generation, value } = self.slots.get(index as usize)?;
        value.as_ref().map(|_| Key { index, generation: *generation })
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The keys of all values.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let keys = (0_u32..).zip(&self.slots);
        keys.filter(|(_, slot)| slot.value.is_some())
            .map(|(index, slot)| Key { index, generation: slot.generation })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_the_place_it_was_made_of() {
        let key = Key { index: u32::MAX, generation: GENERATIONS - 1 };
        for place in [
            Place::Bell,
            Place::Listener(3),
            Place::Header(key),
            Place::Connection(key),
            Place::Source(WORKERS_MAX - 1, key),
        ] {
            assert_eq!(Place::of(place.token()), place);
        }
    }

    #[test]
    fn the_key_of_what_has_gone_finds_nothing_in_the_same_slot() {
        let mut slots = Slots::new();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(second.index, first.index);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut "second"));
        assert_eq!((slots.key_at(second.index()), slots.key_at(7)), (Some(second), None));
        assert_eq!((slots.len(), slots.keys()), (1, vec![second]));
    }

    #[test]
    fn the_next_key_is_the_one_that_insert_gives() {
        let mut slots = Slots::new();
        for _ in 0..3 {
            let next = slots.next_key();
            assert_eq!(slots.insert(()), next);
            slots.remove(next);
            let next = slots.next_key();
            assert_eq!(slots.insert(()), next);
        }
    }
}

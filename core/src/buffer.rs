//! The octets that wait for room in a socket, and the spare buffers of a worker.

use std::io::{self, Write};
use std::ops::RangeInclusive;

/// Room for the output of one connection, where nothing else is said.
pub(crate) const OUTBOUND_CAPACITY: usize = 64 * 1024;

/// The least and the most that it may be. A relation that others count on: a reply line fits several times.
pub const OUTBOUND_BOUNDS: RangeInclusive<usize> = 8 * 1024..=128 * 1024;
const _: () = assert!(*OUTBOUND_BOUNDS.end() < LARGE_CAPACITY, "the two are told apart by their length");

/// Room of the larger buffers, of which a worker has a few: most messages go out in one call then.
pub(crate) const LARGE_CAPACITY: usize = 256 * 1024;

/// Larger buffers that connections of a worker hold at once. Who does not take what is sent keeps one, so there is a
/// bound; beyond it others have smaller ones.
const LARGE_MAX: usize = 32;

/// Spare buffers that a worker keeps; further ones are given back to the system.
const SPARE_MAX: usize = 64;

/// The same of larger ones: most are given back within the turn that took them.
const LARGE_SPARE_MAX: usize = 4;

/// What is to be sent, in the order in which it was written. Holds no memory while it is empty and released.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Outbound {
    /// Empty, or `LARGE_CAPACITY` long, or as long as `Spare::capacity` was.
    octets: Vec<u8>,
    /// 0 <= start <= end <= capacity
    start: usize,
    end: usize,
}

/// Buffers that no connection needs at the moment.
pub(crate) struct Spare {
    /// How long the small ones are: within `OUTBOUND_BOUNDS`.
    capacity: usize,
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    /// Larger buffers that connections hold: at most `LARGE_MAX`.
    lent: usize,
}

impl Default for Spare {
    fn default() -> Self {
        Self { capacity: OUTBOUND_CAPACITY, small: Vec::new(), large: Vec::new(), lent: 0 }
    }
}

impl Spare {
    /// How long buffers are that are taken from here on.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        if capacity != self.capacity {
            self.capacity = capacity.clamp(*OUTBOUND_BOUNDS.start(), *OUTBOUND_BOUNDS.end());
            self.small.clear();
        }
    }

    fn take(&mut self) -> Vec<u8> {
        if self.lent < LARGE_MAX {
            self.lent += 1;
            return self.large.pop().unwrap_or_else(|| vec![0; LARGE_CAPACITY]);
        }
        self.take_small()
    }

    fn take_small(&mut self) -> Vec<u8> {
        self.small.pop().unwrap_or_else(|| vec![0; self.capacity])
    }

    fn give_back(&mut self, octets: Vec<u8>) {
        let (kept, most) = if octets.len() == LARGE_CAPACITY {
            self.lent = self.lent.saturating_sub(1);
            (&mut self.large, LARGE_SPARE_MAX)
        } else {
            (&mut self.small, SPARE_MAX)
        };
        let is_of_use = [LARGE_CAPACITY, self.capacity].contains(&octets.len());
        if is_of_use && kept.len() < most {
            kept.push(octets);
        }
    }
}

impl Outbound {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many octets wait.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// How many octets fit; where there is no buffer yet, what the least one holds.
    pub(crate) fn room_len(&self) -> usize {
        if self.octets.is_empty() { *OUTBOUND_BOUNDS.start() } else { self.octets.len() - self.end }
    }

    /// Room behind what waits. Takes a buffer where there is none.
    pub(crate) fn room(&mut self, spare: &mut Spare) -> &mut [u8] {
        if self.octets.is_empty() {
            self.octets = spare.take();
        }
        &mut self.octets[self.end..]
    }

    /// So many octets were written into the room.
    pub(crate) fn commit(&mut self, count: usize) {
        debug_assert!(count <= self.octets.len() - self.end);
        self.end += count;
    }

    /// Writes what waits; returns how many octets were taken.
    ///
    /// # Errors
    /// Those of the writer, `WouldBlock` included.
    pub(crate) fn write_to(&mut self, writer: &mut impl Write) -> io::Result<usize> {
        let count = writer.write(&self.octets[self.start..self.end])?;
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        Ok(count)
    }

    /// Gives the buffer back where nothing waits, and a larger one where what waits fits into another.
    pub(crate) fn release(&mut self, spare: &mut Spare) {
        if self.octets.is_empty() {
            return;
        }
        if self.is_empty() {
            self.abandon(spare);
        } else if self.octets.len() == LARGE_CAPACITY && self.len() <= spare.capacity {
            let mut octets = spare.take_small();
            let waiting = &self.octets[self.start..self.end];
            octets[..waiting.len()].copy_from_slice(waiting);
            (self.start, self.end) = (0, waiting.len());
            spare.give_back(std::mem::replace(&mut self.octets, octets));
        }
    }

    /// Throws away what waits, and gives the buffer back.
    pub(crate) fn abandon(&mut self, spare: &mut Spare) {
        (self.start, self.end) = (0, 0);
        let octets = std::mem::take(&mut self.octets);
        if !octets.is_empty() {
            spare.give_back(octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_out_in_its_order_and_frees_the_buffer() {
        let (mut outbound, mut spare) = (Outbound::default(), Spare::default());
        outbound.room(&mut spare)[..5].copy_from_slice(b"+OK\r\n");
        outbound.commit(5);
        let mut first = [0_u8; 2];
        assert_eq!(outbound.write_to(&mut first.as_mut_slice()).unwrap(), 2);
        outbound.release(&mut spare);
        assert!(!outbound.is_empty());
        let mut rest = Vec::new();
        assert_eq!(outbound.write_to(&mut rest).unwrap(), 3);
        outbound.release(&mut spare);
        assert_eq!((&first, rest.as_slice()), (b"+O", b"K\r\n".as_slice()));
        // What waited went over to a smaller buffer; both are back.
        assert_eq!((spare.small.len(), spare.large.len(), spare.lent), (1, 1, 0));
        assert_eq!(outbound.room_len(), *OUTBOUND_BOUNDS.start());
    }

    #[test]
    fn there_is_no_room_but_that_of_the_buffer() {
        let mut spare = Spare::default();
        spare.set_capacity(8 * 1024);
        let mut outbound = Outbound::default();
        let large = outbound.room(&mut spare).len();
        outbound.commit(large);
        let mut taken = vec![0; large - 8 * 1024];
        outbound.write_to(&mut taken.as_mut_slice()).unwrap();
        // What is left fills a small one to the brim.
        outbound.release(&mut spare);
        assert_eq!((outbound.len(), outbound.room_len()), (8 * 1024, 0));
        assert!(outbound.room(&mut spare).is_empty());
    }

    #[test]
    fn buffers_are_as_long_as_was_said_last() {
        let mut spare = Spare::default();
        let mut held: Vec<Outbound> = Vec::new();
        for capacity in [OUTBOUND_CAPACITY, 8 * 1024, 128 * 1024] {
            spare.set_capacity(capacity);
            for _ in 0..LARGE_MAX + 2 {
                let mut outbound = Outbound::default();
                outbound.room(&mut spare)[..5].copy_from_slice(b"+OK\r\n");
                outbound.commit(5);
                // What waits fits: nobody keeps a larger one.
                outbound.release(&mut spare);
                assert_eq!(outbound.octets.len(), capacity);
                held.push(outbound);
            }
        }
        for outbound in &mut held {
            outbound.abandon(&mut spare);
        }
        assert!(spare.small.iter().all(|octets| octets.len() == 128 * 1024));
    }

    #[test]
    fn larger_buffers_are_few_however_many_take_nothing() {
        let mut spare = Spare::default();
        let mut stuck: Vec<Outbound> = Vec::new();
        for _ in 0..LARGE_MAX + 10 {
            let mut outbound = Outbound::default();
            let room = outbound.room(&mut spare).len();
            outbound.commit(room);
            outbound.release(&mut spare);
            assert_eq!(outbound.len(), room);
            stuck.push(outbound);
        }
        let large = |stuck: &[Outbound]| stuck.iter().filter(|it| it.len() == LARGE_CAPACITY).count();
        assert_eq!((large(&stuck), spare.lent), (LARGE_MAX, LARGE_MAX));
        for outbound in &mut stuck {
            outbound.abandon(&mut spare);
        }
        assert_eq!((spare.lent, spare.large.len(), spare.small.len()), (0, LARGE_SPARE_MAX, 10));
    }
}

//! The octets that wait for room in a socket, and the spare buffers of a worker.

use std::io::{self, Write};

/// Room for the output of one connection. A relation that others count on: a reply line fits several times.
pub(crate) const OUTBOUND_CAPACITY: usize = 64 * 1024;

/// Spare buffers that a worker keeps; further ones are given back to the system.
const SPARE_MAX: usize = 64;

/// What is to be sent, in the order in which it was written. Holds no memory while it is empty and released.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Outbound {
    /// Empty, or `OUTBOUND_CAPACITY` long.
    octets: Vec<u8>,
    /// 0 <= start <= end <= capacity
    start: usize,
    end: usize,
}

/// Buffers that no connection needs at the moment.
#[derive(Default)]
pub(crate) struct Spare(Vec<Vec<u8>>);

impl Outbound {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many octets wait.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// How many octets fit.
    pub(crate) fn room_len(&self) -> usize {
        OUTBOUND_CAPACITY - self.end
    }

    /// Room behind what waits. Takes a buffer where there is none.
    pub(crate) fn room(&mut self, spare: &mut Spare) -> &mut [u8] {
        if self.octets.is_empty() {
            self.octets = spare.0.pop().unwrap_or_else(|| vec![0; OUTBOUND_CAPACITY]);
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

    /// Gives the buffer back where nothing waits.
    pub(crate) fn release(&mut self, spare: &mut Spare) {
        if self.is_empty() && !self.octets.is_empty() {
            let octets = std::mem::take(&mut self.octets);
            if spare.0.len() < SPARE_MAX {
                spare.0.push(octets);
            }
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
        assert_eq!((&first, rest.as_slice(), spare.0.len()), (b"+O", b"K\r\n".as_slice(), 1));
        assert_eq!(outbound.room_len(), OUTBOUND_CAPACITY);
    }
}

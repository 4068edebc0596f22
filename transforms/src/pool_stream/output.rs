//! What a task has written and the worker has not taken: pieces, each taken over as it is or filled by and by.

use std::collections::VecDeque;

/// Octets up to which small writes are put together.
const PIECE: usize = 32 * 1024;

/// Octets of the longest piece that is kept once it was emptied.
const KEPT: usize = 64 * 1024;

/// Octets from which on a piece is worth being kept as it is.
const LARGE: usize = 4 * 1024;

#[derive(Default)]
pub(super) struct Output {
    /// None is empty.
    pieces: VecDeque<Vec<u8>>,
    /// Octets of the first piece that were taken.
    taken: usize,
    /// All that wait.
    length: usize,
    /// A piece that was emptied.
    spare: Vec<u8>,
    /// One that was taken over: whoever made it may have it again.
    emptied: Option<Vec<u8>>,
    /// Pieces are taken over.
    is_given: bool,
}

impl Output {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies octets behind the others.
    pub(super) fn append(&mut self, octets: &[u8]) {
        self.length += octets.len();
        match self.pieces.back_mut() {
            Some(last) if last.len() + octets.len() <= PIECE => last.extend_from_slice(octets),
            Some(_) | None if octets.is_empty() => {}
            Some(_) | None => {
                let mut piece = std::mem::take(&mut self.spare);
                piece.extend_from_slice(octets);
                self.pieces.push_back(piece);
            }
        }
    }

    /// Takes octets over.
    pub(super) fn push(&mut self, octets: Vec<u8>) {
        if octets.len() < LARGE {
            return self.append(&octets);
        }
        self.length += octets.len();
        self.is_given = true;
        self.pieces.push_back(octets);
    }

    /// A piece of some length that was emptied, with what was in it.
    pub(super) fn reclaim(&mut self) -> Option<Vec<u8>> {
        self.emptied.take()
    }

    /// Moves what fits to the front of `room`; how much that was.
    pub(super) fn take(&mut self, room: &mut [u8]) -> usize {
        let mut count = 0;
        while let Some(first) = self.pieces.front()
            && count < room.len()
        {
            let rest = first.get(self.taken..).unwrap_or_default();
            let moved = rest.len().min(room.len() - count);
            room[count..count + moved].copy_from_slice(&rest[..moved]);
            count += moved;
            self.taken += moved;
            if moved == rest.len() {
                self.taken = 0;
                match self.pieces.pop_front() {
                    Some(mut emptied) if emptied.capacity() <= PIECE => {
                        emptied.clear();
                        self.spare = emptied;
                    }
                    Some(emptied) if self.is_given && emptied.capacity() <= KEPT => {
                        self.emptied = Some(emptied);
                    }
                    Some(_) | None => {}
                }
            }
        }
        self.length -= count;
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_taken_in_its_order(
            writes in prop::collection::vec((prop_oneof![0_usize..10, 4000_usize..70_000], any::<bool>(), 0_usize..100_000), 1..20),
        ) {
            let (mut output, mut expected, mut seen) = (Output::default(), Vec::new(), Vec::new());
            for (number, (length, is_given, room)) in (0_u8..).zip(writes) {
                let octets: Vec<u8> = (number..=255).cycle().take(length).collect();
                expected.extend_from_slice(&octets);
                if is_given {
                    output.push(octets);
                } else {
                    output.append(&octets);
                }
                let mut room = vec![0; room];
                let count = output.take(&mut room);
                prop_assert!(count == room.len() || output.is_empty());
                seen.extend_from_slice(&room[..count]);
                prop_assert_eq!(seen.len() + output.len(), expected.len());
            }
            let mut rest = vec![0; output.len()];
            output.take(&mut rest);
            seen.extend(rest);
            prop_assert!(seen == expected);
        }
    }
}

//! The scan listing and the unique-id listing (RFC 1939, sections 5 and 7), written line by line into whatever room
//! there is: no line is allocated, and none is kept between two steps.

use crate::maildrop::{Deletions, Snapshot};
use crate::number::MessageNumber;

/// Longest unique-id (RFC 1939, section 7).
const UNIQUE_ID_MAX: usize = 70;
/// Digits of the largest `u32`, a space, and the longest of digits of the largest `u64` or unique-id, with CRLF.
const LINE_MAX: usize = 10 + 1 + UNIQUE_ID_MAX + 2;

/// What a line says of its message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Column {
    /// Its octets: LIST.
    Octets,
    /// Its unique-id: UIDL.
    UniqueId,
}

/// How far a listing has come. Messages marked as deleted are not in it.
#[derive(Debug)]
pub(super) struct Listing {
    column: Column,
    /// Where the message of the line that comes next stands; the number of messages for the termination octet.
    index: u32,
    /// How many octets of that line are written.
    written: usize,
}

/// Whether a listing has more to write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rest {
    /// There was no room for more.
    Some,
    /// The termination octet is written.
    None,
}

impl Listing {
    /// A listing from the first message on.
    pub(super) fn new(column: Column) -> Self {
        Self { column, index: 0, written: 0 }
    }

    /// Writes as much as there is room for; returns how many octets, and whether that was all.
    pub(super) fn write(
        &mut self,
        snapshot: &(dyn Snapshot + Send + Sync),
        deletions: &Deletions,
        room: &mut [u8],
    ) -> (usize, Rest) {
        let count = snapshot.count();
        let mut produced = 0;
        loop {
            let number = MessageNumber::from_index(self.index).filter(|_| self.index < count);
            if let Some(number) = number
                && deletions.contains(number)
            {
                self.index = deletions.next_kept(number).map_or(count, MessageNumber::index);
                continue;
            }
            let room = room.get_mut(produced..).unwrap_or_default();
            let say = |line: &mut Text<'_>| match number {
                Some(number) => self.describe(snapshot, number, line),
                None => line.push(b".\r\n"),
            };
            if self.written == 0
                && let Some(room) = room.first_chunk_mut()
            {
                // There is room for any line.
                let mut line = Text { octets: room, length: 0 };
                say(&mut line);
                produced += line.length;
            } else {
                let mut line = Text { octets: &mut [0; LINE_MAX], length: 0 };
                say(&mut line);
                let owed = line.octets().get(self.written..).unwrap_or_default();
                let fits = owed.len().min(room.len());
                for (place, &octet) in room.iter_mut().zip(owed) {
                    *place = octet;
                }
                produced += fits;
                if fits < owed.len() {
                    self.written += fits;
                    return (produced, Rest::Some);
                }
            }
            self.written = 0;
            if number.is_none() {
                return (produced, Rest::None);
            }
            self.index += 1;
        }
    }

    fn describe(&self, snapshot: &(dyn Snapshot + Send + Sync), number: MessageNumber, line: &mut Text<'_>) {
        line.push_decimal(u64::from(number.value()));
        line.push(b" ");
        match self.column {
            Column::Octets => line.push_decimal(snapshot.octets(number).0),
            Column::UniqueId => line.push(shown_unique_id(snapshot, number)),
        }
        line.push(b"\r\n");
    }
}

/// A unique-id, never longer than the RFC allows.
pub(super) fn shown_unique_id(snapshot: &(dyn Snapshot + Send + Sync), number: MessageNumber) -> &[u8] {
    let unique_id = snapshot.unique_id(number);
    unique_id.get(..UNIQUE_ID_MAX).unwrap_or(unique_id)
}

/// One line of a listing.
struct Text<'a> {
    octets: &'a mut [u8; LINE_MAX],
    length: usize,
}

/// The numbers below 100, two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut value = 0_u8;
    while value < 100 {
        pairs[value as usize] = [b'0' + value / 10, b'0' + value % 10];
        value += 1;
    }
    pairs
};

impl Text<'_> {
    fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, octets: &[u8]) {
        if let Some(room) = self.octets.get_mut(self.length..self.length + octets.len()) {
            room.copy_from_slice(octets);
            self.length += octets.len();
        }
    }

    fn push_decimal(&mut self, value: u64) {
        let mut digits = [[0; 2]; 10];
        let mut left = value;
        let mut pairs = 0;
        // Two digits at a time: there is a division for each.
        for place in digits.iter_mut().rev() {
            *place = usize::try_from(left % 100)
                .ok()
                .and_then(|pair| PAIRS.get(pair))
                .copied()
                .unwrap_or_default();
            left /= 100;
            pairs += 1;
            if left == 0 {
                break;
            }
        }
        let digits = digits.get(digits.len() - pairs..).unwrap_or_default().as_flattened();
        self.push(if digits.len() > 1 { digits.strip_prefix(b"0").unwrap_or(digits) } else { digits });
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn decimals_are_written_in_full() {
        for value in [0, 7, 10, 99, 100, 4_294_967_297, u64::MAX] {
            let mut octets = [0; LINE_MAX];
            let mut text = Text { octets: &mut octets, length: 0 };
            text.push_decimal(value);
            assert_eq!(text.octets(), value.to_string().as_bytes());
        }
    }
}

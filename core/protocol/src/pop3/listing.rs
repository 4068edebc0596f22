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
            if number.is_some_and(|number| deletions.contains(number)) {
                self.index += 1;
                continue;
            }
            let mut line = Text::new();
            match number {
                Some(number) => self.describe(snapshot, number, &mut line),
                None => line.push(b".\r\n"),
            }
            let owed = line.octets().get(self.written..).unwrap_or_default();
            let room = room.get_mut(produced..).unwrap_or_default();
            let fits = owed.len().min(room.len());
            for (place, &octet) in room.iter_mut().zip(owed) {
                *place = octet;
            }
            produced += fits;
            if fits < owed.len() {
                self.written += fits;
                return (produced, Rest::Some);
            }
            self.written = 0;
            if number.is_none() {
                return (produced, Rest::None);
            }
            self.index += 1;
        }
    }

    fn describe(&self, snapshot: &(dyn Snapshot + Send + Sync), number: MessageNumber, line: &mut Text) {
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
struct Text {
    octets: [u8; LINE_MAX],
    length: usize,
}

impl Text {
    fn new() -> Self {
        Self { octets: [0; LINE_MAX], length: 0 }
    }

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
        let mut digits = [0; 20];
        let mut left = value;
        let mut count = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0' + u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
            count += 1;
            if left == 0 {
                break;
            }
        }
        self.push(digits.get(digits.len() - count..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn decimals_are_written_in_full() {
        for value in [0, 7, 10, 99, 100, 4_294_967_297, u64::MAX] {
            let mut text = Text::new();
            text.push_decimal(value);
            assert_eq!(text.octets(), value.to_string().as_bytes());
        }
    }
}

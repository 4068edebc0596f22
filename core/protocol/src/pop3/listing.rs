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

/// The least number that eight digits do not hold.
const EIGHT_DIGITS: u64 = 100_000_000;

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

    /// Writes a number.
    #[inline(always)]
    fn push_decimal(&mut self, value: u64) {
        if value < EIGHT_DIGITS {
            let digits = eight_digits(value);
            // The last digit of 0 is none of those that are left out.
            self.push_digits(digits, (digits | (1 << 56)).trailing_zeros() / 8);
        } else {
            self.push_long_decimal(value);
        }
    }

    #[cold]
    fn push_long_decimal(&mut self, value: u64) {
        self.push_decimal(value / EIGHT_DIGITS);
        self.push_digits(eight_digits(value % EIGHT_DIGITS), 0);
    }

    /// Writes eight digits but for so many zeros that they begin with. Eight octets are written: what comes next overwrites
    /// those that are too much.
    #[inline(always)]
    fn push_digits(&mut self, digits: u64, zeros: u32) {
        let room = self.octets.get_mut(self.length..).and_then(<[u8]>::first_chunk_mut);
        if let Some(room) = room {
            *room = ((digits | 0x3030_3030_3030_3030) >> (zeros * 8)).to_le_bytes();
            self.length += 8 - zeros as usize;
        }
    }
}

/// The values of the last eight digits of a number below 10^8, the first one in the least octet.
///
/// All are made at once, in lanes of one word, and by multiplication in place of division: how many digits a number has is
/// nothing that a processor foresees.
fn eight_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_written(value: u64) {
        let mut octets = [0; LINE_MAX];
        let mut text = Text { octets: &mut octets, length: 0 };
        text.push_decimal(value);
        assert_eq!(text.octets(), value.to_string().as_bytes());
    }

    #[test]
    fn numbers_are_written_in_full() {
        for power in (0..20).map(|power| 10_u64.pow(power)) {
            for value in [power - 1, power, power + 1, power.saturating_mul(9)] {
                assert_written(value);
            }
        }
        assert_written(u64::MAX);
        (0..100_000).for_each(assert_written);
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_they_are_shown(value: u64, bits in 0_u32..64) {
            assert_written(value >> bits);
        }
    }
}

//! The body of a multi-line response: line ends become CRLF, a leading "." is doubled (RFC 1939, section 3).

use crate::number::Octets;

/// How far one step came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Octets taken from the input.
    pub consumed: usize,
    /// Octets written into the room.
    pub produced: usize,
}

/// Encodes the body of one multi-line response.
#[derive(Debug, Default)]
pub struct MultiLine {}

impl MultiLine {
    /// Encodes what fits: line ends become CRLF, a leading "." is doubled (RFC 1939, section 3).
    pub fn encode(&mut self, _message: &[u8], _room: &mut [u8]) -> Progress {
        Progress::default()
    }

    /// Writes the line end that the message lacks and the termination octet with its CRLF, as far as there is
    /// room; returns how many octets. The response is whole once `is_finished`.
    pub fn finish(&mut self, _room: &mut [u8]) -> usize {
        0
    }

    /// Whether the termination octet and its CRLF have been written.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        false
    }
}

/// Measures a message: what [`MultiLine`] would send of it, without sending.
#[derive(Debug, Default)]
pub struct Measure {}

impl Measure {
    /// Looks at the next octets of the message as stored.
    pub fn update(&mut self, _message: &[u8]) {}

    /// The octets as sent, byte-stuffing and termination octet not counted.
    #[must_use]
    pub fn octets(&self) -> Octets {
        Octets(0)
    }

    /// Whether the message could be sent as it stands in the file: every line end is CRLF, no line begins with
    /// ".", and it ends in CRLF or is empty.
    #[must_use]
    pub fn is_wire_clean(&self) -> bool {
        false
    }
}

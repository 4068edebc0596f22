//! TOP: the headers, the empty line, and so many lines of the body (RFC 1939, section 7).
//!
//! Works on the octets as stored: CRLF and LF end a line, a lone CR does not. Comes before
//! [`crate::multiline::MultiLine`], which it leaves the line ends to.

use memchr::memchr_iter;

/// Cuts a message, as stored, after the header, the empty line and `lines` lines of the body.
#[derive(Debug)]
pub struct TopLimit {
    place: Place,
    /// Lines of the body that may follow; [`TopLimit::ALL`] is never counted down.
    lines: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// In the header, and what of the line has been seen.
    Header(HeaderLine),
    /// In the body.
    Body,
    /// Behind the last octet of the answer.
    Reached,
}

/// What has been seen of a line of the header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeaderLine {
    Nothing,
    /// A CR; with LF next it is the empty line.
    Cr,
    Text,
}

impl TopLimit {
    /// The number of lines that stands for all of them, as many as there may be.
    pub const ALL: u32 = u32::MAX;

    /// A limit of so many lines of the body; 0 gives the headers and the empty line.
    #[must_use]
    pub fn new(lines: u32) -> Self {
        Self { place: Place::Header(HeaderLine::Nothing), lines }
    }

    /// How many of the octets that come next belong to the answer, from the first on.
    pub fn admit(&mut self, message: &[u8]) -> usize {
        let header = match self.place {
            Place::Header(line) => match self.header(line, message) {
                Some(header) => header,
                None => return message.len(),
            },
            Place::Body => 0,
            Place::Reached => return 0,
        };
        header + self.body(message.get(header..).unwrap_or_default())
    }

    /// Whether nothing more belongs to the answer.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.place == Place::Reached
    }

    /// How many octets end the header, its empty line included; none where all belong to it and it goes on.
    fn header(&mut self, line: HeaderLine, message: &[u8]) -> Option<usize> {
        let mut line = line;
        let mut start = 0;
        for end in memchr_iter(b'\n', message) {
            if line.with(message.get(start..end).unwrap_or_default()) != HeaderLine::Text {
                self.place = if self.lines == 0 { Place::Reached } else { Place::Body };
                return Some(end + 1);
            }
            line = HeaderLine::Nothing;
            start = end + 1;
        }
        self.place = Place::Header(line.with(message.get(start..).unwrap_or_default()));
        None
    }

    /// How many octets of the body belong to the answer.
    fn body(&mut self, message: &[u8]) -> usize {
        if self.is_reached() {
            return 0;
        }
        if self.lines == Self::ALL {
            return message.len();
        }
        for end in memchr_iter(b'\n', message) {
            self.lines -= 1;
            if self.lines == 0 {
                self.place = Place::Reached;
                return end + 1;
            }
        }
        message.len()
    }
}

impl HeaderLine {
    /// The same line with these octets, none of which is LF, behind what was seen.
    fn with(self, octets: &[u8]) -> Self {
        match (self, octets) {
            (_, []) => self,
            (Self::Nothing, b"\r") => Self::Cr,
            (Self::Nothing | Self::Cr | Self::Text, _) => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn top(lines: u32, message: &[u8]) -> &[u8] {
        &message[..TopLimit::new(lines).admit(message)]
    }

    /// The slow, obvious twin: splits the whole message into lines and takes the first of them.
    fn twin(lines: u32, message: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut body = None;
        for line in message.split_inclusive(|&octet| octet == b'\n') {
            match &mut body {
                Some(0) => break,
                Some(left) => *left -= 1,
                None if line == b"\n" || line == b"\r\n" => body = Some(lines),
                None => {}
            }
            answer.extend_from_slice(line);
        }
        answer
    }

    #[test]
    fn zero_lines_are_the_headers_and_the_empty_line() {
        assert_eq!(top(0, b"a: b\r\n\r\nbody\r\n"), b"a: b\r\n\r\n");
        assert_eq!(top(0, b"a: b\n\nbody\n"), b"a: b\n\n");
    }

    #[test]
    fn lines_of_the_header_are_not_counted() {
        assert_eq!(top(1, b"a: b\r\nc: d\r\n\r\none\r\ntwo\r\n"), b"a: b\r\nc: d\r\n\r\none\r\n");
    }

    #[test]
    fn empty_lines_of_the_body_are_counted() {
        assert_eq!(top(2, b"a: b\n\n\none\ntwo\n"), b"a: b\n\n\none\n");
    }

    #[test]
    fn a_message_without_empty_line_is_all_header() {
        assert_eq!(top(0, b"a: b\nc: d\n"), b"a: b\nc: d\n");
        assert_eq!(top(0, b""), b"");
    }

    #[test]
    fn a_message_may_begin_with_its_empty_line() {
        assert_eq!(top(1, b"\r\none\r\ntwo"), b"\r\none\r\n");
    }

    #[test]
    fn a_lone_cr_ends_no_line() {
        assert_eq!(top(0, b"a: b\r\r\rc\n\r\r\n\nbody"), b"a: b\r\r\rc\n\r\r\n\n");
        assert_eq!(top(1, b"\none\rtwo\nthree\n"), b"\none\rtwo\n");
    }

    #[test]
    fn a_last_line_without_line_end_is_a_line() {
        assert_eq!(top(2, b"\none\ntwo"), b"\none\ntwo");
    }

    #[test]
    fn the_largest_number_of_lines_is_never_reached() {
        let mut limit = TopLimit::new(TopLimit::ALL);
        assert_eq!(limit.admit(b"\n\n\n\n"), 4);
        assert_eq!(limit.lines, TopLimit::ALL);
        assert!(!limit.is_reached());
    }

    #[test]
    fn nothing_belongs_to_the_answer_behind_the_limit() {
        let mut limit = TopLimit::new(1);
        assert_eq!(limit.admit(b"\none\ntwo\n"), 5);
        assert!(limit.is_reached());
        assert_eq!(limit.admit(b"two\n"), 0);
    }

    proptest! {
        #[test]
        fn every_cutting_admits_what_the_twin_takes(
            message in prop::collection::vec(prop::sample::select(b"\r\n\r\na.".to_vec()), 0..60),
            lines in prop_oneof![0_u32..6, Just(u32::MAX - 1), Just(u32::MAX)],
            cuts in prop::collection::vec(1_usize..8, 1..20),
        ) {
            let mut limit = TopLimit::new(lines);
            let mut answer = Vec::new();
            let mut rest = message.as_slice();
            for &cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                let admitted = limit.admit(chunk);
                prop_assert!(admitted == chunk.len() || limit.is_reached());
                answer.extend_from_slice(&chunk[..admitted]);
                rest = after;
            }
            prop_assert_eq!(answer, twin(lines, &message));
        }
    }
}

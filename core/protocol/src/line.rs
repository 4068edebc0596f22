//! Command lines: found in what a client sent, however it was cut (RFC 1939, section 3).
//!
//! Memory is bounded: a line that lies whole in the input is given from there, a cut one is gathered in a buffer
//! that grows with it and is there only as long as it is needed, and one that is too long is skipped to its end.
//! Called by the session only.

use alloc::boxed::Box;
use alloc::vec;
use core::hint::black_box;

use memchr::memchr;

/// Longest command line, its line end included (RFC 2449, section 4), where nothing else is said.
pub const COMMAND_LINE_MAX: usize = 255;

/// Octets of a buffer at first: as much as most lines may have at all, so that theirs never grows.
const LEAST: usize = 512;
const _: () = assert!(COMMAND_LINE_MAX <= LEAST, "the buffer of a command never grows");

/// One command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line<'a> {
    /// A line.
    Whole {
        /// Without its line end.
        text: &'a [u8],
        /// How many octets it has, its line end included.
        length: usize,
    },
    /// A line that is longer than lines may be; said once, before its end is known.
    TooLong,
}

/// Splits octets into lines of a bounded length; CRLF ends a line, and so does LF alone.
pub struct LineReader {
    /// What is kept of a line that was cut: all but the LF that ends it. None while nothing is: most sessions idle, and most
    /// commands come whole.
    buffer: Option<Box<[u8]>>,
    /// Octets of a line, its end included; `buffer` is never longer.
    most: usize,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// So many octets of a line that goes on are in the buffer.
    Gathering(usize),
    /// So many octets of a line that was given out are in the buffer.
    Given(usize),
    /// The end of a line that is too long has not been seen.
    Skipping,
}

impl LineReader {
    /// A reader at the beginning of a line, of lines of at most so many octets, their ends included.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { buffer: None, most, state: State::Gathering(0) }
    }

    /// Reads up to the end of the next line; returns how many octets it took, and the line.
    /// Where there is no line, all octets were taken.
    pub fn read<'a>(&'a mut self, octets: &'a [u8]) -> (usize, Option<Line<'a>>) {
        self.wipe();
        let skipped = self.skip(octets);
        if self.is_skipping() {
            return (skipped, None);
        }
        let (taken, line) = self.gather(octets.get(skipped..).unwrap_or_default());
        (skipped + taken, line)
    }

    /// Octets of memory that it takes for a line that was cut.
    pub(crate) fn held(&self) -> usize {
        self.buffer.as_ref().map_or(0, |buffer| buffer.len())
    }

    /// Whether the end of a line that is too long has not been seen.
    pub(crate) fn is_skipping(&self) -> bool {
        matches!(self.state, State::Skipping)
    }

    /// Has it begin in a line whose end it is to pass over: another reader has found that line too long.
    pub(crate) fn begin_skipping(&mut self) {
        self.wipe();
        self.state = State::Skipping;
    }

    /// Passes over what is left of a line that is too long; returns how many octets that took.
    fn skip(&mut self, octets: &[u8]) -> usize {
        if !self.is_skipping() {
            return 0;
        }
        let Some(end) = memchr(b'\n', octets) else { return octets.len() };
        self.state = State::Gathering(0);
        end + 1
    }

    /// Zero-fills what the buffer holds of a line that was given out: it may have been a password.
    pub fn wipe(&mut self) {
        if let State::Given(used) = self.state {
            self.zero(used);
            self.buffer = None;
            self.state = State::Gathering(0);
        }
    }

    fn gather<'a>(&'a mut self, octets: &'a [u8]) -> (usize, Option<Line<'a>>) {
        let used = match self.state {
            State::Gathering(used) => used,
            State::Given(_) | State::Skipping => 0,
        };
        // At least 1, for the LF, which is never kept.
        let most = self.most.saturating_sub(used);
        let window = octets.get(..most).unwrap_or(octets);
        match memchr(b'\n', window) {
            Some(end) if used == 0 => (end + 1, Some(whole(octets.get(..end).unwrap_or_default()))),
            Some(end) => {
                let used = self.keep(used, window.get(..end).unwrap_or_default());
                self.state = State::Given(used);
                (end + 1, Some(whole(self.kept(used))))
            }
            None if window.len() < most => {
                self.state = State::Gathering(self.keep(used, window));
                (window.len(), None)
            }
            None => {
                self.zero(used);
                self.buffer = None;
                self.state = State::Skipping;
                (window.len(), Some(Line::TooLong))
            }
        }
    }

    /// Copies octets behind those in the buffer; returns how many it holds after that.
    fn keep(&mut self, used: usize, octets: &[u8]) -> usize {
        if octets.is_empty() {
            return used;
        }
        let end = self.most.min(used + octets.len());
        self.grow(used, end);
        let room = self.buffer.as_mut().and_then(|buffer| buffer.get_mut(used..)).unwrap_or_default();
        for (place, &octet) in room.iter_mut().zip(octets) {
            *place = octet;
        }
        end
    }

    /// Has the buffer hold at least so many octets, with those that it holds already. It doubles, so that a line that comes octet
    /// by octet is not copied over and over.
    fn grow(&mut self, used: usize, needed: usize) {
        let held = self.held();
        if needed <= held {
            return;
        }
        let mut grown: Box<[u8]> = vec![0; needed.max(2 * held).max(LEAST).min(self.most)].into();
        for (place, &octet) in grown.iter_mut().zip(self.kept(used)) {
            *place = octet;
        }
        self.zero(used);
        self.buffer = Some(grown);
    }

    /// So many octets of the buffer.
    fn kept(&self, used: usize) -> &[u8] {
        self.buffer.as_ref().and_then(|buffer| buffer.get(..used)).unwrap_or_default()
    }

    fn zero(&mut self, used: usize) {
        if let Some(buffer) = &mut self.buffer {
            buffer.get_mut(..used).unwrap_or_default().fill(0);
            // Without this the compiler may leave out stores into memory that is given back.
            black_box(buffer);
        }
    }
}

impl Drop for LineReader {
    fn drop(&mut self) {
        // The connection may have ended in the middle of a PASS.
        if let State::Gathering(used) | State::Given(used) = self.state {
            self.zero(used);
        }
    }
}

/// A line of which the LF is missing.
fn whole(line: &[u8]) -> Line<'_> {
    Line::Whole { text: line.strip_suffix(b"\r").unwrap_or(line), length: line.len() + 1 }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// What a reader gives, in a form that outlives it.
    #[derive(Clone, Debug, Eq, PartialEq)]
    enum Read {
        /// A line, and its length.
        Whole(Vec<u8>, usize),
        TooLong,
    }

    fn read_all(reader: &mut LineReader, mut octets: &[u8], lines: &mut Vec<Read>) {
        loop {
            let (taken, line) = reader.read(octets);
            octets = &octets[taken..];
            match line {
                Some(Line::Whole { text, length }) => lines.push(Read::Whole(text.to_vec(), length)),
                Some(Line::TooLong) => lines.push(Read::TooLong),
                None => break assert!(octets.is_empty(), "no line, but octets left"),
            }
        }
    }

    fn uncut(octets: &[u8]) -> Vec<Read> {
        uncut_of(COMMAND_LINE_MAX, octets)
    }

    fn uncut_of(most: usize, octets: &[u8]) -> Vec<Read> {
        let mut lines = Vec::new();
        read_all(&mut LineReader::new(most), octets, &mut lines);
        lines
    }

    /// The slow, obvious twin: looks at single octets and keeps every line whole.
    fn twin(most: usize, octets: &[u8]) -> Vec<Read> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        for &octet in octets {
            line.push(octet);
            if line.len() == most && octet != b'\n' {
                lines.push(Read::TooLong);
            }
            if octet == b'\n' {
                let length = line.len();
                if length <= most {
                    line.pop();
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    lines.push(Read::Whole(core::mem::take(&mut line), length));
                }
                line.clear();
            }
        }
        lines
    }

    #[test]
    fn crlf_ends_a_line_and_lf_alone_does_too() {
        assert_eq!(
            uncut(b"NOOP\r\nQUIT\n\r\n"),
            [Read::Whole(b"NOOP".into(), 6), Read::Whole(b"QUIT".into(), 5), Read::Whole(Vec::new(), 2)]
        );
    }

    #[test]
    fn only_the_cr_before_the_lf_belongs_to_the_line_end() {
        assert_eq!(uncut(b"a\rb\r\r\n"), [Read::Whole(b"a\rb\r".into(), 6)]);
    }

    #[test]
    fn a_line_of_255_octets_is_whole_and_one_of_256_is_too_long() {
        let mut longest = vec![b'a'; COMMAND_LINE_MAX - 2];
        longest.extend(b"\r\n");
        assert_eq!(uncut(&longest), [Read::Whole(vec![b'a'; COMMAND_LINE_MAX - 2], COMMAND_LINE_MAX)]);
        let mut overlong = vec![b'a'; COMMAND_LINE_MAX - 1];
        overlong.extend(b"\r\nQUIT\r\n");
        assert_eq!(uncut(&overlong), [Read::TooLong, Read::Whole(b"QUIT".into(), 6)]);
    }

    #[test]
    fn an_endless_line_is_reported_once() {
        let mut reader = LineReader::new(COMMAND_LINE_MAX);
        let mut lines = Vec::new();
        for _ in 0..100 {
            read_all(&mut reader, &[b'a'; 1000], &mut lines);
        }
        assert_eq!(lines, [Read::TooLong]);
    }

    #[test]
    fn a_line_that_was_gathered_is_wiped() {
        let mut reader = LineReader::new(COMMAND_LINE_MAX);
        assert_eq!(reader.read(b"PASS sec"), (8, None));
        assert_eq!(reader.read(b"ret\r\n"), (5, Some(Line::Whole { text: b"PASS secret", length: 13 })));
        reader.wipe();
        assert_eq!(reader.buffer, None);
        reader.read(b"PASS sec");
        reader.read(&[b'a'; 300]);
        assert_eq!(reader.buffer, None, "a line that is too long is wiped as well");
    }

    #[test]
    fn a_long_line_takes_memory_as_it_comes_and_gives_it_back() {
        let most = 64 * 1024;
        let mut reader = LineReader::new(most);
        let mut sent = 0;
        while sent < most - 1 {
            let count = (most - 1 - sent).min(100);
            assert_eq!(reader.read(&[b'a'; 100][..count]), (count, None));
            sent += count;
            assert!((sent..=most.min(2 * sent.max(LEAST))).contains(&reader.held()), "{sent}");
        }
        let (taken, line) = reader.read(b"\n");
        assert!(taken == 1 && line == Some(Line::Whole { text: &vec![b'a'; most - 1], length: most }));
        reader.wipe();
        assert_eq!(reader.held(), 0);
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => Just(b"\r\n".to_vec()),
            2 => Just(b"\n".to_vec()),
            1 => Just(b"\r".to_vec()),
            3 => prop::collection::vec(any::<u8>(), 0..20),
            3 => (245_usize..262).prop_map(|count| vec![b'a'; count]),
            1 => (0_usize..4000).prop_map(|count| vec![b'a'; count]),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_cutting_gives_the_lines_of_the_twin(
            octets in octets(),
            most in prop_oneof![Just(COMMAND_LINE_MAX), Just(5000)],
            cuts in prop::collection::vec(1_usize..300, 1..20),
        ) {
            let mut reader = LineReader::new(most);
            let mut lines = Vec::new();
            let mut rest = octets.as_slice();
            for &cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                read_all(&mut reader, chunk, &mut lines);
                rest = after;
            }
            prop_assert_eq!(&lines, &twin(most, &octets));
            prop_assert_eq!(&lines, &uncut_of(most, &octets));
        }
    }
}

//! What a program or a guest says on standard error: lines for the log, so many of them, and the tail for a failure.

use pop3d_protocol::text::one_line_of;

/// Lines of one message that reach the log.
const LINES_MAX: usize = 64;

/// Octets of one message that reach the log.
const OCTETS_MAX: usize = 8 * 1024;

/// Longest line; what is longer is cut into several.
const LINE_MAX: usize = 1024;

/// Lines that are repeated with a failure.
const TAIL_LINES: usize = 3;

/// Octets of each of them.
const TAIL_LINE_MAX: usize = 200;

/// Standard error of one child.
#[derive(Default)]
pub(crate) struct Complaints {
    /// The beginning of a line whose end is not known yet. At most `LINE_MAX`.
    line: Vec<u8>,
    /// The last lines, the oldest first, escaped. At most `TAIL_LINES`.
    tail: Vec<String>,
    lines: usize,
    octets: usize,
    /// Octets that did not reach the log.
    unlogged: u64,
}

impl Complaints {
    /// Takes octets as they come, and calls `log` with each whole line, escaped.
    pub(crate) fn take(&mut self, mut octets: &[u8], log: &mut dyn FnMut(&str)) {
        while !octets.is_empty() {
            let room = LINE_MAX - self.line.len();
            let end = octets.iter().take(room).position(|octet| *octet == b'\n');
            let count = end.unwrap_or(room.min(octets.len()));
            self.line.extend_from_slice(&octets[..count]);
            octets = &octets[count + usize::from(end.is_some())..];
            if end.is_some() || self.line.len() == LINE_MAX {
                self.end_line(log);
            }
        }
    }

    /// The child says no more. Returns how many octets did not reach the log.
    pub(crate) fn finish(&mut self, log: &mut dyn FnMut(&str)) -> u64 {
        self.end_line(log);
        self.unlogged
    }

    /// The last lines in one, or nothing.
    pub(crate) fn tail(&self) -> String {
        self.tail.join(" | ")
    }

    fn end_line(&mut self, log: &mut dyn FnMut(&str)) {
        let line = self.line.trim_ascii_end();
        if !line.is_empty() {
            if self.tail.len() == TAIL_LINES {
                self.tail.remove(0);
            }
            self.tail.push(one_line_of(&line[..line.len().min(TAIL_LINE_MAX)]));
            if self.lines < LINES_MAX && self.octets + line.len() <= OCTETS_MAX {
                self.lines += 1;
                self.octets += line.len();
                log(&one_line_of(line));
            } else {
                self.unlogged += line.len() as u64;
            }
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log_of(complaints: &mut Complaints, parts: &[&[u8]]) -> (Vec<String>, u64) {
        let mut lines = Vec::new();
        for part in parts {
            complaints.take(part, &mut |line| lines.push(line.to_owned()));
        }
        let unlogged = complaints.finish(&mut |line| lines.push(line.to_owned()));
        (lines, unlogged)
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let parts: [&[u8]; 4] = [b"one\ntw", b"o\r\n\n", b"", b"three"];
        let mut complaints = Complaints::default();
        assert_eq!(log_of(&mut complaints, &parts), (vec!["one".into(), "two".into(), "three".into()], 0));
        assert_eq!(complaints.tail(), "one | two | three");
    }

    #[test]
    fn the_log_takes_so_much_and_the_tail_is_still_the_end() {
        let mut complaints = Complaints::default();
        let flood = b"0123456789\n".repeat(100);
        let (lines, unlogged) = log_of(&mut complaints, &[&flood, b"the end\n"]);
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(unlogged, 36 * 10 + 7);
        assert!(complaints.tail().ends_with("the end"));
        let (lines, _) = log_of(&mut Complaints::default(), &[&vec![b'x'; 100_000]]);
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), OCTETS_MAX);
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_lines(
            octets in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n')], 0..3000),
            cuts in prop::collection::vec(1..700_usize, 1..20),
        ) {
            let whole = log_of(&mut Complaints::default(), &[&octets]);
            let (mut parts, mut rest) = (Vec::new(), octets.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, behind) = rest.split_at((*cut).min(rest.len()));
                parts.push(part);
                rest = behind;
            }
            prop_assert_eq!(log_of(&mut Complaints::default(), &parts), whole);
        }
    }
}

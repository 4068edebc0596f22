//! The replies of a server, fed in pieces of any length: status lines, and multi-line responses with the
//! byte-stuffing taken off (RFC 1939, section 3). Contents are counted, kept or compared, never stored whole.

mod content;

use memchr::memmem::Finder;

pub use self::content::{Comparison, Content, Difference, LISTING_MAX};

/// Longest status line that is taken, CRLF included (RFC 2449, section 4, says 512).
pub const STATUS_MAX: usize = 512;

/// What one reply turned out to be.
#[derive(Debug, Eq, PartialEq)]
pub enum Answer {
    /// `+OK`, and the rest of that line.
    Ok(String),
    /// `-ERR`, and the rest of that line; no multi-line response follows.
    Err(String),
    /// Neither: the server does not speak POP3.
    Garbage(String),
}

/// What follows a `+OK`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Nothing.
    Single,
    /// Lines until the termination octet.
    Multi,
}

/// Reads one reply at a time.
#[derive(Debug)]
pub struct AnswerReader {
    state: State,
    form: Form,
    status: Vec<u8>,
    /// Octets behind the status line so far, as they came.
    lines: u64,
    stuffed_end: Finder<'static>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Status,
    Lines(Within),
}

/// Where in the lines: what of CRLF "." CRLF has been heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Within {
    Line,
    Cr,
    LineStart,
    Dot,
    DotCr,
}

impl AnswerReader {
    /// Waits for a reply of one line, as the greeting is.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Status,
            form: Form::Single,
            status: Vec::new(),
            lines: 0,
            stuffed_end: Finder::new(b"\r\n."),
        }
    }

    /// Waits for the reply to a command.
    pub fn expect(&mut self, form: Form) {
        self.state = State::Status;
        self.form = form;
        self.status.clear();
        self.lines = 0;
    }

    /// Octets of lines so far, as they came: byte-stuffing and the termination octet are among them. None where the
    /// status line is not whole.
    #[must_use]
    pub fn lines(&self) -> Option<u64> {
        match self.state {
            State::Status => None,
            State::Lines(_) => Some(self.lines),
        }
    }

    /// Octets of lines came that nobody read. The termination octet follows them at some distance, or it is not
    /// found.
    pub fn skip(&mut self, count: usize) {
        self.state = State::Lines(Within::Line);
        self.lines += count as u64;
    }

    /// Takes octets; how many, and the reply once it is whole. What follows a whole reply is not taken.
    pub fn read(&mut self, octets: &[u8], content: &mut Content<'_>) -> (usize, Option<Answer>) {
        let mut taken = 0;
        if self.state == State::Status {
            let (count, answer) = self.read_status(octets);
            taken = count;
            match answer {
                None => return (taken, None),
                Some(Answer::Ok(_)) if self.form == Form::Multi => {
                    self.state = State::Lines(Within::LineStart);
                }
                Some(answer) => return (taken, Some(answer)),
            }
        }
        let State::Lines(mut within) = self.state else { return (taken, None) };
        let (count, is_whole) = self.read_lines(&mut within, &octets[taken..], content);
        self.state = State::Lines(within);
        self.lines += count as u64;
        let answer = is_whole.then(|| parse_status(&self.status));
        (taken + count, answer)
    }

    fn read_status(&mut self, octets: &[u8]) -> (usize, Option<Answer>) {
        let end = memchr::memchr(b'\n', octets).map(|at| at + 1);
        let taken = end.unwrap_or(octets.len());
        self.status.extend_from_slice(&octets[..taken]);
        if self.status.len() > STATUS_MAX {
            self.status.truncate(STATUS_MAX);
            let garbage = String::from_utf8_lossy(&self.status).escape_debug().to_string();
            return (taken, Some(Answer::Garbage(garbage)));
        }
        (taken, end.map(|_| parse_status(&self.status)))
    }

    /// Takes lines up to the termination octet; whether that was among them.
    fn read_lines(&self, within: &mut Within, octets: &[u8], content: &mut Content<'_>) -> (usize, bool) {
        let mut at = 0;
        while let Some(&octet) = octets.get(at) {
            match (*within, octet) {
                (Within::Line, _) => {
                    let rest = &octets[at..];
                    if let Some(found) = self.stuffed_end.find(rest) {
                        content.take(&rest[..found + 2]);
                        at += found + 3;
                        *within = Within::Dot;
                    } else {
                        content.take(rest);
                        at = octets.len();
                        *within = match rest {
                            [.., b'\r', b'\n'] => Within::LineStart,
                            [.., b'\r'] => Within::Cr,
                            [..] => Within::Line,
                        };
                    }
                    continue;
                }
                (Within::Cr, b'\n') => {
                    content.take(b"\n");
                    *within = Within::LineStart;
                }
                (Within::LineStart, b'.') => *within = Within::Dot,
                (Within::Dot, b'\r') => *within = Within::DotCr,
                (Within::DotCr, b'\n') => return (at + 1, true),
                (Within::DotCr, _) => {
                    // The dot was a stuffed one, and the CR the line's own.
                    content.take(b"\r");
                    *within = Within::Line;
                    continue;
                }
                (Within::Cr | Within::LineStart | Within::Dot, _) => {
                    *within = Within::Line;
                    continue;
                }
            }
            at += 1;
        }
        (at, false)
    }
}

impl Default for AnswerReader {
    fn default() -> Self {
        Self::new()
    }
}

fn parse_status(line: &[u8]) -> Answer {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\r', '\n']);
    if let Some(rest) = line.strip_prefix("+OK") {
        Answer::Ok(rest.trim_start().to_owned())
    } else if let Some(rest) = line.strip_prefix("-ERR") {
        Answer::Err(rest.trim_start().to_owned())
    } else {
        Answer::Garbage(line.escape_debug().to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a multi-line response means, obviously: all lines, until one that is only a dot.
    fn slow(octets: &[u8]) -> (Vec<u8>, bool, usize) {
        let (mut text, mut at) = (Vec::new(), 0);
        loop {
            let rest = &octets[at..];
            let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
                return (text, false, octets.len());
            };
            let line = &rest[..end + 2];
            at += line.len();
            match line {
                b".\r\n" => return (text, true, at),
                [b'.', unstuffed @ ..] => text.extend_from_slice(unstuffed),
                [..] => text.extend_from_slice(line),
            }
        }
    }

    fn cut(octets: &[u8], pieces: &[usize]) -> (Vec<u8>, bool, usize) {
        let mut reader = AnswerReader::new();
        reader.expect(Form::Multi);
        let mut content = Content::Listing(Vec::new());
        let (mut at, mut lengths) = (0, pieces.iter().cycle());
        let mut whole = false;
        while at < octets.len() && !whole {
            let length = (*lengths.next().unwrap_or(&1)).clamp(1, octets.len() - at);
            let (taken, answer) = reader.read(&octets[at..at + length], &mut content);
            whole = answer.is_some();
            at += taken;
        }
        let Content::Listing(text) = content else { unreachable!() };
        (text, whole, at)
    }

    proptest! {
        #[test]
        fn any_cutting_gives_what_the_slow_reader_gives(
            tail in prop::collection::vec(prop::sample::select(b"\r\n..ab".to_vec()), 0..60),
            pieces in prop::collection::vec(1_usize..9, 1..8),
        ) {
            let mut octets = tail.clone();
            octets.extend_from_slice(b"\r\n.\r\n+OK next\r\n");
            let (text, whole, taken) = slow(&octets);
            prop_assert!(whole);
            let head = b"+OK\r\n";
            let all = [head.as_slice(), &octets].concat();
            prop_assert_eq!(cut(&all, &pieces), (text, true, head.len() + taken));
        }
    }

    #[test]
    fn an_error_has_no_lines() {
        let mut reader = AnswerReader::new();
        reader.expect(Form::Multi);
        let mut content = Content::count();
        let (taken, answer) = reader.read(b"-ERR no such message\r\n+OK", &mut content);
        assert_eq!((taken, answer), (22, Some(Answer::Err("no such message".to_owned()))));
    }

    #[test]
    fn a_status_line_without_an_end_is_refused() {
        let mut reader = AnswerReader::new();
        let (taken, answer) = reader.read(&[b'x'; 600], &mut Content::count());
        assert_eq!(taken, 600);
        assert!(matches!(answer, Some(Answer::Garbage(_))));
    }
}

//! Filters of lines.

use crate::{Error, Filter, Flow, Message, Options, Output};

/// Most octets of a line that are held. A longer one comes in pieces, of which the last has the line end.
pub const LINE_MAX: usize = 1 << 20;

/// A filter that sees lines, of the header and of the body. Export it as `ByLine<It>`.
pub trait LineFilter: Clone + Send + Sync + 'static {
    /// Reads the options: see `Filter::configure`.
    ///
    /// # Errors
    /// Why the filter does not take them.
    fn configure(options: &mut Options) -> Result<Self, String>;

    /// Begins a message.
    fn start(&mut self, message: &Message<'_>) {
        let _ = message;
    }

    /// Takes a line with its end (LF or CRLF, or none where the message ends), and writes what becomes of it.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn line(&mut self, line: &[u8], out: &mut Output<'_>) -> Result<Flow, Error>;

    /// Ends the message. After `Flow::Pass` this runs before the rest is copied, so that what it writes stands behind the octets
    /// that came with the last line, wherever those end: whatever is to be at the end needs `Flow::More` up to there.
    ///
    /// # Errors
    /// Where the message cannot be delivered.
    fn end(&mut self, out: &mut Output<'_>) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }
}

/// The filter that a `LineFilter` is.
#[derive(Clone, Debug)]
pub struct ByLine<L> {
    filter: L,
    /// A line without its end: fewer than `LINE_MAX` octets.
    held: Vec<u8>,
    flow: Flow,
}

impl<L: LineFilter> Filter for ByLine<L> {
    fn configure(options: &mut Options) -> Result<Self, String> {
        Ok(Self { filter: L::configure(options)?, held: Vec::new(), flow: Flow::More })
    }

    fn start(&mut self, message: &Message<'_>, _out: &mut Output<'_>) -> Result<Flow, Error> {
        self.filter.start(message);
        Ok(Flow::More)
    }

    fn push(&mut self, chunk: &[u8], out: &mut Output<'_>) -> Result<Flow, Error> {
        let mut rest = chunk;
        while !rest.is_empty() {
            match self.flow {
                Flow::More => {}
                Flow::Pass => {
                    out.write(rest)?;
                    break;
                }
                Flow::Stop => break,
            }
            let room = LINE_MAX - self.held.len();
            let window = &rest[..rest.len().min(room)];
            let size = memchr::memchr(b'\n', window).map_or(window.len(), |at| at + 1);
            let (piece, after) = rest.split_at(size);
            let is_whole = piece.ends_with(b"\n") || size == room;
            rest = after;
            if !is_whole {
                self.held.extend_from_slice(piece);
            } else if self.held.is_empty() {
                self.flow = self.filter.line(piece, out)?;
            } else {
                self.held.extend_from_slice(piece);
                self.flow = self.filter.line(&self.held, out)?;
                self.held.clear();
            }
        }
        Ok(self.flow)
    }

    fn finish(&mut self, out: &mut Output<'_>) -> Result<(), Error> {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.filter.line(&held, out)?;
        }
        self.filter.end(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::run_cut;

    /// Writes the number of octets before each line, and passes or stops where a line says so.
    #[derive(Clone)]
    struct Counted;

    impl LineFilter for Counted {
        fn configure(_options: &mut Options) -> Result<Self, String> {
            Ok(Self)
        }

        fn line(&mut self, line: &[u8], out: &mut Output<'_>) -> Result<Flow, Error> {
            out.write(format!("{} ", line.len()).as_bytes())?;
            out.write(line)?;
            Ok(match line.trim_ascii() {
                b"pass" => Flow::Pass,
                b"stop" => Flow::Stop,
                _ => Flow::More,
            })
        }
    }

    fn twin(message: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut rest = message;
        for line in message.split_inclusive(|&octet| octet == b'\n') {
            sent.extend_from_slice(format!("{} ", line.len()).as_bytes());
            sent.extend_from_slice(line);
            rest = &rest[line.len()..];
            match line.trim_ascii() {
                b"pass" => return [sent.as_slice(), rest].concat(),
                b"stop" => return sent,
                _ => {}
            }
        }
        sent
    }

    proptest! {
        #[test]
        fn lines_come_whole_however_a_message_is_cut(
            message in "(a|bc|pass|stop|\r?\n|\r){0,30}", cuts in prop::collection::vec(1usize..9, 1..5),
        ) {
            let sent = run_cut::<ByLine<Counted>>(&[], message.as_bytes(), &cuts).unwrap();
            prop_assert_eq!(sent, twin(message.as_bytes()));
        }
    }

    #[test]
    fn a_line_that_is_too_long_to_hold_comes_in_pieces() {
        let line = [vec![b'x'; LINE_MAX + 5], b"\nend".to_vec()].concat();
        let sent = run_cut::<ByLine<Counted>>(&[], &line, &[50_000]).unwrap();
        assert!(sent.starts_with(b"1048576 x") && sent.ends_with(b"x6 xxxxx\n3 end"));
    }
}

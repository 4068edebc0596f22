//! What becomes of the lines of a multi-line response: counted, kept (listings), or compared with what they should be.

use std::fmt;

use crate::text::{Block, Place, Recipe};

/// Longest listing that is kept.
pub const LISTING_MAX: usize = 64 << 20;

/// Longest header that is looked at.
const HEADER_MAX: usize = 4 << 10;

/// What is done with the octets, byte-stuffing taken off.
#[derive(Debug)]
pub enum Content<'a> {
    /// They are counted.
    Count(u64),
    /// They are kept, up to `LISTING_MAX`.
    Listing(Vec<u8>),
    /// They are compared with the text that the message's header names.
    Compare(Comparison<'a>),
}

/// Compares a message with its text.
#[derive(Debug)]
pub struct Comparison<'a> {
    blocks: &'a [Block; 2],
    /// The `Subject` that the message must have.
    subject: String,
    octets: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Header(Vec<u8>),
    Text { recipe: Recipe, place: Place },
    Different(Difference),
}

/// In what a message is not the one asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// Its header is another one's, or unreadable.
    Header,
    /// Its text is wrong from about this octet on.
    Text(u64),
    /// Its text ends early.
    Short(u64),
}

impl<'a> Content<'a> {
    /// Counts from zero.
    #[must_use]
    pub fn count() -> Self {
        Self::Count(0)
    }

    /// Takes the next octets.
    pub fn take(&mut self, octets: &[u8]) {
        match self {
            Self::Count(count) => *count += octets.len() as u64,
            Self::Listing(lines) => {
                let room = LISTING_MAX - lines.len();
                lines.extend_from_slice(&octets[..octets.len().min(room)]);
            }
            Self::Compare(comparison) => comparison.take(octets),
        }
    }

    /// Compares with message `number` of a user; `blocks` are the plain and the dotted one.
    #[must_use]
    pub fn compare(blocks: &'a [Block; 2], user: &str, number: u32) -> Self {
        let subject = format!("Subject: {number} of {user}\r\n");
        Self::Compare(Comparison { blocks, subject, octets: 0, state: State::Header(Vec::new()) })
    }

    /// Octets so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::Listing(lines) => lines.len() as u64,
            Self::Compare(comparison) => comparison.octets,
        }
    }

    /// Whether what was compared is what it should be.
    ///
    /// # Errors
    /// Where it is not.
    pub fn verdict(&self) -> Result<(), Difference> {
        match self {
            Self::Count(_) | Self::Listing(_) => Ok(()),
            Self::Compare(comparison) => match &comparison.state {
                State::Header(_) => Err(Difference::Header),
                State::Text { place, .. } if place.rest() > 0 => Err(Difference::Short(comparison.octets)),
                State::Text { .. } => Ok(()),
                State::Different(difference) => Err(difference.clone()),
            },
        }
    }
}

impl Comparison<'_> {
    fn take(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
        match &mut self.state {
            State::Header(header) => {
                let before = header.len();
                let room = HEADER_MAX - before;
                header.extend_from_slice(&octets[..octets.len().min(room)]);
                if let Some(end) = header.windows(4).position(|four| four == b"\r\n\r\n") {
                    let text = (end + 4).saturating_sub(before);
                    let header = String::from_utf8_lossy(&header[..end + 4]).into_owned();
                    self.state = self.header(&header);
                    self.compare(&octets[text..]);
                } else if header.len() == HEADER_MAX {
                    self.state = State::Different(Difference::Header);
                }
            }
            State::Text { .. } => self.compare(octets),
            State::Different(_) => {}
        }
    }

    /// What the header says of the text.
    fn header(&self, header: &str) -> State {
        let recipe = header
            .split("\r\n")
            .find_map(|line| line.strip_prefix("X-Text: "))
            .and_then(|recipe| recipe.parse::<Recipe>().ok());
        match recipe {
            Some(recipe) if header.contains(&self.subject) => {
                State::Text { recipe, place: self.blocks[usize::from(recipe.dotted)].place(recipe) }
            }
            Some(_) | None => State::Different(Difference::Header),
        }
    }

    fn compare(&mut self, mut octets: &[u8]) {
        let State::Text { recipe, place } = &mut self.state else { return };
        let block = &self.blocks[usize::from(recipe.dotted)];
        while !octets.is_empty() {
            let expected = block.next(place, octets.len());
            let (heard, rest) = octets.split_at(expected.len());
            // Nothing expected: more octets than the text has.
            if expected.is_empty() || heard != expected {
                self.state = State::Different(Difference::Text(self.octets - octets.len() as u64));
                return;
            }
            octets = rest;
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => formatter.write_str("another message's header"),
            Self::Text(at) => write!(formatter, "wrong after octet {at}"),
            Self::Short(at) => write!(formatter, "cut at octet {at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(change: impl Fn(&mut Vec<u8>)) -> Result<(), Difference> {
        let blocks = [Block::new(false), Block::new(true)];
        let recipe = blocks[1].recipe(12, 70_000);
        let mut message = format!("Subject: 4 of user0002\r\nX-Text: {recipe}\r\n\r\n").into_bytes();
        let mut place = blocks[1].place(recipe);
        while place.rest() > 0 {
            message.extend_from_slice(blocks[1].next(&mut place, 999));
        }
        change(&mut message);
        let mut content = Content::compare(&blocks, "user0002", 4);
        for piece in message.chunks(37) {
            content.take(piece);
        }
        assert_eq!(content.octets(), message.len() as u64);
        content.verdict()
    }

    #[test]
    fn a_message_is_itself_and_nothing_else() {
        assert_eq!(verdict(|_| {}), Ok(()));
        assert_eq!(verdict(|message| message[9] = b'5'), Err(Difference::Header));
        assert_eq!(verdict(Vec::clear), Err(Difference::Header));
        assert!(matches!(verdict(|message| message[60_000] ^= 1), Err(Difference::Text(at)) if at <= 60_000));
        assert!(matches!(verdict(|message| message.truncate(69_000)), Err(Difference::Short(69_000))));
        assert!(matches!(verdict(|message| message.extend_from_slice(b"\r\n")), Err(Difference::Text(_))));
        assert!(matches!(verdict(|message| drop(message.drain(4_096..8_192))), Err(Difference::Text(_))));
    }
}

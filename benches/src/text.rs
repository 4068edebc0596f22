//! The text of every message: one block of lines, repeated from some line on until a message is long enough.
//!
//! Whoever knows the first line and the number of octets can make the text again, so what a server sent is
//! compared with the text itself, at the speed of `memcmp`, and no copy of the mail is kept. The length of
//! the block divides no buffer's, so a lost or repeated block of octets is found.

use std::fmt;
use std::str::FromStr;

/// Lines of the block.
pub const LINES: usize = 1_009;

/// Longest line, without its end: what mail programs fold at.
const LINE_MAX: u64 = 76;

/// Lines in the dotted block that begin with "." and so are byte-stuffed.
const DOTTED_EVERY: usize = 500;

/// Which text a message has: what its `X-Text` field says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recipe {
    /// The line of the block that it begins with: `first_line < LINES`.
    pub first_line: usize,
    /// Octets as sent, each line end two; ends with a line.
    pub octets: u64,
    /// Whether some lines begin with ".".
    pub dotted: bool,
}

/// A block of lines, each with CRLF, as a client hears them.
#[derive(Debug)]
pub struct Block {
    octets: Vec<u8>,
    /// Where each line begins.
    starts: Vec<usize>,
    dotted: bool,
}

/// Where the text of a message goes on: the same octets again, a piece at a time.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    position: usize,
    rest: u64,
}

impl Block {
    /// Makes the block, the same one in every process.
    #[must_use]
    pub fn new(dotted: bool) -> Self {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789";
        let mut octets = Vec::new();
        let mut starts = Vec::with_capacity(LINES);
        // Xorshift: any generator does, as long as it is the same one everywhere.
        let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % below).unwrap_or_default()
        };
        for line in 0..LINES {
            starts.push(octets.len());
            if dotted && line % DOTTED_EVERY == DOTTED_EVERY - 1 {
                octets.push(b'.');
            }
            // Most lines are full ones; a few are short, as the last of a paragraph is.
            let length = if line % 8 == 7 { next(LINE_MAX) + 1 } else { 72 };
            octets.extend((0..length).map(|_| LETTERS[next(LETTERS.len() as u64)]));
            octets.extend_from_slice(b"\r\n");
        }
        Self { octets, starts, dotted }
    }

    /// The text from a line on, with as many whole lines as it takes to have `at_least` octets.
    #[must_use]
    pub fn recipe(&self, first_line: usize, at_least: u64) -> Recipe {
        let first_line = first_line % LINES;
        let start = self.starts[first_line] as u64;
        let block = self.octets.len() as u64;
        let (turns, last) = ((start + at_least) / block, (start + at_least) % block);
        // The first line end at or after that place; every line is in the block, so there is one.
        let line = self.starts.partition_point(|&begin| (begin as u64) < last);
        let end = self.starts.get(line).map_or(block, |&begin| begin as u64);
        Recipe { first_line, octets: turns * block + end - start, dotted: self.dotted }
    }

    /// The beginning of a text.
    #[must_use]
    pub fn place(&self, recipe: Recipe) -> Place {
        Place { position: self.starts[recipe.first_line % LINES], rest: recipe.octets }
    }

    /// The next octets of a text, at most `most`; empty at its end.
    pub fn next(&self, place: &mut Place, most: usize) -> &[u8] {
        let left = usize::try_from(place.rest).unwrap_or(usize::MAX);
        let count = most.min(left).min(self.octets.len() - place.position);
        let piece = &self.octets[place.position..place.position + count];
        place.position = (place.position + count) % self.octets.len();
        place.rest -= count as u64;
        piece
    }
}

impl Place {
    /// Octets that are still to come.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.rest
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.dotted { "dotted" } else { "plain" };
        write!(formatter, "{form} {} {}", self.first_line, self.octets)
    }
}

impl FromStr for Recipe {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let dotted = match words.next() {
            Some("dotted") => true,
            Some("plain") => false,
            Some(_) | None => return Err(()),
        };
        let first_line = words.next().and_then(|word| word.parse().ok()).filter(|&line| line < LINES);
        let octets = words.next().and_then(|word| word.parse().ok());
        match (first_line, octets, words.next()) {
            (Some(first_line), Some(octets), None) => Ok(Self { first_line, octets, dotted }),
            (_, _, _) => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_in_pieces_of_any_length() {
        let block = Block::new(true);
        let recipe = block.recipe(700, 200_000);
        let whole = |most: usize| {
            let (mut place, mut text) = (block.place(recipe), Vec::new());
            while place.rest() > 0 {
                text.extend_from_slice(block.next(&mut place, most));
            }
            text
        };
        let text = whole(usize::MAX);
        assert_eq!(text.len() as u64, recipe.octets);
        assert!(text.len() >= 200_000 && text.len() < 200_000 + 100 && text.ends_with(b"\r\n"));
        for most in [1, 7, 4_096, 65_536] {
            assert_eq!(whole(most), text);
        }
    }

    #[test]
    fn only_the_dotted_block_has_lines_that_begin_with_a_dot() {
        let dots = |block: &Block| block.starts.iter().filter(|&&start| block.octets[start] == b'.').count();
        assert_eq!(dots(&Block::new(false)), 0);
        assert_eq!(dots(&Block::new(true)), LINES / DOTTED_EVERY);
    }

    #[test]
    fn a_recipe_is_read_as_it_was_written() {
        let recipe = Recipe { first_line: 3, octets: 12, dotted: true };
        assert_eq!(recipe.to_string().parse(), Ok(recipe));
        for wrong in ["", "dotted 1", "plain 1 2 3", "plain -1 2", "spotted 1 2", "plain 1009 5"] {
            assert_eq!(wrong.parse::<Recipe>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn lines_that_end_where_the_block_does_are_whole() {
        let block = Block::new(false);
        let recipe = block.recipe(0, block.octets.len() as u64);
        assert_eq!(recipe.octets, block.octets.len() as u64);
        let mut place = block.place(block.recipe(LINES - 1, 1));
        assert!(block.next(&mut place, usize::MAX).ends_with(b"\r\n"));
        assert_eq!(place.rest(), 0);
    }
}

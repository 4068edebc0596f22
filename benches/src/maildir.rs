//! Maildirs of generated mail: every user has the same number of messages, of the same size.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::text::{Block, Recipe};

/// Line ends on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineEnd {
    /// LF, as mail is commonly kept.
    Lf,
    /// CRLF, as it is sent.
    Crlf,
}

/// Maildrops to make.
#[derive(Clone, Copy, Debug)]
pub struct Maildrops {
    /// The number of the first user.
    pub first_user: u32,
    /// Users, one maildrop each.
    pub users: u32,
    /// Messages in each.
    pub messages: u32,
    /// Octets of each text at least.
    pub octets: u64,
    /// Line ends on disk.
    pub line_end: LineEnd,
    /// Whether some lines begin with ".".
    pub dotted: bool,
}

/// The name of a user, which is also that of the folder.
#[must_use]
pub fn user_name(number: u32) -> String {
    format!("user{number:04}")
}

/// Makes the maildrops in a mail folder; how many octets they have on disk.
///
/// # Errors
/// Where a folder or file cannot be made.
pub fn make(mail: &Path, maildrops: &Maildrops) -> io::Result<u64> {
    let block = Block::new(maildrops.dotted);
    let mut written = 0;
    for user in maildrops.first_user..maildrops.first_user.saturating_add(maildrops.users) {
        let folder = mail.join(user_name(user));
        for part in ["new", "cur", "tmp"] {
            fs::create_dir_all(folder.join(part))?;
        }
        for number in 1..=maildrops.messages {
            // A different first line each, so that one message is not taken for another.
            let recipe = block.recipe(user as usize * 31 + number as usize, maildrops.octets);
            let name = format!("{}.M{number}P{user}.bench:2,", 1_700_000_000 + number);
            let mut file = BufWriter::with_capacity(1 << 20, File::create(folder.join("cur").join(name))?);
            written += write_message(&mut file, maildrops.line_end, &block, user, number, recipe)?;
            file.flush()?;
        }
    }
    Ok(written)
}

/// Writes one message; how many octets.
fn write_message(
    file: &mut impl Write,
    line_end: LineEnd,
    block: &Block,
    user: u32,
    number: u32,
    recipe: Recipe,
) -> io::Result<u64> {
    let name = user_name(user);
    let head = format!(
        "Return-Path: <sender@example.org>\r\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
         From: A Sender <sender@example.org>\r\n\
         To: {name}@example.org\r\n\
         Message-ID: <{number}.{name}@example.org>\r\n\
         Subject: {number} of {name}\r\n\
         X-Text: {recipe}\r\n\
         \r\n"
    );
    let mut written = write_lines(file, line_end, head.as_bytes())?;
    let mut place = block.place(recipe);
    while place.rest() > 0 {
        written += write_lines(file, line_end, block.next(&mut place, usize::MAX))?;
    }
    Ok(written)
}

/// Writes whole lines that end in CRLF with the line ends asked for; how many octets.
fn write_lines(file: &mut impl Write, line_end: LineEnd, lines: &[u8]) -> io::Result<u64> {
    match line_end {
        LineEnd::Crlf => {
            file.write_all(lines)?;
            Ok(lines.len() as u64)
        }
        LineEnd::Lf => {
            let mut written = 0;
            for line in lines.split_inclusive(|&octet| octet == b'\n') {
                let text = line.strip_suffix(b"\r\n").unwrap_or(line);
                file.write_all(text)?;
                file.write_all(b"\n")?;
                written += text.len() as u64 + 1;
            }
            Ok(written)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_line_ends_hold_the_same_message() {
        let block = Block::new(true);
        let recipe = block.recipe(5, 100_000);
        let written = |line_end| {
            let mut file = Vec::new();
            let count = write_message(&mut file, line_end, &block, 7, 3, recipe).unwrap();
            assert_eq!(count, file.len() as u64);
            String::from_utf8(file).unwrap()
        };
        let (lf, crlf) = (written(LineEnd::Lf), written(LineEnd::Crlf));
        assert!(!lf.contains('\r') && lf.contains("\n."));
        assert_eq!(lf.replace('\n', "\r\n"), crlf);
        assert!(crlf.contains("\r\nSubject: 3 of user0007\r\n"));
    }
}

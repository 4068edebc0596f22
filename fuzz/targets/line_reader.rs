//! Command lines: any cutting of the same octets gives the lines that a slow twin finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_protocol::line::{COMMAND_LINE_MAX, Line, LineReader};

/// A line without its line end, and its length with it; none where it is too long.
type Found = Vec<Option<(Vec<u8>, usize)>>;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (octets, cuts) = input;
    let expected = twin(&octets);
    assert_eq!(read(&octets, &[]), expected);
    assert_eq!(read(&octets, &cuts), expected);
});

fn read(octets: &[u8], cuts: &[u8]) -> Found {
    let (mut reader, mut found, mut rest) = (LineReader::new(COMMAND_LINE_MAX), Found::new(), octets);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |&cut| (usize::from(cut) + 1).min(rest.len()));
        let (mut piece, behind) = rest.split_at(length);
        rest = behind;
        while !piece.is_empty() {
            let (taken, line) = reader.read(piece);
            match line {
                Some(Line::Whole { text, length }) => found.push(Some((text.to_vec(), length))),
                Some(Line::TooLong) => found.push(None),
                None => assert_eq!(taken, piece.len()),
            }
            piece = &piece[taken..];
        }
    }
    found
}

fn twin(octets: &[u8]) -> Found {
    let mut found = Found::new();
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let is_whole = line.ends_with(b"\n");
        if line.len() > COMMAND_LINE_MAX || (!is_whole && line.len() == COMMAND_LINE_MAX) {
            found.push(None);
        } else if is_whole {
            let text = &line[..line.len() - 1];
            found.push(Some((text.strip_suffix(b"\r").unwrap_or(text).to_vec(), line.len())));
        }
    }
    found
}

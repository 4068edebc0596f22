//! The header of a message or of a part: its fields, as octets, so that what nobody changes stays as it is.

use std::ops::Range;

use data_encoding::BASE64;

use crate::words;

/// Most octets of a header that are held.
pub const HEADER_MAX: usize = 1 << 20;

/// Octets of UTF-8 in one encoded-word: with its frame it stays within 75 (RFC 2047, section 2).
const WORD_OCTETS: usize = 45;

/// A line of a header and those that continue it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// All of it, line ends included.
    pub(crate) whole: Range<usize>,
    /// The name, where it is a field, and what is after the colon without the last line end.
    pub(crate) field: Option<(Range<usize>, Range<usize>)>,
}

/// Cuts a header into its fields. What is no field ("From " of mbox, and lines without a name) is a piece as well.
pub(crate) fn pieces(header: &[u8]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut start = 0;
    while start < header.len() {
        let end = memchr::memchr(b'\n', &header[start..]).map_or(header.len(), |at| start + at + 1);
        let continues = matches!(header[start], b' ' | b'\t');
        match pieces.last_mut().filter(|_| continues) {
            Some(piece) => {
                piece.whole.end = end;
                if let Some((_, value)) = &mut piece.field {
                    value.end = without_line_end(header, start..end).end;
                }
            }
            None => pieces.push(Piece { whole: start..end, field: field(header, start..end) }),
        }
        start = end;
    }
    pieces
}

/// The name and the value of a line.
fn field(header: &[u8], line: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let octets = &header[line.clone()];
    let colon = memchr::memchr(b':', octets)?;
    let name = octets[..colon].trim_ascii_end();
    if !is_field_name(name) {
        return None;
    }
    let value = without_line_end(header, line.start + colon + 1..line.end);
    Some((line.start..line.start + name.len(), value))
}

/// Whether this may be the name of a field (RFC 5322, section 3.6.8).
#[must_use]
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|octet| (33..=126).contains(octet) && *octet != b':')
}

fn without_line_end(octets: &[u8], range: Range<usize>) -> Range<usize> {
    range.start..range.start + trim_line_end(&octets[range.clone()]).len()
}

/// A line without its end.
pub(crate) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The line end of a header: that of its first line.
pub(crate) fn line_end(header: &[u8]) -> &'static [u8] {
    match memchr::memchr(b'\n', header) {
        Some(at) if at > 0 && header[at - 1] == b'\r' => b"\r\n",
        Some(_) | None => b"\n",
    }
}

/// Where the empty line begins that ends a header, and where the body does. Octets before `from` were looked at before.
pub(crate) fn end_of_header(octets: &[u8], from: usize) -> Option<(usize, usize)> {
    let blank = |start: usize| match octets.get(start..)? {
        [b'\n', ..] => Some((start, start + 1)),
        [b'\r', b'\n', ..] => Some((start, start + 2)),
        _ => None,
    };
    // Of an empty first line the carriage return may have come alone.
    if from < 2 && blank(0).is_some() {
        return blank(0);
    }
    // The line feed before it, and a carriage return, may have been looked at.
    let from = from.saturating_sub(2);
    memchr::memchr_iter(b'\n', &octets[from..]).find_map(|at| blank(from + at + 1))
}

/// The value of a field, as it stands in the message.
#[derive(Clone, Copy, Debug)]
pub struct Value<'call>(pub(crate) &'call [u8]);

impl<'call> Value<'call> {
    /// What is after the colon, as octets: folded, encoded, without the last line end.
    #[must_use]
    pub fn raw(self) -> &'call [u8] {
        self.0
    }

    /// The same on one line and without blanks around it; octets that are no UTF-8 are replaced.
    #[must_use]
    pub fn unfolded(self) -> String {
        String::from_utf8_lossy(&self.unfolded_octets()).into_owned()
    }

    pub(crate) fn unfolded_octets(self) -> Vec<u8> {
        let octets: Vec<u8> = self.0.iter().copied().filter(|octet| !b"\r\n".contains(octet)).collect();
        octets.trim_ascii().to_vec()
    }

    /// The text, on one line, with encoded-words decoded (RFC 2047).
    #[must_use]
    pub fn text(self) -> String {
        words::decoded(self.0.trim_ascii()).trim().to_owned()
    }

    /// The value with a text and a space before it. Encoded-words stay right.
    #[must_use]
    pub fn prefixed(self, prefix: &str) -> Vec<u8> {
        let value = self.0.trim_ascii_start();
        // Blanks between encoded-words are not shown (RFC 2047, section 6.2), so that the space has to be in one.
        let is_word = value.starts_with(b"=?");
        let first = encode_text(prefix);
        let first =
            if is_word && first.starts_with(b"=?") { encode_text(&format!("{prefix} ")) } else { first };
        [b" ", first.as_slice(), b" ", value].concat()
    }
}

/// A text as the value of a field: encoded-words where it is not plain (RFC 2047).
#[must_use]
pub fn encode_text(text: &str) -> Vec<u8> {
    let is_plain = text.bytes().all(|octet| (b' '..=b'~').contains(&octet)) && !text.contains("=?");
    if is_plain {
        return text.as_bytes().to_vec();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut size = WORD_OCTETS.min(rest.len());
        while !rest.is_char_boundary(size) {
            size -= 1;
        }
        let (word, after) = rest.split_at(size);
        words.push(format!("=?UTF-8?B?{}?=", BASE64.encode(word.as_bytes())));
        rest = after;
    }
    words.join("\n ").into_bytes()
}

/// Writes a field. Whatever the value holds, it stays within the field.
pub(crate) fn write_field(to: &mut Vec<u8>, name: &[u8], value: &[u8], line_end: &[u8]) {
    to.extend_from_slice(name);
    to.push(b':');
    let value = value.trim_ascii_end();
    if !matches!(value.first(), Some(b' ' | b'\t')) {
        to.push(b' ');
    }
    let mut lines = value.split(|&octet| octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut continues = false;
    for line in &mut lines {
        // A line of blanks alone would look like the end of the header to some.
        if continues && line.trim_ascii().is_empty() {
            continue;
        }
        if continues {
            to.extend_from_slice(line_end);
            if !matches!(line.first(), Some(b' ' | b'\t')) {
                to.push(b' ');
            }
        }
        to.extend(line.iter().map(|&octet| if octet == b'\r' { b' ' } else { octet }));
        continues = true;
    }
    to.extend_from_slice(line_end);
}

//! The header of a message or of a part: its fields, as octets, so that what nobody changes stays as it is.

use std::ops::Range;

use data_encoding::BASE64;

use crate::words;

/// Most octets of a header that are held.
pub const HEADER_MAX: usize = 1 << 20;

/// Octets of UTF-8 in one encoded-word: with its frame it stays within 75 (RFC 2047, section 2).
const WORD_OCTETS: usize = 45;

/// What is around those in an encoded-word.
const WORD_FRAME: usize = "=?UTF-8?B??=".len();

/// Longest line with an encoded-word in it (RFC 2047, section 2), and of what is folded.
const ENCODED_LINE: usize = 76;

/// Longest line of plain text that is not folded: 998 octets are permitted (RFC 5322, section 2.1.1), its name is one of them,
/// and others put something before it.
const PLAIN_LINE: usize = 900;

/// Columns for the name of a field that nobody has told.
const NAME_COLUMNS: usize = 24;

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

/// Where the fields of a header end that no empty line does: before a line that neither is one nor continues one. None: all of
/// it are fields. A "From " of mbox in the first line is none of the body.
pub(crate) fn end_of_fields(header: &[u8]) -> Option<usize> {
    let is_of_mbox = |piece: &Piece| piece.whole.start == 0 && header.starts_with(b"From ");
    let mut pieces = pieces(header).into_iter();
    pieces.find(|piece| piece.field.is_none() && !is_of_mbox(piece)).map(|piece| piece.whole.start)
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
        let mut first = encode_text(prefix);
        // Blanks between encoded-words are not shown (RFC 2047, section 6.2), so that the space has to be in one.
        if value.starts_with(b"=?") && first.ends_with(b"?=") {
            first = encode_text(&format!("{prefix} "));
        }
        let is_feed = |octet: &u8| *octet == b'\n';
        let (above, below) = (first.rsplit(is_feed).next(), value.split(is_feed).next());
        let line = [above.unwrap_or_default(), b" ", below.unwrap_or_default()].concat();
        let has_word = line.windows(2).any(|pair| pair == b"=?");
        let is_long = line.len() > if has_word { ENCODED_LINE - NAME_COLUMNS } else { PLAIN_LINE };
        let between: &[u8] = if is_long { b"\n " } else { b" " };
        [b" ", first.as_slice(), between, value].concat()
    }
}

/// A text as the value of a field: encoded-words where it is not plain, and folded where it is long (RFC 2047). Words that
/// are plain stay, such as the address behind a name (section 5).
#[must_use]
pub fn encode_text(text: &str) -> Vec<u8> {
    encode_from(NAME_COLUMNS, text)
}

/// The same, behind the name of its field, which takes so many columns with its colon and a space.
pub(crate) fn encode_from(column: usize, text: &str) -> Vec<u8> {
    let runs = runs(text);
    if text.len() <= PLAIN_LINE && runs.iter().all(|run| run.is_plain) {
        return text.as_bytes().to_vec();
    }
    let mut lines = Lines { octets: Vec::new(), column };
    for Run { range, is_plain } in runs {
        let mut rest = &text[range];
        if is_plain {
            lines.add(rest.as_bytes());
            continue;
        }
        while !rest.is_empty() {
            let room =
                if lines.octets.is_empty() { ENCODED_LINE.saturating_sub(column) } else { ENCODED_LINE };
            // A letter has at most four octets.
            let mut size = (room.saturating_sub(WORD_FRAME) / 4 * 3).clamp(4, WORD_OCTETS).min(rest.len());
            while !rest.is_char_boundary(size) {
                size -= 1;
            }
            let (word, after) = rest.split_at(size);
            lines.add(format!("=?UTF-8?B?{}?=", BASE64.encode(word.as_bytes())).as_bytes());
            rest = after;
        }
    }
    lines.octets
}

/// Words of a text that are written alike.
#[derive(Debug)]
struct Run {
    range: Range<usize>,
    is_plain: bool,
}

/// The words of a text, between single spaces. Those that are not plain are one run with all between them: blanks between
/// encoded-words are not shown (RFC 2047, section 6.2), so that they are within.
fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    // The last one with letters in it.
    let mut before: Option<usize> = None;
    let mut end = 0;
    for word in text.split(' ') {
        let range = end..end + word.len();
        end = range.end + 1;
        let is_plain = word.len() <= PLAIN_LINE
            && word.bytes().all(|octet| octet.is_ascii_graphic())
            && !word.contains("=?");
        let is_last = range.end == text.len();
        // A space at an end would not be seen to belong to the text either.
        let joins = !is_plain || is_last && word.is_empty();
        match before {
            Some(at) if joins && !runs[at].is_plain => {
                runs.truncate(at + 1);
                runs[at].range.end = range.end;
            }
            None if !is_plain => {
                runs = vec![Run { range: 0..range.end, is_plain }];
                before = Some(0);
            }
            Some(_) | None => {
                before = if word.is_empty() { before } else { Some(runs.len()) };
                runs.push(Run { range, is_plain });
            }
        }
    }
    runs
}

/// The lines of a value. Each has a run, or what fits of several.
struct Lines {
    octets: Vec<u8>,
    column: usize,
}

impl Lines {
    fn add(&mut self, word: &[u8]) {
        if self.octets.is_empty() {
            self.column += word.len();
        } else if word.is_empty() || self.column + 1 + word.len() <= ENCODED_LINE {
            self.octets.push(b' ');
            self.column += 1 + word.len();
        } else {
            self.octets.extend_from_slice(b"\n ");
            self.column = 1 + word.len();
        }
        self.octets.extend_from_slice(word);
    }
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

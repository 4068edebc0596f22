//! The walk over a message: line by line, with the boundaries that are open, and what is held of a part.

use super::body::Text;
use super::decode::Size;
use super::lines::Place;
use super::{BODY_MAX, Choice, DEPTH_MAX, NewPart, Part, PartFilter, TEXT_MAX};
use crate::header::{HEADER_MAX, end_of_fields, line_end, trim_line_end};
use crate::{Error, Flow};

/// Most octets of the beginning of a line that are held where it cannot be a delimiter any more.
const LINE_HELD: usize = 64 << 10;

/// Longest boundary that is looked for: RFC 2046 (section 5.1.1) permits 70 octets.
const BOUNDARY_MAX: usize = 1000;
const _: () = assert!(
    BOUNDARY_MAX + b"----".len() < LINE_HELD,
    "what is held tells a delimiter, but for blanks behind it"
);
const _: () = assert!(LINE_HELD < HEADER_MAX, "as much is held of a delimiter as of a header");

/// Where a walk is in a message.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// What is being looked into, the outermost first: at most `DEPTH_MAX`.
    open: Vec<Level>,
    state: State,
    /// The beginning of a line.
    line: Vec<u8>,
    /// Pieces of the line that `line` continues were handled.
    is_mid_line: bool,
    /// The delimiter before a part of which nothing is written.
    delimiter: Vec<u8>,
    output: Vec<u8>,
    /// That of the first line. Empty before it.
    line_end: &'static [u8],
}

/// Something with parts that is looked into.
#[derive(Clone, Debug)]
struct Level {
    /// What divides its parts, with the two hyphens; empty: it holds one message.
    boundary: Vec<u8>,
    /// The type of parts that name none.
    default_type: &'static str,
    /// At least one part is there in the output.
    has_parts: bool,
    /// At least one is not.
    has_lost: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// The header of a part, so far.
    Header(Vec<u8>),
    /// Lines are written up to the next delimiter: a body, or what is before or after parts.
    Copy,
    /// Lines are left out up to the next delimiter.
    Skip,
    /// The body of a part is held up to the next delimiter.
    Hold(Box<Held>),
}

#[derive(Clone, Debug)]
struct Held {
    part: Part,
    /// The empty line after the header.
    blank: Vec<u8>,
    body: Vec<u8>,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Text,
    /// The octets so far, decoded; more than how many are too many; and what is there then.
    Measure {
        size: Size,
        limit: u64,
        new: NewPart,
    },
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            state: State::Header(Vec::new()),
            line: Vec::new(),
            is_mid_line: false,
            delimiter: Vec::new(),
            output: Vec::new(),
            line_end: b"",
        }
    }
}

impl Walk {
    /// What is to be written.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    pub(super) fn push<P: PartFilter>(&mut self, chunk: &[u8], filter: &mut P) -> Result<Flow, Error> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.passes() {
                self.output.extend_from_slice(rest);
                return Ok(Flow::Pass);
            }
            let Some(at) = memchr::memchr(b'\n', rest) else {
                self.line.extend_from_slice(rest);
                self.bound_line(filter)?;
                break;
            };
            let (line, after) = rest.split_at(at + 1);
            rest = after;
            if self.line_end.is_empty() {
                let whole = [self.line.as_slice(), line].concat();
                self.line_end = line_end(&whole);
            }
            if self.line.is_empty() {
                self.handle(line, filter)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.handle(&whole, filter)?;
            }
        }
        Ok(if self.passes() { Flow::Pass } else { Flow::More })
    }

    pub(super) fn finish<P: PartFilter>(&mut self, filter: &mut P) -> Result<(), Error> {
        if self.line_end.is_empty() {
            // There was none, and what is written has lines.
            self.line_end = b"\n";
        }
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.handle(&line, filter)?;
        }
        self.end_part(false, filter)
    }

    /// Whether nothing is left to be looked for.
    fn passes(&self) -> bool {
        matches!(self.state, State::Copy)
            && self.line.is_empty()
            && self.open.iter().all(|level| level.boundary.is_empty())
    }

    /// Keeps the beginning of a line within its bound.
    fn bound_line<P: PartFilter>(&mut self, filter: &mut P) -> Result<(), Error> {
        // Only its end tells whether it is one.
        if self.delimited(&self.line)?.is_some() {
            return Ok(());
        }
        match &self.state {
            State::Header(held) if held.len() + self.line.len() > HEADER_MAX => self.end_long_header(filter),
            State::Header(_) => Ok(()),
            State::Copy | State::Skip | State::Hold(_) if self.line.len() >= LINE_HELD => {
                let line = std::mem::take(&mut self.line);
                self.handle(&line, filter)
            }
            State::Copy | State::Skip | State::Hold(_) => Ok(()),
        }
    }

    /// Stops holding a header before its end: it is too long.
    fn end_long_header<P: PartFilter>(&mut self, filter: &mut P) -> Result<(), Error> {
        if !filter.copies_what_is_too_large() {
            return Err(Error::permanent(format!("the header of a part has more than {HEADER_MAX} octets")));
        }
        if let State::Header(held) = std::mem::replace(&mut self.state, State::Copy) {
            self.write_delimiter();
            self.output.extend_from_slice(&held);
        }
        Ok(())
    }

    /// Takes a line with its end, or a piece of one.
    fn handle<P: PartFilter>(&mut self, line: &[u8], filter: &mut P) -> Result<(), Error> {
        if let Some((level, is_close)) = self.delimited(line)? {
            self.end_part(true, filter)?;
            self.divide(level, is_close, line);
            return Ok(());
        }
        let is_beginning = !std::mem::replace(&mut self.is_mid_line, !line.ends_with(b"\n"));
        match &mut self.state {
            State::Header(held) if trim_line_end(line).is_empty() && line.ends_with(b"\n") => {
                let header = std::mem::take(held);
                self.begin(header, line, filter)
            }
            State::Header(held) if held.len() + line.len() > HEADER_MAX => {
                self.end_long_header(filter)?;
                self.output.extend_from_slice(line);
                Ok(())
            }
            State::Header(held) => {
                held.extend_from_slice(line);
                Ok(())
            }
            State::Copy => {
                self.output.extend_from_slice(line);
                Ok(())
            }
            State::Skip => Ok(()),
            State::Hold(held) => {
                if let What::Measure { size, .. } = &mut held.what {
                    size.count(&held.part.encoding, &held.body, is_beginning);
                }
                held.body.extend_from_slice(line);
                self.bound_body(filter)
            }
        }
    }

    /// The level that a line is a delimiter of, as far as it is there, and whether it is the last one. The innermost counts.
    fn delimited(&self, line: &[u8]) -> Result<Option<(usize, bool)>, Error> {
        if self.is_mid_line || !line.starts_with(b"--") {
            return Ok(None);
        }
        let is_long = line.len() > HEADER_MAX;
        let line = line[..line.len().min(HEADER_MAX)].trim_ascii_end();
        let mut levels = self.open.iter().enumerate().rev().filter(|(_, level)| !level.boundary.is_empty());
        let found = levels.find_map(|(at, level)| match line.strip_prefix(level.boundary.as_slice())? {
            b"" => Some((at, false)),
            b"--" => Some((at, true)),
            _ => None,
        });
        let said = || Error::permanent(format!("a delimiter has more than {HEADER_MAX} octets"));
        if is_long && found.is_some() { Err(said()) } else { Ok(found) }
    }

    /// Goes on after a delimiter.
    fn divide(&mut self, level: usize, is_close: bool, line: &[u8]) {
        self.open.truncate(level + 1);
        if !is_close {
            self.delimiter = line.to_vec();
            self.state = State::Header(Vec::new());
            return;
        }
        if let Some(level) = self.open.pop() {
            if level.has_lost && !level.has_parts {
                // A multipart has at least one part (RFC 2046, section 5.1.1).
                let empty = [b"Content-Type: text/plain".as_slice(), b"", b""];
                self.output.extend_from_slice(&level.boundary);
                self.output.extend_from_slice(self.line_end);
                for piece in empty {
                    self.output.extend_from_slice(piece);
                    self.output.extend_from_slice(self.line_end);
                }
            }
        }
        self.output.extend_from_slice(line);
        self.state = State::Copy;
    }

    /// Asks what becomes of a part whose header is there.
    fn begin<P: PartFilter>(&mut self, header: Vec<u8>, blank: &[u8], filter: &mut P) -> Result<(), Error> {
        let default_type = self.open.last().map_or("text/plain", |level| level.default_type);
        let part = Part::new(header, self.open.len(), default_type);
        match filter.part(&part) {
            Choice::Walk if part.holds_parts() => {
                self.look_into(&part, blank, filter.copies_what_is_too_large())
            }
            Choice::Copy | Choice::Walk => {
                self.write_header(&part, blank);
                self.state = State::Copy;
                Ok(())
            }
            Choice::Text => {
                self.hold(part, blank, What::Text);
                Ok(())
            }
            // What is not one of several parts cannot be absent.
            Choice::Drop if self.delimiter.is_empty() => {
                self.replace(&part, &NewPart::plain(""));
                Ok(())
            }
            Choice::Drop => {
                self.delimiter.clear();
                if let Some(level) = self.open.last_mut() {
                    level.has_lost = true;
                }
                self.state = State::Skip;
                Ok(())
            }
            Choice::Replace(new) => {
                self.replace(&part, &new);
                Ok(())
            }
            Choice::ReplaceAbove(limit, new) => {
                let what = What::Measure { size: Size::default(), limit: limit.min(BODY_MAX as u64), new };
                self.hold(part, blank, what);
                Ok(())
            }
        }
    }

    fn look_into(&mut self, part: &Part, blank: &[u8], copies: bool) -> Result<(), Error> {
        self.write_header(part, blank);
        self.state = State::Copy;
        if self.open.len() >= DEPTH_MAX {
            let said = || Error::permanent(format!("more than {DEPTH_MAX} parts are within each other"));
            return if copies { Ok(()) } else { Err(said()) };
        }
        let boundary = part.boundary().map(|boundary| [b"--", boundary.trim_ascii_end()].concat());
        if boundary.as_ref().is_some_and(|boundary| boundary.len() > b"--".len() + BOUNDARY_MAX) {
            let said = || Error::permanent(format!("a boundary has more than {BOUNDARY_MAX} octets"));
            return if copies { Ok(()) } else { Err(said()) };
        }
        if boundary.is_none() {
            self.state = State::Header(Vec::new());
        }
        let is_digest = part.media_type == "multipart/digest";
        let default_type = if is_digest { "message/rfc822" } else { "text/plain" };
        self.open.push(Level {
            boundary: boundary.unwrap_or_default(),
            default_type,
            has_parts: false,
            has_lost: false,
        });
        Ok(())
    }

    fn hold(&mut self, part: Part, blank: &[u8], what: What) {
        let held = Held { part, blank: blank.to_vec(), body: Vec::new(), what };
        self.state = State::Hold(Box::new(held));
    }

    /// Where a part stands of which nothing is written.
    fn place(&self) -> Place<'_> {
        let boundaries = self.open.iter().map(|level| level.boundary.as_slice());
        Place {
            line_end: self.line_end,
            is_message: self.delimiter.is_empty(),
            boundaries: boundaries.filter(|boundary| !boundary.is_empty()).collect(),
        }
    }

    /// Writes the delimiter of a part that stays, or of what is in its place.
    fn write_delimiter(&mut self) {
        self.output.append(&mut self.delimiter);
        if let Some(level) = self.open.last_mut() {
            level.has_parts = true;
        }
    }

    fn write_header(&mut self, part: &Part, blank: &[u8]) {
        self.write_delimiter();
        self.output.extend_from_slice(&part.header);
        self.output.extend_from_slice(blank);
    }

    fn replace(&mut self, part: &Part, new: &NewPart) {
        let place = self.place();
        let (octets, is_message) = (new.octets(part, &place), place.is_message);
        self.write_delimiter();
        self.output.extend_from_slice(&octets);
        // The line end before a delimiter belongs to that.
        if !is_message || !self.output.ends_with(b"\n") {
            self.output.extend_from_slice(self.line_end);
        }
        self.state = State::Skip;
    }

    /// Keeps the body of a part within its bound.
    fn bound_body<P: PartFilter>(&mut self, filter: &mut P) -> Result<(), Error> {
        let State::Hold(held) = &self.state else { return Ok(()) };
        match &held.what {
            What::Measure { size, limit, .. } => {
                // Blanks in base64 count for nothing, and are held.
                if size.octets() > *limit || held.body.len() > 2 * BODY_MAX {
                    self.end_measure(true);
                }
                Ok(())
            }
            What::Text if held.body.len() <= TEXT_MAX => Ok(()),
            What::Text if filter.copies_what_is_too_large() => {
                self.end_measure(false);
                Ok(())
            }
            What::Text => Err(Error::permanent(format!("a part with text has more than {TEXT_MAX} octets"))),
        }
    }

    /// Stops holding a part before its end: it is too large.
    fn end_measure(&mut self, is_replaced: bool) {
        let State::Hold(held) = std::mem::replace(&mut self.state, State::Copy) else { return };
        match &held.what {
            What::Measure { new, .. } if is_replaced => self.replace(&held.part, new),
            What::Measure { .. } | What::Text => self.write_held(&held),
        }
    }

    fn write_held(&mut self, held: &Held) {
        self.write_header(&held.part, &held.blank);
        self.output.extend_from_slice(&held.body);
    }

    /// A part whose text was changed, in the first way to read it that a filter changes. None: it stays.
    fn edited<P: PartFilter>(
        &self,
        part: &Part,
        body: &[u8],
        filter: &mut P,
    ) -> Result<Option<Vec<u8>>, Error> {
        for text in Text::readings(part, body).into_iter().flatten() {
            // Who has to see all of it alone may lose some.
            if text.is_lossy() && filter.copies_what_is_too_large() {
                continue;
            }
            let edit = filter.text(part, &text.text);
            if let Some(octets) = text.edited(part, edit, &self.place())? {
                return Ok(Some(octets));
            }
        }
        Ok(None)
    }

    /// Ends a part: at a delimiter, or at the end of the message.
    fn end_part<P: PartFilter>(&mut self, is_delimited: bool, filter: &mut P) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Copy) {
            State::Copy | State::Skip => {}
            State::Header(mut header) => {
                // A part, or a message, that ends within its header has nothing in it.
                let Some(end) = end_of_fields(&header) else {
                    self.write_delimiter();
                    self.output.extend_from_slice(&header);
                    return Ok(());
                };
                // What programs show of it is what is below the fields.
                let body = header.split_off(end);
                self.begin(header, b"", filter)?;
                // The last line of them may have had no end.
                self.is_mid_line = false;
                for line in body.split_inclusive(|&octet| octet == b'\n') {
                    self.handle(line, filter)?;
                }
                self.end_part(is_delimited, filter)?;
            }
            State::Hold(mut held) => {
                let Held { part, body, what, .. } = &mut *held;
                // The line end before a delimiter belongs to that.
                let content = if is_delimited { trim_line_end(body) } else { body };
                if let What::Measure { size, limit, new } = what {
                    size.count(&part.encoding, content, true);
                    let is_larger = size.octets() > *limit;
                    if is_larger {
                        self.replace(part, new);
                    } else {
                        self.write_held(&held);
                    }
                    return Ok(());
                }
                let Some(octets) = self.edited(part, content, filter)? else {
                    self.write_held(&held);
                    return Ok(());
                };
                self.write_delimiter();
                self.output.extend_from_slice(&octets);
                if is_delimited {
                    self.output.extend_from_slice(self.line_end);
                }
            }
        }
        Ok(())
    }
}

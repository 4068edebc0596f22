//! Filters of the header: it is held until its end, then the fields are shown and written; the body passes.

use crate::header::{
    HEADER_MAX, Value, encode_from, encode_text, end_of_header, is_field_name, line_end, pieces, write_field,
};
use crate::{Error, Filter, Flow, Message, Options, Output};

/// A filter that sees the fields of the header. Export it as `ByHeader<It>`.
pub trait HeaderRewriter: Clone + Send + Sync + 'static {
    /// Reads the options: see `Filter::configure`.
    ///
    /// # Errors
    /// Why the filter does not take them.
    fn configure(options: &mut Options) -> Result<Self, String>;

    /// Begins a message.
    fn start(&mut self, message: &Message<'_>) {
        let _ = message;
    }

    /// Sees each field before any of them is written: for what depends on a field that may come later.
    fn see(&mut self, name: &str, value: Value<'_>) {
        let _ = (name, value);
    }

    /// Says what becomes of a field.
    fn header(&mut self, name: &str, value: Value<'_>) -> Rewrite {
        let _ = (name, value);
        Rewrite::Keep
    }

    /// Adds fields, once all are seen.
    fn end(&mut self, add: &mut Headers) {
        let _ = add;
    }
}

/// What becomes of a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rewrite {
    /// It stays, octet for octet.
    Keep,
    /// It goes.
    Drop,
    /// It gets a value: octets as they are to stand there. Line ends are made right.
    Replace(Vec<u8>),
    /// It gets a name, and keeps its value, octet for octet.
    Rename(String),
}

impl Rewrite {
    /// A text as the value, encoded where it has to be.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Replace(encode_text(text))
    }
}

/// Fields that are added.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    first: Vec<(String, Vec<u8>)>,
    last: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// Adds a field at the end of the header: the value as octets, as they are to stand there.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.last.push((name.to_owned(), value.as_ref().to_vec()));
    }

    /// Adds a field at the end of the header: a text, encoded where it has to be.
    pub fn add_text(&mut self, name: &str, text: &str) {
        let value = encode_from(name.len() + ": ".len(), text);
        self.last.push((name.to_owned(), value));
    }

    /// Adds a field at the beginning of the header, as servers do that a message passes.
    pub fn prepend(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.first.push((name.to_owned(), value.as_ref().to_vec()));
    }
}

/// The filter that a `HeaderRewriter` is.
#[derive(Clone, Debug)]
pub struct ByHeader<R> {
    rewriter: R,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The header so far: at most `HEADER_MAX` octets.
    Holding(Vec<u8>),
    /// It is written.
    Written,
}

impl<R: HeaderRewriter> Filter for ByHeader<R> {
    fn configure(options: &mut Options) -> Result<Self, String> {
        Ok(Self { rewriter: R::configure(options)?, state: State::Holding(Vec::new()) })
    }

    fn start(&mut self, message: &Message<'_>, _out: &mut Output<'_>) -> Result<Flow, Error> {
        self.rewriter.start(message);
        Ok(Flow::More)
    }

    fn push(&mut self, chunk: &[u8], out: &mut Output<'_>) -> Result<Flow, Error> {
        let State::Holding(held) = &mut self.state else {
            out.write(chunk)?;
            return Ok(Flow::Pass);
        };
        let looked_at = held.len();
        held.extend_from_slice(chunk);
        let Some((end, _)) = end_of_header(held, looked_at) else {
            return if held.len() > HEADER_MAX { Err(too_long()) } else { Ok(Flow::More) };
        };
        if end > HEADER_MAX {
            return Err(too_long());
        }
        let (header, body) = held.split_at(end);
        out.write(&rewrite(&mut self.rewriter, header)?)?;
        out.write(body)?;
        self.state = State::Written;
        Ok(Flow::Pass)
    }

    fn finish(&mut self, out: &mut Output<'_>) -> Result<(), Error> {
        // A message may end within its header.
        if let State::Holding(held) = std::mem::replace(&mut self.state, State::Written) {
            out.write(&rewrite(&mut self.rewriter, &held)?)?;
        }
        Ok(())
    }
}

fn too_long() -> Error {
    Error::permanent(format!("the header of the message has more than {HEADER_MAX} octets"))
}

fn rewrite<R: HeaderRewriter>(rewriter: &mut R, header: &[u8]) -> Result<Vec<u8>, Error> {
    let pieces = pieces(header);
    let name_of = |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).unwrap_or_default();
    for (name, value) in pieces.iter().filter_map(|piece| piece.field.clone()) {
        rewriter.see(name_of(name), Value(&header[value]));
    }
    let line_end = line_end(header);
    let mut written = Vec::new();
    for piece in &pieces {
        let whole = &header[piece.whole.clone()];
        let Some((name, range)) = piece.field.clone() else {
            written.push(Written::Whole(whole));
            continue;
        };
        let (name, value) = (name_of(name), &header[range.clone()]);
        match rewriter.header(name, Value(value)) {
            Rewrite::Keep => written.push(Written::Whole(whole)),
            Rewrite::Drop => {}
            Rewrite::Replace(value) => written.push(Written::Field(name.to_owned(), value)),
            // The colon is before the value.
            Rewrite::Rename(name) => {
                written.push(Written::Renamed(name, &header[range.start - 1..piece.whole.end]));
            }
        }
    }
    let mut add = Headers::default();
    rewriter.end(&mut add);
    // The line of mbox is before all fields. "From : x" is one.
    let is_from_line = header.starts_with(b"From ") || header.starts_with(b">From ");
    let from_line = usize::from(is_from_line && pieces.first().is_some_and(|piece| piece.field.is_none()));
    let first = add.first.into_iter().map(|(name, value)| Written::Field(name, value));
    written.splice(from_line..from_line, first);
    written.extend(add.last.into_iter().map(|(name, value)| Written::Field(name, value)));
    join(&written, line_end)
}

/// What is written of a header, in its order.
enum Written<'header> {
    Whole(&'header [u8]),
    Field(String, Vec<u8>),
    /// A name, and what is behind it, from the colon on.
    Renamed(String, &'header [u8]),
}

fn join(written: &[Written<'_>], line_end: &[u8]) -> Result<Vec<u8>, Error> {
    let mut octets = Vec::new();
    for piece in written {
        // The last line of a message that ends there may have no end.
        if !octets.is_empty() && !octets.ends_with(b"\n") {
            octets.extend_from_slice(line_end);
        }
        match piece {
            Written::Whole(whole) => octets.extend_from_slice(whole),
            Written::Field(name, _) | Written::Renamed(name, _) if !is_field_name(name.as_bytes()) => {
                return Err(Error::permanent(format!("{name:?} cannot be the name of a header field")));
            }
            Written::Renamed(name, rest) => {
                octets.extend_from_slice(name.as_bytes());
                octets.extend_from_slice(rest);
            }
            Written::Field(name, value) => write_field(&mut octets, name.as_bytes(), value, line_end),
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests;

//! Filters of the parts of a message in MIME: the message is walked as it comes, and what nobody changes is copied octet
//! for octet.
//!
//! Held are: the header of a part, at most `HEADER_MAX` octets; the body of a part whose text was asked for, at most
//! `TEXT_MAX`, beside it the text (in both orders of UTF-16 where it has no mark), and what a filter makes of it; the body of
//! one whose size was asked for, at most twice `BODY_MAX`, for it is measured as it is decoded; and the beginning of a line, at
//! most `LINE_HELD`, and of a delimiter at most `HEADER_MAX`.

mod body;
mod decode;
mod lines;
mod parameters;
mod part;
mod walk;

use crate::{Error, Filter, Flow, Message, Options, Output};

pub use part::{NewPart, Part};
use walk::Walk;

/// The largest size that a part is measured against: 8 MiB, decoded.
pub const BODY_MAX: usize = 8 << 20;

/// Most octets of a text that is held, as they stand in the message: 8 MiB, and 2 MiB in WebAssembly, where an instance has
/// 64 MiB of memory. Decoded, a text may be three times as long, and it is held with what becomes of it.
pub const TEXT_MAX: usize = if cfg!(target_arch = "wasm32") { 2 << 20 } else { BODY_MAX };

/// Most parts that are within each other, and are looked into.
pub const DEPTH_MAX: usize = 32;

/// A filter that sees the parts of a message. Export it as `ByPart<It>`.
pub trait PartFilter: Clone + Send + Sync + 'static {
    /// Reads the options: see `Filter::configure`.
    ///
    /// # Errors
    /// Why the filter does not take them.
    fn configure(options: &mut Options) -> Result<Self, String>;

    /// Begins a message.
    fn start(&mut self, message: &Message<'_>) {
        let _ = message;
    }

    /// Says what becomes of a part, once its header was read. What is within others comes after them.
    fn part(&mut self, part: &Part) -> Choice {
        Choice::usual(part)
    }

    /// Takes the text of a part for which `Choice::Text` was answered: decoded, with LF as line ends where
    /// all are CRLF. Where both are there, they stand as they are. Text in UTF-16 without a mark comes in both orders of octets,
    /// and broken text in ISO-2022-JP once with its octets as they stand, unless the first one is changed.
    fn text(&mut self, part: &Part, text: &str) -> Edit {
        let _ = (part, text);
        Edit::Keep
    }

    /// Whether a part that is too large to be held, or too deep to be looked into, is copied. Else the message fails. A text in
    /// which a change would cost octets (UTF-16 without a mark, or broken) is copied too, and else asked for.
    fn copies_what_is_too_large(&self) -> bool {
        false
    }
}

/// What becomes of a part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// It is copied, with all that is in it.
    Copy,
    /// Its parts are asked for. Where it has none, or they cannot be seen ([`Part::hides_message`]), it is copied.
    Walk,
    /// Its text is asked for. Where it has none that can be decoded, it is copied.
    Text,
    /// It goes.
    Drop,
    /// Another takes its place.
    Replace(NewPart),
    /// Another takes its place where its body has more octets than this, decoded. At most `BODY_MAX` count, and a body that
    /// has more than twice as many as it stands is larger.
    ReplaceAbove(u64, NewPart),
}

impl Choice {
    /// Looks into what holds parts but is not signed or encrypted, takes text that is no file, and copies the rest.
    #[must_use]
    pub fn usual(part: &Part) -> Self {
        if part.is_signed() {
            Self::Copy
        } else if part.is_text() && !part.is_file() {
            Self::Text
        } else {
            Self::Walk
        }
    }
}

/// What becomes of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Edit {
    /// It stays, octet for octet.
    Keep,
    /// It becomes this: in its charset and encoding where that is possible, else in UTF-8.
    Replace(String),
    /// It becomes this, in UTF-8 and without an encoding.
    Utf8(String),
}

/// Whether a text has something of PGP in its lines (RFC 4880, sections 6.2 and 7), such as a signature, which a change of the
/// text would break. Whoever wrote a text can write that too: what must not pass unseen is not told by it.
#[must_use]
pub fn has_armour(text: &str) -> bool {
    text.match_indices(ARMOUR).any(|(at, _)| at == 0 || text[..at].ends_with('\n'))
}

/// What lines begin with around what is signed or encrypted.
const ARMOUR: &str = "-----BEGIN PGP";

/// The filter that a `PartFilter` is.
#[derive(Clone, Debug)]
pub struct ByPart<P> {
    filter: P,
    walk: Walk,
}

impl<P: PartFilter> Filter for ByPart<P> {
    fn configure(options: &mut Options) -> Result<Self, String> {
        Ok(Self { filter: P::configure(options)?, walk: Walk::default() })
    }

    fn start(&mut self, message: &Message<'_>, _out: &mut Output<'_>) -> Result<Flow, Error> {
        self.filter.start(message);
        Ok(Flow::More)
    }

    fn push(&mut self, chunk: &[u8], out: &mut Output<'_>) -> Result<Flow, Error> {
        let flow = self.walk.push(chunk, &mut self.filter)?;
        out.write(&self.walk.take_output())?;
        Ok(flow)
    }

    fn finish(&mut self, out: &mut Output<'_>) -> Result<(), Error> {
        self.walk.finish(&mut self.filter)?;
        out.write(&self.walk.take_output())
    }
}

#[cfg(test)]
mod tests;

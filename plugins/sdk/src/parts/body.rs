//! The body of a part as text, and back.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use encoding_rs::{
    DecoderResult, Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
    X_USER_DEFINED,
};

use super::Edit;
use super::decode::{base64, quoted_printable};
use super::lines::{Place, base64_lines, quoted_printable_lines, with_line_ends};
use super::part::Part;
use crate::Error;

/// Longest line of 8-bit text without its end (RFC 5322, section 2.1.1).
const LINE_OCTETS: usize = 998;

/// The names of ASCII (IANA, Character Sets), of which the web takes some for windows-1252.
const ASCII_LABELS: [&str; 12] = [
    "us-ascii",
    "ascii",
    "us",
    "ansi_x3.4-1968",
    "ansi_x3.4-1986",
    "iso646-us",
    "iso_646.irv:1991",
    "iso-ir-6",
    "ibm367",
    "cp367",
    "csascii",
    "x-ascii",
];

/// What is added to an octet to get the letter that `x-user-defined` has for it, and all such letters.
const STRAY: u32 = 0xF700;
const STRAYS: RangeInclusive<u32> = STRAY + 0x80..=STRAY + 0xFF;

/// Most octets of UTF-8 that are decoded at once where octets are none of the charset.
const PIECE: usize = 4096;

/// How octets stand in a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transfer {
    Identity,
    QuotedPrintable,
    Base64,
}

/// What became of octets that are none of the charset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fidelity {
    /// None was there.
    Exact,
    /// They are the letters that `x-user-defined` has for them.
    Strays,
    /// They are lost, or all letters are a guess: the text is there to be looked into, and hardly to be put back.
    Lossy,
}

/// Octets as letters.
struct Letters {
    encoding: &'static Encoding,
    fidelity: Fidelity,
    text: String,
}

/// A body, and the name of its encoding where its header is to have one.
type Body = (Option<&'static str>, Vec<u8>);

/// A text, and what is needed to put it back.
pub(super) struct Text {
    transfer: Transfer,
    encoding: &'static Encoding,
    /// Where its label has control characters and its encoding letters: which of these were there.
    controls: Option<u32>,
    /// No charset is named, or ASCII.
    is_undeclared: bool,
    fidelity: Fidelity,
    /// It stood there in base64 that is none, in part.
    is_broken: bool,
    /// No LF was without a CR before it in what was decoded: also where there was none, for CRLF is what text in an encoding has
    /// (RFC 2046, section 4.1.1).
    has_crlf: bool,
    pub(super) text: String,
}

impl Text {
    /// Decodes a body, in each way that it may be meant. None: it cannot be.
    pub(super) fn readings(part: &Part, body: &[u8]) -> Option<Vec<Self>> {
        let transfer = match part.encoding.as_str() {
            "" | "7bit" | "8bit" | "binary" => Transfer::Identity,
            "quoted-printable" => Transfer::QuotedPrintable,
            "base64" => Transfer::Base64,
            _ => return None,
        };
        let label = part.charset.as_deref().unwrap_or("us-ascii").trim();
        let is_undeclared = ASCII_LABELS.iter().any(|ascii| label.eq_ignore_ascii_case(ascii));
        // What is not declared is UTF-8 at most; other octets are strays, and stay.
        let encoding =
            if is_undeclared { UTF_8 } else { Encoding::for_label_no_replacement(label.as_bytes())? };
        let mut is_broken = false;
        let octets = match transfer {
            Transfer::Identity => Cow::Borrowed(body),
            Transfer::QuotedPrintable => Cow::Owned(quoted_printable(body)),
            Transfer::Base64 => {
                let (octets, is_perfect) = base64(body);
                is_broken = !is_perfect;
                Cow::Owned(octets)
            }
        };
        let controls = has_controls(encoding, label).then(|| controls(&octets));
        let letters =
            if is_utf16(encoding, label) { utf16_letters(&octets) } else { letters(encoding, &octets) };
        let readings = letters.into_iter().map(|Letters { encoding, fidelity, text }| {
            let feeds = memchr::memchr_iter(b'\n', text.as_bytes()).count();
            let has_crlf = text.matches("\r\n").count() == feeds;
            let mut text = if has_crlf { text.replace("\r\n", "\n") } else { text };
            // What decodes makes room for thrice the octets.
            text.shrink_to_fit();
            Self { transfer, encoding, controls, is_undeclared, fidelity, is_broken, has_crlf, text }
        });
        Some(readings.collect())
    }

    /// The header, with its empty line, and the body of a part whose text was changed. None: it stays.
    pub(super) fn edited(
        &self,
        part: &Part,
        edit: Edit,
        place: &Place<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (text, to_utf8) = match edit {
            Edit::Keep => return Ok(None),
            Edit::Replace(text) if text == self.text => return Ok(None),
            Edit::Replace(text) => (text, false),
            // Strays have no place in UTF-8, and what is not what it says may be something else.
            Edit::Utf8(_) if self.fidelity != Fidelity::Exact || self.is_broken => return Ok(None),
            Edit::Utf8(text) if text == self.text && self.is_utf8() => return Ok(None),
            Edit::Utf8(text) => (text, true),
        };
        let (octets, charset) = if to_utf8 { (text.into_bytes(), Some("utf-8")) } else { self.encode(text) };
        let Some((encoding, mut written)) = self.body(part, &octets, to_utf8, place)? else {
            return Ok(None);
        };
        let encoding = encoding.filter(|encoding| *encoding != part.encoding);
        let has_no_charset = octets.is_ascii() && part.charset.is_none() && !to_utf8;
        let charset = charset.filter(|_| !self.is_piece(part) && !has_no_charset);
        let mut content = Vec::new();
        if let Some(charset) = charset {
            content.push(("Content-Type", part.content_type_with(charset)));
        }
        if let Some(encoding) = encoding {
            content.push(("Content-Transfer-Encoding", encoding.as_bytes().to_vec()));
        }
        if place.is_message && !content.is_empty() && part.header("mime-version").is_none() {
            content.push(("MIME-Version", b"1.0".to_vec()));
        }
        // A sum of what is there no more (RFC 1864).
        let header = part.header_with(&content, |name| name != "content-md5");
        // In its place: a text may be large.
        written.splice(..0, [header.as_slice(), place.line_end].concat());
        Ok(Some(written))
    }

    /// A body with these octets, and the name of its encoding where its header is to have one. None: the text stays as it is.
    fn body(
        &self,
        part: &Part,
        octets: &[u8],
        to_utf8: bool,
        place: &Place<'_>,
    ) -> Result<Option<Body>, Error> {
        let is_identity = self.transfer == Transfer::Identity;
        let divides = place.divides(octets);
        if self.is_piece(part) {
            // Nobody would put it together with the others.
            let said = || Error::permanent("a piece of a message would have a delimiter in it");
            return if divides {
                Err(said())
            } else {
                Ok(Some((None, with_line_ends(octets, place.line_end))))
            };
        }
        let is_ascii = octets.is_ascii();
        let is_declared = part.header("content-transfer-encoding").is_some();
        let fits = octets.split(|&octet| octet == b'\n').all(|line| line.len() <= LINE_OCTETS)
            && !octets.contains(&0)
            && !memchr::memchr_iter(b'\r', octets).any(|at| octets.get(at + 1) != Some(&b'\n'))
            && !divides;
        // It is UTF-8, and cannot stand there without its encoding.
        if to_utf8 && !fits && self.encoding == UTF_8 && !is_identity {
            return Ok(None);
        }
        let as_it_is = || with_line_ends(octets, place.line_end);
        let transfer = if to_utf8 { Transfer::Identity } else { self.transfer };
        Ok(Some(match transfer {
            Transfer::Identity if fits && is_ascii && (!to_utf8 || is_identity) => (None, as_it_is()),
            Transfer::Identity
                if fits && (to_utf8 || part.encoding == "8bit" || part.encoding == "binary") =>
            {
                (Some(if is_ascii { "7bit" } else { "8bit" }), as_it_is())
            }
            Transfer::Identity if !is_declared && fits && self.is_raw_8bit(part) => (None, as_it_is()),
            Transfer::Identity | Transfer::QuotedPrintable => {
                (Some("quoted-printable"), quoted_printable_lines(octets, place.line_end))
            }
            Transfer::Base64 if self.has_crlf => {
                (Some("base64"), base64_lines(&with_line_ends(octets, b"\r\n"), place.line_end))
            }
            Transfer::Base64 => (Some("base64"), base64_lines(octets, place.line_end)),
        }))
    }

    /// Whether it is a piece of a message, which is put together with others as it stands, and must not be encoded (RFC 2046,
    /// section 5.2.2).
    fn is_piece(&self, part: &Part) -> bool {
        part.media_type() == "message/partial" && self.transfer == Transfer::Identity
    }

    /// Whether it cannot be put back as it was.
    pub(super) fn is_lossy(&self) -> bool {
        self.fidelity == Fidelity::Lossy
    }

    /// Whether it stands there as declared UTF-8, or as ASCII, without an encoding.
    fn is_utf8(&self) -> bool {
        let is_ascii = self.text.is_ascii() && self.encoding.is_ascii_compatible();
        self.transfer == Transfer::Identity && (is_ascii || self.encoding == UTF_8 && !self.is_undeclared)
    }

    /// Whether octets of 8 bits stood there without a word of it.
    fn is_raw_8bit(&self, part: &Part) -> bool {
        part.encoding.is_empty() && !self.text.is_ascii()
    }

    /// The octets of a text, and its charset where that is another one.
    fn encode(&self, text: String) -> (Vec<u8>, Option<&'static str>) {
        if self.fidelity == Fidelity::Strays {
            return (self.encode_strays(&text), None);
        }
        if self.is_undeclared && !text.is_ascii() {
            return (text.into_bytes(), Some("utf-8"));
        }
        if self.encoding == UTF_8 || text.is_ascii() && self.encoding.is_ascii_compatible() {
            return (text.into_bytes(), None);
        }
        // It knows katakana of one width alone.
        if self.encoding == ISO_2022_JP && text.contains(is_half_width) {
            return (text.into_bytes(), Some("utf-8"));
        }
        let (octets, used, has_unmappable) = self.encoding.encode(&text);
        // Who reads the label as it is would show nothing there.
        let is_by_label = self.controls.is_none_or(|before| controls(&octets) & !before == 0);
        if used == self.encoding && !has_unmappable && is_by_label {
            return (octets.into_owned(), None);
        }
        drop(octets);
        (text.into_bytes(), Some("utf-8"))
    }

    /// The octets of a text in which strays are.
    fn encode_strays(&self, text: &str) -> Vec<u8> {
        let mut octets = Vec::with_capacity(text.len());
        for letter in text.chars() {
            match u32::from(letter) {
                code if STRAYS.contains(&code) => octets.extend(u8::try_from(code - STRAY)),
                // ISO-2022-JP has no ESC that is a letter.
                code if letter.is_ascii() => octets.extend(u8::try_from(code)),
                _ => {
                    let letter = letter.to_string();
                    let (encoded, _, has_unmappable) = self.encoding.encode(&letter);
                    octets.extend_from_slice(if has_unmappable { b"?" } else { &encoded });
                }
            }
        }
        octets
    }
}

/// Whether a charset is the UTF-16 that says its order by a mark (RFC 2781, section 4.3): the label stands for little-endian
/// on the web alone. Without a mark nobody knows.
fn is_utf16(encoding: &Encoding, label: &str) -> bool {
    encoding == UTF_16LE && !label.eq_ignore_ascii_case("utf-16le")
}

/// Whether octets from 0x80 to 0x9F are control characters by the label: of ISO 8859 the web reads three parts as charsets of
/// Windows, which have letters there.
fn has_controls(encoding: &'static Encoding, label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    let is_of_windows = ["windows-", "cp125", "x-cp125"].iter().any(|start| label.starts_with(start));
    !is_of_windows && [WINDOWS_874, WINDOWS_1252, WINDOWS_1254].contains(&encoding)
}

/// Which octets from 0x80 to 0x9F are there, a bit each.
fn controls(octets: &[u8]) -> u32 {
    let bits = octets.iter().filter(|octet| (0x80..=0x9F).contains(*octet)).map(|octet| 1 << (octet - 0x80));
    bits.fold(0, |all, bit| all | bit)
}

/// Whether a letter is a katakana of half the width: the encoder of ISO-2022-JP makes others of them.
fn is_half_width(letter: char) -> bool {
    ('\u{FF61}'..='\u{FF9F}').contains(&letter)
}

/// The letters that octets of a charset are. Some that are none of ISO-2022-JP are between others of 7 bits, and cannot stand as
/// letters: for those who put the text back, the octets alone do.
fn letters(encoding: &'static Encoding, octets: &[u8]) -> Vec<Letters> {
    let read = |fidelity, text| Letters { encoding, fidelity, text };
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(octets) {
        return vec![read(Fidelity::Exact, text.into_owned())];
    }
    let replaced = || read(Fidelity::Lossy, encoding.decode_without_bom_handling(octets).0.into_owned());
    if [UTF_16BE, UTF_16LE].contains(&encoding) {
        vec![replaced()]
    } else if encoding == ISO_2022_JP {
        let octets = X_USER_DEFINED.decode_without_bom_handling(octets).0.into_owned();
        vec![replaced(), read(Fidelity::Strays, octets)]
    } else {
        vec![read(Fidelity::Strays, with_strays(encoding, octets))]
    }
}

/// The letters of UTF-16 in the order that its mark says; without one in both orders, the one first that RFC 2781 (section 4.3)
/// takes then.
fn utf16_letters(octets: &[u8]) -> Vec<Letters> {
    if let Some((encoding, mark)) = Encoding::for_bom(octets).filter(|(encoding, _)| *encoding != UTF_8) {
        return letters(encoding, &octets[mark..]);
    }
    let read = |encoding: &'static Encoding| {
        let text = encoding.decode_without_bom_handling(octets).0.into_owned();
        Letters { encoding, fidelity: Fidelity::Lossy, text }
    };
    vec![read(UTF_16BE), read(UTF_16LE)]
}

/// A text with octets in it that are none of its charset.
fn with_strays(encoding: &'static Encoding, octets: &[u8]) -> String {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(octets.len());
    let mut piece = String::with_capacity(PIECE);
    let mut read = 0;
    loop {
        let (result, count) = decoder.decode_to_string_without_replacement(&octets[read..], &mut piece, true);
        read += count;
        for letter in piece.drain(..) {
            // One that strays have is as its own octets, so that it is told from them.
            if STRAYS.contains(&u32::from(letter)) {
                let own = letter.to_string();
                text.extend(encoding.encode(&own).0.iter().copied().filter_map(stray));
            } else {
                text.push(letter);
            }
        }
        match result {
            DecoderResult::InputEmpty => return text,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(size, after) => {
                // What is read behind it is letters to come.
                let end = read - usize::from(after);
                text.extend(octets[end - usize::from(size)..end].iter().copied().filter_map(stray));
            }
        }
    }
}

/// The letter that stands for an octet: for one of 7 bits itself.
fn stray(octet: u8) -> Option<char> {
    char::from_u32(if octet.is_ascii() { 0 } else { STRAY } + u32::from(octet))
}

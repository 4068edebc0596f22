//! The parameters of the fields `Content-Type` and `Content-Disposition` (RFC 2045, section 5.1), also in pieces and in
//! charsets of their own (RFC 2231). Whatever a field holds, reading it takes time by its length alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use encoding_rs::Encoding;

use super::decode::hex;
use crate::header::Value;

/// What stands between semicolons outside of quotes.
pub(super) fn split(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    field.split(move |&octet| {
        let escapes = is_quoted && octet == b'\\' && !is_escaped;
        if octet == b'"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = escapes;
        octet == b';' && !is_quoted
    })
}

/// A field with blanks in place of each octet of its comments (RFC 5322, section 3.2.2), so that what is left stands where it
/// stood. A parenthesis within a word begins none, because names of files have them without quotes, and one that nothing
/// closes neither.
pub(super) fn without_comments(field: &[u8]) -> Cow<'_, [u8]> {
    let mut without = Cow::Borrowed(field);
    let (mut is_quoted, mut may_begin, mut at) = (false, true, 0);
    while at < field.len() {
        let octet = field[at];
        if octet == b'(' && may_begin && !is_quoted {
            let Some(size) = comment_size(&field[at..]) else { break };
            without.to_mut()[at..at + size].fill(b' ');
            at += size;
            continue;
        }
        if octet == b'"' {
            is_quoted = !is_quoted;
        }
        may_begin = !is_quoted && b" \t;\"".contains(&octet);
        // What is escaped neither begins nor ends anything.
        at += if is_quoted && octet == b'\\' { 2 } else { 1 };
    }
    without
}

/// How long the comment is with which this begins. There may be others in it.
fn comment_size(octets: &[u8]) -> Option<usize> {
    let (mut depth, mut is_escaped) = (0_usize, false);
    for (at, &octet) in octets.iter().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A word that has no parenthesis in it, such as a charset: a comment may stand right behind it (RFC 2045, section 5.1).
pub(super) fn token(word: &str) -> &str {
    word.split('(').next().unwrap_or_default().trim()
}

/// The parameters of a field in their order: names in lower case, values without quotes.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<(String, Vec<u8>)>);

impl Parameters {
    /// Reads an unfolded field without comments: what is before its parameters, in lower case, and those.
    pub(super) fn read(field: &[u8]) -> (String, Self) {
        let mut pieces = split(field);
        let first = token(&String::from_utf8_lossy(pieces.next().unwrap_or_default())).to_ascii_lowercase();
        let parameters = pieces.filter_map(|piece| {
            let at = memchr::memchr(b'=', piece)?;
            let name = String::from_utf8_lossy(piece[..at].trim_ascii()).to_ascii_lowercase();
            Some((name, unquoted(piece[at + 1..].trim_ascii())))
        });
        (first, Self(parameters.collect()))
    }

    /// The first value of a parameter.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.octets(name).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// The same, also where it is no UTF-8.
    pub(super) fn octets(&self, name: &str) -> Option<Vec<u8>> {
        let plain = self.plain(name).next().map(<[u8]>::to_vec);
        plain.or_else(|| self.extended(name).into_iter().next().map(String::into_bytes))
    }

    /// All values of a parameter that is a text: those with a charset of their own are meant first (RFC 6266, section 4.3).
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let mut texts = self.extended(name);
        // Some programs put encoded-words into pieces, and some decode them there.
        let words = texts.iter().map(|text| (text, Value(text.as_bytes()).text()));
        let words: Vec<_> = words.filter(|(text, word)| *text != word).map(|(_, word)| word).collect();
        texts.extend(words);
        texts.extend(self.plain(name).map(|value| Value(value).text()));
        texts
    }

    fn plain(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_slice())
    }

    /// The values that have a charset (`name*`), and that which is in pieces (`name*0`, `name*1*`).
    fn extended(&self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        let mut pieces = BTreeMap::new();
        for (found, value) in &self.0 {
            let Some(rest) = found.strip_prefix(name).and_then(|rest| rest.strip_prefix('*')) else {
                continue;
            };
            if rest.is_empty() {
                texts.push(decoded([(true, value.as_slice())]));
                continue;
            }
            let (number, is_encoded) = rest.strip_suffix('*').map_or((rest, false), |number| (number, true));
            if let Ok(number) = number.parse::<usize>() {
                pieces.entry(number).or_insert((is_encoded, value.as_slice()));
            }
        }
        if pieces.contains_key(&0) {
            // Behind one that is not there, none counts.
            let whole = pieces.into_iter().enumerate().take_while(|(at, (number, _))| at == number);
            texts.push(decoded(whole.map(|(_, (_, piece))| piece)));
        }
        texts
    }
}

/// A value without its quotes, and with what was escaped in them.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(quoted) = value.strip_prefix(b"\"") else { return value.to_vec() };
    let (mut octets, mut is_escaped) = (Vec::with_capacity(quoted.len()), false);
    for &octet in quoted {
        match octet {
            b'"' if !is_escaped => break,
            b'\\' if !is_escaped => is_escaped = true,
            _ => {
                octets.push(octet);
                is_escaped = false;
            }
        }
    }
    octets
}

/// The text of pieces that are encoded or not, of which the first says the charset (RFC 2231, section 4.1).
fn decoded<'value>(pieces: impl IntoIterator<Item = (bool, &'value [u8])>) -> String {
    let (mut octets, mut charset) = (Vec::new(), None);
    for (at, (is_encoded, piece)) in pieces.into_iter().enumerate() {
        let mut rest = piece;
        if at == 0 && is_encoded {
            let mut marked = piece.splitn(3, |&octet| octet == b'\'');
            if let (Some(label), Some(_language), Some(value)) = (marked.next(), marked.next(), marked.next())
            {
                charset = Encoding::for_label_no_replacement(label);
                rest = value;
            }
        }
        while let Some(at) = memchr::memchr(b'%', rest).filter(|_| is_encoded) {
            octets.extend_from_slice(&rest[..at]);
            let code = rest.get(at + 1..at + 3).and_then(hex);
            octets.push(code.unwrap_or(b'%'));
            rest = &rest[at + if code.is_some() { 3 } else { 1 }..];
        }
        octets.extend_from_slice(rest);
    }
    match charset {
        Some(charset) => charset.decode_without_bom_handling(&octets).0.trim().to_owned(),
        None => String::from_utf8_lossy(&octets).trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Letter by letter.
    fn twin(field: &str) -> Vec<String> {
        let (mut pieces, mut rest) = (vec![String::new()], field);
        while let Some(letter) = rest.chars().next() {
            let mut size = letter.len_utf8();
            if letter == ';' {
                pieces.push(String::new());
                rest = &rest[size..];
                continue;
            }
            if letter == '"' {
                // What is quoted, to the quote that ends it.
                let mut end = 1;
                while end < rest.len() && !rest[end..].starts_with('"') {
                    end += if rest[end..].starts_with('\\') { 2 } else { 1 };
                }
                size = (end + 1).min(rest.len());
            }
            pieces.last_mut().unwrap().push_str(&rest[..size]);
            rest = &rest[size..];
        }
        pieces
    }

    #[test]
    fn a_comment_is_where_one_may_begin_and_end() {
        for (field, without) in [
            ("(a)b (c (d) \\)) f;(g)\"h\"(i)", "   b            f;   \"h\"   "),
            ("a(1).pdf \"(b) \\\" (c)\" d=(e)", "a(1).pdf \"(b) \\\" (c)\" d=(e)"),
            ("a (b) (c (d)", "a     (c (d)"),
            ("a ) (b\\)", "a ) (b\\)"),
            ("a \"\\", "a \"\\"),
        ] {
            assert_eq!(String::from_utf8_lossy(&without_comments(field.as_bytes())), without);
        }
    }

    proptest! {
        #[test]
        fn what_is_left_without_comments_stays_in_its_place(field in "[a;=\"\\\\() ]{0,16}") {
            let without = without_comments(field.as_bytes());
            prop_assert_eq!(without.len(), field.len());
            prop_assert!(without.iter().zip(field.bytes()).all(|(&left, was)| left == was || left == b' '));
        }

        #[test]
        fn a_field_is_split_as_by_its_slow_twin(field in "[a;=\"\\\\ ]{0,16}") {
            let pieces: Vec<String> =
                split(field.as_bytes()).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
            prop_assert_eq!(pieces, twin(&field));
        }

        #[test]
        fn parameters_of_any_octets_can_be_read(field in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_, parameters) = Parameters::read(&field);
            let _ = (parameters.texts("a"), parameters.value("a"));
        }

        #[test]
        fn parameters_without_oddities_are_read_as_others_do(
            first in "[a-z]/[a-z]", parameters in prop::collection::btree_map("[a-c]{1,3}", "[a-z0-9 ]{1,9}", 0..4),
            pieces in prop::collection::vec("[a-z]{0,3}(%41)?", 1..4),
        ) {
            let mut field = first.clone();
            for (name, value) in &parameters {
                field += &format!("; {name}=\"{value}\"");
            }
            for (number, piece) in pieces.iter().enumerate() {
                let mark = if number == 0 { "utf-8''" } else { "" };
                field += &format!("; d*{number}*={mark}{piece}");
            }
            let parsed = mailparse::parse_content_type(&field);
            let (read, all) = Parameters::read(field.as_bytes());
            prop_assert_eq!(read, parsed.mimetype);
            for name in parameters.keys().map(String::as_str).chain(["d", "e"]) {
                prop_assert_eq!(all.value(name), parsed.params.get(name).cloned());
            }
        }
    }
}

//! The text of a field with encoded-words in it (RFC 2047). They are found in one pass, whatever the field holds;
//! `mailparse` decodes each of them, and alone would take time by the square of the length.

use std::borrow::Cow;

/// Most octets of an encoded-word that is decoded though it may hold the ends of others, which costs time: RFC 2047,
/// section 2, permits 75.
const WORD_MAX: usize = 1 << 10;

/// The text of a field, on one line. Octets that are no UTF-8 are taken for ISO 8859-1.
pub(crate) fn decoded(field: &[u8]) -> String {
    let text =
        std::str::from_utf8(field).map_or_else(|_| encoding_rs::mem::decode_latin1(field), Cow::Borrowed);
    let mut decoded = Decoded::default();
    for (number, line) in text.lines().map(str::trim_start).enumerate() {
        if number > 0 {
            decoded.add_text(" ");
        }
        decoded.add_line(line);
    }
    decoded.text
}

#[derive(Debug, Default)]
struct Decoded {
    text: String,
    /// Where the last was an encoded-word: the blanks behind it, which do not count before another one.
    behind_word: Option<String>,
}

impl Decoded {
    fn add_line(&mut self, line: &str) {
        let mut ends = line.match_indices("?=").map(|(at, _)| at + 2);
        let mut end = ends.next();
        let (mut done, mut from) = (0, 0);
        while let Some(at) = line[from..].find("=?").map(|at| from + at) {
            from = at + 2;
            if !line[..at].chars().next_back().is_none_or(is_edge) {
                continue;
            }
            while end.is_some_and(|end| end < from + 2 || !line[end..].chars().next().is_none_or(is_edge)) {
                end = ends.next();
            }
            let Some(end) = end else { break };
            self.add_text(&line[done..at]);
            self.add_word(&line[at..end]);
            (done, from) = (end, end);
        }
        self.add_text(&line[done..]);
    }

    fn add_text(&mut self, text: &str) {
        match &mut self.behind_word {
            Some(blanks) if text.trim_end().is_empty() => blanks.push_str(text),
            behind_word => {
                self.text.push_str(&behind_word.take().unwrap_or_default());
                self.text.push_str(text);
            }
        }
    }

    fn add_word(&mut self, word: &str) {
        let plain = without_language(word);
        let field = ["X: ", &plain, "\n"].concat();
        // The text of one in "Q" may begin with "=".
        let is_simple = word.matches("?=").count() <= 2 && word.matches("=?").count() == 1;
        let is_cheap = is_simple || word.len() <= WORD_MAX;
        let header = mailparse::parse_header(field.as_bytes()).ok().filter(|_| is_cheap);
        match header.map(|(header, _)| header.get_value()).filter(|value| *value != plain) {
            Some(value) => {
                self.text.push_str(&value);
                self.behind_word = Some(String::new());
            }
            None => self.add_text(word),
        }
    }
}

/// An encoded-word without the language of its text (RFC 2231, section 5).
fn without_language(word: &str) -> Cow<'_, str> {
    let charset = word.strip_prefix("=?").and_then(|rest| rest.split('?').next());
    match charset.and_then(|charset| charset.split_once('*')) {
        Some((charset, language)) => {
            let rest = &word["=?*".len() + charset.len() + language.len()..];
            Cow::Owned(["=?", charset, rest].concat())
        }
        None => Cow::Borrowed(word),
    }
}

/// Whether this may stand beside an encoded-word.
fn is_edge(letter: char) -> bool {
    letter.is_whitespace() || "\"()<>,".contains(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blanks_between_encoded_words_are_not_shown() {
        for (field, text) in [
            ("=?utf-8?q?a?= \r\n =?utf-8?B?Yg==?=", "ab"),
            ("=?utf-8?q?a_?=  b =?utf-8?q?c?=", "a   b c"),
            ("(=?utf-8?q?a?=)\r\n\tb", "(a) b"),
            ("=?utf-8?q?a?=b", "=?utf-8?q?a?=b"),
            ("=?utf-8*de-DE?q?a?= =?ISO-8859-1*?q?b=2A?=", "ab*"),
            ("=?utf-8*de?x?a?=", "=?utf-8*de?x?a?="),
            ("=?x?q?a?=  =?utf-8?q?a", "=?x?q?a?=  =?utf-8?q?a"),
        ] {
            assert_eq!(decoded(field.as_bytes()), text);
        }
        assert_eq!(decoded(b"\xfc =?iso-8859-1?q?=FC?="), "\u{fc} \u{fc}");
    }

    proptest! {
        #[test]
        fn words_are_decoded_as_mailparse_does_in_its_time(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "=?utf-8?q?", "=?", "?=", "?", "=", " ", "\r\n ", "=?utf-8?q?=C3=BC?=", "=?utf-8?b?YQ==?=", "a", "\"", "(",
                ]),
                0..20,
            ),
        ) {
            let field = pieces.concat();
            let field = field.trim();
            let whole = format!("X: {field}\n");
            let expected = mailparse::parse_header(whole.as_bytes()).unwrap().0.get_value();
            // It loses a line end before what begins as an encoded-word and is none.
            prop_assert_eq!(decoded(field.as_bytes()).replace(' ', ""), expected.replace(' ', ""));
        }
    }
}

//! Names and passwords in the one form that the same characters have (SASLprep, RFC 4013): a client that composes "ü" of
//! two characters, or takes a wide letter, means the same as one that does not.

use std::ops::Deref;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Octets in their prepared form, which is wiped where it is another one.
pub enum Prepared<'a> {
    /// They have it already, or there is none.
    AsTheyAre(&'a [u8]),
    /// They have another one.
    Mapped(Zeroizing<String>),
}

impl Deref for Prepared<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::AsTheyAre(octets) => octets,
            Self::Mapped(text) => text.as_bytes(),
        }
    }
}

/// What a string is for (RFC 3454, section 7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// Presented, and held against what is kept. Characters younger than Unicode 3.2, such as emoji, are let pass.
    Query,
    /// Kept: a later Unicode may give such a character another form.
    Stored,
}

/// The prepared form of what a client presents (RFC 4616, section 2); what SASLprep refuses, and what is no UTF-8, as it is.
pub(crate) fn prepared(octets: &[u8]) -> Prepared<'_> {
    prepared_for(octets, Purpose::Query)
}

/// The form in which a password is kept: prepared, so that a client that composes its characters is right, and one that does not. One
/// of which that would leave nothing is kept as it is: else the empty password would be right.
#[must_use]
pub fn form_to_keep(password: &[u8]) -> Prepared<'_> {
    let prepared = prepared(password);
    if prepared.is_empty() { Prepared::AsTheyAre(password) } else { prepared }
}

/// The same of a password that keys of SCRAM are made of, where a character younger than Unicode 3.2 is refused (RFC 5802,
/// section 2.2).
pub(super) fn prepared_for_keys(octets: &[u8]) -> Prepared<'_> {
    prepared_for(octets, Purpose::Stored)
}

fn prepared_for(octets: &[u8], purpose: Purpose) -> Prepared<'_> {
    // Of ASCII there is one form only.
    if octets.is_ascii() {
        return Prepared::AsTheyAre(octets);
    }
    let text = std::str::from_utf8(octets).ok();
    text.and_then(|text| saslprep(text, purpose)).map_or(Prepared::AsTheyAre(octets), Prepared::Mapped)
}

/// The form of a text that is not all ASCII (RFC 4013, section 2); none: it is refused. Of what is stored the library's own function
/// gives the same, and leaves copies of the password in memory that was given back.
fn saslprep(text: &str, purpose: Purpose) -> Option<Zeroizing<String>> {
    let normalized = || {
        let mapped = text.chars().filter(|&character| !tables::commonly_mapped_to_nothing(character));
        mapped.map(|it| if tables::non_ascii_space_character(it) { ' ' } else { it }).nfkc()
    };
    // A string that has to grow leaves a copy of itself behind.
    let length = normalized().map(char::len_utf8).sum();
    let mut prepared = Zeroizing::new(String::with_capacity(length));
    normalized().for_each(|character| prepared.push(character));
    let is_refused = prepared.contains(|character| is_refused(character, purpose));
    (!is_refused && !mixes_directions(&prepared)).then_some(prepared)
}

/// Whether no prepared form has that character (RFC 4013, sections 2.3 and 2.5).
fn is_refused(character: char, purpose: Purpose) -> bool {
    tables::non_ascii_space_character(character)
        || tables::ascii_control_character(character)
        || is_prohibited_character(character)
        || purpose == Purpose::Stored && tables::unassigned_code_point(character)
}

/// Whether it is written from right to left, and not all of it (RFC 3454, section 6).
fn mixes_directions(text: &str) -> bool {
    text.contains(tables::bidi_r_or_al)
        && (text.contains(tables::bidi_l)
            || !text.starts_with(tables::bidi_r_or_al)
            || !text.ends_with(tables::bidi_r_or_al))
}

/// Whether a character beyond ASCII is one of those that RFC 4013 prohibits (section 2.3).
fn is_prohibited_character(character: char) -> bool {
    tables::non_ascii_control_character(character)
        || tables::private_use(character)
        || tables::non_character_code_point(character)
        || tables::inappropriate_for_plain_text(character)
        || tables::inappropriate_for_canonical_representation(character)
        || tables::change_display_properties_or_deprecated(character)
        || tables::tagging_character(character)
}

/// Whether a name or a password is no UTF-8 (RFC 6856, section 2.2; RFC 4616, section 2), or has a character that none may
/// have beyond ASCII (RFC 6856, section 2.2, by RFC 4013, section 2.3): who sends it is refused. What is mapped to a space or to
/// nothing is none of these.
#[must_use]
pub fn is_prohibited(octets: &[u8]) -> bool {
    if octets.is_ascii() {
        return false;
    }
    let Ok(text) = std::str::from_utf8(octets) else { return true };
    text.chars().any(|character| {
        !character.is_ascii()
            && !tables::non_ascii_space_character(character)
            && !tables::commonly_mapped_to_nothing(character)
            && is_prohibited_character(character)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_none_may_have_is_prohibited_and_nothing_else_is() {
        for prohibited in
            ["\u{85}", "a\u{E000}", "\u{FFFE}", "\u{FFFD}", "\u{2FF0}", "\u{340}", "\u{202E}", "\u{E0001}"]
        {
            assert!(is_prohibited(prohibited.as_bytes()), "{prohibited:?}");
        }
        // Latin-1, half a character, an overlong one, a surrogate.
        for no_utf8 in [&b"gr\xFCn"[..], b"\xC3", b"\xC0\xAE", b"\xED\xA0\x80"] {
            assert!(is_prohibited(no_utf8), "{}", no_utf8.escape_ascii());
        }
        // A space beyond ASCII, a soft hyphen, a character younger than the tables, control characters of ASCII.
        for right in [&b"\xC2\xA0"[..], b"\xC2\xAD", "\u{1F511}".as_bytes(), b"\x07"] {
            assert!(!is_prohibited(right), "{}", right.escape_ascii());
        }
    }

    #[test]
    fn what_is_sent_is_prepared_as_far_as_that_can_be() {
        // RFC 4013, section 3.
        for (sent, same) in [
            ("I\u{AD}X", "IX"),
            ("\u{2168}", "IX"),
            ("\x07", "\x07"),
            ("u\u{308}", "\u{fc}"),
            ("\u{fc}", "\u{fc}"),
            // SASLprep refuses this.
            ("\u{627}\u{31}", "\u{627}\u{31}"),
            // Younger than its tables, and let pass.
            ("u\u{308}\u{1F511}\u{20BD}", "\u{fc}\u{1F511}\u{20BD}"),
            ("\u{1E9E}u\u{308}", "\u{1E9E}\u{fc}"),
        ] {
            assert_eq!(*prepared(sent.as_bytes()), *same.as_bytes());
        }
        assert_eq!(*prepared(b"\xFF"), *b"\xFF");
        let young = "u\u{308}\u{1F511}".as_bytes();
        assert_eq!(*prepared_for_keys(young), *young);
    }

    /// Characters that are mapped, composed, refused, or of some direction, and any others.
    fn character() -> impl Strategy<Value = char> {
        prop_oneof![
            2 => prop::sample::select(vec!['a', '\u{7}', ' ', '\u{AD}', '\u{A0}', '\u{308}', '\u{301}', '\u{345}']),
            2 => prop::sample::select(vec!['\u{627}', '\u{5D0}', '\u{661}', '\u{FDFA}', '\u{2168}', '\u{AC00}', '\u{1100}']),
            1 => prop::sample::select(vec!['\u{1F511}', '\u{1E9E}', '\u{E000}', '\u{FFFD}', '\u{340}', '\u{200E}', '\u{E0001}', '\u{2028}']),
            1 => any::<char>(),
        ]
    }

    proptest! {
        #[test]
        fn the_form_is_that_of_the_library(text in prop::collection::vec(character(), 0..12)) {
            let text: String = text.into_iter().collect();
            prop_assume!(!text.is_ascii());
            let expected = stringprep::saslprep(&text).ok().map(std::borrow::Cow::into_owned);
            let stored = saslprep(&text, Purpose::Stored);
            prop_assert_eq!(stored.as_ref().map(|text| text.as_str()), expected.as_deref());
            if let Some(stored) = &stored {
                prop_assert_eq!(stored.capacity(), stored.len(), "it never grew");
            }
            let query = saslprep(&text, Purpose::Query);
            // What is presented differs where a character is younger than the tables, and nowhere else.
            let is_young = query.as_ref().is_some_and(|text| text.contains(tables::unassigned_code_point));
            prop_assert_eq!(query.filter(|_| !is_young), stored);
        }
    }
}

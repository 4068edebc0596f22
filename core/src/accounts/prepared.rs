//! Names and passwords in the one form that the same characters have (SASLprep, RFC 4013): a client that composes "ü" of
//! two characters, or takes a wide letter, means the same as one that does not.

use std::borrow::Cow;

use stringprep::tables;

/// The prepared form; what SASLprep refuses, and what is no UTF-8, as it is.
pub(crate) fn prepared(octets: &[u8]) -> Cow<'_, [u8]> {
    // Of ASCII there is one form only.
    if octets.is_ascii() {
        return octets.into();
    }
    let text = std::str::from_utf8(octets).ok();
    match text.and_then(|text| stringprep::saslprep(text).ok()) {
        Some(Cow::Owned(prepared)) => prepared.into_bytes().into(),
        Some(Cow::Borrowed(_)) | None => octets.into(),
    }
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
            && (tables::non_ascii_control_character(character)
                || tables::private_use(character)
                || tables::non_character_code_point(character)
                || tables::inappropriate_for_plain_text(character)
                || tables::inappropriate_for_canonical_representation(character)
                || tables::change_display_properties_or_deprecated(character)
                || tables::tagging_character(character))
    })
}

#[cfg(test)]
mod tests {
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
        ] {
            assert_eq!(*prepared(sent.as_bytes()), *same.as_bytes());
        }
        assert_eq!(*prepared(b"\xFF"), *b"\xFF");
    }
}

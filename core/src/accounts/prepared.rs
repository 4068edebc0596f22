//! Names and passwords in the one form that the same characters have (SASLprep, RFC 4013): a client that composes "ü" of
//! two characters, or takes a wide letter, means the same as one that does not.

use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;

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

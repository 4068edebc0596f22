//! Percent-encoding: a text as one word of PEEP, and as one label of a statistic.

use std::fmt::Write;

/// A text as one word of printable ASCII.
pub(super) fn percent_encoded(text: &str) -> String {
    percent_encoded_within(usize::MAX, text)
}

/// As much of a text as one word of at most `room` octets has: whole characters.
pub(super) fn percent_encoded_within(room: usize, text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        let whole = encoded.len();
        for &octet in character.encode_utf8(&mut [0; 4]).as_bytes() {
            if octet.is_ascii_graphic() && octet != b'%' {
                encoded.push(char::from(octet));
            } else {
                // Writing into memory does not fail.
                let _ = write!(encoded, "%{octet:02X}");
            }
        }
        if encoded.len() > room {
            encoded.truncate(whole);
            break;
        }
    }
    encoded
}

/// What stands behind a word; none where a "%" has no two digits, or it is not UTF-8.
pub(super) fn percent_decoded(word: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet != b'%' {
            decoded.push(octet);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        rest = after;
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let [high, low] = [digit(*digits.first()?)?, digit(*digits.last()?)?];
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_encoding_is_none() {
        for word in ["%", "%2", "a%zz", "%%", "%FF", "%+1"] {
            assert_eq!(percent_decoded(word.as_bytes()), None, "{word}");
        }
        assert_eq!(percent_decoded(b"sed%20-e%20s/a/b/%25").as_deref(), Some("sed -e s/a/b/%"));
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_a_character_on() {
        for (room, encoded) in
            [(0, ""), (1, "a"), (3, "a"), (4, "a%20"), (9, "a%20"), (10, "a%20%C3%B6"), (11, "a%20%C3%B6b")]
        {
            assert_eq!(percent_encoded_within(room, "a \u{f6}b"), encoded, "{room}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_one_word_and_is_decoded_again(text in "\\PC{0,100}\\s?") {
            let encoded = percent_encoded(&text);
            prop_assert!(encoded.bytes().all(|octet| octet.is_ascii_graphic()));
            prop_assert_eq!(percent_decoded(encoded.as_bytes()), Some(text));
        }
    }
}

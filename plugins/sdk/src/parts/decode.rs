//! Bodies, decoded (RFC 2045, section 6): what should not be in them costs none of the octets that are.

/// Quoted-printable, decoded: each line end that is no soft one is CRLF. What nobody may write so stays as it stands.
pub(super) fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|&octet| octet == b'\n') {
        if decode_line(line, &mut octets) {
            octets.extend_from_slice(b"\r\n");
        }
    }
    octets
}

/// Decodes a line of quoted-printable without its end, and says whether it has one that is no soft one.
fn decode_line(line: &[u8], octets: &mut Vec<u8>) -> bool {
    let has_end = line.ends_with(b"\n");
    // Blanks at the end of a line were put there on the way (RFC 2045, section 6.7, rule 3).
    let blanks = line.iter().rev().take_while(|octet| b" \t\r\n".contains(octet)).count();
    let content = &line[..line.len() - blanks];
    let (mut rest, is_soft) = content.strip_suffix(b"=").map_or((content, false), |rest| (rest, true));
    while let Some(at) = memchr::memchr(b'=', rest) {
        octets.extend_from_slice(&rest[..at]);
        let decoded = rest.get(at + 1..at + 3).and_then(hex);
        octets.push(decoded.unwrap_or(b'='));
        rest = &rest[at + if decoded.is_some() { 3 } else { 1 }..];
    }
    octets.extend_from_slice(rest);
    has_end && !is_soft
}

/// The octet that two hexadecimal digits are.
fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |octet: u8| u8::try_from(char::from(octet).to_digit(16)?).ok();
    let [upper, lower] = digits else { return None };
    Some(digit(*upper)? << 4 | digit(*lower)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quoted_printable::{ParseMode, decode};

    use super::*;

    /// Octet by octet, with the line so far in its hands.
    fn twin(body: &[u8]) -> Vec<u8> {
        let lines: Vec<&[u8]> = body.split(|&octet| octet == b'\n').collect();
        let mut octets = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let mut line = line.to_vec();
            while matches!(line.last(), Some(b' ' | b'\t' | b'\r')) {
                line.pop();
            }
            let is_soft = line.last() == Some(&b'=');
            if is_soft {
                line.pop();
            }
            while !line.is_empty() {
                let text: String = line.iter().take(3).map(|&octet| char::from(octet)).collect();
                let code = text.strip_prefix('=').filter(|code| code.len() == 2 && !code.contains('+'));
                match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
                    Some(octet) => {
                        octets.push(octet);
                        line.drain(..3);
                    }
                    None => octets.push(line.remove(0)),
                }
            }
            if !is_soft && number + 1 < lines.len() {
                octets.extend_from_slice(b"\r\n");
            }
        }
        octets
    }

    proptest! {
        #[test]
        fn quoted_printable_is_decoded_as_by_its_slow_twin(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just(b"=C3".to_vec()), Just(b"=3d".to_vec()), Just(b"=".to_vec()), Just(b"\n".to_vec()),
                    Just(b"\r\n".to_vec()), Just(b"=\n".to_vec()), Just(b" \t".to_vec()), Just(b"+1g".to_vec()),
                    prop::collection::vec(any::<u8>(), 0..3),
                ],
                0..20,
            ),
        ) {
            let body = pieces.concat();
            prop_assert_eq!(quoted_printable(&body), twin(&body));
        }

        #[test]
        fn quoted_printable_of_others_is_decoded_as_they_do(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let body = quoted_printable::encode_to_str(&octets);
            prop_assert_eq!(quoted_printable(body.as_bytes()), decode(&body, ParseMode::Strict).unwrap());
        }
    }
}

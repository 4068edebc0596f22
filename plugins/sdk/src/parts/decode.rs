//! Bodies, decoded (RFC 2045, section 6): what should not be in them costs none of the octets that are.

use data_encoding::BASE64_MIME_PERMISSIVE;

use crate::header::trim_line_end;

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

/// Octets of base64, and whether it is perfect but for blanks. Where it is not, what is none of it is left out, and padding
/// that is missing added (RFC 2045, section 6.8). Padding ends a group of four and not the data: programs differ in whether
/// they read on behind it, and what one of them shows has to be seen.
pub(super) fn base64(body: &[u8]) -> (Vec<u8>, bool) {
    let signs: Vec<u8> = body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    if let Ok(octets) = BASE64_MIME_PERMISSIVE.decode(&signs) {
        return (octets, true);
    }
    let mut digits = Vec::with_capacity(signs.len());
    for sign in signs {
        if is_digit(sign) {
            digits.push(sign);
        } else if sign == b'=' && digits.len() % 4 >= 2 {
            digits.resize(digits.len().next_multiple_of(4), b'=');
        }
    }
    // One digit alone is less than an octet.
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    digits.resize(digits.len().next_multiple_of(4), b'=');
    (BASE64_MIME_PERMISSIVE.decode(&digits).unwrap_or_default(), false)
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

fn is_digit(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"+/".contains(&octet)
}

/// The octet that two hexadecimal digits are.
pub(super) fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |octet: u8| u8::try_from(char::from(octet).to_digit(16)?).ok();
    let [upper, lower] = digits else { return None };
    Some(digit(*upper)? << 4 | digit(*lower)?)
}

/// How many octets a body has, decoded, while it comes. Its last line end may belong to a delimiter, and waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Size {
    octets: u64,
    /// Digits of base64: four are three octets, wherever lines end.
    digits: u64,
    /// What of the body is counted.
    counted: usize,
}

impl Size {
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Counts a body so far, of which the last line is whole or more of it will come.
    pub(super) fn count(&mut self, encoding: &str, body: &[u8], is_whole: bool) {
        let rest = body.get(self.counted..).unwrap_or_default();
        let is_quoted = encoding == "quoted-printable";
        let ready = match rest {
            _ if is_whole => rest,
            _ if is_quoted => return,
            // This may be half of a line end.
            [before @ .., b'\r'] => before,
            _ => rest,
        };
        self.counted += ready.len();
        if is_quoted {
            let mut decoded = Vec::new();
            for line in ready.split_inclusive(|&octet| octet == b'\n') {
                if decode_line(line, &mut decoded) {
                    decoded.extend_from_slice(&line[trim_line_end(line).len()..]);
                }
            }
            self.octets += decoded.len() as u64;
        } else if encoding == "base64" {
            self.digits += ready.iter().filter(|&&octet| is_digit(octet)).count() as u64;
            self.octets = self.digits * 3 / 4;
        } else {
            self.octets += ready.len() as u64;
        }
    }
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

    /// Six bits after six bits.
    fn base64_twin(body: &[u8]) -> Vec<u8> {
        const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (mut octets, mut bits) = (Vec::new(), String::new());
        for &octet in body.iter().chain(b"==") {
            if octet == b'=' && bits.len() >= 12 {
                bits.truncate(bits.len() / 8 * 8);
            } else if let Some(value) = DIGITS.find(char::from(octet)) {
                bits += &format!("{value:06b}");
            }
            if bits.len() % 8 == 0 {
                octets.extend(
                    bits.as_bytes()
                        .chunks(8)
                        .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap()),
                );
                bits.clear();
            }
        }
        octets
    }

    proptest! {
        #[test]
        fn a_size_is_that_of_what_is_decoded(
            lines in prop::collection::vec("([A-D]|=4[1-3]){0,6}=?[ \\t]{0,2}\r\n", 0..9), last in "[A-D]{0,4}(=41)?=?",
        ) {
            let body = lines.concat() + &last;
            for (encoding, octets) in [
                ("quoted-printable", quoted_printable(body.as_bytes()).len()),
                ("base64", body.bytes().filter(|&octet| is_digit(octet)).count() * 3 / 4),
                ("7bit", body.len()),
            ] {
                let (mut size, mut so_far) = (Size::default(), String::new());
                for line in &lines {
                    for piece in line.split_inclusive('4') {
                        let is_whole = so_far.is_empty() || so_far.ends_with('\n');
                        size.count(encoding, so_far.as_bytes(), is_whole);
                        so_far += piece;
                    }
                }
                size.count(encoding, body.as_bytes(), true);
                prop_assert_eq!(size.octets(), octets as u64);
            }
        }

        #[test]
        fn base64_is_decoded_as_by_its_slow_twin(body in "([A-Za-z0-9+/]{0,9}[A-F !\\-\u{fc}\n]{0,9}={0,2}[ A-C]{0,4}){0,3}") {
            prop_assert_eq!(base64(body.as_bytes()).0, base64_twin(body.as_bytes()));
        }

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

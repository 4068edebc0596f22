//! Text of others, as it may be shown.

use alloc::string::String;
use core::fmt::Write as _;

/// A text on one line, with what could forge another, command the terminal, or show it in another order, escaped.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_layout(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// The same of octets: those that are no UTF-8 are written as `\xff`.
#[must_use]
pub fn one_line_of(octets: &[u8]) -> String {
    let mut line = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        line.push_str(&one_line(chunk.valid()));
        for octet in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(line, "\\x{octet:02x}");
        }
    }
    line
}

/// Separators of lines and paragraphs, and what turns the direction of the text around.
fn is_layout(character: char) -> bool {
    matches!(character, '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_looks_like_two_lines() {
        assert_eq!(
            one_line("a\r\nb\0\u{1B}[2Jc\u{85}\u{2028}\u{202E}"),
            concat!("a\\r\\nb\\u{0}\\u{1b}[2Jc\\u{85}", "\\u{2028}\\u{202e}")
        );
        assert_eq!(one_line("Grüße, 你好"), "Grüße, 你好");
    }

    #[test]
    fn octets_that_are_no_text_are_written_out() {
        assert_eq!(one_line_of(b"\xff\tz"), "\\xff\\tz");
        assert_eq!(one_line_of("ü\u{9b}".as_bytes()), "ü\\u{9b}");
    }
}

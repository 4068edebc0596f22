//! What matches patterns in the text of messages is blacked out.
//!
//! | option | means |
//! | --- | --- |
//! | `patterns` | regular expressions, as the crate `regex` has them: one, or a list; it has to be there |
//! | `with` | what takes their place; `[redacted]` |
//! | `signed` | `true`: in what is signed as well, whose signatures are broken by it |
//!
//! All text counts, attached or not, and that of forwarded messages. Lines end with `\n`, and in a text that has both with
//! `\r\n` as well, which `^` and `$` know. A text of more than 8 MiB (2 MiB in WebAssembly), or parts within more than 32
//! others, make the message fail, because nobody has looked into them. A forwarded message that is encoded or in pieces
//! (`message/partial`) is one text, with its header: what is encoded once more within it stays. So do text in a charset or an
//! encoding that nobody knows, what is encrypted, and the header. Text is as it stands: what a line of flowed text (RFC 3676)
//! is broken in, or a tag of HTML stands in, is to be matched by a pattern that knows of it, such as `1234\s*-\s*5678`.

use std::borrow::Cow;
use std::sync::Arc;

use pop3d_transform::{ByPart, Choice, Edit, Options, Part, PartFilter, export_transform};
use regex::{NoExpand, Regex, RegexBuilder};

/// Memory of one compiled pattern, in octets.
const PATTERN_MAX: usize = 1 << 20;

/// A pattern, for texts whose lines end with LF, and for those of which some end with CRLF: there "^" and "$" match at CR, and "."
/// does not, so that neither finds all that the other does.
#[derive(Debug)]
struct Pattern([Regex; 2]);

impl Pattern {
    fn new(pattern: &str) -> Result<Self, regex::Error> {
        let compiled = |is_crlf| RegexBuilder::new(pattern).size_limit(PATTERN_MAX).crlf(is_crlf).build();
        Ok(Self([compiled(false)?, compiled(true)?]))
    }

    /// Those that are to be tried on a text.
    fn of(&self, text: &str) -> &[Regex] {
        if text.contains('\r') { &self.0 } else { &self.0[..1] }
    }
}

/// The filter.
#[derive(Clone, Debug)]
pub struct Redact {
    patterns: Arc<Vec<Pattern>>,
    with: String,
    signed: bool,
}

impl PartFilter for Redact {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let patterns = pattern_list(options)?;
        if patterns.is_empty() {
            return Err("the option \"patterns\" is missing".to_owned());
        }
        let compiled = patterns.iter().map(|pattern| {
            let compiled = Pattern::new(pattern);
            let compiled =
                compiled.map_err(|error| format!("the pattern {pattern:?} cannot be used: {error}"))?;
            // It would match everywhere, and every pass would make the text longer.
            if compiled.0[0].is_match("") {
                return Err(format!("the pattern {pattern:?} matches no text at all"));
            }
            Ok(compiled)
        });
        let patterns = compiled.collect::<Result<Vec<_>, String>>()?;
        let with = options.text("with")?.unwrap_or_else(|| "[redacted]".to_owned());
        Ok(Self { patterns: Arc::new(patterns), with, signed: options.flag("signed")?.unwrap_or(false) })
    }

    fn part(&mut self, part: &Part) -> Choice {
        let is_closed = part.is_signed() && !(self.signed && part.media_type() == "multipart/signed");
        if is_closed {
            Choice::Copy
        } else if part.is_text() || part.hides_message() {
            Choice::Text
        } else {
            Choice::Walk
        }
    }

    fn text(&mut self, _part: &Part, text: &str) -> Edit {
        let mut text = Cow::Borrowed(text);
        let patterns: Vec<_> = self.patterns.iter().flat_map(|pattern| pattern.of(&text)).collect();
        for pattern in patterns {
            if let Cow::Owned(redacted) = pattern.replace_all(&text, NoExpand(&self.with)) {
                text = Cow::Owned(redacted);
            }
        }
        match text {
            Cow::Borrowed(_) => Edit::Keep,
            Cow::Owned(text) => Edit::Replace(text),
        }
    }
}

/// A pattern may begin with a bracket, so that only what is a list of strings is one.
fn pattern_list(options: &mut Options) -> Result<Vec<String>, String> {
    if options.clone().list("patterns").is_ok() {
        return options.list("patterns");
    }
    Ok(options.text("patterns")?.into_iter().collect())
}

export_transform!(ByPart<Redact>, name: "redact", description: "Blacks out what matches patterns");

#[cfg(test)]
mod tests {
    use pop3d_plugin_tests::{
        a_second_pass_changes_nothing, cuts_do_not_matter, nothing_changes, refuses, sent,
    };
    use pop3d_transform::{Error, run};

    use super::*;

    type It = ByPart<Redact>;

    #[test]
    fn a_number_is_blacked_out_in_every_encoding() {
        let options = [("patterns", "[\"\\\\b\\\\d{4}-\\\\d{4}\\\\b\",\"(?i)gr\u{fc}n\"]"), ("with", "$1")];
        let redacted = |message: &[u8]| String::from_utf8(sent::<It>(&options, message)).unwrap();
        assert_eq!(redacted(b"Subject: 1234-5678\n\nis 1234-5678.\n"), "Subject: 1234-5678\n\nis $1.\n");
        let quoted =
            "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n";
        assert_eq!(redacted(format!("{quoted}GR=DCN 12=\n34-5678").as_bytes()), format!("{quoted}$1 $1"));
        let coded = "Content-Type: text/plain\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n";
        assert_eq!(redacted(format!("{coded}MTIzNC01Njc4\n").as_bytes()), format!("{coded}JDE=\n"));
        assert_eq!(
            redacted(format!("{coded}aGk6IA==\nMTIzNC01Njc4!\n").as_bytes()),
            format!("{coded}aGk6ICQx\n")
        );
        let lines = [("patterns", "(?m)^[a-z]+$")];
        assert_eq!(sent::<It>(&lines, b"\nabc\r\n1\ndef\n"), b"\n[redacted]\n1\n[redacted]\n");
        let signed = "Content-Type: multipart/signed; boundary=b\n\n--b\n\n1234\n--b--\n";
        let as_well = [("patterns", "[0-9]+"), ("signed", "true"), ("with", "x")];
        assert_eq!(sent::<It>(&as_well[..1], signed.as_bytes()), signed.as_bytes());
        assert_eq!(sent::<It>(&as_well, signed.as_bytes()), signed.replace("1234", "x").as_bytes());
    }

    #[test]
    fn neither_a_lone_cr_nor_an_encoding_that_is_none_hides_anything() {
        let options = [("patterns", "[\"1234.5678\",\"(?m)^secret$\"]"), ("with", "*")];
        let redacted = |message: &str| String::from_utf8(sent::<It>(&options, message.as_bytes())).unwrap();
        assert_eq!(redacted("X: y\n\nis 1234\r5678.\nsecret\n"), "X: y\n\nis *.\n*\n");
        // The ends of lines are those of the message where a text is edited.
        assert_eq!(redacted("X: y\n\nis 1234\r5678.\nsecret\r\n"), "X: y\n\nis *.\n*\n");
        let forwarded = "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8-bit\n\nSubject: x\n\n";
        assert_eq!(redacted(&format!("{forwarded}1234-5678\n")), format!("{forwarded}*\n"));
        for encoding in ["7-bit", "8-Bit", "7 bit", "8 bit (as ever)"] {
            let header = format!("Content-Transfer-Encoding: {encoding}\n\n");
            assert_eq!(redacted(&format!("{header}1234-5678\n")), format!("{header}*\n"));
        }
        let pieces = "Content-Type: message/partial; id=a; number=1\n\nSubject: x\n\n";
        assert_eq!(redacted(&format!("{pieces}1234-5678\n")), format!("{pieces}*\n"));
        // They are put together as they stand (RFC 2046, section 5.2.2).
        let wide = [("patterns", "1234.5678"), ("with", "\u{2588}")];
        let long = "x".repeat(2000);
        for rest in ["", "\u{e4}\n", &format!("{long}\n"), "a\rb\n"] {
            let sent = sent::<It>(&wide, format!("{pieces}1234-5678\n{rest}").as_bytes());
            assert_eq!(String::from_utf8(sent).unwrap(), format!("{pieces}\u{2588}\n{rest}"));
        }
        let encoded = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n";
        assert_eq!(
            redacted(&format!("{encoded}WDogeQoKMTIzNC01Njc4Cg==\n")),
            format!("{encoded}WDogeQoKKgo=\n")
        );
    }

    #[test]
    fn text_that_is_broken_or_in_utf_16_without_a_mark_is_seen() {
        let options = [("patterns", "5678|\u{3042}"), ("with", "*")];
        let header = |charset: &str| {
            format!("Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset={charset}\n\n")
        };
        for (charset, body, redacted) in [
            ("utf-16", "NQA2ADcAOAA=", "Kg=="),
            ("utf-16", "ADUANgA3ADg=", "Kg=="),
            ("utf-16le", "NQA2ADcAOAAA", "Ku+/vQ=="),
            ("shift_jis", "/4Kg", "/yo="),
        ] {
            let sent = sent::<It>(&options, format!("{}{body}\n", header(charset)).as_bytes());
            let sent = String::from_utf8(sent).unwrap();
            assert!(sent.ends_with(&format!("\n\n{redacted}\n")), "{charset}: {sent}");
        }
    }

    #[test]
    fn what_goes_leaves_no_delimiter() {
        let options = [("patterns", "1234-5678"), ("with", "")];
        let message =
            |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}\n--b--\n");
        let sent = sent::<It>(&options, message("\n1234-5678--b\nX: y\n\nMZ").as_bytes());
        let quoted = "Content-Transfer-Encoding: quoted-printable\n\n=2D-b\nX: y\n\nMZ";
        assert_eq!(String::from_utf8(sent).unwrap(), message(quoted));
        // Pieces of messages must not be encoded.
        let piece = "Content-Type: message/partial; id=a; number=1\n\nX: y\n\n1234-5678--b";
        let said = "a piece of a message would have a delimiter in it";
        assert_eq!(run::<It>(&options, message(piece).as_bytes()), Err(Error::permanent(said)));
    }

    #[test]
    fn a_text_above_which_no_empty_line_is_is_seen() {
        let options = [("patterns", "1234-5678"), ("with", "*")];
        let message =
            |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}\n--b--\n");
        let redacted =
            |part: &str| String::from_utf8(sent::<It>(&options, message(part).as_bytes())).unwrap();
        assert_eq!(redacted("1234-5678"), message("\n*"));
        assert_eq!(redacted("Subject: 1234-5678\n 1234-5678"), message("Subject: 1234-5678\n 1234-5678"));
    }

    #[test]
    fn wrong_options_are_refused() {
        refuses::<It>(&[], "\"patterns\" is missing");
        refuses::<It>(&[("patterns", "(")], "cannot be used");
        refuses::<It>(&[("patterns", "a*")], "matches no text at all");
        refuses::<It>(&[("patterns", "a{1000}{1000}")], "cannot be used");
        refuses::<It>(&[("patterns", "a"), ("signed", "maybe")], "true or false");
        refuses::<It>(&[("patterns", "a"), ("regex", "b")], "there is no option \"regex\"");
    }

    #[test]
    fn every_message_goes_through() {
        let options = [("patterns", "(?i)the|e"), ("with", "\u{2588}")];
        cuts_do_not_matter::<It>(&options);
        a_second_pass_changes_nothing::<It>(&options);
        nothing_changes::<It>(&[("patterns", "no such text, nowhere")]);
    }
}

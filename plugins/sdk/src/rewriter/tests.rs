//! Headers of every shape.

use proptest::prelude::*;

use super::*;
use crate::{run, run_cut};

/// Does to a field what its value says.
#[derive(Clone)]
struct Told {
    add: String,
}

impl HeaderRewriter for Told {
    fn configure(options: &mut Options) -> Result<Self, String> {
        Ok(Self { add: options.text("add")?.unwrap_or_default() })
    }

    fn header(&mut self, name: &str, value: Value<'_>) -> Rewrite {
        match value.unfolded().as_str() {
            "drop" => Rewrite::Drop,
            "replace" => Rewrite::Replace(b"one\ntwo\r\n\r\n three\n".to_vec()),
            "text" => Rewrite::text("gr\u{fc}n"),
            "rename" => Rewrite::Rename(format!("X-{name}")),
            _ => Rewrite::Keep,
        }
    }

    fn end(&mut self, add: &mut Headers) {
        if !self.add.is_empty() {
            add.add(&self.add, "last");
            add.prepend(&self.add, "first");
        }
    }
}

fn told(message: &str) -> String {
    String::from_utf8(run::<ByHeader<Told>>(&[], message.as_bytes()).unwrap()).unwrap()
}

fn added(message: &str) -> String {
    String::from_utf8(run::<ByHeader<Told>>(&[("add", "X-A")], message.as_bytes()).unwrap()).unwrap()
}

#[test]
fn fields_are_dropped_replaced_and_renamed_in_place() {
    assert_eq!(
        told("A: 1\nB: drop\nC : replace\nD: 2\n\nB: drop\n"),
        "A: 1\nC: one\n two\n three\nD: 2\n\nB: drop\n"
    );
    assert_eq!(told("B:\r\n drop\r\nC: replace\r\n\r\nx"), "C: one\r\n two\r\n three\r\n\r\nx");
    assert_eq!(told("B: rename\r\n\r\n"), "X-B: rename\r\n\r\n");
    assert_eq!(told("B :\trename \n \r\n\t\nC: 1\n\n"), "X-B:\trename \n \r\n\t\nC: 1\n\n");
    assert_eq!(told("A: 1\r\nB:rename"), "A: 1\r\nX-B:rename");
    assert_eq!(told("B: text\n"), "B: =?UTF-8?B?Z3LDvG4=?=\n");
}

#[test]
fn fields_are_added_in_whatever_there_is_of_a_header() {
    assert_eq!(added("A: 1\r\n\r\nbody"), "X-A: first\r\nA: 1\r\nX-A: last\r\n\r\nbody");
    assert_eq!(added("From x\nA: 1\n\n"), "From x\nX-A: first\nA: 1\nX-A: last\n\n");
    assert_eq!(added("From : drop\n\n"), "X-A: first\nX-A: last\n\n");
    assert_eq!(added(""), "X-A: first\nX-A: last\n");
    assert_eq!(added("\nbody"), "X-A: first\nX-A: last\n\nbody");
    assert_eq!(added("\r\nbody"), "X-A: first\nX-A: last\n\r\nbody");
    assert_eq!(added("A: 1"), "X-A: first\nA: 1\nX-A: last\n");
}

#[test]
fn a_field_that_cannot_be_is_a_failure() {
    for name in ["", "a b", "a:", "\u{fc}", "a\nb"] {
        let outcome = run::<ByHeader<Told>>(&[("add", name)], b"A: 1\n\n");
        assert!(name.is_empty() || matches!(outcome, Err(Error::Permanent(_))), "{name}");
    }
}

#[test]
fn a_header_without_end_is_a_failure_at_its_bound() {
    let line = [vec![b'x'; 998], b"\r\n".to_vec()].concat();
    let fits = [b"A: 1\n".to_vec(), line.repeat(1048), b"\n".to_vec(), b"body".repeat(1000)].concat();
    assert_eq!(run_cut::<ByHeader<Told>>(&[], &fits, &[60_000]).unwrap(), fits);
    for end in [b"".as_slice(), b"\r\nbody"] {
        let long = [line.repeat(1049).as_slice(), end].concat();
        let said = Error::permanent("the header of the message has more than 1048576 octets");
        assert_eq!(run_cut::<ByHeader<Told>>(&[], &long, &[60_000]), Err(said));
    }
}

#[test]
fn a_prefix_goes_well_with_encoded_words() {
    let prefixed = |prefix, value: &[u8]| String::from_utf8(Value(value).prefixed(prefix)).unwrap();
    assert_eq!(prefixed("[x]", b" Hello"), " [x] Hello");
    assert_eq!(prefixed("[x]", b" =?utf-8?q?=C3=BC?=\r\n more"), " [x] =?utf-8?q?=C3=BC?=\r\n more");
    for value in [b" =?utf-8?q?=C3=BC?=".as_slice(), b" plain"] {
        let sent = Value(value).prefixed("\u{fc}");
        assert_eq!(Value(&sent).text(), format!("\u{fc} {}", Value(value).text()));
    }
    let long = "\u{20ac}".repeat(100);
    assert_eq!(Value(&encode_text(&long)).text(), long);
    assert!(encode_text(&long).split(|&octet| octet == b'\n').all(|line| line.len() <= 76));
}

#[test]
fn words_that_are_plain_are_not_encoded() {
    for (text, value) in [
        ("J\u{f6}rg <j@example.org>", "=?UTF-8?B?SsO2cmc=?= <j@example.org>"),
        ("a <a@b>, \u{fc}  \u{fc} <\u{fc}@b>, c <d@e>", "a <a@b>, =?UTF-8?B?w7wgIMO8IDzDvEBiPiw=?= c <d@e>"),
        (" \u{fc} ", "=?UTF-8?B?IMO8IA==?="),
        ("a  b ", "a  b "),
        ("a =?b", "a =?UTF-8?B?PT9i?="),
    ] {
        assert_eq!(String::from_utf8(encode_text(text)).unwrap(), value);
    }
}

/// Whether a field has lines of at most so many octets, and its text.
fn is_within(name: &str, value: &[u8], most: usize, text: &str) -> bool {
    let mut field = Vec::new();
    write_field(&mut field, name.as_bytes(), value, b"\r\n");
    let is_short = field.split(|&octet| octet == b'\n').all(|line| line.len() <= most + b"\r".len());
    is_short && Value(&field[name.len() + 1..]).text() == text.trim()
}

#[test]
fn lines_of_a_header_stay_within_their_bounds() {
    let long = "word ".repeat(300) + &"x".repeat(2000);
    assert!(is_within("Subject", &encode_text(&long), 76, &long));
    let letters = "\u{20ac}".repeat(100);
    for text in
        [letters.clone(), format!("Gr\u{fc}n {letters}  {letters} and more"), format!("abc {letters}")]
    {
        assert!(is_within("Subject", &encode_text(&text), 76, &text));
        let mut headers = Headers::default();
        let name = "X-".repeat(25);
        headers.add_text(&name, &text);
        assert!(is_within(&name, &headers.last[0].1, 76, &text));
    }
    let subject = "s".repeat(989);
    let prefixed = Value(subject.as_bytes()).prefixed("[a tag]");
    assert!(is_within("Subject", &prefixed, 998, &format!("[a tag] {subject}")));
    let subject = encode_text(&letters);
    let prefixed = Value(&subject).prefixed("[a tag]");
    assert!(is_within("Subject", &prefixed, 76, &format!("[a tag] {letters}")));
    let prefixed = Value(&subject).prefixed("[t\u{e4}g]");
    assert!(is_within("Subject", &prefixed, 76, &format!("[t\u{e4}g] {letters}")));
}

#[test]
fn octets_that_are_no_text_stay() {
    let message = b"Subject: gr\xfcn\xff\n\tmore\x00\n\n\xff\x00body";
    assert_eq!(run::<ByHeader<Told>>(&[], message).unwrap(), message);
}

/// The same by lines, without a thought of speed.
fn twin(message: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = message.split_inclusive(|&octet| octet == b'\n').collect();
    let end = lines.iter().position(|line| *line == b"\n" || *line == b"\r\n").unwrap_or(lines.len());
    let (mut sent, mut is_dropped) = (Vec::new(), false);
    for (at, line) in lines[..end].iter().enumerate() {
        let is_more = at > 0 && (line.starts_with(b" ") || line.starts_with(b"\t"));
        let follows = lines[at + 1..end].iter().take_while(|line| matches!(line[0], b' ' | b'\t'));
        let whole: Vec<u8> =
            std::iter::once(line).chain(follows).flat_map(|line| line.iter().copied()).collect();
        if !is_more {
            let unfolded: Vec<u8> = whole.iter().copied().filter(|octet| !b"\r\n".contains(octet)).collect();
            // A name does not go on in the next line, and a CR within is none of its letters.
            is_dropped = line.iter().position(|&octet| octet == b':').is_some_and(|colon| {
                let name = line[..colon].trim_ascii_end();
                let value = unfolded.iter().skip_while(|&&octet| octet != b':').skip(1).copied();
                !name.is_empty()
                    && !name.iter().any(|octet| b" \t\r".contains(octet))
                    && value.collect::<Vec<_>>().trim_ascii() == b"drop"
            });
        }
        if !is_dropped {
            sent.extend_from_slice(line);
        }
    }
    sent.extend(lines[end..].concat());
    sent
}

proptest! {
    #[test]
    fn a_text_is_read_as_it_was(text in "([ab=?<]|\u{fc}| |\u{20ac}{9}|a{70}){0,20}") {
        let value = encode_text(&text);
        prop_assert!(is_within("Subject", &value, 998, &text), "{}", String::from_utf8_lossy(&value));
    }

    #[test]
    fn a_message_comes_out_as_from_a_slow_twin_however_it_is_cut(
        message in "(A|:| |\t|drop|x|From |\r?\n|\r?\n\r?\n|\r){0,30}", cuts in prop::collection::vec(1usize..9, 1..5),
    ) {
        let sent = run_cut::<ByHeader<Told>>(&[], message.as_bytes(), &cuts).unwrap();
        prop_assert_eq!(String::from_utf8(sent), String::from_utf8(twin(message.as_bytes())));
    }
}

#[test]
fn an_empty_first_line_ends_the_header_however_it_is_cut() {
    for from in 0..2 {
        assert_eq!(end_of_header(b"\r\nX: 1\r\n\r\n", from), Some((0, 2)));
    }
}

//! What divides parts: none is made by what filters write, and none is overlooked.

use std::cell::RefCell;

use super::*;
use crate::HEADER_MAX;

thread_local! {
    /// The parts that `Listed` was asked about: how deep they are, and their media types.
    static LISTED: RefCell<Vec<(usize, String)>> = const { RefCell::new(Vec::new()) };
}

/// Notes the parts of a message, and changes nothing.
#[derive(Clone)]
struct Listed;

impl PartFilter for Listed {
    fn configure(_options: &mut Options) -> Result<Self, String> {
        Ok(Self)
    }

    fn part(&mut self, part: &Part) -> Choice {
        LISTED.with_borrow_mut(|listed| listed.push((part.depth(), part.media_type().to_owned())));
        Choice::usual(part)
    }
}

/// The parts of a message.
fn parts(message: &[u8]) -> Vec<(usize, String)> {
    LISTED.with_borrow_mut(Vec::clear);
    run::<ByPart<Listed>>(&[], message).unwrap();
    LISTED.take()
}

/// Puts a note of lines like delimiters in the place of parts.
#[derive(Clone)]
struct Noted;

impl PartFilter for Noted {
    fn configure(_options: &mut Options) -> Result<Self, String> {
        Ok(Self)
    }

    fn part(&mut self, part: &Part) -> Choice {
        let is_meant = part.media_type() == "x/replace";
        if is_meant { Choice::Replace(NewPart::plain("--b\nX: y\n\ngone\n")) } else { Choice::usual(part) }
    }
}

/// A message with one part in it.
fn with_part(part: &str) -> String {
    format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}\n--b--\n")
}

#[test]
fn a_text_whose_encoding_goes_makes_no_delimiter() {
    let utf8 = [("utf8", "true")];
    // "--b", a header of a part, and "MZ".
    let base64 = "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: base64\n\n\
                  LS1iDQpDb250ZW50LVR5cGU6IHgveA0KDQpNWg0K";
    assert_eq!(told(&utf8, with_part(base64).as_bytes()), with_part(base64));
    let latin =
        "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n=FC\n";
    for line in ["=2D-b", "=2D-b--", "=2D-b  ", "=2D-b more"] {
        let message = with_part(&format!("{latin}{line}\nX: y\n\nMZ\n"));
        let sent = told(&utf8, message.as_bytes());
        assert!(sent.contains("charset=utf-8\n") && sent.contains("\n=C3=BC\n=2D-b"), "{sent}");
        assert_eq!(parts(sent.as_bytes()), parts(message.as_bytes()));
        assert_eq!(told(&utf8, sent.as_bytes()), sent);
        let sent = told(SWAP, message.replace("MZ", "cat").as_bytes());
        assert!(sent.contains("\n=2D-b"), "{sent}");
    }
}

#[test]
fn a_soft_line_break_makes_no_delimiter() {
    let long = "x".repeat(75);
    let header = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n";
    for rest in ["--b", ".", "From b"] {
        let message =
            with_part(&format!("{header}{long}=\n={:02X}{}\ncat\n", rest.as_bytes()[0], &rest[1..]));
        let sent = told(SWAP, message.as_bytes());
        assert_eq!(sent, message.replace("cat", "d=C3=B6g"));
    }
}

#[test]
fn an_edit_makes_no_delimiter() {
    let gone = [("from", "cat"), ("to", "")];
    let sent = told(&gone, with_part("\ncat--b\nX: y\n\nMZ").as_bytes());
    let fields = "Content-Transfer-Encoding: quoted-printable\n";
    assert_eq!(sent, with_part(&format!("{fields}\n=2D-b\nX: y\n\nMZ")));
    // One of those around, too.
    let inner = "Content-Type: multipart/mixed; boundary=c\n\n--c\n\ncat--b\n--c--\n";
    let sent = told(&gone, with_part(inner).as_bytes());
    assert_eq!(sent, with_part(&inner.replace("\ncat-", &format!("{fields}\n=2D"))));
    // Where nothing is divided it is a line as any.
    assert_eq!(told(&gone, b"\ncat--b\n"), "\n--b\n");
}

#[test]
fn a_part_that_takes_the_place_of_another_makes_no_delimiter() {
    let message = with_part("Content-Type: x/replace\n\nMZ");
    let sent = String::from_utf8(run::<ByPart<Noted>>(&[], message.as_bytes()).unwrap()).unwrap();
    assert!(sent.contains("base64\n\nLS1iDQpYOiB5DQoNCmdvbmUNCg==\n"), "{sent}");
}

#[test]
fn a_delimiter_may_be_longer_than_what_is_held_of_a_line() {
    for blanks in [65_532, 65_533, 65_534, 200_000] {
        let delimiter = "--b".to_owned() + &" ".repeat(blanks);
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{delimiter}\nContent-Type: x/keep\n\ncat\n--b\n\ncat\n--b--\n"
        );
        let sent = message.replace("\n\ncat", "\n\ndog").replace("keep\n\ndog", "keep\n\ncat");
        let swap = [("from", "cat"), ("to", "dog")];
        assert!(told(&swap, message.as_bytes()) == sent, "{blanks}");
        // The first ends with the header, the second within the delimiter or before its line end.
        for cuts in [&[60_000][..], &[43, 65_536, 1], &[43, 65_535, 1, 2]] {
            assert!(run_cut::<ByPart<Told>>(&swap, message.as_bytes(), cuts).unwrap() == sent.as_bytes());
        }
        let dropped = message.replace("x/keep", "x/drop");
        assert!(!told(&swap, dropped.as_bytes()).contains(&delimiter), "{blanks}");
    }
}

#[test]
fn a_long_line_that_only_begins_as_a_delimiter_is_none_however_it_is_cut() {
    let dog = [("from", "cat"), ("to", "dog")];
    for blanks in [65_000, 65_533, 200_000] {
        let line = "--b".to_owned() + &" ".repeat(blanks) + "x";
        let message = with_part(&format!("\n{line}\ncat\n"));
        let sent = told(&dog, message.as_bytes());
        assert_eq!(parts(sent.as_bytes()).len(), 2);
        assert!(sent.contains("dog"));
        for cuts in [&[60_000][..], &[70_000], &[65_580, 1]] {
            assert!(run_cut::<ByPart<Told>>(&dog, message.as_bytes(), cuts).unwrap() == sent.as_bytes());
        }
    }
}

#[test]
fn a_delimiter_that_does_not_end_is_a_failure_however_it_is_cut() {
    for rest in ["", "x"] {
        let delimiter = "--b".to_owned() + &" ".repeat(HEADER_MAX) + rest;
        let message = with_part(&format!("\ncat\n{delimiter}\n"));
        let said = Error::permanent(format!("a delimiter has more than {HEADER_MAX} octets"));
        for cuts in [60_000, 65_536, 3 << 20] {
            assert_eq!(run_cut::<ByPart<Told>>(&[], message.as_bytes(), &[cuts]), Err(said.clone()));
        }
    }
}

#[test]
fn a_boundary_that_is_too_long_fails_or_is_not_looked_for() {
    let dog = [("from", "cat"), ("to", "dog")];
    let copies = [("from", "cat"), ("to", "dog"), ("copies", "true")];
    for (size, fits) in [(1000, true), (1001, false), (70_000, false)] {
        let boundary = "b".repeat(size);
        let message = format!(
            "Content-Type: multipart/x; boundary={boundary}\n\n--{boundary}\n\ncat\n--{boundary}--\n"
        );
        let changed = message.replace("cat", "dog");
        let sent = run::<ByPart<Told>>(&dog, message.as_bytes());
        let said = Error::permanent("a boundary has more than 1000 octets");
        assert!(sent == if fits { Ok(changed.clone().into_bytes()) } else { Err(said) }, "{size}");
        assert!(told(&copies, message.as_bytes()) == if fits { changed } else { message }, "{size}");
    }
}

proptest! {
    #[test]
    fn no_part_is_added_whatever_becomes_of_the_texts_of_a_message(
        message in message(), to in prop_oneof![Just(""), Just("\n--b\n\n"), Just("\u{f6}\n--c--\n")], to_utf8 in any::<bool>(),
    ) {
        let message = String::from_utf8_lossy(&message).replace("x/", "y/").into_bytes();
        let options = [("from", "cat"), ("to", to), ("utf8", if to_utf8 { "true" } else { "false" })];
        let sent = run::<ByPart<Told>>(&options, &message).unwrap();
        // A text that goes, below a header that no empty line ends, leaves that alone.
        prop_assert!(parts(&sent).len() <= parts(&message).len());
    }
}

//! What divides parts: none is made by what filters write, and none is overlooked.

use std::cell::RefCell;

use super::*;

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

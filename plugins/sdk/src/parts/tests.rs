//! Messages in MIME of every shape.

use proptest::prelude::*;

use super::*;
use crate::{run, run_cut};

mod delimiters;
mod headers;
mod strays;

/// Does to parts what their media types say, and to texts what an option says.
#[derive(Clone)]
struct Told {
    from: String,
    to: String,
    to_utf8: bool,
    copies: bool,
}

impl PartFilter for Told {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let (from, to) =
            (options.text("from")?.unwrap_or("\u{1}".into()), options.text("to")?.unwrap_or_default());
        let (to_utf8, copies) = (options.flag("utf8")?, options.flag("copies")?);
        Ok(Self { from, to, to_utf8: to_utf8.unwrap_or(false), copies: copies.unwrap_or(false) })
    }

    fn part(&mut self, part: &Part) -> Choice {
        match part.media_type() {
            "x/drop" => Choice::Drop,
            "x/replace" => Choice::Replace(NewPart::plain("gone\n")),
            "x/large" => Choice::ReplaceAbove(10, NewPart::plain("gr\u{f6}\u{df}er\n")),
            _ => Choice::usual(part),
        }
    }

    fn text(&mut self, _part: &Part, text: &str) -> Edit {
        let text = text.replace(&self.from, &self.to);
        if self.to_utf8 { Edit::Utf8(text) } else { Edit::Replace(text) }
    }

    fn copies_what_is_too_large(&self) -> bool {
        self.copies
    }
}

fn told(options: &[(&str, &str)], message: &[u8]) -> String {
    String::from_utf8_lossy(&run::<ByPart<Told>>(options, message).unwrap()).into_owned()
}

const SWAP: &[(&str, &str)] = &[("from", "cat"), ("to", "d\u{f6}g")];
const MIXED: &str = "Subject: x\r\nContent-Type: multipart/mixed; boundary=\"b c\"\r\n\r\npre\r\n";

#[test]
fn parts_are_dropped_and_replaced_between_others() {
    let message = format!(
        "{MIXED}--b c\r\nContent-Type: x/drop\r\n\r\na\r\n--b c\r\nContent-Type: x/keep\r\n\r\n\r\nb\r\n--b c\r\n\
         Content-Type: x/replace\r\nX: y\r\n\r\nc\r\n--b c--\r\npost"
    );
    let sent = format!(
        "{MIXED}--b c\r\nContent-Type: x/keep\r\n\r\n\r\nb\r\n--b c\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\r\ngone\r\n\r\n--b c--\r\npost"
    );
    assert_eq!(told(&[], message.as_bytes()), sent);
    let all = format!("{MIXED}--b c\r\nContent-Type: x/drop\r\n\r\na\r\n--b c--\r\n");
    let sent = format!("{MIXED}--b c\r\nContent-Type: text/plain\r\n\r\n\r\n--b c--\r\n");
    assert_eq!(told(&[], all.as_bytes()), sent);
    let root = told(&[], b"Subject: x\nContent-Type: x/drop\nMIME-Version: 1.0\n\nbody");
    let kept = "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n";
    assert_eq!(root, format!("{kept}Content-Transfer-Encoding: 7bit\n\n"));
}

#[test]
fn a_part_is_replaced_above_a_size() {
    let large = |encoding: &str, body: &str| {
        let header = format!("Content-Type: x/large\nContent-Transfer-Encoding: {encoding}\n");
        let message = format!("{header}\n{body}");
        let sent = told(&[], message.as_bytes());
        (sent == message, sent)
    };
    assert!(large("7bit", "0123456789").0);
    assert!(large("base64", "MDEyMzQ1Njc4\nOQ==").0);
    assert!(!large("7bit", "0123456789a").0);
    let (_, sent) = large("base64", "MDEyMzQ1Njc4\nOWE=");
    assert!(sent.ends_with("Content-Transfer-Encoding: base64\n\nZ3LDtsOfZXINCg==\n"), "{sent}");
}

#[test]
fn a_text_that_changes_keeps_its_charset_and_encoding_where_it_can() {
    let text = |fields: &str, body: &[u8]| told(SWAP, &[fields.as_bytes(), b"\n", body].concat());
    let plain = "Content-Type: text/plain; charset=";
    // What does not change stays to the octet, be it written as nobody would.
    let odd = format!("{plain}utf-8\nContent-Transfer-Encoding: quoted-printable\n");
    assert_eq!(text(&odd, b"=41=\nb\n"), format!("{odd}\n=41=\nb\n"));
    assert_eq!(text(&odd, b"=41=\n cat\n"), format!("{odd}\nA d=C3=B6g\n"));
    let latin = format!("{plain}iso-8859-1; x=\"a;b\"\nContent-Transfer-Encoding: quoted-printable\n");
    assert_eq!(text(&latin, b"cat=FC"), format!("{latin}\nd=F6g=FC"));
    let russian = "Content-Type: text/plain; charset=koi8-r; x=\"a;b\"\nContent-Transfer-Encoding: base64\n";
    let sent = text(russian, b"Y2F0CsE=\n");
    let utf8 = "Content-Transfer-Encoding: base64\nContent-Type: text/plain; x=\"a;b\"; charset=utf-8\nMIME-Version: 1.0\n";
    assert_eq!(sent, format!("{utf8}\nZMO2ZwrQsA==\n"));
    let ascii = text("Subject: x\n", b"a cat\n");
    let fields = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\n";
    assert_eq!(ascii, format!("Subject: x\n{fields}\na d=C3=B6g\n"));
}

#[test]
fn ascii_is_no_other_charset_under_any_of_its_names() {
    for name in ["us-ascii", "ascii", "ANSI_X3.4-1968", "iso646-us", "us", "\"csASCII\""] {
        let fields = format!(
            "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset={name}\n\n"
        );
        let sent = told(&[("utf8", "true")], format!("{fields}Gr\u{fc}n\n").as_bytes());
        assert_eq!(sent, format!("{fields}Gr\u{fc}n\n").replace(name, "utf-8"));
        let sent = told(SWAP, format!("{fields}a cat\n").as_bytes());
        assert_eq!(sent, format!("{fields}a d\u{f6}g\n").replace(name, "utf-8"));
    }
}

#[test]
fn letters_that_windows_alone_has_are_not_written_as_iso_8859() {
    let swap = [("from", "cat"), ("to", "\u{2014}")];
    let edited = |charset: &str, body: &str| {
        let header = "Content-Type: text/plain; charset=".to_owned() + charset;
        let fields = "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n";
        let sent = told(&swap, format!("{fields}{header}\n\n{body}").as_bytes());
        sent.strip_prefix(&format!("{fields}Content-Type: text/plain; charset=")).unwrap().to_owned()
    };
    for charset in ["iso-8859-1", "Latin1", "iso-8859-9"] {
        assert_eq!(edited(charset, "=FC cat"), "utf-8\n\n=C3=BC =E2=80=94");
        assert_eq!(edited(charset, "=93 cat"), "utf-8\n\n=E2=80=9C =E2=80=94");
        // That octet is there already.
        assert_eq!(edited(charset, "=97 cat"), format!("{charset}\n\n=97 =97"));
    }
    assert_eq!(edited("iso-8859-11", "=A1 cat"), "utf-8\n\n=E0=B8=81 =E2=80=94");
    for charset in ["windows-1252", "CP1252", "windows-874"] {
        assert_eq!(edited(charset, "cat"), format!("{charset}\n\n=97"));
    }
}

#[test]
fn katakana_of_half_the_width_stay_what_they_are() {
    let header = "MIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Type: text/plain; charset=";
    // As some mailers write them, by a set that ISO-2022-JP does not have.
    for (body, swap) in [("cat", ("from", "cat")), ("cat \u{1b}(I1\u{1b}(B", ("from", "cat "))] {
        let sent = told(&[swap, ("to", "\u{ff71}")], format!("{header}iso-2022-jp\n\n{body}\n").as_bytes());
        assert!(sent.contains("charset=utf-8\n") && sent.contains("=EF=BD=B1"), "{sent}");
    }
}

#[test]
fn what_is_signed_encoded_in_an_unknown_way_or_an_attachment_is_copied() {
    for fields in [
        "Content-Type: multipart/signed; boundary=b\n\n--b\n",
        "Content-Transfer-Encoding: x-uuencode\n",
        "Content-Type: text/plain; charset=x-unknown\n",
        "Content-Disposition: attachment; filename=x.txt\n",
        "Content-Transfer-Encoding: base64\n\nY2F\n\ncat===\n",
    ] {
        let message = format!("{fields}\ncat\n--b--\n");
        assert_eq!(told(SWAP, message.as_bytes()), message);
    }
}

#[test]
fn messages_within_messages_are_looked_into() {
    let inner = "Content-Type: message/rfc822\n\nSubject: cat\nContent-Type: multipart/mixed; boundary=bc\n\n--bc\n\ncat";
    let message =
        format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{inner}\n--bc--\n\n--b\n\ncat\n--b--\n");
    let sent = told(&[("from", "cat"), ("to", "dog")], message.as_bytes());
    assert_eq!(sent, message.replace("\n\ncat", "\n\ndog"));
    let deep = |depth: usize| "Content-Type: message/rfc822\n\n".repeat(depth) + "\ncat\n";
    assert!(told(&[("from", "cat"), ("to", "dog")], deep(DEPTH_MAX).as_bytes()).ends_with("dog\n"));
    assert!(run::<ByPart<Told>>(&[], deep(DEPTH_MAX + 1).as_bytes()).is_err());
}

#[test]
fn a_message_that_cannot_be_looked_into_is_copied() {
    for fields in [
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64",
        "Content-Type: message/global\nContent-Transfer-Encoding: quoted-printable",
        "Content-Type: message/partial; id=1; number=2; total=3",
    ] {
        let message =
            format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{fields}\n\nY2F0Cg==\n--b--\n");
        assert_eq!(run::<ByPart<Told>>(&[], message.as_bytes()).unwrap(), message.as_bytes(), "{fields}");
    }
}

#[test]
fn a_text_that_is_too_large_is_a_failure() {
    let message = [b"\n".to_vec(), vec![b'x'; BODY_MAX + LINE]].concat();
    let said = format!("a part with text has more than {BODY_MAX} octets");
    assert_eq!(run::<ByPart<Told>>(&[], &message), Err(Error::permanent(said)));
    let message = [b"Content-Type: image/png\n\n".to_vec(), vec![b'x'; BODY_MAX + LINE]].concat();
    assert_eq!(run::<ByPart<Told>>(&[], &message).unwrap(), message);
}

const LINE: usize = 100_000;

#[test]
fn a_text_becomes_utf8_without_an_encoding() {
    let message = b"Content-Type: text/plain; charset=\"iso-8859-1\"\nContent-Transfer-Encoding: quoted-printable\n\n=FC\n";
    let fields =
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nMIME-Version: 1.0\n";
    assert_eq!(told(&[("utf8", "true")], message), format!("{fields}\n\u{fc}\n"));
}

#[test]
fn octets_that_quoted_printable_does_not_have_stay_when_the_text_changes() {
    let header = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n";
    let message = format!("{header}\nGr\u{fc}\u{df} =C3=BC\x0c\x1b\0 cat\n");
    assert_eq!(
        told(SWAP, message.as_bytes()),
        format!("{header}\nGr=C3=BC=C3=9F =C3=BC=0C=1B=00 d=C3=B6g\n")
    );
}

#[test]
fn base64_that_is_not_perfect_is_looked_into() {
    let header = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n";
    let swap = [("from", "cat"), ("to", "dog")];
    for (body, edited) in [
        ("YSBj!YXQ=\n", "YSBkb2c=\n"),
        ("YSBjYXQ\n", "YSBkb2c=\n"),
        ("YSBjYXQgA\n", "YSBkb2cg\n"),
        ("YSBjYXQ=A", "YSBkb2c=\n"),
        // Some programs read on behind padding.
        ("YSA=\nY2F0!", "YSBkb2c=\n"),
        ("YSA==Y2F0IA=!=\nY2F0", "YSBkb2cgZG9n\n"),
        // Where a list has put its footer there as it is, that is what those show of it.
        ("YSBjYXQ=\n-- \nlist: cat\n", "YSBkb2eWKy1xqw==\n"),
    ] {
        let message = format!("{header}\n{body}");
        assert_eq!(told(&swap, message.as_bytes()), format!("{header}\n{edited}"));
        // It is not what it says.
        assert_eq!(told(&[("utf8", "true")], message.as_bytes()), message);
    }
}

#[test]
fn text_in_base64_gets_line_ends_of_its_own_kind() {
    let header = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n";
    for (body, sent) in [("Y2F0", "YQ0KYg=="), ("Y2F0DQo=", "YQ0KYg0K"), ("Y2F0Cg==", "YQpiCg==")] {
        let swap = [("from", "cat"), ("to", "a\nb")];
        assert_eq!(told(&swap, format!("{header}{body}\n").as_bytes()), format!("{header}{sent}\n"));
    }
}

#[test]
fn utf_16_is_read_by_its_mark() {
    let header = "Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=UTF-16\n";
    for body in ["/v8AYQAgAGMAYQB0", "//5hACAAYwBhAHQA"] {
        let sent = told(SWAP, format!("{header}\n{body}\n").as_bytes());
        assert!(sent.ends_with("charset=utf-8\nMIME-Version: 1.0\n\nYSBkw7Zn\n"), "{sent}");
        let sent = told(&[("utf8", "true")], format!("{header}\n{body}\n").as_bytes());
        assert!(sent.ends_with("\n\na cat"), "{sent}");
    }
}

#[test]
fn a_boundary_is_that_which_stands_outside_of_quotes() {
    let message = "Content-Type: multipart/mixed; boundary=real; name=\"x; boundary=evil\"\n\n--real\n\ncat\n--real--\n";
    let swap = [("from", "cat"), ("to", "dog")];
    assert_eq!(told(&swap, message.as_bytes()), message.replace("cat", "dog"));
    let message = "Content-Type: multipart/mixed; boundary*0=re; boundary*1=al\n\n--real\n\ncat\n--real--\n";
    assert_eq!(told(&swap, message.as_bytes()), message.replace("cat", "dog"));
}

#[test]
fn a_boundary_may_be_any_octets() {
    let message = |text: &[u8]| {
        let header = b"Content-Type: multipart/mixed; boundary=\"b\xfc\"\n\n--b\xfc\n\n".as_slice();
        [header, text, b"\n--b\xfc--\n"].concat()
    };
    let sent = run::<ByPart<Told>>(&[("from", "cat"), ("to", "dog")], &message(b"cat")).unwrap();
    assert_eq!(sent, message(b"dog"));
}

#[test]
fn a_sum_goes_with_the_text_that_it_is_of() {
    let message = "Content-Type: text/plain\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nX: y\n\na cat\n";
    let sent = told(&[("from", "cat"), ("to", "dog")], message.as_bytes());
    assert_eq!(sent, "Content-Type: text/plain\nX: y\n\na dog\n");
    assert_eq!(told(&[], message.as_bytes()), message);
}

#[test]
fn comments_in_the_fields_of_a_part_are_no_part_of_their_values() {
    let swap = [("from", "cat"), ("to", "dog")];
    for (content_type, encoding, body) in [
        ("text/plain; charset=us-ascii (Plain text)", "7bit (as ever)", "a cat"),
        ("text/plain; charset=us-ascii(Plain text)", "(a (b \\) c)) quoted-printable", "a ca=\nt"),
        ("(a; b) text/plain (c) ; (d) charset=utf-8", "base64 (d)", "Y2F0"),
        ("multipart/mixed; boundary=b (x)", "7bit", "--b\n\ncat\n--b--"),
        ("multipart/mixed (\"; boundary=a); boundary=b", "7bit", "--b\n\ncat\n--b--"),
        ("(x) multipart/mixed; boundary=\"b (x)\"", "7bit", "--b (x)\n\ncat\n--b (x)--"),
    ] {
        let header = format!("Content-Type: {content_type}\nContent-Transfer-Encoding: {encoding}\n\n");
        let sent = told(&swap, format!("{header}{body}\n").as_bytes());
        let changed = body.replace("Y2F0", "ZG9n").replace("ca=\nt", "dog").replace("cat", "dog");
        assert_eq!(sent, format!("{header}{changed}\n"));
    }
    for fields in [
        "Content-Type: multipart/signed (x); boundary=b",
        "Content-Type: multipart/signed; boundary=b (x",
        "Content-Disposition: (x) attachment (y); filename=x.txt",
    ] {
        let message = format!("{fields}\n\n--b\n\ncat\n--b--\n");
        assert_eq!(told(&swap, message.as_bytes()), message);
    }
    let fields = "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n";
    let message =
        format!("{fields}Content-Type: text/plain (a); x=x (1;2).txt; (b) charset=us-ascii (c)\n\ncat\n");
    let sent = format!("{fields}Content-Type: text/plain; x=x (1;2).txt; charset=utf-8\n\nd\u{f6}g\n");
    assert_eq!(told(SWAP, message.as_bytes()), sent);
}

#[test]
fn a_forwarded_message_that_is_replaced_keeps_its_header() {
    let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n\
                   From: a\nContent-Type: x/replace\nSubject: b\n\nc\n--b--\n";
    let sent = told(&[], message.as_bytes());
    assert!(
        sent.contains("rfc822\n\nFrom: a\nSubject: b\nContent-Type: text/plain; charset=utf-8\n"),
        "{sent}"
    );
}

#[test]
fn a_forwarded_message_whose_text_changes_is_one_in_mime() {
    let outer = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n";
    let sent = told(SWAP, format!("{outer}Subject: x\n\ncat\n--b--\n").as_bytes());
    assert!(sent.contains("\nMIME-Version: 1.0\n\nd=C3=B6g\n--b"), "{sent}");
    let inner = "Content-Type: multipart/mixed; boundary=c\n\n--c\n\ncat\n--c--\n";
    let sent = told(SWAP, format!("{outer}{inner}--b--\n").as_bytes());
    assert!(!sent.contains("MIME-Version"), "{sent}");
}

#[test]
fn octets_in_a_content_type_stay_when_the_charset_changes() {
    let header = b"Content-Type: text/plain; charset=iso-8859-1; x=\"\xfc;\"\n";
    let message =
        [header.as_slice(), b"Content-Transfer-Encoding: 8bit\nMIME-Version: 1.0\n\n\xfc\n"].concat();
    let sent = run::<ByPart<Told>>(&[("utf8", "true")], &message).unwrap();
    let rest = b"Content-Transfer-Encoding: 8bit\nMIME-Version: 1.0\n";
    let content_type = b"Content-Type: text/plain; x=\"\xfc;\"; charset=utf-8\n\n\xc3\xbc\n";
    assert_eq!(sent, [rest.as_slice(), content_type].concat());
}

#[test]
fn a_content_type_whose_charset_changes_is_folded_again() {
    let fields = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain";
    let parameters: String = (10..99).map(|number| format!(";\r\n x{number}=\"a long value\"")).collect();
    let message = format!("{fields}{parameters}; charset=us-ascii\r\n\r\ncat\r\n");
    let sent = told(SWAP, message.as_bytes());
    let first = "; x10=\"a long value\"; x11=\"a long value\";\r\n x12=\"a long value\"; ";
    assert!(sent.starts_with(&format!("{fields}{first}")), "{sent}");
    assert!(sent.ends_with("x98=\"a long value\"; charset=utf-8\r\n\r\nd\u{f6}g\r\n"), "{sent}");
    assert!(sent.lines().all(|line| line.len() <= 78), "{sent}");
}

#[test]
fn the_size_of_a_part_is_that_of_what_is_encoded() {
    let stays = |encoding: &str, body: &str| {
        let header = format!("Content-Type: x/large\nContent-Transfer-Encoding: {encoding}\n");
        let part = format!("{header}\n{body}\n");
        let message = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}--b--\n");
        let sent = run::<ByPart<Told>>(&[], message.as_bytes()).unwrap();
        for cuts in [1, 2, 7] {
            assert_eq!(run_cut::<ByPart<Told>>(&[], message.as_bytes(), &[cuts]).unwrap(), sent);
        }
        sent == message.as_bytes()
    };
    assert!(stays("7bit", "0123456789"));
    assert!(stays("7bit", "01234567\r\n"));
    assert!(!stays("7bit", "0123456789\n"));
    assert!(stays("quoted-printable", "=30=31=32=33=34=35=36=37=38=39"));
    assert!(!stays("quoted-printable", "=30=31=32=33=34=35=36=37=38=39=41"));
    assert!(stays("quoted-printable", "01=\n23=\r\n45=  \n6789=\n"));
    assert!(!stays("quoted-printable", "01=\n23=\n45=\n67\n8910"));
    let lines =
        |digits: &str| digits.split_inclusive(|_| true).map(|digit| format!("{digit}\n")).collect::<String>();
    assert!(stays("base64", &lines("MDEyMzQ1Njc4OQ==")));
    assert!(!stays("base64", &lines("MDEyMzQ1Njc4OWE=")));
}

/// Pieces that messages in MIME are made of.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n--b\n".to_vec()),
        Just(b"\n--b--\n".to_vec()),
        Just(b"--c\r\n".to_vec()),
        Just(b"--c--".to_vec()),
        Just(b"--".to_vec()),
        Just(b"cat".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=b\n\n".to_vec()),
        Just(b"\xff\x00".to_vec()),
        Just(b"Content-Type: multipart/digest; boundary=c\r\n\r\n".to_vec()),
        Just(b"=FC=\n".to_vec()),
        Just(b"Content-Type: message/rfc822\n\n".to_vec()),
        Just(b"Content-Type: x/drop\n\n".to_vec()),
        Just(b"Content-Type: x/replace\n\n".to_vec()),
        Just(b"Content-Type: x/large\n\n".to_vec()),
        Just(b"Content-Transfer-Encoding: base64\n".to_vec()),
        Just(b"Y2F0".to_vec()),
        Just(b"Content-Transfer-Encoding: quoted-printable\n".to_vec()),
        // "\n--b\n\n", decoded.
        Just(b"\n\nCi0tYgoK\n".to_vec()),
        Just(b"\n=2D-b--\n".to_vec()),
        Just(b"cat--b\n".to_vec()),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_message_comes_out_the_same_however_it_is_cut(
        message in message(), cuts in prop::collection::vec(1usize..9, 1..5),
    ) {
        let whole = run::<ByPart<Told>>(SWAP, &message);
        prop_assert_eq!(run_cut::<ByPart<Told>>(SWAP, &message, &cuts), whole);
    }

    #[test]
    fn a_message_in_which_nothing_is_to_be_changed_stays(
        message in message(), cuts in prop::collection::vec(1usize..9, 1..5),
    ) {
        let message = String::from_utf8_lossy(&message).replace("x/", "y/").into_bytes();
        prop_assert_eq!(run_cut::<ByPart<Told>>(&[], &message, &cuts).unwrap(), message);
    }
}

//! Text that is not of the charset it names, in part.

use super::*;

const DOG: &[(&str, &str)] = &[("from", "cat"), ("to", "dog")];

#[test]
fn octets_that_are_not_of_the_charset_stay_when_the_text_around_them_changes() {
    let header = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n";
    let sent = run::<ByPart<Told>>(SWAP, &[header.as_slice(), b"\xff cat \xc3\n"].concat()).unwrap();
    assert_eq!(sent, [header.as_slice(), b"\xff d\xc3\xb6g \xc3\n"].concat());
    let sent = run::<ByPart<Told>>(SWAP, &[header.as_slice(), b"\xff cat \xef\x9e\x85\n"].concat()).unwrap();
    assert_eq!(sent, [header.as_slice(), b"\xff d\xc3\xb6g \xef\x9e\x85\n"].concat());
    let header = b"Content-Type: text/plain; charset=shift_jis\nContent-Transfer-Encoding: 8bit\n\n";
    let swap = [("from", "cat"), ("to", "dog")];
    let sent = run::<ByPart<Told>>(&swap, &[header.as_slice(), b"\x82\xa0\xff cat\n"].concat()).unwrap();
    assert_eq!(sent, [header.as_slice(), b"\x82\xa0\xff dog\n"].concat());
}

#[test]
fn letters_beside_octets_that_are_not_of_the_charset_are_seen() {
    for (charset, octets, from, sent) in [
        ("shift_jis", b"\xff \x82\xa0".as_slice(), "\u{3042}", b"\xff dog".as_slice()),
        ("euc-jp", b"\xa4\xa2 \xff", "\u{3042}", b"dog \xff"),
        ("gb18030", b"\xd6\xd0\xff", "\u{4e2d}", b"dog\xff"),
        ("big5", b"\xff\xa4\xa4", "\u{4e2d}", b"\xffdog"),
        ("windows-1253", b"\xff \xe1", "\u{3b1}", b"\xff dog"),
        ("utf-8", b"\xff \xc3\xb6", "\u{f6}", b"\xff dog"),
        // Half a letter, and a letter after it.
        ("shift_jis", b"\x82", "no", b"\x82"),
        ("shift_jis", b"\x82\ncat \x82\xa0", "\u{3042}", b"\x82\ncat dog"),
        ("gb18030", b"\x81\x30\xd6\xd0", "\u{4e2d}", b"\x81\x30dog"),
        // A letter of a private kind is no stray.
        ("gb18030", b"\xff\x83\x39\xdb\x32cat", "cat", b"\xff\x83\x39\xdb\x32dog"),
    ] {
        let header =
            format!("Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n");
        let message = [header.as_bytes(), octets, b"\n"].concat();
        let changed = run::<ByPart<Told>>(&[("from", from), ("to", "dog")], &message).unwrap();
        assert_eq!(changed, [header.as_bytes(), sent, b"\n"].concat(), "{charset} {octets:?}");
        assert_eq!(run::<ByPart<Told>>(&[("utf8", "true")], &message).unwrap(), message);
    }
}

#[test]
fn utf_16_that_is_broken_or_has_no_mark_is_seen_and_left_by_who_copies() {
    let header = "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\nContent-Type: text/plain; charset=";
    for (charset, body, sent) in [
        // Big-endian and little-endian, without a mark, and with half a letter at the end.
        ("UTF-16", "AGEAIABjAGEAdA==", "YSBkw7Zn"),
        ("UTF-16", "YQAgAGMAYQB0AA==", "YSBkw7Zn"),
        ("UTF-16", "/v8AYQAgAGMAYQB0AA==", "YSBkw7Zn77+9"),
        ("UTF-16le", "YQAgAGMAYQB0AAA=", "YSBkw7Zn77+9"),
        ("UTF-16be", "AGEAIABjAGEAdAA=", "YSBkw7Zn77+9"),
    ] {
        let message = format!("{header}{charset}\n\n{body}\n");
        assert_eq!(told(SWAP, message.as_bytes()), format!("{header}utf-8\n\n{sent}\n"));
        for left in [&[("utf8", "true")][..], &[("from", "cow")], &[SWAP, &[("copies", "true")]].concat()] {
            assert_eq!(told(left, message.as_bytes()), message);
        }
    }
}

#[test]
fn iso_2022_jp_that_is_broken_is_seen_and_keeps_its_octets() {
    let header = "MIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Type: text/plain; charset=iso-2022-jp\n\n";
    let message = format!("{header}\x1b$B$\"\x1b(B cat \x1b(X\n");
    let seen = told(&[("from", "\u{3042}"), ("to", "x")], message.as_bytes());
    assert!(seen.ends_with("\n\nx cat =EF=BF=BD(X\n"), "{seen}");
    let octets = told(&[DOG, &[("copies", "true")]].concat(), message.as_bytes());
    assert_eq!(octets, message.replace("cat", "dog"));
    assert_eq!(told(&[("utf8", "true")], message.as_bytes()), message);
}

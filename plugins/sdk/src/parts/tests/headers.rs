//! Headers that no empty line ends, or that are too long.

use super::*;
use crate::HEADER_MAX;

const DOG: &[(&str, &str)] = &[("from", "cat"), ("to", "dog")];

#[test]
fn a_body_that_no_empty_line_begins_is_seen() {
    let message = |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}--b--\n");
    assert_eq!(told(DOG, message("a cat\n").as_bytes()), message("\na dog\n"));
    assert_eq!(
        told(DOG, message("X: y\n z\na cat\nX: y\n").as_bytes()),
        message("X: y\n z\n\na dog\nX: y\n")
    );
    assert_eq!(
        told(DOG, message("Content-Type: x/drop\nTVo=\n").as_bytes()),
        message("Content-Type: text/plain\n\n\n")
    );
    let gone = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\ngone\n\n";
    assert_eq!(told(DOG, message("Content-Type: x/replace\nTVo=\n").as_bytes()), message(gone));
    // What is not changed stays.
    for part in ["cow\n", "X: y\ncow\n", "Content-Type: x/keep\ncat\n", "X: cat\n", "X: y\n cat\n", ""] {
        assert_eq!(told(DOG, message(part).as_bytes()), message(part));
    }
}

#[test]
fn parts_below_a_header_that_no_empty_line_ends_are_seen() {
    let message = |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}\n--b--\n");
    for part in [
        "Content-Type: multipart/mixed; boundary=c\npre\n--c\nContent-Type: x/replace\nTVo=\n--c--",
        "Content-Type: multipart/mixed; boundary=c\n--c\nX: y\n--c\nContent-Type: x/replace\nTVo=",
        "Content-Type: message/rfc822\nFrom x\nContent-Type: x/replace\nTVo=",
    ] {
        let message = message(part);
        assert!(!told(&[], message.as_bytes()).contains("TVo="), "{message}");
        let kept = message.replace("x/replace", "x/keep");
        assert_eq!(told(&[], kept.as_bytes()), kept);
    }
}

#[test]
fn a_message_that_is_a_header_alone_stays() {
    for message in
        ["Subject: cat\n", "Subject: cat\n cat\n", "From cat Mon Jan  1\nSubject: cat\n", "Subject: cat", ""]
    {
        assert_eq!(told(DOG, message.as_bytes()), message);
    }
    // Where all lines end with CR CR LF, none is empty.
    let sent = told(DOG, b"Subject: cat\r\r\n\r\r\na cat\r\r\n");
    assert!(sent.starts_with("Subject: cat\r\r\n") && sent.ends_with("\r\na dog\r\n"), "{sent}");
}

#[test]
fn a_part_that_no_empty_line_begins_is_seen_where_the_last_line_has_no_end() {
    let message = "Content-Type: multipart/mixed; boundary=b\n--b\nContent-Type: x/replace\nTVo=\n--b--";
    for end in ["", "\n"] {
        assert!(!told(&[], format!("{message}{end}").as_bytes()).contains("TVo="), "{end:?}");
    }
}

#[test]
fn what_is_written_into_a_message_without_a_line_end_has_lines() {
    assert_eq!(told(&[("from", "cat"), ("to", "big\ndog")], b"a cat"), "\na big\ndog");
}

#[test]
fn a_header_that_is_too_long_fails_or_is_copied() {
    let field = "X: y\n".repeat(HEADER_MAX / 5);
    let part = |rest: &str| {
        format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{field}{rest}--b\n\ncat\n--b--\n")
    };
    for rest in ["X: yyyyyyyyyyyyyyyyyy\n\ncat\n", "cat cat cat cat cat\n"] {
        let message = part(rest);
        let said = Error::permanent(format!("the header of a part has more than {HEADER_MAX} octets"));
        let copied = message.replace("\n\ncat\n--b--", "\n\ndog\n--b--");
        for cuts in [60_000, 65_536, 65_537] {
            assert_eq!(run_cut::<ByPart<Told>>(DOG, message.as_bytes(), &[cuts]), Err(said.clone()));
            let sent =
                run_cut::<ByPart<Told>>(&[DOG, &[("copies", "true")]].concat(), message.as_bytes(), &[cuts]);
            assert!(sent.unwrap() == copied.as_bytes());
        }
    }
}

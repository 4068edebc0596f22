//! The messages that are built in: what a filter meets sooner or later, each with one thing that it may stumble over.

/// Names and messages.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("plain", plain(b"\n", b"Hello,\n\nthis is a message of plain text.\n\n-- \nA. Sender\n")),
        ("crlf", plain(b"\r\n", b"The lines of this one\r\nend in CRLF.\r\n")),
        ("html", HTML.to_vec()),
        ("attachment", attachment(3_000)),
        ("latin-1", with_type("text/plain; charset=iso-8859-1", b"8bit", b"Gr\xfc\xdfe aus K\xf6ln.\n")),
        (
            "quoted-printable",
            with_type("text/plain; charset=utf-8", b"quoted-printable", b"Gr=C3=BC=C3=9Fe, soft=\n line.\n"),
        ),
        ("utf-8", with_type("text/plain; charset=utf-8", b"8bit", "Grüße, 你好, \u{1f600}\n".as_bytes())),
        ("folded", FOLDED.to_vec()),
        ("dots", plain(b"\n", b".\n..\n.x\nThe end.\n.")),
        ("octets", plain(b"\n", b"NUL \0, CR \r, ESC \x1b[31m, 8 bit \xff\xfe.\nNo line end")),
        ("header-only", plain(b"\n", b"")),
        ("no-header", b"\nThe header is empty.\n".to_vec()),
        ("empty", Vec::new()),
        ("long-line", plain(b"\n", &[b"x".repeat(100_000), b"\n".to_vec()].concat())),
        ("long", attachment(400_000)),
    ]
}

const HTML: &[u8] = b"From: a@example.org\nTo: b@example.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\
Message-ID: <html@example.org>\nMIME-Version: 1.0\n\
Content-Type: multipart/alternative; boundary=\"=-1\"\n\n\
--=-1\nContent-Type: text/plain; charset=utf-8\n\nThe text.\n\
--=-1\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>The <b>text</b>.</p></body></html>\n\
--=-1--\n";

const FOLDED: &[u8] = b"Received: from a.example.org by b.example.org;\n\tMon, 2 Mar 2026 10:00:00 +0000\n\
FROM : \"A, Sender\" <a@example.org>\nTo: b@example.org,\n c@example.org\nSubject:\n folded\n\ton three lines\n\
X-Spam-Score: 7.5\nX-Empty:\n\nThe body.\n";

fn plain(line_end: &[u8], body: &[u8]) -> Vec<u8> {
    let lines: [&[u8]; 5] = [
        b"From: A. Sender <a@example.org>",
        b"To: b@example.org",
        b"Subject: a message",
        b"Message-ID: <plain@example.org>",
        b"",
    ];
    let mut message: Vec<u8> = lines.iter().flat_map(|line| [*line, line_end].concat()).collect();
    message.extend_from_slice(body);
    message
}

fn with_type(content_type: &str, encoding: &[u8], body: &[u8]) -> Vec<u8> {
    let mut message = b"From: a@example.org\nSubject: a message\nMIME-Version: 1.0\nContent-Type: ".to_vec();
    for part in [content_type.as_bytes(), b"\nContent-Transfer-Encoding: ", encoding, b"\n\n", body] {
        message.extend_from_slice(part);
    }
    message
}

/// A text and an attachment, of about so many octets.
pub(super) fn attachment(length: usize) -> Vec<u8> {
    let mut message =
        b"From: A. Sender <a@example.org>\nTo: b@example.org\nSubject: a message with an attachment\n\
Message-ID: <attachment@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=-2\"\n\n\
--=-2\nContent-Type: text/plain\n\nWhat is attached was made by a rule.\n\n\
--=-2\nContent-Type: application/octet-stream; name=\"octets.bin\"\nContent-Transfer-Encoding: base64\n\
Content-Disposition: attachment; filename=\"octets.bin\"\n\n"
            .to_vec();
    const END: &[u8] = b"--=-2--\n";
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_usize;
    while message.len() + END.len() < length {
        for _ in 0..76 {
            // A sequence that does not repeat within a line, and is the same every time.
            state = (state * 75 + 74) % 65_537;
            message.push(LETTERS[state % LETTERS.len()]);
        }
        message.push(b'\n');
    }
    message.extend_from_slice(END);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_have_what_they_are_named_after() {
        let all = all();
        let message = |name: &str| all.iter().find(|(known, _)| *known == name).unwrap().1.as_slice();
        assert!(message("plain").windows(2).any(|pair| pair == b"\n\n"));
        let crlf = message("crlf");
        assert!(crlf.iter().enumerate().all(|(at, octet)| *octet != b'\n' || crlf[at - 1] == b'\r'));
        assert!(message("dots").ends_with(b"\n."));
        assert!(message("octets").contains(&0) && !message("octets").ends_with(b"\n"));
        assert!(message("empty").is_empty());
        assert!(std::str::from_utf8(message("latin-1")).is_err());
        assert!((400_000..400_200).contains(&message("long").len()));
    }
}

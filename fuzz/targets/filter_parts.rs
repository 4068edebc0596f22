//! Filters of parts: whatever a message is, and whatever they do to its parts and texts, nothing panics, and how a message
//! is cut makes no difference. One that changes nothing leaves every octet.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_transform::{ByPart, Choice, Edit, NewPart, Options, Part, PartFilter, run, run_cut};

/// What is put before a message, so that one of many parts is found soon.
const HEADS: [&str; 5] = [
    "",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n",
    "Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\n",
    "Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: quoted-printable\n\n",
];

#[derive(Clone)]
struct Told {
    /// 0: nothing is changed.
    number: u8,
    /// How many parts were asked about.
    asked: u8,
    copies: bool,
}

impl Told {
    fn next(&mut self) -> u8 {
        self.asked = self.asked.wrapping_mul(5).wrapping_add(self.number);
        if self.number == 0 { 0 } else { self.asked }
    }
}

impl PartFilter for Told {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let number: u8 = options.text("number")?.unwrap_or_default().parse().map_err(|_| "a number")?;
        Ok(Self { number, asked: 0, copies: number % 2 == 1 })
    }

    fn part(&mut self, part: &Part) -> Choice {
        let _ = (part.file_name(), part.is_attachment(), part.header("subject").map(|value| value.text()));
        match self.next() % 16 {
            1 => Choice::Copy,
            2 => Choice::Walk,
            3 | 4 => Choice::Text,
            5 => Choice::Drop,
            6 => Choice::Replace(NewPart::plain("gr\u{fc}n\n--b\n.\n")),
            7 => Choice::ReplaceAbove(8, NewPart::html("<b>\u{20ac}</b>\n\nFrom x")),
            _ => Choice::usual(part),
        }
    }

    fn text(&mut self, _part: &Part, text: &str) -> Edit {
        match self.next() % 4 {
            1 => Edit::Replace(format!("{text}\u{fc}\u{20ac}\n--b--\n")),
            2 => Edit::Utf8(text.to_uppercase()),
            3 => Edit::Replace(text.chars().rev().collect()),
            _ => Edit::Keep,
        }
    }

    fn copies_what_is_too_large(&self) -> bool {
        self.copies
    }
}

fuzz_target!(|input: (u8, u8, Vec<u8>, Vec<u8>)| {
    let (number, head, cuts, rest) = input;
    let message = [HEADS[usize::from(head) % HEADS.len()].as_bytes(), &rest].concat();
    let text = number.to_string();
    let options = [("number", text.as_str())];
    let whole = run::<ByPart<Told>>(&options, &message);
    if number == 0 {
        assert!(whole.is_err() || whole == Ok(message.clone()));
    }
    let cuts: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut % 64) + 1).collect();
    for cuts in [&cuts[..], &[1]] {
        if !cuts.is_empty() {
            assert_eq!(run_cut::<ByPart<Told>>(&options, &message, cuts), whole);
        }
    }
});

//! Filters of the header, against a slow twin: fields are kept, dropped, replaced, renamed and added, however a message is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_transform::{ByHeader, HeaderRewriter, Headers, Options, Rewrite, Value, run, run_cut};

/// What a value may be replaced by: what is right, and what a filter should not have said.
const VALUES: [&[u8]; 8] = [
    b"plain",
    b"",
    b" one\n two",
    b"one\r\ntwo\r\n\r\n\tthree\n\n",
    b"a\rb",
    b"\n\n",
    b"\xFF\x00: x\n",
    b" \t \r\n",
];

/// Names that a field may get; the last two cannot be one.
const NAMES: [&str; 4] = ["X-A", "!", "a b", ""];

/// What becomes of a field, by some octets of it, and what is added, by a number.
fn told(name: &[u8], value: &[u8]) -> Rewrite {
    let sum = name.iter().chain(value).fold(0_u8, |sum, octet| sum.wrapping_mul(31).wrapping_add(*octet));
    match sum % 8 {
        0..=3 => Rewrite::Keep,
        4 => Rewrite::Drop,
        5 | 6 => Rewrite::Replace(VALUES[usize::from(sum / 8) % VALUES.len()].to_vec()),
        // Names that cannot be are rare, for they end the message.
        _ => Rewrite::Rename(NAMES[if sum > 250 { usize::from(sum) % NAMES.len() } else { 0 }].to_owned()),
    }
}

fn added(number: u8) -> (Vec<&'static [u8]>, Vec<&'static [u8]>) {
    let value = |at: u8| VALUES[usize::from(at) % VALUES.len()];
    let first = (0..number % 3).map(value).collect();
    (first, (0..number / 3 % 3).map(|at| value(at + 3)).collect())
}

#[derive(Clone)]
struct Told {
    number: u8,
}

impl HeaderRewriter for Told {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let number = options.text("number")?.unwrap_or_default().parse();
        Ok(Self { number: number.map_err(|_| "a number")? })
    }

    fn header(&mut self, name: &str, value: Value<'_>) -> Rewrite {
        told(name.as_bytes(), value.raw())
    }

    fn end(&mut self, add: &mut Headers) {
        let (first, last) = added(self.number);
        first.iter().for_each(|value| add.prepend("X-First", value));
        last.iter().for_each(|value| add.add("X-Last", value));
    }
}

/// The same, line by line; none: a field cannot be.
fn twin(message: &[u8], number: u8) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = message.split_inclusive(|&octet| octet == b'\n').collect();
    let end = lines.iter().position(|line| [b"\n".as_slice(), b"\r\n"].contains(line)).unwrap_or(lines.len());
    let line_end = if end > 0 && lines[0].ends_with(b"\r\n") { "\r\n" } else { "\n" };
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in &lines[..end] {
        match fields.last_mut() {
            Some(last) if line[0] == b' ' || line[0] == b'\t' => last.extend_from_slice(line),
            _ => fields.push(line.to_vec()),
        }
    }
    let (first, last) = added(number);
    let mut written: Vec<Vec<u8>> = Vec::new();
    let is_from_line = fields.first().is_some_and(|it| {
        (it.starts_with(b"From ") || it.starts_with(b">From ")) && name_and_value(it).is_none()
    });
    if !is_from_line {
        written.extend(first.iter().map(|value| field("X-First", value, line_end)));
    }
    for (at, whole) in fields.iter().enumerate() {
        match name_and_value(whole).map(|(name, value)| (told(&name, &value), name, value)) {
            None | Some((Rewrite::Keep, ..)) => written.push(whole.clone()),
            Some((Rewrite::Drop, ..)) => {}
            Some((Rewrite::Replace(value), name, _)) => {
                written.push(field(std::str::from_utf8(&name).unwrap(), &value, line_end));
            }
            Some((Rewrite::Rename(name), ..)) => {
                if name.is_empty() || name.contains(' ') {
                    return None;
                }
                // From its colon on it stays as it stands.
                let colon = whole.iter().position(|&octet| octet == b':').unwrap();
                written.push([name.as_bytes(), &whole[colon..]].concat());
            }
        }
        if at == 0 && is_from_line {
            written.extend(first.iter().map(|value| field("X-First", value, line_end)));
        }
    }
    written.extend(last.iter().map(|value| field("X-Last", value, line_end)));
    let mut sent: Vec<u8> = Vec::new();
    for piece in written {
        if !sent.is_empty() && !sent.ends_with(b"\n") {
            sent.extend_from_slice(line_end.as_bytes());
        }
        sent.extend_from_slice(&piece);
    }
    sent.extend(lines[end..].concat());
    Some(sent)
}

/// The name of a field, and all that is behind its colon but for the last line end.
fn name_and_value(whole: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let line = whole.split_inclusive(|&octet| octet == b'\n').next()?;
    let colon = line.iter().position(|&octet| octet == b':')?;
    let name = line[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let mut value = whole[colon + 1..].to_vec();
    // A carriage return at the very end of the message is half of a line end.
    for octet in [b'\n', b'\r'] {
        if value.last() == Some(&octet) {
            value.pop();
        }
    }
    Some((name.to_vec(), value))
}

/// A field, each line of which but the first begins with a blank and holds something.
fn field(name: &str, value: &[u8], line_end: &str) -> Vec<u8> {
    let mut field = format!("{name}:").into_bytes();
    let lines: Vec<&[u8]> = value.trim_ascii_end().split(|&octet| octet == b'\n').collect();
    for (at, line) in lines.iter().enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if at > 0 && line.trim_ascii().is_empty() {
            continue;
        }
        if at > 0 {
            field.extend_from_slice(line_end.as_bytes());
        }
        if line.first().is_none_or(|octet| *octet != b' ' && *octet != b'\t') {
            field.push(b' ');
        }
        field.extend(line.iter().map(|octet| if *octet == b'\r' { b' ' } else { *octet }));
    }
    field.extend_from_slice(line_end.as_bytes());
    field
}

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (number, cuts, message) = input;
    let text = number.to_string();
    let options = [("number", text.as_str())];
    let whole = run::<ByHeader<Told>>(&options, &message);
    match (&whole, twin(&message, number)) {
        (Ok(sent), Some(expected)) => {
            assert_eq!(sent.escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
        (Err(_), None) => {}
        (whole, expected) => panic!("{whole:?} for {expected:?}"),
    }
    let cuts: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut % 32) + 1).collect();
    if !cuts.is_empty() {
        assert_eq!(run_cut::<ByHeader<Told>>(&options, &message, &cuts), whole);
    }
});

//! Octets as a dialogue writes them: escapes, repetitions, and places for what is not known beforehand.

use std::collections::BTreeMap;
use std::fmt;

/// What stands behind the names in braces.
pub(crate) type Names = BTreeMap<String, Vec<u8>>;

/// Octets with places in them.
pub(crate) struct Text {
    written: String,
    pieces: Vec<Piece>,
}

enum Piece {
    Octets(Vec<u8>),
    /// `{name}`: what is known by that name.
    Name(String),
    /// `{*}`: any octets; `{save name}`: any octets, known by that name from there on.
    Any(Option<String>),
}

impl Text {
    /// Reads `\r \n \t \0 \\ \{ \xNN`, `{text*count}`, `{name}`, `{*}` and `{save name}`.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut octets = Vec::new();
        let mut rest = written;
        while let Some(place) = rest.find(['\\', '{']) {
            octets.extend_from_slice(&rest.as_bytes()[..place]);
            rest = &rest[place..];
            if rest.starts_with('\\') {
                let (octet, length) = escape(rest)?;
                octets.push(octet);
                rest = &rest[length..];
                continue;
            }
            let end = closing(rest).ok_or("\"{\" without \"}\"")?;
            let inside = &rest[1..end];
            rest = &rest[end + 1..];
            if let Some((part, count)) = inside.rsplit_once('*').filter(|(part, _)| !part.is_empty()) {
                let count = count.parse().map_err(|_| format!("\"{count}\" is no count"))?;
                octets.extend(Self::parse(part)?.plain()?.repeat(count));
                continue;
            }
            pieces.push(Piece::Octets(std::mem::take(&mut octets)));
            pieces.push(match inside.strip_prefix("save ") {
                Some(name) => Piece::Any(Some(name.to_owned())),
                None if inside == "*" => Piece::Any(None),
                None => Piece::Name(inside.to_owned()),
            });
        }
        octets.extend_from_slice(rest.as_bytes());
        pieces.push(Piece::Octets(octets));
        Ok(Self { written: written.to_owned(), pieces })
    }

    /// The octets, where nothing in them is open.
    pub(crate) fn plain(&self) -> Result<Vec<u8>, String> {
        self.fill(&Names::new())
    }

    /// The octets, with each name replaced by what it stands for.
    pub(crate) fn fill(&self, names: &Names) -> Result<Vec<u8>, String> {
        let mut filled = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Octets(octets) => filled.extend_from_slice(octets),
                Piece::Name(name) => {
                    filled.extend_from_slice(names.get(name).ok_or(format!("nothing is called \"{name}\""))?);
                }
                Piece::Any(_) => return Err("\"{*}\" has no place here".to_owned()),
            }
        }
        Ok(filled)
    }

    /// Whether octets are these; keeps what is to be saved.
    pub(crate) fn matches(&self, octets: &[u8], names: &mut Names) -> bool {
        let mut saved = Vec::new();
        let fits = fits(&self.pieces, octets, names, &mut saved);
        names.extend(saved);
        fits
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.written)
    }
}

fn fits(pieces: &[Piece], octets: &[u8], names: &Names, saved: &mut Vec<(String, Vec<u8>)>) -> bool {
    let Some((piece, pieces)) = pieces.split_first() else { return octets.is_empty() };
    let expected = match piece {
        Piece::Octets(expected) => expected,
        Piece::Name(name) => match names.get(name) {
            Some(expected) => expected,
            None => return false,
        },
        Piece::Any(name) => {
            return (0..=octets.len()).any(|length| {
                let fits = fits(pieces, &octets[length..], names, saved);
                if let (true, Some(name)) = (fits, name) {
                    saved.push((name.clone(), octets[..length].to_vec()));
                }
                fits
            });
        }
    };
    octets.strip_prefix(expected.as_slice()).is_some_and(|octets| fits(pieces, octets, names, saved))
}

/// Where the brace is closed that is opened first.
fn closing(written: &str) -> Option<usize> {
    let mut depth = 0;
    let mut octets = written.bytes().enumerate();
    while let Some((place, octet)) = octets.next() {
        match octet {
            b'\\' => drop(octets.next()),
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(place),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The octet of an escape, and how long the escape is.
fn escape(written: &str) -> Result<(u8, usize), String> {
    let wrong = || format!("no escape: \"{}\"", written.chars().take(4).collect::<String>());
    Ok(match written.as_bytes().get(1).ok_or_else(wrong)? {
        b'r' => (b'\r', 2),
        b'n' => (b'\n', 2),
        b't' => (b'\t', 2),
        b'0' => (0, 2),
        b'\\' => (b'\\', 2),
        b'{' => (b'{', 2),
        b'x' => {
            let digits = written.get(2..4).ok_or_else(wrong)?;
            (u8::from_str_radix(digits, 16).map_err(|_| wrong())?, 4)
        }
        _ => return Err(wrong()),
    })
}

/// Octets for a reader: escaped, and not more than fit a line or two.
pub(crate) fn shown(octets: &[u8]) -> String {
    const SHOWN_MAX: usize = 160;
    let end = octets.len().min(SHOWN_MAX);
    let more = if end < octets.len() { format!("… ({} octets)", octets.len()) } else { String::new() };
    format!("\"{}\"{more}", octets[..end].escape_ascii())
}

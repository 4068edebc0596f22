//! Octets as lines of a body: as they are, in base64, in quoted-printable (RFC 2045, section 6).

use data_encoding::BASE64;

use crate::header::trim_line_end;

/// Longest line of an encoded body (RFC 2045, sections 6.7 and 6.8).
const ENCODED_LINE: usize = 76;

/// Where a part is written.
pub(super) struct Place<'walk> {
    pub(super) line_end: &'static [u8],
    /// It is a message, forwarded or not, and no part of one.
    pub(super) is_message: bool,
    /// What divides the parts that it is in, with the two hyphens.
    pub(super) boundaries: Vec<&'walk [u8]>,
}

impl Place<'_> {
    /// Whether one of these lines may be taken for a delimiter: what begins with a boundary is enough for some programs
    /// (RFC 2046, section 5.1.1).
    pub(super) fn divides(&self, octets: &[u8]) -> bool {
        let mut lines = octets.split(|&octet| octet == b'\n');
        lines.any(|line| self.boundaries.iter().any(|boundary| line.starts_with(boundary)))
    }
}

/// Octets with these line ends: LF and CRLF are ends, CR alone is none.
pub(super) fn with_line_ends(octets: &[u8], line_end: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let content = trim_line_end(line);
        if line.ends_with(b"\n") {
            lines.extend_from_slice(content);
            lines.extend_from_slice(line_end);
        } else {
            lines.extend_from_slice(line);
        }
    }
    lines
}

/// Base64 in lines.
pub(super) fn base64_lines(octets: &[u8], line_end: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in octets.chunks(ENCODED_LINE / 4 * 3) {
        lines.extend_from_slice(BASE64.encode(line).as_bytes());
        lines.extend_from_slice(line_end);
    }
    lines
}

/// Quoted-printable: a LF ends a line, and a CR before it belongs to that end.
pub(super) fn quoted_printable_lines(octets: &[u8], line_end: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut lines = Vec::with_capacity(octets.len() * 2);
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let has_end = line.ends_with(b"\n");
        let content = if has_end { trim_line_end(line) } else { line };
        let mut column = 0;
        for (at, &octet) in content.iter().enumerate() {
            let is_last = at + 1 == content.len();
            let is_plain = |column| match octet {
                b' ' | b'\t' => !is_last,
                // Some programs take a leading "From " for another message, and "." for an end; "--" may begin a delimiter.
                b'.' | b'F' | b'-' => column > 0,
                _ => octet.is_ascii_graphic() && octet != b'=',
            };
            let size = if is_plain(column) { 1 } else { 3 };
            if column + size > ENCODED_LINE - 1 {
                lines.extend_from_slice(b"=");
                lines.extend_from_slice(line_end);
                column = 0;
            }
            if is_plain(column) {
                lines.push(octet);
                column += 1;
            } else {
                lines.extend([b'=', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
                column += 3;
            }
        }
        if has_end {
            lines.extend_from_slice(line_end);
        }
    }
    lines
}

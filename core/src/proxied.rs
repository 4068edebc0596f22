//! The header of the PROXY protocol, in which a balancer says for whom it speaks (haproxy's proxy-protocol.txt, versions
//! 1 and 2). It is found by its length here, and read by a library once it is whole.

use std::net::SocketAddr;

use memchr::memchr;
use ppp::{v1, v2};

/// Longest header that is read: one of version 2 with some further values, which nobody looks at.
pub const HEADER_MAX: usize = 1024;

/// Longest header of version 1, its CRLF included.
const TEXT_MAX: usize = 107;

/// What a header of version 1 begins with.
const TEXT_PREFIX: &[u8] = b"PROXY ";

/// What one begins with that says nothing of a client. Up to its CRLF anything may follow, and is passed over.
const UNKNOWN_PREFIX: &[u8] = b"PROXY UNKNOWN";

/// Octets of a header of version 2 before its addresses: signature, command, family, length.
const FIXED: usize = 16;
const _: () = assert!(TEXT_MAX <= HEADER_MAX && FIXED < HEADER_MAX, "each version fits");

/// The version and the command of a header of version 2 whose connection is the balancer's own.
const LOCAL: u8 = 0x20;

/// What octets at the beginning of a connection are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// The beginning of a header, or nothing.
    Incomplete,
    /// A header of so many octets, and whose connection it is; none: the balancer's own (LOCAL, UNKNOWN).
    Whole {
        /// Octets of the header.
        length: usize,
        /// The client.
        client: Option<SocketAddr>,
    },
    /// Anything else, or a header that is longer than `HEADER_MAX`.
    Garbage,
}

impl Header {
    /// Reads what octets begin with.
    #[must_use]
    pub fn read(octets: &[u8]) -> Self {
        if is_beginning(octets, v2::PROTOCOL_PREFIX) {
            Self::read_binary(octets).unwrap_or(Self::Incomplete)
        } else if is_beginning(octets, TEXT_PREFIX) {
            Self::read_text(octets)
        } else {
            Self::Garbage
        }
    }

    /// None: it is not whole.
    fn read_binary(octets: &[u8]) -> Option<Self> {
        let &[.., command, _family, high, low] = octets.get(..FIXED)? else { return None };
        let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
        if length > HEADER_MAX {
            return Some(Self::Garbage);
        }
        let header = octets.get(..length)?;
        if command == LOCAL {
            // What follows is thrown away, its family included, whether it makes sense or not (section 2.2).
            return Some(Self::Whole { length, client: None });
        }
        let Ok(v2::Header { command, protocol, addresses, .. }) = v2::Header::try_from(header) else {
            return Some(Self::Garbage);
        };
        let client = match (command, protocol, addresses) {
            (v2::Command::Local, _, _) => None,
            // Nobody speaks POP3 so.
            (v2::Command::Proxy, v2::Protocol::Datagram, _) => return Some(Self::Garbage),
            (v2::Command::Proxy, _, v2::Addresses::IPv4(it)) => {
                Some((it.source_address, it.source_port).into())
            }
            (v2::Command::Proxy, _, v2::Addresses::IPv6(it)) => {
                Some((it.source_address, it.source_port).into())
            }
            (v2::Command::Proxy, _, v2::Addresses::Unix(_) | v2::Addresses::Unspecified) => None,
        };
        Some(Self::Whole { length, client })
    }

    fn read_text(octets: &[u8]) -> Self {
        let window = octets.get(..TEXT_MAX).unwrap_or(octets);
        let Some(end) = memchr(b'\n', window) else {
            return if window.len() < TEXT_MAX { Self::Incomplete } else { Self::Garbage };
        };
        let length = end + 1;
        if let Some(b"\r\n" | [b' ', .., b'\r', b'\n']) = window[..length].strip_prefix(UNKNOWN_PREFIX) {
            return Self::Whole { length, client: None };
        }
        // The library takes a sign before a port, where there are to be digits only.
        if memchr(b'+', &window[..length]).is_some() {
            return Self::Garbage;
        }
        let Ok(v1::Header { addresses, .. }) = v1::Header::try_from(&window[..length]) else {
            return Self::Garbage;
        };
        let client = match addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(it) => Some((it.source_address, it.source_port).into()),
            v1::Addresses::Tcp6(it) => Some((it.source_address, it.source_port).into()),
        };
        Self::Whole { length, client }
    }
}

/// Whether octets begin with a prefix, or are the beginning of it.
fn is_beginning(octets: &[u8], prefix: &[u8]) -> bool {
    octets.iter().zip(prefix).all(|(octet, expected)| octet == expected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn binary(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, payload].concat()
    }

    fn four(port: u8) -> Vec<u8> {
        vec![192, 0, 2, 7, 198, 51, 100, 1, 0, port, 0, 110]
    }

    fn whole(octets: &[u8], client: Option<&str>) -> Header {
        Header::Whole { length: octets.len(), client: client.map(|client| client.parse().unwrap()) }
    }

    /// Headers, and what they are.
    fn headers() -> Vec<(Vec<u8>, Header)> {
        let six = [&[0x20, 1, 0x0D, 0xB8][..], &[0; 11], &[7], &[0; 16], &[1, 0, 0, 110]].concat();
        let with_more = [four(9), vec![4, 0, 3, 1, 2, 3]].concat();
        let long = [four(9), vec![0; HEADER_MAX]].concat();
        let text = |octets: usize, end: &str| {
            let padding = "x".repeat(octets - "PROXY UNKNOWN ".len() - end.len());
            format!("PROXY UNKNOWN {padding}{end}").into_bytes()
        };
        [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 110\r\n".to_vec(), Some("192.0.2.7:50000")),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 110\r\n".to_vec(), Some("[2001:db8::7]:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN 192.0.2.7 anything at all\r\n".to_vec(), None),
            (b"PROXY UNKNOWN \r\n".to_vec(), None),
            (b"PROXY UNKNOWN  a b c d e f \xFF\0\r \r\n".to_vec(), None),
            (text(TEXT_MAX - 1, "\r\n"), None),
            (text(TEXT_MAX, "\r\n"), None),
            (binary(0x21, 0x11, &four(9)), Some("192.0.2.7:9")),
            (binary(0x21, 0x11, &with_more), Some("192.0.2.7:9")),
            (binary(0x21, 0x21, &six), Some("[2001:db8::7]:256")),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x20, 0x11, &four(9)), None),
            (binary(0x20, 0x11, &[]), None),
            (binary(0x20, 0x55, b"xyz"), None),
            (binary(0x21, 0x00, &[]), None),
            (binary(0x21, 0x31, &[b'/'; 216]), None),
        ]
        .into_iter()
        .map(|(octets, client)| (octets.clone(), whole(&octets, client)))
        .chain(
            [
                b"USER user\r\n".to_vec(),
                b"PROXY\r\n".to_vec(),
                b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 110\n".to_vec(),
                b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 70000\r\n".to_vec(),
                b"PROXY TCP4 192.0.2.7 198.51.100.1 +50000 110\r\n".to_vec(),
                b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 +110\r\n".to_vec(),
                b"PROXY TCP4 2001:db8::7 2001:db8::1 1 110\r\n".to_vec(),
                b"PROXY UDP4 192.0.2.7 198.51.100.1 50000 110\r\n".to_vec(),
                b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 110 more\r\n".to_vec(),
                [b"PROXY UNKNOWN ", &[b'x'; TEXT_MAX][..]].concat(),
                b"PROXY UNKNOWNX\r\n".to_vec(),
                b"PROXY UNKNOWN\n".to_vec(),
                b"PROXY UNKNOWN x\n".to_vec(),
                text(TEXT_MAX + 1, "\r\n"),
                text(TEXT_MAX - 1, "\n"),
                text(TEXT_MAX, "\n"),
                text(TEXT_MAX + 1, "\n"),
                text(TEXT_MAX, ""),
                binary(0x31, 0x11, &four(9)),
                binary(0x22, 0x11, &four(9)),
                binary(0x21, 0x12, &four(9)),
                binary(0x21, 0x11, &four(9)[..11]),
                binary(0x21, 0x11, &long),
            ]
            .map(|octets| (octets, Header::Garbage)),
        )
        .collect()
    }

    #[test]
    fn a_header_is_read_and_what_follows_is_left() {
        for (octets, expected) in headers() {
            assert_eq!(Header::read(&octets), expected, "{}", octets.escape_ascii());
            let followed = [&octets[..], b"USER user\r\n"].concat();
            assert_eq!(Header::read(&followed), expected, "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn a_header_that_was_cut_is_incomplete_wherever_it_was() {
        for (octets, expected) in headers() {
            let Header::Whole { length, .. } = expected else { continue };
            for end in 0..length {
                assert_eq!(
                    Header::read(&octets[..end]),
                    Header::Incomplete,
                    "{}",
                    octets[..end].escape_ascii()
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_octets_are_read_beyond_what_there_is(
            octets in prop::collection::vec(any::<u8>(), 0..200),
            begins in 0..3_usize,
        ) {
            let octets = [[SIGNATURE, TEXT_PREFIX, b""][begins], &octets].concat();
            match Header::read(&octets) {
                Header::Whole { length, .. } => prop_assert!(length <= octets.len()),
                Header::Incomplete => prop_assert!(octets.len() < FIXED + usize::from(u16::MAX)),
                Header::Garbage => {}
            }
        }
    }
}

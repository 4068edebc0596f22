//! POP3 commands: a line is either one of them with good arguments, or malformed (RFC 1939, sections 3 to 7).
//!
//! Strict, so that no two readers of one line differ: one space between words, printable ASCII only but for names, which
//! may be UTF-8 (RFC 6856, section 2.2), numbers of digits only. White space at the end of a line is forgiven, but it is
//! part of a password.

use memchr::memchr;

use crate::number::MessageNumber;

/// A well-formed command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command<'a> {
    /// USER name.
    User(&'a [u8]),
    /// PASS and the rest of the line, spaces included.
    Pass(&'a [u8]),
    /// APOP name digest.
    Apop {
        /// The name of the maildrop.
        name: &'a [u8],
        /// The digest, from its 32 hexadecimal digits.
        digest: [u8; 16],
    },
    /// AUTH (RFC 5034, section 4).
    Auth {
        /// The mechanism; none: which ones there are is asked.
        mechanism: Option<&'a [u8]>,
        /// The initial response, encoded.
        initial: Option<&'a [u8]>,
    },
    /// CAPA (RFC 2449, section 5).
    Capa,
    /// STLS (RFC 2595, section 4).
    Stls,
    /// UTF8 (RFC 6856, section 2.1).
    Utf8,
    /// LANG, with the language range; none: which languages there are is asked (RFC 6856, section 3.2).
    Lang(Option<&'a [u8]>),
    /// STAT.
    Stat,
    /// LIST, of all messages or of one.
    List(Option<MessageNumber>),
    /// UIDL, of all messages or of one.
    Uidl(Option<MessageNumber>),
    /// RETR message-number.
    Retr(MessageNumber),
    /// TOP message-number lines.
    Top {
        /// Which message.
        number: MessageNumber,
        /// How many lines of its body; a larger number is the largest here.
        lines: u32,
    },
    /// DELE message-number.
    Dele(MessageNumber),
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Longer than a line may be.
    TooLong,
    /// No keyword that is known here.
    Unknown,
    /// An octet that may not be in a command.
    Octet,
    /// An argument is missing.
    Missing,
    /// There is an argument too many, or white space where none belongs.
    Excess,
    /// An argument that should be a message-number is none.
    MessageNumber,
    /// An argument that should be a number of lines is none.
    Lines,
    /// An argument that should be a digest is none.
    Digest,
}

/// The first word of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keyword {
    User,
    Pass,
    Apop,
    Auth,
    Capa,
    Stls,
    Utf8,
    Lang,
    Stat,
    List,
    Uidl,
    Retr,
    Top,
    Dele,
    Rset,
    Noop,
    Quit,
}

impl<'a> Command<'a> {
    /// Reads a command from its line, without the line end.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let (keyword, rest) = split(line);
        let keyword = Keyword::parse(keyword).ok_or(Malformed::Unknown)?;
        if keyword == Keyword::Pass {
            return password(rest.unwrap_or_default()).map(Self::Pass);
        }
        let is_fine = match keyword {
            Keyword::User | Keyword::Apop => is_text(line),
            _ => line.iter().all(|octet| matches!(octet, b' '..=b'~')),
        };
        if !is_fine {
            return Err(Malformed::Octet);
        }
        let arguments = rest.unwrap_or_default().trim_ascii_end();
        match keyword {
            // Answered above.
            Keyword::Pass => Err(Malformed::Octet),
            Keyword::User => one(arguments).map(Self::User),
            Keyword::Apop => {
                let (name, digest) = two(arguments)?;
                Ok(Self::Apop { name, digest: parse_digest(digest).ok_or(Malformed::Digest)? })
            }
            Keyword::Auth => auth(arguments),
            Keyword::Capa => none(arguments, Self::Capa),
            Keyword::Stls => none(arguments, Self::Stls),
            Keyword::Utf8 => none(arguments, Self::Utf8),
            Keyword::Lang if arguments.is_empty() => Ok(Self::Lang(None)),
            Keyword::Lang => one(arguments).map(|range| Self::Lang(Some(range))),
            Keyword::Stat => none(arguments, Self::Stat),
            Keyword::List => optional_number(arguments).map(Self::List),
            Keyword::Uidl => optional_number(arguments).map(Self::Uidl),
            Keyword::Retr => number(one(arguments)?).map(Self::Retr),
            Keyword::Top => {
                let (argument, lines) = two(arguments)?;
                Ok(Self::Top {
                    number: number(argument)?,
                    lines: parse_lines(lines).ok_or(Malformed::Lines)?,
                })
            }
            Keyword::Dele => number(one(arguments)?).map(Self::Dele),
            Keyword::Rset => none(arguments, Self::Rset),
            Keyword::Noop => none(arguments, Self::Noop),
            Keyword::Quit => none(arguments, Self::Quit),
        }
    }
}

impl Malformed {
    /// What the client is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "line too long",
            Self::Unknown => "unknown command",
            Self::Octet => "octet not allowed in a command",
            Self::Missing => "argument missing",
            Self::Excess => "too many arguments",
            Self::MessageNumber => "not a message-number",
            Self::Lines => "not a number of lines",
            Self::Digest => "not a digest",
        }
    }
}

impl Keyword {
    /// Reads a keyword, in upper or lower case.
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        const KEYWORDS: [(&[u8], Keyword); 17] = [
            (b"USER", Keyword::User),
            (b"PASS", Keyword::Pass),
            (b"APOP", Keyword::Apop),
            (b"AUTH", Keyword::Auth),
            (b"CAPA", Keyword::Capa),
            (b"STLS", Keyword::Stls),
            (b"UTF8", Keyword::Utf8),
            (b"LANG", Keyword::Lang),
            (b"STAT", Keyword::Stat),
            (b"LIST", Keyword::List),
            (b"UIDL", Keyword::Uidl),
            (b"RETR", Keyword::Retr),
            (b"TOP", Keyword::Top),
            (b"DELE", Keyword::Dele),
            (b"RSET", Keyword::Rset),
            (b"NOOP", Keyword::Noop),
            (b"QUIT", Keyword::Quit),
        ];
        KEYWORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|&(_, keyword)| keyword)
    }
}

/// The first word of a line, and what follows the space behind it.
pub(super) fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(space) = memchr(b' ', line) else { return (line, None) };
    (line.get(..space).unwrap_or_default(), line.get(space + 1..))
}

/// Whether a line is UTF-8 without control characters (RFC 6856, section 2.2: what is no UTF-8 is no name).
fn is_text(line: &[u8]) -> bool {
    core::str::from_utf8(line).is_ok_and(|line| !line.contains(char::is_control))
}

/// A password may have any octet but NUL, which ends it for others who read it, and CR.
fn password(rest: &[u8]) -> Result<&[u8], Malformed> {
    if rest.is_empty() {
        return Err(Malformed::Missing);
    }
    if rest.iter().any(|octet| matches!(octet, b'\0' | b'\r')) {
        return Err(Malformed::Octet);
    }
    Ok(rest)
}

fn none<'a>(arguments: &[u8], command: Command<'a>) -> Result<Command<'a>, Malformed> {
    if arguments.is_empty() { Ok(command) } else { Err(Malformed::Excess) }
}

fn one(arguments: &[u8]) -> Result<&[u8], Malformed> {
    match split(arguments) {
        ([], None) => Err(Malformed::Missing),
        (argument, None) => Ok(argument),
        (_, Some(_)) => Err(Malformed::Excess),
    }
}

fn two(arguments: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    match split(arguments) {
        ([], Some(_)) => Err(Malformed::Excess),
        (first, Some(rest)) => Ok((first, one(rest)?)),
        (_, None) => Err(Malformed::Missing),
    }
}

fn auth(arguments: &[u8]) -> Result<Command<'_>, Malformed> {
    let (mechanism, initial) = match split(arguments) {
        ([], None) => (None, None),
        ([], Some(_)) => return Err(Malformed::Excess),
        (mechanism, None) => (Some(mechanism), None),
        (mechanism, Some(rest)) => (Some(mechanism), Some(one(rest)?)),
    };
    Ok(Command::Auth { mechanism, initial })
}

fn number(argument: &[u8]) -> Result<MessageNumber, Malformed> {
    MessageNumber::parse(argument).ok_or(Malformed::MessageNumber)
}

fn optional_number(arguments: &[u8]) -> Result<Option<MessageNumber>, Malformed> {
    if arguments.is_empty() {
        return Ok(None);
    }
    number(one(arguments)?).map(Some)
}

/// Digits only; what is too large for the type is as good as its largest value.
fn parse_lines(argument: &[u8]) -> Option<u32> {
    argument.iter().try_fold(0_u32, |lines, octet| {
        let digit = octet.is_ascii_digit().then(|| u32::from(octet - b'0'))?;
        Some(lines.saturating_mul(10).saturating_add(digit))
    })
}

fn parse_digest(argument: &[u8]) -> Option<[u8; 16]> {
    let (pairs, []) = argument.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
    let mut digest = [0; 16];
    for (octet, &[high, low]) in digest.iter_mut().zip(pairs) {
        *octet = parse_hexadecimal(high)? << 4 | parse_hexadecimal(low)?;
    }
    Some(digest)
}

fn parse_hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u32) -> MessageNumber {
        MessageNumber::from_index(value - 1).unwrap()
    }

    #[test]
    fn keywords_are_read_in_any_case() {
        for line in ["NOOP", "noop", "NoOp"] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(Command::Noop));
        }
        assert_eq!(Command::parse(b"tOp 1 0"), Ok(Command::Top { number: number(1), lines: 0 }));
    }

    #[test]
    fn auth_has_a_mechanism_and_an_initial_response_or_neither() {
        let auth = |mechanism, initial| Ok(Command::Auth { mechanism, initial });
        assert_eq!(Command::parse(b"AUTH"), auth(None, None));
        assert_eq!(Command::parse(b"auth "), auth(None, None));
        assert_eq!(Command::parse(b"AUTH PLAIN"), auth(Some(b"PLAIN"), None));
        assert_eq!(Command::parse(b"AUTH PLAIN ="), auth(Some(b"PLAIN"), Some(b"=")));
        for line in ["AUTH PLAIN a b", "AUTH  PLAIN", "AUTH PLAIN  ="] {
            assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::Excess), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_keyword_is_unknown() {
        for line in
            ["", " ", " NOOP", "NOO", "NOOPS", "RETR1", "STLSX", "AUTHPLAIN", "PASSsecret", "NOOP\t", "\0"]
        {
            assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::Unknown), "{line:?}");
        }
    }

    #[test]
    fn every_command_wants_the_arguments_it_has() {
        for keyword in ["CAPA", "STAT", "RSET", "NOOP", "QUIT", "UTF8"] {
            let line = [keyword.as_bytes(), b" 1"].concat();
            assert_eq!(Command::parse(&line), Err(Malformed::Excess), "{keyword}");
        }
        for keyword in
            ["USER", "PASS", "APOP", "RETR", "TOP", "DELE", "PASS ", "USER  ", "TOP 1", "TOP 1 ", "APOP a"]
        {
            assert_eq!(Command::parse(keyword.as_bytes()), Err(Malformed::Missing), "{keyword}");
        }
        for line in [
            "USER a b",
            "RETR 1 2",
            "DELE 1 2",
            "LIST 1 2",
            "UIDL 1 2",
            "TOP 1 2 3",
            "APOP a b c",
            "LANG a b",
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::Excess), "{line}");
        }
    }

    #[test]
    fn one_space_is_between_words_and_any_at_the_end() {
        for line in ["RETR  1", "TOP  1 2", "TOP 1  2", "USER  a", "LIST  1"] {
            assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::Excess), "{line}");
        }
        assert_eq!(Command::parse(b"NOOP  "), Ok(Command::Noop));
        assert_eq!(Command::parse(b"LIST "), Ok(Command::List(None)));
        assert_eq!(Command::parse(b"RETR 1 "), Ok(Command::Retr(number(1))));
        assert_eq!(Command::parse(b"USER a "), Ok(Command::User(b"a")));
    }

    #[test]
    fn message_numbers_are_digits_and_fit() {
        for argument in ["0", "-1", "+1", "one", "1.", "4294967296", "4294967297"] {
            for keyword in ["RETR", "DELE", "LIST", "UIDL"] {
                let line = [keyword, argument].join(" ");
                assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::MessageNumber), "{line}");
            }
        }
    }

    #[test]
    fn a_huge_number_of_lines_is_the_largest() {
        for (argument, lines) in [
            ("0", 0),
            ("00", 0),
            ("4294967295", u32::MAX),
            ("4294967296", u32::MAX),
            ("99999999999999999999", u32::MAX),
        ] {
            let line = ["TOP 1", argument].join(" ");
            assert_eq!(Command::parse(line.as_bytes()), Ok(Command::Top { number: number(1), lines }));
        }
        for argument in ["-1", "+1", "x", "1x"] {
            let line = ["TOP 1", argument].join(" ");
            assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::Lines), "{line}");
        }
    }

    #[test]
    fn a_password_is_the_rest_of_the_line() {
        for password in ["secret", " ", " two words ", "with\ttab", "gr\u{fc}n", ":"] {
            let line = ["PASS", password].join(" ");
            assert_eq!(Command::parse(line.as_bytes()), Ok(Command::Pass(password.as_bytes())));
        }
        assert_eq!(Command::parse(b"PASS \xff\x80"), Ok(Command::Pass(b"\xff\x80")));
    }

    #[test]
    fn nul_and_cr_are_in_no_command() {
        for line in [
            "PASS secret\0x",
            "PASS secret\r",
            "USER user\0x",
            "USER us\rer",
            "RETR 1\0",
            "LIST \u{fc}",
            "LANG \u{fc}",
            "USER a\t",
            "USER a\u{85}",
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::Octet), "{line:?}");
        }
        // A surrogate, an overlong form, and half a character.
        for name in [&b"\xFF"[..], b"\xED\xA0\x80", b"\xC1\xA1", b"\xC3"] {
            assert_eq!(Command::parse(&[b"USER ", name].concat()), Err(Malformed::Octet));
        }
        assert_eq!(Command::parse("USER \u{fc}".as_bytes()), Ok(Command::User("\u{fc}".as_bytes())));
    }

    #[test]
    fn a_digest_is_32_hexadecimal_digits() {
        let line = b"APOP mrose c4c9334bac560ecc979e58001b3e22fb";
        let digest =
            [0xc4, 0xc9, 0x33, 0x4b, 0xac, 0x56, 0x0e, 0xcc, 0x97, 0x9e, 0x58, 0x00, 0x1b, 0x3e, 0x22, 0xfb];
        assert_eq!(Command::parse(line), Ok(Command::Apop { name: b"mrose", digest }));
        for digest in [
            "c4",
            "c4c9334bac560ecc979e58001b3e22f",
            "c4c9334bac560ecc979e58001b3e22fg",
            "c4c9334bac560ecc979e58001b3e22fb00",
        ] {
            let line = ["APOP mrose", digest].join(" ");
            assert_eq!(Command::parse(line.as_bytes()), Err(Malformed::Digest), "{digest}");
        }
    }
}

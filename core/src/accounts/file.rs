//! The accounts file: a line for each account, `user:{SCHEME}secret`; empty lines and those that begin with "#" are
//! left out.

use std::fmt;

use super::scheme::SchemeError;
use super::{NAME_RULE, UserName};

/// Longest line in octets.
pub const LINE_MAX: usize = 1024;

/// Why a line is no account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineError {
    /// More than `LINE_MAX` octets.
    TooLong,
    /// There is no ":".
    NoSecret,
    /// The name could not be a folder's.
    BadName,
    /// Another line of the file is of the same user.
    Twice,
    /// The secret cannot be kept.
    Secret(SchemeError),
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "a line has at most {LINE_MAX} octets"),
            Self::NoSecret => formatter.write_str("no \":\"; an account is written user:{SCHEME}secret"),
            Self::BadName => formatter.write_str(NAME_RULE),
            Self::Twice => formatter.write_str("this user has a line further up; keep one of them"),
            Self::Secret(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for LineError {}

/// Reads a line without its end; none where it says nothing.
///
/// # Errors
/// Where it is no account. Whether the secret can be kept is not looked at.
pub fn parse_line(line: &[u8]) -> Result<Option<(UserName, &[u8])>, LineError> {
    if line.len() > LINE_MAX {
        return Err(LineError::TooLong);
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let colon = line.iter().position(|&octet| octet == b':').ok_or(LineError::NoSecret)?;
    let name = UserName::parse(&line[..colon]).ok_or(LineError::BadName)?;
    Ok(Some((name, &line[colon + 1..])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_an_account_or_nothing_or_wrong() {
        let parsed = parse_line(b"user@example.org:{PLAIN}a:b ").unwrap().unwrap();
        assert_eq!((parsed.0.as_str(), parsed.1), ("user@example.org", &b"{PLAIN}a:b "[..]));
        for nothing in ["", "  ", "# a comment", "\r"] {
            assert_eq!(parse_line(nothing.as_bytes()), Ok(None));
        }
        assert_eq!(parse_line(b"user"), Err(LineError::NoSecret));
        assert_eq!(parse_line(b"../user:{PLAIN}x"), Err(LineError::BadName));
        assert_eq!(parse_line(b":{PLAIN}x"), Err(LineError::BadName));
        assert_eq!(parse_line(b"\xFF:x"), Err(LineError::BadName));
        assert_eq!(parse_line(&[b'x'; LINE_MAX + 1]), Err(LineError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(name in "[a-z0-9@+_-][a-z0-9@.+_-]{0,20}", secret in "\\PC{0,40}") {
            let line = format!("{name}:{secret}\r");
            let (user, read) = parse_line(line.as_bytes()).unwrap().unwrap();
            prop_assert_eq!((user.as_str(), read), (name.as_str(), secret.as_bytes()));
        }

        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..LINE_MAX + 2)) {
            let _ = parse_line(&line);
        }
    }
}

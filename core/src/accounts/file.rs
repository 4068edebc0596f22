//! The accounts file: a line for each account, `user:{SCHEME}secret`; empty lines and those that begin with "#" are
//! left out.

use std::fmt;

use super::UserName;
use super::scheme::SchemeError;

/// Longest line in octets.
pub const LINE_MAX: usize = 1024;

/// Why a line is no account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineError {
    /// More than `LINE_MAX` octets, or not UTF-8.
    NotText,
    /// There is no ":".
    NoSecret,
    /// The name could not be a folder's.
    BadName,
    /// The secret cannot be kept.
    Secret(SchemeError),
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => formatter.write_str("not a line of UTF-8 text of at most 1024 octets"),
            Self::NoSecret => formatter.write_str("no \":\", an account is user:{SCHEME}secret"),
            Self::BadName => {
                formatter.write_str("a user name has 1 to 128 octets, no \"/\" and no leading \".\"")
            }
            Self::Secret(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for LineError {}

/// Reads a line without its end; none where it says nothing.
///
/// # Errors
/// Where it is no account. Whether the secret can be kept is not looked at.
pub fn parse_line(line: &[u8]) -> Result<Option<(UserName, &str)>, LineError> {
    if line.len() > LINE_MAX {
        return Err(LineError::NotText);
    }
    let line = std::str::from_utf8(line).map_err(|_| LineError::NotText)?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, secret) = line.split_once(':').ok_or(LineError::NoSecret)?;
    let name = UserName::parse(name.as_bytes()).ok_or(LineError::BadName)?;
    Ok(Some((name, secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_account_or_nothing_or_wrong() {
        let parsed = parse_line(b"user@example.org:{PLAIN}a:b ").unwrap().unwrap();
        assert_eq!((parsed.0.as_str(), parsed.1), ("user@example.org", "{PLAIN}a:b "));
        for nothing in ["", "  ", "# a comment", "\r"] {
            assert_eq!(parse_line(nothing.as_bytes()), Ok(None));
        }
        assert_eq!(parse_line(b"user"), Err(LineError::NoSecret));
        assert_eq!(parse_line(b"../user:{PLAIN}x"), Err(LineError::BadName));
        assert_eq!(parse_line(b":{PLAIN}x"), Err(LineError::BadName));
        assert_eq!(parse_line(b"\xFF:x"), Err(LineError::NotText));
        assert_eq!(parse_line(&[b'x'; LINE_MAX + 1]), Err(LineError::NotText));
    }
}

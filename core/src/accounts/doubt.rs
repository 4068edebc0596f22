//! Passwords that stand somewhere in plain, and with which something is wrong that stops nobody but their users.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroize;

use super::file::{self, parse_line};
use super::hashed::{decoded, is_plain, split_scheme};
use super::{UserName, is_prohibited};

/// What is wrong with a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// It is empty.
    Empty,
    /// It is no UTF-8, or has a character that none may have: it is refused wherever it is sent.
    Prohibited,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "is empty: whoever knows the name can log in",
            Self::Prohibited => {
                "is refused wherever it is sent (PASS, PLAIN, LOGIN): it is no UTF-8, or has a character that SASLprep prohibits"
            }
        })
    }
}

impl Doubt {
    /// What is wrong with a password; none: nothing is.
    #[must_use]
    pub fn of(password: &[u8]) -> Option<Self> {
        if password.is_empty() {
            return Some(Self::Empty);
        }
        is_prohibited(password).then_some(Self::Prohibited)
    }

    /// What is wrong with the password in `{SCHEME}secret`; none: nothing is, or it is not known.
    #[must_use]
    pub fn of_stored(stored: &[u8]) -> Option<Self> {
        let (scheme, secret) = split_scheme(stored)?;
        let (scheme, secret) = decoded(scheme, secret).ok()?;
        let doubt = is_plain(scheme).then(|| Self::of(&secret)).flatten();
        if let Cow::Owned(mut decoded) = secret {
            decoded.zeroize();
        }
        doubt
    }
}

/// The passwords of an accounts file with which something is wrong: the number of the line, from 1, whose it is, and its name where
/// a program has it.
pub fn doubts_of_file(text: &[u8]) -> impl Iterator<Item = (usize, UserName, Option<&str>, Doubt)> {
    let lines = (1..).zip(text.split(|&octet| octet == b'\n'));
    lines.filter_map(|(number, line)| Some((number, parse_line(line).ok()??))).flat_map(|(number, line)| {
        let own = match line.secret {
            file::Secret::Stored(stored) => Some((None, stored)),
            file::Secret::Anything | file::Secret::Locked => None,
        };
        let secrets = own.into_iter().chain(line.apps.into_iter().map(|(name, stored)| (Some(name), stored)));
        let user = line.user;
        secrets.filter_map(move |(app, stored)| Some((number, user.clone(), app, Doubt::of_stored(stored)?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_password_in_a_file_is_found_and_hashes_are_passed_over() {
        let text = b"ann:{PLAIN}right\n# none\nbob:{PLAIN}\ncarl:{PLAIN}\xFC::::::app.tv={CLEAR} app.phone={PLAIN}x\n\
            dora:{PLAIN.b64}7oCA\neve:$6$x$y\nfinn:{ARGON2ID}\nno line\ngil:::::::nopassword\nhal:*\njo:{NONE}\n";
        let found: Vec<_> = doubts_of_file(text).collect();
        let name = |name: &str| UserName::parse(name.as_bytes()).unwrap();
        assert_eq!(
            found,
            [
                (3, name("bob"), None, Doubt::Empty),
                (4, name("carl"), None, Doubt::Prohibited),
                (4, name("carl"), Some("tv"), Doubt::Empty),
                (5, name("dora"), None, Doubt::Prohibited),
            ]
        );
        assert_eq!(Doubt::of("gr\u{fc}n".as_bytes()), None);
        assert_eq!(Doubt::of_stored(b"plain"), None, "there is no scheme");
    }
}

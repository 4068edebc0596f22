//! Passwords that stand somewhere in plain, and with which something is wrong that stops nobody but their users.

use std::fmt;

use super::file::{Line, Secret};
use super::hashed::told_password;
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
        Self::of(told_password(stored)?.octets())
    }
}

/// Most of one accounts file that are told one by one.
const TOLD_MAX: usize = 10;

/// The passwords of an accounts file with which something is wrong.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Doubts {
    /// The first of them, in the order of the file.
    pub first: Vec<Doubted>,
    /// How many there are behind those.
    pub further: usize,
}

/// One of them.
#[derive(Debug, Eq, PartialEq)]
pub struct Doubted {
    /// The number of its line, from 1.
    pub line: usize,
    /// Whose it is.
    pub user: UserName,
    /// Its name, where a program has it.
    pub app: Option<Box<str>>,
    /// What is wrong with it.
    pub doubt: Doubt,
}

impl Doubts {
    /// Looks at the passwords of a line.
    pub(super) fn note(&mut self, number: usize, line: &Line<'_>) {
        let own = match line.secret {
            Secret::Stored(stored) => Some((None, stored)),
            Secret::Anything | Secret::Locked => None,
        };
        for (app, stored) in
            own.into_iter().chain(line.apps.iter().map(|&(name, stored)| (Some(name), stored)))
        {
            let Some(doubt) = Doubt::of_stored(stored) else { continue };
            if self.first.len() < TOLD_MAX {
                let (user, app) = (line.user.clone(), app.map(Box::from));
                self.first.push(Doubted { line: number, user, app, doubt });
            } else {
                self.further += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Accounts;

    #[test]
    fn what_is_wrong_with_a_password_in_a_file_is_found_and_hashes_are_passed_over() {
        let text = b"ann:{PLAIN}right\n# none\nbob:{PLAIN}\ncarl:{PLAIN}\xFC::::::app.tv={CLEAR} app.phone={PLAIN}x\n\
            dora:{PLAIN.b64}7oCA\neve:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5\ngil:::::::nopassword\nhal:*\n";
        let doubts = Accounts::new(false).add_file(text).unwrap();
        let doubted = |line, user: &str, app: Option<&str>, doubt| {
            let user = UserName::parse(user.as_bytes()).unwrap();
            Doubted { line, user, app: app.map(Box::from), doubt }
        };
        let first = vec![
            doubted(3, "bob", None, Doubt::Empty),
            doubted(4, "carl", None, Doubt::Prohibited),
            doubted(4, "carl", Some("tv"), Doubt::Empty),
            doubted(5, "dora", None, Doubt::Prohibited),
        ];
        assert_eq!(doubts, Doubts { first, further: 0 });
        assert_eq!(Doubt::of("gr\u{fc}n".as_bytes()), None);
        assert_eq!(Doubt::of_stored(b"plain"), None, "there is no scheme");
        for wrong in [&b"{ARGON2ID}"[..], b"{PLAIN.b64}!", b"{PLAIN.x}"] {
            assert_eq!(Doubt::of_stored(wrong), None, "it is refused for something else");
        }
    }

    #[test]
    fn of_many_the_first_are_named_and_the_others_counted() {
        let text: String = (1..=25).map(|number| format!("user{number}:{{PLAIN}}\n")).collect();
        let doubts = Accounts::new(false).add_file(text.as_bytes()).unwrap();
        assert_eq!((doubts.first.len(), doubts.further), (TOLD_MAX, 25 - TOLD_MAX));
        assert_eq!(doubts.first.last().map(|it| it.line), Some(TOLD_MAX));
    }
}

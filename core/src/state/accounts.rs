//! The accounts that PEEP set: the file `accounts` of the state folder.
//!
//! A line is `user:{ARGON2ID}hash`, or `user:{REMOVED}` for an account of the configuration that PEEP removed. Unlike
//! in an accounts file of the configuration, no password stands there in plain, and a name may have any character: "#",
//! ":" and "%" are written as "%23", "%3A" and "%25".

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use super::seal;
use super::{Claim, KeptError, StateFiles};
use crate::accounts::file::LINE_MAX;
use crate::accounts::{Accounts, Hashed, NAME_RULE, SchemeError, USER_NAME_MAX, UserName};

/// The file's name.
pub const FILE: &str = "accounts";

/// What stands for the hash of an account, or of an app password, that was removed.
pub(super) const REMOVED: &[u8] = b"{REMOVED}";
/// Longest PHC string with its scheme, in octets: parameters 128, salt 64, hash 86, and what stands between them.
const HASHED_MAX: usize = 320;
const _: () = assert!(3 * USER_NAME_MAX + 1 + HASHED_MAX <= LINE_MAX, "what is written must be read again");

/// The accounts that PEEP set or removed. To change them, change a copy, save it, and only then put it in place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeptAccounts {
    accounts: BTreeMap<UserName, Kept>,
}

/// What is kept of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Kept {
    /// Whose password has this hash, whatever the configuration says.
    Account(Hashed),
    /// Which the configuration has, and nobody is to use.
    Removed,
}

impl KeptAccounts {
    /// Reads them; none where there is no file.
    ///
    /// # Errors
    /// Where the file cannot be read, or anything in it is damaged. It is left as it is.
    pub fn read(files: &StateFiles) -> Result<Self, KeptError> {
        files.read_kept(FILE, Self::parse)
    }

    /// Reads the octets of the file.
    ///
    /// # Errors
    /// The place of what is wrong, and what is wrong there.
    pub fn parse(octets: &[u8]) -> Result<Self, (usize, String)> {
        let mut kept = Self::default();
        seal::lines(octets, |line| {
            let Some((user, account)) = parse_line(line)? else { return Ok(()) };
            if kept.accounts.insert(user, account).is_some() { Err(LineError::Twice) } else { Ok(()) }
        })?;
        Ok(kept)
    }

    /// Puts them over the accounts of command line and configuration.
    pub fn apply(&self, accounts: &mut Accounts) {
        for (user, kept) in &self.accounts {
            match kept {
                Kept::Account(hashed) => accounts.add_hashed(user.clone(), hashed),
                Kept::Removed => {
                    accounts.remove(user);
                }
            }
        }
    }

    /// Keeps an account, in place of what is kept of it.
    pub fn add(&mut self, user: UserName, hashed: &Hashed) {
        self.accounts.insert(user, Kept::Account(hashed.clone()));
    }

    /// The hash that is kept of an account.
    #[must_use]
    pub fn hashed(&self, user: &UserName) -> Option<&Hashed> {
        match self.accounts.get(user)? {
            Kept::Account(hashed) => Some(hashed),
            Kept::Removed => None,
        }
    }

    /// Removes an account. One that command line or configuration has would come back with the next start, so that
    /// its removal is kept.
    pub fn remove(&mut self, user: &UserName, was_configured: bool) {
        if was_configured {
            self.accounts.insert(user.clone(), Kept::Removed);
        } else {
            self.accounts.remove(user);
        }
    }

    /// Writes them to disk.
    ///
    /// # Errors
    /// Where that cannot be. The file is as it was.
    pub fn save(&self, claim: &Claim) -> io::Result<()> {
        claim.replace(FILE, self.text().as_bytes())
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "# What PEEP changed among the accounts. pop3d replaces this file with each change.\n\
             # user:{{ARGON2ID}}hash is an account, user:{{REMOVED}} one of the configuration that is not to be used;\n\
             # \"#\", \":\" and \"%\" in a name are written as \"%23\", \"%3A\" and \"%25\".\n{}",
            seal::ADVICE
        );
        for (user, kept) in &self.accounts {
            push_name(&mut text, user);
            text.push(':');
            match kept {
                Kept::Account(hashed) => text.push_str(&hashed.stored()),
                Kept::Removed => text.push_str(&String::from_utf8_lossy(REMOVED)),
            }
            text.push('\n');
        }
        seal::seal(&mut text);
        text
    }
}

/// Why a line keeps nothing.
enum LineError {
    TooLong,
    NoSecret,
    BadName,
    Twice,
    Secret(SchemeError),
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "a line has at most {LINE_MAX} octets"),
            Self::NoSecret => {
                formatter.write_str("no \":\"; a line is user:{ARGON2ID}hash or user:{REMOVED}")
            }
            Self::BadName => write!(formatter, "{NAME_RULE}, and \"%\" stands before two digits"),
            Self::Twice => formatter.write_str("this user has a line further up; keep one of them"),
            Self::Secret(SchemeError::UnknownScheme) => {
                formatter.write_str("unknown scheme; write {ARGON2ID} and a hash, or {REMOVED}")
            }
            Self::Secret(error) => error.fmt(formatter),
        }
    }
}

/// Reads a line; none where it says nothing.
fn parse_line(line: &[u8]) -> Result<Option<(UserName, Kept)>, LineError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    if line.len() > LINE_MAX {
        return Err(LineError::TooLong);
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let colon = line.iter().position(|&octet| octet == b':').ok_or(LineError::NoSecret)?;
    let (name, secret) = line.split_at_checked(colon).ok_or(LineError::NoSecret)?;
    let user = parse_name(name).ok_or(LineError::BadName)?;
    let secret = secret.strip_prefix(b":").unwrap_or(secret).trim_ascii_end();
    if secret.eq_ignore_ascii_case(REMOVED) {
        return Ok(Some((user, Kept::Removed)));
    }
    let hashed = Hashed::parse(secret).map_err(LineError::Secret)?;
    Ok(Some((user, Kept::Account(hashed))))
}

/// Writes a name so that it ends at the first ":" and is no comment.
pub(super) fn push_name(text: &mut String, user: &UserName) {
    for character in user.as_str().chars() {
        match character {
            '#' => text.push_str("%23"),
            ':' => text.push_str("%3A"),
            '%' => text.push_str("%25"),
            other => text.push(other),
        }
    }
}

/// Reads a name as [`push_name`] writes it.
pub(super) fn parse_name(written: &[u8]) -> Option<UserName> {
    let mut name = Vec::with_capacity(written.len());
    let mut parts = written.split(|&octet| octet == b'%');
    name.extend_from_slice(parts.next()?);
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        name.push(match digits {
            b"23" => b'#',
            b"3A" | b"3a" => b':',
            b"25" => b'%',
            _ => return None,
        });
        name.extend_from_slice(rest);
    }
    UserName::parse(&name)
}

//! Accounts that PEEP made, changed or removed, as the file `accounts` of the state folder.
//!
//! They win over those of the configuration. That one of the configuration was removed is kept too, else the next start
//! would let it in again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

use super::file::{self, LineError};
use super::{Accounts, Hashed, UserName};
use crate::state::{Damage, StateFolder};

/// The name of the file.
const FILE: &str = "accounts";

/// Longest file that is read, in octets: some hundred thousand accounts.
const FILE_MAX: u64 = 256 << 20;

/// The first line.
const HEAD: &str =
    "# Accounts that were set by PEEP. May be edited while no server runs; then delete this line.";

/// What the last line begins with. Without it a file that was cut between two lines would be taken for whole.
const END: &str = "# end, accounts: ";

/// What stands for an account of the configuration that was removed.
const REMOVED: &str = "{REMOVED}";

/// The accounts that were set at run time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeptAccounts {
    /// `{SCHEME}secret` of each; none: removed.
    accounts: BTreeMap<UserName, Option<Stored>>,
}

/// `{SCHEME}secret`, which `Debug` does not show.
#[derive(Clone, Eq, PartialEq)]
struct Stored(Box<[u8]>);

impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Stored")
    }
}

impl KeptAccounts {
    /// Reads the file; there are none where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or a line is wrong, or it was cut: to serve with some of the accounts would be to lose
    /// the others.
    pub fn read(folder: &StateFolder) -> Result<Self, Damage> {
        let damage = |line, what: &dyn std::fmt::Display| {
            let what = format!(
                "{what}; mend this file, or put back a copy of it: it holds the accounts set by PEEP"
            );
            Damage { path: folder.path_of(FILE), line, what }
        };
        match folder.read(FILE, FILE_MAX) {
            Ok(Some(octets)) => Self::parse(&octets).map_err(|(line, what)| damage(Some(line), &what)),
            Ok(None) => Ok(Self::default()),
            Err(error) => Err(damage(None, &error)),
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The number of the line, from 1, and what is wrong with it.
    fn parse(octets: &[u8]) -> Result<Self, (usize, String)> {
        let mut kept = Self::default();
        // Tells whether a password could be held against each.
        let mut trial = Accounts::new(false);
        let lines: Vec<_> = octets.split(|&octet| octet == b'\n').collect();
        for (number, line) in (1..).zip(&lines) {
            let wrong = |error: LineError| (number, error.to_string());
            let Some((user, stored)) = file::parse_line(line).map_err(wrong)? else { continue };
            let stored = if stored.trim_ascii() == REMOVED.as_bytes() {
                None
            } else {
                trial.add_stored(user.clone(), stored).map_err(|error| wrong(LineError::Secret(error)))?;
                Some(Stored(stored.into()))
            };
            if kept.accounts.insert(user, stored).is_some() {
                return Err(wrong(LineError::Twice));
            }
        }
        let is_edited = lines.first().is_none_or(|line| *line != HEAD.as_bytes());
        let end = format!("{END}{}", kept.accounts.len());
        // Behind the last line end there is nothing.
        let is_whole = lines.len() > 1 && lines.ends_with(&[end.as_bytes(), b""]);
        // An empty file is the least of what a cut leaves.
        let is_cut_early = HEAD.as_bytes().starts_with(octets);
        if is_cut_early || !(is_edited || is_whole) {
            return Err((lines.len(), format!("accounts are missing: the last line is not \"{end}\"")));
        }
        Ok(kept)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// Where it cannot be written: then the old one stays.
    pub fn save(&self, folder: &StateFolder) -> io::Result<()> {
        folder.replace(FILE, &self.text())
    }

    fn text(&self) -> Vec<u8> {
        let mut text = format!("{HEAD}\n").into_bytes();
        for (user, stored) in &self.accounts {
            text.extend_from_slice(user.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(stored.as_ref().map_or(REMOVED.as_bytes(), |stored| &stored.0));
            text.push(b'\n');
        }
        let mut end = String::new();
        // Writing into memory does not fail.
        let _ = writeln!(end, "{END}{}", self.accounts.len());
        text.extend_from_slice(end.as_bytes());
        text
    }

    /// Keeps an account.
    pub fn add(&mut self, user: UserName, hashed: &Hashed) {
        self.accounts.insert(user, Some(Stored(hashed.to_string().into_bytes().into())));
    }

    /// Keeps an account no more. `is_configured`: the configuration has it too, which is to be forgotten from here on.
    pub fn remove(&mut self, user: &UserName, is_configured: bool) {
        self.accounts.remove(user);
        if is_configured {
            self.accounts.insert(user.clone(), None);
        }
    }

    /// Changes the accounts of the configuration into those that hold.
    pub fn apply(&self, accounts: &mut Accounts) {
        for (user, stored) in &self.accounts {
            match stored {
                // What could not be kept was found when it was read.
                Some(stored) => drop(accounts.add_stored(user.clone(), &stored.0)),
                None => accounts.remove(user),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str =
        "{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    fn kept() -> impl Strategy<Value = KeptAccounts> {
        let user =
            "[a-z0-9@+_-][a-z0-9@.+_-]{0,10}".prop_map(|name| UserName::parse(name.as_bytes()).unwrap());
        let stored = prop::option::of(Just(Stored(HASH.as_bytes().into())));
        prop::collection::btree_map(user, stored, 0..5).prop_map(|accounts| KeptAccounts { accounts })
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_again_and_what_was_cut_is_not(kept in kept(), cut in any::<prop::sample::Index>()) {
            let text = kept.text();
            prop_assert_eq!(KeptAccounts::parse(&text), Ok(kept));
            let cut = cut.index(text.len());
            prop_assert!(KeptAccounts::parse(&text[..cut]).is_err(), "{}", text[..cut].escape_ascii());
        }

        #[test]
        fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = KeptAccounts::parse(&text);
        }
    }

    #[test]
    fn a_file_that_somebody_edited_is_taken() {
        let kept = KeptAccounts::parse(b"user:{PLAIN}x\nother:{REMOVED} \n").unwrap();
        let mut accounts = Accounts::new(false);
        accounts.add(UserName::parse(b"other").unwrap(), b"x");
        kept.apply(&mut accounts);
        assert_eq!(accounts.names().map(UserName::as_str).collect::<Vec<_>>(), ["user"]);
        let (line, what) = KeptAccounts::parse(b"# mine\na:{PLAIN}x\na:{PLAIN}y\n").unwrap_err();
        assert!(line == 3 && what.contains("further up"), "{line} {what}");
    }

    #[test]
    fn an_account_of_the_configuration_stays_away() {
        let user = UserName::parse(b"user").unwrap();
        let mut kept = KeptAccounts::default();
        kept.remove(&user, true);
        let mut accounts = Accounts::new(false);
        accounts.add(user.clone(), b"x");
        kept.apply(&mut accounts);
        assert!(accounts.is_empty());
        kept.remove(&user, false);
        assert_eq!(kept, KeptAccounts::default());
    }
}

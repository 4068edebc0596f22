//! The app passwords that PEEP made or took back: the file `app-passwords` of the state folder.
//!
//! A line is `user:name:seconds:{ARGON2ID}hash`, with the seconds after 1970 when it was made, or `user:name::{REMOVED}` for one
//! of the configuration that PEEP took back. One that was made under that name since has both. User names are written as in the
//! file `accounts`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;

use super::accounts::{REMOVED, parse_name, push_name};
use super::seal;
use super::{Claim, KeptError, StateFiles};
use crate::accounts::file::{LINE_MAX, is_app_name};
use crate::accounts::{Accounts, Hashed, UserName};

/// The file's name.
pub const FILE: &str = "app-passwords";

/// What is wrong with a line.
const FORM: &str =
    "a line is user:name:seconds:{ARGON2ID}hash or user:name::{REMOVED}, each once for each name of a user";

/// The app passwords that PEEP made or took back. To change them, change a copy, save it, and only then put it in place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeptApps(BTreeMap<(UserName, String), Kept>);

/// What is kept under one name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Kept {
    /// One that was made, and when, in seconds after 1970.
    made: Option<(u64, Hashed)>,
    /// Whether one of the configuration was taken back. It stays so, also while there is one that was made.
    is_taken_back: bool,
}

/// What a line says.
enum Line {
    Made(u64, Hashed),
    TakenBack,
}

impl Kept {
    /// Adds what a line says; whether no other line has said it.
    fn add(&mut self, line: Line) -> bool {
        match line {
            Line::Made(made, hashed) => self.made.replace((made, hashed)).is_none(),
            Line::TakenBack => !mem::replace(&mut self.is_taken_back, true),
        }
    }

    fn is_empty(&self) -> bool {
        self.made.is_none() && !self.is_taken_back
    }

    fn apply(&self, user: &UserName, name: &str, accounts: &mut Accounts) {
        match &self.made {
            Some((made, hashed)) => accounts.add_made_app(user, name, *made, hashed),
            None => accounts.remove_app(user, name),
        }
    }
}

impl KeptApps {
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
            let text = line.trim_ascii_end();
            if text.is_empty() || text.starts_with(b"#") {
                return Ok(());
            }
            let (key, line) = parse_line(text).ok_or(FORM)?;
            if kept.0.entry(key).or_default().add(line) { Ok(()) } else { Err(FORM) }
        })?;
        Ok(kept)
    }

    /// Puts them over those of the configuration.
    pub fn apply(&self, accounts: &mut Accounts) {
        for ((user, name), kept) in &self.0 {
            kept.apply(user, name, accounts);
        }
    }

    /// The same for one user.
    pub fn apply_to(&self, user: &UserName, accounts: &mut Accounts) {
        let from = self.0.range((user.clone(), String::new())..);
        for ((_, name), kept) in from.take_while(|((of, _), _)| of == user) {
            kept.apply(user, name, accounts);
        }
    }

    /// Keeps one.
    pub fn add(&mut self, user: &UserName, name: &str, made: u64, hashed: &Hashed) {
        let kept = self.0.entry((user.clone(), name.to_owned())).or_default();
        kept.made = Some((made, hashed.clone()));
    }

    /// Takes one back. One that the configuration has, or had when one was taken back, would come back with a later start, so that
    /// this is kept.
    pub fn remove(&mut self, user: &UserName, name: &str, was_configured: bool) {
        let kept = self.0.entry((user.clone(), name.to_owned())).or_default();
        kept.made = None;
        kept.is_taken_back |= was_configured;
        self.0.retain(|_, kept| !kept.is_empty());
    }

    /// Whether one was made under that name, which holds in place of one of the configuration.
    #[must_use]
    pub fn is_made(&self, user: &UserName, name: &str) -> bool {
        self.get(user, name).is_some_and(|kept| kept.made.is_some())
    }

    /// Whether one of the configuration that has that name is of no use, for it was taken back.
    #[must_use]
    pub fn is_taken_back(&self, user: &UserName, name: &str) -> bool {
        self.get(user, name).is_some_and(|kept| kept.made.is_none() && kept.is_taken_back)
    }

    fn get(&self, user: &UserName, name: &str) -> Option<&Kept> {
        self.0.get(&(user.clone(), name.to_owned()))
    }

    /// Forgets those that were made for a user; whether there were any.
    pub fn forget(&mut self, user: &UserName) -> bool {
        !self.forget_of(|of| of == user).is_empty()
    }

    /// Forgets those that were made for users who have no account, and tells who they are: whoever gets an account of that name
    /// later is somebody else. What was taken back stays so.
    pub fn forget_strangers(&mut self, accounts: &Accounts) -> BTreeSet<UserName> {
        self.forget_of(|user| !accounts.contains(user))
    }

    fn forget_of(&mut self, is_forgotten: impl Fn(&UserName) -> bool) -> BTreeSet<UserName> {
        let mut forgotten = BTreeSet::new();
        for ((user, _), kept) in &mut self.0 {
            if kept.made.is_some() && is_forgotten(user) {
                kept.made = None;
                forgotten.insert(user.clone());
            }
        }
        self.0.retain(|_, kept| !kept.is_empty());
        forgotten
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
            "# The app passwords that PEEP made or took back. pop3d replaces this file with each change.\n\
             # user:name:seconds:{{ARGON2ID}}hash, or user:name::{{REMOVED}} for one of the configuration;\n\
             # \"#\", \":\" and \"%\" in a user name are written as \"%23\", \"%3A\" and \"%25\".\n{}",
            seal::ADVICE
        );
        for ((user, name), kept) in &self.0 {
            if kept.is_taken_back {
                push_name(&mut text, user);
                text.push_str(&format!(":{name}::{}\n", String::from_utf8_lossy(REMOVED)));
            }
            if let Some((made, hashed)) = &kept.made {
                push_name(&mut text, user);
                text.push_str(&format!(":{name}:{made}:{}\n", hashed.stored()));
            }
        }
        seal::seal(&mut text);
        text
    }
}

fn parse_line(line: &[u8]) -> Option<((UserName, String), Line)> {
    if line.len() > LINE_MAX {
        return None;
    }
    let mut fields = line.splitn(4, |&octet| octet == b':');
    let user = parse_name(fields.next()?)?;
    let name = str::from_utf8(fields.next()?).ok().filter(|name| is_app_name(name))?;
    let (made, secret) = (fields.next()?, fields.next()?);
    let said = if secret.eq_ignore_ascii_case(REMOVED) && made.is_empty() {
        Line::TakenBack
    } else {
        let digits = str::from_utf8(made).ok().filter(|made| made.bytes().all(|it| it.is_ascii_digit()))?;
        Line::Made(digits.parse().ok()?, Hashed::parse(secret).ok()?)
    };
    Some(((user, name.to_owned()), said))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::hash;

    fn name(text: &str) -> UserName {
        UserName::parse(text.as_bytes()).unwrap()
    }

    const HASH: &str =
        "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    fn some() -> KeptApps {
        let mut kept = KeptApps::default();
        kept.add(&name("#a:b%"), "phone", 1_780_000_000, &Hashed::parse(HASH.as_bytes()).unwrap());
        kept.remove(&name("ann"), "old", true);
        kept.remove(&name("ann"), "tv", true);
        kept.add(&name("ann"), "tv", 1, &hash(b"x").unwrap());
        kept
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_damage() {
        let text = some().text();
        assert_eq!(KeptApps::parse(text.as_bytes()), Ok(some_as(&text)));
        // "# end" alone is whole: the checksum behind it may be left out.
        for length in 0..text.rfind("# end").unwrap() {
            assert!(KeptApps::parse(&text.as_bytes()[..length]).is_err(), "{length}");
        }
    }

    /// The second hash has a salt of its own each time.
    fn some_as(text: &str) -> KeptApps {
        let mut kept = some();
        let line = text.lines().find(|line| line.starts_with("ann:tv:1:")).unwrap();
        kept.add(
            &name("ann"),
            "tv",
            1,
            &Hashed::parse(line.splitn(4, ':').nth(3).unwrap().as_bytes()).unwrap(),
        );
        kept
    }

    #[test]
    fn a_line_that_is_none_is_named_by_its_place() {
        for line in [
            "ann",
            "ann:tv",
            "ann:tv:1",
            "ann:tv:1:x",
            "ann:t v:1:{REMOVED}",
            "ann:tv:1:{REMOVED}",
            "ann:tv:+1:{ARGON2ID}x",
            "../ann:tv::{REMOVED}",
            "ann:tv::{REMOVED}\nann:tv::{REMOVED}",
            &format!("ann:tv:1:{HASH}\nann:tv:2:{HASH}"),
        ] {
            assert!(KeptApps::parse(format!("{line}\n# end\n").as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn one_that_was_made_is_forgotten_with_its_user_and_one_of_the_configuration_stays_removed() {
        let mut kept = some();
        assert!(kept.forget(&name("ann")) && !kept.forget(&name("ann")));
        let text = kept.text();
        assert!(text.contains("ann:old::{REMOVED}\n") && !text.contains("ann:tv:1"), "{text}");
        kept.remove(&name("#a:b%"), "phone", false);
        assert!(!kept.text().contains("phone"));
    }

    #[test]
    fn one_of_the_configuration_stays_taken_back_whatever_was_made_under_its_name() {
        let (user, hashed) = (name("ann"), Hashed::parse(HASH.as_bytes()).unwrap());
        let mut kept = KeptApps::default();
        kept.remove(&user, "tv", true);
        kept.add(&user, "tv", 1, &hashed);
        let mut configured = Accounts::new(false);
        configured.add(user.clone(), b"x");
        configured.add_app(&user, "tv", b"of the file").unwrap();
        let apps = |kept: &KeptApps| {
            let mut accounts = configured.clone();
            kept.apply(&mut accounts);
            accounts.app_passwords(&user).unwrap().iter().map(|app| app.made).collect::<Vec<_>>()
        };
        assert_eq!(apps(&kept), [Some(1)]);
        assert!(kept.is_made(&user, "tv") && !kept.is_taken_back(&user, "tv"));
        // The file has none of that name at the time.
        kept.remove(&user, "tv", false);
        assert_eq!(apps(&kept), []);
        assert!(!kept.is_made(&user, "tv") && kept.is_taken_back(&user, "tv"));
        assert!(!kept.is_taken_back(&user, "phone") && !kept.is_taken_back(&name("bob"), "tv"));
        kept.add(&user, "tv", 2, &hashed);
        assert!(kept.forget(&user));
        assert_eq!(apps(&kept), []);
    }

    #[test]
    fn those_of_users_without_an_account_are_forgotten_and_those_of_others_stay() {
        let mut kept = some();
        let mut accounts = Accounts::new(false);
        accounts.add(name("#a:b%"), b"x");
        let forgotten = kept.forget_strangers(&accounts);
        assert_eq!(forgotten.into_iter().collect::<Vec<_>>(), [name("ann")]);
        // Whoever is ann later has none of them, and is still not let in by what was taken back.
        accounts.add(name("ann"), b"another");
        accounts.add_app(&name("ann"), "old", b"of the file").unwrap();
        kept.apply(&mut accounts);
        assert_eq!(accounts.app_passwords(&name("ann")), Some(Vec::new()));
        assert_eq!(accounts.app_passwords(&name("#a:b%")).unwrap().len(), 1);
        assert!(kept.forget_strangers(&accounts).is_empty());
        assert_eq!(KeptApps::parse(kept.text().as_bytes()), Ok(kept));
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = KeptApps::parse(&octets);
        }
    }
}

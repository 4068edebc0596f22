//! An accounts file with one account changed: all other lines, and all other fields of this one, are as they were.

use std::collections::HashMap;

use super::super::{Hashed, UserName};
use super::{LINE_MAX, Line, Secret, parse_line, without_mark};

/// What changing an account came to.
#[derive(Debug, Eq, PartialEq)]
pub enum Edited {
    /// The user has a line more.
    Added(Vec<u8>),
    /// The user's line has another secret.
    Changed(Vec<u8>),
}

/// Another hash of the password of an account.
#[derive(Debug)]
pub struct Renewal {
    /// Whose.
    pub user: UserName,
    /// The hash that the line must have.
    pub before: Hashed,
    /// The hash that it gets.
    pub hashed: Hashed,
}

/// Whether an accounts file has a form for that name.
#[must_use]
pub fn is_writable(user: &UserName) -> bool {
    let name = user.as_str();
    !name.contains(':') && !name.starts_with('#')
}

/// The text with another secret for a user, `{SCHEME}hash` without ":" or a line end.
#[must_use]
pub fn with_secret(text: &[u8], user: &UserName, secret: &str) -> Edited {
    let (mark, lines) = lines(text);
    let mut edited = mark.to_vec();
    edited.reserve(text.len() + secret.len());
    let mut is_changed = false;
    for line in lines {
        if !is_changed && is_of(line, user) {
            push_with_secret(&mut edited, line, secret);
            is_changed = true;
        } else {
            edited.extend_from_slice(line);
        }
    }
    if is_changed {
        return Edited::Changed(edited);
    }
    if edited.len() > mark.len() && !edited.ends_with(b"\n") {
        edited.push(b'\n');
    }
    edited.extend_from_slice(format!("{user}:{secret}\n").as_bytes());
    Edited::Added(edited)
}

/// The text with other hashes in the lines that have those of before; whose lines these are.
#[must_use]
pub fn renewed(text: &[u8], renewals: &[Renewal]) -> (Vec<u8>, Vec<UserName>) {
    let of: HashMap<_, _> = renewals.iter().map(|renewal| (&renewal.user, renewal)).collect();
    let (mark, lines) = lines(text);
    let (mut edited, mut users) = (mark.to_vec(), Vec::new());
    for line in lines {
        let renewal = account(line).and_then(|parsed| {
            let renewal = of.get(&parsed.user)?;
            let Secret::Stored(stored) = parsed.secret else { return None };
            // One that would be too long is left as it is: the file could not be read again.
            let length = line.len() - stored.len() + renewal.hashed.stored().len();
            let is_before = Hashed::parse(stored).as_ref() == Ok(&renewal.before);
            (is_before && length <= LINE_MAX).then_some(renewal)
        });
        match renewal {
            Some(renewal) => {
                push_with_secret(&mut edited, line, &renewal.hashed.stored());
                users.push(renewal.user.clone());
            }
            None => edited.extend_from_slice(line),
        }
    }
    (edited, users)
}

/// A line of an account, with its end, with another secret.
fn push_with_secret(edited: &mut Vec<u8>, line: &[u8], secret: &str) {
    let end = line.len() - line.iter().rev().take_while(|octet| b"\r\n".contains(octet)).count();
    let (line, end) = line.split_at_checked(end).unwrap_or((line, b""));
    let mut fields = line.splitn(3, |&octet| octet == b':');
    edited.extend_from_slice(fields.next().unwrap_or_default());
    edited.push(b':');
    edited.extend_from_slice(secret.as_bytes());
    if let Some(rest) = fields.nth(1) {
        edited.push(b':');
        edited.extend_from_slice(rest);
    }
    edited.extend_from_slice(end);
}

/// The text with another app password of a user, or without it; none: there is no such user, or nothing to be removed.
#[must_use]
pub fn with_app(text: &[u8], user: &UserName, name: &str, secret: Option<&str>) -> Option<Vec<u8>> {
    let (mark, lines) = lines(text);
    let mut edited = mark.to_vec();
    let (mut is_there, mut was_there) = (false, false);
    for line in lines {
        if !is_of(line, user) {
            edited.extend_from_slice(line);
            continue;
        }
        is_there = true;
        let end = line.len() - line.iter().rev().take_while(|octet| b"\r\n".contains(octet)).count();
        let (line, end) = line.split_at_checked(end).unwrap_or((line, b""));
        let mut fields: Vec<_> = line.splitn(8, |&octet| octet == b':').collect();
        fields.resize(8, b"");
        let extra = fields.pop().unwrap_or_default();
        let field = format!("app.{name}=");
        let is_other = |it: &&[u8]| !it.is_empty() && !it.starts_with(field.as_bytes());
        let before = extra.split(|octet| b" \t".contains(octet)).filter(|it| !it.is_empty());
        was_there = before.clone().any(|it| !is_other(&it));
        let mut extras: Vec<_> = before.filter(is_other).collect();
        let added = secret.map(|secret| format!("{field}{secret}"));
        extras.extend(added.as_ref().map(String::as_bytes));
        let extra = extras.join(&b' ');
        fields.push(&extra);
        edited.extend_from_slice(&fields.join(&b':'));
        edited.extend_from_slice(end);
    }
    (is_there && (secret.is_some() || was_there)).then_some(edited)
}

/// The text without a user's line; none where there is none.
#[must_use]
pub fn without(text: &[u8], user: &UserName) -> Option<Vec<u8>> {
    let (mark, lines) = lines(text);
    let is_there = lines.clone().any(|line| is_of(line, user));
    let rest = lines.filter(|line| !is_of(line, user)).flatten();
    is_there.then(|| mark.iter().chain(rest).copied().collect())
}

fn is_of(line: &[u8], user: &UserName) -> bool {
    account(line).is_some_and(|line| line.user == *user)
}

/// The account of a line with its end.
fn account(line: &[u8]) -> Option<Line<'_>> {
    parse_line(line.strip_suffix(b"\n").unwrap_or(line)).ok().flatten()
}

/// The lines of a text, each with its end, and what stands before the first.
fn lines(text: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]> + Clone) {
    let rest = without_mark(text);
    let mark = text.get(..text.len() - rest.len()).unwrap_or_default();
    (mark, rest.split_inclusive(|&octet| octet == b'\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_other_lines_and_fields_stay_as_they_are() {
        let text = b"# a comment\r\nann:{PLAIN}x:1:1::/home/ann::nodelete\r\n\nbob:*";
        let changed = b"# a comment\r\nann:{X}y:1:1::/home/ann::nodelete\r\n\nbob:*".to_vec();
        assert_eq!(with_secret(text, &name("ann"), "{X}y"), Edited::Changed(changed));
        let changed = b"# a comment\r\nann:{PLAIN}x:1:1::/home/ann::nodelete\r\n\nbob:{X}y".to_vec();
        assert_eq!(with_secret(text, &name("bob"), "{X}y"), Edited::Changed(changed));
        let mut added = text.to_vec();
        added.extend_from_slice(b"\ncarl:{X}y\n");
        assert_eq!(with_secret(text, &name("carl"), "{X}y"), Edited::Added(added));
        assert_eq!(with_secret(b"", &name("carl"), "{X}y"), Edited::Added(b"carl:{X}y\n".to_vec()));
        assert_eq!(without(text, &name("ann")), Some(b"# a comment\r\n\nbob:*".to_vec()));
        assert_eq!(without(text, &name("an")), None);
        let marked = b"\xEF\xBB\xBFann:*\n";
        assert_eq!(
            with_secret(marked, &name("ann"), "{X}y"),
            Edited::Changed(b"\xEF\xBB\xBFann:{X}y\n".to_vec())
        );
        assert!(!is_writable(&name("a:b")) && !is_writable(&name("#a")) && is_writable(&name("a b")));
    }

    #[test]
    fn a_hash_is_renewed_where_it_is_the_one_of_before() {
        let (weak, strong) = ("{SSHA}Gt2MGf5trg6P4uEP7yV+Dzx4P4vI24zz", "{SHA}O1hAcUlX7zkBbV+/3rmbDfUlbNM=");
        let renewal = |user: &str| Renewal {
            user: name(user),
            before: Hashed::parse(weak.as_bytes()).unwrap(),
            hashed: Hashed::parse(strong.as_bytes()).unwrap(),
        };
        let text = format!(
            "ann:{weak}:1:1::/home/ann::nodelete\r\nbob:{weak} \ncarl:{strong}\n#{weak}\ndora:*\neve:{weak}"
        );
        let renewals = ["ann", "bob", "carl", "dora", "nobody"].map(renewal);
        let (edited, users) = renewed(text.as_bytes(), &renewals);
        let expected = format!(
            "ann:{strong}:1:1::/home/ann::nodelete\r\nbob:{strong}\ncarl:{strong}\n#{weak}\ndora:*\neve:{weak}"
        );
        assert_eq!(String::from_utf8(edited).unwrap(), expected);
        assert_eq!(users, [name("ann"), name("bob")]);
        let long = format!("ann:{weak}:::::::x={}\n", "y".repeat(LINE_MAX - 60));
        let longer = [Renewal { hashed: Hashed::parse(b"{SHA512}lZ9yMft8fVHVJ+UzMKOj5CsbrM1iI0VwhldS4yvUgbjJWfSIKEZ5z02LkV6f3caZMpOHkByhFdL2tZ3hPvxlhA==").unwrap(), ..renewal("ann") }];
        assert_eq!(renewed(long.as_bytes(), &longer), (long.into_bytes(), Vec::new()));
        assert_eq!(renewed(expected.as_bytes(), &renewals), (expected.into_bytes(), Vec::new()));
    }

    #[test]
    fn an_app_password_is_one_field_of_the_line() {
        let text = b"bob:*\nann:{X}x\r\n";
        let set = with_app(text, &name("ann"), "tv", Some("{X}y")).unwrap();
        assert_eq!(set, b"bob:*\nann:{X}x::::::app.tv={X}y\r\n");
        let set = with_app(&set, &name("ann"), "phone", Some("{X}z")).unwrap();
        let set = with_app(&set, &name("ann"), "tv", Some("{X}w")).unwrap();
        assert_eq!(set, b"bob:*\nann:{X}x::::::app.phone={X}z app.tv={X}w\r\n");
        let without = with_app(&set, &name("ann"), "phone", None).unwrap();
        assert_eq!(without, b"bob:*\nann:{X}x::::::app.tv={X}w\r\n");
        assert_eq!(with_app(&without, &name("ann"), "phone", None), None);
        assert_eq!(with_app(&without, &name("carl"), "phone", Some("{X}x")), None);
        // The networks of a line have ":" in them.
        let text = b"ann:{X}x:1:1::::allow_nets=::1 x=y";
        let set = with_app(text, &name("ann"), "a", Some("{X}y")).unwrap();
        assert_eq!(set, b"ann:{X}x:1:1::::allow_nets=::1 x=y app.a={X}y");
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_and_what_is_removed_is_not(
            users in proptest::collection::btree_set("[a-d]{1,2}", 0..5),
            user in "[a-d]{1,2}",
        ) {
            let text: String = users.iter().map(|user| format!("{user}:{{PLAIN}}x:::::\n")).collect();
            let (Edited::Added(set) | Edited::Changed(set)) = with_secret(text.as_bytes(), &name(&user), "{X}y");
            let lines = |text: &[u8]| -> Vec<String> {
                text.split(|&octet| octet == b'\n').filter_map(|line| parse_line(line).unwrap())
                    .map(|line| line.user.to_string()).collect()
            };
            let mut expected = users.clone();
            expected.insert(user.clone());
            let mut found = lines(&set);
            found.sort();
            prop_assert_eq!(&found, &expected.iter().cloned().collect::<Vec<_>>());
            expected.remove(&user);
            prop_assert_eq!(lines(&without(&set, &name(&user)).unwrap()).len(), expected.len());
        }
    }
}

//! Which chain a message gets by whose it is and what it is: `[[rule]]` of the configuration. The first that matches
//! wins.
//!
//! Not here: where rules are read from, and the chains that stand before and behind them (`settings.rs`).

mod cover;

use std::sync::Arc;

use wildmatch::WildMatch;

pub use self::cover::covering;
use super::{Chain, Command};

/// Octets of a message that are looked at for header fields. What stands behind them no rule sees.
pub const HEAD_MAX: usize = 64 * 1024;

/// A rule, and what the messages that it matches pass through.
#[derive(Clone)]
pub struct Rule {
    /// When it matches.
    pub condition: Arc<Condition>,
    /// None: they pass through nothing.
    pub chain: Option<Arc<Chain>>,
}

/// A rule as the configuration has it.
#[derive(Clone, Debug)]
pub struct NamedRule {
    /// When it matches.
    pub condition: Arc<Condition>,
    /// The names of its chain.
    pub names: Vec<String>,
}

/// When a rule matches: everything that it names must be so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// Whose messages: one of these globs (`*`, `?`); empty: everybody's.
    pub users: Vec<String>,
    /// But for those of these.
    pub except_users: Vec<String>,
    /// Octets as stored, at least.
    pub min_size: u64,
    /// Octets as stored, at most.
    pub max_size: u64,
    /// One of these stands in the header; empty: any header.
    pub headers: Vec<Field>,
    /// RETR.
    pub retr: bool,
    /// TOP.
    pub top: bool,
}

/// A header field and what is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    name: String,
    value: String,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            except_users: Vec::new(),
            min_size: 0,
            max_size: u64::MAX,
            headers: Vec::new(),
            retr: true,
            top: true,
        }
    }
}

impl Condition {
    /// Whether it matches. `head` reads the beginning of the message, and is asked last.
    pub fn matches<'head>(
        &self,
        user: &str,
        octets: u64,
        command: Command,
        head: impl FnOnce() -> &'head [u8],
    ) -> bool {
        let is_asked = match command {
            Command::Retr => self.retr,
            Command::Top { .. } => self.top,
        };
        is_asked
            && (self.min_size..=self.max_size).contains(&octets)
            && self.is_about(user)
            && (self.headers.is_empty() || self.is_in(head()))
    }

    /// Whether it may match messages of this user.
    #[must_use]
    pub fn is_about(&self, user: &str) -> bool {
        (self.users.is_empty() || any(&self.users, user)) && !any(&self.except_users, user)
    }

    /// Whether it asks for nothing but the user.
    #[must_use]
    pub fn is_of_users_alone(&self) -> bool {
        let Self { users: _, except_users: _, min_size, max_size, headers, retr, top } = self;
        *min_size == 0 && *max_size == u64::MAX && headers.is_empty() && *retr && *top
    }

    /// Whether it matches nothing at all, as far as that can be told; why.
    #[must_use]
    pub fn contradiction(&self) -> Option<&'static str> {
        let is_excepted = |glob: &String| !glob.contains(['*', '?']) && any(&self.except_users, glob);
        if self.min_size > self.max_size {
            Some("no message has min_size and max_size")
        } else if !self.retr && !self.top {
            Some("it names no command")
        } else if self.except_users.iter().any(|glob| glob == "*") {
            Some("except_users names everybody")
        } else if !self.users.is_empty() && self.users.iter().all(is_excepted) {
            Some("except_users names all of its users")
        } else {
            None
        }
    }

    fn is_in(&self, head: &[u8]) -> bool {
        fields(head).any(|(name, value)| self.headers.iter().any(|field| field.matches(&name, &value)))
    }
}

impl Field {
    /// Reads `Name: glob`; none: it has no name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once(':')?;
        let is_name = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic());
        is_name.then(|| Self { name: name.to_ascii_lowercase(), value: value.trim().to_lowercase() })
    }

    fn matches(&self, name: &str, value: &str) -> bool {
        self.name == name && is_match(&self.value, value)
    }
}

fn any(globs: &[String], text: &str) -> bool {
    globs.iter().any(|glob| is_match(glob, text))
}

fn is_match(glob: &str, text: &str) -> bool {
    WildMatch::new(glob).matches(text)
}

/// The fields of a header, in small letters, each value on one line (RFC 5322, section 2.2).
fn fields(head: &[u8]) -> impl Iterator<Item = (String, String)> {
    let mut lines = head
        .split(|&octet| octet == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
        .peekable();
    std::iter::from_fn(move || {
        let mut field = String::from_utf8_lossy(lines.next()?).into_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
            field.push_str(&String::from_utf8_lossy(more));
        }
        let (name, value) = field.split_once(':').unwrap_or_default();
        Some((name.trim_end().to_ascii_lowercase(), value.trim().to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn matches(condition: &Condition, user: &str, octets: u64, command: Command, head: &str) -> bool {
        condition.matches(user, octets, command, || head.as_bytes())
    }

    #[test]
    fn everything_that_a_rule_names_must_be_so() {
        let condition = Condition {
            users: texts(&["sales-*", "bob"]),
            except_users: texts(&["sales-archive"]),
            min_size: 10,
            max_size: 20,
            headers: vec![Field::parse("Content-Type: multipart/*").unwrap()],
            top: false,
            ..Condition::default()
        };
        let head = "Subject: x\r\nCONTENT-TYPE:\r\n Multipart/Mixed\r\n\r\nX: y\r\n";
        assert!(matches(&condition, "bob", 10, Command::Retr, head));
        assert!(matches(&condition, "sales-1", 20, Command::Retr, head));
        for (user, octets) in [("sales-archive", 15), ("bo", 15), ("Bob", 15), ("bob", 9), ("bob", 21)] {
            assert!(!matches(&condition, user, octets, Command::Retr, head), "{user} {octets}");
        }
        assert!(!matches(&condition, "bob", 15, Command::Top { lines: 1 }, head));
        for head in [
            "",
            "\r\nContent-Type: multipart/mixed",
            "X-Content-Type: multipart/mixed\n",
            "Content-Type multipart/x\n",
        ] {
            assert!(!matches(&condition, "bob", 15, Command::Retr, head), "{head:?}");
        }
    }

    #[test]
    fn the_head_is_read_only_where_it_decides() {
        let condition = Condition { users: texts(&["bob"]), ..Condition::default() };
        let never = || -> &'static [u8] { panic!("nothing asks for the header") };
        assert!(condition.matches("bob", 1, Command::Retr, never));
        let other = Condition { headers: vec![Field::parse("X: y").unwrap()], ..condition };
        assert!(!other.matches("ann", 1, Command::Retr, never));
    }

    #[test]
    fn a_rule_behind_one_that_takes_all_of_its_messages_is_known() {
        let all = Condition::default();
        let bob = Condition { users: texts(&["bob"]), ..Condition::default() };
        let large = Condition { min_size: 100, ..Condition::default() };
        let retr = Condition { top: false, ..Condition::default() };
        let listed = Condition { headers: vec![Field::parse("List-Id: *").unwrap()], ..Condition::default() };
        let not_ann = Condition { except_users: texts(&["ann"]), ..Condition::default() };
        let is_covered = |one: &Condition, other: &Condition| {
            let covering = covering(one, &[Arc::new(other.clone())]);
            assert!(covering.is_none() || covering == Some(vec![0]));
            covering.is_some()
        };
        for condition in [&all, &bob, &large, &retr, &listed, &not_ann] {
            assert!(is_covered(condition, &all) && is_covered(condition, condition));
            assert_eq!(is_covered(&all, condition), *condition == all, "{condition:?}");
        }
        let globbed = Condition { users: texts(&["b*"]), ..Condition::default() };
        assert!(is_covered(&bob, &globbed) && !is_covered(&globbed, &bob));
        let larger = Condition { min_size: 200, ..bob.clone() };
        assert!(is_covered(&larger, &large) && is_covered(&larger, &bob));
        // Bob is not Ann.
        assert!(is_covered(&larger, &not_ann) && !is_covered(&globbed, &retr));
    }

    #[test]
    fn a_rule_that_matches_nothing_is_known() {
        assert_eq!(Condition::default().contradiction(), None);
        for condition in [
            Condition { min_size: 2, max_size: 1, ..Condition::default() },
            Condition { retr: false, top: false, ..Condition::default() },
            Condition { except_users: texts(&["*"]), ..Condition::default() },
            Condition { users: texts(&["bob"]), except_users: texts(&["b*"]), ..Condition::default() },
        ] {
            assert!(condition.contradiction().is_some(), "{condition:?}");
        }
    }

    #[test]
    fn a_field_has_a_name_and_a_glob() {
        for text in ["", "x", ": y", "a b: y", "\u{fc}: y"] {
            assert_eq!(Field::parse(text), None, "{text}");
        }
        assert!(Field::parse("X-Spam:").unwrap().matches("x-spam", ""));
        assert!(Field::parse("X-Spam: *").unwrap().matches("x-spam", "anything"));
    }
}

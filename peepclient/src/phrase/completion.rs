//! Completion: what may follow what has been typed.

use std::collections::BTreeSet;

use super::{Kind, PHRASES, Phrase};

/// The levels of the log.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Names that only the server knows.
pub(crate) trait Known {
    /// The users.
    fn users(&self) -> Vec<String>;
    /// The names of the transforms.
    fn transforms(&self) -> Vec<String>;
    /// The ids of the sessions.
    fn sessions(&self) -> Vec<String>;
    /// The addresses that are refused.
    fn bans(&self) -> Vec<String>;
}

/// Where the word at the end of `typed` begins, and what it may become.
pub(crate) fn complete(typed: &str, known: &impl Known) -> (usize, Vec<String>) {
    let start = typed.rfind(' ').map_or(0, |space| space + 1);
    let (before, word) = typed.split_at_checked(start).unwrap_or((typed, ""));
    let before: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
    let mut found = BTreeSet::new();
    // Those of a longer phrase only: "transform stats" is not "transform" of a user "stats".
    let longest = PHRASES
        .iter()
        .filter(|phrase| argument(phrase, &before).is_some())
        .map(|phrase| phrase.words.len())
        .max();
    for phrase in &PHRASES {
        if let Some(next) = next_word(phrase, &before) {
            found.insert(next.to_owned());
        }
        let parameter = argument(phrase, &before).and_then(|place| phrase.parameters.get(place));
        if let Some(parameter) = parameter.filter(|_| Some(phrase.words.len()) == longest) {
            found.extend(candidates(parameter.kind, word, known));
        }
    }
    if let ["help", words @ ..] = before.as_slice() {
        found.extend(PHRASES.iter().filter_map(|phrase| next_word(phrase, words)).map(str::to_owned));
    }
    (start, found.into_iter().filter(|candidate| candidate.starts_with(word)).collect())
}

/// The word of a phrase that follows these.
fn next_word(phrase: &Phrase, before: &[&str]) -> Option<&'static str> {
    phrase.is_about(before).then(|| phrase.words.split(' ').nth(before.len())).flatten()
}

/// Which argument of a phrase follows these words; none: they do not begin with it.
fn argument(phrase: &Phrase, before: &[&str]) -> Option<usize> {
    let count = phrase.words.split(' ').count();
    let words = before.get(..count)?;
    phrase.is_about(words).then(|| before.len() - count)
}

fn candidates(kind: Kind, word: &str, known: &impl Known) -> Vec<String> {
    match kind {
        Kind::User => known.users(),
        Kind::Transform => known.transforms(),
        Kind::TransformOrAll => known.transforms().into_iter().chain(["*".to_owned()]).collect(),
        Kind::Session => known.sessions(),
        Kind::Address => known.bans(),
        Kind::Level => LEVELS.iter().map(|level| (*level).to_owned()).collect(),
        Kind::Chain => match word.rfind(',') {
            Some(comma) => {
                let begun = word.get(..=comma).unwrap_or_default();
                known.transforms().into_iter().map(|name| format!("{begun}{name}")).collect()
            }
            None => {
                let fixed = ["none", "default"].map(str::to_owned);
                known.transforms().into_iter().chain(fixed).collect()
            }
        },
        Kind::Option
        | Kind::Password
        | Kind::Path
        | Kind::Number
        | Kind::NewName
        | Kind::File
        | Kind::Program
        | Kind::Words => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some2;

    impl Known for Some2 {
        fn users(&self) -> Vec<String> {
            vec!["alice".into(), "bob".into()]
        }
        fn transforms(&self) -> Vec<String> {
            vec!["banner".into(), "redact".into()]
        }
        fn sessions(&self) -> Vec<String> {
            vec!["7".into(), "12".into()]
        }
        fn bans(&self) -> Vec<String> {
            vec!["192.0.2.7".into(), "2001:db8::".into()]
        }
    }

    #[test]
    fn words_and_names_are_completed_where_they_may_stand() {
        for (typed, expected) in [
            ("us", &["users"][..]),
            ("a", &["add", "all", "app"]),
            ("add ", &["app", "user"]),
            ("add user ", &[]),
            ("set password ", &["alice", "bob"]),
            ("delete user b", &["bob"]),
            ("add user bob ", &[]),
            ("set transform re", &["redact"]),
            ("set transform banner,", &["banner,banner", "banner,redact"]),
            ("set transform none a", &["alice"]),
            ("transform stats ", &["banner", "redact"]),
            ("transform s", &["stats"]),
            ("reload transform ", &["*", "banner", "redact"]),
            ("kick u", &["user"]),
            ("kick ", &["12", "7", "user"]),
            ("kick user a", &["alice"]),
            ("unban 2", &["2001:db8::"]),
            ("set log level w", &["warn"]),
            ("help set max ", &["connections"]),
            ("nonsense ", &[]),
        ] {
            let (start, found) = complete(typed, &Some2);
            assert_eq!(found, expected, "{typed}");
            assert_eq!(start, typed.rfind(' ').map_or(0, |space| space + 1));
        }
    }
}

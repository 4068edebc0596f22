//! Help: the overview, the details of some phrases, and what an unknown phrase may have been.

use std::cmp::Reverse;

use super::{Kind, PHRASES, Phrase};

/// How many letters may differ between what was said and what may have been meant.
const TYPOS_MAX: usize = 3;

/// Columns of the narrowest screen that help is made for.
const COLUMNS: usize = 80;

/// The text of help about some words, all phrases where there are none; or why there is none.
pub(crate) fn help(words: &[String]) -> Result<String, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.is_empty() {
        return Ok(overview());
    }
    details(&words).ok_or_else(|| format!("there is no command \"{}\"; \"help\" lists them", words.join(" ")))
}

/// All phrases with what they are for, for a screen of 80 columns.
fn overview() -> String {
    let width = PHRASES.iter().map(|phrase| phrase.usage().chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for phrase in &PHRASES {
        let mut left = phrase.usage();
        for line in wrapped(phrase.help, COLUMNS.saturating_sub(width + 4)) {
            text.push_str(&format!("  {left:width$}  {line}\n"));
            left.clear();
        }
    }
    text
}

/// A text in lines that are no wider than said, where its words allow it.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What the phrases that begin with these words are for; none: there is no such phrase.
fn details(words: &[&str]) -> Option<String> {
    let about: Vec<&Phrase> = PHRASES.iter().filter(|phrase| phrase.is_about(words)).collect();
    let texts = about.into_iter().map(|phrase| {
        let mut text = format!("{}\n    {}.\n", phrase.usage(), capitalised(phrase.help));
        if let Some(commencement) = phrase.commencement {
            let origin = if phrase.is_extension() { ", which this project adds" } else { "" };
            text.push_str(&format!("    The command \"{commencement}\" of the protocol{origin}.\n"));
        }
        if phrase.parameters.iter().any(|parameter| parameter.kind == Kind::Password) {
            text.push_str("    At a terminal the password may be left out: it is asked for, without echo.\n");
        }
        text
    });
    Some(texts.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
}

/// The phrase that is most like the words that somebody typed.
pub(crate) fn nearest(words: &[&str]) -> Option<&'static Phrase> {
    let likeness = |phrase: &'static Phrase| {
        let own = phrase.words.split(' ');
        let shared = own.clone().zip(words).take_while(|(own, word)| own.eq_ignore_ascii_case(word)).count();
        let said = words.iter().take(own.count()).copied().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        let distance = strsim::damerau_levenshtein(&said, phrase.words);
        // What was begun rightly is not wrong, only short.
        let is_begun = shared > 0 || phrase.words.starts_with(&said);
        let limit = if is_begun { usize::MAX } else { TYPOS_MAX.min(phrase.words.len() / 2) };
        (distance <= limit).then_some(((Reverse(shared), distance), phrase))
    };
    PHRASES.iter().filter_map(likeness).min_by_key(|(likeness, _)| *likeness).map(|(_, phrase)| phrase)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        for (said, meant) in [
            ("ad user bob secret", Some("add user")),
            ("add usr bob", Some("add user")),
            ("add", Some("add user")),
            ("user", Some("users")),
            ("set max 5", Some("set max connections")),
            ("set max connection 5", Some("set max connections")),
            ("session", Some("sessions")),
            ("exit", Some("quit")),
            ("x", None),
        ] {
            let words: Vec<&str> = said.split(' ').collect();
            assert_eq!(nearest(&words).map(|phrase| phrase.words), meant, "{said}");
        }
    }

    #[test]
    fn help_tells_of_one_phrase_or_of_those_that_begin_alike() {
        let text = details(&["set", "timeout"]).unwrap();
        assert!(text.starts_with("set timeout <seconds>\n    Sets the seconds of silence"), "{text}");
        let text = details(&["transform"]).unwrap();
        assert!(text.contains("transform stats <name>") && text.contains("transform [user]"), "{text}");
        assert!(details(&["nothing"]).is_none());
    }

    #[test]
    fn the_overview_has_every_phrase_and_fits_the_screen() {
        let text = overview();
        for phrase in &PHRASES {
            assert!(text.contains(&format!("  {} ", phrase.usage())), "{}", phrase.words);
        }
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }
}

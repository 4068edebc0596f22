//! The history of the prompt: a file of the administrator's own, which never holds a password.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::Line;
use crate::phrase::{self, Kind, PHRASES, Said};

/// Lines that are kept.
pub(super) const LINES_MAX: usize = 1000;

/// Reads what was kept. A prompt without it is a prompt all the same.
pub(super) fn load(editor: &mut Line) {
    if let Some(path) = path() {
        let _ = editor.load_history(&path);
    }
}

/// Keeps a line, if it may be kept, for this prompt and for the next. One that is not kept can be typed again.
pub(super) fn keep(editor: &mut Line, line: &str) {
    if !may_keep(line) || !editor.add_history_entry(line).unwrap_or(false) {
        return;
    }
    let Some(path) = path() else { return };
    if let Some(folder) = path.parent() {
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
    // At once, as a signal may end the program; added, as another prompt may be open.
    let _ = editor.append_history(&path);
}

/// Whether a line may be kept: a phrase without a password. What is no phrase may be a mistyped one with a password.
fn may_keep(line: &str) -> bool {
    match phrase::read(line) {
        Ok(Said::Ask(question)) => {
            !question.phrase.parameters.iter().any(|parameter| parameter.kind == Kind::Password)
        }
        Ok(Said::Help(words)) => words.iter().all(|word| is_of_a_phrase(word)),
        // Where the user was forgotten, the one word is the password.
        Ok(Said::NeedsPassword { phrase, .. }) => phrase.commencement != Some("u="),
        Ok(Said::Nothing) | Err(_) => false,
    }
}

/// Whether a word is one that phrases begin with.
fn is_of_a_phrase(word: &str) -> bool {
    PHRASES.iter().any(|phrase| phrase.words.split(' ').any(|it| it == word))
}

fn path() -> Option<PathBuf> {
    pop3d_programs::user_state().map(|folder| folder.join("peepclient").join("history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_that_may_hold_a_password_is_kept() {
        for (line, is_kept) in [
            ("users", true),
            ("help add user", true),
            ("help", true),
            ("help add user bob secret", false),
            ("add user bob", true),
            ("add user bob secret", false),
            ("set password bob secret", false),
            ("set password secret", false),
            ("Set  Password secret", false),
            ("add user bob secret secret", false),
            ("ad user bob secret", false),
            ("", false),
        ] {
            assert_eq!(may_keep(line), is_kept, "{line}");
        }
    }
}

//! Phrases: what an administrator types, such as `add user bob secret`.
//!
//! One table (`phrase/table.rs`) says which there are; reading (`phrase/reading.rs`), help, completion, the rendering
//! of the answers and the documents are all made from it.

mod completion;
mod help;
mod reading;
mod table;

pub(crate) use self::completion::{Known, complete};
pub(crate) use self::help::help;
pub(crate) use self::reading::{BLANK, PhraseError, Question, Said, lines, read, read_with_password};
pub use self::table::PHRASES;

use pop3d_protocol::peep::{COMMANDS, Form};

/// A phrase and the command that it stands for.
#[derive(Debug)]
pub struct Phrase {
    /// The words that it begins with.
    pub words: &'static str,
    /// What follows the words.
    pub parameters: &'static [Parameter],
    /// The commencement of the command; none: the client answers by itself.
    pub commencement: Option<&'static str>,
    /// How the answer is shown.
    pub shows: Shows,
    /// What it is for, in one line.
    pub help: &'static str,
}

/// One argument of a phrase.
#[derive(Debug)]
pub struct Parameter {
    /// What stands for it in help.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it may be left out.
    pub is_optional: bool,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A user.
    User,
    /// A password: asked for without echo where it is left out at a terminal, and never kept.
    Password,
    /// A folder of the server.
    Path,
    /// Digits.
    Number,
    /// The name of a transform.
    Transform,
    /// The name of a transform, or `*` for all.
    TransformOrAll,
    /// A name that no transform has.
    NewName,
    /// Names of transforms joined by commas, `none` or `default`.
    Chain,
    /// A file of the server's transform folder.
    File,
    /// `key:value`.
    Option,
    /// The id of a session.
    Session,
    /// An address that is refused.
    Address,
    /// A command line: all that is left of the line, sent percent-encoded.
    Program,
    /// A level of the log.
    Level,
    /// The words of a phrase.
    Words,
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug)]
pub enum Shows {
    /// As it is: nothing, a number, a text, or lines.
    Plain,
    /// A text that is percent-encoded on its way.
    Decoded,
    /// Lines of words, in columns.
    Table(&'static [Column]),
    /// Lines of a name and a value.
    Pairs(&'static [Column; 2]),
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Its name: a key of JSON, and the header where it is in capitals.
    pub name: &'static str,
    /// Whether it holds numbers.
    pub is_number: bool,
    /// Whether "-" stands for what is not there; else it is a name as others are.
    pub may_lack: bool,
}

impl Phrase {
    /// The phrase with what its arguments are, as help shows it.
    #[must_use]
    pub fn usage(&self) -> String {
        let mut usage = String::from(self.words);
        for parameter in self.parameters {
            let Parameter { name, is_optional, .. } = parameter;
            let (open, close) = if *is_optional { ('[', ']') } else { ('<', '>') };
            usage.extend([" ", &format!("{open}{name}{close}")]);
        }
        usage
    }

    /// Whether the server's published protocol has no such command.
    #[must_use]
    pub fn is_extension(&self) -> bool {
        self.form().is_some_and(|form| form.is_extension)
    }

    fn form(&self) -> Option<&'static Form> {
        let commencement = self.commencement?;
        COMMANDS.iter().find(|form| form.commencement == commencement)
    }

    fn is_about(&self, words: &[&str]) -> bool {
        let mut own = self.words.split(' ');
        words.iter().all(|word| own.next().is_some_and(|own| own.eq_ignore_ascii_case(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_protocol_has_a_phrase_that_fits_it() {
        for form in &COMMANDS {
            if form.commencement == "a" {
                // The connection's own.
                continue;
            }
            let phrase = PHRASES.iter().find(|phrase| phrase.commencement == Some(form.commencement));
            let phrase = phrase.unwrap_or_else(|| panic!("no phrase for {}", form.commencement));
            let least = phrase.parameters.iter().filter(|parameter| !parameter.is_optional).count();
            assert_eq!((least, phrase.parameters.len()), form.arguments, "{}", phrase.words);
        }
    }

    #[test]
    fn no_two_phrases_are_alike_and_options_come_last() {
        for (place, phrase) in PHRASES.iter().enumerate() {
            assert!(PHRASES.iter().skip(place + 1).all(|other| other.words != phrase.words));
            assert!(phrase.parameters.is_sorted_by_key(|parameter| parameter.is_optional));
            assert!(phrase.words.chars().all(|letter| letter == ' ' || letter.is_ascii_lowercase()));
        }
    }
}

//! The documents that are made from the program: its manual page, the completions, and the tables of the guide.
//!
//! `POP3D_WRITE_DOCUMENTS=1 cargo test -p peepclient --test documents` writes them.

use std::collections::BTreeSet;
use std::fmt::Write;

use clap::builder::PossibleValuesParser;
use peepclient::{EXIT_STATUSES, PHRASES, Phrase};
use pop3d_documents::{Section, check, check_part, completions, manual_page};

#[test]
fn the_manual_page_is_as_the_program() {
    let meaning = |phrase: &Phrase| {
        let command =
            phrase.commencement.map(|commencement| format!(" ({commencement})")).unwrap_or_default();
        format!("{}{command}.", capitalised(phrase.help))
    };
    let terms = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(term, meaning)| ((*term).to_owned(), (*meaning).to_owned())).collect()
    };
    let sections = [
        Section {
            title: "COMMANDS",
            text: "An argument has 1 to 128 octets and no space. In parentheses: the command of the protocol.",
            terms: PHRASES
                .iter()
                .map(|phrase| (phrase.usage(), meaning(phrase)))
                .chain([(
                    "top".into(),
                    "Shows what the server does, on a screen. On the command line only.".into(),
                )])
                .collect(),
        },
        Section {
            title: "EXIT STATUS",
            text: "",
            terms: EXIT_STATUSES
                .iter()
                .map(|(status, meaning)| (status.to_string(), format!("{}.", capitalised(meaning))))
                .collect(),
        },
        Section {
            title: "ENVIRONMENT",
            text: "",
            terms: terms(&[
                ("PEEP_PASSWORD", "The administrator's password, where no option gives it."),
                (
                    "XDG_STATE_HOME",
                    "Where the socket of the server and the history are; ~/.local/state where unset.",
                ),
            ]),
        },
        Section {
            title: "FILES",
            text: "",
            terms: terms(&[
                ("/var/lib/pop3d/peep.sock", "The socket of a server that root has started."),
                ("$XDG_STATE_HOME/pop3d/peep.sock", "The socket of a server that another user has started."),
                (
                    "$XDG_STATE_HOME/peepclient/history",
                    "The history of the prompt. It never holds a password.",
                ),
            ]),
        },
    ];
    check("man/peepclient.1", &manual_page(&peepclient::definition(), "1", &sections));
}

#[test]
fn the_completions_are_as_the_program() {
    // A shell completes word by word: any word of a phrase is better than none.
    let words: BTreeSet<&str> =
        PHRASES.iter().flat_map(|phrase| phrase.words.split(' ')).chain(["top"]).collect();
    let definition = peepclient::definition()
        .mut_arg("command", |argument| argument.value_parser(PossibleValuesParser::new(words)));
    for (end, script) in completions(&definition) {
        check(&format!("completions/peepclient.{end}"), &script);
    }
}

#[test]
fn the_guide_has_the_tables_of_the_program() {
    let mut phrases = String::from("| command | what it does | in the protocol |\n| --- | --- | --- |\n");
    for phrase in &PHRASES {
        let origin = match phrase.commencement {
            Some(commencement) if phrase.is_extension() => format!("`{commencement}` (added)"),
            Some(commencement) => format!("`{commencement}`"),
            None => String::new(),
        };
        writeln!(phrases, "| `{}` | {} | {origin} |", phrase.usage(), phrase.help).unwrap();
    }
    check_part("peepclient.md", "phrases", &phrases);
    let mut statuses = String::from("| status | meaning |\n| --- | --- |\n");
    for (status, meaning) in EXIT_STATUSES {
        writeln!(statuses, "| {status} | {meaning} |").unwrap();
    }
    check_part("peepclient.md", "statuses", &statuses);
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

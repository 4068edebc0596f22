//! The documents that are made from the command line: the manual page and the completions.
//!
//! `POP3D_WRITE_DOCUMENTS=1 cargo test -p pop3d --test documents` writes them.

use pop3d_documents::{Section, check, completions, manual_page};

fn terms(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(term, meaning)| ((*term).to_owned(), (*meaning).to_owned())).collect()
}

#[test]
fn the_manual_page_is_as_the_program() {
    let sections = [
        Section {
            title: "CONFIGURATION",
            text: "The keys of the configuration file are in docs/configuration.md, transforms in docs/transforms.md, PEEP \
                   in docs/peep.md.",
            terms: Vec::new(),
        },
        Section {
            title: "SIGNALS",
            text: "",
            terms: terms(&[
                (
                    "SIGTERM, SIGINT",
                    "No new connections; messages under way are sent to their end, for 30 seconds at most. A second one \
                     ends the server at once.",
                ),
                (
                    "SIGHUP",
                    "Opens the log file anew and reads the configuration again, as a whole or not at all.",
                ),
                ("SIGUSR1", "Opens the log file anew, and nothing else."),
            ]),
        },
        Section {
            title: "EXIT STATUS",
            text: "",
            terms: terms(&[
                (
                    "0",
                    "Stopped as asked; a trial: every message passed; passwd: done, or the password is right.",
                ),
                ("1", "A trial: a message failed; passwd --verify: the password is another."),
                ("64", "The command line is wrong."),
                ("65", "passwd: the password cannot be one."),
                ("66", "A folder or a file cannot be used."),
                ("67", "passwd: there is no such account."),
                ("69", "An address cannot be listened on."),
                ("71", "The system does not give what every server needs."),
                ("73", "passwd: the accounts file cannot be written."),
                ("78", "The configuration, or a file of the state folder, is wrong."),
                ("130, 143", "A second SIGINT or SIGTERM ended the server at once."),
            ]),
        },
        Section { title: "SEE ALSO", text: "peepclient(1)", terms: Vec::new() },
    ];
    check("man/pop3d.8", &manual_page(&pop3d::command(), "8", &sections));
}

#[test]
fn the_completions_are_as_the_program() {
    for (ending, text) in completions(&pop3d::command()) {
        check(&format!("completions/pop3d.{ending}"), &text);
    }
}

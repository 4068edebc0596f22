//! The manual page and the completions for shells are made of the command line's definition, and are as it is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use clap_complete::Shell;

/// What follows the options in the manual page.
const FURTHER: &str = r#".SH "CONFIGURATION"
The keys of the configuration file are in docs/configuration.md, transforms in docs/transforms.md, PEEP in docs/peep.md.
.SH "SIGNALS"
.TP
\fBSIGTERM\fR, \fBSIGINT\fR
No new connections; messages under way are sent to their end, for 30 seconds at most. A second one ends the server at once.
.TP
\fBSIGHUP\fR
Opens the log file anew and reads the configuration again, as a whole or not at all.
.SH "EXIT STATUS"
0: stopped as asked. 64: the command line is wrong. 66: a folder or file cannot be used. 69: an address cannot be listened on. 71: the
system does not give what every server needs. 78: the configuration, or a file of the state folder, is wrong.
.SH "SEE ALSO"
.BR peepclient (1)
"#;

/// Compares a document with the one in the repository; writes it where `POP3D_WRITE_DOCUMENTS=1`.
fn is_current(path: &str, text: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(path);
    if std::env::var_os("POP3D_WRITE_DOCUMENTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let is_same = fs::read(&path).is_ok_and(|found| found == text);
    assert!(is_same, "{} is not as the command line is: POP3D_WRITE_DOCUMENTS=1 writes it", path.display());
}

#[test]
fn the_manual_page_is_that_of_the_command_line() {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(pop3d::command()).section("8").date("").manual("System administration");
    man.render(&mut page).unwrap();
    page.extend_from_slice(FURTHER.as_bytes());
    is_current("man/pop3d.8", &page);
}

#[test]
fn the_completions_are_those_of_the_command_line() {
    for (shell, ending) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut pop3d::command(), "pop3d", &mut text);
        is_current(&format!("completions/pop3d.{ending}"), &text);
    }
}

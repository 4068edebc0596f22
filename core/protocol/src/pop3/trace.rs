//! The commands of a session as a log may show them: escaped, and without anything that may be a password.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use super::command::{Command, Keyword, split};
use super::sasl::Mechanism;
use crate::line::Line;

/// Longest entry, in octets.
const ENTRY_MAX: usize = 255;
/// Most entries that wait; more are lost. Not reached by who takes them whenever input was handled: replies to more
/// commands than this do not fit.
const ENTRIES_MAX: usize = 128;

/// Words that are commands to other servers, or to a proxy's, and not passwords.
const ELSEWHERE: [&str; 9] = ["XCLIENT", "XTND", "RPOP", "LAST", "HELP", "HELO", "EHLO", "GET", "POST"];

/// Commands that nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Trace {
    entries: VecDeque<String>,
}

impl Trace {
    /// Notes a line that the client sent.
    pub(super) fn note(&mut self, line: Line<'_>) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push_back(match line {
                Line::Whole { text, .. } => show(text),
                Line::TooLong => String::from("(line too long)"),
            });
        }
    }

    /// Notes that the client answered a challenge.
    pub(super) fn note_response(&mut self) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push_back(String::from("(answer to a challenge)"));
        }
    }

    /// The entry that waits longest.
    pub(super) fn take(&mut self) -> Option<String> {
        self.entries.pop_front()
    }
}

/// Shows a line. A client that is out of step, or a person who mistypes, may send a password anywhere: as a command (a client
/// that goes on with a login that was refused), or behind a name. So nothing is shown but commands and good arguments.
fn show(line: &[u8]) -> String {
    let (word, rest) = split(line);
    let Some(keyword) = Keyword::parse(word) else {
        let elsewhere = ELSEWHERE.iter().find(|other| word.eq_ignore_ascii_case(other.as_bytes()));
        return elsewhere.map_or_else(|| String::from("(no command)"), |word| format!("{word} ****"));
    };
    match keyword {
        Keyword::Pass => String::from("PASS ****"),
        Keyword::Apop => {
            let (name, _) = split(rest.unwrap_or_default());
            format!("APOP {} ****", escape(name))
        }
        // The initial response may hold a password; a mechanism that is none may be one.
        Keyword::Auth => match split(rest.unwrap_or_default()) {
            (mechanism, None) if Mechanism::parse(mechanism).is_some() => escape(line),
            (mechanism, Some(_)) if Mechanism::parse(mechanism).is_some() => {
                format!("AUTH {} ****", escape(mechanism))
            }
            _ if rest.is_some() => String::from("AUTH ****"),
            _ => String::from("AUTH"),
        },
        Keyword::User
        | Keyword::Capa
        | Keyword::Stls
        | Keyword::Utf8
        | Keyword::Lang
        | Keyword::Stat
        | Keyword::List
        | Keyword::Uidl
        | Keyword::Retr
        | Keyword::Top
        | Keyword::Dele
        | Keyword::Rset
        | Keyword::Noop
        | Keyword::Quit => match rest {
            Some(rest) if Command::parse(line).is_err() && !is_of_numbers(rest) => {
                format!("{} ****", escape(word))
            }
            _ => escape(line),
        },
    }
}

/// Whether arguments are what a client may take for numbers.
fn is_of_numbers(arguments: &[u8]) -> bool {
    arguments.iter().all(|octet| matches!(octet, b'0'..=b'9' | b'+' | b'-' | b' '))
}

/// Shows printable ASCII as it is, any other octet as `\xNN`, and what is too long cut.
fn escape(octets: &[u8]) -> String {
    let mut shown = String::new();
    for &octet in octets {
        // An escape has four octets, and what follows a long word has five.
        if shown.len() > ENTRY_MAX - 16 {
            shown.push_str("...");
            break;
        }
        match octet {
            b'\\' => shown.push_str("\\\\"),
            b' '..=b'~' => shown.push(char::from(octet)),
            // Writing into memory does not fail.
            _ => drop(write!(shown, "\\x{octet:02x}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (line, shown) in [
            (&b"PASS secret"[..], "PASS ****"),
            (b"pass secret word ", "PASS ****"),
            (b"PASS", "PASS ****"),
            (b"PASSsecret", "(no command)"),
            (b"PASS\tsecret", "(no command)"),
            (b" PASS secret", "(no command)"),
            (b"PSAS secret", "(no command)"),
            (b"secret", "(no command)"),
            (b"xtnd secret", "XTND ****"),
            (b"AHVzZXIAc2VjcmV0", "(no command)"),
            (b"USER ann secret", "USER ****"),
            (b"STAT secret", "STAT ****"),
            (b"RETR secret", "RETR ****"),
            (b"AUTH PLAIN AHVzZXIAc2VjcmV0", "AUTH PLAIN ****"),
            (b"AUTH secret", "AUTH ****"),
            (b"auth  secret", "AUTH ****"),
            (b"AUTH secret PLAIN", "AUTH ****"),
            (b"AUTH login", "AUTH login"),
            (b"AUTH", "AUTH"),
            (b"APOP mrose c4c9334bac560ecc979e58001b3e22fb", "APOP mrose ****"),
        ] {
            assert_eq!(show(line), shown);
        }
    }

    #[test]
    fn other_commands_are_shown_escaped() {
        assert_eq!(show(b"TOP 1 10"), "TOP 1 10");
        assert_eq!(show(b"TOP -1 +1 2"), "TOP -1 +1 2");
        assert_eq!(show("USER \u{fc}\\".as_bytes()), "USER \\xc3\\xbc\\\\");
        assert_eq!(show(b""), "(no command)");
        assert_eq!(escape(b"a\0b\r\xff"), "a\\x00b\\x0d\\xff");
    }

    #[test]
    fn entries_are_short_and_few() {
        let mut trace = Trace::default();
        let line = vec![0xff; 253];
        for _ in 0..1000 {
            trace.note(Line::Whole { text: &line, length: line.len() + 2 });
        }
        assert_eq!(trace.entries.len(), ENTRIES_MAX);
        assert!(trace.entries.iter().all(|entry| entry.len() <= ENTRY_MAX));
        trace.note(Line::TooLong);
    }
}

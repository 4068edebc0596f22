//! Answers as people and scripts read them. JSON is in `render/json.rs`.

pub(crate) mod json;

use pop3d_protocol::peep::{Failure, Reply};
use pop3d_protocol::text::one_line;

use crate::link::Link;
use crate::phrase::{Column, Phrase, Shows};

/// For whom an answer is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// At the prompt: `OK!` before the value, tables with a header.
    Prompt,
    /// For a terminal without a prompt: tables with a header.
    Terminal,
    /// For a script: values as they come, columns with one space between them.
    Plain,
}

/// A positive reply as text, each line with its end.
pub(crate) fn answer(phrase: &Phrase, reply: &Reply, style: Style) -> String {
    let ok = |value: &str| match style {
        Style::Prompt if value.is_empty() => "OK!\n".to_owned(),
        Style::Prompt => format!("OK! {value}\n"),
        Style::Terminal | Style::Plain => format!("{value}\n"),
    };
    match reply {
        Reply::Done if style == Style::Prompt => ok(""),
        Reply::Done => String::new(),
        Reply::Integer(number) => ok(&number.to_string()),
        Reply::Text(text) => ok(&value(phrase, text, style)),
        Reply::Lines(lines) => {
            let head = match style {
                Style::Prompt if lines.is_empty() => "OK! none\n",
                Style::Prompt => "OK!\n",
                Style::Terminal | Style::Plain => "",
            };
            format!("{head}{}", listing(phrase, lines, style))
        }
    }
}

/// A text that a reply holds.
fn value(phrase: &Phrase, text: &str, style: Style) -> String {
    match phrase.shows {
        Shows::Decoded if style == Style::Plain => one_line(&percent_decoded(text)),
        Shows::Decoded => {
            // The line ends of a program's last words are worth having.
            percent_decoded(text).trim_end().lines().map(one_line).collect::<Vec<_>>().join("\n")
        }
        Shows::Plain | Shows::Table(_) | Shows::Pairs(_) => one_line(text),
    }
}

fn listing(phrase: &Phrase, lines: &[String], style: Style) -> String {
    let columns: &[Column] = match phrase.shows {
        Shows::Table(columns) => columns,
        Shows::Pairs(columns) => columns,
        Shows::Plain | Shows::Decoded => &[],
    };
    if columns.is_empty() || style == Style::Plain {
        return lines.iter().map(|line| format!("{}\n", one_line(line))).collect();
    }
    if lines.is_empty() {
        return String::new();
    }
    let header: Vec<String> = columns.iter().map(|column| column.name.to_uppercase()).collect();
    let rows = lines.iter().map(|line| cells(phrase, line).into_iter().map(one_line).collect());
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|place| rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), column) in row.iter().zip(&widths).zip(columns) {
            let cell = if column.is_number { format!("{cell:>width$}") } else { format!("{cell:width$}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The cells of a line. The last has all that is left; a server that sends less has fewer.
pub(crate) fn cells<'line>(phrase: &Phrase, line: &'line str) -> Vec<&'line str> {
    match phrase.shows {
        Shows::Table(columns) => line.splitn(columns.len(), ' ').collect(),
        // A name of OpenMetrics may have labels, and a label a space.
        Shows::Pairs(_) => line.rsplit_once(' ').map_or(vec![line], |(name, value)| vec![name, value]),
        Shows::Plain | Shows::Decoded => vec![line],
    }
}

/// A refusal as a sentence, with the range where the server told one.
pub(crate) fn refusal(failure: Failure, link: &Link) -> String {
    let range = match failure {
        Failure::ConnectionsOutOfRange => link.range("c="),
        Failure::TimeoutOutOfRange => link.range("t="),
        _ => None,
    };
    match range {
        Some(range) => format!("{failure} ({})", one_line(range)),
        None => failure.to_string(),
    }
}

/// A refusal with what stands before it everywhere.
pub(crate) fn error(sentence: &str) -> String {
    format!("ERROR! {}\n", one_line(sentence))
}

/// A text whose `%` with two hexadecimal digits are octets.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits
            .filter(|_| octet == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        octets.push(value.unwrap_or(octet));
        rest = behind.get(if value.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phrase::PHRASES;

    fn shown(words: &str, reply: &Reply, style: Style) -> String {
        let phrase = PHRASES.iter().find(|phrase| phrase.words == words).unwrap();
        answer(phrase, reply, style)
    }

    fn lines(lines: &[&str]) -> Reply {
        Reply::Lines(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn values_have_ok_before_them_at_the_prompt_alone() {
        for (words, reply, prompt, plain) in [
            ("set timeout", Reply::Done, "OK!\n", ""),
            ("timeout", Reply::Integer(600), "OK! 600\n", "600\n"),
            ("maildir", Reply::Text("/var/mail".into()), "OK! /var/mail\n", "/var/mail\n"),
            ("maildir", Reply::Text(String::new()), "OK!\n", "\n"),
            ("users", lines(&["alice", "bob"]), "OK!\nalice\nbob\n", "alice\nbob\n"),
            ("users", lines(&[]), "OK! none\n", ""),
            ("transform error", Reply::Text("100%25%0Aoops%".into()), "OK! 100%\noops%\n", "100%\\noops%\n"),
        ] {
            assert_eq!(shown(words, &reply, Style::Prompt), prompt, "{words}");
            assert_eq!(shown(words, &reply, Style::Plain), plain, "{words}");
        }
    }

    #[test]
    fn tables_are_aligned_for_people_and_plain_for_scripts() {
        let reply = lines(&["7 bob 192.0.2.1 TRANSACTION 5 123456", "12 - 192.0.2.1 AUTHORIZATION 61 20"]);
        let table = [
            "ID  USER  ADDRESS    STATE          SECONDS  OCTETS",
            " 7  bob   192.0.2.1  TRANSACTION          5  123456",
            "12  -     192.0.2.1  AUTHORIZATION       61      20",
            "",
        ]
        .join("\n");
        assert_eq!(shown("sessions", &reply, Style::Prompt), format!("OK!\n{table}"));
        assert_eq!(shown("sessions", &reply, Style::Terminal), table);
        let plain = "7 bob 192.0.2.1 TRANSACTION 5 123456\n12 - 192.0.2.1 AUTHORIZATION 61 20\n";
        assert_eq!(shown("sessions", &reply, Style::Plain), plain);
        assert_eq!(shown("sessions", &lines(&[]), Style::Prompt), "OK! none\n");
    }

    #[test]
    fn a_name_with_a_space_in_its_labels_is_one_cell() {
        let reply = lines(&["x_total{a=\"b c\"} 5", "y 10", "odd"]);
        let table = "NAME              VALUE\nx_total{a=\"b c\"}      5\ny                    10\nodd\n";
        assert_eq!(shown("statistics", &reply, Style::Terminal), table);
    }

    #[test]
    fn a_server_cannot_command_the_terminal() {
        let reply = lines(&["\u{1B}[2Jbob"]);
        for style in [Style::Prompt, Style::Terminal, Style::Plain] {
            assert!(!shown("users", &reply, style).contains('\u{1B}'));
            assert!(!shown("sessions", &reply, style).contains('\u{1B}'));
        }
        let text = shown("transform error", &Reply::Text("%1B[2J%0D%0Ax".into()), Style::Prompt);
        assert_eq!(text, "OK! \\u{1b}[2J\nx\n");
    }
}

//! Answers as JSON: one object or array for each command, on one line.

use pop3d_protocol::peep::Reply;
use pop3d_protocol::text::one_line;
use serde_json::{Map, Value, json};

use super::{cells, percent_decoded};
use crate::phrase::{Column, Phrase, Shows};

/// A value on a line of its own. What could command a terminal, or show text in another order, stands in its texts only, and
/// is written as JSON lets any character be.
pub(crate) fn line(value: &Value) -> String {
    let mut line = String::new();
    for character in value.to_string().chars() {
        let mut units = [0; 2];
        if one_line(character.encode_utf8(&mut [0; 4])).starts_with('\\') && character != '\\' {
            for unit in character.encode_utf16(&mut units) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

/// A positive reply: lists are arrays, pairs are an object, and all else is an object whose `ok` is true.
pub(crate) fn answer(phrase: &Phrase, reply: &Reply) -> Value {
    match reply {
        Reply::Done => json!({ "ok": true }),
        Reply::Integer(number) => json!({ "ok": true, "value": number }),
        Reply::Text(text) => match phrase.shows {
            Shows::Decoded => json!({ "ok": true, "value": percent_decoded(text) }),
            Shows::Plain | Shows::Table(_) | Shows::Pairs(_) => json!({ "ok": true, "value": text }),
        },
        Reply::Lines(lines) => listing(phrase, lines),
    }
}

/// What `help` says.
pub(crate) fn help(text: &str) -> Value {
    json!({ "ok": true, "value": text })
}

/// What was not done: the sentence, and the code of the protocol where the server gave one.
pub(crate) fn refusal(sentence: &str, code: Option<u32>) -> Value {
    match code {
        Some(code) => json!({ "ok": false, "error": sentence, "code": code }),
        None => json!({ "ok": false, "error": sentence }),
    }
}

fn listing(phrase: &Phrase, lines: &[String]) -> Value {
    match phrase.shows {
        Shows::Plain | Shows::Decoded => lines.iter().map(String::as_str).collect(),
        Shows::Table(columns) => lines.iter().map(|line| row(columns, &cells(phrase, line))).collect(),
        Shows::Pairs([_, column]) => {
            let pairs = lines.iter().filter_map(|line| match cells(phrase, line)[..] {
                [name, value] => Some((name.to_owned(), cell(column, value))),
                _ => None,
            });
            Value::Object(pairs.collect())
        }
    }
}

fn row(columns: &[Column], cells: &[&str]) -> Value {
    let pairs = columns.iter().zip(cells).map(|(column, text)| (column.name.to_owned(), cell(column, text)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// A cell: a number where the column has numbers, null for the "-" of what may not be there.
fn cell(column: &Column, text: &str) -> Value {
    let number = || {
        let whole = text.parse::<u64>().map(Value::from).ok();
        whole.or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from))
    };
    match text {
        "-" if column.may_lack => Value::Null,
        _ if column.is_number => number().unwrap_or_else(|| text.into()),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phrase::PHRASES;

    #[test]
    fn no_text_commands_the_terminal() {
        let text = "\u{9b}2J\u{7f}\u{202e}\u{1b} \\ \" ü \u{1f600}";
        let said = line(&json!({ "value": text }));
        assert!(said.contains("\\u009b2J\\u007f\\u202e\\u001b"), "{said}");
        assert!(said.contains("ü \u{1f600}"), "{said}");
        assert_eq!(one_line(said.trim_end_matches('\n')), said.trim_end_matches('\n'));
        assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), json!({ "value": text }));
    }

    #[test]
    fn each_answer_is_one_object_or_array() {
        let lines = |lines: &[&str]| Reply::Lines(lines.iter().map(|line| (*line).to_owned()).collect());
        for (words, reply, expected) in [
            ("set timeout", Reply::Done, r#"{"ok":true}"#),
            ("timeout", Reply::Integer(600), r#"{"ok":true,"value":600}"#),
            ("maildir", Reply::Text("/v\"".into()), r#"{"ok":true,"value":"/v\""}"#),
            ("transform error", Reply::Text("a%0Ab".into()), r#"{"ok":true,"value":"a\nb"}"#),
            ("users", lines(&["alice", "7"]), r#"["alice","7"]"#),
            ("users", lines(&[]), "[]"),
            (
                "sessions",
                lines(&["7 - ::1 AUTHORIZATION 5 20"]),
                r#"[{"id":7,"user":null,"address":"::1","state":"AUTHORIZATION","seconds":5,"octets":20}]"#,
            ),
            ("app passwords", lines(&["- 5 -"]), r#"[{"name":"-","made":5,"used":null}]"#),
            (
                "transforms",
                lines(&["- wasm ready 1"]),
                r#"[{"name":"-","kind":"wasm","state":"ready","generation":1}]"#,
            ),
            ("statistics", lines(&["e 0.5", "a{b=\"c d\"} 1"]), r#"{"e":0.5,"a{b=\"c d\"}":1}"#),
            ("transform stats", lines(&[]), "{}"),
        ] {
            let phrase = PHRASES.iter().find(|phrase| phrase.words == words).unwrap();
            assert_eq!(answer(phrase, &reply).to_string(), expected, "{words}");
        }
    }
}

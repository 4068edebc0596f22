//! Commands without a prompt: from the command line, or one on each line of standard input.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use pop3d_protocol::peep::Failure;
use serde_json::Value;

use crate::exit::Exit;
use crate::link::{Link, Outcome};
use crate::phrase::{self, Phrase, PhraseError, Question, Said};
use crate::render::{self, Style, json};
use crate::terminal;

/// Longest line of standard input; no command comes near it.
const LINE_MAX: u64 = 64 * 1024;

/// Where answers go, and what became of them.
struct Answers {
    style: Style,
    is_json: bool,
    is_refused: bool,
    is_bad: bool,
}

/// Does the commands of the command line. Nothing is asked unless all of them can be.
pub(crate) fn run_commands(
    arguments: &[String],
    is_json: bool,
    open: impl FnOnce() -> Result<Link, Exit>,
) -> Result<(), Exit> {
    let usage = |error: PhraseError| Exit::Usage(error.to_string());
    let mut questions = Vec::new();
    let mut helps = String::new();
    for line in phrase::lines(arguments).map_err(usage)? {
        match phrase::read(&line).map_err(usage)? {
            Said::Ask(question) => questions.push(question),
            Said::NeedsPassword { phrase, user } => questions.push(asked(phrase, &user)?),
            Said::Help(words) => {
                let text = phrase::help(&words).map_err(Exit::Usage)?;
                helps.push_str(&told(&text, is_json));
            }
            Said::Nothing => {}
        }
    }
    let mut answers = Answers::new(is_json);
    print(&helps)?;
    if questions.is_empty() {
        return Ok(());
    }
    if let Some(last) = questions.iter().position(Question::is_farewell) {
        questions.truncate(last + 1);
    }
    let mut link = open()?;
    let mut outcomes = Vec::new();
    let asked = link.ask_all(questions.iter().map(|question| &question.request), &mut outcomes);
    for (question, outcome) in questions.iter().zip(&outcomes) {
        answers.show(question, outcome, &link)?;
    }
    asked?;
    answers.end()
}

/// Does the commands of standard input, each as soon as its line has come.
pub(crate) fn run_lines(is_json: bool, open: impl FnOnce() -> Result<Link, Exit>) -> Result<(), Exit> {
    let mut answers = Answers::new(is_json);
    let mut link = open()?;
    let mut input = io::stdin().lock();
    for number in 1_u64.. {
        let mut line = Vec::new();
        let read = input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(unread(&error)),
        }
        if line.len() as u64 == LINE_MAX && !line.ends_with(b"\n") {
            // Its rest is no line of its own, and would be done as a command.
            input.skip_until(b'\n').map_err(|error| unread(&error))?;
            answers.bad(number, &format!("it is too long; a line has at most {LINE_MAX} octets"))?;
            continue;
        }
        let Ok(line) = String::from_utf8(line) else {
            answers.bad(number, "it is not UTF-8")?;
            continue;
        };
        // Any other blank may be a part of a password.
        let line = line.trim_end_matches(['\r', '\n']).trim_matches(phrase::BLANK);
        // A comment.
        if line.starts_with('#') {
            continue;
        }
        match phrase::read(line) {
            Ok(Said::Ask(question)) => {
                let outcome = link.ask(&question.request)?;
                answers.show(&question, &outcome, &link)?;
                if question.is_farewell() {
                    break;
                }
            }
            Ok(Said::NeedsPassword { phrase, .. }) => {
                answers.bad(number, &format!("<password> is missing: {}", phrase.usage()))?;
            }
            Ok(Said::Help(words)) => match phrase::help(&words) {
                Ok(text) => print(&told(&text, is_json))?,
                Err(sentence) => answers.bad(number, &sentence)?,
            },
            Ok(Said::Nothing) => {}
            Err(error) => answers.bad(number, &error.to_string())?,
        }
    }
    answers.end()
}

impl Answers {
    fn new(is_json: bool) -> Self {
        let style = if io::stdout().is_terminal() { Style::Terminal } else { Style::Plain };
        Self { style, is_json, is_refused: false, is_bad: false }
    }

    /// Writes what a question came to.
    fn show(&mut self, question: &Question, outcome: &Outcome, link: &Link) -> Result<(), Exit> {
        let phrase = question.phrase;
        match outcome {
            Ok(reply) if self.is_json => print(&json::line(&json::answer(phrase, reply))),
            Ok(reply) => print(&render::answer(phrase, reply, self.style)),
            Err(failure) => {
                self.is_refused = true;
                self.error(&format!("{}: {}", phrase.words, render::refusal(*failure, link)), Some(*failure))
            }
        }
    }

    fn bad(&mut self, number: u64, sentence: &str) -> Result<(), Exit> {
        self.is_bad = true;
        self.error(&format!("line {number}: {sentence}"), None)
    }

    /// Says that something was not done: to whoever looks, and as JSON to whoever counts the answers.
    fn error(&self, sentence: &str, failure: Option<Failure>) -> Result<(), Exit> {
        // Nobody may be looking.
        let _ = io::stderr().write_all(render::error(sentence).as_bytes());
        if self.is_json {
            let value: Value = json::refusal(sentence, failure.map(Failure::code));
            print(&json::line(&value))?;
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Exit> {
        match (self.is_bad, self.is_refused) {
            (true, _) => Err(Exit::BadPhrase),
            (false, true) => Err(Exit::Refused),
            (false, false) => Ok(()),
        }
    }
}

/// The text of help, as it is written.
fn told(text: &str, is_json: bool) -> String {
    if is_json { json::line(&json::help(text)) } else { text.to_owned() }
}

/// A question that lacks a password, once somebody has typed it.
fn asked(phrase: &'static Phrase, user: &str) -> Result<Question, Exit> {
    if !terminal::is_attended() {
        return Err(Exit::Usage(format!("<password> is missing: {}", phrase.usage())));
    }
    let password = terminal::ask_new_password(user)
        .map_err(|error| Exit::Usage(format!("the terminal gave no password: {error}")))?
        .ok_or_else(|| Exit::Usage("the two passwords differ; try again".into()))?;
    phrase::read_with_password(phrase, user, password).map_err(|error| Exit::Usage(error.to_string()))
}

fn unread(error: &io::Error) -> Exit {
    Exit::Lost(format!("cannot read standard input: {error}"))
}

fn print(text: &str) -> Result<(), Exit> {
    let mut output = io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| Exit::Lost(format!("cannot write the answers: {error}")))
}

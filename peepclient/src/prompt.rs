//! The prompt: an administrator at a terminal types phrases, with completion and a history.

mod assistant;
mod history;

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use pop3d_protocol::text::one_line;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use self::assistant::Assistant;
use crate::exit::Exit;
use crate::link::Link;
use crate::phrase::{self, Phrase, Question, Said};
use crate::render::{self, Style};
use crate::terminal;

/// What stands before what is typed.
const PROMPT: &str = "peep> ";

type Line = Editor<Assistant, FileHistory>;

/// Answers phrases until the administrator leaves.
///
/// # Errors
/// Where the connection is lost, or the terminal.
pub(crate) fn run(link: Link) -> Result<(), Exit> {
    let link = Rc::new(RefCell::new(link));
    let mut editor = editor(Assistant::new(Rc::clone(&link))).map_err(|error| no_terminal(&error))?;
    history::load(&mut editor);
    let target = one_line(&link.borrow().target().to_string());
    show(&format!("PEEP at {target}. \"help\" lists the commands, \"quit\" ends.\n"))?;
    converse(&mut editor, &link)
}

fn converse(editor: &mut Line, link: &RefCell<Link>) -> Result<(), Exit> {
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            // Ctrl-C throws a line away, Ctrl-D leaves.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(no_terminal(&error)),
        };
        history::keep(editor, &line);
        let question = match understood(&line) {
            Ok(Some(question)) => question,
            Ok(None) => continue,
            Err(sentence) => {
                show(&render::error(&sentence))?;
                continue;
            }
        };
        let outcome = link.borrow_mut().ask(&question.request)?;
        match outcome {
            Ok(reply) => show(&render::answer(question.phrase, &reply, Style::Prompt))?,
            Err(failure) => show(&render::error(&render::refusal(failure, &link.borrow())))?,
        }
        if question.is_farewell() {
            return Ok(());
        }
        if let Some(assistant) = editor.helper() {
            assistant.forget();
        }
    }
}

/// What a line asks of the server; help is given at once.
fn understood(line: &str) -> Result<Option<Question>, String> {
    match phrase::read(line).map_err(|error| error.to_string())? {
        Said::Ask(question) => Ok(Some(question)),
        Said::NeedsPassword { phrase, user } => with_password(phrase, &user).map(Some),
        Said::Help(words) => {
            let text = phrase::help(&words)?;
            show(&text).map_err(|exit| exit.to_string())?;
            Ok(None)
        }
        Said::Nothing => Ok(None),
    }
}

fn with_password(phrase: &'static Phrase, user: &str) -> Result<Question, String> {
    let asked = terminal::ask_new_password(user);
    let asked = asked.map_err(|error| format!("nothing done: the terminal gave no password: {error}"))?;
    let password = asked.ok_or("nothing done: the two passwords differ")?;
    phrase::read_with_password(phrase, user, password).map_err(|error| error.to_string())
}

fn editor(assistant: Assistant) -> rustyline::Result<Line> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .history_ignore_dups(true)?
        .max_history_size(history::LINES_MAX)?
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(assistant));
    Ok(editor)
}

fn no_terminal(error: &ReadlineError) -> Exit {
    Exit::Lost(format!("the terminal is lost: {error}"))
}

fn show(text: &str) -> Result<(), Exit> {
    let mut output = io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| Exit::Lost(format!("the terminal is lost: {error}")))
}

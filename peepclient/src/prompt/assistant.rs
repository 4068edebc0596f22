//! Completion at the prompt: the phrases are known, the names are asked from the server and kept for a short while.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pop3d_protocol::peep::Reply;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::link::{Link, known};
use crate::phrase::{Known, complete};

/// How long names are kept: for the keystrokes of one line, not for the next administrator's work.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// Completes what is typed.
pub(super) struct Assistant {
    names: Names,
}

struct Names {
    link: Rc<RefCell<Link>>,
    kept: RefCell<Vec<Kept>>,
}

struct Kept {
    commencement: &'static str,
    since: Instant,
    names: Vec<String>,
}

impl Assistant {
    /// An assistant who asks over the connection that the prompt has too.
    pub(super) fn new(link: Rc<RefCell<Link>>) -> Self {
        Self { names: Names { link, kept: RefCell::default() } }
    }

    /// Forgets the names: a command may have changed them.
    pub(super) fn forget(&self) {
        self.names.kept.borrow_mut().clear();
    }
}

impl Names {
    /// The first words of the lines that a command is answered with.
    fn of(&self, commencement: &'static str) -> Vec<String> {
        let mut kept = self.kept.borrow_mut();
        kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
        if let Some(found) = kept.iter().find(|kept| kept.commencement == commencement) {
            return found.names.clone();
        }
        // A connection that is lost is told of by the next command.
        let Ok(mut link) = self.link.try_borrow_mut() else { return Vec::new() };
        let names: Vec<String> = match link.ask(&known(commencement)) {
            Ok(Ok(Reply::Lines(lines))) => {
                lines.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
            }
            Ok(Ok(Reply::Done | Reply::Integer(_) | Reply::Text(_)) | Err(_)) | Err(_) => Vec::new(),
        };
        kept.push(Kept { commencement, since: Instant::now(), names: names.clone() });
        names
    }
}

impl Known for Names {
    fn users(&self) -> Vec<String> {
        self.of("u?")
    }

    fn transforms(&self) -> Vec<String> {
        self.of("tfl?")
    }

    fn sessions(&self) -> Vec<String> {
        self.of("s?")
    }

    fn bans(&self) -> Vec<String> {
        self.of("ban?")
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, place: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..place).unwrap_or(line);
        let (start, mut candidates) = complete(typed, &self.names);
        // Names come from a server: one that could command the terminal is not offered.
        candidates.retain(|candidate| !candidate.chars().any(char::is_control));
        if let [only] = candidates.as_mut_slice()
            && place == line.len()
        {
            only.push(' ');
        }
        Ok((start, candidates))
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Validator for Assistant {}

impl Helper for Assistant {}

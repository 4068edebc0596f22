//! What transforms say while a message passes: kept, to be shown with it.

use std::sync::{Mutex, OnceLock, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use pop3d_protocol::text::one_line;

/// Lines kept until they are taken.
const LINES_MAX: usize = 1000;

/// The lines of the log that nobody has taken yet.
#[derive(Default)]
struct Journal {
    lines: Mutex<Vec<String>>,
}

/// One for the whole process, as the logger is.
static JOURNAL: OnceLock<Journal> = OnceLock::new();

/// Keeps what is logged from here on.
pub(super) fn begin() {
    // Nobody else logs: the server does not run.
    if log::set_logger(JOURNAL.get_or_init(Journal::default)).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// What was logged since this was last asked.
pub(super) fn take() -> Vec<String> {
    let lines = JOURNAL.get().map(|journal| &journal.lines);
    lines.map_or_else(Vec::new, |lines| {
        std::mem::take(&mut lines.lock().unwrap_or_else(PoisonError::into_inner))
    })
}

impl Log for Journal {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() > log::max_level() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(one_line(&format!("{} {}", record.level(), record.args())));
        }
    }

    fn flush(&self) {}
}

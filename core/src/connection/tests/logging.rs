//! What sessions write to the log.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};

use super::*;
use crate::accounts::WrongCredentials;

/// The log of the threads that want it: other tests run beside.
struct Journal;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

impl Log for Journal {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        LINES.with_borrow(Option::is_some)
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.push(format!("{} {}", record.level(), record.args()));
            }
        });
    }

    fn flush(&self) {}
}

/// Has what this thread writes to the log kept from here on.
fn begin() {
    // Another test may have been the first.
    let _ = log::set_logger(&Journal);
    log::set_max_level(LevelFilter::Trace);
    LINES.set(Some(Vec::new()));
}

/// The lines since `begin` that say something, or since the last call.
fn lines(what: &str) -> Vec<String> {
    let lines = LINES.take().unwrap();
    LINES.set(Some(Vec::new()));
    lines.into_iter().filter(|line| line.contains(what)).collect()
}

#[test]
fn a_name_that_is_no_users_is_cut_in_the_log() {
    begin();
    let stage = Stage::new(Vec::new(), script("", usize::MAX));
    let judge = stage.connection.judge(&stage.desk);
    for (claimed, shown) in [
        (b"x".repeat(128), "x".repeat(128)),
        (b"x".repeat(129), format!("{}…", "x".repeat(128))),
        (b"\xff".repeat(48 * 1024), format!("{}…", "\\xff".repeat(128))),
    ] {
        judge.judge(&claimed, Err(WrongCredentials));
        let line = format!("INFO user {shown} from 127.0.0.1:1 not logged in: wrong credentials");
        assert_eq!(lines("not logged in"), [line]);
    }
}

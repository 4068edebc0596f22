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

#[test]
fn the_log_warns_once_of_a_message_that_has_vanished_however_often_it_is_asked_for() {
    begin();
    let messages = vec![VANISHED.to_vec(); 300];
    let asks = "RETR 1\r\nRETR 2\r\nTOP 1 0\r\n".repeat(100);
    let mut stage = Stage::new(messages, script(&format!("{LOGIN}{asks}"), usize::MAX));
    stage.play();
    assert_eq!(stage.heard().matches("-ERR message 1 is gone").count(), 200);
    let told = |number| format!("user user from 127.0.0.1:1: message {number}: message vanished");
    let mut lines_of_it = lines("message vanished");
    assert_eq!(lines_of_it.len(), 300);
    lines_of_it.retain(|line| line.starts_with("WARN"));
    assert_eq!(lines_of_it, [1, 2].map(|number| format!("WARN {}", told(number))));
    // Of a maildrop that has gone as a whole it does not tell each message either.
    let asks: String = (1..=300).map(|number| format!("RETR {number}\r\n")).collect();
    let mut stage = Stage::new(vec![VANISHED.to_vec(); 300], script(&format!("{LOGIN}{asks}"), usize::MAX));
    stage.play();
    assert_eq!(lines("WARN").len(), 100);
}

#[test]
fn the_log_has_every_command_however_many_come_at_once() {
    begin();
    let commands: String = (1..=5000).map(|number| format!("LIST {number}\r\n")).collect();
    let mut stage =
        Stage::new(vec![b"x\n".to_vec(); 2], script(&format!("{LOGIN}{commands}QUIT\r\n"), usize::MAX));
    stage.play();
    let logged = lines("DEBUG 127.0.0.1:1: ");
    let said = ["USER user".to_owned(), "PASS ****".to_owned()].into_iter();
    let said = said.chain((1..=5000).map(|number| format!("LIST {number}"))).chain(["QUIT".to_owned()]);
    let logged = logged.iter().map(|line| line.strip_prefix("DEBUG 127.0.0.1:1: ").unwrap());
    assert!(logged.eq(said));
}

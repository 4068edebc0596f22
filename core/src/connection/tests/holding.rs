//! What is held of those who have not logged in.

use std::sync::atomic::Ordering;

use super::*;

/// A stage whose client has said something, where so much may be held.
fn stage(says: &str, held_before_login: usize) -> Stage {
    let mut stage = Stage::new(vec![b"x\n".to_vec()], Script { ends: false, ..script("", usize::MAX) });
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    settings.limits.held_before_login = held_before_login;
    stage.desk.shared.settings.store(Arc::new(settings));
    stage.says(says);
    stage.play();
    stage
}

fn held(stage: &Stage) -> usize {
    stage.desk.shared.held.load(Ordering::SeqCst)
}

#[test]
fn what_is_held_before_login_is_counted_and_given_back() {
    let long = "A".repeat(3000);
    let mut half_line = stage(&format!("AUTH PLAIN\r\n{long}"), 10_000);
    assert_eq!(held(&half_line), 3000 - 1024);
    half_line.says("\r\n");
    half_line.play();
    assert_eq!(held(&half_line), 0, "it was verified");
    // The name that LOGIN has taken waits for its password, also once that is cancelled.
    let mut named = stage(&format!("AUTH LOGIN\r\n{long}\r\n"), 10_000);
    assert_eq!(held(&named), 3000 / 4 * 3 - 1024);
    named.says("*\r\n");
    named.play();
    assert_eq!(held(&named), 3000 / 4 * 3 - 1024);
    named.says("AUTH PLAIN AHVzZXIAcGFzcw==\r\n");
    named.play();
    assert!(named.heard().contains("+OK maildrop locked") && held(&named) == 0);
    // The configuration may permit long commands, and so long names.
    let mut long_name = Stage::new(Vec::new(), Script { ends: false, ..script("", usize::MAX) });
    let mut settings = Settings::clone(&long_name.desk.shared.settings.load());
    settings.limits.lengths.command = 8000;
    long_name.desk.shared.settings.store(Arc::new(settings));
    let says = Script { ends: false, ..script(&format!("USER {long}\r\n"), usize::MAX) };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let key = Slots::new().insert(());
    long_name.connection = Connection::new(key, peer, Transport::Scripted(says), &long_name.desk);
    long_name.play();
    assert_eq!(held(&long_name), 3000 - 1024);
    // Commands wait for the answer to a login that failed.
    let pipelined = stage(&format!("USER user\r\nPASS wrong\r\n{}", "NOOP\r\n".repeat(500)), 10_000);
    assert_eq!(held(&pipelined), 3000 - 1024);
    let Stage { connection, desk, .. } = pipelined;
    drop(connection);
    assert_eq!(desk.shared.held.load(Ordering::SeqCst), 0, "it has gone");
}

#[test]
fn who_would_hold_more_than_there_is_room_for_is_told_and_closed_and_a_short_login_is_not() {
    let long = "A".repeat(3000);
    for says in [
        format!("AUTH PLAIN\r\n{long}"),
        format!("AUTH LOGIN\r\n{long}\r\n"),
        format!("USER user\r\nPASS wrong\r\n{}", "NOOP\r\n".repeat(500)),
    ] {
        let mut refused = stage(&says, 1000);
        if let Task::Delayed { until, .. } = refused.connection.task {
            refused.desk.now = until;
            refused.connection.handle_time(&mut refused.desk);
            refused.play();
        }
        let said =
            "-ERR [SYS/TEMP] too much is being sent by those who have not logged in, try again later\r\n";
        assert!(refused.heard().ends_with(said), "{says}: {}", refused.heard());
        assert!(refused.heard.lock().unwrap().is_finished);
        assert_eq!((held(&refused), refused.desk.counters.refused.value()), (0, 1), "{says}");
    }
    let logged_in = stage(&format!("{LOGIN}{}", "NOOP\r\n".repeat(150)), 0);
    assert!(logged_in.heard().contains("+OK maildrop locked"), "{}", logged_in.heard());
}

/// A client that has said so much before it reads anything.
fn reading_nothing(says: &str) -> Stage {
    let script = script(says, usize::MAX);
    let script = Script { never_pauses: true, ends: false, takes: Some(100), ..script };
    let mut stage = Stage::new(vec![b"x\n".to_vec()], script);
    assert_eq!(stage.play(), Turn::Waiting);
    stage
}

#[test]
fn who_takes_nothing_before_login_is_not_read_either_until_it_does() {
    let count = 4000;
    let mut stage = reading_nothing(&format!("{}{LOGIN}", "CAPA\r\n".repeat(count)));
    let waiting = stage.connection.outbound.len();
    assert!(waiting > UNREAD_BEFORE_LOGIN && waiting < UNREAD_BEFORE_LOGIN + 2 * REPLY_ROOM, "{waiting}");
    stage.takes(usize::MAX / 2);
    for _ in 0..1000 {
        // That there is room is all that the kernel tells: what was said before it has told already.
        stage.connection.is_writable = true;
        stage.connection.turn(&mut stage.desk);
        if matches!(stage.connection.task, Task::Job) {
            stage.finish_job();
        }
    }
    assert_eq!(stage.heard().matches("\r\n.\r\n").count(), count);
    assert!(stage.heard().contains("+OK maildrop locked"));
}

#[test]
fn who_takes_nothing_before_login_gives_way_as_who_says_nothing() {
    let mut stage = reading_nothing(&"CAPA\r\n".repeat(4000));
    let sign = stage.connection.last_sign;
    assert_eq!(stage.connection.silent_before_login(), Some(sign));
    assert_eq!(stage.connection.give_way(&mut stage.desk), Turn::Gone);
    assert!(stage.heard.lock().unwrap().is_reset);
    assert_eq!(stage.desk.shared.sessions.count(), 0);
}

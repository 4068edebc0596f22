//! Clients that go while a job is under way for them.

use super::*;

/// Passwords that are wrong and right, and what is never to be done.
const SAYS: [&str; 2] = [
    "CAPA\r\nUSER user\r\nPASS wrong\r\nDELE 1\r\nQUIT\r\n",
    "CAPA\r\nUSER user\r\nPASS pass\r\nDELE 1\r\nQUIT\r\n",
];

/// A client that has said this, and has taken nothing of what it was told. A job is under way for it, and it has the only seat.
fn at_work(says: &str) -> Stage {
    let script = Script { ends: false, never_pauses: true, takes: Some(0), ..script(says, usize::MAX) };
    let mut stage = Stage::new(vec![b"x\n".to_vec()], script);
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    settings.limits.connections = 1;
    stage.desk.shared.settings.store(Arc::new(settings));
    let seat = Shared::take_seat(&stage.desk.shared).unwrap();
    let admission = Admission::new(seat, stage.connection.peer.ip(), stage.desk.now);
    stage.connection.admission = Some(admission.unwrap_or_else(|why| panic!("{why:?}")));
    while !matches!(stage.connection.task, Task::Job) {
        stage.connection.input.is_readable = true;
        stage.connection.is_writable = true;
        assert_eq!(stage.connection.turn(&mut stage.desk), Turn::Waiting);
    }
    assert!(!stage.connection.outbound.is_empty());
    stage
}

/// What is done for it ends, and it with that.
fn ends_with_its_job(mut stage: Stage) {
    for _ in 0..3 {
        assert!(Shared::take_seat(&stage.desk.shared).is_none(), "somebody else has its seat");
        assert_eq!(stage.connection.deadline(&mut stage.desk), None);
        stage.connection.is_writable = true;
        assert_eq!(stage.connection.turn(&mut stage.desk), Turn::Waiting);
    }
    assert!(stage.connection.outbound.is_empty());
    assert_eq!(stage.desk.shared.sessions.count(), 0, "it is still listed");
    stage.finish_job();
    assert_eq!(stage.connection.turn(&mut stage.desk), Turn::Gone);
    let Stage { connection, desk, removed, .. } = stage;
    drop(connection);
    assert!(Shared::take_seat(&desk.shared).is_some());
    assert!(removed.lock().unwrap().is_empty());
}

#[test]
fn who_goes_before_the_answer_to_a_password_keeps_its_seat_until_there_is_one() {
    for says in SAYS {
        let mut stage = at_work(says);
        let Transport::Scripted(script) = &mut stage.connection.transport else { panic!() };
        script.is_gone = true;
        stage.connection.is_writable = true;
        assert_eq!(stage.connection.turn(&mut stage.desk), Turn::Waiting, "it goes without its job");
        ends_with_its_job(stage);
    }
}

#[test]
fn who_is_given_up_before_the_answer_to_a_password_keeps_its_seat_until_there_is_one() {
    for says in SAYS {
        let mut stage = at_work(says);
        stage.desk.now = stage.connection.deadline(&mut stage.desk).unwrap();
        assert_eq!(stage.connection.handle_time(&mut stage.desk), Turn::Waiting, "it goes without its job");
        assert!(stage.heard.lock().unwrap().is_reset);
        ends_with_its_job(stage);
    }
}

#[test]
fn who_is_being_logged_in_when_the_server_stops_hears_so_at_once() {
    const FAREWELL: &str = "-ERR [SYS/TEMP] server is stopping\r\n";
    // A wrong password, a right one, and one whose maildrop is being opened.
    for says in [SAYS[0], "AUTH PLAIN AHVzZXIAcGFzcw==\r\nDELE 1\r\nQUIT\r\n", SAYS[1]] {
        let mut stage = Stage::new(vec![b"x\n".to_vec()], Script { ends: false, ..script(says, usize::MAX) });
        while !matches!(stage.connection.task, Task::Job) {
            stage.connection.input.is_readable = true;
            stage.connection.is_writable = true;
            stage.connection.turn(&mut stage.desk);
        }
        stage.connection.drain();
        stage.play();
        let heard = stage.heard();
        assert!(heard.ends_with(FAREWELL), "{heard}");
        stage.finish_job();
        stage.play();
        assert_eq!(stage.heard(), heard, "it is told what came of it");
        assert!(!stage.connection.session.is_authenticated() && stage.removed.lock().unwrap().is_empty());
    }
    // The answer to a failed login is held back for no longer either.
    let mut stage = Stage::new(Vec::new(), Script { ends: false, ..script(SAYS[0], usize::MAX) });
    stage.play();
    assert!(matches!(stage.connection.task, Task::Delayed { .. }));
    stage.connection.drain();
    stage.play();
    assert!(stage.heard().ends_with(FAREWELL), "{}", stage.heard());
}

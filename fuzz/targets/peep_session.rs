//! The server's half of PEEP: any octets, in any cutting, answered in any way. Nothing panics, every line of a reply
//! has its form, and one cutting gives what another does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_protocol::engine::Engine;
use pop3d_protocol::peep::{Action, Answer, Command, Failure, REPLY_LINE_MAX, Ranges, Reply, Session};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (is_authenticated, size, octets) = input;
    let whole = converse(is_authenticated, octets, octets.len().max(1));
    assert!(whole == converse(is_authenticated, octets, usize::from(size) + 1));
    for line in whole.split_inclusive(|&octet| octet == b'\n') {
        assert!(line.ends_with(b"\r\n") && line.len() <= REPLY_LINE_MAX);
    }
});

/// What is heard when the octets come in pieces of that size.
fn converse(is_authenticated: bool, octets: &[u8], size: usize) -> Vec<u8> {
    let mut session = if is_authenticated { Session::authenticated() } else { Session::new() };
    let mut heard = Vec::new();
    for piece in octets.chunks(size) {
        let mut rest = piece;
        loop {
            let taken = session.handle_input(rest);
            rest = &rest[taken..];
            let mut has_moved = taken > 0;
            while let Some(action) = session.poll_action() {
                if action == Action::Close {
                    drain(&mut session, &mut heard);
                    return heard;
                }
                has_moved = true;
                session.handle_answer(answer(&action));
            }
            has_moved |= drain(&mut session, &mut heard);
            if !has_moved {
                assert!(rest.is_empty(), "stuck");
                break;
            }
        }
    }
    heard
}

fn drain(session: &mut Session, heard: &mut Vec<u8>) -> bool {
    let before = heard.len();
    loop {
        let mut room = [0; 19];
        let count = session.poll_output(&mut room);
        if count == 0 {
            return heard.len() > before;
        }
        heard.extend_from_slice(&room[..count]);
    }
}

/// An answer that depends on nothing but the question.
fn answer(action: &Action) -> Answer {
    match action {
        Action::Authenticate { password, .. } => Answer::Authenticated(password.octets().len() % 2 == 0),
        Action::Ranges => Answer::Ranges(Ranges { connections: 1..=998, timeout: 0..=86_400 }),
        Action::Do(Command::Users) => Answer::Done(Ok(Reply::Lines(vec!["x".repeat(700), "\r\n".to_owned()]))),
        Action::Do(Command::Mailbox) => Answer::Done(Ok(Reply::Text("\u{fc}".repeat(300)))),
        Action::Do(Command::SetConnections(_)) => Answer::Done(Err(Failure::ConnectionsOutOfRange)),
        Action::Do(_) => Answer::Done(Ok(Reply::Integer(u64::MAX))),
        Action::Close => unreachable!("has no answer"),
    }
}

//! Whole sessions: the same octets, cut anywhere and answered into any room, give the same conversation.

use alloc::boxed::Box;

use proptest::prelude::*;

use super::*;
use crate::multiline::MultiLine;
use crate::pop3::sasl::{Mechanism, Step};
use crate::top::TopLimit;

const MESSAGES: [&[u8]; 4] =
    [b"a: b\n\n.body\nlines\n", b".\r\n+OK\r\n", b"", b"a: b\r\n\r\nno line end at the end of it"];

/// The outside of a session: accounts, mail, and what the client and the store got to see.
struct Outside {
    session: Session,
    heard: Vec<u8>,
    committed: Vec<Vec<u32>>,
    verified: Vec<(Vec<u8>, Vec<u8>)>,
    rooms: Box<dyn Iterator<Item = usize>>,
    opened: &'static [u8],
    closed: bool,
}

impl Outside {
    fn new(rooms: Vec<usize>) -> Self {
        Self {
            session: Session::new(Greeting {
                mechanisms: [Mechanism::Plain].into_iter().collect(),
                ..GREETING
            }),
            heard: Vec::new(),
            committed: Vec::new(),
            verified: Vec::new(),
            rooms: Box::new(rooms.into_iter().cycle()),
            opened: b"",
            closed: false,
        }
    }

    /// Offers octets until they are taken; a session that takes none and does nothing is stuck.
    fn send(&mut self, octets: &[u8]) {
        let mut rest = octets;
        loop {
            let taken = self.session.handle_input(rest);
            rest = &rest[taken..];
            let progress = self.turn();
            if rest.is_empty() && !progress {
                break;
            }
            assert!(taken > 0 || progress, "stuck before {}", rest.escape_ascii());
        }
    }

    /// Does what is asked, and hears what is said; whether there was anything.
    fn turn(&mut self) -> bool {
        let mut progress = false;
        while let Some(action) = self.session.poll_action() {
            progress = true;
            assert!(!self.closed, "nothing is asked after Close");
            self.act(action);
        }
        progress | self.hear()
    }

    /// Hears until there is nothing more to hear.
    fn hear(&mut self) -> bool {
        let mut progress = false;
        loop {
            let size = self.rooms.next().unwrap();
            let mut room = vec![0; size];
            let count = self.session.poll_output(&mut room);
            self.heard.extend_from_slice(&room[..count]);
            progress |= count > 0;
            if count < size {
                break progress;
            }
        }
    }

    fn act(&mut self, action: Action) {
        let answer = match action {
            Action::Verify(Credentials::Password { user, password }) => {
                let right = &*user == b"mrose" && &*password == b"secret";
                self.verified.push((user.into_vec(), password.to_vec()));
                Answer::Verified(if right { Ok(()) } else { Err(refusal(Some(ResponseCode::Auth), "wrong")) })
            }
            Action::Verify(Credentials::Apop { .. }) => panic!("APOP is not offered"),
            Action::StartTls => panic!("STLS is not offered"),
            Action::Identify(_) => panic!("nobody is trusted"),
            Action::Exchange(Step::Begin { initial: None, .. }) => {
                Answer::Challenged(b"go on".as_slice().into())
            }
            Action::Exchange(Step::Begin { initial: Some(message), .. } | Step::Response(message)) => {
                self.verified.push((message.to_vec(), Vec::new()));
                let right = &*message == b"\0mrose\0secret";
                Answer::Verified(if right { Ok(()) } else { Err(refusal(Some(ResponseCode::Auth), "wrong")) })
            }
            Action::OpenMaildrop => {
                let octets: Vec<u64> = MESSAGES.iter().map(|message| message.len() as u64).collect();
                Answer::Maildrop(Ok(Opened { snapshot: Stored::shared(&octets), measure_first: true }))
            }
            Action::Measure => Answer::Measured(Ok(Stored::shared(&[20, 9, 0, 40]))),
            Action::OpenMessage { number, part } => {
                let message = MESSAGES[number.index() as usize];
                let end = match part {
                    Part::Whole => message.len(),
                    Part::Top { lines } => TopLimit::new(lines).admit(message),
                };
                self.opened = &message[..end];
                Answer::Message(Ok(None))
            }
            Action::SendMessage => {
                self.hear();
                let mut encoder = MultiLine::default();
                let mut room = [0; 200];
                let progress = encoder.encode(self.opened, &mut room);
                assert_eq!(progress.consumed, self.opened.len());
                let end = encoder.finish(&mut room[progress.produced..]);
                self.heard.extend_from_slice(&room[..progress.produced + end]);
                Answer::Sent
            }
            Action::Commit(deletions) => {
                self.committed.push(deletions.iter().map(MessageNumber::value).collect());
                Answer::Committed { remaining: 0 }
            }
            Action::Close => {
                self.closed = true;
                return;
            }
        };
        self.session.handle_answer(answer);
    }
}

fn command() -> impl Strategy<Value = Vec<u8>> {
    let argument = prop_oneof![
        5 => (0_u32..6).prop_map(|number| format!("{number}")),
        1 => prop::sample::select(vec!["", "-1", "+1", "4294967297", "x", "1 ", " 1"]).prop_map(str::to_owned),
    ];
    let numbered = (prop::sample::select(vec!["RETR", "DELE", "LIST", "UIDL", "list"]), argument.clone())
        .prop_map(|(keyword, argument)| format!("{keyword} {argument}"));
    let top = (argument, prop::sample::select(vec!["0", "1", "2", "99999999999", "x"]))
        .prop_map(|(argument, lines)| format!("TOP {argument} {lines}"));
    let plain = prop::sample::select(vec!["STAT", "LIST", "UIDL", "RSET", "NOOP", "CAPA", "noop", ""]);
    let rare = prop::sample::select(vec![
        "QUIT",
        "USER mrose",
        "PASS secret",
        "PASS wrong",
        "XYZZY",
        "AUTH PLAIN",
        "AUTH PLAIN =",
        "*",
        "AG1yb3NlAHNlY3JldA==",
    ]);
    let line = prop_oneof![
        8 => prop_oneof![numbered, top, plain.prop_map(str::to_owned)].prop_map(String::into_bytes),
        2 => rare.prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
        1 => (240_usize..270).prop_map(|count| vec![b'x'; count]),
    ];
    let end = prop_oneof![6 => Just(&b"\r\n"[..]), 2 => Just(&b"\n"[..]), 1 => Just(&b"\r"[..])];
    (line, end).prop_map(|(line, end)| [&line, end].concat())
}

/// What a client sends: most of them log in at first.
fn commands() -> impl Strategy<Value = Vec<u8>> {
    let login = prop_oneof![3 => Just(&b"USER mrose\r\nPASS secret\r\n"[..]), 1 => Just(&b""[..]),
        1 => Just(&b"AUTH PLAIN\r\nAG1yb3NlAHNlY3JldA==\r\n"[..])];
    (login, prop::collection::vec(command(), 0..40))
        .prop_map(|(login, commands)| [login, &commands.concat()].concat())
}

proptest! {
    #[test]
    fn every_cutting_and_any_room_give_the_same_conversation(
        octets in commands(),
        cuts in prop::collection::vec(1_usize..40, 1..12),
        rooms in prop::collection::vec(1_usize..50, 1..8),
    ) {
        let mut uncut = Outside::new(vec![10_000]);
        uncut.send(&octets);
        let mut cut = Outside::new(rooms);
        let mut rest = octets.as_slice();
        for &size in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            cut.send(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(format!("{}", cut.heard.escape_ascii()), format!("{}", uncut.heard.escape_ascii()));
        prop_assert_eq!(cut.committed, uncut.committed);
        prop_assert_eq!(cut.verified, uncut.verified);
        prop_assert_eq!(cut.closed, uncut.closed);
    }

    #[test]
    fn any_octets_from_anyone_are_answered_in_lines(
        octets in prop::collection::vec(any::<u8>(), 0..2000),
        authenticated in any::<bool>(),
    ) {
        let mut outside = Outside::new(vec![100]);
        if authenticated {
            outside.send(b"USER mrose\r\nPASS secret\r\n");
        }
        outside.send(&octets);
        for line in outside.heard.split_inclusive(|&octet| octet == b'\n') {
            prop_assert!(line.ends_with(b"\r\n") && line.len() <= 512);
        }
    }

    #[test]
    fn an_end_from_outside_comes_at_any_moment_and_removes_nothing(
        octets in commands(),
        place in any::<prop::sample::Index>(),
        rooms in prop::collection::vec(1_usize..50, 1..8),
    ) {
        let mut outside = Outside::new(rooms);
        outside.send(&octets[..place.index(octets.len() + 1)]);
        let (committed, was_closed) = (outside.committed.len(), outside.closed);
        outside.session.refuse_and_close(&refusal(Some(ResponseCode::SysTemp), "server stops"));
        outside.turn();
        prop_assert!(outside.closed);
        prop_assert_eq!(outside.heard.ends_with(b"-ERR [SYS/TEMP] server stops\r\n"), !was_closed);
        outside.send(&octets);
        prop_assert_eq!(outside.committed.len(), committed);
    }

    #[test]
    fn silence_at_any_moment_closes_without_a_word_and_removes_nothing(
        octets in commands(),
        place in any::<prop::sample::Index>(),
    ) {
        let mut outside = Outside::new(vec![100]);
        outside.send(&octets[..place.index(octets.len() + 1)]);
        let (committed, heard) = (outside.committed.len(), outside.heard.len());
        outside.session.handle_timeout();
        outside.turn();
        outside.send(&octets);
        prop_assert!(outside.closed);
        prop_assert_eq!((outside.committed.len(), outside.heard.len()), (committed, heard));
    }
}

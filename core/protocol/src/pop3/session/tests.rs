//! Dialogues: what a client says, what it hears, and what the session asks of the outside.

mod authentication;
mod authorization;
mod cutting;
mod ending;
mod model;
mod security;
mod transaction;
mod xclient;

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;
use crate::maildrop::Snapshot;
use crate::number::{MessageNumber, Octets};
use crate::reply::ResponseCode;

/// A maildrop of messages with these octets; their unique-ids are "uid-1" and so on.
struct Stored {
    octets: Vec<u64>,
    unique_ids: Vec<String>,
}

impl Stored {
    fn shared(octets: &[u64]) -> Arc<Self> {
        let unique_ids = (1..=octets.len()).map(|number| format!("uid-{number}")).collect();
        Arc::new(Self { octets: octets.to_vec(), unique_ids })
    }
}

impl Snapshot for Stored {
    fn count(&self) -> u32 {
        u32::try_from(self.octets.len()).unwrap()
    }

    fn octets(&self, number: MessageNumber) -> Octets {
        Octets(self.octets[number.index() as usize])
    }

    fn unique_id(&self, number: MessageNumber) -> &[u8] {
        self.unique_ids[number.index() as usize].as_bytes()
    }
}

const GREETING: Greeting = Greeting {
    name: "pop3d",
    implementation: "pop3d-1.2.3",
    timestamp: None,
    mechanisms: Mechanisms::NONE,
    tolerance: Tolerance::DEFAULT,
    lengths: Lengths::DEFAULT,
    security: Security::None,
    login_delay: None,
    is_proxy: false,
};

fn refusal(code: Option<ResponseCode>, text: &str) -> Refusal {
    Refusal { code, text: text.to_owned() }
}

/// A session, with all that it has said and asked for and nobody has looked at.
struct Dialogue {
    session: Session,
    /// Sent by the client, not taken by the session.
    waiting: Vec<u8>,
    heard: Vec<u8>,
    asked: VecDeque<Action>,
}

impl Dialogue {
    fn with(greeting: Greeting) -> Self {
        let session = Session::new(greeting);
        let mut dialogue = Self { session, waiting: Vec::new(), heard: Vec::new(), asked: VecDeque::new() };
        dialogue.pump();
        dialogue
    }

    /// In AUTHORIZATION, the greeting heard.
    fn begun() -> Self {
        let mut dialogue = Self::with(GREETING);
        dialogue.hears("+OK pop3d ready");
        dialogue
    }

    /// Logged in, the maildrop not yet open.
    fn opening() -> Self {
        let mut dialogue = Self::begun();
        dialogue.says("USER mrose").hears("+OK").says("PASS secret");
        assert!(matches!(dialogue.asked(), Action::Verify(_)));
        dialogue.answers(Answer::Verified(Ok(())));
        assert!(matches!(dialogue.asked(), Action::OpenMaildrop));
        dialogue
    }

    /// In TRANSACTION with messages of these octets.
    fn in_transaction(octets: &[u64]) -> Self {
        let mut dialogue = Self::opening();
        let opened = Opened { snapshot: Stored::shared(octets), measure_first: false };
        dialogue.answers(Answer::Maildrop(Ok(opened))).hears("+OK");
        dialogue
    }

    /// In TRANSACTION, where sizes have to be measured before they are shown.
    fn in_unmeasured_transaction(octets: &[u64]) -> Self {
        let mut dialogue = Self::opening();
        let opened = Opened { snapshot: Stored::shared(octets), measure_first: true };
        dialogue.answers(Answer::Maildrop(Ok(opened))).hears("+OK");
        dialogue
    }

    fn says(&mut self, line: &str) -> &mut Self {
        self.sends(format!("{line}\r\n").as_bytes())
    }

    fn sends(&mut self, octets: &[u8]) -> &mut Self {
        self.waiting.extend_from_slice(octets);
        self.pump();
        self
    }

    fn answers(&mut self, answer: Answer) -> &mut Self {
        self.session.handle_answer(answer);
        self.pump();
        self
    }

    /// Takes the next line, which begins so.
    #[track_caller]
    fn hears(&mut self, beginning: &str) -> &mut Self {
        let line = self.line();
        assert!(line.starts_with(beginning), "heard {line:?}, and not {beginning:?}");
        self
    }

    /// Takes the next line, which is this.
    #[track_caller]
    fn hears_line(&mut self, expected: &str) -> &mut Self {
        let line = self.line();
        assert_eq!(line, expected);
        self
    }

    #[track_caller]
    fn hears_nothing(&mut self) -> &mut Self {
        assert_eq!(String::from_utf8_lossy(&self.heard), "");
        self
    }

    /// Takes the next lines up to the termination octet.
    #[track_caller]
    fn hears_lines(&mut self, expected: &[&str]) -> &mut Self {
        for expected in expected {
            self.hears_line(expected);
        }
        self.hears_line(".")
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let end = self.heard.windows(2).position(|end| end == b"\r\n").expect("a whole line was said");
        let line: Vec<u8> = self.heard.drain(..end + 2).take(end).collect();
        assert!(end <= 510, "a reply is no longer than RFC 2449 allows");
        String::from_utf8(line).unwrap()
    }

    #[track_caller]
    fn asked(&mut self) -> Action {
        self.asked.pop_front().expect("something was asked")
    }

    #[track_caller]
    fn asks_nothing(&mut self) -> &mut Self {
        assert!(self.asked.is_empty(), "asked {:?}", self.asked);
        self
    }

    /// The session asks for `Close` and says nothing more, whatever is sent.
    #[track_caller]
    fn closes(&mut self) {
        self.hears_nothing();
        assert!(matches!(self.asked(), Action::Close));
        self.says("NOOP").says("QUIT").hears_nothing().asks_nothing();
        assert_eq!(self.waiting, b"");
        self.session.handle_timeout();
        self.session.refuse_and_close(&refusal(None, "too late"));
        self.pump();
        self.hears_nothing().asks_nothing();
        assert!(!self.session.is_authenticated());
        assert_eq!(self.session.deletions(), &Deletions::NONE);
    }

    /// Lets the session have what the client sent, and takes all that it says and asks for.
    fn pump(&mut self) {
        loop {
            let taken = self.session.handle_input(&self.waiting);
            self.waiting.drain(..taken);
            let said = self.take();
            if taken == 0 && said == 0 {
                break;
            }
        }
    }

    fn take(&mut self) -> usize {
        self.asked.extend(core::iter::from_fn(|| self.session.poll_action()));
        let mut room = vec![0; 1000];
        let count = self.session.poll_output(&mut room);
        self.heard.extend_from_slice(&room[..count]);
        count
    }
}

fn number(value: u32) -> MessageNumber {
    MessageNumber::from_index(value - 1).unwrap()
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() <= 608, "{}", size_of::<Session>());
}

#[test]
fn an_answer_to_what_was_not_asked_changes_nothing() {
    let unasked = || {
        let opened = Opened { snapshot: Stored::shared(&[1]), measure_first: false };
        [
            Answer::Verified(Ok(())),
            Answer::Verified(Err(refusal(None, "no"))),
            Answer::Maildrop(Ok(opened)),
            Answer::Maildrop(Err(refusal(None, "no"))),
            Answer::Secured(Mechanisms::NONE),
            Answer::Identified(Ok(())),
            Answer::Identified(Err(refusal(None, "no"))),
            Answer::Measured(Ok(Stored::shared(&[7]))),
            Answer::Message(Ok(None)),
            Answer::Sent,
            Answer::Committed { remaining: 0 },
        ]
    };
    for mut dialogue in [Dialogue::begun(), Dialogue::in_transaction(&[120])] {
        for answer in unasked() {
            dialogue.answers(answer).hears_nothing().asks_nothing();
        }
        dialogue.says("CAPA").hears("+OK");
    }
}

#[test]
fn a_trace_shows_commands_without_passwords_while_it_is_wanted() {
    let mut dialogue = Dialogue::begun();
    dialogue.says("CAPA");
    assert_eq!(dialogue.session.poll_trace(), None);
    dialogue.session.set_tracing(true);
    dialogue.says("USER mr\0ose").says("USER mrose").says("PASS secret");
    dialogue.session.set_tracing(true);
    let shown: Vec<String> = core::iter::from_fn(|| dialogue.session.poll_trace()).collect();
    assert_eq!(shown, ["USER ****", "USER mrose", "PASS ****"]);
    dialogue.session.set_tracing(false);
    assert_eq!(dialogue.session.poll_trace(), None);
}

//! A whole session: the same octets, cut differently and written into different rooms, give the same replies.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use pop3d_protocol::engine::Engine;
use pop3d_protocol::maildrop::Snapshot;
use pop3d_protocol::number::{MessageNumber, Octets};
use pop3d_protocol::pop3::{Action, Answer, Greeting, Mechanism, Opened, Refusal, Security, Session};

const MESSAGES: u32 = 7;

/// Replies to one octet of input, at most: a listing of all messages, and then some.
const REPLY_MAX: usize = 4096;

struct Messages;

impl Snapshot for Messages {
    fn count(&self) -> u32 {
        MESSAGES
    }

    fn octets(&self, number: MessageNumber) -> Octets {
        Octets(u64::from(number.value()) * 1000)
    }

    fn unique_id(&self, number: MessageNumber) -> &[u8] {
        [&b"a"[..], b"bb", b"ccc", b"dddd", b"eeeee", b"ffffff", b"ggggggg"][number.index() as usize]
    }
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (octets, cuts) = input;
    let whole = play(&octets, &[]);
    assert!(whole.len() <= REPLY_MAX * (octets.len() + 1));
    assert_eq!(whole, play(&octets, &cuts));
});

fn play(octets: &[u8], cuts: &[u8]) -> Vec<u8> {
    let mut session = Session::new(Greeting {
        name: "pop3d",
        implementation: "pop3d-0",
        timestamp: Some("<1.2@host>".into()),
        mechanisms: Mechanism::ALL.into_iter().collect(),
        security: if octets.len().is_multiple_of(8) {
            Security::Required { pop3s_port: None }
        } else {
            Security::Offered
        },
        is_proxy: octets.len().is_multiple_of(3),
        ..Greeting::default()
    });
    let (mut heard, mut rest, mut opened) = (Vec::new(), octets, 0);
    let mut cuts = cuts.iter().copied().cycle();
    loop {
        let mut is_closing = false;
        loop {
            let mut room = vec![0; cuts.next().map_or(4096, |cut| usize::from(cut) + 1)];
            let count = session.poll_output(&mut room);
            heard.extend_from_slice(&room[..count]);
            if count > 0 {
                continue;
            }
            match session.poll_action() {
                Some(Action::Close) => is_closing = true,
                Some(action) => answer(&mut session, &action, &mut opened, &mut heard),
                None => break,
            }
        }
        if is_closing || rest.is_empty() {
            return heard;
        }
        let length = cuts.next().map_or(rest.len(), |cut| (usize::from(cut) + 1).min(rest.len()));
        let taken = session.handle_input(&rest[..length]);
        assert!(taken > 0, "nothing waits, and nothing is taken");
        rest = &rest[taken..];
    }
}

/// Refuses now and then, by what it was asked and how often.
fn answer(session: &mut Session, action: &Action, opened: &mut u32, heard: &mut Vec<u8>) {
    *opened += 1;
    let refusal = || Refusal { code: None, text: "no\r\n+OK \0[x]".into() };
    let is_refused = opened.is_multiple_of(5);
    session.handle_answer(match action {
        Action::Exchange(_) if opened.is_multiple_of(3) => Answer::Challenged(b"challenge".as_slice().into()),
        Action::Exchange(_) if opened.is_multiple_of(7) => Answer::Explained(b"{}".as_slice().into()),
        Action::Verify(_) | Action::Exchange(_) if is_refused => Answer::Verified(Err(refusal())),
        Action::Verify(_) | Action::Exchange(_) => Answer::Verified(Ok(())),
        // What stands behind STLS would be thrown away; here it goes on as if it had come by TLS.
        Action::StartTls => Answer::Secured(Mechanism::ALL.into_iter().collect()),
        Action::Identify(_) if is_refused => Answer::Identified(Err(refusal())),
        Action::Identify(_) => Answer::Identified(Ok(())),
        Action::OpenMaildrop if is_refused => Answer::Maildrop(Err(refusal())),
        Action::OpenMaildrop => {
            Answer::Maildrop(Ok(Opened { snapshot: Arc::new(Messages), measure_first: *opened == 2 }))
        }
        Action::Measure if is_refused => Answer::Measured(Err(refusal())),
        Action::Measure => Answer::Measured(Ok(Arc::new(Messages))),
        Action::OpenMessage { .. } if is_refused => Answer::Message(Err(refusal())),
        Action::OpenMessage { number, .. } => {
            assert!(number.value() <= MESSAGES);
            Answer::Message(Ok(Some(Octets(3))))
        }
        Action::SendMessage => {
            heard.extend_from_slice(b"x\r\n.\r\n");
            Answer::Sent
        }
        Action::Commit(deletions) => {
            assert!((1..=MESSAGES).contains(&deletions.count()));
            Answer::Committed { remaining: *opened % 2 }
        }
        Action::Close => unreachable!("has no answer"),
    });
}

//! Turns against a scripted client: short reads and writes, a socket that blocks at every other call, a client that
//! takes nothing, one that ends its half. The store is in memory, jobs are real.

mod draining;
mod guessing;
mod holding;
mod leaving;
mod logging;
mod reading;
mod told;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use mio::{Events, Poll};
use pop3d_protocol::maildrop::{Deletions, Snapshot};
use pop3d_protocol::multiline::Measure;
use pop3d_protocol::number::Octets;

use super::*;
use crate::accounts::Accounts;
use crate::notice::Notice;
use crate::pool::Pool;
use crate::server::Pools;
use crate::settings::{Limits, Settings, Sizes};
use crate::statistics::{Counter, Totals};
use crate::store::{Committed, MailStore, MessageError, OpenError, Source};
use crate::token::Slots;
use crate::transform::Holding;
use crate::transport::tests::{Heard, Script};

/// A maildrop of these messages; what was removed is told.
struct Fake {
    messages: Arc<Vec<Vec<u8>>>,
    removed: Arc<Mutex<Vec<u32>>>,
}

/// What somebody else removes behind the login.
const VANISHED: &[u8] = b"vanished";

struct FakeSnapshot(Arc<Vec<Vec<u8>>>);

impl MailStore for Fake {
    fn open(&self, _user: &UserName) -> Result<Box<dyn Maildrop>, OpenError> {
        Ok(Box::new(Fake { messages: Arc::clone(&self.messages), removed: Arc::clone(&self.removed) }))
    }
}

impl Maildrop for Fake {
    fn snapshot(&self) -> Arc<dyn Snapshot + Send + Sync> {
        Arc::new(FakeSnapshot(Arc::clone(&self.messages)))
    }

    fn message(&mut self, number: MessageNumber) -> Result<Source, MessageError> {
        let message = &self.messages[number.index() as usize];
        if message == VANISHED {
            return Err(MessageError::Vanished);
        }
        let mut file = tempfile::tempfile().map_err(MessageError::Unreadable)?;
        file.write_all(message).map_err(MessageError::Unreadable)?;
        let mut measure = Measure::default();
        measure.update(message);
        Ok(Source {
            file,
            length: message.len() as u64,
            octets: Some(measure.octets()),
            wire_clean: measure.is_wire_clean(),
        })
    }

    fn commit(&mut self, deletions: &Deletions) -> Committed {
        self.removed.lock().unwrap().extend(deletions.iter().map(MessageNumber::value));
        Committed { removed: deletions.count(), ..Committed::default() }
    }
}

impl Snapshot for FakeSnapshot {
    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }

    fn octets(&self, number: MessageNumber) -> Octets {
        let mut measure = Measure::default();
        measure.update(&self.0[number.index() as usize]);
        measure.octets()
    }

    fn unique_id(&self, _number: MessageNumber) -> &[u8] {
        b"uid"
    }
}

/// A connection, its worker's desk, and what came of it.
struct Stage {
    poll: Poll,
    desk: Desk,
    connection: Connection,
    heard: Arc<Mutex<Heard>>,
    removed: Arc<Mutex<Vec<u32>>>,
}

impl Stage {
    fn new(messages: Vec<Vec<u8>>, script: Script) -> Self {
        let poll = Poll::new().unwrap();
        let notices = Arc::new(Notices::new(poll.registry()).unwrap());
        let pool = Pool::start("test", 1).unwrap();
        let pools = Pools {
            passwords: pool.clone(),
            externals: pool.clone(),
            maildrops: pool.clone(),
            transforms: pool,
        };
        let removed = Arc::default();
        let mut accounts = Accounts::default();
        accounts.add(UserName::parse(b"user").unwrap(), b"pass");
        let settings = Settings {
            store: Arc::new(Fake { messages: Arc::new(messages), removed: Arc::clone(&removed) }),
            accounts: Arc::new(accounts),
            mailbox: PathBuf::from("/tmp"),
            chain: None,
            user_chains: Arc::default(),
            rules: Arc::default(),
            holding: Holding { hold: 1000, spool_folder: PathBuf::from("/tmp") },
            sizes: Sizes::Stored,
            tls: None,
            rehash: false,
            limits: Limits::default(),
        };
        let shared =
            Arc::new(Shared::new(settings, Totals::default(), pools, vec![Arc::clone(&notices)], 100));
        let desk = Desk {
            worker: 0,
            notices,
            counters: Arc::clone(&shared.counters[0]),
            shared,
            spare: Spare::default(),
            scratch: vec![0; SCRATCH_SIZE].into(),
            handshakes: 1,
            now: Instant::now(),
        };
        let heard = Arc::clone(&script.heard);
        let key = Slots::new().insert(());
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(key, peer, Transport::Scripted(script), &desk);
        Self { poll, desk, connection, heard, removed }
    }

    /// Gives one turn, and what came of a job. A scripted socket that would block is ready again at once.
    fn turn(&mut self) -> Turn {
        self.connection.input.is_readable = true;
        self.connection.is_writable = true;
        let turn = self.connection.turn(&mut self.desk);
        if turn != Turn::Gone && matches!(self.connection.task, Task::Job) {
            self.finish_job();
        }
        turn
    }

    /// Gives turns as a worker does, until the connection waits or has gone.
    fn play(&mut self) -> Turn {
        let mut idle_turns = 0;
        loop {
            let before = self.heard.lock().unwrap().octets.len();
            let turn = self.turn();
            if turn == Turn::Gone {
                return turn;
            }
            let has_moved = turn == Turn::Unfinished || self.heard.lock().unwrap().octets.len() > before;
            idle_turns = if has_moved { 0 } else { idle_turns + 1 };
            if idle_turns > IDLE_TURNS {
                return turn;
            }
        }
    }

    /// The client goes on.
    fn says(&mut self, octets: &str) {
        let Transport::Scripted(script) = &mut self.connection.transport else { return };
        script.says.extend_from_slice(octets.as_bytes());
    }

    /// The client takes so many octets more.
    fn takes(&mut self, octets: usize) {
        let Transport::Scripted(script) = &mut self.connection.transport else { return };
        *script.takes.get_or_insert_default() += octets;
    }

    fn finish_job(&mut self) {
        let mut events = Events::with_capacity(8);
        let mut notices = Vec::new();
        while notices.is_empty() {
            if self.desk.notices.may_wait() {
                self.poll.poll(&mut events, Some(Duration::from_secs(60))).unwrap();
            }
            self.desk.notices.wakes_up();
            self.desk.notices.take(&mut notices);
        }
        for notice in notices {
            let Notice::Done(_, outcome) = notice else { panic!("only jobs are told of") };
            self.connection.handle_outcome(outcome, &self.desk);
        }
    }

    /// For the session of the first test.
    fn counts_what_was_heard(&self) {
        let counters = &self.desk.counters;
        let heard = self.heard();
        let greeting = heard.find("\r\n").unwrap() + 2;
        assert_eq!(counters.octets_sent.value(), heard.len() as u64);
        assert_eq!(counters.octets_answered.value(), (heard.len() - greeting) as u64);
        assert_eq!((counters.messages_retrieved.value(), counters.messages_topped.value()), (2, 1));
        assert_eq!((counters.messages_removed.value(), counters.logins.value()), (1, 1));
        let commands: Vec<_> = counters.commands.iter().map(Counter::value).collect();
        assert_eq!(commands, [1, 1, 0, 0, 0, 1, 1, 0, 2, 1, 1, 0, 0, 1, 0, 0, 0, 0]);
    }

    fn heard(&self) -> String {
        String::from_utf8(self.heard.lock().unwrap().octets.clone()).unwrap()
    }
}

fn script(says: &str, piece: usize) -> Script {
    Script { says: says.into(), piece, ends: true, ..Script::default() }
}

/// Turns in which nothing is heard before a connection counts as waiting: a line said octet by octet takes many.
const IDLE_TURNS: usize = 100;

const LOGIN: &str = "USER user\r\nPASS pass\r\n";

#[test]
fn what_is_removed_counts_before_its_answer_is_taken_and_no_administrator_keeps_that_back() {
    let mut stage = Stage::new(vec![b"x\n".to_vec()], Script { ends: false, ..script(LOGIN, usize::MAX) });
    stage.play();
    stage.says("DELE 1\r\nQUIT\r\n");
    stage.connection.input.is_readable = true;
    stage.connection.turn(&mut stage.desk);
    assert!(matches!(stage.connection.task, Task::Job));
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while stage.desk.counters.messages_removed.value() == 0 {
        assert!(std::time::Instant::now() < until, "it is not counted where it is removed");
        std::thread::yield_now();
    }
    assert_eq!(stage.connection.kick(), Turn::Waiting, "QUIT is carried out already");
    stage.finish_job();
    assert_eq!(stage.connection.kick(), Turn::Waiting, "its reply is owed");
    stage.play();
    assert!(stage.heard().ends_with("+OK 1 message deleted\r\n"), "{}", stage.heard());
    assert!(!stage.heard.lock().unwrap().is_reset);
    assert_eq!(stage.desk.counters.messages_removed.value(), 1);
}

#[test]
fn a_session_that_an_administrator_closes_removes_nothing_and_cuts_nothing_silently() {
    let messages = vec![b"x\r\n".repeat(100_000)];
    // Idle, before and after login.
    for says in ["", LOGIN, "USER user\r\nPASS pass\r\nDELE 1\r\n"] {
        let mut stage = Stage::new(messages.clone(), Script { ends: false, ..script(says, 10) });
        stage.play();
        assert_eq!(stage.desk.shared.sessions.list().len(), 1);
        assert_eq!(stage.connection.kick(), Turn::Gone);
        // The socket is still open: who sees its end does not find the session listed.
        assert_eq!(stage.desk.shared.sessions.count(), 0, "{says:?}");
        assert!(!stage.heard.lock().unwrap().is_reset, "{says:?}");
        assert!(stage.removed.lock().unwrap().is_empty());
    }
    // In the middle of a message: the socket takes no more.
    let says = format!("{LOGIN}RETR 1\r\n");
    let mut stage = Stage::new(messages, Script { ends: false, takes: Some(50_000), ..script(&says, 1000) });
    stage.play();
    assert_eq!(stage.connection.kick(), Turn::Gone);
    assert!(stage.heard.lock().unwrap().is_reset);
    assert!(!stage.heard().ends_with("\r\n.\r\n"));
    assert_eq!(stage.desk.counters.messages_retrieved.value(), 0);
    let Stage { connection, desk, .. } = stage;
    drop(connection);
    assert_eq!((desk.shared.sessions.count(), desk.shared.sessions.peak()), (0, 1));
}

#[test]
fn a_session_is_the_same_however_the_socket_behaves() {
    let messages = vec![b".first\nline\n".to_vec(), b"x\r\n".repeat(100_000)];
    let says = format!("{LOGIN}STAT\r\nLIST\r\nRETR 1\r\nRETR 2\r\nTOP 2 1\r\nDELE 1\r\nQUIT\r\n");
    let mut whole = Stage::new(messages.clone(), script(&says, usize::MAX));
    whole.play();
    let expected = whole.heard();
    assert!(expected.contains("\r\n..first\r\nline\r\n.\r\n"), "{}", &expected[..200]);
    assert!(expected.contains("\r\nx\r\nx\r\n.\r\n"));
    for piece in [1, 7, 1000] {
        let mut stage = Stage::new(messages.clone(), script(&says, piece));
        assert_eq!(stage.play(), Turn::Gone);
        assert!(stage.heard() == expected, "pieces of {piece}");
        assert_eq!(*stage.removed.lock().unwrap(), [1]);
        stage.counts_what_was_heard();
        assert!(stage.heard.lock().unwrap().is_finished || stage.connection.input.has_ended);
    }
}

#[test]
fn a_client_that_goes_without_quit_deletes_nothing() {
    let mut stage = Stage::new(vec![b"x\n".to_vec()], script(&format!("{LOGIN}DELE 1\r\n"), 5));
    assert_eq!(stage.play(), Turn::Gone);
    assert!(stage.heard().contains("+OK"));
    assert!(stage.removed.lock().unwrap().is_empty());
}

#[test]
fn a_client_that_takes_nothing_is_reset_after_its_time_and_costs_no_turns_meanwhile() {
    let says = format!("{LOGIN}RETR 1\r\n");
    let mut stage = Stage::new(vec![b"x\r\n".repeat(1_000_000)], script(&says, 100));
    while !stage.heard().contains("octets\r\nx") {
        stage.connection.input.is_readable = true;
        stage.connection.is_writable = true;
        stage.connection.turn(&mut stage.desk);
        if let Task::Job = stage.connection.task {
            stage.finish_job();
        }
    }
    stage.connection.is_writable = false;
    assert_eq!(stage.connection.turn(&mut stage.desk), Turn::Waiting);
    let due = stage.connection.deadline(&mut stage.desk).unwrap();
    assert!(due > stage.desk.now);
    stage.desk.now = due + Limits::default().silence.unwrap();
    assert_eq!(stage.connection.handle_time(&mut stage.desk), Turn::Gone);
    assert!(stage.heard.lock().unwrap().is_reset);
}

#[test]
fn a_client_that_takes_less_than_the_least_rate_is_reset_and_one_that_takes_more_is_not() {
    let limits = Limits::default();
    let period = Limits::default().slow_reader_period.as_secs();
    assert_eq!((limits.slow_reader_rate, period), (1024, 300));
    // The first is sent from the file, the second by way of the cursor; both without TLS and as with it.
    for (line, in_wholes) in [("x\r\n", false), ("x\n", false), ("x\r\n", true), ("x\n", true)] {
        for (rate, lasts) in [(1000, period), (1050, 2 * period)] {
            let says = format!("{LOGIN}RETR 1\r\n");
            let slow = Script { ends: false, in_wholes, takes: Some(1000), ..script(&says, 50) };
            let mut stage = Stage::new(vec![line.repeat(400_000).into_bytes()], slow);
            assert_eq!(stage.play(), Turn::Waiting);
            let begun = stage.desk.now;
            let mut turn = Turn::Waiting;
            while turn == Turn::Waiting && stage.desk.now - begun < Duration::from_secs(2 * period) {
                stage.desk.now += Duration::from_secs(1);
                stage.takes(rate);
                turn = stage.play();
                if stage.connection.deadline(&mut stage.desk).is_some_and(|due| due <= stage.desk.now) {
                    turn = stage.connection.handle_time(&mut stage.desk);
                }
            }
            let lasted = (stage.desk.now - begun).as_secs();
            assert_eq!((lasted, turn == Turn::Gone), (lasts, rate == 1000), "{rate} octets a second");
            let heard = stage.heard.lock().unwrap();
            assert_eq!(heard.is_reset, rate == 1000);
            assert!(!heard.octets.ends_with(b"\r\n.\r\n"));
        }
    }
}

#[test]
fn what_was_taken_without_an_event_counts_too() {
    let limits = Limits { slow_reader_rate: 100, ..Limits::default() };
    let period = limits.slow_reader_period;
    for message in ["x\r\n", "x\n"].map(|line| line.repeat(400_000)) {
        for (taken, is_reset) in [(0, true), (28_000, true), (30_000, false)] {
            let says = format!("{LOGIN}RETR 1\r\n");
            let mut stage = Stage::new(
                vec![message.clone().into_bytes()],
                Script { ends: false, takes: Some(1000), ..script(&says, 50) },
            );
            let mut settings = Settings::clone(&stage.desk.shared.settings.load());
            settings.limits = limits.clone();
            stage.desk.shared.settings.store(Arc::new(settings));
            assert_eq!(stage.play(), Turn::Waiting);
            let due = stage.connection.deadline(&mut stage.desk).unwrap();
            assert_eq!(due, stage.desk.now + period);
            stage.desk.now = due;
            if let Transport::Scripted(script) = &mut stage.connection.transport {
                // Its next write is not one of those that would block for no reason.
                (script.piece, script.writes) = (taken, 0);
                script.takes = Some(usize::MAX);
            }
            assert!(!stage.connection.is_writable, "no event has told that there is room");
            assert_eq!(stage.connection.handle_time(&mut stage.desk) == Turn::Gone, is_reset, "{taken}");
            assert_eq!(stage.heard.lock().unwrap().is_reset, is_reset);
            if !is_reset {
                let next = stage.connection.deadline(&mut stage.desk).unwrap();
                assert_eq!(next, due + period);
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_resets_the_connection() {
    let mut says = script(&format!("{LOGIN}RETR 1\r\n"), 10_000);
    (says.ends, says.fails_at) = (false, Some(500_000));
    let mut stage = Stage::new(vec![b"x\r\n".repeat(1_000_000)], says);
    assert_eq!(stage.play(), Turn::Gone);
    let heard = stage.heard.lock().unwrap();
    assert!(heard.is_reset && !heard.is_finished && heard.octets.len() > 500_000);
}

#[test]
fn silence_ends_the_session_without_a_word_and_without_update() {
    let mut says = script(&format!("{LOGIN}DELE 1\r\n"), usize::MAX);
    says.ends = false;
    let mut stage = Stage::new(vec![b"x\n".to_vec()], says);
    assert_eq!(stage.play(), Turn::Waiting);
    let before = stage.heard();
    let due = stage.connection.deadline(&mut stage.desk).unwrap();
    assert_eq!(due.duration_since(stage.connection.last_sign), Limits::default().silence.unwrap());
    stage.desk.now = due;
    stage.connection.handle_time(&mut stage.desk);
    assert_eq!(stage.heard(), before);
    assert!(stage.heard.lock().unwrap().is_finished);
    assert!(stage.removed.lock().unwrap().is_empty());
}

#[test]
fn who_goes_on_sending_behind_quit_is_gone_once_its_time_is_over() {
    let says = script(&format!("QUIT\r\n{}", "x".repeat(1 << 20)), usize::MAX);
    let mut stage = Stage::new(Vec::new(), Script { never_pauses: true, ends: false, ..says });
    while !stage.heard.lock().unwrap().is_finished {
        assert_ne!(stage.turn(), Turn::Gone);
    }
    assert_eq!(stage.turn(), Turn::Unfinished);
    stage.desk.now += deadlines::LINGER;
    assert_eq!(stage.turn(), Turn::Gone);
}

#[test]
fn only_a_whole_line_ends_a_silence() {
    for login in ["", LOGIN] {
        let mut says = script(login, usize::MAX);
        says.ends = false;
        let mut stage = Stage::new(vec![b"x\n".to_vec()], says);
        assert_eq!(stage.play(), Turn::Waiting);
        let passes = |stage: &mut Stage, octets: &str| {
            stage.desk.now += Duration::from_secs(1);
            stage.says(octets);
            assert_eq!(stage.play(), Turn::Waiting);
            stage.connection.last_sign
        };
        let sign = stage.connection.last_sign;
        assert_eq!(passes(&mut stage, "NOO"), sign, "in the middle of a command");
        // That it is too long is said, and heard, once.
        let sign = passes(&mut stage, &"x".repeat(300));
        assert_eq!(passes(&mut stage, &"x".repeat(300)), sign, "in what is left of a line that is too long");
        assert_eq!(passes(&mut stage, "x"), sign);
        let sign = passes(&mut stage, "\nCAPA\r\n");
        assert_eq!(sign, stage.desk.now);
    }
}

#[test]
fn an_idle_session_holds_no_buffers() {
    let mut says = script(&format!("{LOGIN}RETR 1\r\n"), usize::MAX);
    says.ends = false;
    let mut stage = Stage::new(vec![b"x\n".to_vec()], says);
    assert_eq!(stage.play(), Turn::Waiting);
    assert_eq!(stage.connection.input.leftover.capacity(), 0);
    assert_eq!(stage.connection.outbound, Outbound::default());
}

#[test]
fn a_download_takes_no_more_than_its_share_in_a_turn() {
    let says = format!("{LOGIN}RETR 1\r\n");
    let mut stage = Stage::new(vec![b"x\r\n".repeat(2_000_000)], script(&says, usize::MAX));
    let mut unfinished = 0;
    loop {
        let before = stage.heard.lock().unwrap().octets.len();
        let turn = stage.turn();
        let written = stage.heard.lock().unwrap().octets.len() - before;
        assert!(written <= WRITE_SHARE + crate::buffer::LARGE_CAPACITY);
        match turn {
            Turn::Gone => break,
            Turn::Unfinished => unfinished += 1,
            Turn::Waiting => {}
        }
    }
    assert!(unfinished > 1);
}

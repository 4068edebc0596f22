//! One administrator's connection: socket, session, and the job that is under way. It moves only within a turn, which
//! is bounded, and never waits.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};
use pop3d_protocol::engine::Engine;
use pop3d_protocol::peep::{Action, Answer, Command, Failure, Session};

use zeroize::Zeroizing;

use super::door::Stream;
use super::{Outcome, Results};
use crate::accounts::UserName;
use crate::administration::{Administration, Administrators, makes_transforms};
use crate::pool::Pool;
use crate::token::Key;

/// Octets read and written at once.
const SHARE: usize = 16 * 1024;

/// Steps in one turn.
const STEPS_PER_TURN: usize = 64;

/// How long who came by TCP may take to say who it is.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);

/// How long replies may wait for their reader.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// How long the other end may take to close.
const LINGER_LIMIT: Duration = Duration::from_secs(2);

/// How long the answer to a first wrong `a` is held back; each further one doubles it.
const WRONG_DELAY: Duration = Duration::from_millis(200);

/// Doublings of the delay.
const DOUBLINGS_MAX: u32 = 4;

/// What all administrators share.
pub(super) struct Desk {
    pub(super) administration: Arc<Administration>,
    pub(super) results: Arc<Results>,
    pub(super) pool: Pool,
    /// For those that make transforms: however long that takes, `pool` has threads for the others.
    pub(super) loader: Pool,
    /// For those that look into another folder, which may be on a file system that does not answer.
    pub(super) looker: Pool,
    /// When the round began.
    pub(super) now: Instant,
}

/// A connection.
pub(super) struct Administrator {
    stream: Stream,
    session: Session,
    /// Who came by TCP and is known; none: nobody yet, or the owner of the socket.
    authority: Option<Authority>,
    peer: Arc<str>,
    /// What was read and not taken; at most `SHARE`. It may hold a password.
    inbound: Zeroizing<Vec<u8>>,
    /// What is to be written; at most `SHARE`.
    outbound: Vec<u8>,
    is_readable: bool,
    is_writable: bool,
    /// The other end has closed its half.
    has_ended: bool,
    is_unfinished: bool,
    opened: Instant,
    /// When something was last written, or there was nothing to write.
    written: Instant,
    task: Task,
    stage: Stage,
}

/// Who an administrator is, and by which accounts.
struct Authority {
    user: UserName,
    administrators: Administrators,
}

/// What the session waits for.
enum Task {
    None,
    /// A job of the pool.
    Job,
    /// One that looks at credentials, of which so many were wrong before.
    Login {
        wrong_before: u32,
        administrators: Administrators,
    },
    /// The time until which a refusal is held back.
    Held(Instant),
}

enum Stage {
    Serving,
    /// Nothing more is done; what waits is written.
    Ending,
    /// All is written; the other end is waited for until then.
    Lingering(Instant),
}

/// What became of a connection.
pub(super) enum Turn {
    Stays,
    Gone,
}

impl Administrator {
    /// One who has just come, and may be wrong so often.
    pub(super) fn new(stream: Stream, peer: String, now: Instant, failed_logins: u32) -> Self {
        let is_owner = stream.is_of_owner();
        if is_owner {
            info!(target: "pop3d::peep", "administrator at the socket: {peer}");
        }
        Self {
            session: if is_owner {
                Session::authenticated()
            } else {
                Session::new().with_wrong_credentials_max(failed_logins)
            },
            stream,
            authority: None,
            peer: peer.into(),
            inbound: Zeroizing::default(),
            outbound: Vec::new(),
            is_readable: true,
            is_writable: true,
            has_ended: false,
            is_unfinished: false,
            opened: now,
            written: now,
            task: Task::None,
            stage: Stage::Serving,
        }
    }

    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    pub(super) fn is_owner(&self) -> bool {
        self.stream.is_of_owner()
    }

    /// Whether there is more to do than a turn allowed.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    pub(super) fn handle_event(&mut self, event: &mio::event::Event) {
        // A handshake, which reading goes on with, may wait for room to write.
        let may_go_on = self.stream.is_tls() && event.is_writable();
        self.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error() || may_go_on;
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// When the time of something comes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let held = match self.task {
            Task::Held(until) => Some(until),
            Task::None | Task::Job | Task::Login { .. } => None,
        };
        held.into_iter().chain(self.limit()).min()
    }

    /// When the connection is given up.
    fn limit(&self) -> Option<Instant> {
        let unread = self.has_output().then(|| self.written + WRITE_LIMIT);
        match self.stage {
            Stage::Lingering(until) => Some(until),
            Stage::Ending => unread,
            Stage::Serving => {
                let unknown = !self.session.is_authenticated();
                unread.into_iter().chain(unknown.then(|| self.opened + LOGIN_LIMIT)).min()
            }
        }
    }

    fn has_output(&self) -> bool {
        !self.outbound.is_empty() || self.session.has_output()
    }

    /// Takes what came of the job.
    pub(super) fn handle_result(&mut self, outcome: Outcome, desk: &Desk) {
        let task = match &self.task {
            Task::Job | Task::Login { .. } => std::mem::replace(&mut self.task, Task::None),
            Task::None | Task::Held(_) => return,
        };
        if !self.has_output() {
            // The time for the reader begins with the reply, however long the job took.
            self.written = desk.now;
        }
        match (outcome, task) {
            (Outcome::Known(user), Task::Login { administrators, .. }) => {
                self.peer = format!("{user} at {}", self.peer).into();
                info!(target: "pop3d::peep", "{}: administrator logged in", self.peer);
                self.authority = Some(Authority { user, administrators });
                self.session.handle_answer(Answer::Authenticated(true));
            }
            (Outcome::Unknown, Task::Login { wrong_before, .. }) => {
                warn!(target: "pop3d::peep", "{}: wrong user or password of an administrator", self.peer);
                let delay = WRONG_DELAY * (1 << wrong_before.min(DOUBLINGS_MAX));
                self.task = Task::Held(desk.now + delay);
            }
            (Outcome::Known(_) | Outcome::Unknown, _) => {
                self.session.handle_answer(Answer::Authenticated(false));
            }
            (Outcome::Done(answer), _) => self.session.handle_answer(answer),
        }
    }

    /// Does what can be done without waiting, up to a share.
    pub(super) fn turn(&mut self, key: Key, desk: &Desk) -> Turn {
        if self.limit().is_some_and(|limit| limit <= desk.now) {
            info!(target: "pop3d::peep", "{}: closed, it took too long", self.peer);
            return Turn::Gone;
        }
        if let Task::Held(until) = self.task
            && until <= desk.now
        {
            self.task = Task::None;
            self.session.handle_answer(Answer::Authenticated(false));
        }
        self.is_unfinished = true;
        for _ in 0..STEPS_PER_TURN {
            match self.step(key, desk) {
                Ok(true) => {}
                Ok(false) => {
                    self.is_unfinished = false;
                    break;
                }
                Err(error) => {
                    info!(target: "pop3d::peep", "{}: lost: {error}", self.peer);
                    return Turn::Gone;
                }
            }
        }
        if self.is_over() { Turn::Gone } else { Turn::Stays }
    }

    /// One step of each kind; whether any came further.
    fn step(&mut self, key: Key, desk: &Desk) -> io::Result<bool> {
        let mut has_moved = self.act(key, desk);
        has_moved |= self.flush(desk)?;
        has_moved |= match self.stage {
            Stage::Serving => self.feed()?,
            Stage::Ending if !self.has_output() => {
                self.stream.finish();
                self.stage = Stage::Lingering(desk.now + LINGER_LIMIT);
                true
            }
            Stage::Ending => false,
            Stage::Lingering(_) => self.discard()?,
        };
        Ok(has_moved)
    }

    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Serving => {
                let is_idle =
                    matches!(self.task, Task::None) && !self.has_output() && self.inbound.is_empty();
                self.has_ended && is_idle
            }
            Stage::Ending => false,
            Stage::Lingering(_) => self.has_ended,
        }
    }

    fn act(&mut self, key: Key, desk: &Desk) -> bool {
        if !matches!(self.task, Task::None) {
            return false;
        }
        let Some(action) = self.session.poll_action() else { return false };
        if let Some(Authority { user, administrators }) = &self.authority
            && !desk.administration.still_admits(administrators, user)
        {
            info!(target: "pop3d::peep", "{}: closed, the account was removed or has another password", self.peer);
            self.stage = Stage::Ending;
            return true;
        }
        match action {
            Action::Authenticate { user, password, wrong_before } => {
                let administrators = desk.administration.administrators();
                self.task = Task::Login { wrong_before, administrators: administrators.clone() };
                self.run(key, desk, &desk.pool, move |_, _| {
                    administrators.authenticate(&user, &password).map_or(Outcome::Unknown, Outcome::Known)
                });
            }
            Action::Ranges => self.session.handle_answer(Answer::Ranges(desk.administration.ranges())),
            Action::Do(command) => match desk.administration.query(&command, &self.peer) {
                Some(result) => self.session.handle_answer(Answer::Done(result)),
                None => {
                    let pool = match &command {
                        Command::SetMailbox { .. } => &desk.looker,
                        command if makes_transforms(command) => &desk.loader,
                        _ => &desk.pool,
                    };
                    self.task = Task::Job;
                    self.run(key, desk, pool, move |administration, peer| {
                        Outcome::Done(Answer::Done(administration.change(command, peer)))
                    });
                }
            },
            Action::Close => self.stage = Stage::Ending,
        }
        true
    }

    /// Has a job of a pool find the answer.
    fn run(
        &self,
        key: Key,
        desk: &Desk,
        pool: &Pool,
        job: impl FnOnce(&Administration, &str) -> Outcome + Send + 'static,
    ) {
        let owed = Owed { key, results: Arc::clone(&desk.results), outcome: None };
        let (administration, peer) = (Arc::clone(&desk.administration), Arc::clone(&self.peer));
        pool.run(move || {
            let mut owed = owed;
            owed.outcome = Some(job(&administration, &peer));
        });
    }

    /// Writes what waits; whether any of it went.
    fn flush(&mut self, desk: &Desk) -> io::Result<bool> {
        if self.outbound.is_empty() && self.session.has_output() {
            self.outbound.resize(SHARE, 0);
            let count = self.session.poll_output(&mut self.outbound);
            self.outbound.truncate(count);
            if matches!(self.stage, Stage::Lingering(_)) {
                self.outbound.clear();
            }
        }
        if self.outbound.is_empty() {
            // An administrator who waits holds no buffer.
            self.outbound = Vec::new();
            self.written = desk.now;
            return Ok(false);
        }
        if !self.is_writable {
            return Ok(false);
        }
        match self.stream.write(&self.outbound) {
            Ok(count) => {
                self.outbound.drain(..count);
                self.written = desk.now;
                Ok(true)
            }
            Err(error) => {
                self.is_writable = error.kind() == io::ErrorKind::Interrupted;
                is_transient(error).map(|()| false)
            }
        }
    }

    /// Offers the session what the other end said; whether it took any, or more was read.
    fn feed(&mut self) -> io::Result<bool> {
        if !self.inbound.is_empty() {
            let taken = self.session.handle_input(&self.inbound);
            self.inbound.drain(..taken);
            if self.inbound.is_empty() {
                self.inbound = Zeroizing::default();
            }
            return Ok(taken > 0);
        }
        if self.has_ended || !self.is_readable || !matches!(self.task, Task::None) || self.has_output() {
            return Ok(false);
        }
        let mut room = [0; SHARE];
        let count = self.read(&mut room)?;
        let has_moved = count > 0 || self.was_interrupted();
        let taken = self.session.handle_input(&room[..count]);
        self.inbound.extend_from_slice(&room[taken..count]);
        // It may have been a password.
        room.fill(0);
        Ok(has_moved)
    }

    /// Throws away what the other end still says.
    fn discard(&mut self) -> io::Result<bool> {
        if self.has_ended || !self.is_readable {
            return Ok(false);
        }
        Ok(self.read(&mut [0; SHARE])? > 0 || self.was_interrupted())
    }

    /// Whether there was more to read than one call reads: no event tells of the rest.
    fn was_interrupted(&self) -> bool {
        self.is_readable && !self.has_ended
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.stream.read(room) {
            Ok(count) => {
                self.has_ended = count == 0;
                Ok(count)
            }
            Err(error) => {
                self.is_readable = error.kind() == io::ErrorKind::Interrupted;
                is_transient(error).map(|()| 0)
            }
        }
    }
}

/// Whether another try may do better.
fn is_transient(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

/// A job that owes an answer: also where it panics, or is thrown away.
struct Owed {
    key: Key,
    results: Arc<Results>,
    outcome: Option<Outcome>,
}

impl Drop for Owed {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or(Outcome::Done(Answer::Done(Err(Failure::NotTaken))));
        self.results.push(self.key, outcome);
    }
}

//! The admin thread: one mio loop for PEEP. It reads, answers and waits in `poll` alone; what may wait is a job of a
//! pool of its own, so that no administrator holds up another one, and none of them mail.

mod administrator;
mod door;
mod regular;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{error, warn};
use mio::{Events, Poll};
use pop3d_protocol::peep::{Answer, WRONG_CREDENTIALS_MAX};

use self::administrator::{Administrator, Desk, Turn};
use self::door::Entered;
pub use self::door::{Door, DoorError};
use self::regular::Regular;
use crate::accounts::UserName;
use crate::administration::Administration;
use crate::pool::Pool;
use crate::token::{Key, Place, Slots};

/// Events taken from the kernel at once.
const EVENTS: usize = 128;

/// Bounds of administrators.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Administrators at once by TCP. Further ones wait in the backlog.
    pub connections: usize,
    /// The same by the Unix socket, so that no one who floods the port can lock the owner of the machine out.
    pub socket_connections: usize,
    /// Wrong `a` commands after which a connection is closed.
    pub failed_logins: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 64, socket_connections: 16, failed_logins: WRONG_CREDENTIALS_MAX }
    }
}

/// Threads that carry out what may wait.
const POOL_THREADS: usize = 3;

/// How often statistics are kept: a crash loses no more of them.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// How often the files of certificates are looked at.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// The admin thread, seen from the others.
pub struct AdminThread {
    results: Arc<Results>,
    thread: JoinHandle<()>,
}

/// What came of a job.
enum Outcome {
    /// The credentials are this administrator's.
    Known(UserName),
    /// They are nobody's.
    Unknown,
    /// The answer to anything else.
    Done(Answer),
}

/// What the thread is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Serving,
    /// The ports are to be given up.
    Leaving,
    Over,
}

/// What came of jobs, and the bell that tells of it.
struct Results {
    queue: Mutex<Vec<(Key, Outcome)>>,
    stage: Mutex<Stage>,
    bell: mio::Waker,
}

struct Loop {
    poll: Poll,
    doors: Vec<Door>,
    administrators: Slots<Administrator>,
    bounds: Bounds,
    desk: Desk,
    keeping: Regular,
    renewing: Regular,
}

impl AdminThread {
    /// Starts to serve administrators who come in by these doors.
    ///
    /// # Errors
    /// Where the kernel gives no event queue or thread.
    pub fn start(
        mut doors: Vec<Door>,
        administration: Arc<Administration>,
        bounds: Bounds,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let bell = mio::Waker::new(poll.registry(), Place::Bell.token())?;
        let results =
            Arc::new(Results { queue: Mutex::new(Vec::new()), stage: Mutex::new(Stage::Serving), bell });
        for (index, door) in doors.iter_mut().enumerate() {
            door.register(poll.registry(), Place::Listener(index).token())?;
        }
        let now = Instant::now();
        let desk = Desk {
            administration,
            results: Arc::clone(&results),
            pool: Pool::start("administration", POOL_THREADS)?,
            loader: Pool::start("loading", 1)?,
            looker: Pool::start("looking", 1)?,
            now,
        };
        let admin = Loop {
            poll,
            doors,
            administrators: Slots::new(),
            bounds,
            desk,
            keeping: Regular::new("statistics", KEEP_EVERY, now)?,
            renewing: Regular::new("certificates", RENEW_EVERY, now)?,
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || admin.run())?;
        Ok(Self { results, thread })
    }

    /// Gives up its ports, so that a server that is started meanwhile can have them. Administrators who are there stay, and
    /// those of a Unix socket still come.
    pub fn give_up_ports(&self) {
        self.results.enter(Stage::Leaving);
    }

    /// Ends the thread; administrators who are still there are cut off.
    pub fn stop(self) {
        self.results.enter(Stage::Over);
        if self.thread.join().is_err() {
            error!(target: "pop3d::peep", "the admin thread panicked");
        }
    }
}

impl Results {
    fn push(&self, key: Key, outcome: Outcome) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push((key, outcome));
        self.ring();
    }

    fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.ring();
    }

    fn ring(&self) {
        if let Err(error) = self.bell.wake() {
            error!(target: "pop3d::peep", "the admin thread cannot be woken: {error}");
        }
    }
}

impl Loop {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while self.desk.results.stage() != Stage::Over {
            if let Err(error) = self.poll.poll(&mut events, self.timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                error!(target: "pop3d::peep", "poll failed: {error}");
            }
            self.desk.now = Instant::now();
            for event in &events {
                match Place::of(event.token()) {
                    Place::Listener(index) => {
                        if let Some(door) = self.doors.get_mut(index) {
                            door.handle_event();
                        }
                    }
                    Place::Connection(key) => {
                        self.with(key, |administrator, _| administrator.handle_event(event));
                    }
                    Place::Bell | Place::Header(_) | Place::Source(..) => {}
                }
            }
            self.take_results();
            self.give_turns();
            if self.desk.results.stage() == Stage::Leaving {
                self.doors.iter_mut().for_each(Door::give_up_port);
            }
            self.accept();
            self.keep();
            self.renew();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let can_enter = |door: &Door| door.may_have_more() && self.has_seat(door);
        let wants_turn = |key: &Key| self.administrators.get(*key).is_some_and(Administrator::is_unfinished);
        let keys = self.administrators.keys();
        if self.doors.iter().any(can_enter) || keys.iter().any(wants_turn) {
            return Some(Duration::ZERO);
        }
        let due = keys.iter().filter_map(|key| self.administrators.get(*key)?.next_due());
        // Without a seat it is not tried again, however long that is due.
        let again = self.doors.iter().filter(|door| self.has_seat(door)).filter_map(Door::again);
        let due = due.chain([self.keeping.at(), self.renewing.at()]).chain(again).min();
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn take_results(&mut self) {
        let results = {
            let mut queue = self.desk.results.queue.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *queue)
        };
        for (key, outcome) in results {
            self.with(key, |administrator, desk| administrator.handle_result(outcome, desk));
        }
    }

    /// A turn for each: there are few, and a turn of one who has nothing to do costs nothing.
    fn give_turns(&mut self) {
        for key in self.administrators.keys() {
            let Some(administrator) = self.administrators.get_mut(key) else { continue };
            let desk = &self.desk;
            let turn = catch_unwind(AssertUnwindSafe(|| administrator.turn(key, desk)));
            match turn {
                Ok(Turn::Stays) => {}
                Ok(Turn::Gone) => drop(self.administrators.remove(key)),
                // A fault of ours costs that one connection.
                Err(_) => {
                    error!(target: "pop3d::peep", "a turn of {} panicked", administrator.peer());
                    drop(self.administrators.remove(key));
                }
            }
        }
    }

    fn with(&mut self, key: Key, step: impl FnOnce(&mut Administrator, &Desk)) {
        if let Some(administrator) = self.administrators.get_mut(key) {
            step(administrator, &self.desk);
        }
    }

    fn has_seat(&self, door: &Door) -> bool {
        let keys = self.administrators.keys();
        let administrators = keys.iter().filter_map(|key| self.administrators.get(*key));
        let (owners, others): (Vec<_>, Vec<_>) = administrators.partition(|it| it.is_owner());
        let Bounds { connections, socket_connections, .. } = self.bounds;
        if door.is_for_owner() { owners.len() < socket_connections } else { others.len() < connections }
    }

    fn accept(&mut self) {
        for index in 0..self.doors.len() {
            while self.has_seat(&self.doors[index]) {
                let administration = &self.desk.administration;
                match self.doors[index].accept(self.desk.now, || administration.tls()) {
                    Ok(Entered::Nobody) => break,
                    Ok(Entered::One(stream, peer)) => self.admit(stream, peer),
                    Ok(Entered::Stranger(who)) => {
                        warn!(target: "pop3d::peep", "{who} is not the owner of the server: not let in");
                    }
                    Err(error) => {
                        warn!(target: "pop3d::peep", "an administrator was not accepted: {error}");
                        break;
                    }
                }
            }
        }
    }

    fn admit(&mut self, mut stream: door::Stream, peer: String) {
        let token = Place::Connection(self.administrators.next_key()).token();
        match stream.register(self.poll.registry(), token) {
            Ok(()) => {
                let key = self.administrators.insert(Administrator::new(
                    stream,
                    peer,
                    self.desk.now,
                    self.bounds.failed_logins,
                ));
                // What came with the connection has no event of its own.
                self.turn_of_new(key);
            }
            Err(error) => warn!(target: "pop3d::peep", "{peer}: not served: {error}"),
        }
    }

    fn turn_of_new(&mut self, key: Key) {
        if let Some(administrator) = self.administrators.get_mut(key)
            && matches!(administrator.turn(key, &self.desk), Turn::Gone)
        {
            drop(self.administrators.remove(key));
        }
    }

    /// Looks at the files of certificates once it is time.
    fn renew(&mut self) {
        let administration = Arc::clone(&self.desk.administration);
        self.renewing.run(self.desk.now, move || administration.renew_certificates());
    }

    /// Keeps the statistics once it is time.
    fn keep(&mut self) {
        let administration = Arc::clone(&self.desk.administration);
        self.keeping.run(self.desk.now, move || administration.keep_statistics());
    }
}

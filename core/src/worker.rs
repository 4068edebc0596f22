//! A worker: one thread with one poll loop. It turns events and notices into turns, accepts, and keeps deadlines.
//! It waits nowhere but in `poll`, and looks there after each share of a transfer (`queue.rs`).

mod accepting;
mod newcomers;
mod queue;
mod waiting;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::error;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll};

use self::accepting::{Refusals, reserve};
use self::newcomers::Newcomers;
use self::queue::Ready;
use self::waiting::Waiting;
use crate::buffer::Spare;
use crate::connection::{Connection, Desk, SCRATCH_SIZE, Turn};
use crate::deadline::Deadlines;
use crate::listening::{Listening, Protocol};
use crate::notice::Notice;
use crate::reactor::WorkerReactor;
use crate::shared::Shared;
use crate::token::{Key, Place, Slots};

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// Steps of TLS handshakes in one round of the loop: each may cost a signature, a millisecond with a key of RSA, and those
/// who are served wait meanwhile.
const HANDSHAKES_PER_ROUND: u32 = 8;

/// One thread's connections and what they need.
pub(crate) struct Worker {
    number: usize,
    poll: Poll,
    reactor: Arc<WorkerReactor>,
    listeners: Vec<Listener>,
    connections: Slots<Client>,
    waiting: Waiting,
    deadlines: Deadlines,
    ready: Ready,
    desk: Desk,
    /// A descriptor to give up when there is no other, so that a client can be told.
    reserve: Option<File>,
    accept_again: Option<Instant>,
    newcomers: Newcomers,
    /// When somebody may give way to who waits for a seat, here or at another worker.
    give_way: Option<Instant>,
    refusals: Refusals,
    stage: Stage,
}

struct Listener {
    socket: TcpListener,
    protocol: Protocol,
    /// Whether each connection begins with a header of the PROXY protocol.
    is_proxied: bool,
    may_have_more: bool,
}

struct Client {
    connection: Connection,
    /// Whether it is in `ready`.
    is_ready: bool,
}

/// How far the end of the server is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Serving,
    Draining,
    Stopped,
}

impl Worker {
    /// A worker that polls `poll` and serves what comes to `listeners`.
    ///
    /// # Errors
    /// Where the kernel refuses a listener.
    pub(crate) fn new(
        number: usize,
        poll: Poll,
        reactor: Arc<WorkerReactor>,
        listeners: Vec<Listening>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let mut registered = Vec::new();
        for (index, Listening { mut socket, protocol, is_proxied }) in listeners.into_iter().enumerate() {
            poll.registry().register(&mut socket, Place::Listener(index).token(), Interest::READABLE)?;
            registered.push(Listener { socket, protocol, is_proxied, may_have_more: true });
        }
        let desk = Desk {
            worker: number,
            notices: Arc::clone(&shared.notices[number]),
            counters: Arc::clone(&shared.counters[number]),
            shared,
            spare: Spare::default(),
            scratch: vec![0; SCRATCH_SIZE].into(),
            handshakes: HANDSHAKES_PER_ROUND,
            now: Instant::now(),
        };
        Ok(Self {
            number,
            poll,
            reactor,
            listeners: registered,
            connections: Slots::new(),
            waiting: Waiting::new(),
            deadlines: Deadlines::new(Instant::now()),
            ready: Ready::default(),
            desk,
            reserve: reserve(),
            accept_again: None,
            newcomers: Newcomers::default(),
            give_way: None,
            refusals: Refusals::default(),
            stage: Stage::Serving,
        })
    }

    /// Serves until the server has been drained or stopped.
    pub(crate) fn run(mut self) {
        WorkerReactor::enter(self.number);
        let mut events = Events::with_capacity(EVENTS);
        let mut notices = Vec::new();
        while !self.is_over() {
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                error!(target: "pop3d::worker", "poll failed: {error}");
            }
            self.desk.notices.wakes_up();
            self.desk.now = Instant::now();
            self.desk.handshakes = HANDSHAKES_PER_ROUND;
            for event in &events {
                self.handle_event(event);
            }
            self.desk.notices.take(&mut notices);
            for notice in notices.drain(..) {
                self.handle_notice(notice);
            }
            self.handle_deadlines();
            self.drop_late_balancers();
            self.give_turns();
            self.accept();
            self.give_way_to_others();
        }
    }

    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Serving => false,
            Stage::Draining => self.connections.len() == 0,
            Stage::Stopped => true,
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let has_more = self.listeners.iter().any(|listener| listener.may_have_more);
        if !self.ready.is_empty() || (has_more && self.accept_again.is_none() && !self.is_full()) {
            return Some(Duration::ZERO);
        }
        if !self.desk.notices.may_wait() {
            return Some(Duration::ZERO);
        }
        let due = self.deadlines.next_due().into_iter().chain(self.accept_again).chain(self.give_way);
        let due = due.chain(self.waiting.next_due()).min();
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn handle_event(&mut self, event: &mio::event::Event) {
        match Place::of(event.token()) {
            // Notices are looked at in every round.
            Place::Bell => {}
            Place::Listener(index) => {
                if let Some(listener) = self.listeners.get_mut(index) {
                    listener.may_have_more = true;
                }
            }
            Place::Header(key) => self.look_for_header(key, event.is_read_closed() || event.is_error()),
            Place::Connection(key) => {
                if let Some(client) = self.connections.get_mut(key) {
                    client.connection.handle_event(event);
                    self.enqueue(key);
                }
            }
            Place::Source(worker, key) => self.reactor.handle_event(worker, key),
        }
    }

    fn handle_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Wake(key) => self.enqueue(key),
            Notice::Done(key, outcome) => {
                if let Some(client) = self.connections.get_mut(key) {
                    client.connection.handle_outcome(outcome, &self.desk);
                    self.enqueue(key);
                }
            }
            Notice::Kick(key) => self.with_client(key, |connection, _| connection.kick()),
            // The look at the listeners comes in every round.
            Notice::Accept => {}
            Notice::Silence => {
                for key in self.connections.keys() {
                    self.with_client(key, |_, _| Turn::Waiting);
                }
            }
            Notice::Drain => {
                self.stage = Stage::Draining;
                self.listeners.clear();
                self.waiting.clear();
                for key in self.connections.keys() {
                    self.turn(key);
                    if let Some(client) = self.connections.get_mut(key) {
                        client.connection.drain();
                        self.enqueue(key);
                    }
                }
            }
            Notice::Stop => {
                self.stage = Stage::Stopped;
                for key in self.connections.keys() {
                    if let Some(mut client) = self.connections.remove(key) {
                        client.connection.reset();
                    }
                }
            }
        }
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(client) = self.connections.get_mut(key)
            && !client.is_ready
        {
            client.is_ready = true;
            self.ready.push(key, client.connection.next_work());
        }
    }

    /// A round of turns: who stopped early comes again after the poll.
    fn give_turns(&mut self) {
        let mut round = self.ready.round();
        while let Some(key) = self.ready.next(&mut round) {
            if let Some(client) = self.connections.get_mut(key) {
                client.is_ready = false;
                self.turn(key);
            }
        }
    }

    fn turn(&mut self, key: Key) {
        self.with_client(key, Connection::turn);
    }

    fn handle_deadlines(&mut self) {
        while let Some(slot) = self.deadlines.pop_due(self.desk.now) {
            // Another may be there by now: it has nothing to do then but to say when it wants to be asked.
            if let Some(key) = self.connections.key_at(slot) {
                self.with_client(key, Connection::handle_time);
            }
        }
    }

    /// Has a connection do something, and does what follows from it.
    fn with_client(&mut self, key: Key, step: impl FnOnce(&mut Connection, &mut Desk) -> Turn) {
        let Some(client) = self.connections.get_mut(key) else { return };
        let desk = &mut self.desk;
        // A fault of ours costs that one connection, and a message that was under way is not taken for whole.
        let turn = catch_unwind(AssertUnwindSafe(|| step(&mut client.connection, desk)));
        let turn = turn.unwrap_or_else(|_| {
            error!(target: "pop3d::worker", "a turn of {} panicked", client.connection.peer());
            client.connection.reset();
            Turn::Gone
        });
        match turn {
            Turn::Gone => {
                if let Some(mut client) = self.connections.remove(key) {
                    client.connection.abandon_output(&mut self.desk);
                }
            }
            Turn::Unfinished => self.enqueue(key),
            Turn::Waiting => {
                if let Some(due) = client.connection.deadline(&mut self.desk) {
                    self.deadlines.push(due, key.index());
                }
            }
        }
    }
}

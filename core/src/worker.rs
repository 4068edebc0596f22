//! A worker: one thread with one poll loop. It turns events and notices into turns, accepts, and keeps deadlines.
//! It waits nowhere but in `poll`.

mod newcomers;
mod waiting;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{error, warn};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll};

use self::newcomers::{Newcomers, Way};
use self::waiting::Waiting;
use crate::buffer::Spare;
use crate::connection::{Connection, Desk, SCRATCH_SIZE, Turn};
use crate::deadline::Deadlines;
use crate::guesses::FAILED_LOGINS;
use crate::notice::Notice;
use crate::reactor::WorkerReactor;
use crate::server::{Admission, Listening, Protocol, Seat, Shared, TurnedAway};
use crate::socket;
use crate::token::{Key, Place, Slots};
use crate::transport::Transport;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// Connections accepted from one listener before those that are there have their turn.
const ACCEPT_SHARE: usize = 64;

/// Steps of TLS handshakes in one round of the loop: each may cost a signature, a millisecond with a key of RSA, and those
/// who are served wait meanwhile.
const HANDSHAKES_PER_ROUND: u32 = 8;

/// When to try again to accept where neither a descriptor nor the reserve was left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What a client hears for which there is no descriptor.
const NO_RESOURCES: &str = "no resources left, try again later";

/// One thread's connections and what they need.
pub(crate) struct Worker {
    number: usize,
    poll: Poll,
    reactor: Arc<WorkerReactor>,
    listeners: Vec<Listener>,
    connections: Slots<Client>,
    waiting: Waiting,
    deadlines: Deadlines,
    /// Connections that want a turn, each once.
    ready: VecDeque<Key>,
    desk: Desk,
    /// A descriptor to give up when there is no other, so that a client can be told.
    reserve: Option<File>,
    accept_again: Option<Instant>,
    newcomers: Newcomers,
    /// When somebody may give way to who waits for a seat.
    give_way: Option<Instant>,
    refusals: Refusals,
    stage: Stage,
}

/// Clients that were turned away: a flood of them is not one of lines in the log.
#[derive(Default)]
struct Refusals {
    unlogged: u64,
    logged: Option<Instant>,
}

/// Least time between two lines in the log on clients that were turned away.
const REFUSALS_LOGGED: Duration = Duration::from_secs(10);

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

/// What accepting one client came to.
enum Accepted {
    /// Served, or refused with a word.
    One,
    /// There is nobody, or nobody may come in.
    Nobody,
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
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
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
            self.ready.push_back(key);
        }
    }

    /// One turn for each connection that wants one: who stopped early comes again after the poll.
    fn give_turns(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(key) = self.ready.pop_front() else { return };
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
        while let Some(key) = self.deadlines.pop_due(self.desk.now) {
            self.with_client(key, Connection::handle_time);
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
                if let Some(due) = client.connection.deadline(&mut self.desk)
                    && client.connection.queue_deadline(due)
                {
                    self.deadlines.push(due, key);
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.desk.shared.is_full()
    }

    fn accept(&mut self) {
        if self.accept_again.is_some_and(|again| again > self.desk.now) {
            return;
        }
        self.accept_again = None;
        self.give_way = None;
        for index in 0..self.listeners.len() {
            for _ in 0..ACCEPT_SHARE {
                match self.accept_one(index) {
                    Accepted::One => {}
                    Accepted::Nobody => break,
                }
            }
        }
    }

    fn accept_one(&mut self, index: usize) -> Accepted {
        if !self.listeners[index].may_have_more {
            return Accepted::Nobody;
        }
        // The seat is taken before the client is accepted: where there is none, clients wait in the backlog.
        let Some(seat) = self.take_seat(index) else { return Accepted::Nobody };
        let protocol = self.listeners[index].protocol;
        match self.listeners[index].socket.accept() {
            Ok((stream, _)) if self.desk.shared.is_short_of_descriptors() => {
                self.refusals.count(self.desk.now, "too few descriptors, raise RLIMIT_NOFILE");
                self.desk.counters.refused.add(1);
                refuse(stream, protocol, NO_RESOURCES);
            }
            Ok((stream, peer)) if self.listeners[index].is_proxied => {
                self.await_header(stream, protocol, peer, seat);
            }
            Ok((stream, peer)) => self.admit_as(stream, protocol, peer, seat),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.listeners[index].may_have_more = false;
                return Accepted::Nobody;
            }
            Err(error) if is_short_of_descriptors(&error) => {
                drop(seat);
                return self.refuse_for_descriptors(index, &error);
            }
            // The client went away while it waited; whatever else it is, the next one may do better.
            Err(error) => warn!(target: "pop3d::worker", "a client was not accepted: {error}"),
        }
        Accepted::One
    }

    /// A seat for who comes to a listener; where there is none and somebody waits, that of who is silent before login.
    fn take_seat(&mut self, index: usize) -> Option<Seat> {
        let seat = Shared::take_seat(&self.desk.shared);
        if seat.is_some() {
            return seat;
        }
        if !socket::has_client(&self.listeners[index].socket) {
            // An event tells of the next one.
            self.listeners[index].may_have_more = false;
            return None;
        }
        let silence = self.desk.shared.settings.load().limits.give_way_after;
        match self.newcomers.first_silent(&self.connections, self.desk.now, silence) {
            Way::Of(key) => {
                self.refusals.count(self.desk.now, "silent before login, while others wait to be served");
                self.with_client(key, Connection::give_way);
                Shared::take_seat(&self.desk.shared)
            }
            Way::At(due) => {
                self.give_way = self.give_way.into_iter().chain([due]).min();
                None
            }
            Way::Nobody => None,
        }
    }

    /// Lets a client in by its address, or tells it why not.
    fn admit_as(&mut self, stream: TcpStream, protocol: Protocol, peer: SocketAddr, seat: Seat) {
        match Admission::new(seat, peer.ip(), self.desk.now) {
            Ok(admission) => self.admit(stream, protocol, peer, admission),
            Err(why) => {
                let (log, reply) = match why {
                    TurnedAway::TooMany => {
                        ("too many connections from one address", "too many connections from your address")
                    }
                    TurnedAway::FailedLogins => ("too many failed logins from one address", FAILED_LOGINS),
                };
                self.refusals.count(self.desk.now, log);
                self.desk.counters.refused.add(1);
                refuse(stream, protocol, reply);
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, protocol: Protocol, peer: SocketAddr, admission: Admission) {
        let key = self.connections.next_key();
        let token = Place::Connection(key).token();
        let transport = Transport::new(stream, self.poll.registry(), token);
        let transport = match transport.and_then(|transport| self.begin(transport, protocol)) {
            Ok(transport) => transport,
            Err(error) => {
                warn!(target: "pop3d::worker", "{peer}: not served: {error}");
                return;
            }
        };
        self.desk.counters.connections.add(1);
        let connection = Connection::new(key, peer, transport, &self.desk).admitted(admission);
        self.connections.insert(Client { connection, is_ready: false });
        self.newcomers.enter(key, &self.connections);
        self.turn(key);
    }

    /// What a connection of a protocol begins with.
    fn begin(&self, mut transport: Transport, protocol: Protocol) -> io::Result<Transport> {
        match (protocol, &self.desk.shared.settings.load().tls) {
            (Protocol::Pop3, _) => {}
            (Protocol::Pop3s, Some(tls)) => transport.start_tls(Arc::clone(&tls.config))?,
            (Protocol::Pop3s, None) => return Err(io::Error::other("there is no certificate")),
        }
        Ok(transport)
    }

    /// Gives the reserve up for as long as it takes to tell one client.
    fn refuse_for_descriptors(&mut self, index: usize, cause: &io::Error) -> Accepted {
        if self.reserve.take().is_none() {
            self.accept_again = Some(self.desk.now + ACCEPT_AGAIN);
            self.reserve = reserve();
            return Accepted::Nobody;
        }
        let Listener { socket, protocol, .. } = &self.listeners[index];
        let (accepted, protocol) = (socket.accept(), *protocol);
        let told = accepted.map(|(stream, _)| {
            self.refusals.count(self.desk.now, &cause.to_string());
            self.desk.counters.refused.add(1);
            refuse(stream, protocol, NO_RESOURCES);
        });
        self.reserve = reserve();
        match told {
            Ok(()) => Accepted::One,
            Err(_) => {
                self.accept_again = Some(self.desk.now + ACCEPT_AGAIN);
                Accepted::Nobody
            }
        }
    }
}

impl Refusals {
    fn count(&mut self, now: Instant, why: &str) {
        self.unlogged += 1;
        if self.logged.is_none_or(|logged| now >= logged + REFUSALS_LOGGED) {
            warn!(target: "pop3d::worker", "{} clients turned away: {why}", self.unlogged);
            *self = Self { unlogged: 0, logged: Some(now) };
        }
    }
}

/// Tells a client that it cannot be served.
fn refuse(mut stream: impl Write, protocol: Protocol, why: &str) {
    match protocol {
        Protocol::Pop3 => {}
        // A handshake for that would cost more than whoever came so often has deserved.
        Protocol::Pop3s => return,
    }
    // In one piece: what is formatted goes out in several, of which the client would read the first as the reply.
    let reply = format!("-ERR [SYS/TEMP] {why}\r\n");
    // It fits into the empty buffer of a fresh socket; if not, the client sees the end of the connection.
    let _ = stream.write_all(reply.as_bytes());
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

fn is_short_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_turned_away_is_told_in_one_piece() {
        struct Pieces<'a>(&'a mut Vec<Vec<u8>>);
        impl Write for Pieces<'_> {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                self.0.push(octets.to_vec());
                Ok(octets.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut pieces = Vec::new();
        refuse(Pieces(&mut pieces), Protocol::Pop3s, NO_RESOURCES);
        refuse(Pieces(&mut pieces), Protocol::Pop3, NO_RESOURCES);
        assert_eq!(pieces, [b"-ERR [SYS/TEMP] no resources left, try again later\r\n"]);
    }
}

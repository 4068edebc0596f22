//! Who comes to the listeners: seated, let in or turned away.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::warn;
use mio::net::TcpStream;

use super::newcomers::Way;
use super::{Client, Listener, Worker};
use crate::connection::Connection;
use crate::listening::Protocol;
use crate::shared::{Admission, Seat, Shared, TurnedAway};
use crate::socket;
use crate::token::{Key, Place};
use crate::transport::Transport;

/// Connections accepted from one listener before those that are there have their turn.
const ACCEPT_SHARE: usize = 64;

/// When to try again to accept where neither a descriptor nor the reserve was left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Least time between two questions to the other workers for somebody who gives way.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What a client hears for which there is no descriptor.
const NO_RESOURCES: &str = "no resources left, try again later";

/// Clients that were turned away: a flood of them is not one of lines in the log.
#[derive(Default)]
pub(super) struct Refusals {
    unlogged: u64,
    logged: Option<Instant>,
}

/// Least time between two lines in the log on clients that were turned away.
const REFUSALS_LOGGED: Duration = Duration::from_secs(10);

/// What accepting one client came to.
enum Accepted {
    /// Served, or refused with a word.
    One,
    /// There is nobody, or nobody may come in.
    Nobody,
}

impl Worker {
    pub(super) fn is_full(&self) -> bool {
        self.desk.shared.is_full()
    }

    pub(super) fn accept(&mut self) {
        self.give_way = None;
        if self.accept_again.is_some_and(|again| again > self.desk.now) {
            return;
        }
        self.accept_again = None;
        for index in 0..self.listeners.len() {
            let has_more = (0..ACCEPT_SHARE).all(|_| matches!(self.accept_one(index), Accepted::One));
            if has_more && self.is_full() {
                // Who asks for a seat in vain is told when one is free, at whichever worker.
                drop(self.take_seat(index));
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
            Ok((stream, _)) if self.lacks_descriptors() => {
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

    /// Whether there are too few descriptors for who has come, also once somebody who is silent before login has given way.
    /// Where nobody here is, somebody at another worker gives way to the next one who comes.
    fn lacks_descriptors(&mut self) -> bool {
        if !self.desk.shared.is_short_of_descriptors() {
            return false;
        }
        match self.first_silent() {
            Way::Of(key) => self.dismiss(key),
            Way::At(_) | Way::Nobody => self.desk.shared.ask_for_way(),
        }
        self.desk.shared.is_short_of_descriptors()
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
        let way = self.first_silent();
        if let Way::Of(key) = way {
            self.dismiss(key);
            return Shared::take_seat(&self.desk.shared);
        }
        // Somebody at another worker may have been silent for longer.
        self.desk.shared.ask_for_way();
        let again = match way {
            Way::At(due) => due,
            Way::Of(_) | Way::Nobody => self.desk.now + self.silence().max(ASK_AGAIN),
        };
        self.look_at(again);
        None
    }

    /// Has who is silent here give way to who waits for a seat at another worker.
    pub(super) fn give_way_to_others(&mut self) {
        if !self.desk.shared.is_asked_for_way() {
            return;
        }
        match self.first_silent() {
            Way::Of(key) if self.desk.shared.answers_for_way() => self.dismiss(key),
            Way::At(due) => self.look_at(due),
            Way::Of(_) | Way::Nobody => {}
        }
    }

    fn silence(&self) -> Duration {
        self.desk.shared.settings.load().limits.give_way_after
    }

    fn first_silent(&mut self) -> Way {
        let silence = self.silence();
        self.newcomers.first_silent(&self.connections, self.desk.now, silence)
    }

    fn dismiss(&mut self, key: Key) {
        self.refusals.count(self.desk.now, "silent before login, while others wait to be served");
        self.with_client(key, Connection::give_way);
    }

    /// Looks then for somebody who gives way.
    fn look_at(&mut self, due: Instant) {
        self.give_way = self.give_way.into_iter().chain([due]).min();
    }

    /// Lets a client in by its address, or tells it why not.
    pub(super) fn admit_as(&mut self, stream: TcpStream, protocol: Protocol, peer: SocketAddr, seat: Seat) {
        match Admission::new(seat, peer.ip(), self.desk.now) {
            Ok(admission) => self.admit(stream, protocol, peer, admission),
            Err(why) => {
                let log = match why {
                    TurnedAway::TooMany => "too many connections from one address",
                    TurnedAway::FailedLogins => "too many failed logins from one address",
                };
                self.refusals.count(self.desk.now, log);
                self.desk.counters.refused.add(1);
                refuse(stream, protocol, why.reply());
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
        self.desk.spare.set_capacity(self.desk.shared.settings.load().limits.outbound);
        let connection = Connection::new(key, peer, transport, &self.desk).admitted(admission);
        self.connections.insert(Client { connection, is_ready: false });
        self.newcomers.enter(key, &self.connections);
        self.turn(key);
    }

    /// What a connection of a protocol begins with.
    fn begin(&self, mut transport: Transport, protocol: Protocol) -> io::Result<Transport> {
        match (protocol, &self.desk.shared.settings.load().tls) {
            (Protocol::Pop3, _) => {}
            (Protocol::Pop3s, Some(tls)) => transport.start_tls(tls.pop3())?,
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
    pub(super) fn count(&mut self, now: Instant, why: &str) {
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

pub(super) fn reserve() -> Option<File> {
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

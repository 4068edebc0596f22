//! Connections of balancers that have not said yet for whom they speak. Their sockets are looked at, never read beyond
//! the header: what follows is the client's.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::warn;
use mio::Interest;
use mio::net::TcpStream;

use super::Worker;
use crate::listening::Protocol;
use crate::proxied::{HEADER_MAX, Header};
use crate::shared::Seat;
use crate::token::{Key, Place, Slots};

/// How long a header may take: a balancer sends it with the connection.
const HEADER_LIMIT: Duration = Duration::from_secs(10);

/// Those of one worker.
pub(super) struct Waiting {
    balancers: Slots<Balancer>,
    /// Each of them has the same time, so that the first to come is the first to be late. Some have gone since.
    late_at: VecDeque<(Instant, Key)>,
}

struct Balancer {
    stream: TcpStream,
    /// What comes behind the header.
    protocol: Protocol,
    peer: SocketAddr,
    seat: Seat,
}

impl Waiting {
    pub(super) const fn new() -> Self {
        Self { balancers: Slots::new(), late_at: VecDeque::new() }
    }

    /// When the time of one is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.late_at.front().map(|&(due, _)| due)
    }

    /// Closes them all.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}

impl Worker {
    /// Waits for the header of a connection that was accepted where each has one.
    pub(super) fn await_header(
        &mut self,
        mut stream: TcpStream,
        protocol: Protocol,
        peer: SocketAddr,
        seat: Seat,
    ) {
        if !self.desk.shared.settings.load().limits.proxies.contains(peer.ip()) {
            self.refusals.count(self.desk.now, "not from a net of [proxy]");
            self.desk.counters.refused.add(1);
            return;
        }
        let waiting = &mut self.waiting;
        let place = Place::Header(waiting.balancers.next_key());
        let registered = self.poll.registry().register(&mut stream, place.token(), Interest::READABLE);
        if let Err(error) = registered {
            warn!(target: "pop3d::worker", "{peer}: not served: {error}");
            return;
        }
        let key = waiting.balancers.insert(Balancer { stream, protocol, peer, seat });
        waiting.late_at.push_back((self.desk.now + HEADER_LIMIT, key));
        self.look_for_header(key, false);
    }

    /// Looks whether the header is there; `is_ending`: nothing more comes.
    pub(super) fn look_for_header(&mut self, key: Key, is_ending: bool) {
        let Some(balancer) = self.waiting.balancers.get(key) else { return };
        let room = &mut self.desk.scratch[..HEADER_MAX];
        let header = match balancer.stream.peek(room) {
            Ok(0) => Header::Garbage,
            Ok(count) => Header::read(&room[..count]),
            Err(error) if is_transient(&error) => Header::Incomplete,
            Err(_) => Header::Garbage,
        };
        if header == Header::Incomplete && !is_ending {
            return;
        }
        let Some(Balancer { mut stream, protocol, peer, seat }) = self.waiting.balancers.remove(key) else {
            return;
        };
        let taken = match header {
            Header::Whole { length, client } => {
                stream.read_exact(&mut room[..length]).map(|()| client.unwrap_or(peer))
            }
            Header::Incomplete | Header::Garbage => Err(io::ErrorKind::InvalidData.into()),
        };
        let taken = taken.and_then(|client| {
            self.poll.registry().deregister(&mut stream)?;
            Ok(client)
        });
        match taken {
            Ok(client) => self.admit_as(stream, protocol, client, seat),
            Err(_) => {
                self.refusals.count(self.desk.now, "no header of the PROXY protocol at a balancer's address");
                self.desk.counters.refused.add(1);
            }
        }
    }

    /// Closes those whose time is over.
    pub(super) fn drop_late_balancers(&mut self) {
        while let Some(&(due, key)) = self.waiting.late_at.front() {
            let is_there = self.waiting.balancers.get(key).is_some();
            if is_there && due > self.desk.now {
                return;
            }
            self.waiting.late_at.pop_front();
            if self.waiting.balancers.remove(key).is_some() {
                self.refusals.count(self.desk.now, "no header of the PROXY protocol in time");
                self.desk.counters.refused.add(1);
            }
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

//! A socket and the session that speaks through it, a turn at a time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, connect, ipproto, recv, socket_with,
};

use crate::loopback::Loopback;
use crate::session::{Common, Next, Scenario, Session, Taking};
use crate::tally::Tally;

/// Reads in one turn, so that a fast download does not keep the others waiting.
const READS_PER_TURN: usize = 4;

/// Octets that are read where a status line is expected, and what follows it is to be skipped.
const FEW: usize = 256;

/// Users who rest and come from one address. With most ports of an address taken, the kernel searches for each further
/// connection from there longer than a session lasts.
const USERS_PER_SOURCE: u32 = 4096;

/// Octets that a slow reader takes at once.
const CRAWL_ROOM: usize = 4 << 10;

/// Octets that the kernel may keep for a slow reader: with more it would seem a fast one for a while.
const CRAWL_BUFFER: usize = 16 << 10;

/// One connection.
pub(super) struct Connection<'a> {
    stream: TcpStream,
    pub(super) session: Session<'a>,
    /// What could not be written yet; a command or nothing.
    outbound: Vec<u8>,
}

/// How a turn ended.
pub(super) enum Turn {
    /// An event will tell more.
    Waits,
    /// There may be more to read: no event will tell.
    Unfinished,
    /// The session wants to be told when all are logged in.
    Begins,
    /// The session wants to be told when so long has passed.
    Rests(Duration),
    Ended,
    Failed(String),
}

impl<'a> Connection<'a> {
    pub(super) fn open(
        registry: &Registry,
        token: Token,
        server: Loopback,
        common: &'a Common,
        user: u32,
        now: Instant,
    ) -> io::Result<Self> {
        let rests = matches!(common.scenario, Scenario::Noop { .. });
        let mut stream = match server.address() {
            SocketAddr::V4(address) if rests => connect_from(source(user), address)?,
            address @ (SocketAddr::V4(_) | SocketAddr::V6(_)) => TcpStream::connect(address)?,
        };
        stream.set_nodelay(true)?;
        if matches!(common.scenario, Scenario::Crawl { .. }) {
            set_socket_recv_buffer_size(&stream, CRAWL_BUFFER)?;
        }
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, session: Session::new(common, user, now), outbound: Vec::new() })
    }

    /// Writes what is left, reads a share, and lets the session speak.
    pub(super) fn turn(&mut self, room: &mut [u8], tally: &mut Tally) -> Turn {
        if !self.outbound.is_empty()
            && let Err(error) = self.write()
        {
            return Turn::Failed(format!("write: {error}"));
        }
        if self.session.pace().is_some() {
            // Its next rest is over when it is, whatever comes meanwhile.
            return Turn::Waits;
        }
        for _ in 0..READS_PER_TURN {
            match self.read(room, tally) {
                Turn::Unfinished => {}
                turn @ (Turn::Waits | Turn::Begins | Turn::Rests(_) | Turn::Ended | Turn::Failed(_)) => {
                    return turn;
                }
            }
        }
        Turn::Unfinished
    }

    /// A rest is over: a slow reader reads a little, the others speak.
    pub(super) fn rested(&mut self, room: &mut [u8], tally: &mut Tally) -> Turn {
        let Some(rest) = self.session.pace() else {
            let next = self.session.rested(Instant::now());
            return self.follow(next);
        };
        match self.read(&mut room[..CRAWL_ROOM], tally) {
            Turn::Waits | Turn::Unfinished => Turn::Rests(rest),
            turn @ (Turn::Begins | Turn::Rests(_) | Turn::Ended | Turn::Failed(_)) => turn,
        }
    }

    /// Reads once; unfinished, where there may be more.
    fn read(&mut self, room: &mut [u8], tally: &mut Tally) -> Turn {
        let taking = self.session.taking();
        let count = loop {
            let read = match taking {
                Taking::Read => self.stream.read(room),
                Taking::ReadFew => self.stream.read(&mut room[..FEW]),
                Taking::Skip(most) => {
                    let most = most.min(room.len());
                    // The kernel throws them away (tcp(7), MSG_TRUNC).
                    recv(&self.stream, &mut room[..most], RecvFlags::TRUNC)
                        .map(|(_, count)| count)
                        .map_err(Into::into)
                }
            };
            match read {
                Ok(0) => return Turn::Failed("closed by the server".to_owned()),
                Ok(count) => break count,
                // While it connects there is nothing to read either.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Turn::Waits;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Turn::Failed(format!("read: {error}")),
            }
        };
        if let Taking::Skip(_) = taking {
            self.session.skip(count, tally);
            return Turn::Unfinished;
        }
        match self.feed(&room[..count], tally) {
            Turn::Waits | Turn::Unfinished => Turn::Unfinished,
            turn @ (Turn::Begins | Turn::Rests(_) | Turn::Ended | Turn::Failed(_)) => turn,
        }
    }

    /// Does what the session wants.
    pub(super) fn follow(&mut self, next: Next) -> Turn {
        match next {
            Next::Hear => Turn::Waits,
            Next::Say(line) => {
                self.outbound.extend_from_slice(line.as_bytes());
                match (self.write(), self.session.pace()) {
                    (Err(error), _) => Turn::Failed(format!("write: {error}")),
                    (Ok(()), Some(rest)) => Turn::Rests(rest),
                    (Ok(()), None) => Turn::Waits,
                }
            }
            Next::Begin => Turn::Begins,
            Next::Rest(rest) => Turn::Rests(rest),
            Next::Ended => Turn::Ended,
        }
    }

    fn feed(&mut self, mut octets: &[u8], tally: &mut Tally) -> Turn {
        let now = Instant::now();
        let mut turn = Turn::Waits;
        while !octets.is_empty() {
            let (taken, next) = match self.session.handle_input(octets, now, tally) {
                Ok(step) => step,
                Err(fault) => return Turn::Failed(fault.to_string()),
            };
            octets = &octets[taken..];
            turn = self.follow(next);
            if matches!(turn, Turn::Ended | Turn::Failed(_)) {
                break;
            }
        }
        turn
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.outbound.is_empty() {
            match self.stream.write(&self.outbound) {
                Ok(count) => drop(self.outbound.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Where the connection of a user comes from who rests for long.
fn source(user: u32) -> Ipv4Addr {
    let [.., group] = (user / USERS_PER_SOURCE).to_be_bytes();
    Ipv4Addr::new(127, 0, 1, group)
}

/// Begins a connection from an address of the loopback interface.
fn connect_from(source: Ipv4Addr, server: SocketAddrV4) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    match connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from_std(socket.into())),
        Err(error) => Err(error.into()),
    }
}

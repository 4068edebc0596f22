//! A socket and the session that speaks through it, a turn at a time.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::loopback::Loopback;
use crate::session::{Common, Next, Session};
use crate::tally::Tally;

/// Reads in one turn, so that a fast download does not keep the others waiting.
const READS_PER_TURN: usize = 4;

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
        let mut stream = TcpStream::connect(server.address())?;
        stream.set_nodelay(true)?;
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
        for _ in 0..READS_PER_TURN {
            let count = match self.stream.read(room) {
                Ok(0) => return Turn::Failed("closed by the server".to_owned()),
                Ok(count) => count,
                // While it connects there is nothing to read either.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Turn::Waits;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Turn::Failed(format!("read: {error}")),
            };
            match self.feed(&room[..count], tally) {
                Turn::Waits | Turn::Unfinished => {}
                turn @ (Turn::Begins | Turn::Rests(_) | Turn::Ended | Turn::Failed(_)) => return turn,
            }
        }
        Turn::Unfinished
    }

    /// Does what the session wants.
    pub(super) fn follow(&mut self, next: Next) -> Turn {
        match next {
            Next::Hear => Turn::Waits,
            Next::Say(line) => {
                self.outbound.extend_from_slice(line.as_bytes());
                self.write().map_or_else(|error| Turn::Failed(format!("write: {error}")), |()| Turn::Waits)
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

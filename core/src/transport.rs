//! The way to the client: a socket, and the TLS that is on it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::server::ServerConfig;

use crate::socket;
use crate::tls::Channel;

/// The way to one client.
pub(crate) enum Transport {
    /// A connected socket, and TLS on it.
    Socket(TcpStream, Option<Box<Channel>>),
    /// What a test says, and hears.
    #[cfg(test)]
    Scripted(tests::Script),
}

impl Transport {
    /// Takes a socket that was accepted, and has its events told.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(crate) fn new(mut stream: TcpStream, registry: &Registry, token: Token) -> io::Result<Self> {
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        registry.register(&mut stream, token, interest)?;
        Ok(Self::Socket(stream, None))
    }

    /// Begins TLS: what comes from the socket from here on is TLS, or the end of the connection.
    ///
    /// # Errors
    /// Where there is TLS already, or none can be.
    pub(crate) fn start_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        match self {
            Self::Socket(_, tls @ None) => {
                *tls = Some(Box::new(Channel::new(config).map_err(io::Error::other)?));
                Ok(())
            }
            Self::Socket(_, Some(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            #[cfg(test)]
            Self::Scripted(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The TLS that there is, or is to be once its handshake is over.
    pub(crate) fn tls(&self) -> Option<&Channel> {
        match self {
            Self::Socket(_, tls) => tls.as_deref(),
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Whether nothing may be read or written before a handshake is over.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls().is_some_and(Channel::is_handshaking)
    }

    /// Goes on with the handshake, where there is one; returns once it is over.
    ///
    /// # Errors
    /// As [`Channel::handshake`].
    pub(crate) fn handshake(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream, Some(tls)) => tls.handshake(stream),
            Self::Socket(_, None) => Ok(()),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }

    /// Says by TLS, where there is any, that what was written is all there is: never in the middle of a message.
    ///
    /// # Errors
    /// Those of the socket; after `WouldBlock` another call goes on.
    pub(crate) fn close_notify(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream, Some(tls)) => tls.close_notify(stream),
            Self::Socket(_, None) => Ok(()),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }

    /// Reads what is of no interest any more, as it comes from the socket.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn discard(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream, _) => stream.read(room),
            #[cfg(test)]
            Self::Scripted(script) => script.read(room),
        }
    }

    /// Sends octets of a file as they stand, from `offset` on; returns how many. 0: the file ends there.
    ///
    /// # Errors
    /// Those of the socket, `WouldBlock` included, and those of reading the file.
    pub(crate) fn send_file(&mut self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        match self {
            Self::Socket(stream, Some(tls)) => tls.send_file(stream, file, offset, count),
            Self::Socket(stream, None) => {
                let mut offset = offset;
                Ok(rustix::fs::sendfile(stream, file, Some(&mut offset), count)?)
            }
            #[cfg(test)]
            Self::Scripted(script) => script.send_file(file, offset, count),
        }
    }

    /// Octets that the kernel took since the last call, of which `written` were told to be written: TLS tells of a write once
    /// all of it was taken, which from a slow reader may be minutes later. It counts them as they are once encrypted.
    pub(crate) fn take_handed(&mut self, written: usize) -> usize {
        match self {
            Self::Socket(_, Some(tls)) => tls.take_handed(),
            Self::Socket(_, None) => written,
            #[cfg(test)]
            Self::Scripted(script) => script.take_handed(written),
        }
    }

    /// Whether a read of less than there was room for has taken all that the kernel had, so that an event announces what
    /// comes next, and another read would only find nothing. Not where an octet was sent as urgent: a read ends before it.
    pub(crate) fn is_drained_by_less(&self) -> bool {
        match self {
            Self::Socket(_, tls) => tls.is_none(),
            #[cfg(test)]
            Self::Scripted(_) => false,
        }
    }

    /// Has the kernel acknowledge now what was read. It waits up to 40 ms for an answer to send along, and a client that
    /// writes a command in pieces (Nagle's algorithm, RFC 896) holds the next piece back for as long.
    pub(crate) fn acknowledge(&self) {
        match self {
            // What fails here costs time only.
            Self::Socket(stream, _) => drop(rustix::net::sockopt::set_tcp_quickack(stream, true)),
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }

    /// Ends our half after what was written; the client can still read it.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream, _) => stream.shutdown(Shutdown::Write),
            #[cfg(test)]
            Self::Scripted(script) => script.finish(),
        }
    }

    /// Has the end of this connection be a reset: the client must not take what it got for the whole.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream, _) => socket::reset_on_close(stream),
            #[cfg(test)]
            Self::Scripted(script) => script.reset(),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream, Some(tls)) => tls.read(stream, room),
            Self::Socket(stream, None) => stream.read(room),
            #[cfg(test)]
            Self::Scripted(script) => script.read(room),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream, Some(tls)) => tls.write(stream, octets),
            Self::Socket(stream, None) => stream.write(octets),
            #[cfg(test)]
            Self::Scripted(script) => script.write(octets),
        }
    }

    /// Writes what TLS has of its own to say.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream, Some(tls)) => tls.flush(stream),
            Self::Socket(_, None) => Ok(()),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::mem;
    use std::os::unix::fs::FileExt;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Octets of a file that are written at once where a write is told as a whole.
    const WHOLE: usize = 64 * 1024;

    /// A client that says what it was told to, in pieces, and takes little at a time.
    #[derive(Default)]
    pub(crate) struct Script {
        pub(crate) says: Vec<u8>,
        /// Octets in one read or write; every second call would block. 0: takes nothing.
        pub(crate) piece: usize,
        /// Whether no read blocks while there is something to say.
        pub(crate) never_pauses: bool,
        /// Whether the client ends its half when it has said all.
        pub(crate) ends: bool,
        /// How many octets it takes; none: all.
        pub(crate) takes: Option<usize>,
        /// Whether a write is told, as by TLS, once all of it was taken.
        pub(crate) in_wholes: bool,
        /// Octets that were taken of such a write.
        pub(crate) begun: usize,
        /// Octets that were taken since somebody asked.
        pub(crate) handed: usize,
        /// Whether it has gone: what is written meets a reset.
        pub(crate) is_gone: bool,
        /// Whether files cannot be read from this offset on.
        pub(crate) fails_at: Option<u64>,
        pub(crate) reads: usize,
        pub(crate) writes: usize,
        pub(crate) heard: Arc<Mutex<Heard>>,
    }

    /// What the client got.
    #[derive(Default)]
    pub(crate) struct Heard {
        pub(crate) octets: Vec<u8>,
        pub(crate) is_finished: bool,
        pub(crate) is_reset: bool,
    }

    impl Script {
        pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            if self.says.is_empty() && self.ends {
                return Ok(0);
            }
            let pauses = self.reads.is_multiple_of(2) && !self.never_pauses;
            if pauses || self.says.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = self.says.len().min(self.piece).min(room.len());
            room[..count].copy_from_slice(&self.says[..count]);
            self.says.drain(..count);
            Ok(count)
        }

        pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            if self.is_gone {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let heard = self.heard.lock().unwrap().octets.len();
            if self.writes.is_multiple_of(2)
                || self.piece == 0
                || self.takes.is_some_and(|takes| heard >= takes)
            {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let rest = &octets[self.begun..];
            let count = rest.len().min(self.piece);
            self.heard.lock().unwrap().octets.extend_from_slice(&rest[..count]);
            if !self.in_wholes {
                return Ok(count);
            }
            self.begun += count;
            self.handed += count;
            if self.begun < octets.len() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(mem::take(&mut self.begun))
        }

        pub(crate) fn take_handed(&mut self, written: usize) -> usize {
            if self.in_wholes { mem::take(&mut self.handed) } else { written }
        }

        pub(crate) fn send_file(&mut self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
            if self.fails_at.is_some_and(|at| offset >= at) {
                return Err(io::Error::other("as told"));
            }
            let most = if self.in_wholes { WHOLE } else { self.piece.max(1) };
            let mut octets = vec![0; count.min(most)];
            let count = file.read_at(&mut octets, offset)?;
            if count == 0 { Ok(0) } else { self.write(&octets[..count]) }
        }

        pub(crate) fn finish(&mut self) -> io::Result<()> {
            self.heard.lock().unwrap().is_finished = true;
            Ok(())
        }

        pub(crate) fn reset(&mut self) -> io::Result<()> {
            self.heard.lock().unwrap().is_reset = true;
            Ok(())
        }
    }
}

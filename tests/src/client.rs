//! A client that says octets and hears octets, and knows how a connection ended.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::tls::Wire;
use crate::{PATIENCE, wait_until};

/// One connection.
pub struct Client {
    reader: BufReader<Wire>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// By a FIN: what came before is all there is.
    Closed,
    /// By a reset: something is missing.
    Reset,
    /// In TLS, by a FIN without close_notify, or by an alert: something may be missing.
    Torn,
}

impl Client {
    /// Connects, and hears nothing yet.
    #[must_use]
    pub fn silent(address: SocketAddr) -> Self {
        assert!(address.ip().is_loopback(), "tests talk to this machine only");
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(Wire::Plain(stream)) }
    }

    /// Connects where TLS comes first, and hears the greeting.
    #[must_use]
    pub fn connect_tls(address: SocketAddr) -> Self {
        let mut client = Self::silent(address);
        client.starts_tls();
        client.hears("+OK");
        client
    }

    /// Does a TLS handshake.
    pub fn starts_tls(&mut self) -> &mut Self {
        assert!(self.reader.buffer().is_empty(), "heard before TLS: {}", self.reader.buffer().escape_ascii());
        self.reader.get_mut().start_tls().unwrap();
        self
    }

    /// Waits longer than ever for what takes long by itself.
    pub fn waits_for(&mut self, patience: Duration) -> &mut Self {
        self.reader.get_mut().socket().set_read_timeout(Some(patience)).unwrap();
        self
    }

    /// What it speaks through.
    pub fn wire(&mut self) -> &mut Wire {
        self.reader.get_mut()
    }

    /// Connects and hears the greeting.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let mut client = Self::silent(address);
        client.hears("+OK");
        client
    }

    /// Connects and logs in.
    #[must_use]
    pub fn login(address: SocketAddr, user: &str) -> Self {
        let mut client = Self::connect(address);
        client.says(&format!("USER {user}")).hears("+OK");
        client.says("PASS pass").hears("+OK");
        client
    }

    /// Connects and tries to log in: the reply to PASS.
    #[must_use]
    pub fn tries(address: SocketAddr, user: &str, password: &str) -> String {
        let mut client = Self::connect(address);
        client.says(&format!("USER {user}")).hears("+OK");
        client.says(&format!("PASS {password}")).line()
    }

    /// Connects and logs in, once the session before, whose end the server may not know of yet, has ended.
    #[must_use]
    pub fn login_when_free(address: SocketAddr, user: &str) -> Self {
        let mut free = None;
        wait_until("the maildrop is free", || {
            // A connection of its own each time: after some refusals the server hangs up.
            let mut client = Self::connect(address);
            client.says(&format!("USER {user}")).hears("+OK");
            let reply = client.says("PASS pass").line();
            assert!(reply.starts_with("+OK") || reply.starts_with("-ERR [IN-USE]"), "{reply}");
            free = reply.starts_with("+OK").then_some(client);
            free.is_some()
        });
        free.unwrap()
    }

    /// Says a line.
    pub fn says(&mut self, line: &str) -> &mut Self {
        self.sends(format!("{line}\r\n").as_bytes())
    }

    /// Sends octets as they are.
    pub fn sends(&mut self, octets: &[u8]) -> &mut Self {
        self.try_send(octets).unwrap();
        self
    }

    /// Sends octets as far as the server takes them.
    ///
    /// # Errors
    /// Where it takes no more.
    pub fn try_send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(octets)
    }

    /// Ends our half of the connection.
    pub fn ends(&mut self) -> &mut Self {
        self.shuts(Shutdown::Write);
        self
    }

    /// Ends one half of the connection, or both.
    pub fn shuts(&mut self, half: Shutdown) {
        self.reader.get_ref().socket().shutdown(half).unwrap();
    }

    /// Hears a line that begins so; returns it without its CRLF.
    pub fn hears(&mut self, beginning: &str) -> String {
        let line = self.line();
        assert!(line.starts_with(beginning), "heard {line:?}, expected {beginning:?}");
        line
    }

    /// Hears a line, without its CRLF.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        let line = line.strip_suffix(b"\r\n").unwrap_or_else(|| panic!("no line: {:?}", line.escape_ascii()));
        String::from_utf8(line.to_vec()).unwrap()
    }

    /// Hears the lines of a multi-line response up to its termination octet, unstuffed, with their line ends.
    ///
    /// # Errors
    /// Where the connection ends before.
    pub fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let start = body.len();
            if self.reader.read_until(b'\n', &mut body)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = &body[start..];
            assert!(line.ends_with(b"\r\n"), "a line that ends in LF alone");
            if line == b".\r\n" {
                body.truncate(start);
                return Ok(body);
            }
            if line[0] == b'.' {
                body.remove(start);
            }
        }
    }

    /// Hears all there is; how it ended.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => (rest, End::Closed),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => (rest, End::Reset),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) =>
            {
                (rest, End::Torn)
            }
            Err(error) => panic!("heard {} octets, then: {error}", rest.len()),
        }
    }

    /// Hears the lines of a multi-line response up to its termination octet, as `body`; or where the connection is
    /// reset before, what came, as it is, and how it ended.
    pub fn rest_or_body(&mut self) -> (Vec<u8>, Option<End>) {
        let mut heard = Vec::new();
        let mut body = Vec::new();
        loop {
            let start = heard.len();
            match self.reader.read_until(b'\n', &mut heard) {
                Ok(0) => return (heard, Some(End::Closed)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return (heard, Some(End::Reset));
                }
                Err(error) => panic!("heard {} octets, then: {error}", heard.len()),
            }
            let line = &heard[start..];
            if line == b".\r\n" {
                return (body, None);
            }
            if line.ends_with(b"\n") {
                body.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            }
        }
    }

    /// Hears so many octets as they are.
    pub fn takes(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.reader.read_exact(&mut octets).unwrap();
        octets
    }

    /// Hears up to `room.len()` octets as they are; 0: the end.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.reader.read(room)
    }
}

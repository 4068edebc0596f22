//! An administrator: says PEEP's commands and hears its replies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::{PATIENCE, Server};

/// One connection by PEEP.
pub struct Admin {
    reader: BufReader<Box<dyn Connection>>,
}

trait Connection: Read + Write + Send {}

impl<T: Read + Write + Send> Connection for T {}

impl Admin {
    /// Connects by TCP, and is nobody yet.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        assert!(address.ip().is_loopback(), "tests talk to this machine only");
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(Box::new(stream)) }
    }

    /// Connects by a Unix socket: the kernel tells who this is.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(Box::new(stream)) }
    }

    /// The administrator at the socket in the server's state folder.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        Self::at(&server.state().join("peep.sock"))
    }

    /// Says a command.
    pub fn says(&mut self, command: &str) -> &mut Self {
        self.sends(format!("{command}\r\n").as_bytes())
    }

    /// Sends octets as they are.
    pub fn sends(&mut self, octets: &[u8]) -> &mut Self {
        self.reader.get_mut().write_all(octets).unwrap();
        self
    }

    /// Hears a line, without its CRLF.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        assert!(line.len() <= 512, "a line of {} octets", line.len());
        let line = line.strip_suffix(b"\r\n").unwrap_or_else(|| panic!("no line: {:?}", line.escape_ascii()));
        String::from_utf8(line.to_vec()).unwrap()
    }

    /// Hears this line.
    pub fn hears(&mut self, expected: &str) -> &mut Self {
        assert_eq!(self.line(), expected);
        self
    }

    /// Says a command and hears the number that it is answered with.
    pub fn number(&mut self, command: &str) -> u64 {
        let line = self.says(command).line();
        line.strip_prefix('+')
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("{command}: {line}"))
    }

    /// Says a command and hears the lines that it is answered with.
    pub fn lines(&mut self, command: &str) -> Vec<String> {
        let count = self.number(command);
        (0..count).map(|_| self.line()).collect()
    }

    /// The value of a line that begins with this key and a space, among those of a command.
    pub fn value(&mut self, command: &str, key: &str) -> u64 {
        let lines = self.lines(command);
        let value = lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("{command}: no {key} in {lines:?}"))
    }

    /// Hears that the server has closed.
    pub fn hears_the_end(&mut self) {
        let mut rest = Vec::new();
        // A reset ends it too.
        let _ = self.reader.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

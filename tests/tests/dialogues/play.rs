//! Plays a dialogue: says what the client says, and compares what the server says.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::form::{Dialogue, Heard, PEEP, Step};
use super::maildrop::Maildrop;
use super::md5;
use super::text::{Names, Text, shown};
use pop3d_tests::tls::Wire;

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may be so after a failure.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longest reply, CRLF included (RFC 1939, section 3).
const REPLY_MAX: usize = 512;

/// A user, and where they are served.
pub(crate) struct Account<'a> {
    pub(crate) address: SocketAddr,
    /// Where administrators are served.
    pub(crate) peep: Option<SocketAddr>,
    pub(crate) administrator: (&'a str, &'a str),
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

/// Plays a dialogue; an error names the line, what was expected there and what was heard.
pub(crate) fn play(
    dialogue: &Dialogue,
    account: &Account<'_>,
    maildrop: &mut Maildrop,
) -> Result<(), String> {
    let names = Names::from([
        ("user".to_owned(), account.user.as_bytes().to_vec()),
        ("pass".to_owned(), account.password.as_bytes().to_vec()),
        ("admin".to_owned(), account.administrator.0.as_bytes().to_vec()),
        ("adminpass".to_owned(), account.administrator.1.as_bytes().to_vec()),
    ]);
    let mut player = Player { account, maildrop, names, connections: BTreeMap::new() };
    let result = player.play(dialogue);
    if result.is_err() {
        player.abandon();
    }
    result
}

struct Player<'a> {
    account: &'a Account<'a>,
    maildrop: &'a mut Maildrop,
    names: Names,
    connections: BTreeMap<usize, Connection>,
}

struct Connection {
    stream: BufReader<Wire>,
    /// What goes out together with the line that comes next.
    held: Vec<u8>,
    is_at_end: bool,
}

impl Player<'_> {
    fn play(&mut self, dialogue: &Dialogue) -> Result<(), String> {
        let name = &dialogue.name;
        if dialogue.in_transaction {
            self.log_in().map_err(|wrong| format!("{name}:1: before the first step: {wrong}"))?;
        }
        if dialogue.is_authenticated {
            self.authenticate().map_err(|wrong| format!("{name}:1: before the first step: {wrong}"))?;
        }
        let mut last = 1;
        for (at, step) in &dialogue.steps {
            last = *at;
            self.step(step).map_err(|wrong| format!("{name}:{at}: {wrong}"))?;
        }
        self.end().map_err(|wrong| format!("{name}:{last}: at the end: {wrong}"))
    }

    /// Hangs up after a failure, and waits until the server has done so too: the maildrop is needed again.
    fn abandon(&mut self) {
        for connection in self.connections.values_mut() {
            let stream = connection.stream.get_ref().socket();
            let is_open =
                stream.set_read_timeout(Some(FAREWELL)).is_ok() && stream.shutdown(Shutdown::Write).is_ok();
            if is_open {
                // Whatever comes, it ends.
                let _ = io::copy(&mut connection.stream, &mut io::sink());
            }
        }
    }

    fn log_in(&mut self) -> Result<(), String> {
        let said = ["", "USER {user}\\r\\n", "PASS {pass}\\r\\n"];
        for line in said {
            let octets = Text::parse(line)?.fill(&self.names)?;
            let connection = self.connection(1)?;
            connection.say(&octets)?;
            connection.status("+OK")?;
        }
        Ok(())
    }

    fn authenticate(&mut self) -> Result<(), String> {
        let octets = Text::parse("a {admin} {adminpass}\\r\\n")?.fill(&self.names)?;
        let connection = self.connection(PEEP + 1)?;
        connection.say(&octets)?;
        match connection.line()?.as_slice() {
            b"+" => Ok(()),
            line => Err(format!("expected +, heard {}", shown(line))),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Say { connection, octets, is_held } => {
                let octets = octets.fill(&self.names)?;
                let connection = self.connection(*connection)?;
                connection.held.extend(octets);
                if !is_held {
                    let together = std::mem::take(&mut connection.held);
                    connection.say(&together)?;
                }
            }
            Step::Hear { connection, heard } => self.hear(*connection, heard)?,
            Step::Close(connection) => {
                self.connection(*connection)?;
                self.connections.remove(connection);
            }
            Step::HalfClose(connection) => {
                let stream = self.connection(*connection)?.stream.get_ref().socket();
                stream.shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
            }
            Step::StartTls(connection) => {
                let stream = &mut self.connection(*connection)?.stream;
                if !stream.buffer().is_empty() {
                    return Err(format!("heard {} before TLS", shown(stream.buffer())));
                }
                stream.get_mut().start_tls().map_err(|error| format!("no TLS: {error}"))?;
            }
            Step::Deliver(octets) => {
                self.maildrop.deliver(octets, None).map_err(|error| error.to_string())?;
            }
            Step::Remove(number) => self.maildrop.remove(*number).map_err(|error| error.to_string())?,
            Step::Obstruct(number) => self.maildrop.obstruct(*number).map_err(|error| error.to_string())?,
            Step::Shorten(number, octets) => {
                self.maildrop.shorten(*number, *octets).map_err(|error| error.to_string())?;
            }
            Step::After(expected) => {
                let remaining = self.maildrop.remaining();
                if remaining != *expected {
                    return Err(format!(
                        "expected messages {expected:?} in the maildrop, there are {remaining:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, number: usize, heard: &Heard) -> Result<(), String> {
        self.connection(number)?;
        let names = &mut self.names;
        let connection = self.connections.get_mut(&number).ok_or("no connection")?;
        match heard {
            Heard::Status(status) => {
                let line = connection.status(status)?;
                if let Some(timestamp) = timestamp(&line) {
                    let secret = [timestamp, self.account.password.as_bytes()].concat();
                    names.entry("digest".to_owned()).or_insert_with(|| md5::digest(&secret).into_bytes());
                }
            }
            Heard::Line(expected) => {
                let line = connection.line()?;
                if !expected.matches(&line, names) {
                    return Err(format!("expected {expected}, heard {}", shown(&line)));
                }
                if (line.starts_with(b"+OK") || line.starts_with(b"-ERR")) && line.len() + 2 > REPLY_MAX {
                    return Err(format!("a reply of {} octets", line.len() + 2));
                }
            }
            Heard::Octets(expected) => {
                let expected = expected.fill(names)?;
                let octets = connection.octets(expected.len());
                if octets != expected {
                    return Err(format!("expected {}, heard {}", shown(&expected), shown(&octets)));
                }
            }
            Heard::Among { wanted, unwanted } => {
                let lines = connection.lines()?;
                for wanted in wanted {
                    if !lines.iter().any(|line| wanted.matches(line, names)) {
                        return Err(format!("{wanted} is missing in {}", shown(&lines.join(&b"\r\n"[..]))));
                    }
                }
                for line in &lines {
                    if unwanted.iter().any(|unwanted| unwanted.matches(line, names)) {
                        return Err(format!("{} should not be there", shown(line)));
                    }
                }
            }
            Heard::Closed => connection.closed()?,
            Heard::Reset => connection.reset()?,
        }
        Ok(())
    }

    /// The connection of that number, opened when it is first needed.
    fn connection(&mut self, number: usize) -> Result<&mut Connection, String> {
        if !self.connections.contains_key(&number) {
            let address = if number > PEEP { self.account.peep } else { Some(self.account.address) };
            let address = address.ok_or("the server has no PEEP: set PEEP_UNDER_TEST")?;
            let connection = Connection::open(address).map_err(|error| error.to_string())?;
            self.connections.insert(number, connection);
        }
        self.connections.get_mut(&number).ok_or_else(|| "no connection".to_owned())
    }

    /// Hangs up, and sees to it that nothing was said that nobody expected.
    fn end(&mut self) -> Result<(), String> {
        for connection in self.connections.values_mut().filter(|connection| !connection.is_at_end) {
            // The server may have hung up already.
            let _ = connection.stream.get_ref().socket().shutdown(Shutdown::Write);
            let mut rest = Vec::new();
            match connection.stream.read_to_end(&mut rest) {
                Ok(_) if rest.is_empty() => {}
                Ok(_) => return Err(format!("heard {} besides", shown(&rest))),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(format!("the connection is not closed: {error}")),
            }
        }
        Ok(())
    }
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(Wire::Plain(stream)), held: Vec::new(), is_at_end: false })
    }

    fn say(&mut self, octets: &[u8]) -> Result<(), String> {
        self.stream.get_mut().write_all(octets).map_err(|error| format!("cannot be said: {error}"))
    }

    /// A line, which ends in CRLF; that is left out.
    fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        let result = self.stream.read_until(b'\n', &mut line);
        if let Err(error) = result {
            return Err(format!("heard {} and then no more: {error}", shown(&line)));
        }
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(line.to_vec()),
            None => Err(format!("expected a line that ends in CRLF, heard {}", shown(&line))),
        }
    }

    /// A line with this status indicator, and of no more than the octets that are allowed.
    fn status(&mut self, status: &str) -> Result<Vec<u8>, String> {
        let line = self.line()?;
        match line.strip_prefix(status.as_bytes()) {
            Some([] | [b' ', ..]) if line.len() + 2 <= REPLY_MAX => Ok(line),
            _ => Err(format!("expected {status}, heard {}", shown(&line))),
        }
    }

    /// The lines up to the termination octet.
    fn lines(&mut self) -> Result<Vec<Vec<u8>>, String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line == b"." {
                return Ok(lines);
            }
            lines.push(line);
        }
    }

    /// So many octets, or as many as there are.
    fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = Vec::new();
        // What was heard before an error is what counts; it is too little then.
        let _ = self.stream.by_ref().take(count as u64).read_to_end(&mut octets);
        octets
    }

    /// The server hangs up, and says nothing before.
    fn closed(&mut self) -> Result<(), String> {
        let mut rest = Vec::new();
        self.is_at_end = true;
        match self.stream.read_to_end(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(format!("expected the end, heard {}", shown(&rest))),
            Err(error) => Err(format!("expected the end, heard {}: {error}", shown(&rest))),
        }
    }

    /// The server resets the connection, and does not end a multi-line response before.
    fn reset(&mut self) -> Result<(), String> {
        let mut rest = Vec::new();
        self.is_at_end = true;
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => return Err(format!("expected a reset: {error}")),
            Ok(_) => return Err(format!("expected a reset, heard {} and the end", shown(&rest))),
        }
        if rest.ends_with(b"\r\n.\r\n") {
            return Err("a termination octet before the reset".to_owned());
        }
        Ok(())
    }
}

/// The timestamp of a greeting, its brackets included (RFC 1939, section 7).
fn timestamp(greeting: &[u8]) -> Option<&[u8]> {
    let start = greeting.iter().position(|&octet| octet == b'<')?;
    let end = greeting.iter().position(|&octet| octet == b'>')?;
    greeting.get(start..=end)
}

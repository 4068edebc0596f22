//! The connection to a server: blocking sockets around the client's half of the protocol. Connects, logs in, asks.
//!
//! Every wait has a bound. An error is a sentence that says what to do, with its exit status.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use pop3d_protocol::peep::{Client, Failure, Reply, Request};
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::tls::{Tls, TlsStream, explain};

/// The longest wait for each address of a server to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The longest silence of a server that has been asked.
const REPLY_LIMIT: Duration = Duration::from_secs(60);

/// Requests sent before their replies are read. Few enough that neither side ever waits for the other to read.
const PIPELINE_MAX: usize = 16;

/// The port where none is given.
pub(crate) const DEFAULT_PORT: u16 = 2110;

/// The same in TLS.
pub(crate) const DEFAULT_TLS_PORT: u16 = 2995;

/// How an alert of TLS begins (RFC 8446, section 5.1): the answer to a client that speaks in the clear.
const TLS_ALERT: u8 = 0x15;

/// What a command came to.
pub(crate) type Outcome = Result<Reply, Failure>;

/// Where a server listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// A name or an address, and a port; in TLS or in the clear.
    Tcp { host: String, port: u16, tls: Option<Tls> },
    /// A Unix socket, where the kernel says who the administrator is.
    Socket(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(formatter, "{host}:{port}"),
            Self::Socket(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// An administrator. `Debug` shows no password.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A connection whose administrator the server has taken.
pub(crate) struct Link {
    stream: Stream,
    client: Client,
    target: Target,
    /// Whether the server has said nothing, or an alert of TLS.
    is_unheard: bool,
    capabilities: Vec<String>,
}

enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Unix(UnixStream),
}

impl Link {
    /// Connects, logs in where there are credentials, and asks what the server can do.
    pub(crate) fn open(target: &Target, credentials: Option<&Credentials>) -> Result<Self, Exit> {
        let mut requests = Vec::new();
        if let Some(Credentials { user, password }) = credentials {
            let login = Request::new("a", &[user.as_bytes(), password.as_bytes()]);
            requests.push(login.map_err(|error| Exit::Usage(format!("user and password: {error}")))?);
        }
        // In the same breath: a server of another protocol may greet with a "+", but not twice.
        requests.push(known("cap?"));
        let stream = connect(target)?;
        let (client, target_told) = (Client::new(), target.clone());
        let mut link =
            Self { stream, client, target: target_told, is_unheard: true, capabilities: Vec::new() };
        let mut outcomes = Vec::new();
        let asked = link.ask_all(&requests, &mut outcomes);
        let mut outcomes = outcomes.into_iter();
        // Before what became of the connection: a server may close it once it has refused.
        if let Some(Err(failure)) = credentials.and_then(|_| outcomes.next()) {
            return Err(login_refused(target, failure));
        }
        asked?;
        if let Some(Ok(Reply::Lines(lines))) = outcomes.next() {
            link.capabilities = lines;
        }
        Ok(link)
    }

    /// Where it leads.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the server lists a command of part 2 of the protocol.
    pub(crate) fn knows(&self, commencement: &str) -> bool {
        self.capabilities.iter().any(|line| line == commencement)
    }

    /// The range of a command that takes a number, as the server tells it.
    pub(crate) fn range(&self, commencement: &str) -> Option<&str> {
        self.capabilities
            .iter()
            .find_map(|line| line.strip_prefix(commencement))
            .filter(|range| !range.is_empty())
    }

    /// Asks one thing.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Outcome, Exit> {
        let mut outcomes = Vec::new();
        self.ask_all(std::slice::from_ref(request), &mut outcomes)?;
        outcomes.pop().ok_or_else(|| self.lost("it gave no reply"))
    }

    /// Asks several things without waiting in between. The outcomes are in their order; where the connection is lost,
    /// those that came before.
    pub(crate) fn ask_all<'request>(
        &mut self,
        requests: impl IntoIterator<Item = &'request Request>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Exit> {
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            for request in requests.by_ref().take(PIPELINE_MAX) {
                self.client.ask(request);
            }
            self.write()?;
            self.read(outcomes)?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Exit> {
        let mut room = Zeroizing::new([0; 4096]);
        loop {
            let count = self.client.poll_output(&mut room[..]);
            if count == 0 {
                return Ok(());
            }
            let Some(octets) = room.get(..count) else { return Ok(()) };
            let written = match &mut self.stream {
                Stream::Tcp(stream) => stream.write_all(octets),
                Stream::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
                Stream::Unix(stream) => stream.write_all(octets),
            };
            // A server that refuses and closes at once may have said why.
            if let Err(error) = written
                && !is_closed(&error)
            {
                return Err(self.lost(&reason(&error)));
            }
        }
    }

    /// Reads until everything asked is answered.
    fn read(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), Exit> {
        let mut room = [0; 16 * 1024];
        while self.client.awaited() > 0 {
            let count = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut room),
                Stream::Tls(stream) => stream.read(&mut room),
                Stream::Unix(stream) => stream.read(&mut room),
            };
            let count = match count {
                Ok(0) => return Err(self.closed()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_closed(&error) => return Err(self.closed()),
                Err(error) => {
                    let explained = explain(&error, &self.target.to_string(), "");
                    return Err(explained.unwrap_or_else(|| self.lost(&reason(&error))));
                }
            };
            let octets = room.get(..count).unwrap_or_default();
            self.is_unheard &= octets.first() == Some(&TLS_ALERT);
            self.client.handle_input(octets).map_err(|error| {
                let target = &self.target;
                Exit::NotPeep(format!(
                    "{target} is no PEEP server: {error}; check address and port (PEEP has port \
                     {DEFAULT_PORT} by default)"
                ))
            })?;
            while let Some(outcome) = self.client.poll_reply() {
                outcomes.push(outcome);
            }
        }
        Ok(())
    }

    /// What it is that the server has ended the connection.
    fn closed(&self) -> Exit {
        // So does one that waits for TLS, once it hears anything else.
        if self.is_unheard && matches!(self.stream, Stream::Tcp(_)) {
            return self.lost("the server closed it without a word; where it speaks TLS, use --tls");
        }
        self.lost("the server closed it")
    }

    fn lost(&self, why: &str) -> Exit {
        let target = &self.target;
        Exit::Lost(format!(
            "the connection to {target} is lost: {why}; what was asked last may have been done or not, so \
             look before you repeat it"
        ))
    }
}

/// A command of the table without arguments.
pub(crate) fn known(commencement: &str) -> Request {
    Request::new(commencement, &[]).expect("commands without arguments are in the table")
}

fn login_refused(target: &Target, failure: Failure) -> Exit {
    let said = match failure {
        Failure::WrongCredentials => {
            format!("{target} does not take this administrator: {failure}; check --user and the password")
        }
        _ => format!("{target} does not take this administrator: {failure}"),
    };
    Exit::NotPermitted(said)
}

fn connect(target: &Target) -> Result<Stream, Exit> {
    let unavailable = |error: &io::Error, advice: &str| {
        Exit::Unavailable(format!("cannot connect to {target}: {}; {advice}", reason(error)))
    };
    match target {
        Target::Tcp { host, port, tls } => {
            let addresses = (host.as_str(), *port).to_socket_addrs().map_err(|error| {
                Exit::NoHost(format!("there is no host \"{host}\": {}; check --address", reason(&error)))
            })?;
            let mut last = None;
            for address in addresses {
                match TcpStream::connect_timeout(&address, CONNECT_LIMIT).and_then(limited) {
                    Ok(stream) => {
                        return match tls {
                            None => Ok(Stream::Tcp(stream)),
                            Some(tls) => tls
                                .connect(stream, host, &target.to_string())
                                .map(|stream| Stream::Tls(Box::new(stream))),
                        };
                    }
                    Err(error) => last = Some(error),
                }
            }
            let Some(error) = last else {
                return Err(Exit::NoHost(format!("\"{host}\" has no address; check --address")));
            };
            Err(unavailable(&error, "check that the server runs and that PEEP is open there"))
        }
        Target::Socket(path) => {
            let connected = UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(REPLY_LIMIT))?;
                stream.set_write_timeout(Some(REPLY_LIMIT))?;
                Ok(Stream::Unix(stream))
            });
            connected.map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Exit::NotPermitted(format!(
                    "{target} is for root and the user of the server; use that user, or --address and --user"
                )),
                _ => unavailable(
                    &error,
                    "check that pop3d runs, or say where: --socket for a Unix socket, --address for a host",
                ),
            })
        }
    }
}

fn limited(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(REPLY_LIMIT))?;
    stream.set_write_timeout(Some(REPLY_LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// What went wrong, in words for people.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        // So a blocking socket says that a time has passed.
        io::ErrorKind::WouldBlock => format!("no reply within {} seconds", REPLY_LIMIT.as_secs()),
        io::ErrorKind::TimedOut => "nobody answers in time".into(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the server closed it".into(),
        io::ErrorKind::NotFound => "there is no such socket".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_told_apart_from_its_port() {
        let target = |host: &str| Target::Tcp { host: host.into(), port: 2110, tls: None }.to_string();
        assert_eq!(target("::1"), "[::1]:2110");
        assert_eq!(target("localhost"), "localhost:2110");
    }

    #[test]
    fn debug_shows_no_password() {
        let credentials = Credentials { user: "root".into(), password: "secret".to_owned().into() };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("root") && !shown.contains("secret"), "{shown}");
    }
}

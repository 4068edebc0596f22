//! Where administrators come in: TCP addresses, with or without TLS, and the Unix socket that is for the owner of the
//! server alone.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use rustls::server::ServerConfig;

use crate::socket;
use crate::tls::Channel;

/// When to try again to accept where there was no descriptor, or something else was wrong.
const AGAIN: Duration = Duration::from_millis(100);

/// A listener for administrators.
pub struct Door {
    listener: Listener,
    may_have_more: bool,
    /// When to try again after an error, of which no event will tell.
    again: Option<Instant>,
    /// Stands behind the listener: while there is a file somebody listens.
    _file: Option<SocketFile>,
}

enum Listener {
    Tcp(TcpListener),
    /// Each connection begins with TLS.
    Tls(TcpListener),
    Unix(UnixListener),
    /// Nobody comes in any more.
    Closed,
}

/// The file of a Unix socket. Dropping it removes the file, unless another server's has taken its place.
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// Why a door cannot be opened.
#[derive(Debug)]
pub struct DoorError {
    /// The address or the path.
    pub place: String,
    /// Why.
    pub cause: io::Error,
}

impl fmt::Display for DoorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot listen on {} for PEEP: {}", self.place, self.cause)
    }
}

impl std::error::Error for DoorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Who came in.
pub(super) enum Entered {
    One(Stream, String),
    /// A user of this machine who may not.
    Stranger(String),
    Nobody,
}

/// The connection of an administrator.
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(TcpStream, Box<Channel>),
    /// The kernel has told who is at the other end.
    Unix(UnixStream),
}

impl Door {
    /// A TCP address; the address with its true port.
    ///
    /// # Errors
    /// Where the address is in use, is not of this machine, or may not be taken.
    pub fn tcp(address: SocketAddr) -> Result<(Self, SocketAddr), DoorError> {
        Self::at(address, Listener::Tcp)
    }

    /// A TCP address where each connection begins with TLS; the address with its true port.
    ///
    /// # Errors
    /// As [`Door::tcp`].
    pub fn tls(address: SocketAddr) -> Result<(Self, SocketAddr), DoorError> {
        Self::at(address, Listener::Tls)
    }

    fn at(address: SocketAddr, kind: fn(TcpListener) -> Listener) -> Result<(Self, SocketAddr), DoorError> {
        let listen = || {
            if address.port() != 0 {
                socket::check_free(address)?;
            }
            let listener = socket::listener(address)?;
            let address = listener.local_addr()?;
            Ok((Self { listener: kind(listener), may_have_more: true, again: None, _file: None }, address))
        };
        listen().map_err(|cause| DoorError { place: address.to_string(), cause })
    }

    /// A Unix socket that only the user of this process and root may use. One that a process left behind is replaced.
    ///
    /// # Errors
    /// Where another process listens there, or the file cannot be made.
    pub fn unix(path: &Path) -> Result<Self, DoorError> {
        let listen = || {
            let (listener, file) = bind(path)?;
            Ok(Self {
                listener: Listener::Unix(listener),
                may_have_more: true,
                again: None,
                _file: Some(file),
            })
        };
        listen().map_err(|cause| DoorError { place: path.display().to_string(), cause })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.listener {
            Listener::Tcp(listener) | Listener::Tls(listener) => {
                listener.register(registry, token, Interest::READABLE)
            }
            Listener::Unix(listener) => listener.register(registry, token, Interest::READABLE),
            Listener::Closed => Ok(()),
        }
    }

    /// Gives up its port for another server. A Unix socket stays: it is replaced by another one's.
    pub(super) fn give_up_port(&mut self) {
        if matches!(self.listener, Listener::Tcp(_) | Listener::Tls(_)) {
            self.listener = Listener::Closed;
            self.may_have_more = false;
            self.again = None;
        }
    }

    pub(super) fn handle_event(&mut self) {
        self.may_have_more = true;
    }

    /// Whether somebody may wait there.
    pub(super) fn may_have_more(&self) -> bool {
        self.may_have_more && self.again.is_none()
    }

    /// When to look again.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }

    /// Whether only the user of this process and root come in here.
    pub(super) fn is_for_owner(&self) -> bool {
        matches!(self.listener, Listener::Unix(_))
    }

    /// Lets the next one in. `tls`: what those get who begin with it.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        tls: impl FnOnce() -> Option<Arc<ServerConfig>>,
    ) -> io::Result<Entered> {
        if self.again.is_some_and(|again| again > now) || !self.may_have_more {
            return Ok(Entered::Nobody);
        }
        self.again = None;
        let entered = match &self.listener {
            Listener::Tcp(listener) => {
                listener.accept().map(|(stream, peer)| Entered::One(Stream::Tcp(stream), peer.to_string()))
            }
            Listener::Tls(listener) => listener.accept().and_then(|(stream, peer)| {
                let config = tls().ok_or_else(|| io::Error::other("there is no certificate"))?;
                let channel = Channel::new(config).map_err(io::Error::other)?;
                Ok(Entered::One(Stream::Tls(stream, Box::new(channel)), format!("{peer} (TLS)")))
            }),
            Listener::Unix(listener) => listener.accept().and_then(|(stream, _)| owner(stream)),
            // What was there before it was closed may still be told of.
            Listener::Closed => Err(io::ErrorKind::WouldBlock.into()),
        };
        match entered {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.may_have_more = false;
                Ok(Entered::Nobody)
            }
            Err(error) => {
                self.again = Some(now + AGAIN);
                Err(error)
            }
            Ok(entered) => Ok(entered),
        }
    }
}

/// Lets in the user of this process and root.
fn owner(stream: UnixStream) -> io::Result<Entered> {
    let peer = socket_peercred(&stream)?;
    let who = format!("process {} of user {}", peer.pid.as_raw_pid(), peer.uid.as_raw());
    let is_owner = peer.uid.is_root() || peer.uid == geteuid();
    Ok(if is_owner { Entered::One(Stream::Unix(stream), who) } else { Entered::Stranger(who) })
}

/// Binds under another name and renames: the socket never stands there with a mode that lets others in, and there is
/// no moment without one.
fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // A file that is no socket refuses as well, but nobody left it behind.
            if !fs::symlink_metadata(path)?.file_type().is_socket() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket"));
            }
        }
        Err(error) => return Err(error),
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let _ = fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary)?;
    let moved = fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::symlink_metadata(&temporary))
        .and_then(|metadata| fs::rename(&temporary, path).map(|()| metadata));
    match moved {
        Ok(metadata) => {
            let identity = (metadata.dev(), metadata.ino());
            Ok((listener, SocketFile { path: path.to_owned(), identity }))
        }
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path).map(|metadata| (metadata.dev(), metadata.ino()));
        if found.is_ok_and(|identity| identity == self.identity) {
            // Left there it does no harm: the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Stream {
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => {
                // Replies are short, and somebody waits for each.
                stream.set_nodelay(true)?;
                stream.register(registry, token, interest)
            }
            Self::Unix(stream) => stream.register(registry, token, interest),
        }
    }

    /// Whether what is read and written goes through TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(..))
    }

    /// Whether the kernel has told that it is the owner of the server.
    pub(super) fn is_of_owner(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Says that nothing more will come.
    pub(super) fn finish(&mut self) {
        // Whoever has gone already needs no word of it.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream, tls) => {
                tls.close_notify(stream).and_then(|()| stream.shutdown(Shutdown::Write))
            }
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(room),
            Self::Tls(stream, tls) => {
                if tls.is_handshaking() {
                    tls.handshake(stream)?;
                }
                tls.read(stream, room)
            }
            Self::Unix(stream) => stream.read(room),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(octets),
            // Octets that are refused are given again: the same, for nothing is put before them.
            Self::Tls(stream, tls) => tls.write(stream, octets),
            Self::Unix(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

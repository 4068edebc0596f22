//! Listening sockets, and what is asked of a socket beside reading and writing.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};

/// Clients that may wait to be accepted; the kernel takes less where it is set so.
const BACKLOG: i32 = 4096;

/// A listener that shares its address with those of the other workers.
///
/// # Errors
/// Where the address is in use by another program, is not of this machine, or may not be taken.
pub(crate) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address, Sharing::Workers)?;
    // Accepted sockets inherit both. A reply is written in one go: waiting for more would only cost time.
    sockopt::set_tcp_nodelay(&socket, true)?;
    keep_alive(&socket)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from_std(std::net::TcpListener::from(socket)))
}

/// Finds out whether another program listens on the address: one that shares it would not be noticed otherwise,
/// and would get some of the clients.
///
/// # Errors
/// Where the address cannot be taken.
pub(crate) fn check_free(address: SocketAddr) -> io::Result<()> {
    bound(address, Sharing::Nobody).and_then(|socket| Ok(listen(&socket, 1)?))
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Sharing {
    Workers,
    Nobody,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if sharing == Sharing::Workers {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    if let IpAddr::V6(address) = address.ip() {
        // "::" takes IPv4 too, whatever the system's default.
        sockopt::set_ipv6_v6only(&socket, address != Ipv6Addr::UNSPECIFIED)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

/// Whether a client waits to be accepted. Does not wait itself; where the kernel does not say, nobody does.
pub(crate) fn has_client(listener: &TcpListener) -> bool {
    let mut asked = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

/// Has the kernel find out whether the other end is still there, where nothing is said for long: one that lost its power
/// says no farewell, and where silence has no bound it would keep its maildrop locked for ever.
fn keep_alive(socket: &OwnedFd) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_mins(2))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(30))?;
    Ok(sockopt::set_tcp_keepcnt(socket, 4)?)
}

/// Has the closing of the socket reset the connection: what is unsent is thrown away, and the client sees an error.
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_a_sharing_listener_has_is_not_free() {
        let first = listener(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(check_free(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(listener(address).is_ok());
    }

    /// What a listener accepts, and the client.
    #[expect(clippy::disallowed_methods, reason = "the test waits for nothing else")]
    fn accepted() -> (TcpStream, std::net::TcpStream) {
        let listener = listener(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let limit = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            match listener.accept() {
                Ok((accepted, _)) => return (accepted, client),
                Err(error) => assert!(error.kind() == io::ErrorKind::WouldBlock, "{error}"),
            }
            assert!(std::time::Instant::now() < limit, "nobody came");
        }
    }

    #[test]
    fn what_is_accepted_sends_at_once() {
        let (accepted, _client) = accepted();
        assert!(accepted.nodelay().unwrap());
    }

    #[test]
    fn who_was_accepted_and_says_nothing_is_asked_whether_it_is_there() {
        let (accepted, _client) = accepted();
        assert!(sockopt::socket_keepalive(&accepted).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&accepted).unwrap(), Duration::from_mins(2));
        assert_eq!(sockopt::tcp_keepintvl(&accepted).unwrap(), Duration::from_secs(30));
        assert_eq!(sockopt::tcp_keepcnt(&accepted).unwrap(), 4);
    }
}

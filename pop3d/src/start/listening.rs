//! What a server listens on: addresses for clients and for balancers, and doors for administrators.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use log::{info, warn};
use pop3d_core::admin::{Door, DoorError};
use pop3d_core::server::{ListenError, Protocol, Server};
use rustix::io::Errno;

use super::look;
use crate::exit::Exit;
use crate::plan::{Fixed, Listen, PeepListen};

/// All of it.
pub(super) struct Listening {
    pop3: Vec<SocketAddr>,
    pop3s: Vec<SocketAddr>,
    balancers: Vec<SocketAddr>,
    /// Each with what the log says of it.
    doors: Vec<(Door, String)>,
}

impl Listening {
    /// Begins to listen on all addresses.
    ///
    /// # Errors
    /// Where one of them cannot be had, with what to do.
    pub(super) fn open(server: &mut Server, fixed: &Fixed) -> Result<Self, Exit> {
        let pop3 = listen(server, &fixed.listen, Protocol::Pop3)?;
        let pop3s = match &fixed.pop3s_listen {
            Some(addresses) => listen(server, addresses, Protocol::Pop3s)?,
            None => Vec::new(),
        };
        let mut balancers = Vec::new();
        for &(address, protocol) in &fixed.proxy_listen {
            let listening = server.listen_for_balancers(address, protocol);
            balancers
                .push(listening.map_err(|error| unavailable(&error, &error.cause, "listen in [proxy]"))?);
        }
        Ok(Self { pop3, pop3s, balancers, doors: listen_for_administrators(fixed)? })
    }

    /// Opens PEEP's socket; service goes on without it.
    pub(super) fn open_socket(&mut self, path: &Path) {
        match Door::unix(path) {
            Ok(door) => self.doors.push((door, format!("PEEP: listening on {}", path.display()))),
            Err(DoorError { cause, .. }) => warn!(target: "pop3d", "{}", look::no_socket(path, &cause)),
        }
    }

    /// Says where.
    pub(super) fn tell(&self) {
        let kinds = [("", &self.pop3), ("POP3S: ", &self.pop3s), ("PROXY protocol: ", &self.balancers)];
        for (kind, addresses) in kinds {
            for address in addresses {
                info!(target: "pop3d", "{kind}listening on {address}");
            }
        }
        for (_, what) in &self.doors {
            info!(target: "pop3d", "{what}");
        }
    }

    /// The doors, to be served.
    pub(super) fn into_doors(self) -> Vec<Door> {
        self.doors.into_iter().map(|(door, _)| door).collect()
    }
}

fn listen(server: &mut Server, listen: &Listen, protocol: Protocol) -> Result<Vec<SocketAddr>, Exit> {
    let (addresses, without_ipv6) = listen.addresses();
    let mut all = |addresses: Vec<SocketAddr>| -> Result<Vec<_>, ListenError> {
        addresses.into_iter().map(|address| server.listen(address, protocol)).collect()
    };
    let option = match protocol {
        Protocol::Pop3 => "--pop3-port",
        Protocol::Pop3s => "--pop3s-port",
    };
    let listening = match all(addresses) {
        Err(error) if !without_ipv6.is_empty() && is_without_ipv6(&error.cause) => all(without_ipv6),
        listening => listening,
    };
    listening.map_err(|error| unavailable(&error, &error.cause, option))
}

/// Doors by TCP, each with what the log says of it.
fn listen_for_administrators(fixed: &Fixed) -> Result<Vec<(Door, String)>, Exit> {
    let open = |address: SocketAddr| {
        Door::tcp(address).map_err(|error| unavailable(&error, &error.cause, "--peep-port"))
    };
    let mut doors = Vec::new();
    match &fixed.peep_listen {
        PeepListen::Nowhere => {}
        PeepListen::Addresses(addresses) => {
            for &address in addresses {
                doors.push(open(address)?);
            }
        }
        PeepListen::Loopback(port) => {
            let (door, address) = open((Ipv4Addr::LOCALHOST, *port).into())?;
            doors.push((door, address));
            // Of port 0 both take the same one; where that is not free for IPv6, IPv4 is enough.
            match Door::tcp((Ipv6Addr::LOCALHOST, address.port()).into()) {
                Ok(second) => doors.push(second),
                Err(error) if *port == 0 || is_without_ipv6(&error.cause) => {}
                Err(error) => return Err(unavailable(&error, &error.cause, "--peep-port")),
            }
        }
    }
    let mut doors: Vec<_> =
        doors.into_iter().map(|(door, address)| (door, format!("PEEP: listening on {address}"))).collect();
    for &address in &fixed.peep_tls_listen {
        let opened = Door::tls(address);
        let (door, address) =
            opened.map_err(|error| unavailable(&error, &error.cause, "tls_listen in [peep]"))?;
        doors.push((door, format!("PEEP in TLS: listening on {address}")));
    }
    Ok(doors)
}

/// Whether the system has no IPv6, or has it and no address of it.
fn is_without_ipv6(error: &io::Error) -> bool {
    let error = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(error, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn unavailable(error: &dyn std::error::Error, cause: &io::Error, option: &str) -> Exit {
    if matches!(Errno::from_io_error(cause), Some(Errno::MFILE | Errno::NFILE)) {
        return Exit::System(format!("{error}; raise the limit of open files, such as by ulimit -n"));
    }
    let advice = match cause.kind() {
        io::ErrorKind::AddrInUse => {
            format!("; another program listens there: end it, or take another port by {option}")
        }
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs root, or the capability CAP_NET_BIND_SERVICE".to_owned()
        }
        _ if Errno::from_io_error(cause) == Some(Errno::AFNOSUPPORT) => {
            "; this machine has no addresses of that kind: name one of IPv4, such as 0.0.0.0".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address".to_owned(),
        _ => String::new(),
    };
    Exit::Unavailable(format!("{error}{advice}"))
}

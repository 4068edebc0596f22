//! Where the server is to listen: for clients, for balancers, and for administrators.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use pop3d_core::server::Protocol;

use crate::cli::Cli;
use crate::config::{Address, File};
use crate::exit::Exit;

/// The port that is listened on where nothing else is said.
const PORT: u16 = 1110;

/// The same for POP3 in TLS, where there is a certificate.
const POP3S_PORT: u16 = 1995;

/// The same for PEEP.
const PEEP_PORT: u16 = 2110;

/// Where clients are served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Listen {
    /// On every address of the machine, IPv6 and IPv4.
    Everywhere(u16),
    Addresses(Vec<SocketAddr>),
}

/// Where administrators are served by TCP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PeepListen {
    /// Nowhere: there are none.
    Nowhere,
    /// On the loopback addresses of both families.
    Loopback(u16),
    Addresses(Vec<SocketAddr>),
}

impl Listen {
    pub(super) fn new(cli: &Cli, file: &File) -> Result<Self, Exit> {
        if let Some(port) = cli.pop3_port {
            return Ok(Self::Everywhere(port));
        }
        let Some(listen) = &file.config.listen else { return Ok(Self::Everywhere(PORT)) };
        if listen.as_ref().is_empty() {
            return Err(file.error(listen.span(), "no address to listen on; name one such as \"[::]:1110\""));
        }
        Ok(Self::Addresses(addresses(file, listen.as_ref())?))
    }

    /// Where TLS comes first.
    pub(super) fn tls(cli: &Cli, file: &File) -> Result<Self, Exit> {
        match (cli.pop3s_port, &file.config.tls.listen) {
            (Some(port), _) => Ok(Self::Everywhere(port)),
            (None, None) => Ok(Self::Everywhere(POP3S_PORT)),
            // None at all: then there is STLS alone.
            (None, Some(listen)) => Ok(Self::Addresses(addresses(file, listen.as_ref())?)),
        }
    }

    /// What is to be listened on, and what in its place on a machine without IPv6.
    pub(crate) fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        match self {
            Self::Addresses(addresses) => (addresses.clone(), Vec::new()),
            Self::Everywhere(port) => {
                let [six, four] =
                    [(Ipv6Addr::UNSPECIFIED, *port).into(), (Ipv4Addr::UNSPECIFIED, *port).into()];
                (vec![six], vec![four])
            }
        }
    }
}

impl PeepListen {
    pub(super) fn new(cli: &Cli, file: &File, has_no_administrator: bool) -> Result<Self, Exit> {
        let addresses = match &file.config.peep.listen {
            Some(listen) => Some(addresses(file, listen.as_ref())?),
            None => None,
        };
        if has_no_administrator {
            return Ok(Self::Nowhere);
        }
        Ok(match (cli.peep_port, addresses) {
            (Some(port), _) => Self::Loopback(port),
            (None, Some(addresses)) => Self::Addresses(addresses),
            (None, None) => Self::Loopback(PEEP_PORT),
        })
    }
}

/// Where administrators begin with TLS: nowhere by default, and where there are none.
pub(super) fn peep_tls_listen(file: &File, has_no_administrator: bool) -> Result<Vec<SocketAddr>, Exit> {
    match &file.config.peep.tls_listen {
        Some(listen) if !has_no_administrator => addresses(file, listen.as_ref()),
        Some(_) | None => Ok(Vec::new()),
    }
}

fn addresses(file: &File, listen: &[toml::Spanned<Address>]) -> Result<Vec<SocketAddr>, Exit> {
    let mut addresses = Vec::new();
    for address in listen {
        let (place, address) = (address.span(), address.as_ref().0);
        // Of port 0 each gets another one.
        if address.port() != 0 && addresses.contains(&address) {
            return Err(file.error(place, "this address is named twice"));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// Where balancers connect, and what their clients speak there.
pub(super) fn proxy_listen(file: &File, has_tls: bool) -> Result<Vec<(SocketAddr, Protocol)>, Exit> {
    let table = &file.config.proxy;
    if let (Some(address), false) = (table.pop3s_listen.first(), has_tls) {
        return Err(file.error(address.span(), "POP3S needs a certificate: name one in [tls]"));
    }
    let plain = addresses(file, &table.listen)?.into_iter().map(|address| (address, Protocol::Pop3));
    let tls = addresses(file, &table.pop3s_listen)?.into_iter().map(|address| (address, Protocol::Pop3s));
    Ok(plain.chain(tls).collect())
}

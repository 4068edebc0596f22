//! Where the server is to listen: for clients, for balancers, and for administrators.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use pop3d_core::server::Protocol;
use toml::Spanned;

use super::Fixed;
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

fn addresses(file: &File, listen: &[Spanned<Address>]) -> Result<Vec<SocketAddr>, Exit> {
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

/// Refuses two places of which one takes what the other is to have: the system would blame another program.
///
/// # Errors
/// Where there are such, with line and column of the second where the file has it.
pub(super) fn check_apart(file: &File, fixed: &Fixed) -> Result<(), Exit> {
    let config = &file.config;
    let clients = |listen: &Listen| listen.addresses().0;
    let listed = |listen: &'_ Option<Spanned<Vec<Spanned<Address>>>>| {
        listen.as_ref().map_or_else(Vec::new, |listen| places(listen.as_ref()))
    };
    let administrators = match &fixed.peep_listen {
        PeepListen::Nowhere => Vec::new(),
        PeepListen::Loopback(port) => {
            vec![(Ipv4Addr::LOCALHOST, *port).into(), (Ipv6Addr::LOCALHOST, *port).into()]
        }
        PeepListen::Addresses(addresses) => addresses.clone(),
    };
    let balancers = fixed.proxy_listen.iter().map(|(address, _)| *address).collect();
    let balanced = [places(&config.proxy.listen), places(&config.proxy.pop3s_listen)].concat();
    let lists = [
        ("listen", clients(&fixed.listen), listed(&config.listen)),
        (
            "[tls] listen",
            fixed.pop3s_listen.as_ref().map_or_else(Vec::new, clients),
            listed(&config.tls.listen),
        ),
        ("[proxy]", balancers, balanced),
        ("[peep] listen", administrators, listed(&config.peep.listen)),
        ("[peep] tls_listen", fixed.peep_tls_listen.clone(), listed(&config.peep.tls_listen)),
    ];
    let mut taken: Vec<(SocketAddr, &str)> = Vec::new();
    for (key, addresses, places) in &lists {
        for &address in addresses {
            if let Some((other, its)) = taken.iter().find(|(other, _)| are_one(*other, address)) {
                let what =
                    format!("{address} of {key} is taken by {other} of {its}; give one of them another port");
                let place = places.iter().find(|(listed, _)| *listed == address);
                return Err(place.map_or_else(
                    || Exit::Config(what.clone()),
                    |(_, place)| file.error(place.clone(), &what),
                ));
            }
            taken.push((address, key));
        }
    }
    Ok(())
}

/// Addresses with where they stand.
fn places(listen: &[Spanned<Address>]) -> Vec<(SocketAddr, Range<usize>)> {
    listen.iter().map(|address| (address.as_ref().0, address.span())).collect()
}

/// Whether the system has only one of two addresses to give. `[::]` takes IPv4 too.
fn are_one(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: SocketAddr, other: SocketAddr| {
        (one.ip() == other.ip() && scope(one) == scope(other))
            || one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4())
    };
    // Of port 0 each gets another one.
    one.port() == other.port() && one.port() != 0 && (covers(one, other) || covers(other, one))
}

/// The network of a link-local address: each may have the same.
fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_all_addresses_takes_those_of_its_family_and_of_ipv4() {
        for (one, other, expected) in [
            ("127.0.0.1:110", "127.0.0.1:110", true),
            ("127.0.0.1:110", "127.0.0.1:111", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("127.0.0.1:110", "127.0.0.2:110", false),
            ("0.0.0.0:110", "127.0.0.1:110", true),
            ("0.0.0.0:110", "[::1]:110", false),
            ("[::]:110", "[::1]:110", true),
            ("[::]:110", "127.0.0.1:110", true),
            ("[::]:110", "0.0.0.0:110", true),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!((are_one(one, other), are_one(other, one)), (expected, expected), "{one} {other}");
        }
    }
}

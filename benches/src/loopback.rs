//! The address of a server under load, which is on this machine or nowhere.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// An address in 127.0.0.0/8, or `::1`: load is never sent to a server of somebody else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Loopback(SocketAddr);

/// Why an address is refused.
#[derive(Debug, Eq, PartialEq)]
pub enum Refused {
    /// It is no numeric address with a port.
    Unreadable,
    /// It is not of the loopback interface.
    Elsewhere,
}

impl Loopback {
    /// The address as sockets take it.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Loopback {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        // No names: a name could lead anywhere.
        let address: SocketAddr = text.parse().map_err(|_| Refused::Unreadable)?;
        if address.ip().is_loopback() { Ok(Self(address)) } else { Err(Refused::Elsewhere) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable => "write a numeric address and a port, such as 127.0.0.1:1110",
            Self::Elsewhere => "load goes to 127.0.0.0/8 and ::1 only",
        })
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_interface_is_spoken_to() {
        for right in ["127.0.0.1:1110", "127.9.8.7:1", "[::1]:110"] {
            assert!(right.parse::<Loopback>().is_ok(), "{right}");
        }
        for elsewhere in
            ["0.0.0.0:110", "10.0.0.1:110", "128.0.0.1:110", "[::]:110", "[::ffff:127.0.0.1]:110"]
        {
            assert_eq!(elsewhere.parse::<Loopback>(), Err(Refused::Elsewhere), "{elsewhere}");
        }
        for unreadable in ["localhost:110", "127.0.0.1", "mail.example.org:110", ""] {
            assert_eq!(unreadable.parse::<Loopback>(), Err(Refused::Unreadable), "{unreadable}");
        }
    }
}

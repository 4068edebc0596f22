//! Nets of IP addresses, for what holds for some clients and not for others.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

/// A net: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Net(IpNet);

/// Why a text is no net.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetError {
    /// It has another form.
    Form,
    /// Bits are set behind those that count, so that it says more than it means: this is the net.
    HostBits(Net),
}

impl fmt::Display for NetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => {
                formatter.write_str("this is no net, write \"192.0.2.0/24\", \"2001:db8::/32\" or an address")
            }
            Self::HostBits(net) => write!(formatter, "bits are set behind the prefix, write \"{net}\""),
        }
    }
}

impl std::error::Error for NetError {}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let Ok(net) = text.parse::<IpNet>() else {
            let address: IpAddr = text.parse().map_err(|_| NetError::Form)?;
            return Ok(Self(address.to_canonical().into()));
        };
        let net = canonical(net);
        if net.trunc() == net { Ok(Self(net)) } else { Err(NetError::HostBits(Self(net.trunc()))) }
    }
}

/// A net of IPv4 addresses that was written with those that stand for them in IPv6.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(six) = net else { return net };
    let four = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    let four = four.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    four.map_or(net, IpNet::V4)
}

impl fmt::Display for Net {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Any number of nets. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nets(Arc<[Net]>);

impl Nets {
    /// Those of the loopback addresses, which are this machine's own: a webmail, a proxy, behind which everybody has the
    /// same address.
    #[must_use]
    pub fn loopback() -> Self {
        ["127.0.0.0/8", "::1"].iter().filter_map(|net| net.parse().ok()).collect()
    }

    /// No net.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// Whether an address is in one of them, also where it came through an IPv6 socket.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.0.contains(&address))
    }
}

impl FromIterator<Net> for Nets {
    fn from_iter<T: IntoIterator<Item = Net>>(nets: T) -> Self {
        Self(nets.into_iter().collect())
    }
}

/// The address that a limit counts: IPv4 as it is, also where it came through an IPv6 socket; IPv6 by its /64, which is
/// what one client commonly has.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct CountedAddress(IpAddr);

impl CountedAddress {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }

    /// The address; of IPv6 the first of the /64.
    pub(crate) fn first(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Nets {
        texts.iter().map(|text| text.parse::<Net>().unwrap()).collect()
    }

    #[test]
    fn an_address_is_in_a_net_by_its_leading_bits_in_either_form() {
        let nets = nets(&["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "::ffff:203.0.113.0/120"]);
        for (address, is_in) in [
            ("192.0.2.0", true),
            ("192.0.2.255", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.3.0", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("203.0.113.9", true),
            ("::ffff:203.0.113.9", true),
        ] {
            assert_eq!(nets.contains(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(!Nets::none().contains([127, 0, 0, 1].into()));
    }

    #[test]
    fn an_address_is_counted_by_what_one_client_has() {
        let counted = |text: &str| CountedAddress::of(text.parse().unwrap()).first().to_string();
        assert_eq!(counted("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(counted("192.0.2.7"), "192.0.2.7");
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn loopback_is_one_in_either_family() {
        for (text, is_one) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("::", false),
            ("::2", false),
            ("192.0.2.7", false),
        ] {
            assert_eq!(Nets::loopback().contains(text.parse().unwrap()), is_one, "{text}");
        }
    }

    #[test]
    fn what_is_no_net_is_told_with_what_would_be() {
        for (text, said) in [
            ("192.0.2.7/24", "write \"192.0.2.0/24\""),
            ("2001:db8::1/64", "write \"2001:db8::/64\""),
            ("192.0.2.0/33", "no net"),
            ("192.0.2", "no net"),
            ("localhost", "no net"),
            ("", "no net"),
        ] {
            let error = text.parse::<Net>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}

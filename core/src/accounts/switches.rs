//! What an account may be used for, and from where, whatever its password.

use std::net::{IpAddr, Ipv6Addr};

/// What is switched for one account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Switches {
    /// Nobody logs in to it.
    pub is_disabled: bool,
    /// The addresses it is logged in to from; none: all.
    pub nets: Option<Box<[Net]>>,
    /// Messages cannot be deleted by its sessions.
    pub may_not_delete: bool,
}

impl Switches {
    /// Whether somebody at that address may log in.
    #[must_use]
    pub fn permit(&self, address: IpAddr) -> bool {
        let is_near = self.nets.as_ref().is_none_or(|nets| nets.iter().any(|net| net.contains(address)));
        is_near && !self.is_disabled
    }
}

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Net {
    /// The first address, an IPv4 one as IPv6 has it (RFC 4291, section 2.5.5.2).
    first: u128,
    /// How many bits are the same.
    bits: u32,
}

/// What networks must be, as a sentence for who wrote some that are none.
pub const NETS_RULE: &str =
    "networks are written as 192.0.2.0/24, 2001:db8::/32 or an address, with commas between";

impl Net {
    /// Reads an address, or one with "/" and how many bits count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { u128::BITS };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|octet| octet.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => most,
        };
        if bits > most {
            return None;
        }
        let bits = u128::BITS - most + bits;
        Some(Self { first: number(address) & mask(bits), bits })
    }

    /// Reads networks with commas between, as `allow_nets` of Dovecot has them. Its `local`, who come by no network, is
    /// nobody here.
    #[must_use]
    pub fn parse_list(text: &str) -> Option<Box<[Self]>> {
        text.split(',').filter(|net| *net != "local").map(Self::parse).collect()
    }

    /// Whether an address is among these.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        number(address) & mask(self.bits) == self.first
    }
}

fn number(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    Ipv6Addr::to_bits(address)
}

/// A number whose first bits are 1.
fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(u128::BITS - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_told_by_its_first_bits() {
        for (net, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7/24", "192.0.2.1", "192.0.1.7"),
            ("127.0.0.0/8", "::ffff:127.1.2.3", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::1", "::1", "127.0.0.1"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
        ] {
            let net = Net::parse(net).unwrap();
            assert!(net.contains(inside.parse().unwrap()), "{net:?}, {inside}");
            assert!(!net.contains(outside.parse().unwrap()), "{net:?}, {outside}");
        }
        assert!(Net::parse("::/0").unwrap().contains("192.0.2.7".parse().unwrap()));
        for wrong in
            ["", "x", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/+1", "::1/129", "1.2.3.4/1/1", " ::1"]
        {
            assert_eq!(Net::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Net::parse_list("::1,local,10.0.0.0/8").unwrap().len(), 2);
        assert_eq!(Net::parse_list("::1,"), None);
    }

    #[test]
    fn a_disabled_account_is_nobodys_and_one_with_networks_is_of_them() {
        let address = "192.0.2.7".parse().unwrap();
        assert!(Switches::default().permit(address));
        assert!(!Switches { is_disabled: true, ..Switches::default() }.permit(address));
        let of = |nets| Switches { nets: Net::parse_list(nets), ..Switches::default() };
        assert!(of("192.0.2.0/24").permit(address));
        assert!(!of("198.51.100.0/24").permit(address) && !of("local").permit(address));
    }
}

//! What an account may be used for, and from where, whatever its password.

use std::net::IpAddr;

use crate::nets::{NetError, Nets};

/// What is switched for one account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Switches {
    /// Nobody logs in to it.
    pub is_disabled: bool,
    /// The addresses it is logged in to from; none: all.
    pub nets: Option<Nets>,
    /// Messages cannot be deleted by its sessions.
    pub may_not_delete: bool,
}

impl Switches {
    /// Whether somebody at that address may log in.
    #[must_use]
    pub fn permit(&self, address: IpAddr) -> bool {
        let is_near = self.nets.as_ref().is_none_or(|nets| nets.contains(address));
        is_near && !self.is_disabled
    }
}

/// What networks must be, as a sentence for who wrote some that are none.
pub(super) const NETS_RULE: &str =
    "networks are written as 192.0.2.0/24, 2001:db8::/32 or an address, with commas between";

/// Reads networks with commas between, as `allow_nets` of Dovecot has them: bits behind the prefix do not count. Its
/// `local`, who come by no network, is nobody here.
pub(super) fn parse_nets(text: &str) -> Option<Nets> {
    let nets = text.split(',').filter(|net| *net != "local").map(|net| match net.parse() {
        Ok(net) | Err(NetError::HostBits(net)) => Some(net),
        Err(NetError::Form) => None,
    });
    nets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_dovecot_has_them() {
        for (nets, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7/24", "192.0.2.1", "192.0.1.7"),
            ("127.0.0.0/8", "::ffff:127.1.2.3", "::1"),
            ("::1,local,10.0.0.0/8", "10.2.3.4", "11.2.3.4"),
        ] {
            let parsed = parse_nets(nets).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{nets}, {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{nets}, {outside}");
        }
        for wrong in ["", "x", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/+1", "::1/129", " ::1", "::1,"] {
            assert_eq!(parse_nets(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_disabled_account_is_nobodys_and_one_with_networks_is_of_them() {
        let address = "192.0.2.7".parse().unwrap();
        assert!(Switches::default().permit(address));
        assert!(!Switches { is_disabled: true, ..Switches::default() }.permit(address));
        let of = |nets| Switches { nets: parse_nets(nets), ..Switches::default() };
        assert!(of("192.0.2.0/24").permit(address));
        assert!(!of("198.51.100.0/24").permit(address) && !of("local").permit(address));
    }
}

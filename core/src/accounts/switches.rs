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

/// Reads networks with commas between, as `allow_nets` of Dovecot has them: bits behind those that count mean nothing, and
/// `local`, who come by no network, is nobody here.
pub(super) fn parse_nets(text: &str) -> Option<Nets> {
    let nets = text.split(',').filter(|net| *net != "local");
    nets.map(|net| match net.parse() {
        Ok(net) | Err(NetError::HostBits(net)) => Some(net),
        Err(NetError::Form) => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nets_are_read_as_dovecot_writes_them() {
        let nets = parse_nets("192.0.2.7/24,local,::1").unwrap();
        assert!(nets.contains([192, 0, 2, 9].into()) && nets.contains([0, 0, 0, 0, 0, 0, 0, 1].into()));
        assert!(!nets.contains([127, 0, 0, 1].into()));
        for wrong in ["", "x", "192.0.2.0/24,", "192.0.2.0/33", " ::1"] {
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

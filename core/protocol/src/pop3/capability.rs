//! CAPA: what this server can do (RFC 2449, sections 5 and 6). A line stands here once it is true.

use super::sasl::Mechanisms;
use crate::reply::Replies;

/// Longest name shown as IMPLEMENTATION.
const IMPLEMENTATION_MAX: usize = 64;

/// The least time between two logins (RFC 2449, section 6.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoginDelay {
    /// The time.
    pub seconds: u32,
    /// Whether users have others, of which this is the longest.
    pub differs: bool,
}

/// What the capability list depends on.
#[derive(Clone, Copy)]
pub(super) struct Capabilities<'a> {
    /// Whether STLS is permitted.
    pub(super) stls: bool,
    /// Whether logins are: USER and SASL.
    pub(super) login: bool,
    pub(super) mechanisms: Mechanisms,
    pub(super) login_delay: Option<LoginDelay>,
    pub(super) implementation: &'a str,
}

/// Says the capability list. It is the same in AUTHORIZATION and TRANSACTION but for STLS, for what has to wait for TLS, for
/// the name of the implementation, which tells its version only to those who are logged in, and for the LOGIN-DELAY that is
/// the user's own.
pub(super) fn say(replies: &mut Replies, capabilities: Capabilities<'_>) {
    let Capabilities { stls, login, mechanisms, login_delay, implementation } = capabilities;
    replies.ok(format_args!("capability list follows"));
    // TOP, UIDL, USER, PIPELINING, RESP-CODES, EXPIRE, IMPLEMENTATION: RFC 2449, sections 6.1 to 6.9;
    // AUTH-RESP-CODE: RFC 3206, section 6; UTF8, with names and passwords in UTF-8, and LANG: RFC 6856, sections 2 and 3;
    // STLS: RFC 2595, section 4.
    replies.raw(format_args!(
        "TOP\r\nUIDL\r\n{}PIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\n{}",
        if login { "USER\r\n" } else { "" },
        if stls { "STLS\r\n" } else { "" },
    ));
    if login && !mechanisms.is_empty() {
        // RFC 5034, section 3.
        replies.raw(format_args!("SASL"));
        for mechanism in mechanisms.iter() {
            replies.raw(format_args!(" {}", mechanism.as_str()));
        }
        replies.raw(format_args!("\r\n"));
    }
    if let Some(LoginDelay { seconds, differs }) = login_delay {
        let user = if differs { " USER" } else { "" };
        replies.raw(format_args!("LOGIN-DELAY {seconds}{user}\r\n"));
    }
    if !implementation.is_empty() {
        replies.raw(format_args!("IMPLEMENTATION {implementation:.IMPLEMENTATION_MAX$}\r\n"));
    }
    replies.raw(format_args!(".\r\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pop3::sasl::Mechanism;
    use crate::reply::REPLY_MAX;

    #[test]
    fn the_longest_list_fits_where_one_reply_fits() {
        let mut replies = Replies::default();
        let name = core::str::from_utf8(&[b'x'; 200]).unwrap();
        let mechanisms = Mechanism::ALL.into_iter().collect();
        let login_delay = Some(LoginDelay { seconds: u32::MAX, differs: true });
        let capabilities =
            Capabilities { stls: true, login: true, mechanisms, login_delay, implementation: name };
        say(&mut replies, capabilities);
        assert!(replies.take(&mut [0; 1024]) <= REPLY_MAX);
    }
}

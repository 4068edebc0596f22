//! AUTH (RFC 5034): which mechanisms there are, and what goes over the wire of an exchange, in base64.
//!
//! Not here: what the mechanisms make of it, which only the outside can do, and the states, which are in `session.rs`.

use alloc::string::String;

use base64ct::{Base64, Encoding};

use crate::wiped::Wiped;

/// Longest line that answers a challenge, its line end included, where nothing else is said: a bearer token may be long (RFC
/// 5034, section 4).
pub(super) const RESPONSE_MAX: usize = 64 * 1024;

/// Longest challenge, before it is encoded: its line has at most 512 octets.
pub const CHALLENGE_MAX: usize = 375;
const _: () = assert!(2 + CHALLENGE_MAX.div_ceil(3) * 4 + 2 <= 512, "a challenge must fit into a reply");

/// A SASL mechanism (RFC 4422).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS (RFC 7677), bound to the TLS channel.
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS (RFC 5802), bound to the TLS channel.
    ScramSha1Plus,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802).
    ScramSha1,
    /// EXTERNAL (RFC 4422, appendix A): who the TLS certificate names.
    External,
    /// OAUTHBEARER (RFC 7628).
    OauthBearer,
    /// XOAUTH2, which came before it.
    Xoauth2,
    /// CRAM-MD5 (RFC 2195).
    CramMd5,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which was never published: user name and password, each as an answer.
    Login,
}

impl Mechanism {
    /// All there are, the strongest first: a client takes the first that it knows.
    pub const ALL: [Self; 10] = [
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::External,
        Self::OauthBearer,
        Self::Xoauth2,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
    ];

    /// Its registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::External => "EXTERNAL",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Reads a name, in upper or lower case.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.as_str().as_bytes()))
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Some of the mechanisms.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mechanisms(u16);

impl Mechanisms {
    /// None of them: AUTH is no command then.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & mechanism.bit() != 0
    }

    /// Those that are among them, the strongest first.
    pub fn iter(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(move |&mechanism| self.contains(mechanism))
    }
}

impl FromIterator<Mechanism> for Mechanisms {
    fn from_iter<T: IntoIterator<Item = Mechanism>>(mechanisms: T) -> Self {
        Self(mechanisms.into_iter().fold(0, |set, mechanism| set | mechanism.bit()))
    }
}

/// What an exchange goes on with. `Debug` shows no secret.
pub enum Step {
    /// The client names a mechanism, and may begin with a response.
    Begin {
        /// One of those that are offered.
        mechanism: Mechanism,
        /// The initial response; none: the mechanism's first challenge is awaited.
        initial: Option<Wiped>,
    },
    /// The answer to the last challenge.
    Response(Wiped),
}

impl core::fmt::Debug for Step {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Step")
    }
}

/// An initial response as it stands in AUTH: "=" is an empty one (RFC 5034, section 4).
pub(super) fn decode_initial(argument: &[u8]) -> Option<Wiped> {
    if argument == b"=" { Some(Wiped::default()) } else { decode(argument) }
}

/// What a line of base64 is; none: it is no base64, or not padded as it must be.
pub(super) fn decode(line: &[u8]) -> Option<Wiped> {
    let text = core::str::from_utf8(line).ok()?;
    let octets = Base64::decode_vec(text).ok()?;
    Some(octets.into_boxed_slice().into())
}

/// A challenge as a line holds it; none: it is too long for one.
pub(super) fn encode(challenge: &[u8]) -> Option<String> {
    (challenge.len() <= CHALLENGE_MAX).then(|| Base64::encode_string(challenge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_any_case_and_only_whole() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.as_str().as_bytes()), Some(mechanism));
            assert_eq!(Mechanism::parse(mechanism.as_str().to_lowercase().as_bytes()), Some(mechanism));
        }
        for name in [&b""[..], b"PLAI", b"PLAIN ", b"SCRAM-SHA-256-PLU"] {
            assert_eq!(Mechanism::parse(name), None);
        }
    }

    #[test]
    fn a_set_lists_its_own_strongest_first() {
        let set: Mechanisms =
            [Mechanism::Login, Mechanism::Plain, Mechanism::ScramSha256].into_iter().collect();
        let listed: alloc::vec::Vec<_> = set.iter().map(Mechanism::as_str).collect();
        assert_eq!(listed, ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
        assert!(!set.contains(Mechanism::External) && !set.is_empty() && Mechanisms::NONE.is_empty());
    }

    #[test]
    fn what_is_no_base64_is_none() {
        for line in
            [&b"="[..], b"AA", b"AA=", b"AA= =", b"AAA==", b"A A=", b"AA==\xFF", b"AB==", b"*", b"AA==AA=="]
        {
            assert!(decode(line).is_none(), "{}", line.escape_ascii());
        }
        assert_eq!(decode(b"").as_deref(), Some(&b""[..]));
        assert_eq!(decode(b"AHVzZXIAcGFzcw==").as_deref(), Some(&b"\0user\0pass"[..]));
        assert_eq!(decode_initial(b"=").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_challenge_has_a_bound() {
        assert_eq!(encode(&[0; CHALLENGE_MAX]).unwrap().len(), 500);
        assert_eq!(encode(&[0; CHALLENGE_MAX + 1]), None);
    }
}

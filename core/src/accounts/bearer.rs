//! Logins by a token that somebody else gave the user (OAUTHBEARER, RFC 7628, and XOAUTH2, which came before it): what the
//! client says, who looks at the token, and what a client is told whose token is no good.

use std::fmt;
use std::sync::Arc;

use pop3d_protocol::pop3::{CHALLENGE_MAX, Mechanism};

use super::External;
use super::token::TokenKeys;

/// Who knows whether a token is good, and for whom.
#[derive(Clone)]
pub enum TokenCheck {
    /// Keys of those who give tokens (JWT).
    Keys(Arc<TokenKeys>),
    /// A program, which is given the token as a password.
    Program(Arc<External>),
}

/// Logins by tokens.
#[derive(Clone)]
pub struct Bearer {
    pub(super) check: TokenCheck,
    /// What OAUTHBEARER says where a token is no good (RFC 7628, section 3.2.2).
    refusal: String,
    /// What XOAUTH2 says.
    xoauth2_refusal: String,
}

/// What a client is told does not fit into a challenge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLong;

impl Bearer {
    /// `scope`: what a token has to be good for; `openid_configuration`: the address where a client learns how to get one.
    /// Both are told to clients whose token is no good.
    ///
    /// # Errors
    /// Where the two are too long for that.
    pub fn new(
        check: TokenCheck,
        scope: Option<&str>,
        openid_configuration: Option<&str>,
    ) -> Result<Self, TooLong> {
        let object = |fields: &[(&str, Option<&str>)]| -> Result<String, TooLong> {
            let told = fields.iter().filter_map(|&(name, value)| Some((name.to_owned(), value?.into())));
            let object = serde_json::Value::Object(told.collect()).to_string();
            if object.len() <= CHALLENGE_MAX { Ok(object) } else { Err(TooLong) }
        };
        Ok(Self {
            check,
            refusal: object(&[
                ("status", Some("invalid_token")),
                ("scope", scope),
                ("openid-configuration", openid_configuration),
            ])?,
            xoauth2_refusal: object(&[
                ("status", Some("401")),
                ("schemes", Some("bearer")),
                ("scope", scope),
            ])?,
        })
    }

    /// What a client of this mechanism is told where its token is no good.
    pub(super) fn refusal(&self, mechanism: Mechanism) -> &str {
        if mechanism == Mechanism::Xoauth2 { &self.xoauth2_refusal } else { &self.refusal }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bearer")
    }
}

/// What a client says by one of these mechanisms.
#[derive(Clone, Eq, PartialEq)]
pub struct Presented<'a> {
    /// Whom it wants to be; empty: whom the token is for.
    pub user: Vec<u8>,
    /// The token.
    pub token: &'a str,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Presented({})", self.user.escape_ascii())
    }
}

/// What stands between the parts of a message.
const SEPARATOR: char = '\u{1}';

impl<'a> Presented<'a> {
    /// Reads the message of OAUTHBEARER (RFC 7628, section 3.1): a GS2 header, then pairs of key and value.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let message = str::from_utf8(message).ok()?;
        // Nothing is bound to a channel by it: "n" and "y" are the same here, and "p" cannot be met.
        let (header, pairs) = message.split_once(SEPARATOR)?;
        let authorization =
            header.strip_prefix("n,").or_else(|| header.strip_prefix("y,"))?.strip_suffix(',')?;
        let user = match authorization {
            "" => Vec::new(),
            name => sasl_name(name.strip_prefix("a=")?)?,
        };
        let mut authorizations =
            parse_pairs(pairs)?.filter_map(|(key, value)| (key == "auth").then_some(value));
        let token = token(authorizations.next()?)?;
        // Of two nobody knows which one is meant.
        authorizations.next().is_none().then_some(Self { user, token })
    }

    /// Reads the message of XOAUTH2: who, and the token.
    #[must_use]
    pub fn parse_xoauth2(message: &'a [u8]) -> Option<Self> {
        let mut pairs = parse_pairs(str::from_utf8(message).ok()?)?;
        let (("user", user), ("auth", authorization), None) = (pairs.next()?, pairs.next()?, pairs.next())
        else {
            return None;
        };
        let user = user.as_bytes().to_vec();
        (!user.is_empty()).then_some(Self { user, token: token(authorization)? })
    }
}

/// Pairs of key and value, each with a separator behind it, and one more at the end.
fn parse_pairs(pairs: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let pairs = pairs.strip_suffix(SEPARATOR)?.strip_suffix(SEPARATOR)?;
    let pairs: Vec<_> = pairs.split(SEPARATOR).map(|pair| pair.split_once('=')).collect::<Option<_>>()?;
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|octet| octet.is_ascii_alphabetic());
    let is_value = |value: &str| value.chars().all(|it| !it.is_control() || matches!(it, '\t' | '\r' | '\n'));
    pairs.iter().all(|(key, value)| is_key(key) && is_value(value)).then(|| pairs.into_iter())
}

/// A name in a GS2 header (RFC 5801, section 4): "=2C" is ",", "=3D" is "=".
fn sasl_name(written: &str) -> Option<Vec<u8>> {
    let mut parts = written.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = if let Some(rest) = part.strip_prefix("2C") {
            (',', rest)
        } else {
            ('=', part.strip_prefix("3D")?)
        };
        name.push(character);
        name.push_str(rest);
    }
    let is_name = !name.is_empty() && !written.contains([',', '\0']);
    is_name.then(|| name.into_bytes())
}

/// The token behind "Bearer" (RFC 6750, section 2.1), whose case does not matter.
fn token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let is_of_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    let is_token = !token.is_empty() && token.bytes().all(is_of_token);
    (scheme.eq_ignore_ascii_case("Bearer") && is_token).then_some(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn presented(user: &str, token: &'static str) -> Option<Presented<'static>> {
        Some(Presented { user: user.as_bytes().to_vec(), token })
    }

    #[test]
    fn the_messages_of_rfc_7628_section_4_are_read() {
        let first = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
            auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
        assert_eq!(Presented::parse(first), presented("user@example.com", token));
        let without_token = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01";
        assert_eq!(Presented::parse(without_token), None);
    }

    #[test]
    fn a_message_of_oauthbearer_is_whole_or_nothing() {
        for (message, outcome) in [
            ("n,,\x01auth=Bearer abc\x01\x01", presented("", "abc")),
            ("y,,\x01auth=bearer  abc\x01\x01", presented("", "abc")),
            ("n,a=a=2Cb=3Dc,\x01auth=Bearer abc\x01\x01", presented("a,b=c", "abc")),
            ("n,a=gr\u{fc}n,\x01auth=Bearer abc\x01\x01", presented("gr\u{fc}n", "abc")),
            ("n,a=a=2cb,\x01auth=Bearer abc\x01\x01", None),
            ("n,a=,\x01auth=Bearer abc\x01\x01", None),
            ("n,a=a,b,\x01auth=Bearer abc\x01\x01", None),
            ("n,a=a\x01auth=Bearer abc\x01\x01", None),
            ("p=tls-exporter,,\x01auth=Bearer abc\x01\x01", None),
            (",,\x01auth=Bearer abc\x01\x01", None),
            ("n,,\x01auth=Bearer abc\x01", None),
            ("n,,\x01auth=Bearer abc", None),
            ("n,,\x01auth=Bearer abc\x01\x01\x01", None),
            ("n,,\x01auth=Bearer abc\x01\x01x", None),
            ("n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01", None),
            ("n,,\x01auth=Basic abc\x01\x01", None),
            ("n,,\x01auth=Bearer a,c\x01\x01", None),
            ("n,,\x01auth=Bearer a b\x01\x01", None),
            ("n,,\x01auth=Bearerabc\x01\x01", None),
            ("n,,\x01=x\x01auth=Bearer abc\x01\x01", None),
            ("n,,\x01x=\0\x01auth=Bearer abc\x01\x01", None),
            ("n,,\x01host=a\x01\x01", None),
            ("n,,\x01\x01", None),
            ("\x01", None),
            ("", None),
        ] {
            assert_eq!(Presented::parse(message.as_bytes()), outcome, "{}", message.escape_default());
        }
        assert_eq!(Presented::parse(b"n,a=\xFF,\x01auth=Bearer abc\x01\x01"), None);
    }

    #[test]
    fn a_message_of_xoauth2_is_who_and_the_token() {
        for (message, outcome) in [
            ("user=a@example.com\x01auth=Bearer abc\x01\x01", presented("a@example.com", "abc")),
            ("user=\x01auth=Bearer abc\x01\x01", None),
            ("auth=Bearer abc\x01user=a\x01\x01", None),
            ("user=a\x01auth=Bearer abc\x01x=y\x01\x01", None),
            ("user=a\x01auth=Bearer abc\x01", None),
            ("n,,\x01auth=Bearer abc\x01\x01", None),
            ("", None),
        ] {
            assert_eq!(Presented::parse_xoauth2(message.as_bytes()), outcome, "{}", message.escape_default());
        }
    }

    #[test]
    fn what_is_told_fits_into_a_challenge_or_is_an_error() {
        let check = || TokenCheck::Keys(Arc::default());
        let bearer = Bearer::new(check(), Some("mail \"x\""), Some("https://id.example/c")).unwrap();
        assert_eq!(
            bearer.refusal(Mechanism::OauthBearer),
            "{\"status\":\"invalid_token\",\"scope\":\"mail \\\"x\\\"\",\"openid-configuration\":\"https://id.example/c\"}"
        );
        let bearer = Bearer::new(check(), None, None).unwrap();
        assert_eq!(bearer.refusal(Mechanism::Xoauth2), "{\"status\":\"401\",\"schemes\":\"bearer\"}");
        assert_eq!(Bearer::new(check(), Some(&"x".repeat(CHALLENGE_MAX)), None).unwrap_err(), TooLong);
    }

    proptest! {
        #[test]
        fn no_message_panics(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Presented::parse(&message), Presented::parse_xoauth2(&message));
        }

        #[test]
        fn a_name_that_is_written_is_read(user in "[a-z,=@\u{fc}]{1,20}", token in "[A-Za-z0-9._~+/=-]{1,20}") {
            let written = user.replace('=', "=3D").replace(',', "=2C");
            let message = format!("n,a={written},\x01auth=Bearer {token}\x01\x01");
            let read = Presented::parse(message.as_bytes()).unwrap();
            prop_assert_eq!((read.user, read.token), (user.into_bytes(), token.as_str()));
        }
    }
}

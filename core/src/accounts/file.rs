//! The accounts file: a line for each account, as Dovecot's passwd-file has it:
//! `user:{SCHEME}secret:uid:gid:gecos:home:shell:extra fields`, of which all but the first two may be left out. Empty lines
//! and those that begin with "#" are left out.

pub mod edit;

use std::fmt;

use super::hashed::{SchemeError, is_plain, split_scheme};
use super::switches::{Switches, parse_nets};
use super::{NAME_RULE, UserName};
use crate::nets::NetError;

/// Longest line in octets.
pub const LINE_MAX: usize = 4096;

/// What a line says.
#[derive(Debug, Eq, PartialEq)]
pub struct Line<'a> {
    /// Whose account.
    pub user: UserName,
    /// The secret with its scheme.
    pub secret: Secret<'a>,
    /// Who may use the account, and for what.
    pub switches: Switches,
    /// Secrets that were given to programs, each with its name: `app.NAME={SCHEME}secret`.
    pub apps: Vec<(&'a str, &'a [u8])>,
}

/// Most secrets of one account that programs have: a failed login costs all of them.
pub const APPS_MAX: usize = 16;

/// What the field of such a secret begins with.
const APP: &[u8] = b"app.";

/// Whether a secret of a program may have that name.
#[must_use]
pub fn is_app_name(name: &str) -> bool {
    let is_fine = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=32).contains(&name.len()) && name.bytes().all(is_fine)
}

/// What such a name must be, as a sentence for who wrote one that is none.
pub const APP_NAME_RULE: &str = "an app password has a name of 1 to 32 letters, digits, \"-\" and \"_\"";

/// The second field of a line.
#[derive(Debug, Eq, PartialEq)]
pub enum Secret<'a> {
    /// `{SCHEME}secret`, or a hash of crypt(3) without a scheme.
    Stored(&'a [u8]),
    /// Any password is right.
    Anything,
    /// None is: what stands there begins with "*" or "!", as where an account is locked.
    Locked,
}

/// Why a line is no account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineError {
    /// More than `LINE_MAX` octets.
    TooLong,
    /// There is no ":".
    NoSecret,
    /// The name could not be a folder's.
    BadName,
    /// Another line of the file is of the same user.
    Twice,
    /// The secret cannot be kept.
    Secret(SchemeError),
    /// The password is told in plain, and what follows it is neither a number nor nothing: it may be of the password.
    Colon,
    /// `allow_nets` has something that is no network.
    Nets,
    /// `allow_real_nets` would have to be looked at, and is not.
    RealNets,
    /// So would this field.
    NotUnderstood(&'static str),
    /// An app password without a name, or with one that is none.
    AppName,
    /// Two app passwords have one name, or there are more than `APPS_MAX`.
    Apps,
    /// `nopassword`, with a password.
    Password,
}

/// Fields of Dovecot that say who may log in, with what, or as whom: without them the line would say something else.
const NOT_LEFT_OUT: [&str; 9] = [
    "delay_until",
    "domain",
    "login_user",
    "noauthenticate",
    "passdb_import",
    "password",
    "password_noscheme",
    "user",
    "username",
];

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "a line has at most {LINE_MAX} octets"),
            Self::NoSecret => formatter.write_str("no \":\"; an account is written user:{SCHEME}secret"),
            Self::BadName => formatter.write_str(NAME_RULE),
            Self::Twice => formatter.write_str("this user has a line further up; keep one of them"),
            Self::Secret(error) => error.fmt(formatter),
            Self::Colon => formatter.write_str(
                "a password with \":\" in it is written in base64 behind {PLAIN.b64}; other fields behind a \
                 password are uid:gid:gecos:home:shell:extra, the first two numbers or empty",
            ),
            Self::Nets => write!(formatter, "allow_nets: {}", NetError::Form),
            Self::RealNets => formatter.write_str("allow_real_nets is not understood; write allow_nets"),
            Self::NotUnderstood(name) => write!(
                formatter,
                "{name} is not understood, and without it others may be let in; take it out, or write \"disabled\""
            ),
            Self::AppName => formatter.write_str(APP_NAME_RULE),
            Self::Apps => write!(formatter, "at most {APPS_MAX} app passwords, each with a name of its own"),
            Self::Password => formatter.write_str("nopassword stands with an empty password only"),
        }
    }
}

impl std::error::Error for LineError {}

/// What some editors put before a text in UTF-8: no part of the first name.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The text without it.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// Reads a line without its end; none where it says nothing.
///
/// # Errors
/// Where it is no account. Whether the secret can be kept is not looked at.
pub fn parse_line(line: &[u8]) -> Result<Option<Line<'_>>, LineError> {
    if line.len() > LINE_MAX {
        return Err(LineError::TooLong);
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    // The last has whatever is left: networks have ":" in them.
    let mut fields = line.splitn(8, |&octet| octet == b':');
    let user = UserName::parse(fields.next().unwrap_or_default()).ok_or(LineError::BadName);
    let stored = fields.next().ok_or(LineError::NoSecret)?;
    let user = user?;
    let (uid, gid) = (fields.next(), fields.next());
    if split_scheme(stored).is_some_and(|(scheme, _)| is_plain(scheme)) {
        let is_id = |field: Option<&[u8]>| field.is_some_and(|id| id.iter().all(u8::is_ascii_digit));
        // What is read as another field would be missing from the password, which others could guess then.
        if uid.is_some() && !(is_id(uid) && is_id(gid)) {
            return Err(LineError::Colon);
        }
    }
    let mut extra = Extra::default();
    for field in fields.nth(3).unwrap_or_default().split(|&octet| octet == b' ' || octet == b'\t') {
        extra.take(field)?;
    }
    if extra.is_proxied && extra.is_without_password {
        // There another server looks at the password.
        return Err(LineError::NotUnderstood("proxy beside nopassword"));
    }
    let secret = match stored {
        [] if extra.is_without_password => Secret::Anything,
        [_, ..] if extra.is_without_password => return Err(LineError::Password),
        [b'*' | b'!', ..] => Secret::Locked,
        stored => Secret::Stored(stored),
    };
    Ok(Some(Line { user, secret, switches: extra.switches, apps: extra.apps }))
}

/// What the extra fields of a line say.
#[derive(Default)]
struct Extra<'a> {
    switches: Switches,
    is_without_password: bool,
    /// Whether another server serves this account.
    is_proxied: bool,
    apps: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Extra<'a> {
    /// Takes one field: "name" or "name=value".
    fn take(&mut self, field: &'a [u8]) -> Result<(), LineError> {
        let equals = field.iter().position(|&octet| octet == b'=');
        let (name, value) = field.split_at_checked(equals.unwrap_or(field.len())).unwrap_or_default();
        let value = value.strip_prefix(b"=").unwrap_or(value);
        // It is said where no field before it has.
        let (name, is_protected) = match name.strip_suffix(b":protected") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_on = !(value.eq_ignore_ascii_case(b"n") || value.eq_ignore_ascii_case(b"no"));
        match name {
            b"nopassword" => self.is_without_password |= is_on,
            // For Dovecot these two are on whatever their value.
            b"nologin" | b"fail" => self.switches.is_disabled = true,
            b"disabled" => self.switches.is_disabled |= is_on,
            b"nodelete" => self.switches.may_not_delete |= is_on,
            b"allow_nets" if is_protected && self.switches.nets.is_some() => {}
            b"allow_nets" => {
                let nets = std::str::from_utf8(value).ok().and_then(parse_nets);
                self.switches.nets = Some(nets.ok_or(LineError::Nets)?);
            }
            b"allow_real_nets" => return Err(LineError::RealNets),
            b"proxy" | b"proxy_maybe" => self.is_proxied = true,
            _ if name.starts_with(APP) => self.take_app(name, value)?,
            _ => {
                if let Some(field) = NOT_LEFT_OUT.iter().find(|field| field.as_bytes() == name) {
                    return Err(LineError::NotUnderstood(field));
                }
                // Other servers have others, which say nothing of who may log in.
            }
        }
        Ok(())
    }

    fn take_app(&mut self, name: &'a [u8], hash: &'a [u8]) -> Result<(), LineError> {
        let name = name.strip_prefix(APP).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.filter(|name| is_app_name(name)).ok_or(LineError::AppName)?;
        if self.apps.len() >= APPS_MAX || self.apps.iter().any(|(other, _)| *other == name) {
            return Err(LineError::Apps);
        }
        self.apps.push((name, hash));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Line<'_> {
        parse_line(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_line_is_an_account_or_nothing_or_wrong() {
        let parsed = line("user@example.org:{PLAIN}a b ");
        assert_eq!(parsed.user.as_str(), "user@example.org");
        assert_eq!(parsed.secret, Secret::Stored(b"{PLAIN}a b "));
        assert_eq!(parsed.switches, Switches::default());
        for nothing in ["", "  ", "# a comment", "\r"] {
            assert_eq!(parse_line(nothing.as_bytes()), Ok(None));
        }
        for (text, error) in [
            (&b"user"[..], LineError::NoSecret),
            (b"../user:{PLAIN}x", LineError::BadName),
            (b":{PLAIN}x", LineError::BadName),
            (b"\xFF:x", LineError::BadName),
            (&[b'x'; LINE_MAX + 1], LineError::TooLong),
            (b"user:{PLAIN}a:b", LineError::Colon),
            (b"user:{plain}a:1000", LineError::Colon),
            (b"user:{CLEARTEXT}a:1000:x:::", LineError::Colon),
            (b"user:x::::::allow_nets=x", LineError::Nets),
            (b"user:x::::::allow_nets=", LineError::Nets),
            (b"user:x::::::allow_real_nets=::1", LineError::RealNets),
            (b"user:x::::::nopassword", LineError::Password),
            (b"user:x::::::delay_until=1", LineError::NotUnderstood("delay_until")),
            (b"user:x::::::user=other", LineError::NotUnderstood("user")),
            (b"user:x::::::password:protected=y", LineError::NotUnderstood("password")),
            (b"user:::::::proxy=y host=a nopassword=y", LineError::NotUnderstood("proxy beside nopassword")),
            (b"user:x::::::allow_nets:protected=x", LineError::Nets),
            (b"user:x::::::app.=x", LineError::AppName),
            (b"user:x::::::app.a.b=x", LineError::AppName),
            (b"user:x::::::app.a:b=x", LineError::AppName),
            (b"user:x::::::app.a=x app.a=y", LineError::Apps),
        ] {
            assert_eq!(parse_line(text), Err(error), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn the_fields_of_dovecot_are_read_and_those_that_say_nothing_here_are_left_out() {
        let parsed = line("tss:{SHA512-CRYPT}$6$x$y:1000:1000::/home/tss::userdb_mail=maildir:~/Maildir");
        assert_eq!(parsed.secret, Secret::Stored(b"{SHA512-CRYPT}$6$x$y"));
        assert_eq!(parsed.switches, Switches::default());
        let parsed = line("u:{PLAIN}x::::::allow_nets=::1,10.0.0.0/8 disabled=n nodelete proxy=y");
        assert_eq!(parsed.switches.nets, parse_nets("::1,10.0.0.0/8"));
        assert!(!parsed.switches.is_disabled && parsed.switches.may_not_delete);
        for disabled in ["nologin", "nologin=no", "fail", "fail=later", "nologin:protected=y", "disabled"] {
            assert!(line(&format!("u:{{PLAIN}}x:::::/bin/sh:{disabled}")).switches.is_disabled, "{disabled}");
        }
        for nets in ["allow_nets:protected=::1", "allow_nets=::1 allow_nets:protected=::2"] {
            assert_eq!(line(&format!("u:{{PLAIN}}x::::::{nets}")).switches.nets, parse_nets("::1"));
        }
        assert_eq!(line("u:::::::nopassword allow_nets=127.0.0.0/8").secret, Secret::Anything);
        assert_eq!(line("u:::::::nopassword=no").secret, Secret::Stored(b""));
        assert_eq!(line("u:*::::::").secret, Secret::Locked);
        let parsed = line("u:{PLAIN}x::::::app.phone={PLAIN}a= nodelete app.tv=$5$x$y");
        assert_eq!(parsed.apps, [("phone", &b"{PLAIN}a="[..]), ("tv", b"$5$x$y")]);
        assert!(parsed.switches.may_not_delete);
        assert_eq!(line("u:!$6$x$y").secret, Secret::Locked);
        assert_eq!(line("u:$6$x$y:1:1").secret, Secret::Stored(b"$6$x$y"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            name in "[a-z0-9@+_-][a-z0-9@.+_-]{0,20}",
            secret in "[^:*!\\p{C}][^:\\p{C}]{0,40}",
            ids in proptest::option::of((any::<u32>(), any::<u32>())),
            disabled in any::<bool>(),
        ) {
            let mut text = format!("{name}:{secret}");
            if let Some((uid, gid)) = ids {
                text += &format!(":{uid}:{gid}:A. User:/home/{name}:/bin/sh:x=y{}", if disabled { " nologin" } else { "" });
            }
            text.push('\r');
            let read = parse_line(text.as_bytes()).unwrap().unwrap();
            prop_assert_eq!((read.user.as_str(), read.secret), (name.as_str(), Secret::Stored(secret.as_bytes())));
            prop_assert_eq!(read.switches.is_disabled, disabled && ids.is_some());
        }

        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..LINE_MAX + 2)) {
            let _ = parse_line(&line);
        }

        #[test]
        fn what_may_be_of_a_password_is_no_other_field(password in "[a-c:0-9]{0,12}") {
            let text = format!("u:{{PLAIN}}{password}");
            let parts: Vec<_> = password.split(':').collect();
            let is_id = |part: Option<&&str>| part.is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
            let stored = format!("{{PLAIN}}{}", parts[0]);
            let expected = if parts.len() == 1 || is_id(parts.get(1)) && is_id(parts.get(2)) {
                Ok(Secret::Stored(stored.as_bytes()))
            } else {
                Err(LineError::Colon)
            };
            prop_assert_eq!(parse_line(text.as_bytes()).map(|line| line.unwrap().secret), expected);
        }
    }
}

//! XCLIENT: a proxy that is trusted says for whom it speaks, as Dovecot's does to the server behind it. Whether somebody is
//! trusted is the outside's to know; for anybody else there is no such command.
//!
//! `XCLIENT ADDR=192.0.2.7 PORT=50000 SESSION=… TTL=…`: names without regard to case, one space between attributes. Those
//! other than ADDR and PORT say nothing that is believed here, LOGIN least of all, and are passed over.

use core::net::IpAddr;

use super::{Action, Conversation, Refusal, State};
use crate::line::Line;
use crate::pop3::action::Proxied;
use crate::pop3::authorization::{Authorization, Login};

/// Longest XCLIENT, and longest AUTH, of a proxy, line ends included. Dovecot's tells all that its administrator has it pass on
/// (FORWARD) in one line, and puts the first response of an exchange into AUTH however long it is; the server that it
/// expects reads lines of about 4,000 octets.
const PROXY_LINE_MAX: usize = 8192;

/// The arguments of a line that is this command.
pub(super) fn arguments(line: &[u8]) -> Option<&[u8]> {
    arguments_of(b"XCLIENT", line)
}

fn arguments_of<'line>(command: &[u8], line: &'line [u8]) -> Option<&'line [u8]> {
    let (word, rest) = line.split_at_checked(command.len())?;
    if !word.eq_ignore_ascii_case(command) {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ', arguments @ ..] => Some(arguments),
        _ => None,
    }
}

impl Proxied {
    /// Reads the attributes; none: one of them cannot be.
    fn parse(arguments: &[u8]) -> Option<Self> {
        let mut proxied = Self::default();
        for attribute in core::str::from_utf8(arguments).ok()?.split(' ').filter(|it| !it.is_empty()) {
            let (name, value) = attribute.split_once('=')?;
            // So Postfix's say that they do not know, or not for the time being.
            let is_unknown =
                ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|it| value.eq_ignore_ascii_case(it));
            if is_unknown {
                continue;
            }
            if name.eq_ignore_ascii_case("ADDR") {
                let prefix = value.get(.."IPV6:".len()).filter(|it| it.eq_ignore_ascii_case("IPV6:"));
                let value = value.get(prefix.map_or(0, str::len)..)?;
                proxied.address = Some(value.parse::<IpAddr>().ok()?);
            } else if name.eq_ignore_ascii_case("PORT") {
                // Parsing alone would also take "+1".
                let is_number = value.bytes().all(|octet| octet.is_ascii_digit());
                proxied.port = Some(value.parse().ok().filter(|_| is_number)?);
            }
        }
        Some(proxied)
    }
}

impl Conversation {
    /// Longest line that is read at all.
    pub(super) fn line_max(&self) -> usize {
        if self.is_proxy { self.lengths.command.max(PROXY_LINE_MAX) } else { self.lengths.command }
    }

    /// A line as it counts: of those of a proxy only XCLIENT and AUTH may be longer than a command.
    pub(super) fn bounded<'line>(&self, line: Line<'line>) -> Line<'line> {
        match line {
            Line::Whole { text, length }
                if length > self.lengths.command
                    && self.is_proxy
                    && arguments(text).or_else(|| arguments_of(b"AUTH", text)).is_none() =>
            {
                Line::TooLong
            }
            Line::Whole { .. } | Line::TooLong => line,
        }
    }

    /// XCLIENT by a proxy that is trusted. What was said for whoever was there before counts for nothing, but for mistakes
    /// and failed logins.
    pub(super) fn identify(&mut self, arguments: &[u8]) {
        let State::Authorization(authorization) = &mut self.state else {
            return self.mistake("not after login");
        };
        match Proxied::parse(arguments) {
            Some(proxied) => {
                authorization.login = Login::Identifying;
                self.action = Some(Action::Identify(proxied));
            }
            None => self.mistake("invalid parameters"),
        }
    }

    pub(super) fn handle_identified(&mut self, result: Result<(), Refusal>) {
        let State::Authorization(authorization @ Authorization { login: Login::Identifying, .. }) =
            &mut self.state
        else {
            return;
        };
        authorization.login = Login::Nobody;
        match (self.farewell.take(), result) {
            (Some(farewell), _) => self.say_and_close(&farewell),
            (None, Ok(())) => self.replies.ok(format_args!("updated")),
            (None, Err(refusal)) => self.say_and_close(&refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::{String, ToString};

    use super::*;

    fn parse(arguments: &str) -> Option<(Option<String>, Option<u16>)> {
        Proxied::parse(arguments.as_bytes()).map(|it| (it.address.map(|it| it.to_string()), it.port))
    }

    #[test]
    fn a_line_is_this_command_or_another() {
        assert_eq!(arguments(b"XCLIENT ADDR=::1"), Some(&b"ADDR=::1"[..]));
        assert_eq!(arguments(b"xclient"), Some(&b""[..]));
        for other in [&b"XCLIENTS"[..], b"XCLIEN", b"", b"CAPA", b" XCLIENT", b"XCLIENT\tADDR=::1"] {
            assert_eq!(arguments(other), None, "{}", other.escape_ascii());
        }
    }

    #[test]
    fn addresses_and_ports_are_read_and_the_rest_passed_over() {
        let seven = Some("192.0.2.7".to_owned());
        let whole = "ADDR=192.0.2.7 PORT=50000 SESSION=abc/+= TTL=5 CLIENT-TRANSPORT=TLS FORWARD=eA==";
        assert_eq!(parse(whole), Some((seven.clone(), Some(50_000))));
        assert_eq!(parse("addr=192.0.2.7  LOGIN=root "), Some((seven, None)));
        assert_eq!(parse("ADDR=IPV6:2001:db8::7"), Some((Some("2001:db8::7".to_owned()), None)));
        assert_eq!(parse("ADDR=2001:db8::7 PORT=0"), Some((Some("2001:db8::7".to_owned()), Some(0))));
        assert_eq!(parse("ADDR=[UNAVAILABLE] PORT=[tempunavail]"), Some((None, None)));
        assert_eq!(parse(""), Some((None, None)));
    }

    #[test]
    fn what_cannot_be_changes_nothing() {
        for wrong in [
            "ADDR=",
            "ADDR=1.2.3",
            "ADDR=host",
            "ADDR=1.2.3.4:5",
            "PORT=",
            "PORT=+1",
            "PORT=65536",
            "ADDR",
            "\u{e4}",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(Proxied::parse(b"ADDR=\xFF"), None);
    }
}

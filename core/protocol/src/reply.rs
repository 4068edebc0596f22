//! Status indicators and response codes (RFC 1939, section 3; RFC 2449, section 8), and the replies that wait to
//! be sent.

use alloc::vec::Vec;
use core::fmt::{self, Write};

/// A response code in a reply (RFC 2449, section 8; RFC 3206).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseCode {
    /// The maildrop is in use by another session.
    InUse,
    /// There is a problem with the credentials (RFC 3206).
    Auth,
    /// Something here does not work now; trying again later may help (RFC 3206).
    SysTemp,
    /// Something here does not work until somebody acts (RFC 3206).
    SysPerm,
    /// Too soon after the last login (RFC 2449, section 8.1.1).
    LoginDelay,
    /// In the greeting: this server takes XCLIENT from here. Dovecot's proxy looks for it.
    Xclient,
}

impl ResponseCode {
    /// The code as it stands between brackets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::Auth => "AUTH",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::Xclient => "XCLIENT",
        }
    }
}

/// Longest reply line, CRLF included, and the longest list of capabilities. RFC 2449, section 4, allows no more.
pub(crate) const REPLY_MAX: usize = 512;
/// Longest greeting, CRLF included: the timestamp may carry a long name of the host.
pub(crate) const GREETING_MAX: usize = 512;
/// Replies that wait, before another command is taken. One that nobody asked for, at the end, may exceed it.
const REPLIES_MAX: usize = 1024;
const _: () = assert!(2 * REPLY_MAX <= REPLIES_MAX, "replies to several commands go out together");

/// Replies that wait to be sent. Takes no memory while there is none.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    octets: Vec<u8>,
    /// How many of `octets` are sent; less than there are, or both are 0.
    sent: usize,
}

impl Replies {
    /// Whether the reply to one more command fits.
    pub(crate) fn has_room(&self) -> bool {
        self.octets.len() + REPLY_MAX <= REPLIES_MAX
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Says "+OK" and a text, which may be empty.
    pub(crate) fn ok(&mut self, text: fmt::Arguments<'_>) {
        self.line(REPLY_MAX, "+OK", None, text);
    }

    /// Says "-ERR", a response code and a text.
    pub(crate) fn error(&mut self, code: Option<ResponseCode>, text: fmt::Arguments<'_>) {
        self.line(REPLY_MAX, "-ERR", code, text);
    }

    /// Says the greeting.
    pub(crate) fn greet(&mut self, code: Option<ResponseCode>, text: fmt::Arguments<'_>) {
        self.line(GREETING_MAX, "+OK", code, text);
    }

    /// Says a challenge (RFC 5034, section 4), which must fit.
    pub(crate) fn challenge(&mut self, encoded: &str) {
        self.line(GREETING_MAX, "+", None, format_args!("{encoded}"));
        if encoded.is_empty() {
            // An empty challenge keeps its space.
            self.octets.truncate(self.octets.len() - 2);
            self.octets.extend_from_slice(b" \r\n");
        }
    }

    /// Writes what waits, as far as there is room; returns how many octets.
    pub(crate) fn take(&mut self, room: &mut [u8]) -> usize {
        let waiting = self.octets.get(self.sent..).unwrap_or_default();
        let count = waiting.len().min(room.len());
        for (place, &octet) in room.iter_mut().zip(waiting) {
            *place = octet;
        }
        self.sent += count;
        if self.sent == self.octets.len() {
            self.clear();
        }
        count
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A text that must fit into [`REPLY_MAX`], as it stands.
    pub(crate) fn raw(&mut self, text: fmt::Arguments<'_>) {
        self.reserve();
        let end = self.octets.len() + REPLY_MAX;
        // Writing into memory does not fail.
        let _ = Text { octets: &mut self.octets, end, plain: false }.write_fmt(text);
    }

    fn line(&mut self, most: usize, status: &str, code: Option<ResponseCode>, text: fmt::Arguments<'_>) {
        self.reserve();
        let end = self.octets.len() + most - 2;
        self.octets.extend_from_slice(status.as_bytes());
        if let Some(code) = code {
            for part in [" [", code.as_str(), "]"] {
                self.octets.extend_from_slice(part.as_bytes());
            }
        }
        let before = self.octets.len();
        self.octets.push(b' ');
        let start = self.octets.len();
        // Writing into memory does not fail.
        let _ = Text { octets: &mut self.octets, end, plain: true }.write_fmt(text);
        match self.octets.get_mut(start) {
            // A text that begins with "[" would be taken for a response code (RFC 2449, section 8).
            Some(first @ b'[') => *first = b'(',
            Some(_) => {}
            None => self.octets.truncate(before),
        }
        self.octets.extend_from_slice(b"\r\n");
    }

    fn reserve(&mut self) {
        if self.octets.capacity() == 0 {
            self.octets.reserve_exact(REPLIES_MAX);
        }
    }
}

/// Writes a text up to a limit, so that nothing in it can end the line.
struct Text<'a> {
    octets: &'a mut Vec<u8>,
    /// Where `octets` may reach.
    end: usize,
    /// Whether the text is one line of printable ASCII: a reply is no more before UTF8 is agreed on (RFC 6856).
    plain: bool,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.end.saturating_sub(self.octets.len());
        let octets = text.bytes().take(room);
        if self.plain {
            self.octets.extend(octets.map(|octet| if matches!(octet, b' '..=b'~') { octet } else { b'?' }));
        } else {
            self.octets.extend(octets);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use super::*;

    fn said(replies: &mut Replies) -> String {
        let mut room = vec![0; 2048];
        let count = replies.take(&mut room);
        room.truncate(count);
        String::from_utf8(room).unwrap()
    }

    #[test]
    fn a_reply_without_text_is_the_status_indicator() {
        let mut replies = Replies::default();
        replies.ok(format_args!(""));
        replies.error(None, format_args!(""));
        assert_eq!(said(&mut replies), "+OK\r\n-ERR\r\n");
    }

    #[test]
    fn a_response_code_stands_before_the_text() {
        let mut replies = Replies::default();
        replies.error(Some(ResponseCode::InUse), format_args!("since {}", 12));
        assert_eq!(said(&mut replies), "-ERR [IN-USE] since 12\r\n");
    }

    #[test]
    fn a_text_is_never_taken_for_a_response_code() {
        let mut replies = Replies::default();
        replies.error(None, format_args!("[IN-USE] it says"));
        assert_eq!(said(&mut replies), "-ERR (IN-USE] it says\r\n");
    }

    #[test]
    fn a_text_cannot_end_its_line() {
        let mut replies = Replies::default();
        replies.error(None, format_args!("a\r\n+OK\0\u{fc}"));
        assert_eq!(said(&mut replies), "-ERR a??+OK???\r\n");
    }

    #[test]
    fn a_long_text_is_cut_and_its_line_ends() {
        let mut replies = Replies::default();
        replies.error(Some(ResponseCode::LoginDelay), format_args!("{:1000}", 1));
        let said = said(&mut replies);
        assert_eq!(said.len(), REPLY_MAX);
        assert!(said.ends_with(" \r\n"));
    }

    #[test]
    fn replies_take_no_memory_once_they_are_sent() {
        let mut replies = Replies::default();
        replies.ok(format_args!("one"));
        assert_eq!(replies.take(&mut [0; 4]), 4);
        assert!(!replies.is_empty());
        assert_eq!(said(&mut replies), "one\r\n");
        assert!(replies.is_empty());
        assert_eq!(replies.octets.capacity(), 0);
    }
}

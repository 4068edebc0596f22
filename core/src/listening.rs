//! Listeners, and what is spoken there.

use mio::net::TcpListener;

/// A listener of one worker.
pub(crate) struct Listening {
    pub(crate) socket: TcpListener,
    pub(crate) protocol: Protocol,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub(crate) is_proxied: bool,
}

/// What a client speaks who comes to a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// POP3, in the clear until STLS.
    Pop3,
    /// POP3 in TLS from the first octet on (RFC 8314, section 3.3).
    Pop3s,
}

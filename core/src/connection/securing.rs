//! How a connection comes to TLS: by STLS, or from its beginning.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use log::debug;
use pop3d_protocol::engine::Engine;
use pop3d_protocol::pop3::{Answer, Mechanism, Security};
use zeroize::Zeroizing;

use super::{Connection, Desk, Task, Turn};
use crate::accounts::UserName;
use crate::transport::Transport;

/// What protects a session that begins.
pub(super) fn security(transport: &Transport, address: IpAddr, desk: &Desk) -> Security {
    match (transport.tls(), &desk.shared.settings.load().tls) {
        (Some(_), _) => Security::Tls,
        (None, Some(tls)) if tls.is_required(address) => {
            Security::Required { pop3s_port: desk.shared.pop3s_port }
        }
        (None, Some(_)) => Security::Offered,
        (None, None) => Security::None,
    }
}

impl Connection {
    /// STLS was said: what was read behind it, in the clear, is thrown away, whatever part of a line it is (RFC 2595, section 4).
    /// What comes later is TLS or ends the connection.
    pub(super) fn begin_securing(&mut self, desk: &Desk) {
        self.input.leftover = Zeroizing::default();
        self.input.taken = 0;
        self.let_go(desk);
        self.task = Task::Securing;
    }

    /// Begins TLS once the reply to STLS is out; whether it did.
    pub(super) fn start_tls(&mut self, desk: &Desk) -> bool {
        if !matches!(self.task, Task::Securing) || !self.outbound.is_empty() {
            return false;
        }
        self.task = Task::None;
        let started = match &desk.shared.settings.load().tls {
            Some(tls) => self.transport.start_tls(tls.pop3()),
            // The configuration was read again in the meantime.
            None => Err(io::Error::other("there is no certificate any more")),
        };
        if let Err(error) = started {
            debug!(target: "pop3d::session", "{}: no TLS: {error}", self.peer);
            self.is_lost = true;
        }
        true
    }

    /// Goes on with the handshake; the end of the turn, or none where the handshake is over.
    pub(super) fn handshake(&mut self, desk: &mut Desk) -> Option<Turn> {
        if self.is_lost {
            self.log_end("connection lost in the handshake");
            return Some(Turn::Gone);
        }
        if desk.handshakes == 0 {
            return Some(Turn::Unfinished);
        }
        desk.handshakes -= 1;
        match self.transport.handshake() {
            Ok(()) => {
                self.secured(desk);
                None
            }
            // An event tells when to go on; for the client's silence there is a deadline.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                desk.handshakes += 1;
                Some(Turn::Waiting)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(Turn::Unfinished),
            Err(error) => {
                desk.counters.handshakes_failed.add(1);
                self.log_end(&format!("no TLS: {error}"));
                Some(Turn::Gone)
            }
        }
    }

    /// Whom the client's certificate names, where somebody vouches for it.
    pub(super) fn certified(&self, desk: &Desk) -> Vec<UserName> {
        let settings = desk.shared.settings.load();
        let tls = settings.tls.as_ref().zip(self.transport.tls());
        tls.map(|(tls, channel)| tls.users(channel)).unwrap_or_default()
    }

    fn secured(&mut self, desk: &Desk) {
        desk.counters.handshakes.add(1);
        let Some(tls) = self.transport.tls() else { return };
        debug!(target: "pop3d::session", "{}: {}", self.peer, tls.describe());
        let has_binding = tls.binding().is_some();
        let accounts = Arc::clone(&desk.shared.settings.load().accounts);
        let mut mechanisms = accounts.mechanisms(has_binding);
        if self.certified(desk).iter().any(|user| accounts.knows(user)) {
            mechanisms = mechanisms.iter().chain([Mechanism::External]).collect();
        }
        self.session.handle_answer(Answer::Secured(mechanisms));
        self.last_sign = desk.now;
        // What came behind the handshake is in the channel, and no event will tell of it.
        self.input.is_readable = true;
    }
}

//! A connection's client as a proxy tells of it, by XCLIENT: whom limits, refusals and the log are about from there on. What
//! has to wait for TLS goes by the address of the proxy, for that is where the octets go.

use std::net::SocketAddr;

use log::debug;
use pop3d_protocol::engine::Engine;
use pop3d_protocol::pop3::{Answer, Proxied};

use super::{Connection, Desk, temporary};
use crate::shared::Admission;

impl Connection {
    /// The same, counted for its address.
    pub(crate) fn admitted(mut self, admission: Admission) -> Self {
        self.admission = Some(admission);
        self
    }

    /// Takes the client for whom a trusted proxy says that it is, unless nobody from there may come in.
    pub(super) fn identify(&mut self, proxied: Proxied, desk: &Desk) {
        let address = proxied.address.map_or(self.peer.ip(), |address| address.to_canonical());
        let peer = SocketAddr::new(address, proxied.port.unwrap_or(self.peer.port()));
        // One that says no address is counted where it is, once it logs in.
        let moved = match (&mut self.admission, proxied.address) {
            (Some(admission), Some(_)) => admission.move_to(address, desk.now),
            (Some(_), None) | (None, _) => Ok(()),
        };
        let answer = match moved {
            Ok(()) => {
                debug!(target: "pop3d::session", "{} speaks for {peer}", self.peer);
                self.peer = peer;
                if let Some(present) = &self.present {
                    present.moved(peer);
                }
                Ok(())
            }
            Err(why) => {
                desk.counters.refused.add(1);
                self.reason = "the client of a proxy may not come in";
                Err(temporary(why.reply()))
            }
        };
        self.session.handle_answer(Answer::Identified(answer));
    }
}

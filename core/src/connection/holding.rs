//! What is held in memory for a client that has not logged in, and its end where all of them have too much held.

use pop3d_protocol::engine::Engine;
use pop3d_protocol::pop3::Answer;
use zeroize::Zeroizing;

use super::{Connection, Desk, temporary};

/// What the client hears.
const TOO_MUCH: &str = "too much is being sent by those who have not logged in, try again later";

impl Connection {
    /// Counts what is held of lines that were read. Where that is too much, the session ends.
    pub(super) fn hold_input(&mut self, desk: &Desk) {
        if self.fits(desk) {
            return;
        }
        self.give_up(desk);
        self.session.refuse_and_close(&temporary(TOO_MUCH));
        self.count_down(desk);
    }

    /// Counts what a login, or a step of an exchange, takes besides; whether that is too much: then the session ends.
    pub(super) fn holds_too_much(&mut self, octets: usize, desk: &Desk) -> bool {
        self.in_hand += octets;
        if self.fits(desk) {
            return false;
        }
        self.give_up(desk);
        let refusal = temporary(TOO_MUCH);
        self.session.refuse_and_close(&refusal);
        // The session says farewell once it has its answer.
        self.session.handle_answer(Answer::Verified(Err(refusal)));
        self.count_down(desk);
        true
    }

    /// The login under way, or the exchange, is over.
    pub(super) fn let_go(&mut self, desk: &Desk) {
        self.in_hand = 0;
        self.count_down(desk);
    }

    fn count_down(&mut self, desk: &Desk) {
        // It is no more than before, and that fits always.
        let _ = self.fits(desk);
    }

    fn fits(&mut self, desk: &Desk) -> bool {
        if self.session.is_authenticated() {
            self.held.release();
            return true;
        }
        let octets = self.session.held_octets() + self.input.leftover.len() + self.in_hand;
        self.held.hold(octets, desk.shared.settings.load().limits.held_before_login)
    }

    fn give_up(&mut self, desk: &Desk) {
        desk.counters.refused.add(1);
        self.reason = "too much held for those who have not logged in";
        self.exchange = None;
        self.explained = None;
        self.in_hand = 0;
        self.input.leftover = Zeroizing::default();
        self.input.taken = 0;
    }
}

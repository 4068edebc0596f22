//! What comes from the socket and what goes to it. Nothing here knows what the octets mean.

use std::io::{self, Read, Write};

use memchr::memchr;
use pop3d_protocol::engine::Engine;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Connection, Desk, Fault, READ_SIZE, Task, Turn};

/// What was counted before it was written.
struct Ahead {
    octets: usize,
    answered: usize,
    retrieved: u64,
    topped: u64,
}

impl Connection {
    /// Offers the session what the client said; whether it took any.
    pub(super) fn feed(&mut self, desk: &mut Desk, reads: &mut usize) -> Result<bool, Fault> {
        if !self.wants_input() {
            return Ok(false);
        }
        let input = &mut self.input;
        if input.taken < input.leftover.len() {
            let taken = self.session.handle_input(&input.leftover[input.taken..]);
            input.taken += taken;
            if input.taken == input.leftover.len() {
                // An idle session holds no buffer.
                input.leftover = Zeroizing::default();
                input.taken = 0;
            }
            self.trace();
            self.hold_input(desk);
            return Ok(taken > 0);
        }
        if !input.is_readable || input.has_ended || *reads == 0 {
            return Ok(false);
        }
        *reads -= 1;
        match self.transport.read(&mut desk.scratch[..READ_SIZE]) {
            Ok(0) => {
                input.is_readable = false;
                input.has_ended = true;
            }
            Ok(count) => {
                let is_drained = count < READ_SIZE && self.transport.is_drained_by_less();
                if is_drained && !input.has_urgent && !input.is_ending {
                    // It took all that there was, and the kernel tells when more comes.
                    input.is_readable = false;
                }
                let octets = &desk.scratch[..count];
                // A command resets the timer (RFC 1939, section 3). Octets of one that never ends would keep the
                // connection, and the maildrop locked, for ever.
                if memchr(b'\n', octets).is_some() {
                    self.last_sign = desk.now;
                }
                desk.counters.octets_received.add(count as u64);
                if octets.last() != Some(&b'\n') {
                    self.transport.acknowledge();
                }
                let taken = self.session.handle_input(octets);
                input.leftover.extend_from_slice(&octets[taken..]);
                if !self.session.is_authenticated() {
                    // It may have been a password.
                    desk.scratch[..count].zeroize();
                }
                self.trace();
                self.hold_input(desk);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                input.is_readable = false;
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::Client(error)),
        }
        Ok(true)
    }

    /// Finds out, while a message is under way, whether the client has ended its half and said nothing more.
    pub(super) fn look_ahead(&mut self, desk: &mut Desk) {
        let input = &mut self.input;
        if !input.is_ending || input.has_ended || !input.leftover.is_empty() {
            return;
        }
        match self.transport.read(&mut desk.scratch[..READ_SIZE]) {
            Ok(0) => input.has_ended = true,
            Ok(count) => input.leftover.extend_from_slice(&desk.scratch[..count]),
            // Whatever it is, writing or reading will meet it again.
            Err(_) => {}
        }
    }

    /// Writes what waits, and the file that needs no buffer; returns how many octets.
    pub(super) fn flush(&mut self, share: &mut usize, desk: &mut Desk) -> Result<usize, Fault> {
        let mut written = 0;
        if self.is_writable
            && let Err(error) = self.transport.flush()
        {
            match error.kind() {
                io::ErrorKind::WouldBlock => self.is_writable = false,
                _ => return Err(Fault::Client(error)),
            }
        }
        while self.is_writable && *share > 0 {
            let counted = self.count_ahead(desk);
            let result = if !self.outbound.is_empty() {
                self.outbound.write_to(&mut self.transport)
            } else if let Task::Sending { cursor, .. } = &mut self.task
                && cursor.sends_file()
            {
                cursor.send_file(&mut self.transport, *share)
            } else {
                break;
            };
            self.count_sent(*result.as_ref().unwrap_or(&0), &counted, desk);
            match result {
                Ok(count) => {
                    written += count;
                    *share = share.saturating_sub(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Fault::Cut(error.to_string()));
                }
                Err(error) => return Err(Fault::Client(error)),
            }
        }
        let taken = self.transport.take_handed(written);
        if taken > 0 {
            self.last_sign = desk.now;
        }
        self.watch_reader(taken as u64, desk);
        Ok(written)
    }

    /// Counts what is about to be written as if all of it went: who has heard an answer finds it counted.
    fn count_ahead(&self, desk: &Desk) -> Ahead {
        let octets = self.outbound.len();
        let ahead = Ahead {
            octets,
            answered: octets.saturating_sub(self.greeting.unwrap_or(0) as usize),
            retrieved: self.facts.unconfirmed,
            topped: self.facts.unconfirmed_tops,
        };
        if octets > 0 {
            desk.counters.octets_sent.add(octets as u64);
            desk.counters.octets_answered.add(ahead.answered as u64);
            desk.counters.messages_retrieved.add(ahead.retrieved);
            desk.counters.messages_topped.add(ahead.topped);
        }
        ahead
    }

    /// So many octets went: corrects what was counted ahead.
    fn count_sent(&mut self, count: usize, ahead: &Ahead, desk: &Desk) {
        let counters = &desk.counters;
        let greeting = match &mut self.greeting {
            Some(left) => {
                let sent = u32::try_from(count).unwrap_or(u32::MAX).min(*left);
                *left -= sent;
                sent as usize
            }
            None => 0,
        };
        counters.octets_sent.correct(ahead.octets as u64, count as u64);
        counters.octets_answered.correct(ahead.answered as u64, (count - greeting) as u64);
        self.facts.octets += count as u64;
        if let Some(present) = &self.present {
            present.sent(count as u64);
        }
        if ahead.octets == 0 {
            return;
        }
        // Their termination octets are at the end of what was written.
        if self.outbound.is_empty() {
            self.facts.retrieved += ahead.retrieved;
            self.facts.unconfirmed -= ahead.retrieved;
            self.facts.unconfirmed_tops -= ahead.topped;
        } else {
            counters.messages_retrieved.correct(ahead.retrieved, 0);
            counters.messages_topped.correct(ahead.topped, 0);
        }
    }

    /// Throws away what the client still sends, until it ends its half.
    pub(super) fn linger(&mut self, desk: &mut Desk, reads: &mut usize) -> Result<Turn, Fault> {
        while self.input.is_readable {
            if *reads == 0 {
                return Ok(Turn::Unfinished);
            }
            *reads -= 1;
            match self.transport.discard(&mut desk.scratch[..READ_SIZE]) {
                Ok(0) => return Ok(Turn::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.input.is_readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(Turn::Gone),
            }
        }
        Ok(Turn::Waiting)
    }
}

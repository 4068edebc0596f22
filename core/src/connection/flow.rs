//! What comes from the socket and what goes to it. Nothing here knows what the octets mean.

use std::io::{self, Read};

use pop3d_protocol::engine::Engine;

use super::{Connection, Desk, Fault, READ_SIZE, Task, Turn};

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
                input.leftover = Vec::new();
                input.taken = 0;
            }
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
                self.last_sign = desk.now;
                desk.counters.octets_received.add(count as u64);
                let octets = &desk.scratch[..count];
                let taken = self.session.handle_input(octets);
                input.leftover.extend_from_slice(&octets[taken..]);
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
        while self.is_writable && *share > 0 {
            let result = if !self.outbound.is_empty() {
                self.outbound.write_to(&mut self.transport)
            } else if let Task::Sending { cursor, .. } = &mut self.task
                && cursor.sends_file()
            {
                cursor.send_file(&mut self.transport, *share)
            } else {
                break;
            };
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
        if written > 0 {
            self.last_sign = desk.now;
            self.facts.octets += written as u64;
            desk.counters.octets_sent.add(written as u64);
            let greeting = self.greeting.as_mut().map_or(0, |left| {
                let count = written.min(*left);
                *left -= count;
                count
            });
            desk.counters.octets_answered.add((written - greeting) as u64);
            if let Some(present) = &self.present {
                present.sent(written as u64);
            }
        }
        if self.outbound.is_empty() && self.facts.unconfirmed_tops > 0 {
            desk.counters.messages_topped.add(self.facts.unconfirmed_tops);
            self.facts.unconfirmed_tops = 0;
        }
        if self.outbound.is_empty() && self.facts.unconfirmed > 0 {
            self.facts.retrieved += self.facts.unconfirmed;
            desk.counters.messages_retrieved.add(self.facts.unconfirmed);
            self.facts.unconfirmed = 0;
        }
        self.watch_reader(written as u64, desk);
        Ok(written)
    }

    /// Throws away what the client still sends, until it ends its half.
    pub(super) fn linger(&mut self, desk: &mut Desk, reads: &mut usize) -> Result<Turn, Fault> {
        while self.input.is_readable {
            if *reads == 0 {
                return Ok(Turn::Unfinished);
            }
            *reads -= 1;
            match self.transport.read(&mut desk.scratch[..READ_SIZE]) {
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

//! How a connection ends: of itself, by an administrator, for somebody who waits, or with the server.

use std::io;
use std::time::Instant;

use log::{debug, info};
use pop3d_protocol::engine::Engine;
use pop3d_protocol::pop3::{Answer, Refusal};
use pop3d_protocol::reply::ResponseCode;

use super::{Account, Connection, Desk, Facts, Fault, Task, Turn, deadlines, temporary};

/// How far the end of the connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    No,
    /// What waits is sent first.
    AfterOutput,
    /// The client has gone, or was given up, and a job is under way for it. Neither its seat nor what is held for it is
    /// another's before that is done: who came and went without end would have jobs queued without end.
    AfterJob,
    /// Our half is closed; what the client still sends is thrown away, so that the kernel does not reset the
    /// connection and with it the last reply.
    Lingering {
        until: Instant,
    },
}

impl Connection {
    /// Ends the connection by a reset, so that nothing unfinished is taken for whole.
    pub(crate) fn reset(&mut self) {
        // Where the socket is beyond that it is beyond being believed, too.
        let _ = self.transport.reset();
        self.log_end("reset");
    }

    /// The client is beyond reach: that is the end, unless a job is under way for it. What comes of that job is dropped.
    pub(super) fn leave(&mut self, desk: &mut Desk) -> Turn {
        if !matches!(self.task, Task::Job) {
            return Turn::Gone;
        }
        self.abandon_output(desk);
        self.ending = Ending::AfterJob;
        Turn::Waiting
    }

    /// The connection has gone: gives back what it holds of the worker's.
    pub(crate) fn abandon_output(&mut self, desk: &mut Desk) {
        self.outbound.abandon(&mut desk.spare);
    }

    /// An administrator wants it closed: at once, and without UPDATE. One that has begun goes on to its end, and its reply is
    /// the last.
    pub(crate) fn kick(&mut self) -> Turn {
        if self.has_updated {
            return Turn::Waiting;
        }
        self.reason = "closed by an administrator";
        let is_idle = matches!(self.task, Task::None | Task::Delayed { .. }) && self.outbound.is_empty();
        if is_idle && !self.session.is_listing() {
            // The socket is closed when this is dropped, and the maildrop unlocked before.
            let _ = self.transport.close_notify();
        } else {
            // Something is under way that must not be taken for whole.
            let _ = self.transport.reset();
        }
        self.log_end(self.reason);
        Turn::Gone
    }

    /// Whether nobody has logged in, or is about to.
    pub(crate) fn is_before_login(&self) -> bool {
        matches!(self.account, Account::Unknown) && self.ending == Ending::No
    }

    /// Since when the client, who has not logged in, has said nothing, and waits for nothing, or has taken nothing of what
    /// it was told; none: it is at work.
    pub(crate) fn silent_before_login(&self) -> Option<Instant> {
        let is_silent = if self.outbound.is_empty() {
            self.is_idle()
        } else {
            !self.is_writable && matches!(self.task, Task::None | Task::Securing)
        };
        (self.is_before_login() && is_silent).then_some(self.last_sign)
    }

    /// Another client waits for its seat: it is told so, and closed at once.
    pub(crate) fn give_way(&mut self, desk: &mut Desk) -> Turn {
        self.reason = "silent before login, while others wait";
        self.session.refuse_and_close(&temporary("server is full and you were silent, try again later"));
        // It has nothing unread that would make the kernel reset the connection, and the reply fits into the socket: but for
        // one that takes nothing, which is not told.
        if self.turn(desk) != Turn::Gone && !self.outbound.is_empty() {
            self.reset();
        }
        Turn::Gone
    }

    /// The server stops: what is under way goes on, then the session ends. A message is under way once it is promised.
    pub(crate) fn drain(&mut self) {
        self.reason = "server is stopping";
        if self.transport.is_handshaking() {
            // There is nobody yet who could be told.
            self.is_lost = true;
        }
        let refusal = Refusal { code: Some(ResponseCode::SysTemp), text: "server is stopping".into() };
        self.session.refuse_and_close(&refusal);
        // Whatever the transform came to, the client would hear the same: it need not wait for that.
        let answer = match self.task {
            Task::Opening(_) => Answer::Message(Err(refusal)),
            Task::Measuring(_) => Answer::Measured(Err(refusal)),
            // Nor need who is not let in yet: a failed login counts against its address all the same, and is said to nobody.
            Task::Delayed { .. } => Answer::Verified(Err(refusal)),
            Task::Job if self.has_updated => return,
            Task::Job if matches!(self.account, Account::Unknown) => Answer::Verified(Err(refusal)),
            Task::Job => {
                // A maildrop that is being opened is let go of once it is.
                self.account = Account::Unknown;
                self.place = None;
                Answer::Maildrop(Err(refusal))
            }
            Task::None | Task::Securing | Task::Opened(_) | Task::Sending { .. } => return,
        };
        self.task = Task::None;
        self.session.handle_answer(answer);
    }

    /// Nothing moves any more: whether that is the end.
    pub(super) fn end(&mut self, desk: &mut Desk, reads: &mut usize) -> Result<Turn, Fault> {
        if self.is_lost && !matches!(self.task, Task::Job) {
            self.log_end("connection lost");
            return Ok(Turn::Gone);
        }
        if !self.outbound.is_empty() {
            return Ok(Turn::Waiting);
        }
        if self.ending == Ending::No && self.input.has_ended && self.is_idle() {
            // Without QUIT there is no UPDATE (RFC 1939, section 6).
            let _ = self.transport.close_notify();
            self.log_end("connection closed by the client");
            return Ok(Turn::Gone);
        }
        if self.ending == Ending::AfterOutput {
            if let Err(error) = self.transport.close_notify()
                && error.kind() == io::ErrorKind::WouldBlock
            {
                self.is_writable = false;
                return Ok(Turn::Waiting);
            }
            self.log_end(self.reason);
            if self.input.has_ended || self.transport.finish().is_err() {
                return Ok(Turn::Gone);
            }
            self.ending = Ending::Lingering { until: desk.now + deadlines::LINGER };
        }
        if let Ending::Lingering { until } = self.ending {
            // Who sends faster than is thrown away has one turn after another, and is not waited for.
            return if until <= desk.now { Ok(Turn::Gone) } else { self.linger(desk, reads) };
        }
        Ok(Turn::Waiting)
    }

    pub(super) fn log_end(&mut self, reason: &str) {
        if let Ending::Lingering { .. } | Ending::AfterJob = self.ending {
            return;
        }
        // Before the socket is closed: who sees the end of the connection does not find the session listed.
        self.present = None;
        let Facts { octets, retrieved, deleted, left, .. } = self.facts;
        match &self.account {
            Account::Unknown => {
                debug!(target: "pop3d::session", "{}: {reason}, without a login", self.peer);
            }
            Account::Verified(user) | Account::Open(user, _) => {
                info!(
                    target: "pop3d::session",
                    "user {user} from {} logged out: {reason}; retrieved {retrieved} messages, sent {octets} \
                     octets, deleted {deleted}, left {left}",
                    self.peer,
                );
            }
        }
    }
}

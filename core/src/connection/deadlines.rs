//! How long a connection waits, and what happens then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;
use pop3d_protocol::engine::Engine;

use super::{Connection, Desk, Ending, Task, Turn};
use crate::settings::Limits;

/// How long a client may take to end its half after the last reply.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// How long a transform may go on for a client that has ended its half of the connection and waits for nothing
/// else: it has most likely gone, which only the next octet sent to it would tell.
const HALF_CLOSED: Duration = Duration::from_secs(1);

/// A client that does not take what it asked for as fast as it comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowReader {
    since: Instant,
    /// Octets that it took since.
    taken: u64,
}

impl SlowReader {
    fn is_due(self, limits: &Limits, now: Instant) -> bool {
        self.since + limits.slow_reader_period <= now
    }
}

/// What a connection waits for that may take too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// Something that keeps time itself: a job, a transform.
    Others,
    /// The time of an answer that is held back.
    Delay(Instant),
    /// The client's next command.
    Command,
    /// The client, to take what is sent.
    Reader,
    /// A transform, for a client that has most likely gone.
    Gone,
    /// The client's half to end.
    Linger(Instant),
}

impl Connection {
    /// Keeps account of a client that does not take what is sent.
    pub(super) fn watch_reader(&mut self, taken: u64, desk: &Desk) {
        if !self.is_writable {
            self.slow.get_or_insert(SlowReader { since: desk.now, taken: 0 });
        }
        if let Some(slow) = &mut self.slow {
            slow.taken += taken;
        }
    }

    /// When to look at the connection if nothing happens; none: never.
    pub(crate) fn deadline(&mut self, desk: &mut Desk) -> Option<Instant> {
        let wait = self.wait(desk);
        if wait != Wait::Reader {
            // It has taken all that there is. That a buffer was emptied says nothing: the next one may be filled.
            self.slow = None;
        }
        let settings = desk.shared.settings.load();
        let limits = &settings.limits;
        match wait {
            Wait::Others => None,
            Wait::Delay(until) | Wait::Linger(until) => Some(until),
            Wait::Command => self.silence(limits).map(|silence| self.last_sign + silence),
            Wait::Gone => Some(self.last_sign + HALF_CLOSED),
            Wait::Reader => {
                let silent = self.silence(limits).map(|silence| self.last_sign + silence);
                let slow = self.slow.map(|slow| slow.since + limits.slow_reader_period);
                silent.into_iter().chain(slow).min()
            }
        }
    }

    /// An entry of the queue fell due: does what the time asks for.
    pub(crate) fn handle_time(&mut self, desk: &mut Desk) -> Turn {
        let wait = self.wait(desk);
        let shared = Arc::clone(&desk.shared);
        let settings = shared.settings.load();
        let limits = &settings.limits;
        let is_silent = self.silence(limits).is_some_and(|silence| self.last_sign + silence <= desk.now);
        match wait {
            Wait::Others => Turn::Waiting,
            Wait::Delay(_) => {
                self.release_refusal(desk.now);
                self.turn(desk)
            }
            Wait::Command if is_silent && self.transport.is_handshaking() => {
                self.cut("no handshake within its time", desk)
            }
            Wait::Command if is_silent => {
                self.reason = "silent for too long";
                self.session.handle_timeout();
                self.turn(desk)
            }
            Wait::Reader => {
                let is_slow = self.slow.is_some_and(|slow| slow.is_due(limits, desk.now));
                if is_silent || is_slow { self.judge_reader(limits, desk) } else { Turn::Waiting }
            }
            Wait::Gone if self.last_sign + HALF_CLOSED <= desk.now => self.cut("the client has gone", desk),
            Wait::Linger(until) if until <= desk.now => Turn::Gone,
            Wait::Command | Wait::Gone | Wait::Linger(_) => Turn::Waiting,
        }
    }

    /// A client may have taken too little: ends it where it has.
    ///
    /// The kernel tells that there is room only once a third of its buffer is free, which may be more than a megabyte. It
    /// takes what fits when it is asked, and so tells what the client has taken.
    fn judge_reader(&mut self, limits: &Limits, desk: &mut Desk) -> Turn {
        self.is_writable = true;
        let turn = self.turn(desk);
        if turn == Turn::Gone || self.wait(desk) != Wait::Reader {
            return turn;
        }
        if self.silence(limits).is_some_and(|silence| self.last_sign + silence <= desk.now) {
            return self.cut("nothing taken for too long", desk);
        }
        if let Some(slow) = &mut self.slow
            && slow.is_due(limits, desk.now)
        {
            if slow.taken < limits.slow_reader_rate * limits.slow_reader_period.as_secs() {
                return self.cut("taken too slowly", desk);
            }
            *slow = SlowReader { since: desk.now, taken: 0 };
        }
        turn
    }

    fn cut(&mut self, reason: &str, desk: &mut Desk) -> Turn {
        debug!(target: "pop3d::session", "{}: {reason}", self.peer);
        self.reset();
        self.leave(desk)
    }

    fn silence(&self, limits: &Limits) -> Option<Duration> {
        if self.session.is_authenticated() { limits.silence } else { limits.login_silence }
    }

    fn wait(&mut self, desk: &mut Desk) -> Wait {
        match self.ending {
            Ending::Lingering { until } => return Wait::Linger(until),
            Ending::AfterJob => return Wait::Others,
            Ending::No | Ending::AfterOutput => {}
        }
        if let Task::Delayed { until, .. } = self.task {
            return Wait::Delay(until);
        }
        if !self.is_writable || !self.outbound.is_empty() {
            return Wait::Reader;
        }
        match self.task {
            Task::None | Task::Securing => Wait::Command,
            Task::Job | Task::Delayed { .. } => Wait::Others,
            Task::Opening(_)
            | Task::Measuring(_)
            | Task::Opened(_)
            | Task::Sending { is_pending: true, .. } => {
                self.look_ahead(desk);
                if self.input.has_ended && self.input.leftover.is_empty() { Wait::Gone } else { Wait::Others }
            }
            Task::Sending { is_pending: false, .. } => Wait::Reader,
        }
    }
}

//! What a helper has said to the messages that it has, and what answers it owes them.

use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use pop3d_core::transform::Error;

use super::super::frames::{Frame, Kind, WINDOW};

/// What the server's side of a helper shares: who sends, and who reads.
pub(super) struct Shared {
    pub(super) socket: UnixStream,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) streams: HashMap<u32, Mailbox>,
    /// The process has ended.
    pub(super) ended: Option<End>,
    /// When it last said something.
    pub(super) heard: Option<Instant>,
    /// Its processor time, as far as it has told which message that was for.
    pub(super) charged: Duration,
    /// What its output may be read into.
    pub(super) spare: Vec<u8>,
}

/// Why a process has ended.
pub(super) struct End {
    error: Error,
    /// A message has failed by it, which is one failure of the plugin: not one for each message that was there.
    is_blamed: bool,
}

/// What a message has been told: a few frames, for the helper keeps the rest of its output until these are taken.
#[derive(Default)]
pub(super) struct Mailbox {
    pub(super) frames: VecDeque<Frame>,
    pub(super) waiting: Option<Waker>,
    /// Since when answers are owed, the oldest first: to a call, and to that it is to be closed.
    pub(super) asked: VecDeque<Instant>,
    /// Nobody wants the message any more. It stays here until the helper has answered: one that never does hangs.
    is_closed: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame where it belongs; who is to be woken for it.
    ///
    /// # Errors
    /// It is one too many.
    pub(super) fn deliver(&self, frame: Frame) -> Result<Option<Waker>, TooMany> {
        let mut state = self.lock();
        // What a closed message still had on the way is for nobody.
        let Some(mailbox) = state.streams.get_mut(&frame.stream) else { return Ok(None) };
        let is_answer = frame.kind == Kind::Answer;
        if mailbox.is_closed {
            // That it writes on and on is no sign of life.
            if is_answer {
                mailbox.asked.pop_front();
                if mailbox.asked.is_empty() {
                    state.streams.remove(&frame.stream);
                }
                state.heard = Some(Instant::now());
            }
            return Ok(None);
        }
        // The answer comes beside what is in the window.
        if mailbox.frames.len() > WINDOW {
            return Err(TooMany);
        }
        if is_answer {
            mailbox.asked.pop_front();
        }
        mailbox.frames.push_back(frame);
        let waiting = mailbox.waiting.take();
        state.heard = Some(Instant::now());
        Ok(waiting)
    }

    /// Whether an answer is owed and nothing at all was heard for so long.
    pub(super) fn hangs(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let oldest = state.streams.values().filter_map(|mailbox| mailbox.asked.front().copied()).min();
        let since = oldest.map(|asked| state.heard.map_or(asked, |heard| heard.max(asked)));
        since.is_some_and(|since| since.elapsed() > timeout)
    }
}

/// A helper has sent more than it may.
pub(super) struct TooMany;

impl End {
    pub(super) fn new(error: Error) -> Self {
        Self { error, is_blamed: false }
    }

    /// Why a message fails by it, and whether it is the first.
    pub(super) fn fail(&mut self) -> (Error, bool) {
        (self.error.clone(), !std::mem::replace(&mut self.is_blamed, true))
    }
}

impl State {
    /// Whether somebody waits for a message that is here.
    pub(super) fn is_wanted(&self) -> bool {
        self.streams.values().any(|mailbox| !mailbox.is_closed)
    }

    /// Nobody wants a message any more. `is_there`: the helper is told to close it, and owes an answer to that.
    pub(super) fn close(&mut self, number: u32, is_there: bool) {
        let Some(mailbox) = self.streams.get_mut(&number) else { return };
        if is_there {
            mailbox.asked.push_back(Instant::now());
        }
        if mailbox.asked.is_empty() {
            self.streams.remove(&number);
            return;
        }
        mailbox.is_closed = true;
        mailbox.waiting = None;
        mailbox.frames = VecDeque::new();
    }
}

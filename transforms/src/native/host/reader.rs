//! The thread that reads what a helper says, until that ends, hangs, or is let go.

use std::io::{self, IoSliceMut, Read};
use std::os::unix::net::UnixStream;
use std::task::Waker;
use std::time::{Duration, Instant};

use log::warn;
use pop3d_core::transform::Error;

use super::super::frames::FROM_HELPER_MAX;
use super::super::incoming::Incoming;
use super::super::launch::Process;
use super::mailboxes::{End, Shared};
use crate::pool_stream::go_on_here;

/// How often a helper that works is looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Shared {
    /// Reads until the helper ends, hangs, or is let go; then reaps it.
    pub(super) fn read_all(&self, name: &str, socket: UnixStream, process: Process, timeout: Duration) {
        let why = match socket.set_read_timeout(Some(LOOK)) {
            Ok(()) => self.read_frames(socket, timeout),
            Err(error) => Ok(error.to_string()),
        };
        let charged = self.lock().charged;
        let status = process.end(charged);
        let mut state = self.lock();
        if let Err(error) = &why
            && !state.is_wanted()
        {
            // No message tells it.
            warn!(
                target: "pop3d::transform",
                "transform {name}: its helper process did not let go of a message that nobody wanted any more, and \
                 is ended: {error}",
            );
        }
        state.ended = Some(End::new(match why {
            Ok(why) => Error::Crashed(format!("its helper process ended: {why}{status}")),
            Err(error) => error,
        }));
        for mailbox in state.streams.values_mut() {
            if let Some(waker) = mailbox.waiting.take() {
                waker.wake();
            }
        }
    }

    /// Why nothing more can be read.
    ///
    /// # Errors
    /// It hangs.
    fn read_frames(&self, socket: UnixStream, timeout: Duration) -> Result<String, Error> {
        let patient = Patient { socket, shared: self, timeout, looked: Instant::now() };
        let mut from = Incoming::new(patient, FROM_HELPER_MAX);
        let mut told = Told::default();
        loop {
            if !from.has_frame() {
                from.source().while_away(|| told.go_on());
            }
            if from.wants_spare() {
                from.lend(std::mem::take(&mut self.lock().spare));
            }
            match from.frame() {
                Ok(frame) => {
                    let Ok(waiting) = self.deliver(frame) else {
                        return Ok("it says more than it was asked for; ".to_owned());
                    };
                    told.0.extend(waiting);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(String::new()),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Error::TimedOut(timeout));
                }
                Err(error) => return Ok(format!("{error}; ")),
            }
        }
    }
}

/// Messages that were told something. One that is told several things at once goes on once.
#[derive(Default)]
struct Told(Vec<Waker>);

impl Told {
    /// Goes on with them here: a hand-over to another thread costs more than what is to be done for most.
    fn go_on(&mut self) {
        if !self.0.is_empty() {
            go_on_here(|| self.0.drain(..).for_each(Waker::wake));
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Whatever ended the reading: what they were told is there.
        self.0.drain(..).for_each(Waker::wake);
    }
}

/// Reads from a helper; looks now and then whether it hangs.
struct Patient<'shared> {
    socket: UnixStream,
    shared: &'shared Shared,
    timeout: Duration,
    /// When it was last looked at.
    looked: Instant,
}

impl Patient<'_> {
    /// Does something else meanwhile. What the helper said by then has not been heard, which is no fault of it.
    fn while_away(&mut self, work: impl FnOnce()) {
        let begun = Instant::now();
        work();
        let now = Instant::now();
        if now.saturating_duration_since(begun) >= LOOK {
            self.looked = now;
            self.shared.lock().heard = Some(now);
        }
    }

    fn read_some(&mut self, mut read: impl FnMut(&UnixStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            let result = read(&self.socket);
            // One that says things without end hangs as well as one that is silent.
            if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                if self.shared.hangs(self.timeout) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            match result {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.read_some(|mut socket| socket.read(room))
    }

    fn read_vectored(&mut self, rooms: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read_some(|mut socket| socket.read_vectored(rooms))
    }
}

//! What goes to a helper process: at once, where its socket takes it; else by a thread that waits for it. So a message is
//! not handed over twice, and nobody else waits.

use std::io::{self, IoSlice, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

pub(super) struct Outgoing {
    socket: UnixStream,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    /// What the socket did not take. Of each message at most one call and what it was told is there.
    backlog: Vec<u8>,
    /// The thread is writing, so that whoever comes is behind it.
    is_writing: bool,
    is_closed: bool,
}

impl Outgoing {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket, state: Mutex::default(), bell: Condvar::new() }
    }

    /// Sends these octets, those of `payload` behind those of `head`, in the order of calls. Where nobody reads any more,
    /// whoever reads from the socket hears it.
    pub(super) fn send(&self, head: &[u8], payload: &[u8]) {
        let mut state = self.lock();
        let mut sent = 0;
        if state.backlog.is_empty() && !state.is_writing {
            sent = match send_now(&self.socket, head, payload) {
                Ok(sent) => sent,
                Err(Errno::WOULDBLOCK | Errno::INTR) => 0,
                Err(_) => return,
            };
        }
        if sent < head.len() + payload.len() {
            state.backlog.extend_from_slice(head.get(sent..).unwrap_or_default());
            state
                .backlog
                .extend_from_slice(payload.get(sent.saturating_sub(head.len())..).unwrap_or_default());
            drop(state);
            self.bell.notify_one();
        }
    }

    /// Nothing more will be sent, and what waits need not be.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_one();
    }

    /// Writes what the socket did not take at once, until nothing more comes, or nobody reads.
    pub(super) fn run(&self) {
        let mut rest = Vec::new();
        loop {
            let mut state = self.lock();
            state.is_writing = false;
            while state.backlog.is_empty() && !state.is_closed {
                state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.is_closed {
                return;
            }
            rest.clear();
            std::mem::swap(&mut rest, &mut state.backlog);
            state.is_writing = true;
            drop(state);
            let written: io::Result<()> = (&self.socket).write_all(&rest);
            if written.is_err() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is sent is sent whole, or waits.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send_now(socket: &UnixStream, head: &[u8], payload: &[u8]) -> Result<usize, Errno> {
    let parts = [IoSlice::new(head), IoSlice::new(payload)];
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), flags)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn what_a_full_socket_does_not_take_follows_in_order() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let outgoing = Arc::new(Outgoing::new(ours));
        let writer = Arc::clone(&outgoing);
        let thread = thread::spawn(move || writer.run());
        let mut expected = Vec::new();
        // More than any socket holds, and nobody reads meanwhile.
        for number in 0_u8..200 {
            let (head, payload) = ([number; 9], vec![number; 10_000]);
            outgoing.send(&head, &payload);
            expected.extend_from_slice(&head);
            expected.extend_from_slice(&payload);
        }
        let mut read = vec![0; expected.len()];
        theirs.read_exact(&mut read).unwrap();
        assert!(read == expected);
        outgoing.close();
        thread.join().unwrap();
    }
}

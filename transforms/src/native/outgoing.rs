//! What goes to a helper process: at once, where its socket takes it; else by a thread that waits for it. So a message is
//! not handed over twice, and nobody else waits.

use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg, sockopt};

use crate::pool_stream::Extent;

/// Octets of room in a socket beyond those that are sent, for what the kernel puts around them.
const AROUND: usize = 32 * 1024;

pub(super) struct Outgoing {
    socket: UnixStream,
    /// Octets for which there is room wherever the socket is said to be writable.
    room: usize,
    state: Mutex<State>,
    bell: Condvar,
}

/// Why octets of a file could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// Nothing was sent, nor what was to stand before them.
    Unsent(io::Error),
    /// Zeros were sent for them.
    SentAsZeros(io::Error),
}

#[derive(Default)]
struct State {
    /// What the socket did not take. Of each message at most one call and what it was told is there.
    backlog: Vec<u8>,
    /// Somebody is writing, so that whoever comes is behind it.
    is_writing: bool,
    is_closed: bool,
}

impl Outgoing {
    pub(super) fn new(socket: UnixStream) -> Self {
        // It is said to be writable while a quarter at most is in use (`unix_writable`).
        let capacity = sockopt::socket_send_buffer_size(&socket).unwrap_or(0);
        let room = (capacity / 4 * 3).saturating_sub(AROUND);
        Self { socket, room, state: Mutex::default(), bell: Condvar::new() }
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

    /// The same of octets of a file, which are not copied where there is room for them. May wait for the disk, and nobody else
    /// does meanwhile.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(super) fn send_extent(&self, head: &[u8], extent: &Extent) -> Result<(), Unread> {
        if !self.begin_writing(head.len() + extent.length) {
            self.send(head, &extent.read().map_err(Unread::Unsent)?);
            return Ok(());
        }
        let mut rest = Vec::new();
        let sent = self.send_extent_now(head, extent, &mut rest);
        let mut state = self.lock();
        state.is_writing = false;
        // What others have sent meanwhile is behind it.
        state.backlog.splice(..0, rest);
        let is_awaited = !state.backlog.is_empty();
        drop(state);
        if is_awaited {
            self.bell.notify_one();
        }
        sent.map_err(Unread::SentAsZeros)
    }

    /// Whether the caller is the one that writes, and the socket takes so much at once.
    fn begin_writing(&self, length: usize) -> bool {
        if length > self.room {
            return false;
        }
        let mut state = self.lock();
        let is_free = state.backlog.is_empty() && !state.is_writing && is_writable(&self.socket);
        state.is_writing |= is_free;
        is_free
    }

    /// Sends what the socket takes. What it does not take is put into `rest`.
    fn send_extent_now(&self, head: &[u8], extent: &Extent, rest: &mut Vec<u8>) -> io::Result<()> {
        match send_now(&self.socket, head, &[]) {
            Ok(sent) => rest.extend_from_slice(&head[sent..]),
            Err(Errno::WOULDBLOCK | Errno::INTR) => rest.extend_from_slice(head),
            Err(_) => return Ok(()),
        }
        let (mut offset, end) = (extent.offset, extent.offset + extent.length as u64);
        while rest.is_empty() && offset < end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            match sendfile(&self.socket, &extent.file, Some(&mut offset), left) {
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let head = rest.len();
        rest.resize(head + usize::try_from(end - offset).unwrap_or(0), 0);
        extent.file.read_exact_at(&mut rest[head..], offset)
    }

    /// Nothing more will be sent, and what waits need not be.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_one();
    }

    /// Writes what the socket did not take at once, until nothing more comes, or nobody reads.
    pub(super) fn run(&self) {
        let mut rest = Vec::new();
        let mut state = self.lock();
        loop {
            while (state.backlog.is_empty() || state.is_writing) && !state.is_closed {
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
            state = self.lock();
            state.is_writing = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is sent is sent whole, or waits.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_writable(socket: &UnixStream) -> bool {
    let mut socket = [PollFd::new(socket, PollFlags::OUT)];
    matches!(poll(&mut socket, Some(&Timespec::default())), Ok(1))
        && socket[0].revents().contains(PollFlags::OUT)
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

    /// What sends, the thread that writes the rest, and the other end.
    fn start() -> (Arc<Outgoing>, thread::JoinHandle<()>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let outgoing = Arc::new(Outgoing::new(ours));
        let writer = Arc::clone(&outgoing);
        (outgoing, thread::spawn(move || writer.run()), theirs)
    }

    #[test]
    fn what_a_full_socket_does_not_take_follows_in_order() {
        let (outgoing, thread, mut theirs) = start();
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

    #[test]
    fn octets_of_a_file_follow_in_order_whether_the_socket_takes_them_or_not() {
        let (outgoing, thread, mut theirs) = start();
        let octets: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&octets, 0).unwrap();
        let file = Arc::new(file);
        let mut expected = Vec::new();
        for number in 0_u8..100 {
            let (offset, length) = (usize::from(number) * 4567, usize::from(number) * 1234 % 61_440);
            let extent = Extent { file: Arc::clone(&file), offset: offset as u64, length };
            outgoing.send_extent(&[number; 9], &extent).unwrap();
            expected.extend_from_slice(&[number; 9]);
            expected.extend_from_slice(&octets[offset..offset + length]);
            outgoing.send(&[number; 3], &[number; 2]);
            expected.extend_from_slice(&[number; 5]);
        }
        let mut read = vec![0; expected.len()];
        theirs.read_exact(&mut read).unwrap();
        assert!(read == expected);
        outgoing.close();
        thread.join().unwrap();
    }

    #[test]
    fn a_file_that_is_shorter_than_was_said_leaves_the_frames_whole() {
        let (outgoing, thread, mut theirs) = start();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[b'x'; 1000], 0).unwrap();
        let extent = Extent { file: Arc::new(file), offset: 0, length: 3000 };
        let error = outgoing.send_extent(b"head", &extent).unwrap_err();
        assert!(matches!(error, Unread::SentAsZeros(error) if error.kind() == io::ErrorKind::UnexpectedEof));
        outgoing.send(b"next", b"one");
        let mut read = vec![0; 4 + 3000 + 7];
        theirs.read_exact(&mut read).unwrap();
        assert!(read == [&b"head"[..], &[b'x'; 1000], &[0; 2000], b"nextone"].concat());
        outgoing.close();
        thread.join().unwrap();
    }
}

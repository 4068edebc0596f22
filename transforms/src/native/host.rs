//! The server's side of helper processes: watched, and killed when they hang. When one is started, `slots.rs` says.
//!
//! Each has three threads here: one reads what it says, one writes what its socket did not take at once, one reads its
//! log. A message is a task that waits for its answers. Who begins it sends the first call, and the thread that reads
//! the answer goes on with it, so that it is handed over as seldom as can be. None of that waits, but for the disk.

mod mailboxes;
mod reader;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use pop3d_core::transform::{Error, Flow, Message};

use self::mailboxes::{Mailbox, Shared};
use super::frames::{self, Answer, Frame, Kind};
use super::launch::{Process, Start, Unstarted, launch, load};
use super::outgoing::{Outgoing, Unread};
use super::words;
use crate::pool_stream::{Piece, Pipe};

/// Octets of a message that are pushed at once, where they are in a file: so many that what becomes of them leaves room in the
/// pipe, and the next push is on its way before the worker has taken that.
const PUSH: usize = 60 * 1024;

/// Time in which a helper that owes an answer says something, unless its plugin takes long for one chunk.
const SILENCE: Duration = Duration::from_secs(1);

/// A helper process with one plugin.
pub(super) struct Host {
    name: String,
    shared: Arc<Shared>,
    outgoing: Arc<Outgoing>,
    /// The number of the next message.
    next: Arc<AtomicU32>,
}

impl Host {
    /// Starts a helper, and waits until it has loaded its plugin.
    ///
    /// # Errors
    /// Why it has not.
    pub(super) fn start(start: &Start<'_>) -> Result<Arc<Self>, Unstarted> {
        let (ours, theirs) = UnixStream::pair().map_err(not_started)?;
        let process = launch(theirs, start).map_err(not_started)?;
        Self::attend(process, ours, start, &mut spawn)
    }

    /// The same of a process that is there. Where it fails, the process is reaped, and the threads end.
    fn attend(
        mut process: Process,
        ours: UnixStream,
        start: &Start<'_>,
        spawn: &mut dyn FnMut(&str, Work) -> io::Result<()>,
    ) -> Result<Arc<Self>, Unstarted> {
        let next = Arc::new(AtomicU32::new(1));
        if let Some(stderr) = process.stderr() {
            let (name, begun) = (start.name.to_owned(), Arc::clone(&next));
            let log = Box::new(move || words::log(&name, stderr, &begun));
            spawn("helper-log", log).map_err(not_started)?;
        }
        if let Err(what) = load(&ours, start) {
            let status = process.end(Duration::ZERO);
            let ended = || format!("its helper process ended while it loaded it: {status}");
            return Err(Unstarted::OfPlugin(what.unwrap_or_else(ended)));
        }
        let socket = ours.try_clone().map_err(not_started)?;
        let shared = Arc::new(Shared { socket, state: Mutex::default() });
        let outgoing = Arc::new(Outgoing::new(ours.try_clone().map_err(not_started)?));
        let (writer, reading, timeout) = (Arc::clone(&outgoing), Arc::clone(&shared), start.timeout);
        // From here on whoever drops it ends the threads.
        let name = start.name.to_owned();
        let host = Arc::new(Self { name: name.clone(), shared, outgoing, next });
        spawn("helper-writer", Box::new(move || writer.run())).map_err(not_started)?;
        let read = Box::new(move || reading.read_all(&name, ours, process, timeout));
        spawn("helper-reader", read).map_err(not_started)?;
        Ok(host)
    }

    /// Whether it can take messages.
    pub(super) fn is_alive(&self) -> bool {
        self.shared.lock().ended.is_none()
    }

    /// How many messages it has.
    pub(super) fn load(&self) -> usize {
        self.shared.lock().streams.len()
    }

    /// Whether it owes an answer and has said nothing for a while.
    pub(super) fn is_silent(&self) -> bool {
        self.shared.hangs(SILENCE)
    }

    /// Has the helper work on the message of a pipe.
    pub(super) async fn run(self: Arc<Self>, message: Arc<Message>, pipe: Arc<Pipe>) -> Result<(), Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut stream = Stream { host: &self, number, taken: 0, is_there: false };
        self.shared.lock().streams.insert(number, Mailbox::default());
        let first = pipe.next_piece(Piece::default(), PUSH).await?;
        let told = frames::write_message(&message, &pipe.bound());
        let flow = match first {
            Some(piece) if !pipe.is_at_end() => stream.pass_in_pieces(&told, piece, &pipe).await?,
            whole => stream.pass_whole(&told, whole.unwrap_or_default(), &pipe).await?,
        };
        drop(stream);
        if flow == Flow::Pass { pipe.pass().await } else { Ok(()) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        log::debug!(target: "pop3d::transform", "transform {}: a helper process is let go", self.name);
        self.outgoing.close();
        // It ends by itself; the reader reaps it, and kills it where it does not.
        let _ = self.shared.socket.shutdown(Shutdown::Both);
    }
}

/// A message in a helper. Dropping it closes it there.
struct Stream<'host> {
    host: &'host Host,
    number: u32,
    /// Frames of output that were taken and of which the helper was not told.
    taken: usize,
    /// The helper has begun it, as far as is known, and not closed it.
    is_there: bool,
}

impl Stream<'_> {
    /// Has all of a message pass by one call: most are short, and each call costs two switches of processes.
    async fn pass_whole(&mut self, told: &[u8], piece: Piece, pipe: &Pipe) -> Result<Flow, Error> {
        let (flow, is_unread) = self.call(Kind::Whole, told, &piece, pipe).await?;
        if is_unread {
            pipe.give_back(piece);
        }
        Ok(flow)
    }

    /// Has a message pass as it comes.
    async fn pass_in_pieces(&mut self, told: &[u8], mut piece: Piece, pipe: &Pipe) -> Result<Flow, Error> {
        let (mut flow, _) = self.call(Kind::Open, told, &Piece::default(), pipe).await?;
        if flow != Flow::More {
            pipe.give_back(std::mem::take(&mut piece));
        }
        while flow == Flow::More {
            (flow, _) = self.call(Kind::Push, &[], &piece, pipe).await?;
            if flow != Flow::More {
                break;
            }
            pipe.room().await?;
            match pipe.next_piece(piece, PUSH).await? {
                Some(next) => piece = next,
                None => break,
            }
        }
        self.call(Kind::Finish, &[], &Piece::default(), pipe).await?;
        Ok(flow)
    }

    /// Asks for something, and passes on what comes until the answer. What is to be done, and whether octets that went
    /// along were not looked at.
    async fn call(
        &mut self,
        kind: Kind,
        told: &[u8],
        piece: &Piece,
        pipe: &Pipe,
    ) -> Result<(Flow, bool), Error> {
        self.ask();
        self.send(kind, told, piece).inspect_err(|_| pipe.excuse())?;
        let (mut answer, mut owed) = (None, 0);
        loop {
            if owed == 0
                && let Some(answered) = answer
            {
                self.is_there &= !matches!(kind, Kind::Whole | Kind::Finish);
                return Ok(answered);
            }
            let frame = poll_fn(|context| self.poll(context.waker(), pipe)).await?;
            match frame.kind {
                Kind::Output => {
                    pipe.give(frame.payload).await?;
                    if let Some(spare) = pipe.reclaim() {
                        self.host.shared.lock().spare = spare;
                    }
                    self.taken += 1;
                    if answer.is_some() {
                        owed -= 1;
                    }
                }
                Kind::Answer if answer.is_none() => {
                    let nonsense = || Error::Crashed("its helper process answered nonsense".to_owned());
                    let Answer { result, is_unread, owed: more, spent } =
                        frames::read_answer(&frame.payload).ok_or_else(nonsense)?;
                    pipe.charge(spent);
                    self.host.shared.lock().charged += spent;
                    self.is_there &= result.is_ok();
                    (answer, owed) = (Some((result?, is_unread)), more);
                }
                _ => return Err(Error::Crashed("its helper process said nonsense".to_owned())),
            }
            // What it keeps comes once it knows. Else the next call tells, if there is one.
            if answer.is_some() && owed > 0 && self.taken > 0 {
                let taken = frames::write_taken(std::mem::take(&mut self.taken));
                self.send(Kind::Taken, &taken, &Piece::default())?;
            }
        }
    }

    /// Sends a frame of two parts, and before it how much was taken. Where nobody reads any more, the mailbox tells why.
    fn send(&mut self, kind: Kind, told: &[u8], piece: &Piece) -> Result<(), Error> {
        let too_long = |_| Error::Limit("a frame");
        let mut head = Vec::new();
        if self.taken > 0 {
            let taken = frames::write_taken(std::mem::take(&mut self.taken));
            head.extend_from_slice(&frames::head(self.number, Kind::Taken, taken.len()).map_err(too_long)?);
            head.extend_from_slice(&taken);
        }
        let length = told.len() + piece.len();
        head.extend_from_slice(&frames::head(self.number, kind, length).map_err(too_long)?);
        head.extend_from_slice(told);
        match piece {
            Piece::Octets(octets) => self.host.outgoing.send(&head, octets),
            Piece::Extent(extent) => self.host.outgoing.send_extent(&head, extent).map_err(|unread| {
                if matches!(unread, Unread::Unsent(_)) {
                    self.take_back(kind);
                }
                let (Unread::Unsent(error) | Unread::SentAsZeros(error)) = unread;
                Error::Temporary(format!("the message: {error}"))
            })?,
        }
        Ok(())
    }

    /// An answer is owed from here on.
    fn ask(&mut self) {
        self.is_there = true;
        if let Some(mailbox) = self.host.shared.lock().streams.get_mut(&self.number) {
            mailbox.asked.push_back(Instant::now());
        }
    }

    /// No answer comes to a call that the helper never hears of.
    fn take_back(&mut self, kind: Kind) {
        self.is_there = kind != Kind::Whole;
        if let Some(mailbox) = self.host.shared.lock().streams.get_mut(&self.number) {
            mailbox.asked.pop_back();
        }
    }

    fn poll(&self, waker: &Waker, pipe: &Pipe) -> Poll<Result<Frame, Error>> {
        let mut state = self.host.shared.lock();
        let Some(mailbox) = state.streams.get_mut(&self.number) else {
            return Poll::Ready(Err(Error::Crashed("its message is gone".to_owned())));
        };
        if let Some(frame) = mailbox.frames.pop_front() {
            return Poll::Ready(Ok(frame));
        }
        mailbox.waiting = Some(waker.clone());
        let Some(end) = &mut state.ended else { return Poll::Pending };
        let (error, is_first) = end.fail();
        drop(state);
        if !is_first {
            pipe.excuse();
        }
        Poll::Ready(Err(error))
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // From here on the helper is watched until it has answered: a plugin may never return from closing it.
        self.host.shared.lock().close(self.number, self.is_there);
        if self.is_there {
            self.taken = 0;
            // It has no payload that could be too long.
            let _ = self.send(Kind::Close, &[], &Piece::default());
        }
    }
}

/// What a thread does.
type Work = Box<dyn FnOnce() + Send>;

fn spawn(name: &str, work: Work) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` has it")]
fn not_started(error: io::Error) -> Unstarted {
    Unstarted::OfServer(format!("its helper process cannot be started: {error}"))
}

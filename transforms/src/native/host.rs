//! The server's side of helper processes: watched, and killed when they hang. When one is started, `slots.rs` says.
//!
//! Each has three threads here: one reads what it says, one writes what its socket did not take at once, one reads its
//! log. A message is a task that waits for its answers. Who begins it sends the first call, and the thread that reads
//! the answer goes on with it, so that it is handed over as seldom as can be. None of that waits, but for the disk.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io::{self, IoSliceMut, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use pop3d_core::transform::{Error, Flow, Message};

use super::frames::{self, Answer, Frame, Kind, WINDOW};
use super::incoming::Incoming;
use super::launch::{Process, Start, launch, load};
use super::outgoing::{Outgoing, Unread};
use super::words;
use crate::pool_stream::{Piece, Pipe, go_on_here};

/// Octets of a message that are pushed at once, where they are in a file: so many that what becomes of them leaves room in the
/// pipe, and the next push is on its way before the worker has taken that.
const PUSH: usize = 60 * 1024;

/// How often a helper that works is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A helper process with one plugin.
pub(super) struct Host {
    name: String,
    shared: Arc<Shared>,
    outgoing: Arc<Outgoing>,
    /// The number of the next message.
    next: Arc<AtomicU32>,
}

struct Shared {
    socket: UnixStream,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    streams: HashMap<u32, Mailbox>,
    /// Why the process has ended.
    ended: Option<Error>,
    /// When it last said something.
    heard: Option<Instant>,
    /// Its processor time, as far as it has told which message that was for.
    charged: Duration,
    /// What its output may be read into.
    spare: Vec<u8>,
}

/// What a message has been told: a few frames, for the helper keeps the rest of its output until these are taken.
#[derive(Default)]
struct Mailbox {
    frames: VecDeque<Frame>,
    waiting: Option<Waker>,
    /// Since when an answer is owed.
    asked: Option<Instant>,
    /// Nobody wants the message any more. It stays here until the helper has answered: one that never does hangs.
    is_closed: bool,
}

impl Host {
    /// Starts a helper, and waits until it has loaded its plugin.
    ///
    /// # Errors
    /// Why it has not, as a sentence.
    pub(super) fn start(start: &Start<'_>) -> Result<Arc<Self>, String> {
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
    ) -> Result<Arc<Self>, String> {
        let next = Arc::new(AtomicU32::new(1));
        if let Some(stderr) = process.stderr() {
            let (name, begun) = (start.name.to_owned(), Arc::clone(&next));
            let log = Box::new(move || words::log(&name, stderr, &begun));
            spawn("helper-log", log).map_err(not_started)?;
        }
        if let Err(what) = load(&ours, start) {
            let status = process.end(Duration::ZERO);
            return Err(
                what.unwrap_or_else(|| format!("its helper process ended while it loaded it: {status}"))
            );
        }
        let socket = ours.try_clone().map_err(not_started)?;
        let shared = Arc::new(Shared { socket, state: Mutex::default() });
        let outgoing = Arc::new(Outgoing::new(ours.try_clone().map_err(not_started)?));
        let (writer, reading, timeout) = (Arc::clone(&outgoing), Arc::clone(&shared), start.timeout);
        // From here on whoever drops it ends the threads.
        let host = Arc::new(Self { name: start.name.to_owned(), shared, outgoing, next });
        spawn("helper-writer", Box::new(move || writer.run())).map_err(not_started)?;
        let read = Box::new(move || reading.read_all(ours, process, timeout));
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

    /// Has the helper work on the message of a pipe.
    pub(super) async fn run(self: Arc<Self>, message: Arc<Message>, pipe: Arc<Pipe>) -> Result<(), Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut stream = Stream { host: &self, number, taken: 0, is_over: false };
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
    /// It has ended: the helper has closed it too.
    is_over: bool,
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
        self.ask(Some(Instant::now()));
        self.send(kind, told, piece)?;
        let (mut answer, mut owed) = (None, 0);
        loop {
            if owed == 0
                && let Some(answered) = answer
            {
                self.is_over |= matches!(kind, Kind::Whole | Kind::Finish);
                return Ok(answered);
            }
            let frame = poll_fn(|context| self.poll(context.waker())).await?;
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
                    self.is_over |= result.is_err();
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
                    // No answer comes to what it never hears of.
                    self.ask(None);
                }
                let (Unread::Unsent(error) | Unread::SentAsZeros(error)) = unread;
                Error::Temporary(format!("the message: {error}"))
            })?,
        }
        Ok(())
    }

    /// Since when an answer is owed.
    fn ask(&self, asked: Option<Instant>) {
        if let Some(mailbox) = self.host.shared.lock().streams.get_mut(&self.number) {
            mailbox.asked = asked;
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<Frame, Error>> {
        let mut state = self.host.shared.lock();
        let ended = state.ended.clone();
        let Some(mailbox) = state.streams.get_mut(&self.number) else {
            return Poll::Ready(Err(Error::Crashed("its message is gone".to_owned())));
        };
        if let Some(frame) = mailbox.frames.pop_front() {
            return Poll::Ready(Ok(frame));
        }
        if let Some(error) = ended {
            return Poll::Ready(Err(error));
        }
        mailbox.waiting = Some(waker.clone());
        Poll::Pending
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.host.shared.lock().close(self.number);
        if !self.is_over {
            self.taken = 0;
            // It has no payload that could be too long.
            let _ = self.send(Kind::Close, &[], &Piece::default());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the helper ends, hangs, or is let go; then reaps it.
    fn read_all(&self, socket: UnixStream, process: Process, timeout: Duration) {
        let why = match socket.set_read_timeout(Some(LOOK)) {
            Ok(()) => self.read_frames(socket, timeout),
            Err(error) => Ok(error.to_string()),
        };
        let charged = self.lock().charged;
        let status = process.end(charged);
        let mut state = self.lock();
        state.ended = Some(match why {
            Ok(why) => Error::Crashed(format!("its helper process ended: {why}{status}")),
            Err(error) => error,
        });
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
        let mut from = Incoming::new(patient);
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

    /// Puts a frame where it belongs; who is to be woken for it.
    ///
    /// # Errors
    /// It is one too many.
    fn deliver(&self, frame: Frame) -> Result<Option<Waker>, TooMany> {
        let mut state = self.lock();
        // What a closed message still had on the way is for nobody.
        let Some(mailbox) = state.streams.get_mut(&frame.stream) else { return Ok(None) };
        let is_answer = frame.kind == Kind::Answer;
        if mailbox.is_closed {
            // That it writes on and on is no sign of life.
            if is_answer {
                state.streams.remove(&frame.stream);
                state.heard = Some(Instant::now());
            }
            return Ok(None);
        }
        // The answer comes beside what is in the window.
        if mailbox.frames.len() > WINDOW {
            return Err(TooMany);
        }
        if is_answer {
            mailbox.asked = None;
        }
        mailbox.frames.push_back(frame);
        let waiting = mailbox.waiting.take();
        state.heard = Some(Instant::now());
        Ok(waiting)
    }

    /// Whether an answer is owed and nothing at all was heard for too long.
    fn hangs(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let oldest = state.streams.values().filter_map(|mailbox| mailbox.asked).min();
        let since = oldest.map(|asked| state.heard.map_or(asked, |heard| heard.max(asked)));
        since.is_some_and(|since| since.elapsed() > timeout)
    }
}

/// A helper has sent more than it may.
struct TooMany;

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

impl State {
    /// Nobody wants a message any more.
    fn close(&mut self, number: u32) {
        let Some(mailbox) = self.streams.get_mut(&number) else { return };
        if mailbox.asked.is_none() {
            self.streams.remove(&number);
            return;
        }
        mailbox.is_closed = true;
        mailbox.waiting = None;
        mailbox.frames = VecDeque::new();
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

/// What a thread does.
type Work = Box<dyn FnOnce() + Send>;

fn spawn(name: &str, work: Work) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` has it")]
fn not_started(error: io::Error) -> String {
    format!("its helper process cannot be started: {error}")
}

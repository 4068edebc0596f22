//! The server's side of helper processes: started when they are needed, watched, killed when they hang, and started
//! again, ever later, when they die.
//!
//! Each has three threads here: one reads what it says, one writes to it, one reads its log. A message is a task that
//! waits for its answers; nothing here is called by a worker.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use pop3d_core::transform::{Error, Flow, Message};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, WaitId, WaitIdOptions, prlimit, waitid};

use super::frames::{self, Answer, Frame, Kind, WINDOW};
use super::words;
use crate::pool_stream::Pipe;
use crate::process::charge_beyond;
use crate::record::Record;

/// The argument that makes this program a helper.
pub const ARGUMENT: &str = "--plugin-host";

/// How long a helper may take to load its plugin.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// How often a helper that works is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long a helper that has closed its socket may take to end.
const LAST_MOMENT: Duration = Duration::from_millis(50);

/// Descriptors of a helper.
const DESCRIPTORS: u64 = 64;

/// A helper process with one plugin.
pub(super) struct Host {
    name: String,
    shared: Arc<Shared>,
    /// None once the host is dropped.
    frames: Sender<Frame>,
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

/// What a helper is started with.
pub(super) struct Start<'start> {
    pub(super) name: &'start str,
    pub(super) options: &'start [(String, String)],
    pub(super) library: &'start [u8],
    /// What its processor time is added to, once it has ended.
    pub(super) record: &'start Arc<Record>,
    /// Address space in octets.
    pub(super) memory: Option<u64>,
    /// Longest time of one call.
    pub(super) timeout: Duration,
}

impl Host {
    /// Starts a helper, and waits until it has loaded its plugin.
    ///
    /// # Errors
    /// Why it has not, as a sentence.
    pub(super) fn start(start: &Start<'_>) -> Result<Arc<Self>, String> {
        let failed = |error: io::Error| format!("its helper process cannot be started: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let next = Arc::new(AtomicU32::new(1));
        let mut child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pid = Pid::from_child(&child);
        limit(pid, start.memory);
        if let Some(stderr) = child.stderr.take() {
            let (name, begun) = (start.name.to_owned(), Arc::clone(&next));
            spawn("helper-log", move || words::log(&name, stderr, &begun)).map_err(failed)?;
        }
        if let Err(what) = load(&ours, start) {
            let status = end(&mut child, start.record, Duration::ZERO);
            return Err(
                what.unwrap_or_else(|| format!("its helper process ended while it loaded it: {status}"))
            );
        }
        let socket = ours.try_clone().map_err(failed)?;
        let shared = Arc::new(Shared { socket, state: Mutex::default() });
        let (frames, receiver) = channel();
        let writer = ours.try_clone().map_err(failed)?;
        spawn("helper-writer", move || write_all(writer, &receiver)).map_err(failed)?;
        let (reading, timeout, record) = (Arc::clone(&shared), start.timeout, Arc::clone(start.record));
        spawn("helper-reader", move || reading.read_all(ours, child, timeout, &record)).map_err(failed)?;
        Ok(Arc::new(Self { name: start.name.to_owned(), shared, frames, next }))
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
        let stream = Stream { host: &self, number };
        self.shared.lock().streams.insert(number, Mailbox::default());
        let mut flow =
            stream.call(Kind::Open, frames::write_message(&message, pipe.max_output()), &pipe).await?;
        while flow == Flow::More {
            pipe.room().await?;
            let Some(chunk) = pipe.next().await? else { break };
            flow = stream.call(Kind::Push, chunk, &pipe).await?;
        }
        stream.call(Kind::Finish, Vec::new(), &pipe).await?;
        drop(stream);
        if flow == Flow::Pass { pipe.pass().await } else { Ok(()) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        log::debug!(target: "pop3d::transform", "transform {}: a helper process is let go", self.name);
        // It ends by itself; the reader reaps it, and kills it where it does not.
        let _ = self.shared.socket.shutdown(Shutdown::Both);
    }
}

/// A message in a helper. Dropping it closes it there.
struct Stream<'host> {
    host: &'host Host,
    number: u32,
}

impl Stream<'_> {
    /// Asks for something, and passes on what comes until the answer.
    async fn call(&self, kind: Kind, payload: Vec<u8>, pipe: &Pipe) -> Result<Flow, Error> {
        {
            let mut state = self.host.shared.lock();
            if let Some(mailbox) = state.streams.get_mut(&self.number) {
                mailbox.asked = Some(Instant::now());
            }
        }
        // Where nobody writes any more, the mailbox tells why.
        let _ = self.host.frames.send(Frame::new(self.number, kind, payload));
        let (mut answer, mut owed) = (None, 0);
        loop {
            if owed == 0
                && let Some(flow) = answer
            {
                return Ok(flow);
            }
            let frame = poll_fn(|context| self.poll(context.waker())).await?;
            match frame.kind {
                Kind::Output => {
                    pipe.write(&frame.payload).await?;
                    let _ = self.host.frames.send(Frame::new(self.number, Kind::Taken, Vec::new()));
                    if answer.is_some() {
                        owed -= 1;
                    }
                }
                Kind::Answer if answer.is_none() => {
                    let nonsense = || Error::Crashed("its helper process answered nonsense".to_owned());
                    let Answer { result, owed: more, spent } =
                        frames::read_answer(&frame.payload).ok_or_else(nonsense)?;
                    pipe.charge(spent);
                    self.host.shared.lock().charged += spent;
                    (answer, owed) = (Some(result?), more);
                }
                _ => return Err(Error::Crashed("its helper process said nonsense".to_owned())),
            }
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
        let _ = self.host.frames.send(Frame::new(self.number, Kind::Close, Vec::new()));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the helper ends, hangs, or is let go; then reaps it.
    fn read_all(&self, socket: UnixStream, mut child: Child, timeout: Duration, record: &Record) {
        let why = match socket.set_read_timeout(Some(LOOK)) {
            Ok(()) => self.read_frames(socket, timeout),
            Err(error) => Ok(error.to_string()),
        };
        let charged = self.lock().charged;
        let status = end(&mut child, record, charged);
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
        let mut from = Patient { socket, shared: self, timeout, looked: Instant::now() };
        loop {
            match Frame::read(&mut from) {
                Ok(frame) => {
                    if !self.deliver(frame) {
                        return Ok("it says more than it was asked for; ".to_owned());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(String::new()),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Error::TimedOut(timeout));
                }
                Err(error) => return Ok(format!("{error}; ")),
            }
        }
    }

    /// Puts a frame where it belongs; false: it is one too many.
    fn deliver(&self, frame: Frame) -> bool {
        let mut state = self.lock();
        // What a closed message still had on the way is for nobody.
        let Some(mailbox) = state.streams.get_mut(&frame.stream) else { return true };
        let is_answer = frame.kind == Kind::Answer;
        if mailbox.is_closed {
            // That it writes on and on is no sign of life.
            if is_answer {
                state.streams.remove(&frame.stream);
                state.heard = Some(Instant::now());
            }
            return true;
        }
        // The answer comes beside what is in the window.
        if mailbox.frames.len() > WINDOW {
            return false;
        }
        if is_answer {
            mailbox.asked = None;
        }
        mailbox.frames.push_back(frame);
        let waiting = mailbox.waiting.take();
        state.heard = Some(Instant::now());
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
        true
    }

    /// Whether an answer is owed and nothing at all was heard for too long.
    fn hangs(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let oldest = state.streams.values().filter_map(|mailbox| mailbox.asked).min();
        let since = oldest.map(|asked| state.heard.map_or(asked, |heard| heard.max(asked)));
        since.is_some_and(|since| since.elapsed() > timeout)
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

impl io::Read for Patient<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = self.socket.read(room);
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

/// Tells a helper what to load, and hears whether it has.
///
/// # Errors
/// Why it has not; none: it has ended.
fn load(socket: &UnixStream, start: &Start<'_>) -> Result<(), Option<String>> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => None,
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Some(format!("its helper process did not load it within {LOAD_LIMIT:?}"))
        }
        _ => Some(format!("its helper process did not load it: {error}")),
    };
    socket.set_read_timeout(Some(LOAD_LIMIT)).map_err(failed)?;
    socket.set_write_timeout(Some(LOAD_LIMIT)).map_err(failed)?;
    let mut socket = socket;
    let payload = frames::write_load(start.name, start.options, start.library);
    Frame::new(0, Kind::Load, payload).write(&mut socket).map_err(failed)?;
    let answer = Frame::read(&mut socket).map_err(failed)?;
    socket.set_write_timeout(None).map_err(failed)?;
    match answer.kind {
        Kind::Loaded => Ok(()),
        _ => Err(Some(String::from_utf8_lossy(&answer.payload).into_owned())),
    }
}

fn write_all(mut socket: UnixStream, frames: &Receiver<Frame>) {
    for frame in frames {
        // The reader notices that it has gone.
        if frame.write(&mut socket).is_err() {
            return;
        }
    }
}

fn limit(pid: Pid, memory: Option<u64>) {
    let set = |resource, limit| {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        if let Err(error) = prlimit(Some(pid), resource, limit) {
            log::warn!(target: "pop3d::transform", "a limit of a helper process cannot be set: {error}");
        }
    };
    set(Resource::Nofile, DESCRIPTORS);
    set(Resource::Core, 0);
    if let Some(memory) = memory {
        set(Resource::As, memory);
    }
}

/// Ends a helper for good; its status. `charged`: what of its processor time was counted before.
fn end(child: &mut Child, record: &Record, charged: Duration) -> String {
    // Looked at and not reaped, which is done below, and by nobody else.
    let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let id = || WaitId::Pid(Pid::from_child(child));
    // One that crashes has closed its socket a moment before it has a status.
    let until = Instant::now() + LAST_MOMENT;
    while matches!(waitid(id(), seen | WaitIdOptions::NOHANG), Ok(None)) && Instant::now() < until {
        thread::yield_now();
    }
    let is_gone = matches!(waitid(id(), seen | WaitIdOptions::NOHANG), Ok(Some(_)));
    if !is_gone {
        // It may have gone just then.
        let _ = child.kill();
    }
    while let Err(Errno::INTR) = waitid(WaitId::Pid(Pid::from_child(child)), seen) {}
    let status = charge_beyond(charged, record, || child.try_wait());
    status.ok().flatten().map_or_else(String::new, |status| status.to_string())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

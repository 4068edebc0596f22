//! Drives streams as a worker does: one poll loop, streams that are looked at when they were woken.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use pop3d_core::pool::Pool;
use pop3d_core::transform::{Command, Error, Message, Reactor, Read, Stream, Transform, Wake};
use pop3d_transforms::process::Process;
use pop3d_transforms::resources::Resources;
use pop3d_transforms::spec::{CommandLine, ProcessSpec};

/// No test takes as long on any machine. What takes longer stands still.
const PATIENCE: Duration = Duration::from_secs(120);

/// The token of wakes from other threads.
const BELL: Token = Token(0);

/// A worker's loop.
pub(crate) struct Loop {
    poll: Poll,
    bell: Arc<Waker>,
    doors: Arc<Doors>,
    pub(crate) resources: Resources,
}

/// Registered descriptors.
pub(crate) struct Doors {
    registry: Registry,
    next: AtomicUsize,
    known: Mutex<HashMap<Token, (RawFd, Wake)>>,
}

/// One message on its way through a transform.
pub(crate) struct Delivery {
    stream: Option<Box<dyn Stream>>,
    input: Input,
    finished: bool,
    woken: Arc<AtomicBool>,
    chunk: usize,
    pub(crate) output: Vec<u8>,
    /// Octets of output, kept or not.
    pub(crate) produced: u64,
    pub(crate) keep_output: bool,
    pub(crate) outcome: Option<Result<(), Error>>,
    pub(crate) failed_link: usize,
    /// The client takes no more once it has had so many octets.
    pub(crate) stalls_at: u64,
}

/// How the cursor hands a message over.
pub(crate) enum Input {
    /// As a file, where the stream takes it; else it is fed from there.
    File(File, u64),
    Fed(Vec<u8>, usize),
    Taken,
}

impl Reactor for Doors {
    fn register(&self, descriptor: RawFd, interest: Interest, wake: Wake) -> io::Result<Token> {
        let token = Token(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        self.registry.register(&mut SourceFd(&descriptor), token, interest)?;
        self.known.lock().expect("no panic").insert(token, (descriptor, wake));
        Ok(token)
    }

    fn deregister(&self, token: Token) -> io::Result<()> {
        let known = self.known.lock().expect("no panic").remove(&token);
        let (descriptor, _) = known.ok_or(io::ErrorKind::NotFound)?;
        self.registry.deregister(&mut SourceFd(&descriptor))
    }
}

impl Loop {
    pub(crate) fn new() -> Self {
        let poll = Poll::new().expect("a poll");
        let bell = Arc::new(Waker::new(poll.registry(), BELL).expect("a waker"));
        let registry = poll.registry().try_clone().expect("a registry");
        let doors = Arc::new(Doors { registry, next: AtomicUsize::new(0), known: Mutex::default() });
        let pool = Pool::start("test", 2).expect("threads");
        let resources = Resources::new(pool, Arc::clone(&doors) as Arc<dyn Reactor>, "0.0-test");
        Self { poll, bell, doors, resources }
    }

    /// How many descriptors are registered.
    pub(crate) fn registered(&self) -> usize {
        self.doors.known.lock().expect("no panic").len()
    }

    /// A transform with every default.
    pub(crate) fn process(&self, line: &str) -> Arc<Process> {
        self.process_with(line, |_| {})
    }

    pub(crate) fn process_with(&self, line: &str, change: impl FnOnce(&mut ProcessSpec)) -> Arc<Process> {
        let mut spec = ProcessSpec::new(line, CommandLine::parse(line).expect("a command"));
        change(&mut spec);
        Arc::new(Process::new(spec, self.resources.clone()))
    }

    /// Begins a message.
    pub(crate) fn open(&self, transform: Arc<dyn Transform>, message: Message, input: Input) -> Delivery {
        let woken = Arc::new(AtomicBool::new(true));
        let (flag, bell) = (Arc::clone(&woken), Arc::clone(&self.bell));
        let wake = Wake(Arc::new(move || {
            flag.store(true, Ordering::SeqCst);
            bell.wake().expect("the loop lives");
        }));
        let octets = message.octets;
        let mut stream = transform.open(Arc::new(message), wake).expect("opens");
        stream.announce(octets);
        Delivery {
            stream: Some(stream),
            input,
            finished: false,
            woken,
            chunk: 16 * 1024,
            output: Vec::new(),
            produced: 0,
            keep_output: true,
            outcome: None,
            failed_link: 0,
            stalls_at: u64::MAX,
        }
    }

    /// Gives turns to those that were woken, until `done` says so.
    pub(crate) fn run(&mut self, deliveries: &mut [Delivery], mut done: impl FnMut(&mut [Delivery]) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(64);
        loop {
            for delivery in deliveries.iter_mut() {
                if delivery.woken.swap(false, Ordering::SeqCst) {
                    delivery.turn();
                }
            }
            if done(deliveries) {
                return;
            }
            assert!(Instant::now() < end, "stands still");
            if deliveries.iter().any(|delivery| delivery.woken.load(Ordering::SeqCst)) {
                continue;
            }
            // Not for ever, so that `done` can look at what is no descriptor.
            match self.poll.poll(&mut events, Some(Duration::from_millis(20))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => panic!("{error}"),
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                let known = self.doors.known.lock().expect("no panic");
                let wake = known.get(&event.token()).map(|(_, wake)| wake.clone());
                drop(known);
                if let Some(wake) = wake {
                    wake.wake();
                }
            }
        }
    }

    /// Runs one message to its end.
    pub(crate) fn finish(&mut self, delivery: Delivery) -> Result<Vec<u8>, Error> {
        let mut deliveries = [delivery];
        self.run(&mut deliveries, |deliveries| deliveries[0].outcome.is_some());
        let [delivery] = deliveries;
        delivery.outcome.expect("it is over").map(|()| delivery.output)
    }

    /// Sends a message through a transform as a file, to its end.
    pub(crate) fn send_file(
        &mut self,
        transform: Arc<dyn Transform>,
        octets: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let delivery = self.open(transform, message(octets.len()), Input::file(octets));
        self.finish(delivery)
    }

    /// Feeds a message to a transform in pieces, to its end.
    pub(crate) fn feed(
        &mut self,
        transform: Arc<dyn Transform>,
        octets: &[u8],
        piece: usize,
    ) -> Result<Vec<u8>, Error> {
        let delivery = self.open(transform, message(octets.len()), Input::Fed(octets.to_vec(), piece));
        self.finish(delivery)
    }

    /// Waits until no child is left.
    pub(crate) fn wait_for_children(&mut self) {
        let children = Arc::clone(&self.resources.children);
        self.run(&mut [], |_| children.count() == 0);
    }
}

impl Delivery {
    /// As much as goes, as the cursor does it.
    fn turn(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        if let Err(error) = self.exchange() {
            self.failed_link = self.stream.as_ref().map_or(0, |stream| stream.failed_link());
            self.outcome = Some(Err(error));
            self.stream = None;
        }
    }

    fn exchange(&mut self) -> Result<(), Error> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if let Input::File(file, octets) = &self.input {
            if stream.take_file(file).expect("a descriptor") {
                self.input = Input::Taken;
                self.finished = true;
            } else {
                let mut content = vec![0; usize::try_from(*octets).expect("small")];
                file.read_exact_at(&mut content, 0).expect("readable");
                self.input = Input::Fed(content, self.chunk);
            }
        }
        let mut room = vec![0; self.chunk];
        loop {
            let mut moved = false;
            if let Input::Fed(octets, piece) = &mut self.input {
                while !octets.is_empty() {
                    let count = stream.write(&octets[..octets.len().min(*piece)])?;
                    if count == 0 {
                        break;
                    }
                    octets.drain(..count);
                    moved = true;
                }
                if octets.is_empty() && !self.finished {
                    self.finished = true;
                    stream.finish()?;
                }
            }
            while self.produced < self.stalls_at {
                match stream.read(&mut room)? {
                    Read::Data(count) => {
                        assert!(count > 0, "no octets are no data");
                        self.produced += count as u64;
                        if self.keep_output {
                            self.output.extend_from_slice(&room[..count]);
                        }
                        moved = true;
                    }
                    Read::Pending => break,
                    Read::End => {
                        self.outcome = Some(Ok(()));
                        self.stream = None;
                        return Ok(());
                    }
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// The client takes again.
    pub(crate) fn resume(&mut self) {
        self.stalls_at = u64::MAX;
        self.woken.store(true, Ordering::SeqCst);
    }

    /// The client has gone.
    pub(crate) fn cancel(&mut self) {
        self.stream = None;
    }
}

impl Input {
    pub(crate) fn file(octets: &[u8]) -> Self {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(octets).expect("written");
        Self::File(file, octets.len() as u64)
    }
}

/// A message of that size, of a user whose name can be found in the log.
pub(crate) fn message(octets: usize) -> Message {
    Message {
        user: "alice".to_owned(),
        number: 7,
        octets: octets as u64,
        uid: "uid-7".to_owned(),
        command: Command::Retr,
        remote: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    }
}

/// Octets of every value, with line ends and dots, that do not repeat soon.
pub(crate) fn octets(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        match state % 11 {
            0 => b'\n',
            1 => b'\r',
            2 => b'.',
            3 => 0,
            _ => (state >> 24) as u8,
        }
    };
    (0..count).map(next).collect()
}

/// The state letter of a process, or none where there is none.
pub(crate) fn process_state(pid: u32) -> Option<char> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses, and may have some of its own.
    status.rsplit_once(") ")?.1.chars().next()
}

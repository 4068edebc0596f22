//! Messages on their way through chains without a server and without clients, for who writes a filter and for
//! measurements. Streams are driven as a worker drives them, by the pump that the RETR cursor has.
//!
//! Not here: line ends and byte-stuffing, which come behind the last transform.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::{Events, Poll, Waker};

use crate::reactor::WorkerReactor;
use crate::retr::{Cut, Pump, read_at};
use crate::store::Source;
use crate::token::Place;
use crate::transform::{Chain, Error, Message, Reactor, Read, Wake};

/// Octets of output that are taken at once.
const SCRATCH: usize = 64 * 1024;

/// Octets taken of one message before the others get their turn.
const SHARE: usize = 256 * 1024;

/// Events taken at once.
const EVENTS: usize = 256;

/// One loop, in the thread that calls it.
pub struct Offline {
    poll: Poll,
    reactor: Arc<WorkerReactor>,
    bell: Arc<Bell>,
}

/// Wakes the loop from other threads, where it waits.
struct Bell {
    waker: Waker,
    /// Whether the loop will look at its messages before it waits, so that the bell may stay silent.
    awake: AtomicBool,
}

/// A message that is to pass.
pub struct Errand {
    /// What through; none: it is read as it is.
    pub chain: Option<Arc<Chain>>,
    /// Its file.
    pub source: Source,
    /// What the transforms are told of it.
    pub message: Arc<Message>,
}

/// Who gives messages and takes what becomes of them. Each is in a slot, less than `at_once`, until it has ended.
pub trait Work {
    /// The message for a slot that is free; none: there are no more.
    fn next(&mut self, slot: usize) -> Option<Errand>;

    /// The next octets of its output.
    fn take(&mut self, slot: usize, octets: &[u8]);

    /// It is over.
    fn end(&mut self, slot: usize, result: Result<(), Failure>);
}

/// Why a message did not pass.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A link of the chain failed.
    Transform {
        /// Which one, from 0.
        link: usize,
        /// Why.
        error: Error,
    },
    /// Its file cannot be read to its end; why.
    Message(String),
}

/// A message under way.
struct Passage {
    source: Source,
    way: Way,
    /// It may be able to go on.
    woken: Arc<AtomicBool>,
}

/// Where the next octets come from.
enum Way {
    Chain(Box<Pump>),
    /// The file, from this offset.
    File(u64),
}

/// How far a turn came.
enum Turn {
    /// The chain has nothing at the moment: its `Wake` will ring.
    Pending,
    Unfinished,
    Ended,
}

impl Offline {
    /// A loop with nothing to do.
    ///
    /// # Errors
    /// Where the kernel gives no event queue.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let reactor = Arc::new(WorkerReactor::new(std::iter::once(poll.registry()))?);
        let waker = Waker::new(poll.registry(), Place::Bell.token())?;
        Ok(Self { poll, reactor, bell: Arc::new(Bell { waker, awake: AtomicBool::new(true) }) })
    }

    /// Where process streams register their descriptors.
    #[must_use]
    pub fn reactor(&self) -> Arc<dyn Reactor> {
        Arc::clone(&self.reactor) as Arc<dyn Reactor>
    }

    /// Has messages pass, `at_once` at most at the same time, until there are no more.
    ///
    /// # Errors
    /// Where the kernel refuses to wait for events.
    pub fn run(&mut self, at_once: usize, work: &mut dyn Work) -> io::Result<()> {
        let mut slots: Vec<Option<Passage>> = (0..at_once.max(1)).map(|_| None).collect();
        let mut scratch = vec![0; SCRATCH];
        let mut events = Events::with_capacity(EVENTS);
        let mut has_more = true;
        loop {
            for (slot, place) in slots.iter_mut().enumerate() {
                self.step(slot, place, &mut has_more, &mut scratch, work);
            }
            let is_free = slots.iter().any(Option::is_none);
            if !has_more && slots.iter().all(Option::is_none) {
                return Ok(());
            }
            self.bell.awake.store(false, Ordering::SeqCst);
            let is_woken = |place: &Passage| place.woken.load(Ordering::SeqCst);
            let has_work = (has_more && is_free) || slots.iter().flatten().any(is_woken);
            let polled = self.poll.poll(&mut events, has_work.then_some(Duration::ZERO));
            self.bell.awake.store(true, Ordering::SeqCst);
            match polled {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                if let Place::Source(worker, key) = Place::of(event.token()) {
                    self.reactor.handle_event(worker, key);
                }
            }
        }
    }

    /// Gives a slot its turn.
    fn step(
        &self,
        slot: usize,
        place: &mut Option<Passage>,
        has_more: &mut bool,
        scratch: &mut [u8],
        work: &mut dyn Work,
    ) {
        if place.is_none() && *has_more {
            let Some(errand) = work.next(slot) else {
                *has_more = false;
                return;
            };
            match self.begin(errand) {
                Ok(passage) => *place = Some(passage),
                Err(cut) => work.end(slot, Err(cut.into())),
            }
        }
        let Some(passage) = place else { return };
        if !passage.woken.swap(false, Ordering::SeqCst) {
            return;
        }
        let result = match passage.turn(scratch, &mut |octets| work.take(slot, octets)) {
            Ok(Turn::Pending) => return,
            Ok(Turn::Unfinished) => return passage.woken.store(true, Ordering::SeqCst),
            Ok(Turn::Ended) => Ok(()),
            Err(cut) => Err(cut.into()),
        };
        *place = None;
        work.end(slot, result);
    }

    fn begin(&self, errand: Errand) -> Result<Passage, Cut> {
        let Errand { chain, source, message } = errand;
        let woken = Arc::new(AtomicBool::new(true));
        let way = match chain {
            None => Way::File(0),
            Some(chain) => {
                let (flag, bell) = (Arc::clone(&woken), Arc::clone(&self.bell));
                let wake = Wake(Arc::new(move || {
                    flag.store(true, Ordering::SeqCst);
                    bell.ring();
                }));
                Way::Chain(Box::new(Pump::start(&chain, &source, &message, wake)?))
            }
        };
        Ok(Passage { source, way, woken })
    }
}

impl Bell {
    fn ring(&self) {
        if !self.awake.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            log::error!(target: "pop3d::transform", "the loop cannot be woken: {error}");
        }
    }
}

impl Passage {
    fn turn(&mut self, scratch: &mut [u8], take: &mut dyn FnMut(&[u8])) -> Result<Turn, Cut> {
        let mut share = SHARE;
        while share > 0 {
            let count = match &mut self.way {
                Way::Chain(pump) => match pump.read(&self.source, scratch)? {
                    Read::Pending => return Ok(Turn::Pending),
                    Read::Data(count) => count,
                    Read::End => match pump.passes_from() {
                        Some(offset) => {
                            self.way = Way::File(offset);
                            continue;
                        }
                        None => return Ok(Turn::Ended),
                    },
                },
                Way::File(offset) if *offset >= self.source.length => return Ok(Turn::Ended),
                Way::File(offset) => {
                    let left = usize::try_from(self.source.length - *offset).unwrap_or(usize::MAX);
                    let room = left.min(scratch.len());
                    let count = read_at(&self.source, &mut scratch[..room], *offset)?;
                    *offset += count as u64;
                    count
                }
            };
            take(&scratch[..count]);
            share = share.saturating_sub(count);
        }
        Ok(Turn::Unfinished)
    }
}

impl From<Cut> for Failure {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Transform { link, error } => Self::Transform { link, error },
            Cut::File(_) | Cut::Spool(..) | Cut::Shrunk => Self::Message(cut.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;

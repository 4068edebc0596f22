//! One loop, one thread, many sessions: connects, feeds, and measures between two moments that it announces.
//! It is cheap, for it shares the machine with the server that it measures.

mod connection;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use self::connection::{Connection, Turn};
use crate::loopback::Loopback;
use crate::session::{Common, Next, Scenario};
use crate::tally::Tally;

/// Most connections of one run: what a process may hold, with some to spare.
pub const CONNECTIONS_MAX: usize = 19_900;

/// Connections that are opened before events are looked at again.
const OPENS_PER_TURN: usize = 64;

/// Octets that are read at once; fits the cache of a core.
const READ_ROOM: usize = 256 << 10;

/// Faults after which a run is given up.
const FAULTS_MAX: u64 = 100;

/// Longest wait for an event, so that a deadline is noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// The slot of a connection in its token; the rest tells connections of the same slot apart.
const SLOT_BITS: u32 = 16;
const _: () = assert!(CONNECTIONS_MAX < 1 << SLOT_BITS, "a slot must fit");

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server.
    pub server: Loopback,
    /// Connections at once.
    pub connections: usize,
    /// The number of the first user.
    pub first_user: u32,
    /// Users, at least one for each connection: a maildrop is locked by one session.
    pub users: u32,
    /// Time between the beginning of the work and that of the measurement.
    pub warm_up: Duration,
    /// Length of the measurement; without: until every session has ended.
    pub length: Option<Duration>,
    /// Time after which the run is given up, whatever it waits for.
    pub deadline: Duration,
}

/// What a run announces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// All are logged in and warm.
    Measuring,
    /// What happens from here on is not measured.
    Measured,
}

/// Runs; what was counted, and in how long.
///
/// # Errors
/// Where the loop itself fails; a server's faults are counted instead.
pub fn run(common: &Common, load: &Load, announce: &mut dyn FnMut(Moment)) -> io::Result<(Tally, Duration)> {
    let mut swarm = Swarm::new(common, *load)?;
    let mut events = Events::with_capacity(1024);
    while !swarm.is_over() {
        let now = Instant::now();
        if now - swarm.started > load.deadline {
            swarm.tally.fault("the deadline is over");
            break;
        }
        if swarm.tally.faults > FAULTS_MAX {
            break;
        }
        swarm.advance(now, announce);
        swarm.open(now);
        swarm.wake(now);
        match swarm.poll.poll(&mut events, Some(swarm.wait(now))) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // What stopped early comes after what has waited for an event.
        let unfinished = swarm.unfinished.len();
        for event in &events {
            swarm.turn(event.token());
        }
        for _ in 0..unfinished {
            let Some(token) = swarm.unfinished.pop_front() else { break };
            swarm.turn(token);
        }
    }
    let wall = swarm.finish(announce);
    Ok((swarm.tally, wall))
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Connections log in.
    Gathering,
    /// They work; it does not count yet.
    Warming {
        until: Instant,
    },
    Measuring {
        since: Instant,
    },
    /// They end what they are at, and say QUIT.
    Leaving {
        wall: Duration,
    },
}

struct Swarm<'a> {
    common: &'a Common,
    load: Load,
    poll: Poll,
    slots: Vec<Slot<'a>>,
    /// Slots that are to be connected.
    unopened: VecDeque<usize>,
    /// Connections that have more to read.
    unfinished: VecDeque<Token>,
    /// When who has rested.
    resting: BinaryHeap<Reverse<(Instant, Token)>>,
    started: Instant,
    phase: Phase,
    /// Logged in and waiting for the others.
    ready: Vec<Token>,
    open: usize,
    room: Vec<u8>,
    tally: Tally,
}

/// A place for one connection after another.
#[derive(Default)]
struct Slot<'a> {
    connection: Option<Connection<'a>>,
    /// Connections so far.
    generation: usize,
}

impl<'a> Swarm<'a> {
    fn new(common: &'a Common, load: Load) -> io::Result<Self> {
        Ok(Self {
            common,
            load,
            poll: Poll::new()?,
            slots: (0..load.connections).map(|_| Slot::default()).collect(),
            unopened: (0..load.connections).collect(),
            unfinished: VecDeque::new(),
            resting: BinaryHeap::new(),
            started: Instant::now(),
            phase: Phase::Gathering,
            ready: Vec::new(),
            open: 0,
            room: vec![0; READ_ROOM],
            tally: Tally::default(),
        })
    }

    fn is_over(&self) -> bool {
        self.open == 0 && self.unopened.is_empty()
    }

    /// From one phase to the next, when it is time.
    fn advance(&mut self, now: Instant, announce: &mut dyn FnMut(Moment)) {
        match self.phase {
            Phase::Gathering => {
                let in_a_row = self.common.scenario.is_in_a_row();
                if in_a_row || (self.unopened.is_empty() && self.ready.len() == self.open) {
                    self.phase = Phase::Warming { until: now + self.load.warm_up };
                    if self.load.warm_up.is_zero() {
                        // Before a word is said: a run by count measures all of them.
                        self.measure(announce);
                    }
                    for token in std::mem::take(&mut self.ready) {
                        self.tell(token, |connection| connection.session.begin(Instant::now()));
                    }
                }
            }
            Phase::Warming { until } if now >= until => self.measure(announce),
            Phase::Measuring { since } if self.load.length.is_some_and(|length| now - since >= length) => {
                self.tally.measuring = false;
                self.phase = Phase::Leaving { wall: now - since };
                announce(Moment::Measured);
                self.unopened.clear();
                for slot in 0..self.slots.len() {
                    self.tell(self.token(slot), |connection| connection.session.leave(now));
                }
            }
            Phase::Warming { .. } | Phase::Measuring { .. } | Phase::Leaving { .. } => {}
        }
    }

    fn measure(&mut self, announce: &mut dyn FnMut(Moment)) {
        announce(Moment::Measuring);
        self.tally.measuring = true;
        self.phase = Phase::Measuring { since: Instant::now() };
    }

    /// How long was measured.
    fn finish(&mut self, announce: &mut dyn FnMut(Moment)) -> Duration {
        match self.phase {
            Phase::Gathering | Phase::Warming { .. } => Duration::ZERO,
            Phase::Measuring { since } => {
                let wall = since.elapsed();
                announce(Moment::Measured);
                wall
            }
            Phase::Leaving { wall } => wall,
        }
    }

    fn open(&mut self, now: Instant) {
        for _ in 0..OPENS_PER_TURN {
            let Some(slot) = self.unopened.pop_front() else { return };
            let place = &mut self.slots[slot];
            // Each slot goes through users of its own, so that no two sessions want the same maildrop.
            let rounds = (self.load.users as usize / self.load.connections).max(1);
            let offset = slot + self.load.connections * (place.generation % rounds);
            let user = self.load.first_user + u32::try_from(offset).unwrap_or_default();
            place.generation += 1;
            let token = token(slot, place.generation);
            match Connection::open(self.poll.registry(), token, self.load.server, self.common, user, now) {
                Ok(connection) => {
                    place.connection = Some(connection);
                    self.open += 1;
                }
                Err(error) => {
                    self.tally.fault(format_args!("connect: {error}"));
                    self.reopen(slot);
                }
            }
        }
    }

    /// Those that have rested speak again.
    fn wake(&mut self, now: Instant) {
        while let Some(&Reverse((due, token))) = self.resting.peek()
            && due <= now
        {
            self.resting.pop();
            let Some(connection) = find(&mut self.slots, token) else { continue };
            let turn = connection.rested(&mut self.room, &mut self.tally);
            self.conclude(token, turn);
        }
    }

    fn wait(&self, now: Instant) -> Duration {
        if !self.unfinished.is_empty() || !self.unopened.is_empty() {
            return Duration::ZERO;
        }
        let due =
            self.resting.peek().map_or(WAIT_MAX, |&Reverse((due, _))| due.saturating_duration_since(now));
        let end = match self.phase {
            Phase::Warming { until } => until.saturating_duration_since(now),
            Phase::Measuring { since } => {
                self.load.length.map_or(WAIT_MAX, |length| (since + length).saturating_duration_since(now))
            }
            Phase::Gathering | Phase::Leaving { .. } => WAIT_MAX,
        };
        due.min(end).min(WAIT_MAX)
    }

    fn token(&self, slot: usize) -> Token {
        token(slot, self.slots[slot].generation)
    }

    /// Tells a session something outside its turn.
    fn tell(&mut self, token: Token, what: impl FnOnce(&mut Connection<'a>) -> Next) {
        let Some(connection) = find(&mut self.slots, token) else { return };
        let next = what(connection);
        let turn = connection.follow(next);
        self.conclude(token, turn);
    }

    fn turn(&mut self, token: Token) {
        let Some(connection) = find(&mut self.slots, token) else { return };
        let turn = connection.turn(&mut self.room, &mut self.tally);
        self.conclude(token, turn);
    }

    fn conclude(&mut self, token: Token, turn: Turn) {
        match turn {
            Turn::Waits => {}
            Turn::Unfinished => self.unfinished.push_back(token),
            Turn::Rests(rest) => self.resting.push(Reverse((Instant::now() + rest, token))),
            Turn::Begins => match self.phase {
                Phase::Gathering => self.ready.push(token),
                Phase::Warming { .. } | Phase::Measuring { .. } | Phase::Leaving { .. } => {
                    self.tell(token, |connection| connection.session.begin(Instant::now()));
                }
            },
            Turn::Ended => self.close(token),
            Turn::Failed(why) => {
                self.tally.fault(why);
                self.close(token);
            }
        }
    }

    fn close(&mut self, token: Token) {
        let slot = slot_of(token);
        if self.slots[slot].connection.take().is_some() {
            self.open -= 1;
            self.ready.retain(|&other| other != token);
        }
        self.reopen(slot);
    }

    /// Sessions in a row follow one another in a slot; the others are over when they end.
    fn reopen(&mut self, slot: usize) {
        let scenario = self.common.scenario;
        let is_last = !scenario.is_in_a_row() || scenario == Scenario::Listing { once: true };
        if !is_last && !matches!(self.phase, Phase::Leaving { .. }) {
            self.unopened.push_back(slot);
        }
    }
}

fn token(slot: usize, generation: usize) -> Token {
    Token(slot | generation << SLOT_BITS)
}

/// The connection of a token, unless it has gone.
fn find<'s, 'a>(slots: &'s mut [Slot<'a>], token: Token) -> Option<&'s mut Connection<'a>> {
    let slot = slots.get_mut(slot_of(token))?;
    if slot.generation == token.0 >> SLOT_BITS { slot.connection.as_mut() } else { None }
}

fn slot_of(token: Token) -> usize {
    token.0 & ((1 << SLOT_BITS) - 1)
}

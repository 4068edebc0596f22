//! The time between RETR or TOP and its "+OK", where there is a transform: its output is held until it has ended
//! or there is too much to hold, so that most failures can still be told by "-ERR" (`docs/architecture.md`).

use std::sync::Arc;

use pop3d_protocol::multiline::Measure;
use pop3d_protocol::number::Octets;
use pop3d_protocol::pop3::Part;
use pop3d_protocol::top::TopLimit;

use super::pump::{Cut, Pump, fitting, read_at};
use super::spool::Spool;
use super::{RetrCursor, admit};
use crate::store::Source;
use crate::transform::{Chain, Holding, Message, OnError, Read, Transform, Wake};

/// Octets taken from the transform before other connections get their turn.
const SHARE: usize = 256 * 1024;

/// A message whose "+OK" has not been said.
pub(crate) struct Opening {
    source: Source,
    chain: Arc<Chain>,
    message: Arc<Message>,
    wake: Wake,
    holding: Holding,
    part: Part,
    attempt: Attempt,
}

/// One run of the message through the chain.
struct Attempt {
    pump: Pump,
    top: Option<TopLimit>,
    held: Held,
    measure: Measure,
    /// From where on the rest of the file is held as well; none: the chain has not passed it.
    rest: Option<u64>,
    /// All of the answer is held, and only whether the chain fails the message is waited for.
    is_complete: bool,
}

/// Output that was taken, as the transform wrote it.
enum Held {
    Memory(Vec<u8>),
    Spool(Spool),
}

/// How far an opening came.
pub(crate) enum Step {
    /// The transform has nothing more at the moment: its `Wake` will ring.
    Pending,
    /// There is more, after the other connections.
    Unfinished,
    /// "+OK" may be said, with the octets where they are known.
    Open(RetrCursor, Option<Octets>),
    /// "-ERR" is to be said.
    Refused(Cut, Arc<Chain>),
}

impl Opening {
    /// Starts the chain on a message.
    ///
    /// # Errors
    /// Where it cannot begin, and its policy is not to pass the message.
    pub(crate) fn start(
        source: Source,
        chain: Arc<Chain>,
        message: Arc<Message>,
        part: Part,
        holding: Holding,
        wake: Wake,
    ) -> Result<Result<Self, RetrCursor>, (Cut, Arc<Chain>)> {
        let mut chain = chain;
        match Attempt::begin(&mut chain, &source, &message, part, &wake) {
            Ok(Some(attempt)) => Ok(Ok(Self { source, chain, message, wake, holding, part, attempt })),
            Ok(None) => Ok(Err(RetrCursor::stored(source, part))),
            Err(cut) => Err((cut, chain)),
        }
    }

    /// Goes on. Not to be called again once it said `Open` or `Refused`.
    pub(crate) fn step(mut self: Box<Self>, scratch: &mut [u8]) -> (Step, Option<Box<Self>>) {
        let mut share = SHARE;
        loop {
            if share == 0 {
                return (Step::Unfinished, Some(self));
            }
            match self.attempt.advance(&self.source, &self.chain, &self.holding, scratch) {
                Ok(Advance::Taken(count)) => share = share.saturating_sub(count),
                Ok(Advance::Pending) => return (Step::Pending, Some(self)),
                Ok(Advance::Full) => {
                    let Attempt { pump, top, held, .. } = self.attempt;
                    let cursor = RetrCursor::held(self.source, held.into_memory(), Some(pump), None, top);
                    return (Step::Open(cursor, None), None);
                }
                Ok(Advance::Ended { passes_from }) => return (self.ended(passes_from), None),
                Err(cut) => match self.begin_anew(cut) {
                    Ok(Some(attempt)) => self.attempt = attempt,
                    Ok(None) => {
                        let octets = self.source.octets.filter(|_| self.part == Part::Whole);
                        return (Step::Open(RetrCursor::stored(self.source, self.part), octets), None);
                    }
                    Err(cut) => return (Step::Refused(cut, self.chain), None),
                },
            }
        }
    }

    /// Begins the message without the link that failed; none: no link is left, and the message itself is sent.
    ///
    /// # Errors
    /// Where the policy of that link, or of one that cannot begin it then, is another one.
    fn begin_anew(&mut self, cut: Cut) -> Result<Option<Attempt>, Cut> {
        match passing_by(&self.chain, &cut, &self.message) {
            Passing::Refuse => Err(cut),
            Passing::Original => Ok(None),
            Passing::Through(rest) => {
                self.chain = rest;
                Attempt::begin(&mut self.chain, &self.source, &self.message, self.part, &self.wake)
            }
        }
    }

    fn ended(self, passes_from: Option<u64>) -> Step {
        let Attempt { top, held, measure, .. } = self.attempt;
        let passes_from = passes_from.filter(|from| *from < self.source.length);
        let octets = if passes_from.is_none() { Some(measure.octets()) } else { None };
        let cursor = match held {
            Held::Memory(held) => RetrCursor::held(self.source, held, None, passes_from, top),
            Held::Spool(spool) => RetrCursor::stored(spool.into_source(octets), Part::Whole),
        };
        Step::Open(cursor, octets)
    }
}

enum Advance {
    Taken(usize),
    Pending,
    /// No more may be held.
    Full,
    /// The output is whole, but for the rest of the file that follows it unchanged.
    Ended {
        passes_from: Option<u64>,
    },
}

impl Attempt {
    /// Starts the chain on a message, without those links that cannot begin it and whose policy is to be passed by; none:
    /// no link is left.
    ///
    /// # Errors
    /// Where it cannot begin, and the policy is another one.
    fn begin(
        chain: &mut Arc<Chain>,
        source: &Source,
        message: &Arc<Message>,
        part: Part,
        wake: &Wake,
    ) -> Result<Option<Self>, Cut> {
        loop {
            let cut = match Self::start(chain, source, message, part, wake.clone()) {
                Ok(attempt) => return Ok(Some(attempt)),
                Err(cut) => cut,
            };
            match passing_by(chain, &cut, message) {
                Passing::Refuse => return Err(cut),
                Passing::Original => return Ok(None),
                Passing::Through(rest) => *chain = rest,
            }
        }
    }

    fn start(
        chain: &Arc<Chain>,
        source: &Source,
        message: &Arc<Message>,
        part: Part,
        wake: Wake,
    ) -> Result<Self, Cut> {
        Ok(Self {
            pump: Pump::start(chain, source, message, wake)?,
            top: top_limit(part),
            held: Held::Memory(Vec::new()),
            measure: Measure::default(),
            rest: None,
            is_complete: false,
        })
    }

    fn advance(
        &mut self,
        source: &Source,
        chain: &Chain,
        holding: &Holding,
        scratch: &mut [u8],
    ) -> Result<Advance, Cut> {
        if let Some(offset) = self.rest {
            return self.keep_more(source, offset, scratch);
        }
        if self.is_complete {
            return match self.pump.read(source, scratch)? {
                Read::Data(count) => Ok(Advance::Taken(count)),
                Read::Pending => Ok(Advance::Pending),
                Read::End => Ok(Advance::Ended { passes_from: None }),
            };
        }
        let is_spooled = chain.policy().spool;
        // Not even where nothing is to be held is "+OK" said before the chain has given something: it may not have begun.
        let hold = holding.hold.max(1);
        let room = match &self.held {
            Held::Memory(held) if held.len() >= hold => {
                if !is_spooled {
                    return Ok(Advance::Full);
                }
                let mut spool = Spool::new(&holding.spool_folder)?;
                spool.append(held)?;
                self.held = Held::Spool(spool);
                &mut *scratch
            }
            Held::Memory(held) => {
                let room = scratch.len().min(hold - held.len());
                &mut scratch[..room]
            }
            Held::Spool(_) => &mut *scratch,
        };
        match self.pump.read(source, room)? {
            Read::Pending => Ok(Advance::Pending),
            Read::End => match self.pump.passes_from() {
                Some(from) if self.can_keep(source.length.saturating_sub(from), holding) => {
                    self.rest = Some(from);
                    Ok(Advance::Taken(0))
                }
                passes_from => Ok(Advance::Ended { passes_from }),
            },
            Read::Data(count) => match self.keep(&room[..count])? {
                // TOP has its lines. What spools is asked for its verdict on the whole message before any of it goes out.
                Advance::Ended { .. } if is_spooled => {
                    self.is_complete = true;
                    Ok(Advance::Taken(count))
                }
                advance => Ok(advance),
            },
        }
    }

    /// Keeps what belongs to the answer; ended, where nothing after these octets does.
    fn keep(&mut self, octets: &[u8]) -> Result<Advance, Cut> {
        let (admitted, reached) = admit(&mut self.top, octets);
        let kept = &octets[..admitted];
        self.measure.update(kept);
        match &mut self.held {
            Held::Memory(held) => held.extend_from_slice(kept),
            Held::Spool(spool) => spool.append(kept)?,
        }
        Ok(if reached { Advance::Ended { passes_from: None } } else { Advance::Taken(octets.len()) })
    }

    /// Keeps more of what the chain has passed.
    fn keep_more(&mut self, source: &Source, offset: u64, scratch: &mut [u8]) -> Result<Advance, Cut> {
        if offset >= source.length {
            return Ok(Advance::Ended { passes_from: None });
        }
        let room = fitting(source.length - offset, scratch.len());
        let count = read_at(source, &mut scratch[..room], offset)?;
        self.rest = Some(offset + count as u64);
        self.keep(&scratch[..count])
    }

    /// Whether so many octets of the file, which pass, are to be held as well: then no failure is left for later, and the
    /// client is told how long the message is.
    fn can_keep(&self, rest: u64, holding: &Holding) -> bool {
        match &self.held {
            Held::Spool(_) => true,
            Held::Memory(held) => rest <= holding.hold.saturating_sub(held.len()) as u64,
        }
    }
}

impl Held {
    fn into_memory(self) -> Vec<u8> {
        match self {
            Self::Memory(held) => held,
            Self::Spool(_) => unreachable!("a spool is never full: it is kept to the end"),
        }
    }
}

/// What becomes of a message that a link has failed.
pub(crate) enum Passing {
    /// It is refused.
    Refuse,
    /// It is sent as it is stored.
    Original,
    /// It begins anew with what is left of the chain.
    Through(Arc<Chain>),
}

/// What the policy of the link that failed makes of the message.
pub(crate) fn passing_by(chain: &Arc<Chain>, cut: &Cut, message: &Message) -> Passing {
    let Cut::Transform { link, error } = cut else { return Passing::Refuse };
    let Some(failed) = chain.links.get(*link) else { return Passing::Refuse };
    if failed.policy().on_error != OnError::Pass {
        return Passing::Refuse;
    }
    log::warn!(
        target: "pop3d::retr",
        "user {}: message {} passes transform {} by, which failed: {error}",
        message.user, message.number, failed.name(),
    );
    failed.count_passed();
    match chain.without(*link) {
        Some(rest) => Passing::Through(Arc::new(rest)),
        None => Passing::Original,
    }
}

pub(super) fn top_limit(part: Part) -> Option<TopLimit> {
    match part {
        Part::Whole => None,
        Part::Top { lines } => Some(TopLimit::new(lines)),
    }
}

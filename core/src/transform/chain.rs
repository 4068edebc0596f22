//! Several transforms one after another, shown to the cursor as one.
//!
//! Not here: what a link does, and what the cursor does about a link that failed.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Kind, Message, Policy, Read, Stream, Transform, Wake};

/// Octets kept between two links.
const JOINT_CAPACITY: usize = 64 * 1024;

/// How often one call of `read` goes over all joints before the other connections get their turn.
const ROUNDS: usize = 4;

/// Links of several chains are opened one chain after another. So of two messages that wait for places in the
/// same transforms, one is the earlier in every queue, and they never wait for each other.
static OPENING: Mutex<()> = Mutex::new(());

/// Several transforms, the output of each into the next. Is itself a `Transform`, so that the cursor knows only one.
///
/// `take_file` goes to the first; the chain ends when all have ended; an error of any is the error of the chain, also
/// where a later link wanted no more of its output: what it says of the message holds all the same.
pub struct Chain {
    /// The names of the links, joined by commas.
    pub name: String,
    /// Never empty, and none of them is a chain.
    pub links: Vec<Arc<dyn Transform>>,
}

impl Chain {
    /// A chain of these links, of which there is at least one and none is a chain.
    #[must_use]
    pub fn new(links: Vec<Arc<dyn Transform>>) -> Self {
        let mut chain = Self { name: String::new(), links };
        chain.name = chain.names().collect::<Vec<_>>().join(",");
        chain
    }

    /// The names of the links, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| link.name())
    }

    /// The chain that is left without a link, if any: for a message that passes a failed transform by.
    #[must_use]
    pub fn without(&self, link: usize) -> Option<Self> {
        let others = self.links.iter().enumerate().filter(|(index, _)| *index != link);
        let links: Vec<_> = others.map(|(_, link)| Arc::clone(link)).collect();
        (!links.is_empty()).then(|| Self::new(links))
    }
}

impl Transform for Chain {
    fn name(&self) -> &str {
        &self.name
    }

    /// That of the first link.
    fn kind(&self) -> Kind {
        self.links.first().map_or(Kind::Process, |link| link.kind())
    }

    /// `spool` if one link wants it; `on_error` of the first, but what counts is that of the link that failed.
    fn policy(&self) -> Policy {
        let mut policy = self.links.first().map_or_else(Policy::default, |link| link.policy());
        policy.spool = self.links.iter().any(|link| link.policy().spool);
        policy
    }

    fn open(self: Arc<Self>, message: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error> {
        let open = |link: &Arc<dyn Transform>| Arc::clone(link).open(Arc::clone(&message), wake.clone());
        match self.links.as_slice() {
            [] => Err(Error::Permanent("a chain without links".to_owned())),
            [link] => open(link),
            links => {
                // Nothing is guarded but the order; a panic leaves nothing half done.
                let _turn = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
                let mut streams = Vec::with_capacity(links.len());
                for (index, link) in links.iter().enumerate() {
                    match open(link) {
                        Ok(stream) => streams.push(Some(stream)),
                        // Reported by the first call, with the link that it was.
                        Err(error) => return Ok(Box::new(ChainStream::failed(index, error, wake))),
                    }
                }
                Ok(Box::new(ChainStream::new(streams, wake)))
            }
        }
    }
}

/// One message on its way through a chain of at least two links.
struct ChainStream {
    /// `None`: has ended. Those before it may be at work still.
    streams: Vec<Option<Box<dyn Stream>>>,
    /// `joints[k]` is between `streams[k]` and `streams[k + 1]`.
    joints: Vec<Joint>,
    failure: Option<Failure>,
    /// The last `write` was refused, and the first link has not moved since.
    refused: bool,
    wake: Wake,
}

struct Failure {
    link: usize,
    error: Error,
}

/// What one link has written and the next has not taken.
struct Joint {
    /// Empty until there is something to keep.
    octets: Box<[u8]>,
    /// 0 <= start <= end <= octets.len()
    start: usize,
    end: usize,
    source: Source,
}

/// How far the link before a joint is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Source {
    Writes,
    Ended,
    /// It has ended, and the link behind the joint knows.
    Finished,
}

impl ChainStream {
    fn new(streams: Vec<Option<Box<dyn Stream>>>, wake: Wake) -> Self {
        let joints = (1..streams.len()).map(|_| Joint::new()).collect();
        Self { streams, joints, failure: None, refused: false, wake }
    }

    fn failed(link: usize, error: Error, wake: Wake) -> Self {
        let failure = Some(Failure { link, error });
        Self { streams: Vec::new(), joints: Vec::new(), failure, refused: false, wake }
    }

    /// Keeps the error, and cancels every link.
    fn fail(&mut self, link: usize, error: Error) -> Error {
        self.streams.clear();
        self.joints.clear();
        self.failure = Some(Failure { link, error: error.clone() });
        error
    }

    fn check(&self) -> Result<(), Error> {
        self.failure.as_ref().map_or(Ok(()), |failure| Err(failure.error.clone()))
    }

    /// Moves what can be moved over one joint in one step. `false`: nothing.
    fn step(&mut self, index: usize) -> Result<bool, (usize, Error)> {
        let Some([stream, next]) = self.streams.get_mut(index..index + 2) else { return Ok(false) };
        let joint = &mut self.joints[index];
        let mut moved = false;
        if next.is_none() {
            // It wants no more. The links before it are read to their ends all the same, for one of them may refuse the
            // message yet.
            joint.clear();
        }
        if let (true, Some(before)) = (joint.is_empty(), stream.as_mut()) {
            match before.read(joint.room()).map_err(|error| (index, error))? {
                Read::Data(count) => {
                    joint.fill(count);
                    moved = true;
                }
                Read::Pending => {}
                Read::End => {
                    joint.source = Source::Ended;
                    *stream = None;
                    moved = true;
                }
            }
        }
        let Some(next) = next else { return Ok(moved) };
        if !joint.is_empty() {
            let count = next.write(joint.content()).map_err(|error| (index + 1, error))?;
            joint.start += count;
            moved |= count > 0;
        }
        if joint.is_empty() && joint.source == Source::Ended {
            next.finish().map_err(|error| (index + 1, error))?;
            joint.source = Source::Finished;
            moved = true;
        }
        Ok(moved)
    }
}

impl Stream for ChainStream {
    fn announce(&mut self, octets: u64) {
        if let Some(Some(first)) = self.streams.first_mut() {
            first.announce(octets);
        }
    }

    fn take_file(&mut self, file: &File) -> io::Result<bool> {
        match self.streams.first_mut() {
            Some(Some(first)) => first.take_file(file),
            Some(None) | None => Ok(false),
        }
    }

    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        self.check()?;
        // A first link that has ended wants no more; the end of the chain will come by `read`.
        let Some(Some(first)) = self.streams.first_mut() else { return Ok(0) };
        let count = first.write(input).map_err(|error| self.fail(0, error))?;
        self.refused = count == 0;
        Ok(count)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.check()?;
        let Some(Some(first)) = self.streams.first_mut() else { return Ok(()) };
        first.finish().map_err(|error| self.fail(0, error))
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        self.check()?;
        for _ in 0..ROUNDS {
            let mut moved = false;
            for index in 0..self.joints.len() {
                match self.step(index) {
                    Ok(step) => {
                        if step && index == 0 && self.refused {
                            // The first link has room again, and no event of its own need tell.
                            self.refused = false;
                            self.wake.wake();
                        }
                        moved |= step;
                    }
                    Err((link, error)) => return Err(self.fail(link, error)),
                }
            }
            let link = self.streams.len() - 1;
            if let Some(Some(last)) = self.streams.last_mut() {
                match last.read(output).map_err(|error| self.fail(link, error))? {
                    Read::Data(count) => return Ok(Read::Data(count)),
                    Read::Pending => {}
                    Read::End => {
                        self.streams[link] = None;
                        moved = true;
                    }
                }
            }
            if self.streams.iter().all(Option::is_none) {
                return Ok(Read::End);
            }
            if !moved {
                return Ok(Read::Pending);
            }
        }
        // There is more to move, and no event will tell.
        self.wake.wake();
        Ok(Read::Pending)
    }

    fn failed_link(&self) -> usize {
        self.failure.as_ref().map_or(0, |failure| failure.link)
    }
}

impl Joint {
    fn new() -> Self {
        Self { octets: Box::default(), start: 0, end: 0, source: Source::Writes }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn content(&self) -> &[u8] {
        &self.octets[self.start..self.end]
    }

    /// Where a link may write. Only for an empty joint.
    fn room(&mut self) -> &mut [u8] {
        if self.octets.is_empty() {
            self.octets = vec![0; JOINT_CAPACITY].into_boxed_slice();
        }
        &mut self.octets
    }

    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    fn fill(&mut self, count: usize) {
        self.start = 0;
        self.end = count;
    }
}

#[cfg(test)]
mod tests;

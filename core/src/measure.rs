//! The sizes that messages have once transformed (`sizes = "exact"`): each message runs through the chain once, and
//! its size is kept as long as the chain is.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use log::warn;
use pop3d_protocol::maildrop::Snapshot;
use pop3d_protocol::multiline::Measure;
use pop3d_protocol::number::{MessageNumber, Octets};

use crate::accounts::UserName;
use crate::retr::{Cut, Passing, Pump, fitting, message_of, passing_by, read_at};
use crate::settings::Settings;
use crate::store::{Maildrop, Source};
use crate::transform::{Chain, Command, Message, Read, Transform, Wake};

/// Octets taken from the transform before other connections get their turn.
const SHARE: usize = 256 * 1024;

/// The sizes of a maildrop's messages, on their way.
pub(crate) struct Measuring {
    user: UserName,
    remote: IpAddr,
    snapshot: Arc<dyn Snapshot + Send + Sync>,
    /// As they were when it began: all sizes are of the same.
    settings: Arc<Settings>,
    /// Those of the first messages.
    sizes: Vec<Octets>,
    current: Option<Current>,
}

struct Current {
    passage: Passage,
    pump: Pump,
    measure: Measure,
    /// Octets of output so far.
    taken: u64,
    /// From where on the rest of the file is the output; none: the chain has not said so.
    rest: Option<u64>,
}

/// A message and what it passes through.
struct Passage {
    /// Whose size it will be.
    chain: Arc<Chain>,
    /// The same without the links that have failed it and are to be passed by, as RETR does.
    left: Arc<Chain>,
    source: Source,
    /// None where nobody can say; its size is not kept then.
    look: Option<Look>,
    message: Arc<Message>,
}

/// Which file a message is, how long, and when it was written, in a number. Another mail folder may hold another message of
/// the same unique-id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Look(u64);

/// The sizes that are known, of the chains that were used last.
#[derive(Default)]
pub(crate) struct ExactSizes(Mutex<Vec<Known>>);

/// Those of one chain.
#[derive(Default)]
struct Known {
    chain: Weak<Chain>,
    /// By user and unique-id, with a NUL between them, which neither holds.
    sizes: HashMap<Box<[u8]>, (Look, Octets)>,
}

/// Chains whose sizes are kept; past it those of the oldest are forgotten.
const CHAINS_MAX: usize = 16;

/// Sizes kept of a chain; past it the table begins anew.
const KNOWN_MAX: usize = 1_000_000;

/// How far a call came.
pub(crate) enum Progress {
    /// The transform has nothing at the moment: its `Wake` will ring.
    Pending,
    /// There is more, after the other connections.
    Unfinished,
    /// The same messages with their sizes once transformed.
    Measured(Arc<dyn Snapshot + Send + Sync>),
}

/// A snapshot with other sizes.
struct Measured {
    snapshot: Arc<dyn Snapshot + Send + Sync>,
    sizes: Vec<Octets>,
}

impl Measuring {
    pub(crate) fn new(
        user: UserName,
        remote: IpAddr,
        snapshot: Arc<dyn Snapshot + Send + Sync>,
        settings: Arc<Settings>,
    ) -> Self {
        Self { user, remote, snapshot, settings, sizes: Vec::new(), current: None }
    }

    /// Goes on until a share is done.
    pub(crate) fn step(
        &mut self,
        maildrop: &mut dyn Maildrop,
        known: &ExactSizes,
        wake: &Wake,
        scratch: &mut [u8],
    ) -> Progress {
        let mut share = SHARE;
        while share > 0 {
            let index = u32::try_from(self.sizes.len()).unwrap_or(u32::MAX);
            let number = MessageNumber::from_index(index).filter(|_| index < self.snapshot.count());
            let Some(number) = number else {
                let (snapshot, sizes) = (Arc::clone(&self.snapshot), std::mem::take(&mut self.sizes));
                return Progress::Measured(Arc::new(Measured { snapshot, sizes }));
            };
            let Some(current) = &mut self.current else {
                // A whole message costs more than its octets.
                share = share.saturating_sub(SHARE / 16);
                self.begin(number, maildrop, known, wake);
                continue;
            };
            match current.read(scratch) {
                Ok(Read::Pending) => return Progress::Pending,
                Ok(Read::Data(count)) => {
                    current.measure.update(&scratch[..count]);
                    current.taken += count as u64;
                    share = share.saturating_sub(count);
                }
                Ok(Read::End) => self.end(number, known),
                Err(cut) => self.fail(number, &cut, wake),
            }
        }
        Progress::Unfinished
    }

    fn begin(&mut self, number: MessageNumber, maildrop: &mut dyn Maildrop, known: &ExactSizes, wake: &Wake) {
        let source = match maildrop.message(number) {
            Ok(source) => source,
            Err(error) => return self.fall_back(number, &error.to_string()),
        };
        let Some(chain) = self.settings.chain_for(&self.user, &source, Command::Retr).cloned() else {
            self.sizes.push(self.snapshot.octets(number));
            return;
        };
        let look = Look::of(&source.file).ok();
        let find = |look| known.find(&chain, &self.user, self.snapshot.unique_id(number), look);
        if let Some(octets) = look.and_then(find) {
            self.sizes.push(octets);
            return;
        }
        let message = message_of(&self.user, maildrop, number, source.length, Command::Retr, self.remote);
        let left = Arc::clone(&chain);
        self.pass(number, Passage { chain, left, source, look, message }, wake);
    }

    /// Has a message begin.
    fn pass(&mut self, number: MessageNumber, passage: Passage, wake: &Wake) {
        match Pump::start(&passage.left, &passage.source, &passage.message, wake.clone()) {
            Ok(pump) => {
                self.current =
                    Some(Current { passage, pump, measure: Measure::default(), taken: 0, rest: None });
            }
            Err(cut) => self.pass_by(number, passage, &cut, wake),
        }
    }

    /// A message has failed.
    fn fail(&mut self, number: MessageNumber, cut: &Cut, wake: &Wake) {
        let Some(Current { passage, taken, .. }) = self.current.take() else { return };
        // RETR has said "+OK" by then, and resets the connection.
        let is_late = taken >= self.settings.holding.hold as u64 && !passage.left.policy().spool;
        if is_late {
            self.fall_back(number, &cut.to_string());
        } else {
            self.pass_by(number, passage, cut, wake);
        }
    }

    /// Goes on with a message that a link has failed, as RETR will.
    fn pass_by(&mut self, number: MessageNumber, mut passage: Passage, cut: &Cut, wake: &Wake) {
        match passing_by(&passage.left, cut, &passage.message) {
            Passing::Refuse => self.fall_back(number, &cut.to_string()),
            Passing::Original => self.sizes.push(self.snapshot.octets(number)),
            Passing::Through(rest) => {
                passage.left = rest;
                self.pass(number, passage, wake);
            }
        }
    }

    fn end(&mut self, number: MessageNumber, known: &ExactSizes) {
        let Some(Current { passage, measure, .. }) = self.current.take() else { return };
        let octets = measure.octets();
        // A link that was passed by may not fail the next time.
        if let Some(look) = passage.look.filter(|_| Arc::ptr_eq(&passage.chain, &passage.left)) {
            known.keep(&passage.chain, &self.user, self.snapshot.unique_id(number), (look, octets));
        }
        self.sizes.push(octets);
    }

    /// A message that cannot be transformed keeps the size that it has stored: RETR will say what is wrong.
    fn fall_back(&mut self, number: MessageNumber, reason: &str) {
        warn!(target: "pop3d::retr", "user {}: message {number} not measured: {reason}", self.user);
        self.current = None;
        self.sizes.push(self.snapshot.octets(number));
    }
}

impl Current {
    /// Output of the chain, then what it passes: as it is stored.
    fn read(&mut self, scratch: &mut [u8]) -> Result<Read, Cut> {
        let source = &self.passage.source;
        if self.rest.is_none() {
            let read = self.pump.read(source, scratch)?;
            self.rest = if read == Read::End { self.pump.passes_from() } else { None };
            if self.rest.is_none() {
                return Ok(read);
            }
        }
        let Some(offset) = self.rest.filter(|offset| *offset < source.length) else { return Ok(Read::End) };
        let room = fitting(source.length - offset, scratch.len());
        let count = read_at(source, &mut scratch[..room], offset)?;
        self.rest = Some(offset + count as u64);
        Ok(Read::Data(count))
    }
}

impl Look {
    fn of(file: &File) -> io::Result<Self> {
        let status = file.metadata()?;
        let mut hash = DefaultHasher::new();
        (status.dev(), status.ino(), status.len(), status.mtime(), status.mtime_nsec()).hash(&mut hash);
        Ok(Self(hash.finish()))
    }
}

impl ExactSizes {
    fn find(&self, chain: &Arc<Chain>, user: &UserName, unique_id: &[u8], look: Look) -> Option<Octets> {
        let mut chains = self.lock();
        let (known, octets) = of(&mut chains, chain).get(&*size_key(user, unique_id)).copied()?;
        (known == look).then_some(octets)
    }

    fn keep(&self, chain: &Arc<Chain>, user: &UserName, unique_id: &[u8], size: (Look, Octets)) {
        let mut chains = self.lock();
        let sizes = of(&mut chains, chain);
        if sizes.len() >= KNOWN_MAX {
            sizes.clear();
        }
        sizes.insert(size_key(user, unique_id), size);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sizes of a chain, which stands last from here on.
fn of<'known>(
    chains: &'known mut Vec<Known>,
    chain: &Arc<Chain>,
) -> &'known mut HashMap<Box<[u8]>, (Look, Octets)> {
    // The weak reference keeps the address from being given to another chain.
    let place = chains.iter().position(|known| known.chain.as_ptr() == Arc::as_ptr(chain));
    let known = match place {
        Some(place) => chains.remove(place),
        None => Known { chain: Arc::downgrade(chain), sizes: HashMap::new() },
    };
    // Nobody can ask for those of a chain that is gone.
    chains.retain(|known| known.chain.strong_count() > 0);
    if chains.len() >= CHAINS_MAX {
        chains.remove(0);
    }
    &mut chains.push_mut(known).sizes
}

fn size_key(user: &UserName, unique_id: &[u8]) -> Box<[u8]> {
    [user.as_str().as_bytes(), b"\0", unique_id].concat().into()
}

impl Snapshot for Measured {
    fn count(&self) -> u32 {
        self.snapshot.count()
    }

    fn octets(&self, number: MessageNumber) -> Octets {
        self.sizes.get(number.index() as usize).copied().unwrap_or_default()
    }

    fn unique_id(&self, number: MessageNumber) -> &[u8] {
        self.snapshot.unique_id(number)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::transform::{Error, Kind, Stream};

    struct Never;

    impl Transform for Never {
        fn name(&self) -> &str {
            "never"
        }

        fn kind(&self) -> Kind {
            Kind::Process
        }

        fn open(self: Arc<Self>, _: Arc<Message>, _: Wake) -> Result<Box<dyn Stream>, Error> {
            Err(Error::Permanent("never".into()))
        }
    }

    #[test]
    fn another_file_by_the_same_unique_id_has_a_size_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| {
            let path = folder.path().join(name);
            fs::write(&path, "of equal length\n").unwrap();
            File::open(path).unwrap()
        });
        let look = |file| Look::of(file).unwrap();
        let (known, user) = (ExactSizes::default(), UserName::parse(b"ann").unwrap());
        let chain = Arc::new(Chain::new(vec![Arc::new(Never)]));
        known.keep(&chain, &user, b"1.eml", (look(&first), Octets(7)));
        fs::rename(folder.path().join("first"), folder.path().join("flagged")).unwrap();
        assert_eq!(known.find(&chain, &user, b"1.eml", look(&first)), Some(Octets(7)));
        assert_eq!(known.find(&chain, &user, b"1.eml", look(&second)), None);
        known.keep(&chain, &user, b"1.eml", (look(&second), Octets(8)));
        assert_eq!(known.find(&chain, &user, b"1.eml", look(&second)), Some(Octets(8)));
    }
}

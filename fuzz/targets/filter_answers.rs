//! What a filter may answer: the frames of a helper process that runs wild, and links of a chain that give, take, stop,
//! wait and fail as they like. The chain shows the whole message, the beginning that a link stopped at, or an error.

#![no_main]

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;
use pop3d_core::transform::{Chain, Command, Error, Kind, Message, Read, Stream, Transform, Wake};

#[allow(dead_code, reason = "what counts octets is not asked here")]
#[path = "../../transforms/src/bound.rs"]
mod bound;
#[allow(dead_code, reason = "both ends of the socket are in it")]
#[path = "../../transforms/src/native/frames.rs"]
mod frames;
#[allow(dead_code, reason = "nobody looks at what is there already")]
#[path = "../../transforms/src/native/incoming.rs"]
mod incoming;

/// No link has failed.
const NONE: usize = usize::MAX;

/// What a link does when it is asked: how many octets it gives, or something else.
type Script = Vec<(u8, u8)>;

struct Link {
    number: usize,
    script: Script,
    /// Octets that wait in it before it takes no more.
    capacity: usize,
    failed: Arc<AtomicUsize>,
    stopped: Arc<AtomicUsize>,
}

struct At {
    link: Arc<Link>,
    next: Cell<usize>,
    waiting: VecDeque<u8>,
    has_ended: bool,
}

impl Transform for Link {
    fn name(&self) -> &str {
        "link"
    }

    fn kind(&self) -> Kind {
        Kind::Native
    }

    fn open(self: Arc<Self>, _: Arc<Message>, _: Wake) -> Result<Box<dyn Stream>, Error> {
        Ok(Box::new(At { link: self, next: Cell::new(0), waiting: VecDeque::new(), has_ended: false }))
    }
}

impl At {
    fn fail(&self) -> Error {
        // The chain ends with the first.
        assert_eq!(self.link.failed.swap(self.link.number, Ordering::Relaxed), NONE, "asked after a failure");
        Error::Crashed(self.link.number.to_string())
    }
}

impl Stream for At {
    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        assert!(!self.has_ended, "written to after the end");
        if self.link.script.get(self.next.get()).is_some_and(|(kind, _)| *kind == 255) {
            return Err(self.fail());
        }
        let count = input.len().min(self.link.capacity - self.waiting.len());
        self.waiting.extend(&input[..count]);
        Ok(count)
    }

    fn finish(&mut self) -> Result<(), Error> {
        assert!(!self.has_ended, "ended twice");
        self.has_ended = true;
        Ok(())
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        assert!(!output.is_empty());
        let (kind, number) = self.link.script.get(self.next.get()).copied().unwrap_or((0, 255));
        self.next.set(self.next.get() + 1);
        match kind {
            250..=255 => return Err(self.fail()),
            240..=249 => {
                self.link.stopped.fetch_add(1, Ordering::Relaxed);
                return Ok(Read::End);
            }
            200..=239 => return Ok(Read::Pending),
            0..=199 => {}
        }
        let count = self.waiting.len().min(usize::from(number).max(1)).min(output.len());
        if count == 0 {
            return Ok(if self.has_ended { Read::End } else { Read::Pending });
        }
        for (place, octet) in output.iter_mut().zip(self.waiting.drain(..count)) {
            *place = octet;
        }
        Ok(Read::Data(count))
    }
}

fuzz_target!(|input: (&[u8], Vec<Script>, u8, u8, u8)| {
    let (octets, mut scripts, capacity, cut, room) = input;
    scripts.truncate(4);
    say_anything(octets);
    let (failed, stopped) = (Arc::new(AtomicUsize::new(NONE)), Arc::new(AtomicUsize::new(0)));
    let turns: usize = scripts.iter().map(Vec::len).sum();
    let link = |(number, script)| {
        let (failed, stopped) = (Arc::clone(&failed), Arc::clone(&stopped));
        let capacity = usize::from(capacity) + 1;
        Arc::new(Link { number, script, capacity, failed, stopped }) as Arc<dyn Transform>
    };
    let links: Vec<_> = scripts.into_iter().enumerate().map(link).collect();
    if links.is_empty() {
        return;
    }
    let is_chain = links.len() > 1;
    let wake = Wake(Arc::new(|| ()));
    let message = Message {
        user: String::new(),
        number: 1,
        octets: octets.len() as u64,
        uid: String::new(),
        command: Command::Retr,
        remote: [127, 0, 0, 1].into(),
    };
    let mut stream = Arc::new(Chain::new(links)).open(Arc::new(message), wake).expect("no link refuses");
    let (mut rest, mut output, mut buffer) = (octets, Vec::new(), vec![0; usize::from(room) + 1]);
    let mut has_finished = false;
    // Each turn moves an octet over a joint or uses up a step of a script.
    for _ in 0..8 * (octets.len() + turns + 16) {
        let outcome = turn(&mut *stream, &mut rest, usize::from(cut) + 1, &mut has_finished, &mut buffer);
        match outcome {
            Ok(Read::Data(count)) => output.extend_from_slice(&buffer[..count]),
            Ok(Read::Pending) => {}
            Ok(Read::End) => {
                assert_eq!(failed.load(Ordering::Relaxed), NONE, "the end of a message that has failed");
                assert!(octets.starts_with(&output), "not what was written");
                let is_whole = output.len() == octets.len();
                assert!(is_whole || stopped.load(Ordering::Relaxed) > 0, "cut, and nobody stopped");
                return;
            }
            Err(Error::Crashed(link)) => {
                let number = failed.load(Ordering::Relaxed);
                assert_eq!(link, number.to_string());
                assert!(octets.starts_with(&output));
                if is_chain {
                    assert_eq!(stream.failed_link(), number);
                    // It is not forgotten.
                    assert!(
                        stream.read(&mut buffer).is_err()
                            && stream.write(b"x").is_err()
                            && stream.finish().is_err()
                    );
                }
                return;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("it goes on for ever");
});

/// Offers a piece and asks for output, as the cursor does.
fn turn(
    stream: &mut dyn Stream,
    rest: &mut &[u8],
    cut: usize,
    has_finished: &mut bool,
    buffer: &mut [u8],
) -> Result<Read, Error> {
    if !rest.is_empty() {
        let taken = stream.write(&rest[..rest.len().min(cut)])?;
        *rest = &rest[taken..];
    }
    if rest.is_empty() && !*has_finished {
        stream.finish()?;
        *has_finished = true;
    }
    stream.read(buffer)
}

/// Whatever a helper process says is a frame or an error; what was read is written as it was.
fn say_anything(octets: &[u8]) {
    let mut from = incoming::Incoming::new(octets, frames::FROM_HELPER_MAX);
    let mut rest = octets;
    while let Ok(frame) = from.frame() {
        let mut written = Vec::new();
        frame.write(&mut written).expect("there is room");
        rest = rest.strip_prefix(written.as_slice()).expect("what was read");
        look(&frame.payload);
    }
    look(octets);
}

fn look(payload: &[u8]) {
    if let Some(answer) = frames::read_answer(payload) {
        let again = frames::read_answer(&frames::write_answer(&answer));
        assert_eq!(format!("{answer:?}"), format!("{:?}", again.expect("an answer")));
    }
    if let Some((message, bound, _)) = frames::read_message(payload) {
        let written = frames::write_message(&message, &bound);
        let (again, same, rest) = frames::read_message(&written).expect("a message");
        assert_eq!(format!("{message:?} {bound:?}"), format!("{again:?} {same:?}"));
        assert!(rest.is_empty());
    }
    if let Some((name, options, library)) = frames::read_load(payload) {
        let again = frames::read_load(&frames::write_load(&name, &options, &library));
        assert_eq!(again, Some((name, options, library)));
    }
}

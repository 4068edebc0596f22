//! The cursor against plain functions: whatever the stream does, a client gets the whole message, "-ERR" or a cut.

mod feeding;
mod sending;
mod told;
mod verdicts;

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use pop3d_protocol::multiline::Measure;
use pop3d_protocol::number::Octets;
use proptest::prelude::*;

use super::*;
use crate::buffer::OUTBOUND_BOUNDS;
use crate::connection::SCRATCH_SIZE;
use crate::transform::{
    Chain, Command, Error, Holding, Kind, Message, OnError, Policy, Stream, Transform, Wake,
};

const HOLD: usize = 1000;

thread_local! {
    /// How often a copier was told that a message goes on without it.
    static PASSED: Cell<u32> = const { Cell::new(0) };
}

/// Copies its input, `chunk` octets at a time with a pause after each, and ends as it is told.
#[derive(Clone)]
struct Copier {
    chunk: usize,
    /// Fails once it has given so many octets.
    fails_at: Option<usize>,
    /// Gives so many octets and leaves the rest to the cursor.
    passes_from: Option<usize>,
    /// Cannot begin a message, as one that rests.
    rests: bool,
    on_error: OnError,
    spool: bool,
}

const COPIER: Copier = Copier {
    chunk: 100,
    fails_at: None,
    passes_from: None,
    rests: false,
    on_error: OnError::Fail,
    spool: false,
};

struct Copying {
    how: Copier,
    input: Vec<u8>,
    given: usize,
    is_whole: bool,
    pauses: bool,
}

impl Transform for Copier {
    fn name(&self) -> &str {
        "copier"
    }

    fn kind(&self) -> Kind {
        Kind::Native
    }

    fn policy(&self) -> Policy {
        Policy { on_error: self.on_error, spool: self.spool }
    }

    fn count_passed(&self) {
        PASSED.set(PASSED.get() + 1);
    }

    fn open(self: Arc<Self>, _message: Arc<Message>, _wake: Wake) -> Result<Box<dyn Stream>, Error> {
        if self.rests {
            return Err(Error::Temporary("as told".into()));
        }
        let how = Self::clone(&self);
        Ok(Box::new(Copying { how, input: Vec::new(), given: 0, is_whole: false, pauses: false }))
    }
}

impl Stream for Copying {
    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        let count = input.len().min(self.how.chunk);
        self.input.extend_from_slice(&input[..count]);
        Ok(count)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.is_whole = true;
        Ok(())
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        self.pauses = !self.pauses;
        if self.pauses {
            return Ok(Read::Pending);
        }
        if self.how.fails_at.is_some_and(|at| self.given >= at) {
            return Err(Error::Crashed("as told".into()));
        }
        let end = self.how.fails_at.into_iter().chain(self.how.passes_from).min();
        let end = end.map_or(self.input.len(), |end| end.min(self.input.len()));
        let count = (end - self.given).min(self.how.chunk).min(output.len());
        output[..count].copy_from_slice(&self.input[self.given..self.given + count]);
        self.given += count;
        let is_over = self.how.passes_from.is_some_and(|from| self.given >= from)
            || (self.is_whole && self.given == self.input.len());
        match count {
            0 if is_over && self.how.fails_at.is_none() => Ok(Read::End),
            0 => Ok(Read::Pending),
            count => Ok(Read::Data(count)),
        }
    }

    fn passes_from(&self) -> Option<u64> {
        self.how.passes_from.filter(|from| self.given >= *from).map(|from| from as u64)
    }
}

/// A client that takes so many octets at once.
struct Client {
    response: Vec<u8>,
    most: usize,
}

impl Default for Client {
    fn default() -> Self {
        Self { response: Vec::new(), most: usize::MAX }
    }
}

impl Write for Client {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let count = octets.len().min(self.most);
        self.response.extend_from_slice(&octets[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the client saw.
#[derive(Debug, PartialEq)]
enum Seen {
    Whole { announced: Option<Octets>, response: Vec<u8> },
    Refused,
    Cut { response: Vec<u8> },
}

fn source(message: &[u8]) -> Source {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(message).unwrap();
    let mut measure = Measure::default();
    measure.update(message);
    let (octets, wire_clean) = (Some(measure.octets()), measure.is_wire_clean());
    Source { file, length: message.len() as u64, octets, wire_clean }
}

fn fetch(source: Source, links: Vec<Copier>, part: Part) -> Seen {
    fetch_by(source, links, part, &mut Spare::default(), &mut Client::default())
}

/// The same by a client and with buffers of a kind.
fn fetch_by(source: Source, links: Vec<Copier>, part: Part, spare: &mut Spare, client: &mut Client) -> Seen {
    let mut scratch = vec![0; SCRATCH_SIZE];
    let octets = source.octets.filter(|_| part == Part::Whole);
    let mut drain =
        |cursor, octets, scratch: &mut [u8]| drain_by(cursor, octets, scratch, spare, std::mem::take(client));
    if links.is_empty() {
        return drain(RetrCursor::stored(source, part), octets, &mut scratch);
    }
    let mut opening = match start(source, links, part) {
        Ok(Ok(opening)) => Box::new(opening),
        Ok(Err(original)) => return drain(original, octets, &mut scratch),
        Err(_) => return Seen::Refused,
    };
    loop {
        match opening.step(&mut scratch) {
            (Step::Pending | Step::Unfinished, Some(same)) => opening = same,
            (Step::Open(cursor, octets), None) => return drain(cursor, octets, &mut scratch),
            (Step::Refused(..), None) => return Seen::Refused,
            _ => panic!("an opening goes on or ends"),
        }
    }
}

fn start(
    source: Source,
    links: Vec<Copier>,
    part: Part,
) -> Result<Result<Opening, RetrCursor>, (Cut, Arc<Chain>)> {
    start_holding(HOLD, source, links, part)
}

fn start_holding(
    hold: usize,
    source: Source,
    links: Vec<Copier>,
    part: Part,
) -> Result<Result<Opening, RetrCursor>, (Cut, Arc<Chain>)> {
    let links: Vec<_> = links.into_iter().map(|link| Arc::new(link) as Arc<dyn Transform>).collect();
    let message = message_of_length(source.length);
    let holding = Holding { hold, spool_folder: PathBuf::from("/tmp") };
    Opening::start(source, Arc::new(Chain::new(links)), message, part, holding, Wake(Arc::new(|| ())))
}

fn message_of_length(octets: u64) -> Arc<Message> {
    let remote = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Arc::new(Message {
        user: "user".into(),
        number: 1,
        octets,
        uid: "uid".into(),
        command: Command::Retr,
        remote,
    })
}

fn drain(cursor: RetrCursor, announced: Option<Octets>, scratch: &mut [u8]) -> Seen {
    drain_by(cursor, announced, scratch, &mut Spare::default(), Client::default())
}

fn drain_by(
    mut cursor: RetrCursor,
    announced: Option<Octets>,
    scratch: &mut [u8],
    spare: &mut Spare,
    mut client: Client,
) -> Seen {
    let mut outbound = Outbound::default();
    loop {
        let filled = cursor.fill(&mut outbound, spare, scratch);
        let is_over = !matches!(filled, Ok(Fill::Full | Fill::Pending));
        while !outbound.is_empty() {
            outbound.write_to(&mut client).unwrap();
            // As a connection does after each turn.
            outbound.release(spare);
            if !is_over {
                break;
            }
        }
        match filled {
            Ok(Fill::Finished) => return Seen::Whole { announced, response: client.response },
            Ok(Fill::Full | Fill::Pending) => {}
            Err(_) => return Seen::Cut { response: client.response },
        }
    }
}

/// The multi-line response, line by line.
fn expected(message: &[u8]) -> Vec<u8> {
    let mut response = Vec::new();
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        if line.first() == Some(&b'.') {
            response.push(b'.');
        }
        response.extend_from_slice(line);
        response.extend_from_slice(b"\r\n");
    }
    response.extend_from_slice(b".\r\n");
    response
}

fn lines(octets: usize) -> Vec<u8> {
    let line = b".a line of a message that is long enough\n";
    line.iter().copied().cycle().take(octets).collect()
}

#[test]
fn a_message_is_sent_whole_with_and_without_a_transform() {
    for octets in [0, 1, 41, HOLD - 1, HOLD, HOLD + 1, 200_000] {
        let message = lines(octets);
        let response = expected(&message);
        for links in [vec![], vec![COPIER], vec![COPIER; 3], vec![Copier { spool: true, ..COPIER }]] {
            match fetch(source(&message), links, Part::Whole) {
                Seen::Whole { announced, response: seen } => {
                    assert!(seen == response, "{octets} octets");
                    if let Some(announced) = announced {
                        assert_eq!(announced, source(&message).octets.unwrap());
                    }
                }
                other => panic!("{octets} octets: {other:?}"),
            }
        }
    }
}

#[test]
fn a_slow_client_gets_it_whole_from_the_smallest_buffers() {
    let dotted = lines(100_000);
    let clean = b"A line that goes out as it stands.\r\n".repeat(3000);
    for others in [0, 100] {
        let mut spare = Spare::default();
        spare.set_capacity(*OUTBOUND_BOUNDS.start());
        // Who takes nothing holds what larger buffers there are.
        let mut stuck: Vec<_> = (0..others).map(|_| Outbound::default()).collect();
        for outbound in &mut stuck {
            outbound.room(&mut spare);
        }
        for most in [1000, 5000, 300_000] {
            let mut fetch = |message: &[u8], links: &[Copier]| {
                let client = &mut Client { most, ..Client::default() };
                let seen = fetch_by(source(message), links.to_vec(), Part::Whole, &mut spare, client);
                let Seen::Whole { response, .. } = seen else { panic!("{others} {most}: a cut") };
                assert!(response == expected(message), "{others} {most}");
            };
            fetch(&dotted, &[]);
            fetch(&clean, &[]);
            fetch(&dotted, &[COPIER]);
            fetch(&dotted, &[Copier { chunk: 50_000, ..COPIER }]);
            fetch(&dotted, &[Copier { chunk: 100_000, passes_from: Some(60_000), ..COPIER }]);
            let held = RetrCursor::held(source(b""), dotted.clone(), None, None, None);
            let client = Client { most, ..Client::default() };
            let seen = drain_by(held, None, &mut vec![0; SCRATCH_SIZE], &mut spare, client);
            assert!(seen == Seen::Whole { announced: None, response: expected(&dotted) }, "{others} {most}");
        }
    }
}

#[test]
fn a_transform_that_fails_never_leaves_a_terminated_message() {
    let message = lines(3 * HOLD);
    for at in 0..2 * HOLD {
        let fails = Copier { fails_at: Some(at), ..COPIER };
        match fetch(source(&message), vec![fails], Part::Whole) {
            Seen::Refused => assert!(at < HOLD, "refused after {at} octets"),
            Seen::Cut { response } => {
                assert!(at >= HOLD, "cut after {at} octets");
                assert!(!response.ends_with(b"\r\n.\r\n"));
            }
            other @ Seen::Whole { .. } => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn with_a_spool_every_failure_is_refused() {
    let message = lines(3 * HOLD);
    for at in [0, 1, HOLD - 1, HOLD, HOLD + 1, 2 * HOLD, 3 * HOLD - 1] {
        let fails = Copier { fails_at: Some(at), spool: true, ..COPIER };
        assert_eq!(fetch(source(&message), vec![fails], Part::Whole), Seen::Refused);
    }
}

#[test]
fn a_failed_link_whose_policy_is_to_pass_is_left_out_and_the_others_are_not() {
    let message = lines(HOLD / 2);
    let passes = Copier { fails_at: Some(10), on_error: OnError::Pass, ..COPIER };
    let whole = Seen::Whole { announced: source(&message).octets, response: expected(&message) };
    assert_eq!(fetch(source(&message), vec![passes.clone()], Part::Whole), whole);
    assert_eq!(fetch(source(&message), vec![passes.clone(), COPIER], Part::Whole), whole);
    assert_eq!(PASSED.get(), 2);
    let fails = Copier { fails_at: Some(20), ..COPIER };
    assert_eq!(fetch(source(&message), vec![passes, fails], Part::Whole), Seen::Refused);
}

#[test]
fn a_link_that_cannot_begin_once_another_failed_is_passed_by_as_well_where_its_policy_says_so() {
    let message = lines(HOLD / 2);
    let whole = Seen::Whole { announced: source(&message).octets, response: expected(&message) };
    let passes = Copier { fails_at: Some(10), on_error: OnError::Pass, ..COPIER };
    let rests = Copier { rests: true, on_error: OnError::Pass, ..COPIER };
    for links in [
        vec![rests.clone()],
        vec![rests.clone(), rests.clone()],
        vec![passes.clone(), rests.clone()],
        vec![rests.clone(), passes.clone(), rests.clone(), COPIER],
    ] {
        assert_eq!(fetch(source(&message), links, Part::Whole), whole);
    }
    let refuses = Copier { rests: true, ..COPIER };
    for links in [vec![passes.clone(), refuses.clone()], vec![rests, refuses]] {
        assert_eq!(fetch(source(&message), links, Part::Whole), Seen::Refused);
    }
}

#[test]
fn what_a_transform_passes_comes_from_the_file() {
    for octets in [10, HOLD, 3 * HOLD] {
        let message = lines(octets);
        for from in [0, 1, 5, 10] {
            for spool in [false, true] {
                let passes = Copier { passes_from: Some(from), spool, ..COPIER };
                match fetch(source(&message), vec![passes], Part::Whole) {
                    Seen::Whole { response, .. } => assert!(response == expected(&message)),
                    other => panic!("{octets} octets, from {from}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_message_that_passes_within_what_is_held_is_told_with_its_octets() {
    for (octets, is_told) in [(10, true), (HOLD, true), (HOLD + 1, false)] {
        let message = lines(octets);
        let passes = Copier { passes_from: Some(5), ..COPIER };
        match fetch(source(&message), vec![passes], Part::Whole) {
            Seen::Whole { announced, response } => {
                assert!(response == expected(&message));
                let octets = source(&message).octets;
                assert_eq!(announced, octets.filter(|_| is_told), "{} octets", message.len());
            }
            other => panic!("{octets} octets: {other:?}"),
        }
    }
}

#[test]
fn what_passes_is_held_a_share_at_a_time() {
    let message = lines(3_000_000);
    let copier = Copier { chunk: 700, passes_from: Some(2000), spool: true, ..COPIER };
    let Ok(Ok(opening)) = start(source(&message), vec![copier], Part::Whole) else { panic!("it begins") };
    let (mut opening, mut scratch, mut turns) = (Box::new(opening), vec![0; SCRATCH_SIZE], 0);
    let (cursor, octets) = loop {
        match opening.step(&mut scratch) {
            (Step::Unfinished, Some(same)) => (opening, turns) = (same, turns + 1),
            (Step::Pending, Some(same)) => opening = same,
            (Step::Open(cursor, octets), None) => break (cursor, octets),
            _ => panic!("it goes on or ends"),
        }
    };
    assert!(turns >= 10, "{turns}");
    let Seen::Whole { response, .. } = drain(cursor, octets, &mut scratch) else { panic!("a cut") };
    assert!(response == expected(&message));
}

#[test]
fn a_file_that_becomes_shorter_is_a_cut_and_not_an_end() {
    let message = lines(10_000);
    for links in [vec![], vec![COPIER]] {
        let mut short = source(&message);
        short.file.set_len(5_000).unwrap();
        short.wire_clean = false;
        assert!(matches!(fetch(short, links, Part::Whole), Seen::Cut { .. } | Seen::Refused));
    }
    let mut clean = source(&expected(&lines(10_000)[1..]));
    clean.length += 1;
    clean.wire_clean = true;
    assert!(matches!(fetch(clean, vec![], Part::Whole), Seen::Cut { .. }));
}

#[test]
fn a_wire_clean_message_goes_out_as_it_stands() {
    let message = b"Subject: x\r\n\r\nbody\r\n".repeat(10_000);
    let clean = source(&message);
    assert!(clean.wire_clean);
    let announced = clean.octets;
    let response = [message.as_slice(), b".\r\n"].concat();
    assert!(fetch(clean, vec![], Part::Whole) == Seen::Whole { announced, response });
}

/// The lines of a message, with CRLF and without any that begins with ".".
fn expected_text(message: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = message.iter().map(|&octet| if octet == b'.' { b',' } else { octet }).collect();
    let sent = expected(&text);
    sent[..sent.len() - 3].to_vec()
}

#[test]
fn a_file_that_cannot_be_read_is_a_cut() {
    let folder = Source { file: File::open("/").unwrap(), length: 10, octets: None, wire_clean: false };
    assert_eq!(fetch(folder, vec![], Part::Whole), Seen::Cut { response: Vec::new() });
}

proptest! {
    #[test]
    fn top_is_the_same_with_and_without_a_transform(
        pieces in prop::collection::vec(prop::sample::select(vec!["a", ".", "\r", "\n", "\r\n", "long line "]), 0..400),
        lines in 0_u32..20,
        chunk in 1_usize..50,
    ) {
        let message = pieces.concat().into_bytes();
        let part = Part::Top { lines };
        let Seen::Whole { response: plain, .. } = fetch(source(&message), vec![], part) else { panic!() };
        let copier = Copier { chunk, ..COPIER };
        let Seen::Whole { response, .. } = fetch(source(&message), vec![copier], part) else { panic!() };
        prop_assert_eq!(plain, response);
    }
}

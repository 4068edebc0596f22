//! Chains of links that live in memory, cut and held up at random.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::super::{Command, OnError};
use super::*;

/// What a link in memory does to a message.
#[derive(Clone, Copy, Debug)]
enum Habit {
    Copy,
    /// Upper-cases ASCII, so that the order of links can be seen.
    Shout,
    /// Writes every octet twice.
    Double,
    /// Ends after so many octets, without waiting for the end of its input.
    Head(usize),
    /// Fails after so many octets.
    Fail(usize),
    /// Cannot be opened.
    Refuse,
}

struct Link {
    name: String,
    habit: Habit,
    /// Octets it holds at most.
    capacity: usize,
    /// Decides where it cuts and when it is not ready, over and over. Never empty.
    moods: Vec<u8>,
    spool: bool,
    /// Octets that its streams took.
    taken: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Memory {
    link: Arc<Link>,
    held: VecDeque<u8>,
    taken: usize,
    finished: bool,
    turn: usize,
    wake: Wake,
}

impl Link {
    fn new(name: &str, habit: Habit) -> Self {
        let (taken, dropped) = Default::default();
        Self { name: name.to_owned(), habit, capacity: 100, moods: vec![1], spool: false, taken, dropped }
    }
}

impl Transform for Link {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Native
    }

    fn policy(&self) -> Policy {
        Policy { on_error: OnError::Fail, spool: self.spool }
    }

    fn open(self: Arc<Self>, _message: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error> {
        if matches!(self.habit, Habit::Refuse) {
            return Err(Error::Permanent("refused".to_owned()));
        }
        Ok(Box::new(Memory { link: self, held: VecDeque::new(), taken: 0, finished: false, turn: 0, wake }))
    }
}

impl Memory {
    /// 0: not ready this time.
    fn mood(&mut self) -> usize {
        self.turn += 1;
        usize::from(self.link.moods[self.turn % self.link.moods.len()])
    }

    fn limit(&self) -> usize {
        match self.link.habit {
            Habit::Head(limit) | Habit::Fail(limit) => limit,
            Habit::Copy | Habit::Shout | Habit::Double | Habit::Refuse => usize::MAX,
        }
    }
}

impl Stream for Memory {
    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        assert!(!self.finished, "written to after its end");
        let room = self.link.capacity.saturating_sub(self.held.len());
        let count = self.mood().min(room).min(input.len()).min(self.limit() - self.taken);
        if room > 0 && count == 0 {
            self.wake.wake();
        }
        self.taken += count;
        self.link.taken.fetch_add(count, Ordering::Relaxed);
        for octet in &input[..count] {
            match self.link.habit {
                Habit::Shout => self.held.push_back(octet.to_ascii_uppercase()),
                Habit::Double => self.held.extend([*octet, *octet]),
                Habit::Copy | Habit::Head(_) | Habit::Fail(_) | Habit::Refuse => self.held.push_back(*octet),
            }
        }
        Ok(count)
    }

    fn finish(&mut self) -> Result<(), Error> {
        assert!(!self.finished, "finished twice");
        self.finished = true;
        Ok(())
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        let mood = self.mood();
        if mood == 0 {
            self.wake.wake();
            return Ok(Read::Pending);
        }
        let count = mood.min(output.len()).min(self.held.len());
        for (place, octet) in output.iter_mut().zip(self.held.drain(..count)) {
            *place = octet;
        }
        if count > 0 {
            return Ok(Read::Data(count));
        }
        match self.link.habit {
            Habit::Head(limit) if self.taken == limit => Ok(Read::End),
            Habit::Fail(limit) if self.taken == limit || self.finished => {
                Err(Error::Crashed("as told".to_owned()))
            }
            _ if self.finished => Ok(Read::End),
            _ => Ok(Read::Pending),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.link.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn message() -> Arc<Message> {
    Arc::new(Message {
        user: "user".to_owned(),
        number: 1,
        octets: 0,
        uid: "1".to_owned(),
        command: Command::Retr,
        remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
    })
}

fn chain(links: impl IntoIterator<Item = Link>) -> Arc<Chain> {
    Arc::new(Chain::new(links.into_iter().map(|link| Arc::new(link) as Arc<dyn Transform>).collect()))
}

/// Drives a stream as the cursor does: feeds and takes as much as goes, then waits to be woken.
fn drive(chain: &Arc<Chain>, input: &[u8], room: usize) -> Result<Vec<u8>, (usize, Error)> {
    let woken = Arc::new(AtomicBool::new(false));
    let bell = Arc::clone(&woken);
    let wake = Wake(Arc::new(move || bell.store(true, Ordering::Relaxed)));
    let mut stream = Arc::clone(chain).open(message(), wake).map_err(|error| (0, error))?;
    let (mut rest, mut finished, mut output, mut room) = (input, false, Vec::new(), vec![0; room]);
    loop {
        woken.store(false, Ordering::Relaxed);
        while !rest.is_empty() {
            match stream.write(rest).map_err(|error| (stream.failed_link(), error))? {
                0 => break,
                count => rest = &rest[count..],
            }
        }
        if rest.is_empty() && !finished {
            finished = true;
            stream.finish().map_err(|error| (stream.failed_link(), error))?;
        }
        loop {
            match stream.read(&mut room).map_err(|error| (stream.failed_link(), error))? {
                Read::Data(count) => output.extend_from_slice(&room[..count]),
                Read::Pending => break,
                Read::End => return Ok(output),
            }
        }
        assert!(woken.load(Ordering::Relaxed), "stands still with {} octets unread", rest.len());
    }
}

fn moods() -> impl Strategy<Value = Vec<u8>> {
    // Some mood lets something through, else nothing would ever move. Of three, so that reads and writes, which
    // take turns, each meet every mood.
    (prop::collection::vec(0..9_u8, 2), 1..200_u8).prop_map(|(mut moods, good)| {
        moods.push(good);
        moods
    })
}

proptest! {
    #[test]
    fn every_octet_passes_three_links_in_order(
        input in prop::collection::vec(any::<u8>(), 0..3000),
        moods in prop::collection::vec(moods(), 3),
        capacity in 2..200_usize,
        room in 1..300_usize,
    ) {
        let habits = [Habit::Copy, Habit::Shout, Habit::Double];
        let links = habits.into_iter().zip(moods).map(|(habit, moods)| {
            Link { capacity, moods, ..Link::new("link", habit) }
        });
        let expected: Vec<u8> =
            input.iter().flat_map(|octet| [octet.to_ascii_uppercase(), octet.to_ascii_uppercase()]).collect();
        prop_assert_eq!(drive(&chain(links), &input, room).unwrap(), expected);
    }

    #[test]
    fn a_failure_anywhere_is_that_of_its_link(
        octets in 0..500_usize,
        place in 0..3_usize,
        moods in prop::collection::vec(moods(), 3),
    ) {
        let links = moods.into_iter().enumerate().map(|(index, moods)| {
            let habit = if index == place { Habit::Fail(octets) } else { Habit::Copy };
            Link { moods, ..Link::new("link", habit) }
        });
        let (link, error) = drive(&chain(links), &[b'x'; 500], 64).unwrap_err();
        prop_assert_eq!(link, place);
        prop_assert!(matches!(error, Error::Crashed(_)));
    }

    #[test]
    fn a_failure_before_a_link_that_ends_early_is_that_of_the_chain(
        octets in 0..500_usize,
        wanted in 0..500_usize,
        place in 0..3_usize,
        moods in prop::collection::vec(moods(), 4),
    ) {
        let links = moods.into_iter().enumerate().map(|(index, moods)| {
            let habit = match index {
                3 => Habit::Head(wanted),
                index if index == place => Habit::Fail(octets),
                _ => Habit::Copy,
            };
            Link { moods, ..Link::new("link", habit) }
        });
        let (link, error) = drive(&chain(links), &[b'x'; 500], 64).unwrap_err();
        prop_assert_eq!(link, place);
        prop_assert!(matches!(error, Error::Crashed(_)));
    }
}

#[test]
fn a_later_link_that_ends_early_leaves_those_before_at_work_to_their_ends() {
    let links =
        [Link::new("first", Habit::Copy), Link::new("head", Habit::Head(10)), Link::new("last", Habit::Copy)];
    let taken = links.each_ref().map(|link| Arc::clone(&link.taken));
    let dropped = links.each_ref().map(|link| Arc::clone(&link.dropped));
    assert_eq!(drive(&chain(links), &[b'x'; 5000], 64).unwrap(), [b'x'; 10]);
    assert_eq!(taken.map(|count| count.load(Ordering::Relaxed)), [5000, 10, 10]);
    assert_eq!(dropped.map(|count| count.load(Ordering::Relaxed)), [1, 1, 1]);
}

#[test]
fn a_link_that_cannot_be_opened_is_named_and_the_others_are_cancelled() {
    let links = [Link::new("first", Habit::Copy), Link::new("second", Habit::Refuse)];
    let dropped = Arc::clone(&links[0].dropped);
    let (link, error) = drive(&chain(links), b"x", 64).unwrap_err();
    assert_eq!(link, 1);
    assert!(matches!(error, Error::Permanent(_)));
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn an_empty_message_passes() {
    let links = [Link::new("first", Habit::Copy), Link::new("second", Habit::Double)];
    assert_eq!(drive(&chain(links), b"", 64).unwrap(), b"");
}

#[test]
fn a_chain_without_a_link_keeps_the_others_in_order() {
    let three = chain(["one", "two", "three"].map(|name| Link::new(name, Habit::Copy)));
    assert_eq!(three.name(), "one,two,three");
    assert_eq!(three.names().collect::<Vec<_>>(), ["one", "two", "three"]);
    let two = three.without(1).unwrap();
    assert_eq!(two.name(), "one,three");
    assert_eq!(two.without(0).unwrap().name(), "three");
    assert!(two.without(0).unwrap().without(0).is_none());
}

#[test]
fn a_chain_spools_if_one_link_does() {
    assert!(!chain([Link::new("one", Habit::Copy)]).policy().spool);
    let links = [Link::new("one", Habit::Copy), Link { spool: true, ..Link::new("two", Habit::Copy) }];
    assert!(chain(links).policy().spool);
}

//! What the server and a helper process say to each other over their socket: frames of `len u32, stream u32, type u8`,
//! numbers in the byte order of the machine, for both are the same program.

use std::io::{self, Write};
use std::time::Duration;

use pop3d_core::transform::{Command, Error, Flow, Message};

use crate::bound::{BY_INPUT, Bound, MAX_OUTPUT};

/// Longest payload of a frame to a helper: a library with its options.
pub(super) const TO_HELPER_MAX: usize = 320 << 20;

/// Octets of output in one frame.
pub(super) const OUTPUT: usize = 64 * 1024;

/// Longest payload of a frame from a helper. One that a plugin has taken over can say what it likes, and is to take no memory
/// of the server by that.
pub(super) const FROM_HELPER_MAX: usize = OUTPUT;

/// Octets of why something went wrong, in a frame: letters that were none have three octets by then.
const REASON_MAX: usize = 4 * 1024;

const _: () = assert!(REASON_MAX + 5 * size_of::<u64>() <= FROM_HELPER_MAX, "an answer must fit");

/// Octets that a helper writes by one system call: a frame of output with its answer.
pub(super) const BUFFER: usize = 72 * 1024;

/// Octets before the payload of a frame.
pub(super) const HEAD: usize = 9;

/// Frames of output of one message that the server may have and not have taken yet.
pub(super) const WINDOW: usize = 4;

/// One frame. What is not of one message has stream 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    pub(super) stream: u32,
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// To the helper: a name, options, and the library.
    Load,
    /// From it: the plugin is configured.
    Loaded,
    /// From it: it is not, and why.
    Failed,
    /// To it: a message begins.
    Open,
    /// To it: a message with all its octets. Begun, pushed and finished, as far as the filter wants that; one answer.
    Whole,
    /// To it: octets of the message.
    Push,
    /// To it: the message ends.
    Finish,
    /// To it: nobody wants the message any more. One answer, once it is closed, also where it is not there.
    Close,
    /// From it: output.
    Output,
    /// From it: what a call came to, or that a message is closed, and how many frames of its output are still to come.
    Answer,
    /// To it: so many frames of output were taken.
    Taken,
}

pub(super) const KINDS: [Kind; 11] = [
    Kind::Load,
    Kind::Loaded,
    Kind::Failed,
    Kind::Open,
    Kind::Whole,
    Kind::Push,
    Kind::Finish,
    Kind::Close,
    Kind::Output,
    Kind::Answer,
    Kind::Taken,
];

impl Frame {
    pub(super) fn new(stream: u32, kind: Kind, payload: Vec<u8>) -> Self {
        Self { stream, kind, payload }
    }

    /// Writes a frame whole.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&head(self.stream, self.kind, self.payload.len())?)?;
        to.write_all(&self.payload)
    }
}

/// What stands before a payload of so many octets.
///
/// # Errors
/// They are too many.
pub(super) fn head(stream: u32, kind: Kind, length: usize) -> io::Result<[u8; HEAD]> {
    let kind = KINDS.iter().position(|other| *other == kind).unwrap_or_default();
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&length.to_ne_bytes());
    head[4..8].copy_from_slice(&stream.to_ne_bytes());
    head[8] = u8::try_from(kind).map_err(io::Error::other)?;
    Ok(head)
}

/// What a head says; none: there is no such frame, or its payload has more than `most` octets.
pub(super) fn read_head(
    [a, b, c, d, e, f, g, h, kind]: [u8; HEAD],
    most: usize,
) -> Option<(u32, Kind, usize)> {
    let length = u32::from_ne_bytes([a, b, c, d]) as usize;
    let kind = KINDS.get(usize::from(kind)).copied().filter(|_| length <= most)?;
    Some((u32::from_ne_bytes([e, f, g, h]), kind, length))
}

/// Values one after another.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_ne_bytes());
    }

    pub(super) fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }
}

/// The same values; none where they are not there.
pub(super) struct Reader<'octets>(pub(super) &'octets [u8]);

impl<'octets> Reader<'octets> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*number))
    }

    pub(super) fn octets(&mut self) -> Option<&'octets [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (octets, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(octets)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.octets()?.to_vec()).ok()
    }
}

/// A name, options and a library.
pub(super) fn write_load(name: &str, options: &[(String, String)], library: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.octets(name.as_bytes());
    writer.number(options.len() as u64);
    for (key, value) in options {
        writer.octets(key.as_bytes());
        writer.octets(value.as_bytes());
    }
    writer.octets(library);
    writer.0
}

pub(super) type Load = (String, Vec<(String, String)>, Vec<u8>);

pub(super) fn read_load(payload: &[u8]) -> Option<Load> {
    let mut reader = Reader(payload);
    let name = reader.text()?;
    let count = reader.number()?;
    let options = (0..count).map(|_| Some((reader.text()?, reader.text()?))).collect::<Option<_>>()?;
    Some((name, options, reader.octets()?.to_vec()))
}

/// A message that begins, and what may come out of it. In `Whole` its own octets stand behind that.
pub(super) fn write_message(message: &Message, bound: &Bound) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.number(bound.max_output());
    writer.number(bound.announced().is_some().into());
    writer.number(bound.announced().unwrap_or_default());
    writer.octets(message.user.as_bytes());
    writer.octets(message.uid.as_bytes());
    writer.octets(message.remote.to_string().as_bytes());
    writer.number(message.number.into());
    writer.number(message.octets);
    // RETR is 0, TOP is 1 and its lines.
    let lines = match message.command {
        Command::Retr => 0,
        Command::Top { lines } => u64::from(lines) + 1,
    };
    writer.number(lines);
    writer.0
}

/// That, and what stands behind it.
pub(super) fn read_message(payload: &[u8]) -> Option<(Message, Bound, &[u8])> {
    let mut reader = Reader(payload);
    let mut bound = Bound::new(reader.number()?);
    let (is_whole, input) = (reader.number()? != 0, reader.number()?);
    if is_whole {
        bound.announce(input);
    }
    let (user, uid) = (reader.text()?, reader.text()?);
    let remote = reader.text()?.parse().ok()?;
    let number = u32::try_from(reader.number()?).ok()?;
    let octets = reader.number()?;
    let command = match reader.number()?.checked_sub(1) {
        None => Command::Retr,
        Some(lines) => Command::Top { lines: u32::try_from(lines).ok()? },
    };
    Some((Message { user, number, octets, uid, command, remote }, bound, reader.0))
}

/// What a call came to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) result: Result<Flow, Error>,
    /// Octets that came with it were not pushed.
    pub(super) is_unread: bool,
    /// How many frames of its output are still to come.
    pub(super) owed: u64,
    /// Processor time since the last answer.
    pub(super) spent: Duration,
}

/// What fits of a reason.
pub(super) fn reason(said: &str) -> &str {
    &said[..said.floor_char_boundary(REASON_MAX)]
}

pub(super) fn write_answer(answer: &Answer) -> Vec<u8> {
    let (kind, said) = match &answer.result {
        Ok(Flow::More) => (0, ""),
        Ok(Flow::Pass) => (1, ""),
        Ok(Flow::Stop) => (2, ""),
        Err(Error::Temporary(said)) => (3, said.as_str()),
        Err(Error::Permanent(said)) => (4, said.as_str()),
        Err(Error::Crashed(said)) => (5, said.as_str()),
        Err(Error::Limit(BY_INPUT)) => (7, ""),
        Err(Error::Limit(_)) => (6, ""),
        // The server looks at the time itself.
        Err(Error::TimedOut(_)) => (5, "a limit"),
    };
    let mut writer = Writer::default();
    writer.number(kind);
    writer.octets(reason(said).as_bytes());
    writer.number(answer.is_unread.into());
    writer.number(answer.owed);
    writer.number(u64::try_from(answer.spent.as_nanos()).unwrap_or(u64::MAX));
    writer.0
}

pub(super) fn read_answer(payload: &[u8]) -> Option<Answer> {
    let mut reader = Reader(payload);
    let (kind, said) = (reader.number()?, String::from_utf8_lossy(reader.octets()?).into_owned());
    let result = match kind {
        0 => Ok(Flow::More),
        1 => Ok(Flow::Pass),
        2 => Ok(Flow::Stop),
        3 => Err(Error::Temporary(said)),
        4 => Err(Error::Permanent(said)),
        6 => Err(Error::Limit(MAX_OUTPUT)),
        7 => Err(Error::Limit(BY_INPUT)),
        _ => Err(Error::Crashed(said)),
    };
    let is_unread = reader.number()? != 0;
    Some(Answer { result, is_unread, owed: reader.number()?, spent: Duration::from_nanos(reader.number()?) })
}

/// How many frames were taken.
pub(super) fn write_taken(count: usize) -> Vec<u8> {
    (count as u64).to_ne_bytes().to_vec()
}

pub(super) fn read_taken(payload: &[u8]) -> Option<usize> {
    usize::try_from(Reader(payload).number()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::incoming::Incoming;
    use super::*;

    #[test]
    fn the_longest_reason_fits_into_an_answer() {
        let result = Err(Error::Crashed("\u{fffd}".repeat(1 << 20)));
        let answer = Answer { result, is_unread: true, owed: u64::MAX, spent: Duration::MAX };
        let written = write_answer(&answer);
        assert!(written.len() <= FROM_HELPER_MAX);
        let said = read_answer(&written).unwrap().result.unwrap_err().to_string();
        assert!(said.len() > REASON_MAX - 3 && said.chars().all(|letter| letter == '\u{fffd}'));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(stream in any::<u32>(), kind in 0_usize..KINDS.len(), payload in prop::collection::vec(any::<u8>(), 0..2000)) {
            let frame = Frame::new(stream, KINDS[kind], payload);
            let mut octets = Vec::new();
            frame.write(&mut octets).unwrap();
            let read = |octets| Incoming::new(octets, TO_HELPER_MAX).frame();
            prop_assert_eq!(read(octets.as_slice()).unwrap(), frame);
            prop_assert!(read(&octets[..octets.len() - 1]).is_err());
        }

        #[test]
        fn no_octets_make_the_server_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_answer(&octets);
            let _ = read_message(&octets);
            let _ = read_taken(&octets);
            let _ = read_load(&octets);
        }

        #[test]
        fn a_message_and_a_library_are_what_they_were(user in "\\PC{0,20}", uid in "[!-~]{1,70}", number in 1_u32.., octets in any::<u64>(), lines in prop::option::of(any::<u32>()), input in prop::option::of(any::<u64>())) {
            let command = lines.map_or(Command::Retr, |lines| Command::Top { lines });
            let uid_octets = uid.clone().into_bytes();
            let message = Message { user: user.clone(), number, octets, uid, command, remote: [127, 0, 0, 1].into() };
            let mut bound = Bound::new(octets / 2);
            input.into_iter().for_each(|input| bound.announce(input));
            let written = [&write_message(&message, &bound), uid_octets.as_slice()].concat();
            let (read, bound, rest) = read_message(&written).unwrap();
            prop_assert_eq!((bound.max_output(), bound.announced()), (octets / 2, input));
            prop_assert_eq!(rest, uid_octets);
            prop_assert_eq!(format!("{read:?}"), format!("{message:?}"));
            let options = vec![(user.clone(), user.clone())];
            prop_assert_eq!(read_load(&write_load(&user, &options, b"\x7FELF")), Some((user, options, b"\x7FELF".to_vec())));
        }
    }
}

//! Frames as they come in. The payload of a long one goes from the socket to where it stays, in one go with what follows
//! it, and is not copied again.

use std::io::{self, IoSliceMut, Read};

use super::frames::{Frame, HEAD, read_head};

/// Octets that are read before it is known what they are: a short message with its answer.
const BUFFER: usize = 8 * 1024;

/// Octets of a payload that are read at once: what is only announced takes no memory.
const STEP: usize = 64 * 1024;

const _: () = assert!(HEAD < BUFFER && BUFFER < STEP, "a head must fit, and what follows it into a step");

/// Where frames come from. What waits is `buffer[start..end]`.
pub(super) struct Incoming<Source> {
    source: Source,
    /// Octets of the longest payload that the other end has a reason for.
    most: usize,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// What the next long payload is read into, whatever stands there.
    spare: Vec<u8>,
}

impl<Source: Read> Incoming<Source> {
    /// Frames with payloads of so many octets at most.
    pub(super) fn new(source: Source, most: usize) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { source, most, buffer, start: 0, end: 0, spare: Vec::new() }
    }

    /// Whether the next long payload needs memory of its own.
    pub(super) fn wants_spare(&self) -> bool {
        self.spare.is_empty()
    }

    /// Gives it that of a payload which nobody looks at any more.
    pub(super) fn lend(&mut self, spare: Vec<u8>) {
        self.spare = spare;
    }

    pub(super) fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    /// Whether a whole frame is here already, or what is none.
    pub(super) fn has_frame(&self) -> bool {
        self.buffered().split_first_chunk().is_some_and(|(head, rest)| {
            read_head(*head, self.most).is_none_or(|(_, _, length)| length <= rest.len())
        })
    }

    /// The next frame.
    ///
    /// # Errors
    /// Where the other end says what is none, or nothing more.
    pub(super) fn frame(&mut self) -> io::Result<Frame> {
        let head = loop {
            if let Some((head, _)) = self.buffered().split_first_chunk::<HEAD>() {
                break *head;
            }
            self.fill()?;
        };
        self.start += HEAD;
        let (stream, kind, length) = read_head(head, self.most).ok_or(io::ErrorKind::InvalidData)?;
        let payload = self.payload(length)?;
        Ok(Frame { stream, kind, payload })
    }

    fn payload(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let here = length.min(self.end - self.start);
        let begin = &self.buffer[self.start..self.start + here];
        self.start += here;
        if here == length {
            return Ok(begin.to_vec());
        }
        // Of a spare one neither memory nor zeros have to be asked for: both cost as much as to read it.
        let first = length.min(STEP);
        let mut payload = std::mem::take(&mut self.spare);
        if payload.capacity() < first {
            payload = Vec::with_capacity(first);
        }
        payload.resize(first, 0);
        payload[..here].copy_from_slice(begin);
        let mut filled = here;
        while filled < length {
            if filled == payload.len() {
                payload.resize(length.min(filled + STEP), 0);
            }
            let is_last = payload.len() == length;
            let room = &mut payload[filled..];
            let wanted = room.len();
            let mut places = [IoSliceMut::new(room), IoSliceMut::new(&mut self.buffer)];
            // What is behind the payload is for what comes next.
            let places = if is_last { &mut places[..] } else { &mut places[..1] };
            let count = some(&mut || self.source.read_vectored(places))?;
            // Nothing waited: all that did is in the payload.
            (self.start, self.end) = (0, count.saturating_sub(wanted));
            filled += count.min(wanted);
        }
        Ok(payload)
    }

    fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads something behind what waits, which is less than a head.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = &mut self.buffer[self.end..];
        self.end += some(&mut || self.source.read(room))?;
        Ok(())
    }
}

/// Reads at least one octet.
fn some(read: &mut dyn FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frames::{KINDS, Kind};
    use super::*;

    const MOST: usize = 1 << 20;

    /// Gives so many octets at once; 0: it is interrupted.
    struct Pieces<'octets> {
        octets: &'octets [u8],
        sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.read_vectored(&mut [IoSliceMut::new(room)])
        }

        fn read_vectored(&mut self, rooms: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            let size = self.sizes.next().unwrap_or(1);
            if size == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = (&self.octets[..size.min(self.octets.len())]).read_vectored(rooms)?;
            self.octets = &self.octets[count..];
            Ok(count)
        }
    }

    proptest! {
        #[test]
        fn frames_are_read_whole_however_they_are_cut(
            frames in prop::collection::vec((any::<u32>(), 0..KINDS.len(), prop_oneof![0_usize..100, 0_usize..200_000]), 1..6),
            sizes in prop::collection::vec(0_usize..100_000, 1..6),
            lost in 1_usize..10,
            mut spares in prop::collection::vec(1_usize..100_000, 0..6),
        ) {
            let frame = |(stream, kind, length): (u32, usize, usize)| {
                let payload = (0..=255).cycle().skip(kind).take(length).collect();
                Frame { stream, kind: KINDS[kind], payload }
            };
            let frames: Vec<_> = frames.into_iter().map(frame).collect();
            let mut octets = Vec::new();
            for frame in &frames {
                frame.write(&mut octets).unwrap();
            }
            let sizes: Vec<_> = sizes.into_iter().chain([1]).collect();
            let mut incoming = Incoming::new(Pieces { octets: &octets, sizes: sizes.clone().into_iter().cycle() }, MOST);
            for frame in &frames {
                if incoming.wants_spare() && !spares.is_empty() {
                    incoming.lend(vec![b'?'; spares.remove(0)]);
                }
                prop_assert!(incoming.frame().unwrap() == *frame);
            }
            prop_assert_eq!(incoming.frame().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            // The last one is cut.
            let cut = &octets[..octets.len() - lost.min(octets.len())];
            let mut incoming = Incoming::new(Pieces { octets: cut, sizes: sizes.into_iter().cycle() }, MOST);
            while incoming.frame().is_ok() {}
            prop_assert!(!incoming.has_frame());
        }

        #[test]
        fn no_octets_make_the_server_panic_or_take_memory(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut incoming = Incoming::new(octets.as_slice(), MOST);
            while incoming.frame().is_ok() {
                let _ = incoming.has_frame();
            }
        }
    }

    #[test]
    fn a_payload_that_is_too_long_is_refused_before_it_comes() {
        let mut octets = Vec::new();
        Frame::new(1, Kind::Output, vec![1; 100]).write(&mut octets).unwrap();
        assert_eq!(Incoming::new(octets.as_slice(), 100).frame().unwrap().payload.len(), 100);
        let error = Incoming::new(&octets[..HEAD], 99).frame().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_frame_that_is_there_is_seen() {
        let mut octets = Vec::new();
        Frame::new(1, Kind::Output, vec![1; 20_000]).write(&mut octets).unwrap();
        Frame::new(1, Kind::Answer, vec![2; 20]).write(&mut octets).unwrap();
        let mut incoming = Incoming::new(octets.as_slice(), MOST);
        assert!(!incoming.has_frame());
        assert_eq!(incoming.frame().unwrap().payload.len(), 20_000);
        assert!(incoming.has_frame());
    }
}

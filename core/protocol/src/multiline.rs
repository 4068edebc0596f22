//! The body of a multi-line response: line ends become CRLF, a leading "." is doubled (RFC 1939, section 3).
//!
//! CRLF and LF end a line; a lone CR, NUL and 8-bit octets pass unchanged. The retrieval cursor encodes with
//! [`MultiLine`]; the store measures with [`Measure`], so that sizes tell what is sent.

use core::ops::Range;

use memchr::memchr_iter;

use crate::number::Octets;

/// What follows the last octet of a message that lacks its line end; one that has it gets the last three.
const TERMINATION: &[u8; 5] = b"\r\n.\r\n";

/// Least octets that are encoded without a look at the room that is left: fewer are not worth the two ways.
const SURE_MIN: usize = 16;

/// Octets that are copied at once of a line which is not longer: what mail programs fold lines at, and some more.
const LINE_BLOCK: usize = 96;

/// Octets that are copied at once of what is longer. C libraries copy more by `rep movsb`, which some processors do 25 times
/// slower where the copy begins up to 15 octets further on in its page: a few stuffed lines are enough for that.
const COPY_MAX: usize = 2 * 1024;

/// How far one step came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Octets taken from the input.
    pub consumed: usize,
    /// Octets written into the room.
    pub produced: usize,
}

/// Encodes the body of one multi-line response.
#[derive(Debug)]
pub struct MultiLine {
    phase: Phase,
    /// Octets written, byte-stuffing and termination octet not counted.
    octets: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// In the message, as told by what was written.
    Message(Place),
    /// So many octets at the end of [`TERMINATION`] are still to be written.
    Ending(u8),
}

/// A place in a message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    /// A line begins here; so does the message.
    #[default]
    LineStart,
    /// In a line, behind an octet that is not CR, or behind the "." that stuffs one.
    Within,
    /// Behind a CR: with LF it is a line end.
    AfterCr,
}

/// Why a run of octets that go out as they stand ends.
enum Stop {
    /// There is no more input, or no more room.
    Window,
    /// An LF without a CR comes next.
    BareLf,
    /// A "." that begins a line comes next.
    Dot,
}

impl MultiLine {
    /// An encoder for the end of a message that was sent as it stands because it is wire-clean
    /// ([`Measure::is_wire_clean`]): only `finish` is left.
    #[must_use]
    pub fn after_wire_clean() -> Self {
        Self { phase: Phase::Message(Place::LineStart), octets: 0 }
    }

    /// Encodes what fits: line ends become CRLF, a leading "." is doubled (RFC 1939, section 3).
    ///
    /// What was not consumed has to be offered again. With room for one octet a step may produce without consuming:
    /// the CR that an LF lacks, or the "." that stuffs another. Room for one octet always makes progress, until
    /// `finish` has begun: from then on nothing is taken.
    pub fn encode(&mut self, message: &[u8], room: &mut [u8]) -> Progress {
        let Phase::Message(mut place) = self.phase else { return Progress::default() };
        let mut rest = message;
        let capacity = room.len();
        let mut room = room;
        let mut stuffed = 0;
        loop {
            let sure = room.len().saturating_sub(1) / 2;
            if let Some(chunk) = rest.get(..sure.min(rest.len())).filter(|chunk| chunk.len() >= SURE_MIN) {
                let produced = place.encode_all(chunk, room, &mut stuffed);
                room = room.get_mut(produced..).unwrap_or_default();
                rest = rest.get(chunk.len()..).unwrap_or_default();
                continue;
            }
            let window = rest.get(..room.len()).unwrap_or(rest);
            let (run, stop) = place.verbatim(window);
            if let Some(&last) = run.last() {
                place = Place::after(last);
            }
            rest = rest.get(run.len()..).unwrap_or_default();
            room = put(room, run);
            match stop {
                Stop::Window => break,
                Stop::BareLf => {
                    // The LF stays in the input until its CR is out: with room for one octet it is found again,
                    // behind a CR.
                    room = put(room, b"\r");
                    if room.is_empty() {
                        place = Place::AfterCr;
                        break;
                    }
                    room = put(room, b"\n");
                    rest = rest.get(1..).unwrap_or_default();
                    place = Place::LineStart;
                }
                Stop::Dot => {
                    // A window that ends before the "." never shows it, so there is room for one octet. The "." in
                    // the input is no longer the first octet of the line and follows in the next run.
                    room = put(room, b".");
                    stuffed += 1;
                    place = Place::Within;
                }
            }
        }
        self.phase = Phase::Message(place);
        let produced = capacity - room.len();
        self.octets += (produced - stuffed) as u64;
        Progress { consumed: message.len() - rest.len(), produced }
    }

    /// Writes the line end that the message lacks and the termination octet with its CRLF, as far as there is
    /// room; returns how many octets. The response is whole once `is_finished`.
    pub fn finish(&mut self, room: &mut [u8]) -> usize {
        let left = match self.phase {
            Phase::Message(Place::LineStart) => 3,
            Phase::Message(Place::Within | Place::AfterCr) => {
                self.octets += 2;
                5
            }
            Phase::Ending(left) => left,
        };
        let owed = TERMINATION.get(TERMINATION.len() - usize::from(left)..).unwrap_or_default();
        let mut written = 0_u8;
        for (place, &octet) in room.iter_mut().zip(owed) {
            *place = octet;
            written += 1;
        }
        self.phase = Phase::Ending(left - written);
        usize::from(written)
    }

    /// The octets of the message that were encoded, as [`Measure::octets`] tells them; those of all of it once `finish` has begun.
    #[must_use]
    pub fn octets(&self) -> Octets {
        Octets(self.octets)
    }

    /// Whether the termination octet and its CRLF have been written.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Ending(0)
    }
}

impl Default for MultiLine {
    fn default() -> Self {
        Self { phase: Phase::Message(Place::LineStart), octets: 0 }
    }
}

impl Place {
    /// Encodes all of the octets, for which there is room whatever they are: twice as much and one. Returns how many octets
    /// it wrote, and adds those that stuff. One search goes through all lines, and each is copied once. It stands by itself: what
    /// its caller keeps would be in the way in the loop over lines.
    #[inline(never)]
    fn encode_all(&mut self, message: &[u8], room: &mut [u8], stuffed: &mut usize) -> usize {
        let mut written = 0;
        if *self == Self::LineStart && message.first() == Some(&b'.') {
            written = put_one(room, written, b'.');
            *stuffed += 1;
        }
        // What comes from here on is not copied yet.
        let mut start = 0;
        for end in memchr_iter(b'\n', message) {
            let has_cr = match end.checked_sub(1) {
                Some(before) => message.get(before) == Some(&b'\r'),
                None => *self == Self::AfterCr,
            };
            if !has_cr {
                written = put_at(room, written, message, start..end);
                written = put_one(room, written, b'\r');
                start = end;
            }
            if message.get(end + 1) == Some(&b'.') {
                written = put_at(room, written, message, start..end + 1);
                written = put_one(room, written, b'.');
                *stuffed += 1;
                start = end + 1;
            }
        }
        written = put_at(room, written, message, start..message.len());
        if let Some(&last) = message.last() {
            *self = Self::after(last);
        }
        written
    }

    /// The octets from the first on that go out as they stand, and what ends them.
    fn verbatim(self, window: &[u8]) -> (&[u8], Stop) {
        match (self, window.first()) {
            (Self::LineStart, Some(b'.')) => return (&[], Stop::Dot),
            (Self::LineStart | Self::Within, Some(b'\n')) => return (&[], Stop::BareLf),
            (Self::LineStart | Self::Within | Self::AfterCr, _) => {}
        }
        // One search for all lines that end in CRLF; each line is looked at, none is copied by itself.
        for end in memchr_iter(b'\n', window) {
            // An LF that comes first has its CR: that was decided above.
            if end > 0 && window.get(end - 1) != Some(&b'\r') {
                return (window.get(..end).unwrap_or_default(), Stop::BareLf);
            }
            if window.get(end + 1) == Some(&b'.') {
                return (window.get(..=end).unwrap_or_default(), Stop::Dot);
            }
        }
        (window, Stop::Window)
    }

    fn after(last: u8) -> Self {
        match last {
            b'\n' => Self::LineStart,
            b'\r' => Self::AfterCr,
            _ => Self::Within,
        }
    }
}

/// Copies a part of the octets into the room, at a place with space for it; returns where it ends there.
///
/// A short part is copied as a block of one length, of which the next part overwrites what is too much: a copy of each
/// line's own length costs a call, and a jump that no processor foresees.
#[inline(always)]
fn put_at(room: &mut [u8], at: usize, octets: &[u8], part: Range<usize>) -> usize {
    let end = at + part.len();
    if part.len() <= LINE_BLOCK
        && let Some(space) = room.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<LINE_BLOCK>)
        && let Some(block) = octets.get(part.start..).and_then(<[u8]>::first_chunk)
    {
        *space = *block;
    } else if let (Some(space), Some(octets)) = (room.get_mut(at..end), octets.get(part)) {
        copy(space, octets);
    }
    end
}

/// Copies octets to where there is as much space. In the loop over lines it would only be in the way.
#[inline(never)]
fn copy(space: &mut [u8], octets: &[u8]) {
    for (space, octets) in space.chunks_mut(COPY_MAX).zip(octets.chunks(COPY_MAX)) {
        space.copy_from_slice(octets);
    }
}

/// Writes one octet into the room, at a place with space for it; returns where it ends there.
#[inline(always)]
fn put_one(room: &mut [u8], at: usize, octet: u8) -> usize {
    if let Some(space) = room.get_mut(at) {
        *space = octet;
    }
    at + 1
}

/// Copies octets to the front of the room, which has space for them; returns the room behind them.
fn put<'a>(room: &'a mut [u8], octets: &[u8]) -> &'a mut [u8] {
    match room.split_at_mut_checked(octets.len()) {
        Some((front, behind)) => {
            copy(front, octets);
            behind
        }
        None => &mut [],
    }
}

/// Measures a message: what [`MultiLine`] would send of it, without sending.
#[derive(Debug, Default)]
pub struct Measure {
    place: Place,
    /// Octets as stored.
    stored: u64,
    /// LFs that lack their CR.
    bare: u64,
    /// Whether a line that begins with "." was seen.
    is_stuffed: bool,
}

impl Measure {
    /// Looks at the next octets of the message as stored.
    pub fn update(&mut self, message: &[u8]) {
        let Some(&last) = message.last() else { return };
        let mut at = 0;
        // What comes first is judged by the octets before it, which are gone.
        if self.place == Place::LineStart {
            self.is_stuffed |= message.first() == Some(&b'.');
        }
        if message.first() == Some(&b'\n') {
            self.bare += u64::from(self.place != Place::AfterCr);
            self.is_stuffed |= message.get(1) == Some(&b'.');
            at = 1;
        }
        let rest = message.get(at..).unwrap_or_default();
        let mut bare = 0;
        for end in memchr_iter(b'\n', rest) {
            let before = end.checked_sub(1).and_then(|place| rest.get(place));
            bare += u64::from(before != Some(&b'\r'));
            self.is_stuffed |= rest.get(end + 1) == Some(&b'.');
        }
        self.bare += bare;
        self.stored += message.len() as u64;
        self.place = Place::after(last);
    }

    /// The octets as sent, byte-stuffing and termination octet not counted.
    #[must_use]
    pub fn octets(&self) -> Octets {
        Octets(self.stored + self.bare + if self.place == Place::LineStart { 0 } else { 2 })
    }

    /// Whether the message could be sent as it stands in the file: every line end is CRLF, no line begins with
    /// ".", and it ends in CRLF or is empty.
    #[must_use]
    pub fn is_wire_clean(&self) -> bool {
        self.bare == 0 && !self.is_stuffed && self.place == Place::LineStart
    }
}

#[cfg(test)]
mod tests;

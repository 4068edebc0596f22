//! The RETR cursor: message source, stream, byte-stuffing, room in the outbound buffer. It goes only as far as there
//! is room, and holds no message whole.
//!
//! A cursor exists from "+OK" on: from here only the whole message or a connection that is reset is honest.

mod opening;
mod pump;
mod spool;
mod told;

use std::io;

use pop3d_protocol::multiline::MultiLine;
use pop3d_protocol::number::Octets;
use pop3d_protocol::pop3::Part;
use pop3d_protocol::top::TopLimit;

use self::opening::top_limit;
pub(crate) use self::opening::{Opening, Passing, Step, passing_by};
pub(crate) use self::pump::{Cut, Pump, fitting, read_at};
pub(crate) use self::told::message_of;
use crate::buffer::{LARGE_CAPACITY, OUTBOUND_BOUNDS, Outbound, Spare};
use crate::store::Source;
use crate::transform::Read;
use crate::transport::Transport;

/// Least room that is worth a read; less counts as none.
const ROOM_MIN: usize = 4 * 1024;

/// From this length on a message that is wire-clean goes from the file to the socket without passing through here. A
/// shorter one is read and written by one call each, which costs less.
const SEND_FILE_MIN: u64 = LARGE_CAPACITY as u64;

/// Octets that one chunk may grow by beyond doubling: a line end owed from the chunk before.
const ENCODE_SLACK: usize = 8;

const _: () = assert!(ROOM_MIN > 2 * ENCODE_SLACK, "a chunk must fit into the least room");
const _: () = assert!(ROOM_MIN <= *OUTBOUND_BOUNDS.start(), "an empty buffer has room");

/// A message that is being sent.
pub(crate) struct RetrCursor {
    source: Source,
    body: Body,
    top: Option<TopLimit>,
    encoder: MultiLine,
    /// What the encoder comes to, where that was told.
    told: Option<Octets>,
}

/// Where the next octets come from.
enum Body {
    /// The file, as it stands on the wire.
    Verbatim { offset: u64 },
    /// The file, to be encoded.
    Stored { offset: u64 },
    /// Output that was held, then more.
    Held { held: Vec<u8>, offset: usize, then: Then },
    /// A stream.
    Stream(Pump),
    /// Nothing more: the termination octet.
    Ended,
}

/// What follows output that was held.
enum Then {
    Stream(Pump),
    /// The file, from this offset.
    Stored(u64),
    Nothing,
}

/// How far a call came.
pub(crate) enum Fill {
    /// The room is used up.
    Full,
    /// The transform has nothing at the moment: its `Wake` will ring.
    Pending,
    /// All is in the buffer, termination octet included.
    Finished,
}

impl RetrCursor {
    /// A message that no transform changes.
    pub(crate) fn stored(source: Source, part: Part) -> Self {
        let verbatim = source.wire_clean && part == Part::Whole;
        let encoder = if verbatim { MultiLine::after_wire_clean() } else { MultiLine::default() };
        let body = if verbatim { Body::Verbatim { offset: 0 } } else { Body::Stored { offset: 0 } };
        let told = source.octets.filter(|_| part == Part::Whole && !verbatim);
        Self { source, body, top: top_limit(part), encoder, told }
    }

    /// A message whose first output was held; then comes the stream, or the file from `passes_from` on, or nothing.
    fn held(
        source: Source,
        held: Vec<u8>,
        pump: Option<Pump>,
        passes_from: Option<u64>,
        top: Option<TopLimit>,
    ) -> Self {
        let then = match (pump, passes_from) {
            (Some(pump), _) => Then::Stream(pump),
            (None, Some(offset)) => Then::Stored(offset),
            (None, None) => Then::Nothing,
        };
        let (body, encoder) = (Body::Held { held, offset: 0, then }, MultiLine::default());
        Self { source, body, top, encoder, told: None }
    }

    /// Whether a message that no transform changed, once it has `Finished`, had the octets that were told of it.
    pub(crate) fn is_as_told(&self) -> bool {
        self.told.is_none_or(|told| told == self.encoder.octets())
    }

    /// Puts what fits into the outbound buffer.
    ///
    /// # Errors
    /// Where the message cannot be sent to its end: the connection is to be reset.
    pub(crate) fn fill(
        &mut self,
        outbound: &mut Outbound,
        spare: &mut Spare,
        scratch: &mut [u8],
    ) -> Result<Fill, Cut> {
        loop {
            if let Body::Ended = self.body {
                let room = outbound.room(spare);
                let count = self.encoder.finish(room);
                outbound.commit(count);
                return Ok(if self.encoder.is_finished() { Fill::Finished } else { Fill::Full });
            }
            if outbound.room_len() < ROOM_MIN {
                return Ok(Fill::Full);
            }
            let room = outbound.room(spare);
            let produced = match self.encode_some(room, scratch)? {
                Some(produced) => produced,
                None => return Ok(Fill::Pending),
            };
            outbound.commit(produced);
        }
    }

    /// Whether the rest can go from the file to the socket, once the outbound buffer is empty.
    pub(crate) fn sends_file(&self) -> bool {
        match self.body {
            Body::Verbatim { offset } => self.source.length - offset >= SEND_FILE_MIN,
            Body::Stored { .. } | Body::Held { .. } | Body::Stream(_) | Body::Ended => false,
        }
    }

    /// Sends octets from the file to the socket; only where `sends_file`.
    ///
    /// # Errors
    /// `WouldBlock` where the socket is full; every other one is the end of the connection.
    pub(crate) fn send_file(&mut self, transport: &mut Transport, share: usize) -> io::Result<usize> {
        let Body::Verbatim { offset } = &mut self.body else { return Ok(0) };
        // What is left over at the end goes through the buffer, together with the termination octet.
        let count = fitting(self.source.length - *offset, share);
        match transport.send_file(&self.source.file, *offset, count)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, Cut::Shrunk.to_string())),
            count => {
                *offset += count as u64;
                Ok(count)
            }
        }
    }

    /// Encodes the next chunk; none where the stream is pending.
    fn encode_some(&mut self, room: &mut [u8], scratch: &mut [u8]) -> Result<Option<usize>, Cut> {
        match &mut self.body {
            Body::Verbatim { offset } => {
                let left = self.source.length - *offset;
                if left == 0 {
                    self.body = Body::Ended;
                    return Ok(Some(0));
                }
                let share = fitting(left, room.len());
                let count = read_at(&self.source, &mut room[..share], *offset)?;
                *offset += count as u64;
                Ok(Some(count))
            }
            Body::Stored { offset } => {
                let left = self.source.length - *offset;
                if left == 0 {
                    self.body = Body::Ended;
                    return Ok(Some(0));
                }
                // What TOP has looked at must be encoded in the same go; else the rest is read again next time.
                let share = if self.top.is_some() { sure_to_fit(room) } else { room.len() };
                let share = fitting(left, share.min(scratch.len()));
                let count = read_at(&self.source, &mut scratch[..share], *offset)?;
                let (admitted, reached) = admit(&mut self.top, &scratch[..count]);
                let progress = self.encoder.encode(&scratch[..admitted], room);
                *offset += progress.consumed as u64;
                if reached {
                    self.body = Body::Ended;
                }
                Ok(Some(progress.produced))
            }
            Body::Held { held, offset, then } => {
                let progress = self.encoder.encode(&held[*offset..], room);
                *offset += progress.consumed;
                if *offset == held.len() {
                    self.body = match std::mem::replace(then, Then::Nothing) {
                        Then::Stream(pump) => Body::Stream(pump),
                        Then::Stored(offset) => Body::Stored { offset },
                        Then::Nothing => Body::Ended,
                    };
                }
                Ok(Some(progress.produced))
            }
            Body::Stream(pump) => {
                let share = sure_to_fit(room).min(scratch.len());
                match pump.read(&self.source, &mut scratch[..share])? {
                    Read::Pending => Ok(None),
                    Read::End => {
                        self.body = match pump.passes_from() {
                            Some(offset) => Body::Stored { offset: offset.min(self.source.length) },
                            None => Body::Ended,
                        };
                        Ok(Some(0))
                    }
                    Read::Data(count) => {
                        let (admitted, reached) = admit(&mut self.top, &scratch[..count]);
                        let progress = self.encoder.encode(&scratch[..admitted], room);
                        debug_assert_eq!(progress.consumed, admitted);
                        if reached {
                            self.body = Body::Ended;
                        }
                        Ok(Some(progress.produced))
                    }
                }
            }
            Body::Ended => Ok(Some(0)),
        }
    }
}

/// How many octets fit into `room`, whatever they are: each may be a line feed that becomes CRLF, or a "." that is
/// doubled.
fn sure_to_fit(room: &[u8]) -> usize {
    room.len().saturating_sub(ENCODE_SLACK) / 2
}

/// How many of the octets belong to the answer, and whether nothing after them does.
fn admit(top: &mut Option<TopLimit>, octets: &[u8]) -> (usize, bool) {
    match top {
        Some(top) => (top.admit(octets), top.is_reached()),
        None => (octets.len(), false),
    }
}

#[cfg(test)]
mod tests;

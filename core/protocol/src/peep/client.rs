//! The client's half: requests out, replies in, in the same order.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::command::{self, Shape};
use super::reply::{Failure, REPLY_LINE_MAX, Reply};
use super::request::Request;
use crate::line::{Line, LineReader};

/// Octets of a listing that are held, those of the lines' places included: some two million short lines.
const LISTING_MAX: usize = 64 * 1024 * 1024;

/// A client's connection as a value. After every call the caller takes what `poll_output` and `poll_reply` have.
pub struct Client {
    outbound: Vec<u8>,
    /// What the requests that are not answered will be answered with; the oldest first.
    awaited: VecDeque<Shape>,
    reader: LineReader,
    /// A listing that is coming.
    listing: Option<Listing>,
    replies: VecDeque<Result<Reply, Failure>>,
}

struct Listing {
    lines: Vec<String>,
    /// Lines that are still to come; never 0.
    left: u64,
    /// Octets that the lines take; at most `LISTING_MAX`.
    held: usize,
}

/// What a server said is no reply of PEEP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyError {
    /// A reply that nobody asked for.
    Unasked,
    /// A line of more than `REPLY_LINE_MAX` octets.
    TooLong,
    /// A listing of more than 64 MiB.
    TooMuch,
    /// A line that is neither a positive nor a negative reply, or has no number where one must be.
    BadForm,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unasked => "it spoke without being asked",
            Self::TooLong => "it sent a line that is too long for a reply",
            Self::TooMuch => "it sent a listing of more than 64 MiB",
            Self::BadForm => "it sent a line that is no reply",
        })
    }
}

impl core::error::Error for ReplyError {}

impl Client {
    /// A client that has not asked anything.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            outbound: Vec::new(),
            awaited: VecDeque::new(),
            reader: LineReader::new(REPLY_LINE_MAX),
            listing: None,
            replies: VecDeque::new(),
        }
    }

    /// Asks for something, without waiting for what was asked before.
    pub fn ask(&mut self, request: &Request) {
        self.outbound.extend_from_slice(&request.line);
        self.awaited.push_back(request.shape);
    }

    /// How many requests have no reply yet.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// Writes requests into `room`; returns how many octets.
    pub fn poll_output(&mut self, room: &mut [u8]) -> usize {
        let count = self.outbound.len().min(room.len());
        for (place, octet) in room.iter_mut().zip(&mut self.outbound) {
            // It may have been a password.
            *place = core::mem::take(octet);
        }
        self.outbound.drain(..count);
        count
    }

    /// Takes octets from the server.
    ///
    /// # Errors
    /// What it sends is no PEEP. The connection is of no use any more.
    pub fn handle_input(&mut self, octets: &[u8]) -> Result<(), ReplyError> {
        let mut rest = octets;
        loop {
            let (taken, line) = self.reader.read(rest);
            rest = rest.get(taken..).unwrap_or_default();
            match line {
                Some(Line::Whole { text, .. }) => {
                    let text = String::from_utf8_lossy(text).into_owned();
                    self.handle_line(text)?;
                }
                Some(Line::TooLong) => return Err(ReplyError::TooLong),
                None => return Ok(()),
            }
        }
    }

    /// The oldest reply that was not taken.
    pub fn poll_reply(&mut self) -> Option<Result<Reply, Failure>> {
        self.replies.pop_front()
    }

    fn handle_line(&mut self, line: String) -> Result<(), ReplyError> {
        if let Some(mut listing) = self.listing.take() {
            listing.held += size_of::<String>() + line.len();
            if listing.held > LISTING_MAX {
                return Err(ReplyError::TooMuch);
            }
            listing.lines.push(line);
            listing.left -= 1;
            self.go_on(listing);
            return Ok(());
        }
        let shape = *self.awaited.front().ok_or(ReplyError::Unasked)?;
        let reply = if let Some(code) = line.strip_prefix('-') {
            let code = command::number(code.as_bytes()).ok_or(ReplyError::BadForm)?;
            Err(Failure::of_code(u32::try_from(code).map_err(|_| ReplyError::BadForm)?))
        } else {
            let value = line.strip_prefix('+').ok_or(ReplyError::BadForm)?;
            let number = || command::number(value.as_bytes()).ok_or(ReplyError::BadForm);
            Ok(match shape {
                // Whatever a server adds there says nothing more.
                Shape::Nothing => Reply::Done,
                Shape::Integer => Reply::Integer(number()?),
                Shape::Text => Reply::Text(String::from(value)),
                Shape::Lines => {
                    let listing = Listing { lines: Vec::new(), left: number()?, held: 0 };
                    self.go_on(listing);
                    return Ok(());
                }
            })
        };
        self.answered(reply);
        Ok(())
    }

    fn go_on(&mut self, listing: Listing) {
        if listing.left == 0 {
            self.answered(Ok(Reply::Lines(listing.lines)));
        } else {
            self.listing = Some(listing);
        }
    }

    fn answered(&mut self, reply: Result<Reply, Failure>) {
        self.awaited.pop_front();
        self.replies.push_back(reply);
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

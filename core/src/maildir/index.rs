//! What is known of a maildrop: for each message its name, size and unique-id, in the order of the message-numbers.
//!
//! In memory and on disk it is the same run of octets: a header, one record of 24 octets for each message, and the
//! strings that the records point into: a name, an own unique-id and, in a flat folder or what was one, a checksum of the content. So
//! reading an index is one read, a checksum and a look at each record, and a session's snapshot is the index itself.
//! Whatever does not fit is refused by [`Index::parse`]; nothing after it can fail. Files are read and written by
//! `state.rs`, indexes are made by `scan.rs`.
//!
//! ```text
//!   0  magic and version          48  inode, seconds, nanoseconds: the flat folder, or `new`
//!   8  0, else: look at all        72  the same of `cur`; all 0 where there is none
//!  16  checksum of all from 24     96  length of strings, 104 of retired, 112 of owner
//!  24  count of messages          120  records, strings, retired unique-ids, owner
//!  32  layout, 40 second of the listing, 0 where it left something open
//! ```

mod builder;
mod partial;
mod record;

use std::fmt;
use std::ops::Range;

use pop3d_protocol::maildrop::Snapshot;
use pop3d_protocol::number::{MessageNumber, Octets};

pub(super) use self::builder::Builder;
pub(super) use self::record::{Record, Size};
use super::checksum::checksum;
use super::folder::{Layout, Listed, Place, Stamp, Visit};
use super::name::UNIQUE_ID_MAX;

/// What an index file begins with; the last octet is the version of the format.
const MAGIC: [u8; 8] = *b"pop3idx\x02";
/// Length of the header.
pub(super) const HEADER: usize = 120;
/// Length of a record.
const RECORD: usize = 24;
/// Where the mark stands that asks for a look at every message; not covered by the checksum, so that it can be set
/// alone.
pub(super) const DOUBT_AT: u64 = 8;
/// The mark that a file was met which is not as the index says.
pub(super) const DOUBTFUL: u64 = 1;
/// The mark that messages were being removed: another one may have come in the place of each since.
pub(super) const IN_UPDATE: u64 = 2;
/// The mark that an index of a flat folder could not be written that was to take this one's place: unique-ids were given
/// out since that nobody knows.
pub(super) const OLDER: u64 = 3;
/// Where the octets begin that the checksum covers.
const COVERED: usize = 24;
/// Most messages in a maildrop: numbers are 32 bits from 1, and one value is left over.
pub(super) const COUNT_MAX: u32 = u32::MAX - 1;
/// A size takes 56 bits of a record.
const OCTETS_MAX: u64 = (1 << 56) - 1;
/// A place among the strings takes 40 bits of a record.
const STRINGS_MAX: u64 = (1 << 40) - 1;
const WIRE_CLEAN: u8 = 1;
const NAMED: u8 = 2;
const UNKNOWN: u8 = 4;
const RACY: u8 = 8;
const IN_NEW: u8 = 16;
const IN_CUR: u8 = 32;
/// A checksum of the content, of eight octets, comes behind the strings.
const HAS_CONTENT: u8 = 64;

/// Why octets are not an index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IndexError {
    /// They do not begin as one of this version.
    Foreign,
    /// There are more or fewer than the header says.
    Length,
    /// They are not what was written.
    Checksum,
    /// A record or the header says what cannot be.
    Record,
}

impl fmt::Display for IndexError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Foreign => "not an index of this version",
            Self::Length => "index cut or grown",
            Self::Checksum => "index damaged",
            Self::Record => "index inconsistent",
        })
    }
}

impl std::error::Error for IndexError {}

/// What is known of a maildrop.
#[derive(Debug)]
pub struct Index {
    octets: Vec<u8>,
    count: u32,
    /// The sizes of all messages together.
    total: u64,
    /// Where the retired unique-ids begin, which is where the strings end.
    retired: usize,
    /// Where the owner begins.
    owner: usize,
    /// See `is_partial`; of the one in memory alone.
    is_partial: bool,
}

impl Index {
    /// Takes the octets of an index file.
    ///
    /// # Errors
    /// Where they are not an index that this version wrote, whole.
    pub fn parse(octets: Vec<u8>) -> Result<Self, IndexError> {
        if !octets.starts_with(&MAGIC) {
            return Err(IndexError::Foreign);
        }
        if whole_length(&octets) != Some(octets.len() as u64) {
            return Err(IndexError::Length);
        }
        if octets.get(COVERED..).map(checksum) != Some(word(&octets, 16)) {
            return Err(IndexError::Checksum);
        }
        let count = u32::try_from(word(&octets, 24)).ok().filter(|&count| count <= COUNT_MAX);
        let count = count.ok_or(IndexError::Record)?;
        let end = |start: usize, length| usize::try_from(length).map(|length| start.saturating_add(length));
        let strings = HEADER.saturating_add((count as usize).saturating_mul(RECORD));
        let retired = end(strings, word(&octets, 96)).map_err(|_| IndexError::Length)?;
        let owner = end(retired, word(&octets, 104)).map_err(|_| IndexError::Length)?;
        let whole = octets.len();
        let mut index = Self { octets, count, total: 0, retired, owner, is_partial: false };
        if retired > owner || owner > whole || layout_of(&index.octets).is_none() || !index.is_consistent() {
            return Err(IndexError::Record);
        }
        index.total = index.sum();
        Ok(index)
    }

    /// The octets with the beginning and the checksum that an index of them would have: for who looks for contents
    /// that `parse` takes and should not.
    #[doc(hidden)]
    #[must_use]
    pub fn sealed(mut octets: Vec<u8>) -> Vec<u8> {
        octets.resize(octets.len().max(HEADER), 0);
        let sum = octets.get(COVERED..).map(checksum).unwrap_or_default();
        let sealed = MAGIC.into_iter().chain([0; 8]).chain(sum.to_le_bytes());
        for (octet, sealed) in octets.iter_mut().zip(sealed) {
            *octet = sealed;
        }
        octets
    }

    /// The length of the file whose header this is; none where it is too short or impossible.
    pub(super) fn expected_length(header: &[u8]) -> Option<u64> {
        header.starts_with(&MAGIC).then(|| whole_length(header)).flatten()
    }

    /// Whether each record stays within the strings.
    fn is_consistent(&self) -> bool {
        let length = self.strings().len() as u64;
        let records = self.octets.get(HEADER..self.strings().start).unwrap_or_default();
        records.chunks_exact(RECORD).all(|record| {
            let places = Places::of(word(record, 0));
            let own = places.unique_id_length;
            let [flags, ..] = word(record, 8).to_le_bytes();
            let content = if flags & HAS_CONTENT != 0 { 8 } else { 0 };
            places.start + u64::from(places.name_length) + u64::from(own) + content <= length
                && (1..=places.name_length).contains(&places.base_length)
                && usize::from(if own == 0 { places.base_length } else { own }) <= UNIQUE_ID_MAX
        })
    }

    /// The sizes of all messages together.
    fn sum(&self) -> u64 {
        let records = self.octets.get(HEADER..self.strings().start).unwrap_or_default();
        records.chunks_exact(RECORD).fold(0, |total, record| (word(record, 8) >> 8).saturating_add(total))
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whom it belongs to; see `state.rs`.
    pub(super) fn owner(&self) -> &[u8] {
        self.octets.get(self.owner..).unwrap_or_default()
    }

    /// What the folders looked like when they were listed.
    pub(super) fn layout(&self) -> Layout {
        // `parse` and `Builder` leave no other.
        layout_of(&self.octets).unwrap_or(Layout::Maildir { new: None, cur: None })
    }

    /// Where the strings are: behind the records.
    fn strings(&self) -> Range<usize> {
        HEADER.saturating_add((self.count as usize).saturating_mul(RECORD))..self.retired
    }

    /// When the folders were listed; none where that left something open, so that they must be listed again.
    pub(super) fn listed(&self) -> Option<Listed> {
        Some(word(&self.octets, 40)).filter(|&seconds| seconds > 0).map(Listed::from_seconds)
    }

    /// Whether a change since the listing would have changed the folders' times for certain.
    pub(super) fn is_settled(&self) -> bool {
        self.listed().is_some_and(|listed| self.layout().is_settled(listed))
    }

    /// Whether another one tells nothing more, but that the folders were listed later.
    pub(super) fn is_as_good_as(&self, other: &Self) -> bool {
        // All but the mark of doubt, the checksum and the time of the listing.
        self.octets.get(COVERED..40) == other.octets.get(COVERED..40)
            && self.octets.get(48..) == other.octets.get(48..)
            && self.is_settled() == other.is_settled()
            && self.is_doubtful() == other.is_doubtful()
    }

    /// Whether a file was met that is not as this index says, so that every file is to be looked at again.
    pub(super) fn is_doubtful(&self) -> bool {
        word(&self.octets, 8) != 0
    }

    /// Whether messages were being removed, and this index was not replaced afterwards: the server was killed before, or
    /// could not write.
    pub(super) fn is_in_update(&self) -> bool {
        matches!(word(&self.octets, 8), IN_UPDATE | OLDER)
    }

    /// Whether unique-ids were given out that it does not know.
    pub(super) fn is_older(&self) -> bool {
        word(&self.octets, 8) == OLDER
    }

    /// The message at `index`, which counts from 0.
    pub(super) fn record(&self, index: u32) -> Option<Record<'_>> {
        if index >= self.count {
            return None;
        }
        let start = HEADER + index as usize * RECORD;
        let record = self.octets.get(start..start + RECORD)?;
        let places = Places::of(word(record, 0));
        let strings = self.octets.get(self.strings())?.get(usize::try_from(places.start).ok()?..)?;
        let (name, rest) = strings.split_at_checked(places.name_length.into())?;
        let (unique_id, rest) = rest.split_at_checked(places.unique_id_length.into())?;
        let sized = word(record, 8);
        let [flags, ..] = sized.to_le_bytes();
        let octets = sized >> 8;
        let size = if flags & UNKNOWN != 0 {
            let stamp = Some(word(record, 16)).filter(|&stamp| stamp > 0).map(Stamp::from_value);
            Size::Unknown { length: octets, stamp }
        } else if flags & NAMED != 0 {
            Size::Named { octets }
        } else {
            let stamp = Stamp::from_value(word(record, 16));
            let content = (flags & HAS_CONTENT != 0).then(|| word(rest, 0));
            Size::Counted {
                octets,
                wire_clean: flags & WIRE_CLEAN != 0,
                stamp,
                racy: flags & RACY != 0,
                content,
            }
        };
        let place = match (flags & IN_NEW != 0, flags & IN_CUR != 0) {
            (false, false) => Place::Top,
            (true, _) => Place::New,
            (false, true) => Place::Cur,
        };
        let base = name.get(..places.base_length.into())?;
        Some(Record { name, base, unique_id: (!unique_id.is_empty()).then_some(unique_id), place, size })
    }

    /// The messages in the order of their numbers.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.count).filter_map(|index| self.record(index))
    }

    /// Unique-ids that belonged to messages which are gone, the oldest first.
    pub(super) fn retired(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.octets.get(self.retired..self.owner).unwrap_or_default();
        std::iter::from_fn(move || {
            let (&length, behind) = rest.split_first()?;
            let (unique_id, behind) = behind.split_at_checked(length.into())?;
            rest = behind;
            Some(unique_id)
        })
    }

    /// Whether it holds unique-ids that nothing else tells: those that are not the messages' names, and those that are retired.
    pub(super) fn has_own_unique_ids(&self) -> bool {
        self.retired < self.owner || self.records().any(|record| record.unique_id.is_some())
    }

    /// The octets of the index file.
    pub(super) fn as_octets(&self) -> &[u8] {
        &self.octets
    }
}

impl Snapshot for Index {
    fn count(&self) -> u32 {
        self.count
    }

    fn octets(&self, number: MessageNumber) -> Octets {
        if number.index() >= self.count {
            return Octets(0);
        }
        // The size alone: this is called for every message of a drop listing.
        let at = HEADER + number.index() as usize * RECORD + 8;
        Octets(word(&self.octets, at) >> 8)
    }

    fn total(&self) -> Octets {
        Octets(self.total)
    }

    fn unique_id(&self, number: MessageNumber) -> &[u8] {
        if number.index() >= self.count {
            return b"?";
        }
        // That alone, for the same reason.
        let places = Places::of(word(&self.octets, HEADER + number.index() as usize * RECORD));
        let (behind, length) = match places.unique_id_length {
            0 => (0, places.base_length),
            own => (places.name_length, own),
        };
        let start =
            usize::try_from(places.start).map(|start| self.strings().start + start + usize::from(behind));
        let unique_id = start.ok().and_then(|start| self.octets.get(start..start + usize::from(length)));
        unique_id.unwrap_or(b"?")
    }
}

/// Where the strings of a record are.
struct Places {
    /// Where the name begins among the strings; an own unique-id comes right behind it.
    start: u64,
    name_length: u8,
    base_length: u8,
    /// 0 where the base is the unique-id.
    unique_id_length: u8,
}

impl Places {
    fn of(word: u64) -> Self {
        let [name_length, base_length, unique_id_length, ..] = word.to_le_bytes();
        Self { start: word >> 24, name_length, base_length, unique_id_length }
    }
}

/// The number at a place of octets; 0 past their end.
fn word(octets: &[u8], at: usize) -> u64 {
    let word = octets.get(at..).and_then(|octets| octets.first_chunk());
    u64::from_le_bytes(word.copied().unwrap_or_default())
}

/// The folders that a header tells of; none: it tells of none that there can be.
fn layout_of(octets: &[u8]) -> Option<Layout> {
    let visit = |at| Visit {
        inode: word(octets, at),
        seconds: word(octets, at + 8).cast_signed(),
        nanoseconds: word(octets, at + 16),
    };
    match word(octets, 32) {
        0 => Some(Layout::Flat(visit(48))),
        1 => Some(Layout::Maildir { new: visit(48).if_there(), cur: visit(72).if_there() }),
        _ => None,
    }
}

/// The length that a header tells; none where it is too short or tells an impossible one.
fn whole_length(header: &[u8]) -> Option<u64> {
    if header.len() < HEADER {
        return None;
    }
    let records = word(header, 24).checked_mul(RECORD as u64)?;
    [records, word(header, 96), word(header, 104), word(header, 112)]
        .into_iter()
        .try_fold(HEADER as u64, u64::checked_add)
}

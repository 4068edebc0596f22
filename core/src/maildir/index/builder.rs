//! Puts an index together.

use super::super::checksum::checksum;
use super::super::folder::{Layout, Listed, Place, Stamp, Visit};
use super::{
    COUNT_MAX, COVERED, HAS_CONTENT, HEADER, IN_CUR, IN_NEW, Index, MAGIC, NAMED, OCTETS_MAX, RACY, RECORD,
    Record, STRINGS_MAX, Size, UNKNOWN, WIRE_CLEAN,
};

/// Puts an index together, message by message.
pub(in crate::maildir) struct Builder {
    octets: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

/// The maildrop has more than an index can hold.
#[derive(Debug)]
pub(in crate::maildir) struct Full;

impl Builder {
    /// An index of no message, with room for so many.
    pub(in crate::maildir) fn with_room(messages: usize, strings: usize) -> Self {
        let mut octets = Vec::with_capacity(HEADER + messages.saturating_mul(RECORD) + strings + 512);
        octets.resize(HEADER, 0);
        Self { octets, strings: Vec::with_capacity(strings), count: 0 }
    }

    /// Adds the message that comes next.
    pub(in crate::maildir) fn push(&mut self, record: &Record<'_>) -> Result<(), Full> {
        let start = self.strings.len() as u64;
        let own = record.unique_id.unwrap_or_default();
        if self.count == COUNT_MAX || start > STRINGS_MAX {
            return Err(Full);
        }
        let length = |octets: &[u8]| u8::try_from(octets.len()).map(u64::from).map_err(|_| Full);
        let places = start << 24 | length(own)? << 16 | length(record.base)? << 8 | length(record.name)?;
        let (flags, stamp, content) = match record.size {
            Size::Counted { wire_clean, stamp, racy, content, .. } => {
                let flags = [(wire_clean, WIRE_CLEAN), (racy, RACY), (content.is_some(), HAS_CONTENT)];
                let flags = flags.iter().filter(|(is_so, _)| *is_so).fold(0, |flags, (_, flag)| flags | flag);
                (flags, stamp.value(), content)
            }
            Size::Named { .. } => (NAMED, 0, None),
            Size::Unknown { stamp, .. } => (UNKNOWN, stamp.map_or(0, Stamp::value), None),
        };
        let place = match record.place {
            Place::Top => 0,
            Place::New => IN_NEW,
            Place::Cur => IN_CUR,
        };
        let sized = record.size.octets().min(OCTETS_MAX) << 8 | u64::from(flags | place);
        for word in [places, sized, stamp] {
            self.octets.extend_from_slice(&word.to_le_bytes());
        }
        self.strings.extend_from_slice(record.name);
        self.strings.extend_from_slice(own);
        self.strings.extend(content.into_iter().flat_map(u64::to_le_bytes));
        self.count += 1;
        Ok(())
    }

    /// Closes the index.
    pub(in crate::maildir) fn finish(
        self,
        layout: Layout,
        listed: Option<Listed>,
        retired: &[&[u8]],
        owner: &[u8],
    ) -> Index {
        let Self { mut octets, strings, count } = self;
        let strings_start = octets.len();
        octets.extend_from_slice(&strings);
        let retired_start = octets.len();
        for unique_id in retired {
            // A longer one was never given out.
            let Ok(length) = u8::try_from(unique_id.len()) else { continue };
            octets.push(length);
            octets.extend_from_slice(unique_id);
        }
        let owner_start = octets.len();
        octets.extend_from_slice(owner);
        let (kind, visits) = match layout {
            Layout::Flat(top) => (0, [top, Visit::default()]),
            Layout::Maildir { new, cur } => (1, [new.unwrap_or_default(), cur.unwrap_or_default()]),
        };
        let [first, second] =
            visits.map(|visit| [visit.inode, visit.seconds.cast_unsigned(), visit.nanoseconds]);
        let lengths =
            [retired_start - strings_start, owner_start - retired_start, octets.len() - owner_start];
        let words = [u64::from(count), kind, listed.map_or(0, Listed::seconds)]
            .into_iter()
            .chain(first)
            .chain(second);
        let words = words.chain(lengths.map(|length| length as u64));
        for (place, word) in octets.chunks_exact_mut(8).skip(COVERED / 8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let sum = octets.get(COVERED..).map(checksum).unwrap_or_default();
        for (place, word) in octets.chunks_exact_mut(8).zip([u64::from_le_bytes(MAGIC), 0, sum]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        // It lives as long as a session does.
        octets.shrink_to_fit();
        let (retired, owner) = (retired_start, owner_start);
        let mut index = Index { octets, count, total: 0, retired, owner, is_partial: false };
        index.total = index.sum();
        index
    }
}

//! Makes an index of what is in the folders, from what was known before and a look at the rest.
//!
//! A file of a Maildir never changes under its name, so what is known of one is believed. Files of a flat folder can be
//! written again in place: each is looked at, and read where it is not as it was. May take long: called in the pool.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::SystemTime;

use pop3d_protocol::multiline::Measure;
use rustix::fs::Statx;

use super::folder::{self, Layout, Listed, Place, Stamp, UserFolder};
use super::import::{Notes, UniqueIds};
use super::index::{Builder, Index, Record, Size};
use super::listing::{Entry, Listing};
use super::name::{self, Sizes};

/// How often the folders are listed at most, where they change while they are.
const LISTINGS_MAX: u32 = 3;
/// How much of a message is read at once.
const BLOCK: usize = 256 * 1024;
/// Unique-ids of messages that are gone, kept so that they are not given out again. The oldest are forgotten.
pub(super) const RETIRED_MAX: usize = 4096;
/// Stands before the retired unique-ids where some were forgotten: no unique-id is empty.
const FORGOTTEN: &[u8] = b"";

/// Whether `known` still tells what is in the folders.
pub(super) fn is_current(known: &Index, folder: &UserFolder, layout: &Layout) -> io::Result<bool> {
    if known.layout() != *layout || !known.is_settled() || known.is_doubtful() {
        return Ok(false);
    }
    let Layout::Flat(_) = layout else { return Ok(true) };
    let Some(top) = folder.open_place(Place::Top)? else { return Ok(false) };
    Ok(known.records().all(|record| is_as_known(&record, top.as_fd())))
}

/// Whether the file of a message is the one that was counted.
pub(super) fn is_as_known(record: &Record<'_>, folder: BorrowedFd<'_>) -> bool {
    let Size::Counted { racy: false, .. } = record.size else { return false };
    folder::status_in(folder, record.name).is_ok_and(|status| is_same_file(record, &status))
}

/// Whether this is how the file of a message looked when it was counted. One that was not counted may look like
/// anything.
pub(super) fn is_same_file(record: &Record<'_>, status: &Statx) -> bool {
    folder::is_regular(status)
        && match record.size {
            Size::Counted { stamp, .. } => stamp.is_of_same_file(Stamp::of(status)),
            Size::Named { .. } | Size::Unknown { .. } => true,
        }
}

/// Lists the folders and looks at what is not known.
pub(super) fn scan(
    folder: &UserFolder,
    owner: &[u8],
    known: Option<&Index>,
    unique_ids: UniqueIds,
    now: impl Fn() -> SystemTime,
) -> io::Result<Index> {
    let mut layout = folder.layout()?;
    let mut made: Option<Index> = None;
    for _ in 0..LISTINGS_MAX {
        let began = now();
        let started = Listed::at(began);
        let known = made.as_ref().or(known).filter(|known| known.layout().is_same_place(&layout));
        let listing = Listing::of(folder, &layout, known)?;
        let mut scan = Scan::new(folder, &layout, known, (began, started), unique_ids)?;
        let builder = scan.merge(&listing)?;
        let after = folder.layout()?;
        let is_certain = after == layout && scan.is_complete() && !listing.has_twice();
        let index = builder.finish(layout, is_certain.then_some(started), &scan.retired(), owner);
        if after == layout {
            return Ok(index);
        }
        layout = after;
        made = Some(index);
    }
    // Somebody keeps changing the folders: what was found last is true enough, and unsettled.
    made.ok_or_else(|| io::Error::other("folders could not be listed"))
}

/// One pass over a listing.
struct Scan<'a> {
    user: &'a str,
    layout: &'a Layout,
    known: Option<&'a Index>,
    started: Listed,
    folders: Vec<(Place, OwnedFd)>,
    /// What another server noted.
    notes: Notes,
    /// Unique-ids that a base must not take.
    taken: HashSet<Vec<u8>>,
    retired: Vec<&'a [u8]>,
    /// Where unique-ids were forgotten: what no forgotten one was made of. A base may be one of them then.
    fresh: Option<[u8; 16]>,
    counter: Counter,
    /// Messages to be looked at again next time.
    loose_ends: u32,
    /// Messages that could not be read.
    unreadable: u32,
}

impl<'a> Scan<'a> {
    fn new(
        folder: &'a UserFolder,
        layout: &'a Layout,
        known: Option<&'a Index>,
        (began, started): (SystemTime, Listed),
        unique_ids: UniqueIds,
    ) -> io::Result<Self> {
        let mut folders = Vec::new();
        for &place in layout.places() {
            if let Some(folder) = folder.open_place(place)? {
                folders.push((place, folder));
            }
        }
        let mut retired: Vec<&[u8]> = known.into_iter().flat_map(Index::retired).collect();
        let fresh = (retired.first() == Some(&FORGOTTEN)).then(|| {
            retired.remove(0);
            began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_le_bytes()
        });
        let own = known.into_iter().flat_map(Index::records).filter_map(|record| record.unique_id);
        let taken = own.chain(retired.iter().copied()).map(<[u8]>::to_vec).collect();
        let counter = Counter::default();
        // Sizes noted are worth reading a list for where there are many to be counted.
        let notes = match (layout, known, unique_ids) {
            (Layout::Flat(_), ..) | (_, Some(_), UniqueIds::Names) => Notes::default(),
            (Layout::Maildir { .. }, ..) => Notes::read(folder, unique_ids),
        };
        Ok(Self {
            user: folder.user(),
            layout,
            known,
            started,
            folders,
            notes,
            taken,
            retired,
            fresh,
            counter,
            loose_ends: 0,
            unreadable: 0,
        })
    }

    /// Goes through listing and known messages side by side: both are in the same order.
    fn merge(&mut self, listing: &Listing) -> io::Result<Builder> {
        let mut builder = Builder::with_room(listing.count(), listing.names_length());
        let mut known = self.known.into_iter().flat_map(Index::records).peekable();
        for entry in listing.entries() {
            let base = listing.base(entry);
            let before = |record: &Record<'_>| {
                let one = (name::Delivery::of(record.base), record.base);
                name::order(one, (entry.delivery, base)).is_lt()
            };
            while let Some(gone) = known.next_if(before) {
                self.retire(&gone);
            }
            let known = known.next_if(|record| record.base == base);
            let Some(size) = self.size(listing.name(entry), base, entry, known.as_ref())? else {
                self.loose_ends += 1;
                if let Some(gone) = known {
                    self.retire(&gone);
                }
                continue;
            };
            let given;
            let unique_id = match known {
                Some(record) if !is_other_message(record.size, size) => record.unique_id,
                known => {
                    if let Some(record) = known {
                        self.retired.push(record.unique_id());
                        self.taken.insert(record.unique_id().to_vec());
                    }
                    given = self.unique_id(base, listing);
                    given.as_deref()
                }
            };
            let name = listing.name(entry);
            let record = Record { name, base, unique_id, place: entry.place, size };
            builder.push(&record).map_err(|_| io::Error::other("more messages than a maildrop can have"))?;
        }
        for gone in known {
            self.retire(&gone);
        }
        if self.unreadable > 1 {
            log::warn!(target: "pop3d::maildir", "{}: {} messages cannot be read", self.user, self.unreadable);
        }
        Ok(builder)
    }

    /// The size of a message; none where there is no message any more.
    fn size(
        &mut self,
        name: &[u8],
        base: &[u8],
        entry: &Entry,
        known: Option<&Record<'_>>,
    ) -> io::Result<Option<Size>> {
        let folder = self.folders.iter().find(|(place, _)| *place == entry.place);
        let Some(folder) = folder.map(|(_, folder)| folder.as_fd()) else { return Ok(None) };
        let is_flat = matches!(self.layout, Layout::Flat(_));
        let is_doubtful = self.known.is_some_and(Index::is_doubtful);
        match known.map(|record| (record, record.size)) {
            Some((record, size @ Size::Counted { racy: false, .. })) if is_flat || is_doubtful => {
                // The file may bear other flags by this time.
                if is_as_known(&Record { name, ..*record }, folder) {
                    return Ok(Some(size));
                }
            }
            Some((_, size @ (Size::Counted { racy: false, .. } | Size::Named { .. }))) if !is_doubtful => {
                return Ok(Some(size));
            }
            Some((_, Size::Counted { .. } | Size::Named { .. } | Size::Unknown { .. })) => {}
            // In a flat folder a name is no promise.
            None if is_flat => {}
            None => {
                let noted = || self.notes.of(base).and_then(|note| note.octets);
                if let Some(octets) = Sizes::of(base).octets.or_else(noted) {
                    return Ok(Some(Size::Named { octets }));
                }
            }
        }
        let counted = self.counter.count(folder, name, is_flat.then_some(self.started));
        match counted {
            Ok(counted) => {
                self.loose_ends += u32::from(matches!(counted, Some(Size::Counted { racy: true, .. })));
                Ok(counted)
            }
            // A size that is wrong because of that would be kept.
            Err(error) if folder::is_exhausted(&error) => Err(error),
            Err(error) => {
                if self.unreadable == 0 {
                    let (user, name) = (self.user, name.escape_ascii());
                    log::warn!(target: "pop3d::maildir", "{user}: message {name} cannot be read: {error}");
                }
                self.unreadable += 1;
                let length = folder::status_in(folder, name).map_or(0, |status| status.stx_size);
                Ok(Some(Size::Unknown { length }))
            }
        }
    }

    /// A unique-id for a new message, where it is not to be its base.
    fn unique_id(&mut self, base: &[u8], listing: &Listing) -> Option<Vec<u8>> {
        let noted = self.notes.of(base).and_then(|note| note.unique_id.clone());
        let noted = noted.filter(|unique_id| self.is_free(unique_id, listing));
        if noted.is_none() && self.fresh.is_none() && name::is_unique_id(base) && !self.taken.contains(base) {
            return None;
        }
        // "/" occurs in no file name: no base has this input, nor another attempt, which is shorter.
        let fresh = self.fresh.map(|fresh| [base, b"/", &fresh].concat());
        let input = fresh.as_deref().unwrap_or(base);
        let hashed = || {
            let mut hashed = (0..).map(|attempt| name::hashed_unique_id(input, attempt));
            hashed.find(|unique_id| self.is_free(unique_id, listing)).map(|unique_id| unique_id.to_vec())
        };
        let unique_id = noted.or_else(hashed);
        self.taken.extend(unique_id.clone());
        unique_id
    }

    /// Whether no message has this unique-id or might come to have it.
    fn is_free(&self, unique_id: &[u8], listing: &Listing) -> bool {
        listing.find(unique_id).is_none() && !self.taken.contains(unique_id)
    }

    /// Remembers the unique-id of a message that is gone. In a Maildir no other message will ever have its name.
    fn retire(&mut self, gone: &Record<'a>) {
        if let Layout::Flat(_) = self.layout {
            self.retired.push(gone.unique_id());
            self.taken.insert(gone.unique_id().to_vec());
        }
    }

    /// Whether nothing is left to be looked at again.
    fn is_complete(&self) -> bool {
        self.loose_ends == 0 && self.unreadable == 0
    }

    /// The retired unique-ids that are kept.
    fn retired(&self) -> Vec<&'a [u8]> {
        let start = self.retired.len().saturating_sub(RETIRED_MAX);
        let forgotten = (start > 0 || self.fresh.is_some()).then_some(FORGOTTEN);
        forgotten.into_iter().chain(self.retired.iter().skip(start).copied()).collect()
    }
}

/// Whether the file was replaced by another message of the same name. A copy from a backup has the same size and keeps
/// its unique-id.
fn is_other_message(before: Size, after: Size) -> bool {
    match (before, after) {
        (Size::Counted { octets: before, .. }, Size::Counted { octets: after, .. }) => before != after,
        (Size::Counted { .. } | Size::Named { .. } | Size::Unknown { .. }, _) => false,
    }
}

/// Counts octets as sent.
#[derive(Default)]
struct Counter {
    block: Vec<u8>,
}

impl Counter {
    /// Reads a message to its end; none where it is no regular file or gone. `now` is given where the file may be
    /// written again.
    fn count(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        now: Option<Listed>,
    ) -> io::Result<Option<Size>> {
        let file = match folder::open_message(folder, name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A symbolic link is no message, and no regular file needs a device.
            Err(error) if is_no_file(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let status = folder::status_of(&file)?;
        if !folder::is_regular(&status) {
            return Ok(None);
        }
        let (measure, length) = self.measure(&file, status.stx_size)?;
        let racy = length != status.stx_size || now.is_some_and(|now| folder::is_racy(&status, now));
        Ok(Some(Size::Counted {
            octets: measure.octets().0,
            wire_clean: measure.is_wire_clean(),
            stamp: Stamp::of(&status),
            racy,
        }))
    }

    fn measure(&mut self, mut file: &File, expected: u64) -> io::Result<(Measure, u64)> {
        self.block.resize(BLOCK, 0);
        let mut measure = Measure::default();
        let mut length = 0;
        loop {
            match file.read(&mut self.block) {
                Ok(0) => return Ok((measure, length)),
                Ok(count) => {
                    let Some(read) = self.block.get(..count) else { continue };
                    measure.update(read);
                    length += count as u64;
                    // A small file is whole after one read: one call less for each message of a large maildrop.
                    if length == expected && count < BLOCK {
                        return Ok((measure, length));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether opening failed because there is something else than a file.
pub(super) fn is_no_file(error: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|errno| matches!(errno, Errno::LOOP | Errno::NXIO))
}

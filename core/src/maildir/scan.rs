//! Makes an index of what is in the folders, from what was known before and a look at the rest.
//!
//! A file of a Maildir does not change under its name, so what is known of one is believed until somebody sees that it
//! did. Files of a flat folder can be written again in place: each is looked at, and read where it is not as it was. May
//! take long: called in the pool.

mod counting;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::SystemTime;

use rustix::fs::Statx;

pub(super) use self::counting::READ_MAX;
use self::counting::{AHEAD, Counted, Counter, Wanted, count_all};
use super::folder::{self, Layout, Listed, Place, Stamp, UserFolder};
use super::import::{Notes, UniqueIds};
use super::index::{Builder, Index, Record, Size};
use super::listing::{Entry, Listing};
use super::name::{self, Sizes};
use crate::state::what_to_raise;

/// Unique-ids of messages that are gone, kept so that they are not given out again. The oldest are forgotten.
pub(super) const RETIRED_MAX: usize = 4096;
/// Stands before the retired unique-ids where some were forgotten: no unique-id is empty.
const FORGOTTEN: &[u8] = b"";

/// How often the folders are listed at least where they change each time.
const LISTINGS_MIN: u32 = 3;
/// The same at most, as long as each listing finds a message that those before missed.
const LISTINGS_MAX: u32 = 8;

/// Whether `known` still tells what is in the folders.
pub(super) fn is_current(known: &Index, folder: &UserFolder, layout: &Layout) -> io::Result<bool> {
    if known.layout() != *layout || !known.is_settled() || known.is_doubtful() {
        return Ok(false);
    }
    let Layout::Flat(_) = layout else { return Ok(true) };
    let Some(top) = folder.open_place(Place::Top)? else { return Ok(false) };
    // An older version did not sum up what a file has in it.
    let is_summed_up = |record: &Record<'_>| matches!(record.size, Size::Counted { content: Some(_), .. });
    Ok(known.records().all(|record| is_summed_up(&record) && is_as_known(&record, top.as_fd())))
}

/// Whether the file of a message is the one that was counted.
pub(super) fn is_as_known(record: &Record<'_>, folder: BorrowedFd<'_>) -> bool {
    let Size::Counted { racy: false, .. } = record.size else { return false };
    folder::status_in(folder, record.name).is_ok_and(|status| is_same_file(record, &status))
}

/// Whether this is how the file of a message looked when it was counted, or found to be unreadable. One that was not looked
/// at may look like anything.
pub(super) fn is_same_file(record: &Record<'_>, status: &Statx) -> bool {
    folder::is_regular(status)
        && record.size.stamp().is_none_or(|stamp| stamp.is_of_same_file(Stamp::of(status)))
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
    let (mut made, mut met): (Option<Index>, Option<Listing>) = (None, None);
    let mut listings = 0;
    loop {
        listings += 1;
        let started = Listed::at(now());
        // Not what was made of the listing before, which may have missed a message that was moved: it is none that is gone.
        // But what was counted is not counted again. Names that came back in a flat folder are held against it as a Maildir, too.
        let of_kind = |index: &&Index| index.layout().is_same_kind(&layout);
        let of_place = |index: &&Index| index.layout().is_same_place(&layout);
        let is_whole = |made: &&Index| known.is_none_or(|known| known.unmet_in(made).next().is_none());
        let before = made.as_ref().filter(of_kind).filter(is_whole);
        let believed = known.filter(of_place).or(before).or(known);
        let mut listing = Listing::of(folder, &layout, believed)?;
        let listed = folder.layout()?;
        if listed != layout {
            // A message that is renamed meanwhile may be met by neither name; hardly by none of several listings.
            let has_more = met.is_none_or(|met| listing.add_missed(&met));
            if listings < LISTINGS_MIN || has_more && listings < LISTINGS_MAX {
                met = Some(listing).filter(|_| listed.is_same_place(&layout));
                layout = listed;
                continue;
            }
        }
        let mut scan = Scan::new(folder, &layout, believed, started, unique_ids)?;
        let builder = scan.merge(&listing)?;
        let after = folder.layout()?;
        let is_as_listed = after == layout;
        let is_certain = is_as_listed && scan.is_complete() && !listing.has_twice();
        let index = builder.finish(layout, is_certain.then_some(started), &scan.retired(), owner);
        let is_whole = is_as_listed || listed == layout && scan.vanished == 0;
        // A message that was renamed before it was counted is looked for again. Else what was found is true enough, and
        // unsettled where somebody keeps changing the folders.
        let is_enough = listings >= LISTINGS_MIN && scan.vanished == 0 || listings >= LISTINGS_MAX;
        if is_as_listed || is_enough {
            if is_as_listed {
                scan.tell_of_hidden(&listing);
            }
            return Ok(index.missing_from(known, is_whole));
        }
        met = Some(listing).filter(|_| after.is_same_place(&layout));
        (layout, made) = (after, Some(index));
    }
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
    /// Whether unique-ids were forgotten, or never written: a base may be one of them.
    is_forgetful: bool,
    counter: Counter,
    /// Messages that were counted ahead, by their places in the listing.
    ahead: HashMap<usize, Counted>,
    /// Messages to be looked at again next time.
    loose_ends: u32,
    /// Messages that were not there any more when they were to be counted.
    vanished: u32,
    /// Messages that could not be read.
    unreadable: u32,
    /// Whether what is known of a file is to be held against it: somebody has seen one that is not so.
    is_doubtful: bool,
    /// Whether the folders are others, as where a backup was brought back: messages keep their unique-ids, and are counted anew.
    is_elsewhere: bool,
    /// Whether another message may come to have the name of one that is gone: in a flat folder, or what was one.
    has_names_again: bool,
}

impl<'a> Scan<'a> {
    fn new(
        folder: &'a UserFolder,
        layout: &'a Layout,
        known: Option<&'a Index>,
        started: Listed,
        unique_ids: UniqueIds,
    ) -> io::Result<Self> {
        let mut folders = Vec::new();
        for &place in layout.places() {
            if let Some(folder) = folder.open_place(place)? {
                folders.push((place, folder));
            }
        }
        let mut retired: Vec<&[u8]> = known.into_iter().flat_map(Index::retired).collect();
        let has_forgotten = retired.first() == Some(&FORGOTTEN);
        if has_forgotten {
            retired.remove(0);
        }
        let is_forgetful = has_forgotten || known.is_some_and(Index::is_older);
        let own = known.into_iter().flat_map(Index::records).filter_map(|record| record.unique_id);
        let taken = own.chain(retired.iter().copied()).map(<[u8]>::to_vec).collect();
        let counter = Counter::default();
        // Sizes noted are worth reading a list for where there are many to be counted.
        let of_kind = known.filter(|known| known.layout().is_same_kind(layout));
        let notes = match (layout, of_kind, unique_ids) {
            (Layout::Flat(_), ..) | (_, Some(_), UniqueIds::Names) => Notes::default(),
            (Layout::Maildir { .. }, ..) => Notes::read(folder, unique_ids)?,
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
            is_forgetful,
            counter,
            ahead: HashMap::new(),
            loose_ends: 0,
            vanished: 0,
            unreadable: 0,
            is_doubtful: known.is_some_and(Index::is_doubtful),
            is_elsewhere: known.is_some_and(|known| !known.layout().is_same_place(layout)),
            has_names_again: is_flat(layout) || known.is_some_and(|known| is_flat(&known.layout())),
        })
    }

    /// Goes through listing and known messages side by side: both are in the same order.
    fn merge(&mut self, listing: &Listing) -> io::Result<Builder> {
        let mut builder = Builder::with_room(listing.count(), listing.names_length());
        let mut known = self.known.into_iter().flat_map(Index::records).peekable();
        for (place, entry) in listing.entries().enumerate() {
            if place.is_multiple_of(AHEAD) {
                self.count_ahead(listing, place);
            }
            let base = listing.base(entry);
            let before = |record: &Record<'_>| {
                let one = (name::Delivery::of(record.base), record.base);
                name::order(one, (entry.delivery, base)).is_lt()
            };
            while let Some(gone) = known.next_if(before) {
                self.retire(&gone);
            }
            let known = known.next_if(|record| record.base == base);
            let Some(size) = self.size(listing, place, entry, known.as_ref())? else {
                self.vanished += 1;
                if let Some(gone) = known {
                    self.retire(&gone);
                }
                continue;
            };
            let given;
            let unique_id = match known {
                Some(record) if !self.is_other_message(record.size, size) => record.unique_id,
                known => {
                    if let Some(record) = known {
                        self.retired.push(record.unique_id());
                        self.taken.insert(record.unique_id().to_vec());
                    }
                    given = self.unique_id(base, size, listing);
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

    /// Tells of the first message that is not shown because another file has its name. Nothing is lost by that, but whoever
    /// reads the mail does not know of it. Two names of one file are one message.
    fn tell_of_hidden(&self, listing: &Listing) {
        let file = |entry: &Entry| {
            let folder = folder_of(&self.folders, entry)?;
            let status = folder::status_in(folder, listing.name(entry)).ok()?;
            Some(folder::identity_of(&status))
        };
        let shown = |entry: &Entry| listing.entry(listing.base(entry)).and_then(file);
        let is_another =
            |entry: &&Entry| file(entry).zip(shown(entry)).is_some_and(|(one, other)| one != other);
        if let Some(entry) = listing.all_hidden().find(is_another) {
            let (user, name) = (self.user, listing.name(entry).escape_ascii());
            log::warn!(
                target: "pop3d::maildir",
                "{user}: message {name} is not shown until another of that name is deleted; rename its file",
            );
        }
    }

    /// The size of a message; none where there is no message any more.
    fn size(
        &mut self,
        listing: &Listing,
        place: usize,
        entry: &Entry,
        known: Option<&Record<'_>>,
    ) -> io::Result<Option<Size>> {
        let (name, base) = (listing.name(entry), listing.base(entry));
        let Some(folder) = folder_of(&self.folders, entry) else { return Ok(None) };
        let is_flat = matches!(self.layout, Layout::Flat(_));
        match known.map(|record| (record, record.size)) {
            Some((record, size @ Size::Counted { racy: false, content, .. }))
                if is_flat || self.is_doubtful || self.is_elsewhere =>
            {
                // The file may bear other flags by this time.
                if (content.is_some() || !is_flat) && is_as_known(&Record { name, ..*record }, folder) {
                    return Ok(Some(size));
                }
            }
            Some((_, size @ (Size::Counted { racy: false, .. } | Size::Named { .. })))
                if !self.is_doubtful =>
            {
                return Ok(Some(size));
            }
            Some((_, Size::Counted { .. } | Size::Named { .. } | Size::Unknown { .. })) => {}
            // In a flat folder a name is no promise.
            None if is_flat => {}
            None => {
                if let Some(octets) = self.told(base) {
                    return Ok(Some(Size::Named { octets }));
                }
            }
        }
        let (now, seen) = (self.counted_at(), known.and_then(|record| record.size.stamp()));
        let counted = self.ahead.remove(&place).unwrap_or_else(|| self.counter.count(folder, name, now));
        match counted {
            Ok(counted) => {
                self.loose_ends += u32::from(matches!(counted, Some(Size::Counted { racy: true, .. })));
                Ok(counted)
            }
            // A size that is wrong because of that would be kept.
            Err(error) if what_to_raise(&error).is_some() => Err(error),
            Err(error) => {
                if self.unreadable == 0 {
                    let (user, name) = (self.user, name.escape_ascii());
                    log::warn!(target: "pop3d::maildir", "{user}: message {name} cannot be read: {error}");
                }
                self.unreadable += 1;
                let status = folder::status_in(folder, name).ok();
                let length = status.as_ref().map_or(0, |status| status.stx_size);
                // Where it cannot be looked at either, it is taken for what it was.
                let stamp = status.as_ref().map(Stamp::of).or(seen);
                Ok(Some(Size::Unknown { length, stamp }))
            }
        }
    }

    /// Counts those of the next messages that are to be counted, where no size is known: else there are few.
    fn count_ahead(&mut self, listing: &Listing, start: usize) {
        if self.known.is_some() && !self.is_elsewhere {
            return;
        }
        let is_flat = matches!(self.layout, Layout::Flat(_));
        let next = listing.entries().enumerate().skip(start).take(AHEAD);
        let untold = next.filter(|(_, entry)| is_flat || self.told(listing.base(entry)).is_none());
        let wanted: Vec<_> = untold
            .filter_map(|(place, entry)| {
                let folder = folder_of(&self.folders, entry)?;
                Some(Wanted { place, folder, name: listing.name(entry) })
            })
            .collect();
        let counted = count_all(&wanted, self.counted_at());
        self.ahead = counted.into_iter().collect();
    }

    /// The size of a message that its name tells, or another server's list.
    fn told(&self, base: &[u8]) -> Option<u64> {
        let noted = || self.notes.of(base).and_then(|note| note.octets);
        Sizes::of(base).octets.or_else(noted)
    }

    /// When messages are counted, where that matters: a file of a flat folder may be written again, and another than was known have
    /// its name.
    fn counted_at(&self) -> Option<Listed> {
        self.has_names_again.then_some(self.started)
    }

    /// A unique-id for a new message, where it is not to be its base.
    fn unique_id(&mut self, base: &[u8], size: Size, listing: &Listing) -> Option<Vec<u8>> {
        let noted = self.notes.of(base).and_then(|note| note.unique_id.clone());
        let noted = noted.filter(|unique_id| self.is_free(unique_id, listing));
        let is_named = !self.is_forgetful && name::is_unique_id(base);
        if noted.is_none() && is_named && !self.taken.contains(base) {
            return None;
        }
        let hashed = || {
            let input = self.told_apart(base, size);
            let by_name = || {
                let unique_id = name::hashed_unique_id(base, 0);
                (!is_named && !self.is_forgetful && self.is_free(&unique_id, listing)).then_some(unique_id)
            };
            let mut hashed = (0..).map(|attempt| name::hashed_unique_id(&input, attempt));
            let unique_id = by_name().or_else(|| hashed.find(|unique_id| self.is_free(unique_id, listing)));
            unique_id.map(|unique_id| unique_id.to_vec())
        };
        let unique_id = noted.or_else(hashed);
        self.taken.extend(unique_id.clone());
        unique_id
    }

    /// What a unique-id is made of where the name alone does not do, since another message had it or may have had it. Where
    /// names come again it is what tells the file from that one: also where no index can be written the same file has the same
    /// unique-id at the next login, and another one has another.
    fn told_apart(&self, base: &[u8], size: Size) -> Vec<u8> {
        if !self.has_names_again && !self.is_forgetful {
            return base.to_vec();
        }
        let content = if let Size::Counted { content, .. } = size { content } else { None };
        let file = [size.stamp().map_or(0, Stamp::file), content.unwrap_or_default()].map(u64::to_le_bytes);
        // "/" occurs in no file name: no base has this input, nor another attempt, which is shorter.
        [base, b"/", &file.concat()].concat()
    }

    /// Whether no message has this unique-id or might come to have it.
    fn is_free(&self, unique_id: &[u8], listing: &Listing) -> bool {
        listing.find(unique_id).is_none() && !self.taken.contains(unique_id)
    }

    /// Remembers the unique-id of a message that is gone. In a Maildir no other message will ever have its name.
    fn retire(&mut self, gone: &Record<'a>) {
        if self.has_names_again && !self.was_never_flat() {
            self.retired.push(gone.unique_id());
            self.taken.insert(gone.unique_id().to_vec());
        }
    }

    /// Whether what is known is a Maildir that never was flat, of which no name comes again.
    fn was_never_flat(&self) -> bool {
        self.known.is_some_and(|known| !is_flat(&known.layout()) && known.retired().next().is_none())
    }

    /// Whether the file was replaced by another message of the same name. A copy from a backup has the same content and keeps
    /// its unique-id, but not where the message may have been removed by a session before.
    fn is_other_message(&self, before: Size, after: Size) -> bool {
        let (
            Size::Counted { octets: before, stamp: seen, content: had, .. },
            Size::Counted { octets: after, stamp: found, content: has, .. },
        ) = (before, after)
        else {
            // What one of the two holds nobody has read: they are the same message only where they look the same.
            let is_same =
                before.stamp().zip(after.stamp()).is_some_and(|(seen, found)| seen.is_of_same_file(found));
            return self.has_names_again && !self.was_never_flat() && !is_same;
        };
        let may_be_removed = || self.known.is_some_and(Index::is_in_update);
        let has_another = had.zip(has).is_some_and(|(had, has)| had != has);
        before != after || has_another || !seen.is_of_same_file(found) && may_be_removed()
    }

    /// Whether nothing is left to be looked at again.
    fn is_complete(&self) -> bool {
        self.loose_ends == 0 && self.vanished == 0 && self.unreadable == 0
    }

    /// The retired unique-ids that are kept.
    fn retired(&self) -> Vec<&'a [u8]> {
        let start = self.retired.len().saturating_sub(RETIRED_MAX);
        let forgotten = (start > 0 || self.is_forgetful).then_some(FORGOTTEN);
        forgotten.into_iter().chain(self.retired.iter().skip(start).copied()).collect()
    }
}

fn is_flat(layout: &Layout) -> bool {
    matches!(layout, Layout::Flat(_))
}

/// The folder of a message that was listed.
fn folder_of<'a>(folders: &'a [(Place, OwnedFd)], entry: &Entry) -> Option<BorrowedFd<'a>> {
    folders.iter().find(|(place, _)| *place == entry.place).map(|(_, folder)| folder.as_fd())
}

/// Whether opening failed because there is something else than a file.
pub(super) fn is_no_file(error: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|errno| matches!(errno, Errno::LOOP | Errno::NXIO))
}

//! The messages that are in the folders of a user, each once, in the order of a maildrop.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::{fmt, io};

use rustix::fs::{FileType, RawDir};

use super::folder::{self, Layout, Place, UserFolder};
use super::index::{COUNT_MAX, Index};
use super::name::{self, Delivery};

/// Room for the directory entries of one system call.
const ENTRIES_ROOM: usize = 64 * 1024;

/// How often the folders are listed at most to look for a message, where they change while they are.
pub(super) const LOOKS_MAX: u32 = 3;

/// One message found in a folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    start: usize,
    name_length: u8,
    base_length: u8,
    pub(super) place: Place,
    pub(super) delivery: Delivery,
}

/// The messages found in the folders of a user, in the order of a maildrop.
#[derive(Default)]
pub(super) struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// Files whose base was met before: what is shown of it hides them. In the same order.
    hidden: Vec<Entry>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Listing of {}", self.entries.len())
    }
}

/// Where messages are that are not where they were.
pub(super) struct Moved {
    listing: Listing,
    /// Whether nothing was put in or taken out while the folders were listed. A message that is renamed meanwhile may be met by
    /// neither name.
    is_certain: bool,
}

impl Moved {
    /// Looks where the messages of a user are.
    pub(super) fn look(folder: &UserFolder) -> io::Result<Self> {
        Self::look_by(folder, || folder.layout())
    }

    /// The same by somebody's word on what the folders look like.
    pub(super) fn look_by(folder: &UserFolder, layout: impl Fn() -> io::Result<Layout>) -> io::Result<Self> {
        let (mut before, mut looks) = (layout()?, 1);
        loop {
            let listing = Listing::of(folder, &before, None)?;
            let after = layout()?;
            let is_certain = after == before;
            if is_certain || looks == LOOKS_MAX {
                return Ok(Self { listing, is_certain });
            }
            (before, looks) = (after, looks + 1);
        }
    }

    /// Where the message with that base is; none where it is gone.
    ///
    /// # Errors
    /// Where it may have been missed.
    pub(super) fn find(&self, base: &[u8]) -> io::Result<Option<(Place, &[u8])>> {
        match self.listing.find(base) {
            None if !self.is_certain => Err(io::Error::other("it was not met while others were moved")),
            found => Ok(found),
        }
    }
}

impl Listing {
    /// Lists the folders of a user. What is in a folder that is as it was is taken from what is known: mail arrives
    /// in `new` and then lies in `cur`, which grows large and changes little.
    pub(super) fn of(folder: &UserFolder, layout: &Layout, known: Option<&Index>) -> io::Result<Self> {
        let mut listing = Self::default();
        let mut room = vec![MaybeUninit::uninit(); ENTRIES_ROOM];
        let known =
            known.filter(|known| !known.is_doubtful()).and_then(|known| Some((known, known.listed()?)));
        for &place in layout.places() {
            if let Some((known, listed)) = known
                && layout.is_unchanged(place, &known.layout(), listed)
            {
                for record in known.records().filter(|record| record.place == place) {
                    listing.push(record.name, place);
                }
                continue;
            }
            // The descriptor kept for the user's folder has a position, which a second listing would continue from.
            if let Some(folder) = folder.open_place(place)? {
                listing.add(&folder, place, &mut room)?;
            }
        }
        listing.sort();
        Ok(listing)
    }

    fn add(&mut self, folder: &OwnedFd, place: Place, room: &mut [MaybeUninit<u8>]) -> io::Result<()> {
        let mut entries = RawDir::new(folder, room);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name.first() == Some(&b'.') {
                continue;
            }
            let is_message = match entry.file_type() {
                FileType::RegularFile => true,
                FileType::Unknown => match folder::status_in(folder.as_fd(), name) {
                    Ok(status) => folder::is_regular(&status),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                    // Its message would not be there, and seem to be gone.
                    Err(error) => return Err(error),
                },
                _ => false,
            };
            if is_message && !self.push(name, place) {
                break;
            }
        }
        Ok(())
    }

    /// Adds a file; `false` where the maildrop is full.
    fn push(&mut self, name: &[u8], place: Place) -> bool {
        let base = match place {
            Place::Top => name,
            Place::New | Place::Cur => name::base(name),
        };
        let lengths = (u8::try_from(name.len()), u8::try_from(base.len()));
        let (Ok(name_length), Ok(base_length)) = lengths else {
            log::warn!(target: "pop3d::maildir", "file name too long: {}", name.escape_ascii());
            return true;
        };
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let delivery = Delivery::of(base);
        self.entries.push(Entry { start, name_length, base_length, place, delivery });
        self.entries.len() < COUNT_MAX as usize
    }

    /// Puts the messages in order, and each base in once: a message that moves while the folders are listed is met
    /// twice, and is where it came to.
    fn sort(&mut self) {
        let Self { names, entries, hidden } = self;
        entries.sort_unstable_by(|one, other| {
            name::order((one.delivery, base_in(names, one)), (other.delivery, base_in(names, other)))
                .then_with(|| (other.place == Place::Cur).cmp(&(one.place == Place::Cur)))
                .then_with(|| name_in(names, one).cmp(name_in(names, other)))
        });
        entries.dedup_by(|later, earlier| {
            let is_hidden = base_in(names, later) == base_in(names, earlier);
            if is_hidden {
                hidden.push(*later);
            }
            is_hidden
        });
    }

    /// Adds the messages that a listing before met and this one did not, where they were; whether this one met some that
    /// the other did not.
    pub(super) fn add_missed(&mut self, before: &Self) -> bool {
        let met = self.entries.len();
        let is_missed = |entry: &&Entry| self.find(before.base(entry)).is_none();
        let missed: Vec<Entry> = before.entries().filter(is_missed).copied().collect();
        for entry in &missed {
            self.push(before.name(entry), entry.place);
        }
        self.sort();
        met + missed.len() > before.entries.len()
    }

    /// Whether a base was met twice.
    pub(super) fn has_twice(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// The files of that base that are hidden by the one that is shown.
    pub(super) fn hidden(&self, base: &[u8]) -> impl Iterator<Item = (Place, &[u8])> {
        let wanted = (Delivery::of(base), base);
        let is_before = |entry: &Entry| name::order((entry.delivery, self.base(entry)), wanted).is_lt();
        let hidden = self.hidden.iter().skip(self.hidden.partition_point(is_before));
        let hidden = hidden.take_while(move |entry| self.base(entry) == base);
        hidden.map(|entry| (entry.place, self.name(entry)))
    }

    /// All files that are hidden.
    pub(super) fn all_hidden(&self) -> impl Iterator<Item = &Entry> {
        self.hidden.iter()
    }

    /// How many messages there are.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// How many octets their names have.
    pub(super) fn names_length(&self) -> usize {
        self.names.len()
    }

    /// The messages in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The name of a file.
    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        name_in(&self.names, entry)
    }

    /// The part of it that never changes.
    pub(super) fn base(&self, entry: &Entry) -> &[u8] {
        base_in(&self.names, entry)
    }

    /// Where the message with that base is.
    pub(super) fn find(&self, base: &[u8]) -> Option<(Place, &[u8])> {
        self.entry(base).map(|entry| (entry.place, self.name(entry)))
    }

    /// The message with that base.
    pub(super) fn entry(&self, base: &[u8]) -> Option<&Entry> {
        let wanted = (Delivery::of(base), base);
        let compare = |entry: &Entry| name::order((entry.delivery, self.base(entry)), wanted);
        self.entries.get(self.entries.binary_search_by(compare).ok()?)
    }
}

fn name_in<'a>(names: &'a [u8], entry: &Entry) -> &'a [u8] {
    names.get(entry.start..entry.start + usize::from(entry.name_length)).unwrap_or_default()
}

fn base_in<'a>(names: &'a [u8], entry: &Entry) -> &'a [u8] {
    names.get(entry.start..entry.start + usize::from(entry.base_length)).unwrap_or_default()
}

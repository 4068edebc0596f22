//! UPDATE: removes the messages marked as deleted, each wholly or not at all (RFC 1939, section 6).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pop3d_protocol::maildrop::Deletions;
use pop3d_protocol::number::MessageNumber;
use rustix::fs::{AtFlags, Statx, fsync, unlinkat};
use rustix::io::Errno;

use super::folder::{Layout, MailFolder, Place, Stamp, UserFolder};
use super::index::{Builder, Index, Record, Size};
use super::listing::{Listing, Moved};
use super::{Shown, name, scan};
use crate::accounts::UserName;
use crate::store::Committed;

/// How much of two files is compared at once.
const BLOCK: usize = 64 * 1024;

/// Removes messages from the folders of one user.
pub(super) struct Update<'a> {
    user: &'a UserName,
    layout: Layout,
    /// What those messages looked like that were opened and had not been counted.
    shown: Option<&'a BTreeMap<MessageNumber, Shown>>,
    folder: UserFolder,
    folders: Vec<Opened>,
    /// Whether a folder is away that was there at login, and with it nobody knows which messages.
    is_away: bool,
    /// Where messages are that are not where they were.
    moved: Option<Moved>,
    /// What is in the folders, where there are files that others hide.
    twice: Option<Listing>,
    /// A message whose file is not the one that was counted or sent.
    changed: Option<MessageNumber>,
    /// Those of them that had not been counted.
    others: Deletions,
}

/// What came of an update.
pub(super) struct Updated {
    pub(super) committed: Committed,
    /// The messages that are gone.
    pub(super) removed: Deletions,
    /// Those that stay, since what was sent is not what is there, and nothing known of their files would tell: who has
    /// fetched the one must not take the other for it.
    pub(super) others: Deletions,
    /// One of those that stay, since another file has its name.
    pub(super) changed: Option<MessageNumber>,
}

struct Opened {
    place: Place,
    folder: OwnedFd,
    /// Files that were removed.
    lost: u32,
}

impl<'a> Update<'a> {
    /// Opens the folders that the index was made of.
    ///
    /// # Errors
    /// Where the user's folder is another one, or away: a mount that is gone, or a backup that is being brought back. Messages
    /// would be there again with it that a client was told are gone.
    pub(super) fn open(
        mail: &MailFolder,
        user: &'a UserName,
        index: &Index,
        shown: Option<&'a BTreeMap<MessageNumber, Shown>>,
    ) -> io::Result<Self> {
        let folder = UserFolder::open(mail, user.as_str())?;
        let folder = folder.ok_or_else(|| io::Error::other("the folder is away"))?;
        let layout = folder.layout()?;
        if !layout.is_same_place(&index.layout()) {
            // Names in another folder are names of other messages.
            return Err(io::Error::other("the folder was replaced during the session"));
        }
        let mut folders = Vec::new();
        for &place in layout.places() {
            if let Some(folder) = folder.open_place(place)? {
                folders.push(Opened { place, folder, lost: 0 });
            }
        }
        // An index of folders in which a base was met twice is never settled; most are, and cost no listing here.
        let twice = match layout {
            Layout::Maildir { .. } if index.listed().is_none() => {
                Some(Listing::of(&folder, &layout, None)?).filter(Listing::has_twice)
            }
            Layout::Maildir { .. } | Layout::Flat(_) => None,
        };
        let is_away = layout.lacks_any_of(&index.layout());
        let (moved, changed, others) = (None, None, Deletions::NONE);
        Ok(Self { user, layout, shown, folder, folders, is_away, moved, twice, changed, others })
    }

    /// Whether what is removed may uncover another message that has the same base.
    pub(super) fn may_uncover(&self) -> bool {
        self.twice.is_some()
    }

    /// Removes the marked messages in the order of their numbers, then makes that durable.
    pub(super) fn commit(mut self, index: &Index, deletions: &Deletions) -> Updated {
        let mut committed = Committed::default();
        let mut removed = Deletions::NONE;
        for number in deletions.iter() {
            let Some(record) = index.record(number.index()) else { continue };
            match self.remove(number, &record) {
                Ok(was_there) => {
                    removed.mark(number);
                    if was_there {
                        committed.removed += 1;
                    } else {
                        committed.gone += 1;
                    }
                }
                Err(error) => {
                    let (user, name) = (self.user, record.name.escape_ascii());
                    log::warn!(target: "pop3d::maildir", "{user}: message {name} not removed: {error}");
                    committed.remaining += 1;
                }
            }
        }
        for opened in self.folders.iter().filter(|opened| opened.lost > 0) {
            if let Err(error) = is_on_disk(fsync(&opened.folder)) {
                let user = self.user;
                log::warn!(target: "pop3d::maildir", "{user}: removal may not be on disk: {error}");
                committed.doubt(opened.lost);
            }
        }
        Updated { committed, removed, others: self.others, changed: self.changed }
    }

    /// Removes one message; `false` where it is gone already.
    fn remove(&mut self, number: MessageNumber, record: &Record<'_>) -> io::Result<bool> {
        if self.is_there(number, record, (record.place, record.name))? {
            for (place, name) in self.copies_of(record)? {
                self.unlink(place, &name)?;
            }
            if self.unlink(record.place, record.name)? {
                return Ok(true);
            }
        }
        if let Layout::Flat(_) = self.layout {
            return Ok(false);
        }
        // One listing does for all messages that were moved before it was made. What it tells of one that was moved again
        // another one tells better.
        for is_again in [false, true] {
            let moved = match &mut self.moved {
                Some(moved) if !is_again => moved,
                moved => moved.insert(Moved::look(&self.folder)?),
            };
            let Some((place, name)) = moved.find(record.base)? else {
                let away = || io::Error::other("new or cur is away");
                return if self.is_away { Err(away()) } else { Ok(false) };
            };
            let name = name.to_vec();
            if self.is_there(number, record, (place, &name))? && self.unlink(place, &name)? {
                return Ok(true);
            }
        }
        Err(io::Error::other("the file was renamed while it was looked for"))
    }

    /// Whether there is a file of that name.
    ///
    /// # Errors
    /// Also where it is another one than the client was shown, or has been written to since: nobody has all of it.
    fn is_there(
        &mut self,
        number: MessageNumber,
        record: &Record<'_>,
        (place, name): (Place, &[u8]),
    ) -> io::Result<bool> {
        let Some(folder) = self.folder_of(place) else { return Ok(false) };
        match super::folder::status_in(folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(status) if !self.was_shown(number, record, &status) => {
                self.changed = Some(number);
                if super::folder::is_regular(&status) && !matches!(record.size, Size::Counted { .. }) {
                    self.others.mark(number);
                }
                Err(io::Error::other("the file was changed during the session"))
            }
            Ok(_) => Ok(true),
        }
    }

    /// Whether this is how the file of a message looked when it was opened, or else at login.
    fn was_shown(&self, number: MessageNumber, record: &Record<'_>, status: &Statx) -> bool {
        match self.shown.and_then(|shown| shown.get(&number)) {
            Some(shown) => {
                super::folder::is_regular(status) && shown.stamp.is_of_same_file(Stamp::of(status))
            }
            None => scan::is_same_file(record, status),
        }
    }

    /// The files that are hidden by that of a message and hold the same: a program that moves mail by a link was
    /// stopped half-way, or a backup was brought back. The message would be there again once its own file is gone.
    /// One that holds something else is a message that nobody has seen.
    fn copies_of(&self, record: &Record<'_>) -> io::Result<Vec<(Place, Vec<u8>)>> {
        let mut copies = Vec::new();
        let Some(twice) = &self.twice else { return Ok(copies) };
        for (place, name) in twice.hidden(record.base) {
            if self.is_same_message((record.place, record.name), (place, name))? {
                copies.push((place, name.to_vec()));
            }
        }
        Ok(copies)
    }

    /// Whether two files hold the same. One that is not there holds nothing.
    fn is_same_message(&self, one: (Place, &[u8]), other: (Place, &[u8])) -> io::Result<bool> {
        let open = |(place, name): (Place, &[u8])| match self.folder_of(place) {
            Some(folder) => super::folder::open_message(folder, name),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let (mut one, mut other) = match (open(one), open(other)) {
            (Ok(one), Ok(other)) => (one, other),
            (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let (status, other_status) = (super::folder::status_of(&one)?, super::folder::status_of(&other)?);
        if status.stx_size != other_status.stx_size {
            return Ok(false);
        }
        if status.stx_ino == other_status.stx_ino {
            return Ok(true);
        }
        // No message is that long: who deletes such a file is not to wait for it.
        if status.stx_size > scan::READ_MAX {
            return Ok(false);
        }
        let (mut block, mut other_block) = (vec![0; BLOCK], vec![0; BLOCK]);
        let mut left = status.stx_size;
        loop {
            let (block, other_block) = (read(&mut one, &mut block)?, read(&mut other, &mut other_block)?);
            if block != other_block || block.is_empty() {
                return Ok(block == other_block);
            }
            // Somebody writes on as fast as they are read.
            let Some(rest) = left.checked_sub(block.len() as u64) else { return Ok(false) };
            left = rest;
        }
    }

    fn folder_of(&self, place: Place) -> Option<BorrowedFd<'_>> {
        self.folders.iter().find(|opened| opened.place == place).map(|opened| opened.folder.as_fd())
    }

    /// Removes a file; `false` where there is none of that name.
    fn unlink(&mut self, place: Place, name: &[u8]) -> io::Result<bool> {
        let opened = self.folders.iter_mut().find(|opened| opened.place == place && name::is_component(name));
        let Some(opened) = opened else { return Ok(false) };
        match unlinkat(&opened.folder, name, AtFlags::empty()) {
            Ok(()) => {
                opened.lost = opened.lost.saturating_add(1);
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What an `fsync` of a folder tells.
pub(super) fn is_on_disk(synced: rustix::io::Result<()>) -> io::Result<()> {
    match synced {
        // Of folders the file system knows no such thing, and none will ever succeed.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
        synced => Ok(synced?),
    }
}

/// Reads until a block is full or the file has ended.
fn read<'block>(file: &mut File, block: &'block mut [u8]) -> io::Result<&'block [u8]> {
    let mut length = 0;
    while let Some(room) = block.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(block.get(..length).unwrap_or_default())
}

/// The index without the messages that were removed; their unique-ids are retired. It is not
/// settled: what arrived during the session is not in it.
pub(super) fn index_without(index: &Index, removed: &Deletions) -> Option<Index> {
    let mut builder = Builder::with_room(index.count() as usize, index.as_octets().len());
    let mut retired: Vec<&[u8]> = index.retired().collect();
    for (number, record) in (0..).zip(index.records()) {
        let number = MessageNumber::from_index(number)?;
        if removed.contains(number) {
            retired.push(record.unique_id());
        } else {
            builder.push(&record).ok()?;
        }
    }
    Some(builder.finish(index.layout(), None, &retired, index.owner()).in_place_of(index))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_message_that_moves_again_after_others_were_looked_for_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let ann = root.path().join("ann");
        for folder in ["new", "cur"] {
            fs::create_dir_all(ann.join(folder)).unwrap();
        }
        let names: [&[u8]; 2] = [b"1.a", b"2.b"];
        let mail = MailFolder::open(root.path()).unwrap();
        let layout = UserFolder::open(&mail, "ann").unwrap().unwrap().layout().unwrap();
        let mut builder = Builder::with_room(2, 6);
        for name in names {
            let size = Size::Named { octets: 3 };
            builder.push(&Record { name, base: name, unique_id: None, place: Place::New, size }).unwrap();
        }
        let index = builder.finish(layout, None, &[], b"ann");
        for name in ["cur/1.a:2,", "cur/2.b:2,"] {
            fs::write(ann.join(name), "x\n").unwrap();
        }
        let user = UserName::parse(b"ann").unwrap();
        let mut update = Update::open(&mail, &user, &index, None).unwrap();
        let mut remove = |value| {
            let record = index.record(value).unwrap();
            update.remove(MessageNumber::from_index(value).unwrap(), &record).unwrap()
        };
        assert!(remove(0));
        fs::rename(ann.join("cur/2.b:2,"), ann.join("cur/2.b:2,S")).unwrap();
        assert!(remove(1));
        assert!(!remove(1), "it is gone");
    }

    #[test]
    fn a_folder_that_the_disk_refuses_is_not_told_as_done() {
        for error in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::STALE] {
            assert!(is_on_disk(Err(error)).is_err(), "{error}");
        }
        for synced in [Ok(()), Err(Errno::INVAL)] {
            assert!(is_on_disk(synced).is_ok());
        }
        let mut committed = Committed { removed: 5, gone: 1, remaining: 2 };
        committed.doubt(3);
        assert_eq!(committed, Committed { removed: 2, gone: 1, remaining: 5 });
        // A message had two files.
        committed.doubt(3);
        assert_eq!(committed, Committed { removed: 0, gone: 1, remaining: 7 });
    }
}

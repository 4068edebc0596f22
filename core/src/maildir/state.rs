//! The store's part of the state folder: `indexes/<mail folder>/<user>` and `locks/<number>`.
//!
//! What is damaged, absent or cannot be written is made again: it is warned of, once until it could be used again, and
//! service goes on from the mail folder. Only an index that is there and cannot be read keeps its user out. An index is
//! written to a temporary file and renamed. It checks itself, and one that a crash cut is as good as none, so that only
//! those are synced, and their names, which hold unique-ids that nothing else tells: those of another server's lists, and
//! those that are not given out again.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Statx, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::checksum::{checksum, mix};
use super::folder::{Layout, status_in, status_of};
use super::index::{DOUBT_AT, HEADER, Index, IndexError, OLDER};
use super::update::is_on_disk;
use crate::accounts::UserName;
use crate::state::what_to_raise;

/// Nobody else needs to know who gets mail from whom.
const FOLDER_MODE: Mode = Mode::RWXU;
/// The same for files.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// How many lock files share the locks: the kernel looks at every lock on a file to set one.
pub(super) const LOCK_FILES: usize = 128;

/// What tells an index file from every other, and from itself once it was written again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Seal(u64);

impl Seal {
    fn of(status: &Statx) -> Self {
        let (modified, changed) = (status.stx_mtime, status.stx_ctime);
        Self(mix(&[
            status.stx_ino,
            status.stx_size,
            modified.tv_sec.cast_unsigned(),
            modified.tv_nsec.into(),
            changed.tv_sec.cast_unsigned(),
            changed.tv_nsec.into(),
        ]))
    }

    #[cfg(test)]
    pub(super) fn of_number(number: u64) -> Self {
        Self(number)
    }
}

/// Where indexes and locks of one mail folder are kept.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
    /// The name of the mail folder among the indexes.
    mail: String,
    /// The same as an older version made it of a path with "/" behind it.
    former: String,
    indexes: Mutex<Option<Arc<OwnedFd>>>,
    locks: Mutex<[Option<Arc<File>>; LOCK_FILES]>,
    warned_of_indexes: AtomicBool,
    warned_of_locks: AtomicBool,
}

impl StateFolder {
    /// The part of a state folder that belongs to a mail folder. Nothing is made until it is needed.
    pub(super) fn new(path: PathBuf, mail: &Path) -> Self {
        let mail = mail.as_os_str().as_bytes();
        Self {
            path,
            mail: name_of(mail),
            former: name_of(&[mail, b"/"].concat()),
            indexes: Mutex::new(None),
            locks: Mutex::new([const { None }; LOCK_FILES]),
            warned_of_indexes: AtomicBool::new(false),
            warned_of_locks: AtomicBool::new(false),
        }
    }

    /// The whole state folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the index of a user is.
    pub(super) fn index_path(&self, user: &UserName) -> PathBuf {
        self.path.join("indexes").join(&self.mail).join(user.as_str())
    }

    /// The lock file of that number; none where it cannot be had.
    ///
    /// # Errors
    /// For want of descriptors or memory: going on without a lock then would be rash.
    pub(super) fn lock_file(&self, number: usize) -> io::Result<Option<Arc<File>>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = locks.get_mut(number) else { return Ok(None) };
        // Locks on a file that was removed keep nobody out: others make one anew.
        if place.as_deref().is_some_and(is_removed) {
            *place = None;
        }
        if place.is_none() {
            let file = self.folder("locks").and_then(|folder| {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                Ok(openat(folder, format!("{number:03}"), flags, FILE_MODE)?)
            });
            match file {
                Ok(file) => *place = Some(Arc::new(File::from(file))),
                Err(error) if what_to_raise(&error).is_some() => return Err(error),
                Err(error) => self.warn_of_locks(&error),
            }
        }
        Ok(place.clone())
    }

    /// Says that locks hold within this process only.
    pub(super) fn warn_of_locks(&self, error: &io::Error) {
        if !self.warned_of_locks.swap(true, Ordering::Relaxed) {
            let path = self.path.display();
            log::warn!(
                target: "pop3d::maildir",
                "no locks in {path}: {error}; another process must not serve the same mail folder"
            );
        }
    }

    /// Reads the index of a user; none where there is none that can be used.
    ///
    /// # Errors
    /// For want of descriptors or memory, or where it is there and cannot be read now, as it may be another time: an index made
    /// anew would replace one that knows more.
    pub(super) fn read_index(&self, user: &UserName, owner: &[u8]) -> io::Result<Option<(Index, Seal)>> {
        let indexes = match self.indexes() {
            Ok(indexes) => indexes,
            Err(error) if what_to_raise(&error).is_some() => return Err(error),
            Err(error) if is_there(&error) && self.has_indexes() => {
                let path = self.path.join("indexes");
                return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
            }
            Err(error) => {
                self.warn_of_indexes("read", &error);
                return Ok(None);
            }
        };
        Ok(match Self::read(&indexes, user) {
            Ok(Ok((index, seal))) if is_of(&index, owner) => Some((index, seal)),
            Ok(Ok(_)) => {
                log::warn!(target: "pop3d::maildir", "{user}: index of another maildrop; made anew");
                None
            }
            Ok(Err(error)) => {
                log::warn!(target: "pop3d::maildir", "{user}: {error}; made anew");
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if what_to_raise(&error).is_some() => return Err(error),
            Err(error) if is_there(&error) => {
                let path = self.index_path(user);
                return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
            }
            Err(error) => {
                self.warn_of_indexes("read", &error);
                None
            }
        })
    }

    /// Whether there is a folder of indexes of this mail folder, or may be one: it cannot be looked at.
    fn has_indexes(&self) -> bool {
        let looked = self.path.join("indexes").join(&self.mail).symlink_metadata();
        looked.map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
    }

    /// What the index file of a user looks like; none where there is none, or it cannot be said.
    pub(super) fn seal_of(&self, user: &UserName) -> Option<Seal> {
        let indexes = self.indexes().ok()?;
        status_in(indexes.as_fd(), user.as_str().as_bytes()).ok().map(|status| Seal::of(&status))
    }

    fn read(indexes: &OwnedFd, user: &UserName) -> io::Result<Result<(Index, Seal), IndexError>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat(indexes, user.as_str(), flags, Mode::empty())?);
        let status = status_of(&file)?;
        let length = status.stx_size;
        let mut header = [0; HEADER];
        match file.read_exact_at(&mut header, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Err(IndexError::Length)),
            Err(error) => return Err(error),
        }
        // Looked at before so much memory is taken.
        if Index::expected_length(&header) != Some(length) {
            return Ok(Err(IndexError::Length));
        }
        let mut octets = Vec::new();
        let capacity = usize::try_from(length).map_err(io::Error::other)?;
        octets.try_reserve_exact(capacity)?;
        file.take(length).read_to_end(&mut octets)?;
        Ok(Index::parse(octets).map(|index| (index, Seal::of(&status))))
    }

    /// Keeps the index of a user; what its file looks like, where that worked. One that lacks messages which may be there is
    /// not kept: it is made anew at the next login.
    pub(super) fn write_index(&self, user: &UserName, index: &Index) -> Option<Seal> {
        if index.is_partial() {
            return None;
        }
        match self.write(user, index) {
            Ok(()) => {
                self.warned_of_indexes.store(false, Ordering::Relaxed);
                // Nobody else writes it: the maildrop is locked.
                self.seal_of(user)
            }
            Err(error) => {
                self.warn_of_indexes("written", &error);
                // In a Maildir no name comes again.
                if matches!(index.layout(), Layout::Flat(_)) {
                    self.mark(user, OLDER);
                }
                None
            }
        }
    }

    fn write(&self, user: &UserName, index: &Index) -> io::Result<()> {
        let mut indexes = self.indexes()?;
        // No user name begins with ".".
        let temporary = format!(".{user}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = openat(&*indexes, &temporary, flags, FILE_MODE);
        if let Err(Errno::NOENT) = file {
            // The folder was removed while it was open: nothing can be made in it any more, but another one can.
            *self.indexes.lock().unwrap_or_else(PoisonError::into_inner) = None;
            indexes = self.indexes()?;
            file = openat(&*indexes, &temporary, flags, FILE_MODE);
        }
        let mut file = File::from(file?);
        let is_irreplaceable = index.has_own_unique_ids();
        let mut written = file.write_all(index.as_octets());
        if is_irreplaceable {
            written = written.and_then(|()| file.sync_all());
        }
        let renamed = written.and_then(|()| Ok(renameat(&*indexes, &temporary, &*indexes, user.as_str())?));
        if renamed.is_err() {
            // Whether that works or not, the next one written takes the same name.
            let _ = unlinkat(&*indexes, &temporary, AtFlags::empty());
        }
        renamed?;
        if is_irreplaceable {
            // Until the folder is on disk too, the name may be of the index before again after a loss of power.
            is_on_disk(fsync(&*indexes))?;
        }
        Ok(())
    }

    /// Asks for a look at every message at the next login, and says why: `DOUBTFUL`, `IN_UPDATE` or `OLDER`, which stays.
    pub(super) fn mark(&self, user: &UserName, mark: u64) {
        let marked = self.indexes().and_then(|indexes| {
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = File::from(openat(&*indexes, user.as_str(), flags, Mode::empty())?);
            let mut marked = [0; 8];
            file.read_exact_at(&mut marked, DOUBT_AT)?;
            if u64::from_le_bytes(marked) == OLDER {
                return Ok(());
            }
            file.write_all_at(&mark.to_le_bytes(), DOUBT_AT)
        });
        match marked {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.warn_of_indexes("written", &error),
            Ok(()) | Err(_) => {}
        }
    }

    fn warn_of_indexes(&self, done: &str, error: &io::Error) {
        if !self.warned_of_indexes.swap(true, Ordering::Relaxed) {
            let path = self.path.display();
            log::warn!(target: "pop3d::maildir", "an index in {path} cannot be {done}: {error}; logins are slower");
        }
    }

    /// The folder of the indexes of this mail folder, open.
    fn indexes(&self) -> io::Result<Arc<OwnedFd>> {
        let mut kept = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*kept {
            return Ok(Arc::clone(folder));
        }
        let indexes = self.folder("indexes")?;
        // Mostly there is none of that name. And it takes the place of no other but an empty one.
        let _ = renameat(&indexes, &self.former, &indexes, &self.mail);
        let folder = Arc::new(make_folder(&indexes, &self.mail)?);
        *kept = Some(Arc::clone(&folder));
        Ok(folder)
    }

    fn folder(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let state = match openat(CWD, &self.path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                DirBuilder::new().recursive(true).mode(FOLDER_MODE.as_raw_mode()).create(&self.path)?;
                openat(CWD, &self.path, flags, Mode::empty())?
            }
            state => state?,
        };
        make_folder(&state, name)
    }
}

/// The name of a mail folder among the indexes.
fn name_of(mail: &[u8]) -> String {
    format!("{:016x}", checksum(mail))
}

/// Whether an index is of that maildrop. An older version wrote "/" behind the path of the mail folder where it was given so.
fn is_of(index: &Index, owner: &[u8]) -> bool {
    index.owner() == owner || index.owner().strip_suffix(b"/") == Some(owner)
}

/// Whether what could not be read is a file that is there, and may be read once somebody has mended the disk or the rights.
fn is_there(error: &io::Error) -> bool {
    let no_file = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::ISDIR, Errno::NXIO, Errno::SPIPE];
    Errno::from_io_error(error).is_some_and(|errno| !no_file.contains(&errno))
}

/// Whether a file that is open has no name any more.
fn is_removed(file: &File) -> bool {
    status_of(file).is_ok_and(|status| status.stx_nlink == 0)
}

/// Opens a folder in another, and makes it where there is none.
fn make_folder(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match mkdirat(parent, name, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(openat(parent, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_may_be_read_later_is_told_from_none() {
        for errno in [Errno::ACCESS, Errno::IO, Errno::STALE, Errno::MFILE, Errno::NOMEM, Errno::TIMEDOUT] {
            assert!(is_there(&errno.into()), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::ISDIR, Errno::NXIO, Errno::SPIPE] {
            assert!(!is_there(&errno.into()), "{errno}");
        }
        assert!(!is_there(&io::Error::other("too long for this machine")));
    }
}

//! The state folder's files that outlive the process: accounts, settings and statistics, each read as a whole and
//! replaced as a whole. Indexes and the locks of maildrops are in `maildir/state.rs`.
//!
//! Whoever opens the folder may read; only who has claimed it may write. All of it waits for the disk: called before
//! the server serves, or in the pool.

pub mod accounts;
pub mod apps;
mod damage;
pub mod seal;
pub mod settings;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

pub use self::damage::{KeptError, what_to_raise};

/// Nobody else needs to know what is kept.
const FOLDER_MODE: Mode = Mode::RWXU;
/// The same for files.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// The file whose lock says who may write.
const OWNER: &str = "owner";
/// The octet of that file whose lock is the claim.
const CLAIM: i64 = 0;
/// The octet whose lock says that the claim is given up soon.
const LEAVING: i64 = 1;
const OWNER_FLAGS: OFlags =
    OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Longest file that is read or written, in octets: more than a million accounts.
pub const FILE_MAX: u64 = 256 << 20;

/// The files of a state folder, to be read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StateFiles {
    path: PathBuf,
    folder: Arc<OwnedFd>,
}

impl StateFiles {
    /// Opens a state folder, and makes it where there is none.
    ///
    /// # Errors
    /// Where it can be neither opened nor made.
    pub fn open(path: &Path) -> io::Result<Self> {
        let folder = match openat(CWD, path, FOLDER_FLAGS, Mode::empty()) {
            Err(Errno::NOENT) => {
                DirBuilder::new().recursive(true).mode(FOLDER_MODE.as_raw_mode()).create(path)?;
                openat(CWD, path, FOLDER_FLAGS, Mode::empty())?
            }
            folder => folder?,
        };
        Ok(Self { path: path.to_owned(), folder: Arc::new(folder) })
    }

    /// Opens a state folder; none where there is none.
    ///
    /// # Errors
    /// Where there is one, or may be, and it cannot be opened.
    pub fn open_there(path: &Path) -> io::Result<Option<Self>> {
        match openat(CWD, path, FOLDER_FLAGS, Mode::empty()) {
            Ok(folder) => Ok(Some(Self { path: path.to_owned(), folder: Arc::new(folder) })),
            // Below a file, or as one, it keeps nothing.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where a file is, to be shown.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads what is kept in a file by `parse`; nothing is kept where there is no file.
    ///
    /// # Errors
    /// Where the file cannot be read, or `parse` tells the place of what is wrong in it. It is left as it is.
    fn read_kept<T: Default>(
        &self,
        name: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, (usize, String)>,
    ) -> Result<T, KeptError> {
        let path = || self.path_of(name);
        let octets = self.read(name).map_err(|error| KeptError::Unreadable { path: path(), error })?;
        let Some(octets) = octets else { return Ok(T::default()) };
        parse(&octets).map_err(|(place, what)| KeptError::damaged(path(), &octets, place, what))
    }

    /// Reads a file; none where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, is not a regular file, or has more than `FILE_MAX` octets.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        // A pipe that somebody put there would be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&*self.folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => file?,
        };
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("not a regular file"));
        }
        let mut octets = Vec::new();
        File::from(file).take(FILE_MAX + 1).read_to_end(&mut octets)?;
        is_short_enough(&octets)?;
        Ok(Some(octets))
    }

    /// Reads a file whose damage ends no start; what came of that.
    ///
    /// # Errors
    /// For want of descriptors or memory: the file may be whole.
    pub(crate) fn read_unless_wanting(&self, name: &str) -> Result<io::Result<Option<Vec<u8>>>, KeptError> {
        match self.read(name) {
            Err(error) if what_to_raise(&error).is_some() => {
                Err(KeptError::Unreadable { path: self.path_of(name), error })
            }
            read => Ok(read),
        }
    }

    /// Finds out whether the right to write could be claimed, by the file for it: none is made, and none is locked.
    ///
    /// # Errors
    /// Where it is there and cannot be written.
    pub fn probe_claim(&self) -> io::Result<()> {
        match openat(&*self.folder, OWNER, OWNER_FLAGS, Mode::empty()) {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Claims the right to write; none where another process, or another claim of this one, has it.
    ///
    /// The kernel takes the claim back when the process ends, however it ends.
    ///
    /// # Errors
    /// Where the folder can have no file or no lock.
    pub fn claim(&self) -> io::Result<Option<Claim>> {
        let owner = self.owner()?;
        match lock(&owner, libc::F_WRLCK, CLAIM) {
            Ok(()) => Ok(Some(Claim { files: self.clone(), owner, turn: Mutex::new(()) })),
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether who has the claim gives it up soon ([`Claim::leave`]). Nobody has it any more where it was given up meanwhile.
    ///
    /// # Errors
    /// As for the claim.
    pub fn is_being_left(&self) -> io::Result<bool> {
        let mut held = range(libc::F_WRLCK, LEAVING);
        fcntl(self.owner()?, FcntlArg::F_OFD_GETLK(&mut held))?;
        Ok(i32::from(held.l_type) != libc::F_UNLCK)
    }

    fn owner(&self) -> io::Result<File> {
        Ok(File::from(openat(&*self.folder, OWNER, OWNER_FLAGS | OFlags::CREATE, FILE_MODE)?))
    }
}

/// The right to write the files of a state folder; given up when dropped.
#[derive(Debug)]
pub struct Claim {
    files: StateFiles,
    owner: File,
    /// Held while a file is replaced: two at once would share the temporary file.
    turn: Mutex<()>,
}

impl Claim {
    /// The files, to be read.
    #[must_use]
    pub fn files(&self) -> &StateFiles {
        &self.files
    }

    /// Says to who waits for the claim that it is given up soon. It holds as before until it is.
    ///
    /// # Errors
    /// Where the system refuses: nobody waits then.
    pub fn leave(&self) -> io::Result<()> {
        Ok(lock(&self.owner, libc::F_WRLCK, LEAVING)?)
    }

    /// Replaces a file as a whole: whoever reads it, at any time and after any crash, finds what it was or these
    /// octets. Once this is done they are on disk.
    ///
    /// # Errors
    /// Where that cannot be. The file is as it was.
    pub fn replace(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        is_short_enough(octets)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = &*self.files.folder;
        let temporary = format!(".{name}");
        match unlinkat(folder, &temporary, AtFlags::empty()) {
            // A process that was killed may have left one.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = match openat(folder, &temporary, flags, FILE_MODE) {
            Err(Errno::NOENT) => return Err(self.removed()),
            file => File::from(file?),
        };
        let replaced = file
            .write_all(octets)
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(folder, &temporary, folder, name)?));
        if replaced.is_err() {
            // Where that fails too, the next call tries again.
            let _ = unlinkat(folder, &temporary, AtFlags::empty());
            return replaced;
        }
        if let Err(error) = fsync(folder) {
            // Everybody finds the file replaced, so that is what the caller is told; only a machine that loses its
            // power before the folder is written could bring the old one back. Some file systems have no such call.
            let path = self.files.path.display();
            log::warn!(target: "pop3d::state", "{path}: {name} is replaced, but the folder is not synced: {error}");
        }
        Ok(())
    }

    /// Gives a file another name, under which nothing of the server reads it.
    ///
    /// # Errors
    /// Where that cannot be.
    pub fn set_aside(&self, name: &str, other: &str) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = &*self.files.folder;
        Ok(renameat(folder, name, folder, other)?)
    }

    /// There is no such folder any more. It is not made again: the claim is on the one that was removed, so that another process
    /// could have the new one, and all the other files that were kept would be missing in it.
    fn removed(&self) -> io::Error {
        let path = self.files.path.display();
        let what = format!("the state folder {path} was removed; start the server anew");
        io::Error::new(io::ErrorKind::NotFound, what)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing alone would leave it to a child that is being started and still has a copy of the descriptor.
        if let Err(error) = unlock(&self.owner) {
            log::warn!(target: "pop3d::state", "the claim on the state folder cannot be given up: {error}");
        }
    }
}

/// Sets a lock of the owner file. It belongs to the open file, so that it also holds between threads.
fn lock(owner: &File, kind: i32, octet: i64) -> nix::Result<()> {
    fcntl(owner, FcntlArg::F_OFD_SETLK(&range(kind, octet))).map(|_| ())
}

/// Gives up both locks of the owner file.
fn unlock(owner: &File) -> nix::Result<()> {
    let both = libc::flock { l_len: LEAVING + 1, ..range(libc::F_UNLCK, CLAIM) };
    fcntl(owner, FcntlArg::F_OFD_SETLK(&both)).map(|_| ())
}

#[expect(clippy::cast_possible_truncation, reason = "the constants of lock kinds and SEEK_SET are tiny")]
fn range(kind: i32, octet: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: octet,
        l_len: 1,
        l_pid: 0,
    }
}

fn is_short_enough(octets: &[u8]) -> io::Result<()> {
    if u64::try_from(octets.len()).is_ok_and(|length| length <= FILE_MAX) {
        Ok(())
    } else {
        Err(io::Error::other(format!("it has more than {FILE_MAX} octets")))
    }
}

//! The accounts file as it is replaced, as a whole: whoever reads it, at any time and after any crash, finds what it was or what it
//! is to be. Its mode and its owner stay.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use pop3d_core::regular_file;
use rustix::fs::{FlockOperation, flock};

use crate::plan::ACCOUNTS_MAX;

/// A file that no other process replaces meanwhile, as long as it asks as this one does.
pub(crate) struct Locked {
    /// Without symbolic links: the file that they lead to is replaced.
    path: PathBuf,
    _lock: File,
    /// How it looked before it was read.
    found: fs::Metadata,
    /// What stands in it.
    pub(crate) text: Vec<u8>,
    /// Whether it was made here, and has nothing in it yet.
    is_made: bool,
}

/// How a file was replaced.
pub(crate) enum Replaced {
    /// It is on disk.
    Synced,
    /// It is replaced, and a crash of the machine could bring back what it was. Some file systems have no call for that.
    Unsynced(io::Error),
}

impl Locked {
    /// Opens, locks and reads a file; `makes`: one that is not there is made, for its owner only.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn open(path: &Path, makes: bool) -> io::Result<Self> {
        Self::open_by(path, makes, FlockOperation::LockExclusive)
    }

    /// Opens, locks and reads a file; none: another process has it locked.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn try_open(path: &Path) -> io::Result<Option<Self>> {
        match Self::open_by(path, false, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn open_by(path: &Path, makes: bool, lock: FlockOperation) -> io::Result<Self> {
        loop {
            let mut is_made = false;
            let mut file = match regular_file::open(path) {
                Err(error) if makes && error.kind() == io::ErrorKind::NotFound => {
                    let made =
                        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
                    match made {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                            if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
                                return Err(io::Error::other("it is a link to a file that is not there"));
                            }
                            // Another process was faster.
                            continue;
                        }
                        made => is_made = made.map(|_| true)?,
                    }
                    regular_file::open(path)?
                }
                file => file?,
            };
            flock(&file, lock)?;
            // Who held the lock may have replaced what it was on.
            let path = fs::canonicalize(path)?;
            let (locked, there) = (file.metadata()?, fs::metadata(&path)?);
            if (locked.dev(), locked.ino()) != (there.dev(), there.ino()) {
                continue;
            }
            let mut text = Vec::new();
            (&mut file).take(ACCOUNTS_MAX + 1).read_to_end(&mut text)?;
            if u64::try_from(text.len()).is_ok_and(|length| length > ACCOUNTS_MAX) {
                return Err(io::Error::other(format!("it has more than {ACCOUNTS_MAX} octets")));
            }
            return Ok(Self { path, _lock: file, found: locked, text, is_made });
        }
    }

    /// Replaces it.
    ///
    /// # Errors
    /// Where that cannot be; then it is as it was.
    pub(crate) fn replace(mut self, text: &[u8]) -> io::Result<Replaced> {
        let replaced = self.replace_inner(text);
        if replaced.is_ok() {
            self.is_made = false;
        }
        replaced
    }

    fn replace_inner(&self, text: &[u8]) -> io::Result<Replaced> {
        if u64::try_from(text.len()).map_or(true, |length| length > ACCOUNTS_MAX) {
            return Err(io::Error::other(format!("it would have more than {ACCOUNTS_MAX} octets")));
        }
        let found = &self.found;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let name = self.path.file_name().unwrap_or_default();
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(".passwd");
        let temporary = folder.join(temporary);
        // The lock is held: what is there was left by a process that was killed.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = (|| {
            let own = made.metadata()?;
            if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
                fchown(&made, Some(found.uid()), Some(found.gid()))?;
            }
            made.set_permissions(fs::Permissions::from_mode(found.mode() & 0o7777))?;
            made.write_all(text)?;
            made.sync_all()?;
            // Editors and scripts lock nothing: what they have written is not to be lost.
            if !is_same(&self.found, &fs::metadata(&self.path)?) {
                return Err(io::Error::other("it was changed meanwhile by another program; try again"));
            }
            fs::rename(&temporary, &self.path)
        })();
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(synced.map_or_else(Replaced::Unsynced, |()| Replaced::Synced))
    }
}

/// Whether a file is the one that it was, and nothing was written to it since.
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    let look = |it: &fs::Metadata| {
        (it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec(), it.mode(), it.uid(), it.gid())
    };
    look(one) == look(other)
}

impl Drop for Locked {
    fn drop(&mut self) {
        // One that was made and is not needed after all; not what others have put there meanwhile.
        let is_own = || fs::metadata(&self.path).is_ok_and(|there| is_same(&self.found, &there));
        if self.is_made && self.found.len() == 0 && is_own() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

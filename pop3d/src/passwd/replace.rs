//! A file that is replaced as a whole: whoever reads it, at any time and after any crash, finds what it was or what it
//! is to be. Its mode and its owner stay.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::exit::{Exit, warn};
use crate::plan::ACCOUNTS_MAX;

/// A file that no other process replaces meanwhile, as long as it asks as this one does.
pub(super) struct Locked {
    /// Without symbolic links: the file that they lead to is replaced.
    path: PathBuf,
    file: File,
    /// What stands in it.
    pub(super) text: Vec<u8>,
    /// Whether it was made here, and has nothing in it yet.
    is_made: bool,
}

impl Locked {
    /// Opens, locks and reads a file; `makes`: one that is not there is made, for its owner only.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn open(path: &Path, makes: bool) -> Result<Self, Exit> {
        Self::open_inner(path, makes).map_err(|error| {
            Exit::NoInput(format!("cannot read the accounts file {}: {error}", path.display()))
        })
    }

    fn open_inner(path: &Path, makes: bool) -> io::Result<Self> {
        loop {
            let mut is_made = false;
            let mut file = match File::open(path) {
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
                    File::open(path)?
                }
                file => file?,
            };
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            flock(&file, FlockOperation::LockExclusive)?;
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
            return Ok(Self { path, file, text, is_made });
        }
    }

    /// Replaces it. Once this is done it is on disk.
    ///
    /// # Errors
    /// Where that cannot be; then it is as it was.
    pub(super) fn replace(mut self, text: &[u8]) -> Result<(), Exit> {
        let replaced = self.replace_inner(text);
        if replaced.is_ok() {
            self.is_made = false;
        }
        replaced.map_err(|error| {
            Exit::CannotCreate(format!("cannot write the accounts file {}: {error}", self.path.display()))
        })
    }

    fn replace_inner(&self, text: &[u8]) -> io::Result<()> {
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
        let found = self.file.metadata()?;
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = (|| {
            let own = made.metadata()?;
            if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
                fchown(&made, Some(found.uid()), Some(found.gid()))?;
            }
            made.set_permissions(fs::Permissions::from_mode(found.mode() & 0o7777))?;
            made.write_all(text)?;
            made.sync_all()?;
            fs::rename(&temporary, &self.path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            return written;
        }
        // It is replaced, whatever this comes to; some file systems have no such call.
        if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
            warn(&format!("{} is replaced, but its folder is not synced: {error}", self.path.display()));
        }
        Ok(())
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // One that was made and is not needed after all.
        if self.is_made {
            let _ = fs::remove_file(&self.path);
        }
    }
}

//! Files in the state folder that are replaced as a whole: accounts and settings that were changed at run time, and
//! statistics. Indexes and locks, which can be thrown away, are the maildir's (`maildir/state.rs`).
//!
//! May wait for the disk: called at the start, and in the pool of the administration.

mod settings;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

pub use self::settings::{Changed, KeptSettings};

/// The file whose lock says which process may write.
const OWNER: &str = "owner";

/// Nobody else needs to know who has an account.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open state folder.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    folder: OwnedFd,
    /// Holds the lock as long as it is open.
    owner: Mutex<Option<File>>,
}

/// A file of the state folder that is not what this server wrote. It is left as it is.
#[derive(Debug, Eq, PartialEq)]
pub struct Damage {
    /// Which file.
    pub path: PathBuf,
    /// Where in it, from 1; none: nowhere in particular.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(formatter, "{line}:")?;
        }
        write!(formatter, " {}", self.what)
    }
}

impl std::error::Error for Damage {}

impl StateFolder {
    /// Opens a folder that is there.
    ///
    /// # Errors
    /// Where it is none, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), folder, owner: Mutex::new(None) })
    }

    /// Where a file of it stands, for errors.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes this process the one that may write here, for as long as it lives: two that replace the same files would
    /// undo each other's changes. `false`: another process is it.
    ///
    /// # Errors
    /// Where there can be no lock.
    pub fn claim(&self) -> io::Result<bool> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(openat(&self.folder, OWNER, flags, FILE_MODE)?);
        let whole = libc::flock {
            l_type: i16::try_from(libc::F_WRLCK).map_err(io::Error::other)?,
            l_whence: i16::try_from(libc::SEEK_SET).map_err(io::Error::other)?,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole)) {
            Ok(_) => {
                *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
                Ok(true)
            }
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a file of at most `limit` octets; none where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is longer.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut octets = Vec::new();
        file.take(limit + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > limit {
            return Err(io::Error::other(format!("it has more than {limit} octets")));
        }
        Ok(Some(octets))
    }

    /// Replaces a file: after a crash at any moment there is the old one or the new one, whole.
    ///
    /// # Errors
    /// Where it cannot be written: then the old one stays.
    pub fn replace(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        // One name for all tries: what a crash left there is written over.
        let temporary = format!("{name}.new");
        let written = self.write(&temporary, octets).and_then(|()| {
            renameat(&self.folder, &temporary, &self.folder, name)?;
            // It is the new one now, whatever comes; that the name outlives a crash is what this waits for.
            Ok(fsync(&self.folder)?)
        });
        if written.is_err() {
            // Whether that works or not, the next one written takes the same name.
            let _ = unlinkat(&self.folder, &temporary, AtFlags::empty());
        }
        written
    }

    fn write(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.folder, name, flags, FILE_MODE)?);
        file.write_all(octets)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        assert_eq!(folder.read("file", 10).unwrap(), None);
        folder.replace("file", b"old").unwrap();
        folder.replace("file", b"new").unwrap();
        assert_eq!(folder.read("file", 3).unwrap().unwrap(), b"new");
        assert!(folder.read("file", 2).is_err());
        // A folder stands where the temporary file would.
        fs::create_dir(place.path().join("file.new")).unwrap();
        assert!(folder.replace("file", b"newer").is_err());
        assert_eq!(folder.read("file", 3).unwrap().unwrap(), b"new");
    }

    #[test]
    fn one_process_owns_a_folder() {
        let place = tempfile::tempdir().unwrap();
        let first = StateFolder::open(place.path()).unwrap();
        let second = StateFolder::open(place.path()).unwrap();
        assert!(first.claim().unwrap());
        assert!(!second.claim().unwrap());
        drop(first);
        assert!(second.claim().unwrap());
    }

    /// What the child of the next test replaces all the time; each of another length.
    fn version(number: usize) -> Vec<u8> {
        let octet = b'a' + u8::try_from(number % 26).unwrap();
        vec![octet; 10_000 + 4_000 * (number % 7)]
    }

    /// The variable that makes the next test its own child.
    const CHILD: &str = "POP3D_TEST_STATE_FOLDER";

    #[test]
    fn a_kill_leaves_a_whole_file() {
        if let Some(path) = std::env::var_os(CHILD) {
            let folder = StateFolder::open(Path::new(&path)).unwrap();
            for number in (0..26 * 7).cycle() {
                folder.replace("file", &version(number)).unwrap();
            }
        }
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        folder.replace("file", &version(0)).unwrap();
        let heavy = std::env::var_os("POP3D_HEAVY").is_some();
        for round in 0_u64..if heavy { 1000 } else { 60 } {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["state::tests::a_kill_leaves_a_whole_file", "--exact", "--test-threads=1"])
                .env(CHILD, place.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // It has begun once the file is another one; the moment of the kill is another one each time.
            let before = folder.read("file", 1 << 20).unwrap();
            while folder.read("file", 1 << 20).unwrap() == before {
                assert!(child.try_wait().unwrap().is_none(), "the child ended");
            }
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_micros(round * 131 % 4_000) {}
            child.kill().unwrap();
            #[allow(clippy::disallowed_methods, reason = "a test waits")]
            child.wait().unwrap();
            let octets = folder.read("file", 1 << 20).unwrap().unwrap();
            assert!((0..26 * 7).any(|number| version(number) == octets), "{} octets", octets.len());
        }
    }
}

//! Which content a file has, as far as that can be told without reading it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

/// Longest tick of a file system's clock.
const TICK: Duration = Duration::from_millis(10);

/// Where a file lies, how long it is, and when it was last written and changed. Another content has another one, but for
/// what is written in place, of the same length, within one tick of the file system's clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds. Who writes a file can set this back.
    written: (i64, i64),
    /// The same for the inode, which nobody can set: for a file of another owner, or mode, too.
    changed: (i64, i64),
    octets: u64,
}

impl Stamp {
    /// That of a file, or of what a link leads to; none: there is no such file, or it cannot be looked at.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().as_ref().map(Self::new)
    }

    /// The same, of a file that is about to be read: whatever is written to it after this will have another one. Waits for
    /// a tick where it was changed within the last one.
    pub(crate) fn settled(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
        let nanoseconds = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).unwrap_or(0));
        let changed = SystemTime::UNIX_EPOCH + seconds + nanoseconds;
        // A time that is to come is that of another machine's clock, and no tick of it is known.
        if SystemTime::now().duration_since(changed).is_ok_and(|age| age < TICK) {
            thread::sleep(TICK);
        }
        Self::of(path)
    }

    /// That of an open file; none: it cannot be looked at.
    pub(crate) fn of_file(file: &File) -> Option<Self> {
        file.metadata().ok().as_ref().map(Self::new)
    }

    /// Whether nothing was written in between, as far as the clock tells. Another name, owner or mode is none of it.
    pub(crate) fn is_written_as(&self, other: &Self) -> bool {
        (self.written, self.octets) == (other.written, other.octets)
    }

    fn new(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            octets: metadata.size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn every_other_content_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("x"), folder.path().join("y"));
        assert_eq!(Stamp::of(&path), None);
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let write = |path: &Path, octets: &[u8], written: SystemTime| {
            fs::write(path, octets).unwrap();
            fs::File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
        };
        write(&path, b"one", written);
        let first = Stamp::of(&path);
        assert!(first.is_some());
        assert_eq!(Stamp::of(&path), first);
        // In place: longer, and later by less than a second.
        write(&path, b"longer", written);
        assert_ne!(Stamp::of(&path), first);
        write(&path, b"two", written + Duration::from_nanos(1));
        assert_ne!(Stamp::of(&path), first);
        // By rename, with the length and the time of the first.
        write(&other, b"two", written);
        fs::rename(&other, &path).unwrap();
        assert_ne!(Stamp::of(&path), first);
        fs::remove_file(&path).unwrap();
        assert_eq!(Stamp::of(&path), None);
    }

    #[test]
    fn what_is_written_behind_a_settled_stamp_has_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for round in 0..20 {
            fs::write(&path, [round]).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
            let settled = Stamp::settled(&path);
            assert!(settled.is_some());
            assert_eq!(Stamp::of(&path), settled);
            // At once, in place, of the same length, and with the same time.
            fs::write(&path, [round + 1]).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
            assert_ne!(Stamp::of(&path), settled);
        }
    }
}

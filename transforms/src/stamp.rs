//! Which content a file has, as far as that can be told without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where a file lies, how long it is, and when it was last written. Another content has another one, but for what was
/// written in place, of the same length, within one tick of the file system's clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds.
    written: (i64, i64),
    octets: u64,
}

impl Stamp {
    /// That of a file, or of what a link leads to; none: there is no such file, or it cannot be looked at.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().as_ref().map(Self::new)
    }

    fn new(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
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
}

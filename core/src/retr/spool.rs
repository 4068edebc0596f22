//! Where output is kept until it has ended (`spool = true`): a file without a name, so that nothing of a message stays
//! behind, whatever happens.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use pop3d_protocol::number::Octets;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::pump::Cut;
use crate::store::Source;

/// Names that are tried for a file that must have one for a moment.
const NAMES_TRIED: u32 = 8;

/// Output that was taken, as the transform wrote it.
pub(super) struct Spool {
    folder: PathBuf,
    file: File,
    length: u64,
}

impl Spool {
    pub(super) fn new(folder: &Path) -> Result<Self, Cut> {
        let file = nameless(folder).map_err(|error| Cut::Spool(folder.to_owned(), error))?;
        Ok(Self { folder: folder.to_owned(), file, length: 0 })
    }

    pub(super) fn append(&mut self, octets: &[u8]) -> Result<(), Cut> {
        let written = self.file.write_all_at(octets, self.length);
        written.map_err(|error| Cut::Spool(self.folder.clone(), error))?;
        self.length += octets.len() as u64;
        Ok(())
    }

    /// What is to be sent of it.
    pub(super) fn into_source(self, octets: Option<Octets>) -> Source {
        Source { file: self.file, length: self.length, octets, wire_clean: false }
    }
}

fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // NFS and some overlays have no such files, and what is older than them takes the folder for what is to be opened.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => named_for_a_moment(folder),
        Err(error) => Err(error.into()),
    }
}

/// A file whose name is gone when this returns.
fn named_for_a_moment(folder: &Path) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
    let mut tried = 0;
    loop {
        let name = folder.join(format!(".spool-{:016x}", getrandom::u64().map_err(io::Error::other)?));
        match rustix::fs::open(&name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                rustix::fs::unlinkat(CWD, &name, AtFlags::empty())?;
                return Ok(file.into());
            }
            Err(Errno::EXIST) if tried < NAMES_TRIED => tried += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_are_no_nameless_files_one_is_made_that_leaves_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = named_for_a_moment(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut spool = Spool { folder: folder.path().to_owned(), file, length: 0 };
        assert!(spool.append(b"one, ").is_ok() && spool.append(b"two").is_ok());
        let source = spool.into_source(None);
        let mut octets = [0; 8];
        source.file.read_exact_at(&mut octets, 0).unwrap();
        assert_eq!((&octets, source.length), (b"one, two", 8));
        assert!(named_for_a_moment(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_folder_in_which_nothing_can_be_spooled_is_named() {
        let Err(cut) = Spool::new(Path::new("/nowhere")) else { panic!("it cannot be there") };
        let text = cut.to_string();
        assert!(text.starts_with("its output cannot be spooled in /nowhere: No such file"), "{text}");
        assert!(text.ends_with("; free room, or name another folder by --state"), "{text}");
    }
}

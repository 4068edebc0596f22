//! The store as a session sees it: open, read, delete, come back.

mod at_once;
mod away;
mod imports;
mod kept;
mod lengths;
mod locks;
mod messages;
mod missed;
mod moved;
mod paths;
mod places;
mod shown;
mod twin;
mod unkept;
mod unread;
mod updates;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use pop3d_protocol::maildrop::{Deletions, Snapshot};
use pop3d_protocol::number::MessageNumber;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tempfile::TempDir;

use super::LocalStore;
use crate::accounts::UserName;
use crate::store::{Committed, MailStore, Maildrop, OpenError};

/// A mail folder and a state folder with one user, "ann".
struct House {
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["mail", "state"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// A house whose user has a flat folder with these messages.
    fn flat(messages: &[(&str, &str)]) -> Self {
        let house = Self::new();
        fs::create_dir(house.user()).unwrap();
        for (name, text) in messages {
            house.put(name, text);
        }
        house
    }

    /// A house whose user has a Maildir with these messages.
    fn maildir(messages: &[(&str, &str)]) -> Self {
        let house = Self::new();
        for name in ["new", "cur", "tmp"] {
            fs::create_dir_all(house.user().join(name)).unwrap();
        }
        for (name, text) in messages {
            house.put(name, text);
        }
        house
    }

    fn user(&self) -> PathBuf {
        self.folder.path().join("mail/ann")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.user().join(name), text).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.user().join(from), self.user().join(to)).unwrap();
    }

    /// A store as another process would have it.
    fn store(&self) -> LocalStore {
        LocalStore::new(self.folder.path().join("mail"), Some(self.state()))
    }

    fn try_open(&self) -> Result<Box<dyn Maildrop>, OpenError> {
        self.store().open(&ann())
    }

    fn open(&self) -> Box<dyn Maildrop> {
        self.try_open().unwrap()
    }

    /// Makes everything look as if nothing had happened for an hour.
    fn settle(&self) {
        self.settle_at(0);
    }

    /// The same, so many seconds later.
    fn settle_at(&self, later: i64) {
        for name in ["", "new", "cur"] {
            let folder = self.user().join(name);
            if folder.is_dir() {
                for file in fs::read_dir(&folder).unwrap() {
                    age(&file.unwrap().path(), 0);
                }
                age(&folder, later);
            }
        }
    }

    /// Where the index is.
    fn index(&self) -> PathBuf {
        let folder = fs::read_dir(self.state().join("indexes")).unwrap().next().unwrap().unwrap();
        folder.path().join("ann")
    }
}

fn octets_of(path: &Path) -> Vec<u8> {
    let mut octets = Vec::new();
    fs::File::open(path).unwrap().read_to_end(&mut octets).unwrap();
    octets
}

fn ann() -> UserName {
    UserName::parse(b"ann").unwrap()
}

/// Makes a file or folder look as if it had last been changed an hour ago, and so many seconds later.
fn age(path: &Path, later: i64) {
    static HOUR_AGO: LazyLock<u64> = LazyLock::new(|| {
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        hour_ago.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    });
    let time = Timespec { tv_sec: HOUR_AGO.cast_signed() + later, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn number(value: u32) -> MessageNumber {
    MessageNumber::from_index(value - 1).unwrap()
}

fn marked(numbers: &[u32]) -> Deletions {
    let mut deletions = Deletions::NONE;
    for &value in numbers {
        deletions.mark(number(value));
    }
    deletions
}

fn numbers(snapshot: &Arc<dyn Snapshot + Send + Sync>) -> impl Iterator<Item = MessageNumber> {
    (0..snapshot.count()).map(|index| MessageNumber::from_index(index).unwrap())
}

/// What UIDL shows.
fn unique_ids(maildrop: &dyn Maildrop) -> Vec<String> {
    let snapshot = maildrop.snapshot();
    numbers(&snapshot).map(|number| String::from_utf8(snapshot.unique_id(number).to_vec()).unwrap()).collect()
}

/// What LIST shows.
fn sizes(maildrop: &dyn Maildrop) -> Vec<u64> {
    let snapshot = maildrop.snapshot();
    numbers(&snapshot).map(|number| snapshot.octets(number).0).collect()
}

fn text(maildrop: &mut dyn Maildrop, value: u32) -> String {
    let mut text = String::new();
    maildrop.message(number(value)).unwrap().file.read_to_string(&mut text).unwrap();
    text
}

fn committed(removed: u32, remaining: u32) -> Committed {
    Committed { removed, gone: 0, remaining }
}

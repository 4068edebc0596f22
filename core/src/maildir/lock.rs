//! One session per maildrop: a table for the sessions of this process, and record locks for other processes.
//!
//! The record locks belong to an open file description (`F_OFD_SETLK`): the kernel frees them when the process dies,
//! however it dies. A maildrop is one octet, at a place made of its identity, of one of a few lock files that are open
//! once per store. So an idle session costs no descriptor, which a lock file per maildrop would.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use sha2::{Digest, Sha256};

use super::state::{LOCK_FILES, StateFolder};
use crate::accounts::UserName;
use crate::store::OpenError;

/// How many places a lock file has to say since when a lock is held.
const SINCE_PLACES: u64 = 1 << 12;
/// Length of such a place: which lock, and the seconds since 1970.
const SINCE_LENGTH: usize = 16;

/// The maildrops in use, of any mail folder.
#[derive(Debug, Default)]
pub(super) struct LockTable {
    /// By mail folder and user. Of mail folders there are few: an entry of one user has no room for its identity.
    held: Mutex<HashMap<[u64; 3], HashMap<UserName, SystemTime>>>,
}

/// The identity of a mail folder, and a user in it.
type Place = ([u64; 3], UserName);

/// A lock on a maildrop; freed when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    table: Arc<LockTable>,
    place: Place,
    record: Option<RecordLock>,
}

impl Lock {
    /// Locks the maildrop of a user in the mail folder of that identity.
    pub(super) fn acquire(
        table: &Arc<LockTable>,
        state: Option<&StateFolder>,
        mail: [u64; 3],
        user: &UserName,
    ) -> Result<Self, OpenError> {
        let now = SystemTime::now();
        let place = (mail, user.clone());
        {
            let mut held = table.held.lock().unwrap_or_else(PoisonError::into_inner);
            let held = held.entry(mail).or_default();
            if let Some(&since) = held.get(user) {
                return Err(OpenError::InUse(Some(since)));
            }
            held.insert(user.clone(), now);
        }
        // From here dropping the lock takes the entry out again.
        let mut lock = Self { table: Arc::clone(table), place, record: None };
        if let Some(state) = state {
            lock.record = RecordLock::acquire(state, mail, user, now)?;
        }
        Ok(lock)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The record goes first: it is one for all of this process, and whoever finds the table free counts on it.
        self.record = None;
        let (mail, user) = &self.place;
        let mut held = self.table.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(users) = held.get_mut(mail) {
            users.remove(user);
            if users.is_empty() {
                held.remove(mail);
            }
        }
    }
}

/// One octet of a lock file.
#[derive(Debug)]
struct RecordLock {
    file: Arc<File>,
    place: i64,
}

impl RecordLock {
    /// Locks against other processes; none where the state folder gives no locks.
    fn acquire(
        state: &StateFolder,
        mail: [u64; 3],
        user: &UserName,
        now: SystemTime,
    ) -> Result<Option<Self>, OpenError> {
        let mut hash = Sha256::new();
        for number in mail {
            hash.update(number.to_le_bytes());
        }
        let hash = hash.chain_update(user.as_str()).finalize();
        let (&shard, rest) = hash.split_first().unwrap_or((&0, &[]));
        let number = rest.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
        let file = state.lock_file(usize::from(shard) % LOCK_FILES).map_err(OpenError::Unavailable)?;
        let Some(file) = file else { return Ok(None) };
        let place = (number >> 2).cast_signed();
        let hint = Hint { number, at: (number % SINCE_PLACES) * SINCE_LENGTH as u64 };
        match set(&file, place, libc::F_WRLCK) {
            Ok(()) => {
                hint.write(&file, now);
                Ok(Some(Self { file, place }))
            }
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Err(OpenError::InUse(hint.read(&file))),
            Err(error) => {
                state.warn_of_locks(&error.into());
                Ok(None)
            }
        }
    }
}

/// Sets the lock on one octet.
#[expect(clippy::cast_possible_truncation, reason = "the constants of lock kinds and SEEK_SET are tiny")]
fn set(file: &File, place: i64, kind: i32) -> nix::Result<()> {
    let range = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: place,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&range)).map(|_| ())
}

impl Drop for RecordLock {
    fn drop(&mut self) {
        if let Err(error) = set(&self.file, self.place, libc::F_UNLCK) {
            log::warn!(target: "pop3d::maildir", "a lock cannot be freed: {error}");
        }
    }
}

/// Where a lock file says since when a lock is held. Best effort: another lock may share the place.
struct Hint {
    number: u64,
    at: u64,
}

impl Hint {
    fn write(&self, file: &File, now: SystemTime) {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut octets = [0; SINCE_LENGTH];
        for (place, word) in octets.chunks_exact_mut(8).zip([self.number, seconds]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        // Whoever is refused is told no time then.
        let _ = file.write_at(&octets, self.at);
    }

    fn read(&self, file: &File) -> Option<SystemTime> {
        let mut octets = [0; SINCE_LENGTH];
        file.read_exact_at(&mut octets, self.at).ok()?;
        let [number, seconds] =
            [octets.first_chunk(), octets.last_chunk()].map(|word| word.copied().map(u64::from_le_bytes));
        (number? == self.number).then(|| UNIX_EPOCH.checked_add(Duration::from_secs(seconds?)))?
    }
}

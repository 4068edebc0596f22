//! The embedded store: Maildir and flat folders.
//!
//! `<mail>/<user>` is a Maildir where it has a folder `new` or `cur`, else flat: every regular file whose name does not
//! begin with "." is a message. Which of them is found out at each login.
//!
//! - `folder.rs` opens folders, by descriptor, never through a symbolic link; `listing.rs` lists them.
//! - `name.rs` is what a file name tells: the order of messages, sizes, unique-ids.
//! - `index.rs` is what is known of a maildrop, and the snapshot of a session; `scan.rs` makes it, `state.rs` keeps it.
//! - `inspect.rs` compares a file that was opened with what is known of it.
//! - `cache.rs` keeps the indexes of those who were here last in memory.
//! - `import.rs` reads what Dovecot or Courier noted of a Maildir.
//! - `lock.rs` keeps every other session out, `update.rs` removes what was deleted.
//!
//! A session keeps no descriptor: it opens what it needs by way of the mail folder, which is open once.

mod cache;
mod checksum;
mod folder;
mod import;
pub mod index;
mod inspect;
mod listing;
mod lock;
mod name;
mod scan;
mod state;
#[cfg(test)]
mod tests;
mod update;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pop3d_protocol::maildrop::{Deletions, Snapshot};
use pop3d_protocol::number::MessageNumber;

use self::cache::Cache;
use self::folder::{Layout, MailFolder, Place, Stamp, UserFolder};
pub use self::import::UniqueIds;
use self::index::{Builder, Index, Record, Size};
use self::inspect::inspect;
use self::listing::Moved;
use self::lock::{Lock, LockTable};
use self::state::StateFolder;
use self::update::{Update, Updated};
use crate::accounts::UserName;
use crate::store::{Committed, MailStore, Maildrop, MessageError, OpenError, Source};

/// How long a listing made in a session answers where messages have moved to; a listing is long work for a worker.
const MOVED_KEPT: Duration = Duration::from_secs(5);

/// Messages of a flat folder, each of which is looked at, that a worker looks at.
const LOOKED_AT_MAX: u32 = 32;

/// The flags that mail programs set most often when they move a message to `cur`.
const USUAL_FLAGS: [&[u8]; 3] = [b":2,S", b":2,", b":2,RS"];

/// The folders of all users under one mail folder. Clones share locks and indexes.
#[derive(Clone, Debug)]
pub struct LocalStore {
    shared: Arc<Shared>,
    unique_ids: UniqueIds,
}

#[derive(Debug)]
struct Shared {
    mail: PathBuf,
    state: Option<StateFolder>,
    locks: Arc<LockTable>,
    opened: Mutex<Option<Arc<MailFolder>>>,
    cache: Cache,
}

impl LocalStore {
    /// The store of `mail`, one folder a user. Indexes and locks are kept in `state`; none: service goes
    /// on from the mail folder alone; one that cannot be written: the same, with a warning.
    #[must_use]
    pub fn new(mail: PathBuf, state: Option<PathBuf>) -> Self {
        let mail = plain(mail);
        let state = state.map(|state| StateFolder::new(state, &mail));
        let (locks, opened, cache) = (Arc::default(), Mutex::default(), Cache::default());
        let shared = Arc::new(Shared { mail, state, locks, opened, cache });
        Self { shared, unique_ids: UniqueIds::default() }
    }

    /// The store of another mail folder, which may be the same by another path. Both share their locks: of a maildrop
    /// that a session of the one has open there is no session of the other.
    #[must_use]
    pub fn moved_to(&self, mail: PathBuf) -> Self {
        let mail = plain(mail);
        if mail == self.shared.mail {
            return self.clone();
        }
        let state = self.shared.state.as_ref().map(|state| StateFolder::new(state.path().to_owned(), &mail));
        let locks = Arc::clone(&self.shared.locks);
        let (opened, cache) = (Mutex::default(), Cache::default());
        let shared = Arc::new(Shared { mail, state, locks, opened, cache });
        Self { shared, unique_ids: self.unique_ids }
    }

    /// Takes over the unique-ids that another server gave to the messages of a Maildir, so that clients who leave
    /// mail on the server do not fetch it twice. Messages that have one here keep it.
    #[must_use]
    pub fn with_unique_ids(mut self, unique_ids: UniqueIds) -> Self {
        self.unique_ids = unique_ids;
        self
    }

    /// Finds out whether the mail folder can be served from.
    ///
    /// # Errors
    /// Where it is not there, is no folder, or cannot be listed.
    pub fn check(&self) -> io::Result<()> {
        self.shared.mail_folder()?.check()
    }
}

/// Whether a file is one of those that servers keep in a Maildir beside its folders.
fn is_beside_places(name: &[u8]) -> bool {
    [&b"dovecot"[..], b"courier", b"maildir", b"subscriptions"].iter().any(|start| name.starts_with(start))
}

/// The path of a mail folder in the form by which it is known, however it was written.
fn plain(mail: PathBuf) -> PathBuf {
    // A relative path that cannot be made absolute is still a path. Components leave out a "/" at its end.
    std::path::absolute(&mail).unwrap_or(mail).components().collect()
}

impl MailStore for LocalStore {
    fn open(&self, user: &UserName) -> Result<Box<dyn Maildrop>, OpenError> {
        let mail = self.shared.mail_folder().map_err(OpenError::Unavailable)?;
        let state = self.shared.state.as_ref();
        let lock = Lock::acquire(&self.shared.locks, state, mail.identity(), user)?;
        let index = self.shared.index(&mail, user, self.unique_ids).map_err(OpenError::Unavailable)?;
        Ok(Box::new(self.maildrop(mail, user, index, lock)))
    }

    fn open_at_once(&self, user: &UserName) -> Option<Result<Box<dyn Maildrop>, OpenError>> {
        let state = self.shared.state.as_ref()?;
        if !self.shared.cache.has(user) {
            return None;
        }
        let mail = self.shared.mail_folder().ok()?;
        // Locked before the look: what another session does until then is seen.
        let lock = match Lock::acquire(&self.shared.locks, Some(state), mail.identity(), user) {
            Ok(lock) => lock,
            Err(in_use @ OpenError::InUse(_)) => return Some(Err(in_use)),
            Err(OpenError::Unavailable(_)) => return None,
        };
        let index = self.shared.cache.get(user, state.seal_of(user)?)?;
        let is_long = matches!(index.layout(), Layout::Flat(_)) && index.count() > LOOKED_AT_MAX;
        let folder = if is_long { None } else { UserFolder::open_at_once(&mail, user.as_str()) }?;
        let is_current = scan::is_current(&index, &folder, &folder.layout().ok()?).ok()?;
        is_current.then(|| Ok(Box::new(self.maildrop(mail, user, index, lock)) as Box<dyn Maildrop>))
    }
}

impl LocalStore {
    fn maildrop(
        &self,
        mail: Arc<MailFolder>,
        user: &UserName,
        index: Arc<Index>,
        lock: Lock,
    ) -> LocalMaildrop {
        let (shared, user) = (Arc::clone(&self.shared), user.clone());
        let (trust, shown, moved) = (Trust::Kept, None, None);
        LocalMaildrop { shared, mail, user, index, trust, shown, moved, _lock: lock }
    }
}

impl Shared {
    /// The mail folder as it stands there, open.
    fn mail_folder(&self) -> io::Result<Arc<MailFolder>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*opened
            && folder.is_at(&self.mail)?
        {
            return Ok(Arc::clone(folder));
        }
        let folder = Arc::new(MailFolder::open(&self.mail)?);
        self.refuse_state(folder.identity())?;
        *opened = Some(Arc::clone(&folder));
        Ok(folder)
    }

    /// Refuses a folder that is the state folder: what is kept there is no mail.
    fn refuse_state(&self, identity: [u64; 3]) -> io::Result<()> {
        // Where there is none, or it cannot be looked at, it is not what was opened.
        let state = self.state.as_ref().and_then(|state| folder::identity_at(state.path()).ok());
        if state == Some(identity) {
            return Err(io::Error::other("it is the state folder, and what is kept there is no mail"));
        }
        Ok(())
    }

    /// What the maildrop of a user holds.
    fn index(&self, mail: &MailFolder, user: &UserName, unique_ids: UniqueIds) -> io::Result<Arc<Index>> {
        let owner = self.owner(user);
        let Some(folder) = UserFolder::open(mail, user.as_str())? else {
            let nothing = Layout::Maildir { new: None, cur: None };
            return Ok(Arc::new(Builder::with_room(0, 0).finish(nothing, None, &[], &owner)));
        };
        self.refuse_state(folder.identity()?)?;
        let known = match &self.state {
            Some(state) => self.known_index(state, user, &owner)?,
            None => None,
        };
        let known = match known {
            Some(known) if scan::is_current(&known, &folder, &folder.layout()?)? => return Ok(known),
            known => known,
        };
        let index = scan::scan(&folder, &owner, known.as_deref(), unique_ids, SystemTime::now)?;
        let index = Arc::new(index);
        if let Some(known) = known.as_ref().filter(|known| !known.layout().is_same_kind(&index.layout())) {
            let is_flat = matches!(index.layout(), Layout::Flat(_));
            if !is_flat && known.count() > 0 {
                log::warn!(target: "pop3d::maildir", "{user}: new or cur is there since; what lies beside them is no mail");
            }
            // Somebody may be making the folders anew, or has made them by mistake. Where there is nothing, that is told as
            // where the user's folder is gone, and what was known stays known.
            if index.count() == 0 {
                return Ok(index);
            }
            // Beside the folders of a Maildir there is what is no mail.
            let has_beside = || index.records().any(|record| is_beside_places(record.base));
            if is_flat && (folder.has_temporary()? || has_beside()) {
                return Err(self.no_places(user));
            }
        }
        if let Some(state) = self.state.as_ref().filter(|_| index.is_partial()) {
            let path = state.index_path(user);
            let path = path.display();
            log::warn!(
                target: "pop3d::maildir",
                "{user}: {path} knows messages that were not met, and stays as it is; removing it, where they are gone for good, \
                 forgets the unique-ids of all others that were taken over"
            );
        } else if let Some(state) = &self.state
            && known.is_none_or(|known| !known.is_as_good_as(&index))
        {
            self.cache.forget(user);
            if let Some(seal) = state.write_index(user, &index) {
                self.cache.put(user, &index, seal);
            }
        }
        Ok(index)
    }

    /// Why the folder of a user is not served that was a Maildir, and has neither `new` nor `cur`.
    fn no_places(&self, user: &UserName) -> io::Error {
        let index = self.state.as_ref().map(|state| state.index_path(user)).unwrap_or_default();
        let index = index.display();
        let what = "neither new nor cur is there, which were at the last login";
        io::Error::other(format!("{what}; make them, or remove {index} if each file is to be a message"))
    }

    /// What is known of a maildrop: by heart, where the file is as it was, else by reading it.
    fn known_index(
        &self,
        state: &StateFolder,
        user: &UserName,
        owner: &[u8],
    ) -> io::Result<Option<Arc<Index>>> {
        if let Some(seal) = state.seal_of(user)
            && let Some(index) = self.cache.get(user, seal)
        {
            return Ok(Some(index));
        }
        self.cache.forget(user);
        let Some((index, seal)) = state.read_index(user, owner)? else { return Ok(None) };
        let index = Arc::new(index);
        self.cache.put(user, &index, seal);
        Ok(Some(index))
    }

    /// Whom an index belongs to: a user, and the mail folder's path.
    fn owner(&self, user: &UserName) -> Vec<u8> {
        [user.as_str().as_bytes(), self.mail.as_os_str().as_bytes()].join(&0)
    }
}

/// Whether the files met so far are as the index says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trust {
    Kept,
    Lost,
}

/// What a file looked like that was opened.
#[derive(Clone, Copy)]
struct Shown {
    stamp: Stamp,
    /// Whether it was sent, and not refused.
    is_sent: bool,
    /// Whether it turned out to have other octets than its name or a list tells.
    is_miscounted: bool,
}

/// The maildrop of a user while it is locked.
struct LocalMaildrop {
    shared: Arc<Shared>,
    mail: Arc<MailFolder>,
    user: UserName,
    index: Arc<Index>,
    trust: Trust,
    /// What those messages looked like that were opened and have not been counted: QUIT removes no other file.
    #[expect(clippy::box_collection, reason = "most sessions have none, and their place is in each")]
    shown: Option<Box<BTreeMap<MessageNumber, Shown>>>,
    /// Where messages were when one was not where it was at login.
    moved: Option<Box<(Moved, Instant)>>,
    _lock: Lock,
}

impl fmt::Debug for LocalMaildrop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LocalMaildrop of {}", self.user)
    }
}

impl Maildrop for LocalMaildrop {
    fn snapshot(&self) -> Arc<dyn Snapshot + Send + Sync> {
        Arc::clone(&self.index) as Arc<dyn Snapshot + Send + Sync>
    }

    fn message(&mut self, number: MessageNumber) -> Result<Source, MessageError> {
        let index = Arc::clone(&self.index);
        let record = index.record(number.index()).ok_or(MessageError::Vanished)?;
        let file = match self.mail.open_message(self.user.as_str(), record.place, record.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.moved_message(&record),
            file => file,
        };
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MessageError::Vanished,
            _ => MessageError::Unreadable(error),
        })?;
        let status = folder::status_of(&file).map_err(MessageError::Unreadable)?;
        let mut source = inspect(file, &status, &record).map_err(MessageError::Unreadable)?;
        if !matches!(record.size, Size::Counted { .. }) {
            // As it was sent first: who got one part before the file grew and another one after has not got it all. What
            // was refused is as good as not seen once it is sent.
            let (stamp, is_sent) = (Stamp::of(&status), source.is_some());
            let shown = Shown { stamp, is_sent, is_miscounted: false };
            let kept = self.shown.get_or_insert_default().entry(number).or_insert(shown);
            if !kept.is_sent {
                *kept = shown;
            }
            if let Some(source) = source.as_mut().filter(|_| kept.is_miscounted) {
                source.octets = None;
            }
        }
        let is_as_known = source.as_ref().is_some_and(|source| source.octets.is_some());
        if !is_as_known && !matches!(record.size, Size::Unknown { .. }) {
            self.doubt(&record);
        }
        source.ok_or(MessageError::Changed)
    }

    fn miscounted(&mut self, number: MessageNumber) {
        // One that was counted has been written to in place, which the next login cannot tell either.
        if let Some(shown) = self.shown.as_mut().and_then(|shown| shown.get_mut(&number)) {
            shown.is_miscounted = true;
            let index = Arc::clone(&self.index);
            if let Some(record) = index.record(number.index()) {
                self.doubt(&record);
            }
        }
    }

    fn commit(&mut self, deletions: &Deletions) -> Committed {
        let user = &self.user;
        let update = match Update::open(&self.mail, user, &self.index, self.shown.as_deref()) {
            Ok(update) => update,
            Err(error) => {
                log::warn!(target: "pop3d::maildir", "{user}: nothing removed: {error}");
                return Committed { remaining: deletions.count(), ..Committed::default() };
            }
        };
        // The folders' times tell the next login that messages are gone. It must be kept which, where another message
        // may come to have the same name: in a flat folder, and where a file hides another one. That must be known
        // also where this process does not live to tell which are gone.
        let may_come_again = matches!(self.index.layout(), Layout::Flat(_)) || update.may_uncover();
        let state = self.shared.state.as_ref().filter(|_| deletions.count() > 0);
        if let Some(state) = state.filter(|_| may_come_again) {
            self.shared.cache.forget(user);
            state.mark(user, index::IN_UPDATE);
        }
        let Updated { committed, mut removed, others, changed } = update.commit(&self.index, deletions);
        if let Some(state) = state.filter(|_| may_come_again || others.count() > 0) {
            self.shared.cache.forget(user);
            for number in others.iter() {
                removed.mark(number);
            }
            // Where all of them stay it is written as well, to be without the mark, by which each file that was copied since would be
            // another message. Where files are gone, and nobody knows whether that is on disk, the mark is right.
            let is_known = committed.removed + committed.gone + others.count() > 0 || removed.count() == 0;
            let without = || update::index_without(&self.index, &removed);
            let index = is_known.then(without).flatten();
            let is_kept = index.is_some_and(|index| state.write_index(user, &index).is_some());
            if may_come_again && !is_kept {
                // The mark stays, and asks for more than doubt does.
                return committed;
            }
            if self.trust == Trust::Lost {
                self.mark_doubtful();
            }
        }
        // At the next login it is another message, or the same one as it is then.
        let index = Arc::clone(&self.index);
        if let Some(record) = changed.and_then(|number| index.record(number.index())) {
            self.doubt(&record);
        }
        committed
    }
}

impl LocalMaildrop {
    /// Has the next login look at all messages again: one is not as counted.
    fn doubt(&mut self, record: &Record<'_>) {
        if self.trust == Trust::Lost {
            return;
        }
        self.trust = Trust::Lost;
        let (user, name) = (&self.user, record.name.escape_ascii());
        log::info!(
            target: "pop3d::maildir",
            "{user}: message {name} is not as counted; all are looked at again at the next login"
        );
        self.mark_doubtful();
    }

    fn mark_doubtful(&self) {
        if let Some(state) = &self.shared.state {
            state.mark(&self.user, index::DOUBTFUL);
            self.shared.cache.forget(&self.user);
        }
    }

    /// Opens a message that is not where it was: a mail program may have moved it from `new` to `cur`, or set a flag.
    fn moved_message(&mut self, record: &Record<'_>) -> io::Result<File> {
        if record.place == Place::Top {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Looking for a few names is a thousand times faster than listing a large folder.
        for flags in USUAL_FLAGS {
            let name = [record.base, flags].concat();
            match self.mail.open_message(self.user.as_str(), Place::Cur, &name) {
                // No file has a name that is too long with more flags.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename) => {}
                file => return file,
            }
        }
        let user = self.user.as_str();
        if let Some(moved) = self.moved.as_ref().filter(|moved| moved.1.elapsed() < MOVED_KEPT) {
            let (place, name) = moved.0.find(record.base)?.ok_or(io::ErrorKind::NotFound)?;
            match self.mail.open_message(user, place, name) {
                // Moved once more since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => return file,
            }
        }
        let folder = UserFolder::open(&self.mail, user)?.ok_or(io::ErrorKind::NotFound)?;
        let moved = &self.moved.insert(Box::new((Moved::look(&folder)?, Instant::now()))).0;
        let (place, name) = moved.find(record.base)?.ok_or(io::ErrorKind::NotFound)?;
        self.mail.open_message(user, place, name)
    }
}

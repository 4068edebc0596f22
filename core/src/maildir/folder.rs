//! The folders that messages are in: opened and looked at by descriptor, never through a symbolic link.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx, StatxFlags, StatxTimestamp, openat,
    openat2, statx,
};
use rustix::io::Errno;

use super::checksum::mix;
use super::name;

/// How many seconds after a change another one might leave a file's time as it was: file systems keep times in steps,
/// of two seconds at most (FAT), and the kernel's clock for them is a few milliseconds behind.
const TIME_STEP: u64 = 2;

/// How folders are opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// How messages are opened: whatever stands there instead of a file must neither be followed nor waited for.
const MESSAGE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Which folder of a user a message is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// The user's folder itself.
    Top,
    /// `new` of a Maildir.
    New,
    /// `cur` of a Maildir.
    Cur,
}

impl Place {
    /// The folder's name within the user's folder.
    fn name(self) -> &'static str {
        match self {
            Self::Top => ".",
            Self::New => "new",
            Self::Cur => "cur",
        }
    }
}

/// What a folder looked like: which one it was, and when something was last put in or taken out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Visit {
    pub(super) inode: u64,
    pub(super) seconds: i64,
    pub(super) nanoseconds: u64,
}

impl Visit {
    fn of(status: &Statx) -> Self {
        let time = status.stx_mtime;
        Self { inode: status.stx_ino, seconds: time.tv_sec, nanoseconds: time.tv_nsec.into() }
    }

    /// None for what stands where there was no folder.
    pub(super) fn if_there(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }

    /// Whether a change after that second would have left another time.
    fn is_settled(self, listed: Listed) -> bool {
        is_settled(self.seconds, listed)
    }
}

/// The second when folders were listed or files looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Listed(u64);

impl Listed {
    /// The second of a time.
    pub(super) fn at(now: SystemTime) -> Self {
        Self(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    pub(super) fn seconds(self) -> u64 {
        self.0
    }

    pub(super) fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }
}

/// Whether a change after `listed` would certainly show beside one at that second.
fn is_settled(seconds: i64, listed: Listed) -> bool {
    let Ok(seconds) = u64::try_from(seconds) else { return true };
    // Seconds are rounded down: the next one is the latest that it can stand for.
    seconds.saturating_add(1 + TIME_STEP) <= listed.0
}

/// Which kind of folder a user has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    /// Every regular file is a message, unless its name begins with ".".
    Flat(Visit),
    /// Messages are in `new` and `cur`, as far as these are there.
    Maildir { new: Option<Visit>, cur: Option<Visit> },
}

impl Layout {
    /// Whether these are the same folders, whatever happened in them.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        let same = |one: &Option<Visit>, other: &Option<Visit>| match (one, other) {
            (Some(one), Some(other)) => one.inode == other.inode,
            (None, _) | (_, None) => true,
        };
        match (self, other) {
            (Self::Flat(one), Self::Flat(other)) => one.inode == other.inode,
            (Self::Maildir { new, cur }, Self::Maildir { new: other_new, cur: other_cur }) => {
                same(new, other_new) && same(cur, other_cur)
            }
            (Self::Flat(_), Self::Maildir { .. }) | (Self::Maildir { .. }, Self::Flat(_)) => false,
        }
    }

    /// Whether a folder is not there that was there before.
    pub(super) fn lacks_any_of(&self, before: &Self) -> bool {
        self.places().iter().any(|&place| self.visit(place).is_none() && before.visit(place).is_some())
    }

    /// Whether messages are kept the same way, in the same folders or in others.
    pub(super) fn is_same_kind(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Flat(_), Self::Flat(_)) | (Self::Maildir { .. }, Self::Maildir { .. }))
    }

    /// Whether a change after `listed` would have left other times.
    pub(super) fn is_settled(&self, listed: Listed) -> bool {
        self.places().iter().all(|&place| self.visit(place).is_none_or(|visit| visit.is_settled(listed)))
    }

    /// Whether a folder is as it was, `listed` being when it was so.
    pub(super) fn is_unchanged(&self, place: Place, before: &Self, listed: Listed) -> bool {
        self.is_same_place(before)
            && self.visit(place) == before.visit(place)
            && self.visit(place).is_none_or(|visit| visit.is_settled(listed))
    }

    /// What a folder looked like; none where it is not there.
    pub(super) fn visit(&self, place: Place) -> Option<Visit> {
        match (self, place) {
            (Self::Flat(top), Place::Top) => Some(*top),
            (Self::Maildir { new, .. }, Place::New) => *new,
            (Self::Maildir { cur, .. }, Place::Cur) => *cur,
            (Self::Flat(_), Place::New | Place::Cur) | (Self::Maildir { .. }, Place::Top) => None,
        }
    }

    /// The folders that messages are in. `new` comes before `cur`: a message that moves while they are listed must be
    /// met twice rather than not at all.
    pub(super) fn places(&self) -> &'static [Place] {
        match self {
            Self::Flat(_) => &[Place::Top],
            Self::Maildir { .. } => &[Place::New, Place::Cur],
        }
    }
}

/// What a message file looked like, in a number. Its upper half is of inode, length and time of modification: what stays
/// while a Maildir file gets other flags. Its lower half is of the time of change of the inode, which nobody can set: it
/// tells a file that was written in place and had its time set back from one that was not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp(u64);

/// The upper half of a stamp.
const FILE: u64 = u64::MAX << 32;

impl Stamp {
    /// The stamp of a file.
    pub(super) fn of(status: &Statx) -> Self {
        let words = |time: StatxTimestamp| [time.tv_sec.cast_unsigned(), time.tv_nsec.into()];
        let ([modified, nanoseconds], changed) = (words(status.stx_mtime), words(status.stx_ctime));
        let file = mix(&[status.stx_ino, status.stx_size, modified, nanoseconds]);
        Self(file & FILE | mix(&changed) & !FILE)
    }

    /// Whether two stamps are of the same file, which may have got another name, owner or mode.
    pub(super) fn is_of_same_file(self, other: Self) -> bool {
        self.0 & FILE == other.0 & FILE
    }

    /// What is the same of a file that got another name, owner or mode.
    pub(super) fn file(self) -> u64 {
        self.0 & FILE
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }

    pub(super) fn from_value(value: u64) -> Self {
        Self(value)
    }
}

/// Whether a file has been changed so shortly before `listed` that another change might not show.
pub(super) fn is_racy(status: &Statx, listed: Listed) -> bool {
    !is_settled(status.stx_mtime.tv_sec, listed)
}

/// Whether this is a regular file.
pub(super) fn is_regular(status: &Statx) -> bool {
    FileType::from_raw_mode(status.stx_mode.into()) == FileType::RegularFile
}

/// Looks at an open file.
pub(super) fn status_of(file: impl AsFd) -> io::Result<Statx> {
    Ok(statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?)
}

/// Numbers that tell a file or folder from every other on the machine: its device and its inode.
pub(super) fn identity_of(status: &Statx) -> [u64; 3] {
    [status.stx_dev_major.into(), status.stx_dev_minor.into(), status.stx_ino]
}

/// The same of what is at this path, a symbolic link followed.
pub(super) fn identity_at(path: &Path) -> io::Result<[u64; 3]> {
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    Ok(identity_of(&status))
}

/// Looks at a file in a folder, not through a symbolic link.
pub(super) fn status_in(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<Statx> {
    Ok(statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?)
}

/// Opens a message in a folder.
pub(super) fn open_message(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    Ok(File::from(openat(folder, name, MESSAGE, Mode::empty())?))
}

/// The folder that holds the folders of all users. One descriptor serves all sessions: an idle one keeps none.
#[derive(Debug)]
pub(super) struct MailFolder {
    folder: OwnedFd,
    identity: [u64; 3],
}

impl MailFolder {
    /// Opens it; it alone may be a symbolic link, for it is the administrator's.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = openat(CWD, path, FOLDER, Mode::empty())?;
        let identity = identity_of(&status_of(&folder)?);
        Ok(Self { folder, identity })
    }

    /// Whether this is what stands at `path`: it may have been replaced or mounted over.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(identity_at(path)? == self.identity)
    }

    /// Numbers that tell this folder from every other on the machine.
    pub(super) fn identity(&self) -> [u64; 3] {
        self.identity
    }

    /// Lists a little of it, to know that it can be.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut room = vec![MaybeUninit::uninit(); 4096];
        match RawDir::new(&self.folder, &mut room).next() {
            Some(Err(error)) => Err(error.into()),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Opens a message of a user in one step, following no symbolic link on the way.
    pub(super) fn open_message(&self, user: &str, place: Place, name: &[u8]) -> io::Result<File> {
        if !name::is_component(name) {
            return Err(Errno::NOENT.into());
        }
        let mut path = Vec::with_capacity(user.len() + name.len() + 8);
        for part in [user.as_bytes(), b"/", place.name().as_bytes(), b"/", name] {
            path.extend_from_slice(part);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(&self.folder, OsStr::from_bytes(&path), MESSAGE, Mode::empty(), resolve) {
            Ok(file) => Ok(File::from(file)),
            // An old kernel has no openat2, a sandbox may forbid it.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN | Errno::INVAL) => {
                self.open_message_in_steps(user, place, name)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn open_message_in_steps(&self, user: &str, place: Place, name: &[u8]) -> io::Result<File> {
        let folder = UserFolder::open(self, user)?.ok_or(Errno::NOENT)?;
        let folder = folder.open_place(place)?.ok_or(Errno::NOENT)?;
        open_message(folder.as_fd(), name)
    }
}

/// The folder of one user.
#[derive(Debug)]
pub(super) struct UserFolder {
    folder: OwnedFd,
    user: Box<str>,
}

impl UserFolder {
    /// Opens the folder of a user; none where there is none.
    pub(super) fn open(mail: &MailFolder, user: &str) -> io::Result<Option<Self>> {
        if !name::is_component(user.as_bytes()) {
            return Err(Errno::INVAL.into());
        }
        match openat(&mail.folder, user, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => Ok(Some(Self { folder, user: user.into() })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let status = statx(&mail.folder, user, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)?;
                let why = match FileType::from_raw_mode(status.stx_mode.into()) {
                    FileType::Symlink => "is a symbolic link, and not followed",
                    _ => "is no folder; a mailbox that is one file is not understood",
                };
                Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{user} {why}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same where the kernel has in memory what it takes; none in every other case.
    pub(super) fn open_at_once(mail: &MailFolder, user: &str) -> Option<Self> {
        if !name::is_component(user.as_bytes()) {
            return None;
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::CACHED;
        let folder = openat2(&mail.folder, user, FOLDER | OFlags::NOFOLLOW, Mode::empty(), resolve).ok()?;
        Some(Self { folder, user: user.into() })
    }

    /// Numbers that tell this folder from every other on the machine.
    pub(super) fn identity(&self) -> io::Result<[u64; 3]> {
        status_of(&self.folder).map(|status| identity_of(&status))
    }

    /// Whose it is.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Whether it has the folder that deliveries to a Maildir are written in.
    pub(super) fn has_temporary(&self) -> io::Result<bool> {
        match status_in(self.folder.as_fd(), b"tmp") {
            Ok(status) => Ok(FileType::from_raw_mode(status.stx_mode.into()).is_dir()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Finds out which kind of folder it is, and when it was last changed.
    pub(super) fn layout(&self) -> io::Result<Layout> {
        let (new, cur) = (self.visit(Place::New)?, self.visit(Place::Cur)?);
        if new.is_none() && cur.is_none() {
            return Ok(Layout::Flat(Visit::of(&status_of(&self.folder)?)));
        }
        Ok(Layout::Maildir { new, cur })
    }

    fn visit(&self, place: Place) -> io::Result<Option<Visit>> {
        match statx(&self.folder, place.name(), AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
            Ok(status) => {
                let kind = FileType::from_raw_mode(status.stx_mode.into());
                if kind == FileType::Symlink {
                    // Without the mail that is behind it the maildrop would only look empty.
                    let what = format!("{} is a symbolic link, and not followed", place.name());
                    return Err(io::Error::other(what));
                }
                Ok((kind == FileType::Directory).then(|| Visit::of(&status)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file that another server keeps beside the messages.
    pub(super) fn open_file(&self, name: &str) -> io::Result<File> {
        let file = open_message(self.folder.as_fd(), name.as_bytes())?;
        if !is_regular(&status_of(&file)?) {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(file)
    }

    /// Opens one of the folders that messages are in; none where it is not there.
    pub(super) fn open_place(&self, place: Place) -> io::Result<Option<OwnedFd>> {
        match openat(&self.folder, place.name(), FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT) => Ok(None),
            // What is no folder holds no messages.
            Err(Errno::LOOP | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_message_is_opened_the_same_in_one_step_and_in_several() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("ann/new")).unwrap();
        fs::write(root.path().join("ann/new/file"), "x").unwrap();
        symlink("file", root.path().join("ann/new/link")).unwrap();
        symlink("new", root.path().join("ann/cur")).unwrap();
        symlink("ann", root.path().join("bob")).unwrap();
        let mail = MailFolder::open(root.path()).unwrap();
        let cases: [(&str, Place, &[u8], bool); 8] = [
            ("ann", Place::New, b"file", true),
            ("ann", Place::New, b"none", false),
            ("ann", Place::New, b"link", false),
            ("ann", Place::New, b"../new/file", false),
            ("ann", Place::Cur, b"file", false),
            ("bob", Place::New, b"file", false),
            ("eve", Place::New, b"file", false),
            ("../ann", Place::New, b"file", false),
        ];
        for (user, place, name, opens) in cases {
            assert_eq!(mail.open_message(user, place, name).is_ok(), opens, "{user} {place:?}");
            let in_steps = name::is_component(name) && mail.open_message_in_steps(user, place, name).is_ok();
            assert_eq!(in_steps, opens, "{user} {place:?} in steps");
        }
    }

    #[test]
    fn a_time_is_settled_when_no_later_change_can_leave_it() {
        let now = Listed::from_seconds(1000);
        assert!(is_settled(997, now));
        assert!(!is_settled(998, now));
        assert!(!is_settled(1000, now), "the same second");
        assert!(!is_settled(2000, now), "the clock was put back");
        assert!(is_settled(-5, now), "before 1970");
    }
}

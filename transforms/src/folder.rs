//! The folder of transforms, watched: which of its files were written, put there or taken away.
//!
//! Not here: what is made of that (`registry.rs`). A file that somebody has begun to write is named once it is closed.
//! What happens to a file within a moment is told once; where the system has lost events, any file may have changed.

mod events;
#[cfg(test)]
mod tests;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use pop3d_core::transform::registry::FolderChange;

use self::events::Events;

/// How long after the folder could not be watched, or was gone, it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Watches one folder, or none, on a thread of its own.
#[derive(Default)]
pub struct FolderWatch {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    folder: Option<PathBuf>,
    /// Raised where another folder is to be looked at, or it may be another one by now.
    epoch: u64,
    /// It was moved or removed.
    is_lost: bool,
    events: Events,
    is_closed: bool,
}

/// What the thread does next.
enum Step {
    End,
    /// Look which folder is to be watched.
    Watch {
        epoch: u64,
        folder: Option<PathBuf>,
        is_lost: bool,
    },
    TakeIn(FolderChange),
}

/// A folder that is watched.
struct Watched {
    folder: PathBuf,
    identity: (u64, u64),
    /// Its events count as long as it is there.
    _life: Arc<()>,
    _watcher: RecommendedWatcher,
}

impl FolderWatch {
    /// Watches this folder from here on; none: nothing. Where it is the same one, nothing changes.
    pub fn follow(&self, folder: Option<PathBuf>) {
        let mut state = self.shared.lock();
        state.folder = folder;
        state.epoch += 1;
        drop(state);
        self.shared.bell.notify_all();
    }

    /// Calls `take_in` on a thread, again and again, with what has changed in the folder: at first, and whenever another
    /// one is watched, with all.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(&self, take_in: impl FnMut(&FolderChange) + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name("transform-dir".to_owned()).spawn(move || shared.run(take_in)).map(drop)
    }

    /// Ends the thread, once it does nothing.
    pub fn stop(&self) {
        self.shared.lock().is_closed = true;
        self.shared.bell.notify_all();
    }
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is a few sets of names: each is whole between two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(self: Arc<Self>, mut take_in: impl FnMut(&FolderChange)) {
        let mut watched: Option<Watched> = None;
        let (mut epoch, mut again, mut rested) = (0, None, Instant::now());
        let mut complaint = String::new();
        loop {
            match self.next(epoch, again, rested) {
                Step::End => return,
                Step::Watch { epoch: current, folder, is_lost } => {
                    epoch = current;
                    again = None;
                    // Another folder may have the very inode of one that was removed.
                    let is_same = !is_lost
                        && watched.as_ref().map(|watched| &watched.folder) == folder.as_ref()
                        && watched.as_ref().is_none_or(Watched::is_there);
                    let Some(folder) = folder.filter(|_| !is_same) else {
                        watched = watched.filter(|_| is_same);
                        continue;
                    };
                    // Its events are not told any more.
                    watched = None;
                    match self.watch(&folder) {
                        Ok(new) => {
                            log::debug!(target: "pop3d::transform", "{} is watched", folder.display());
                            complaint.clear();
                            watched = Some(new);
                        }
                        Err(what) => {
                            again = Some(Instant::now() + AGAIN);
                            if complaint != what {
                                log::warn!(
                                    target: "pop3d::transform",
                                    "the folder {} is not watched: {what}; until it is, \"tfr *\" takes in what changed",
                                    folder.display(),
                                );
                                complaint = what;
                            }
                        }
                    }
                }
                Step::TakeIn(changed) => {
                    let begun = Instant::now();
                    // Whatever is in those files: the next ones are to be taken in.
                    if catch_unwind(AssertUnwindSafe(|| take_in(&changed))).is_err() {
                        log::error!(
                            target: "pop3d::transform",
                            "what has changed in the folder of transforms was not all taken in (a panic, which should be \
                             reported); \"tfr *\" tries again",
                        );
                    }
                    // Whatever happens in there, half of a core is left to others.
                    rested = Instant::now() + begun.elapsed();
                }
            }
        }
    }

    /// Waits until there is something to do.
    fn next(&self, epoch: u64, again: Option<Instant>, rested: Instant) -> Step {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.is_closed {
                return Step::End;
            }
            if state.epoch != epoch || again.is_some_and(|again| again <= now) {
                let is_lost = std::mem::take(&mut state.is_lost);
                return Step::Watch { epoch: state.epoch, folder: state.folder.clone(), is_lost };
            }
            let due = state.events.due().map(|due| due.max(rested));
            if due.is_some_and(|due| due <= now) {
                return Step::TakeIn(state.events.take(now));
            }
            state = match due.into_iter().chain(again).min() {
                Some(until) => {
                    let wait = until.saturating_duration_since(now);
                    self.bell.wait_timeout(state, wait).map_or_else(|poison| poison.into_inner().0, |it| it.0)
                }
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Watches a folder. What is in it by then may be something else than what was known.
    fn watch(self: &Arc<Self>, folder: &Path) -> Result<Watched, String> {
        let sentence = |error: notify::Error| match error.kind {
            notify::ErrorKind::Io(error) => error.to_string(),
            notify::ErrorKind::MaxFilesWatch => "fs.inotify.max_user_watches is used up".to_owned(),
            _ => error.to_string(),
        };
        let metadata = folder.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_dir() {
            return Err("it is no folder".to_owned());
        }
        let (shared, own) = (Arc::downgrade(self), folder.to_owned());
        // Where this watch is replaced by another one, its events are for nobody.
        let life = Arc::new(());
        let alive = Arc::downgrade(&life);
        let handler = move |event: notify::Result<Event>| {
            if let (Some(shared), Some(_)) = (shared.upgrade(), alive.upgrade()) {
                shared.note(&own, event);
            }
        };
        let mut watcher = RecommendedWatcher::new(handler, Config::default()).map_err(sentence)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(sentence)?;
        let mut state = self.lock();
        state.events = Events::default();
        state.events.note_all(Instant::now());
        Ok(Watched {
            folder: folder.to_owned(),
            identity: identity(&metadata),
            _life: life,
            _watcher: watcher,
        })
    }

    /// Takes note of what happened. Called on the thread of the watcher.
    fn note(&self, folder: &Path, event: notify::Result<Event>) {
        let now = Instant::now();
        let mut state = self.lock();
        let due = state.events.due();
        let epoch = state.epoch;
        match event {
            Ok(event) if event.need_rescan() => {
                log::debug!(target: "pop3d::transform", "events of {} were lost", folder.display());
                state.events.note_loss(now);
            }
            Ok(Event { kind, paths, .. }) => match paths.first() {
                Some(path) if path == folder => match kind {
                    EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                        state.epoch += 1;
                        state.is_lost = true;
                    }
                    EventKind::Modify(ModifyKind::Metadata(_)) => state.events.note_all(now),
                    _ => {}
                },
                Some(path) => note_file(&mut state.events, path, kind, now),
                None => {}
            },
            Err(error) => {
                log::warn!(target: "pop3d::transform", "events of {} were lost: {error}", folder.display());
                state.events.note_loss(now);
            }
        }
        let is_sooner = state.events.due().is_some_and(|at| due.is_none_or(|due| at < due));
        let is_news = state.epoch != epoch || is_sooner;
        drop(state);
        // What comes soon after is found by the thread when it wakes.
        if is_news {
            self.bell.notify_all();
        }
    }
}

fn note_file(events: &mut Events, path: &Path, kind: EventKind, now: Instant) {
    let Some(name) = path.file_name() else { return };
    let is_code = is_code(path);
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Remove(_) if is_code => {
            events.note_whole(name, now);
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::From | RenameMode::To)) if is_code => {
            events.note_whole(name, now);
        }
        EventKind::Modify(ModifyKind::Data(_)) if is_code => events.note_writing(name),
        EventKind::Modify(ModifyKind::Metadata(_)) if is_code => events.note_owner(name, now),
        // Of a link that is made nothing else is told.
        EventKind::Create(_) if is_code && is_link(path) => events.note_whole(name, now),
        EventKind::Create(_) if is_code => events.note_creation(name, now),
        // Files may be links by way of another one, which was made to lead somewhere else.
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) if is_link(path) => {
            events.note_all(now);
        }
        _ => {}
    }
}

/// Whether a file of that name can be a transform.
pub(crate) fn is_code(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    matches!(ending, Some("so" | "wasm")) && !is_hidden
}

/// Whether it is a link to another file, or a further name of one.
fn is_link(path: &Path) -> bool {
    let is_link = |it: Metadata| it.is_symlink() || (it.is_file() && it.nlink() > 1);
    path.symlink_metadata().is_ok_and(is_link)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Watched {
    /// Whether its path leads to it.
    fn is_there(&self) -> bool {
        self.folder.metadata().is_ok_and(|metadata| identity(&metadata) == self.identity)
    }
}

//! What has happened in a folder and was not told yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

use pop3d_core::transform::registry::FolderChange;

/// Something is told once nothing has happened for so long,
const QUIET: Duration = Duration::from_millis(100);

/// or so long after the first of it.
const LATEST: Duration = Duration::from_secs(1);

/// The same where events were lost: what is being written shows itself by then.
const QUIET_AFTER_LOSS: Duration = Duration::from_secs(1);
const LATEST_AFTER_LOSS: Duration = Duration::from_secs(10);

/// A file that has come by its name, and of which nothing more was heard for so long, is whole: it was made without a name
/// and linked there (`O_TMPFILE`), and who closes it is not told by that name. Who writes is heard.
const SILENCE: Duration = Duration::from_secs(10);

/// Names that are remembered one by one.
const NAMES_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Events {
    /// Files that changed, and are whole.
    files: BTreeSet<OsString>,
    /// Any may have changed.
    is_all: bool,
    is_lossy: bool,
    /// Files that somebody has begun to write, and has not closed; since when nothing but that they came is known of them, if
    /// so.
    writing: BTreeMap<OsString, Option<Instant>>,
    /// When the first and the last thing happened that is to be told.
    span: Option<(Instant, Instant)>,
}

impl Events {
    /// A file was written and closed, or came or went by its name.
    pub(super) fn note_whole(&mut self, name: &OsStr, now: Instant) {
        self.writing.remove(name);
        self.note(name, now);
    }

    /// A file has got another owner or mode.
    pub(super) fn note_owner(&mut self, name: &OsStr, now: Instant) {
        // Who writes it may do so on the way: it will be closed.
        if !self.writing.contains_key(name) {
            self.note(name, now);
        }
    }

    /// A file has come by its name: it is about to be written, or is whole.
    pub(super) fn note_creation(&mut self, name: &OsStr, now: Instant) {
        self.begin_writing(name, Some(now));
    }

    /// A file is being written.
    pub(super) fn note_writing(&mut self, name: &OsStr) {
        self.begin_writing(name, None);
    }

    fn begin_writing(&mut self, name: &OsStr, created: Option<Instant>) {
        if let Some(known) = self.writing.get_mut(name) {
            *known = created;
        } else if self.writing.len() < NAMES_MAX {
            self.writing.insert(name.to_owned(), created);
        }
        // One that was closed a moment before is so no more.
        self.files.remove(name);
    }

    /// Any file may have changed.
    pub(super) fn note_all(&mut self, now: Instant) {
        self.is_all = true;
        self.files.clear();
        self.touch(now);
    }

    /// Events were lost.
    pub(super) fn note_loss(&mut self, now: Instant) {
        // Who has closed what is not known any more; who goes on writing will be noticed.
        self.writing.clear();
        self.is_lossy = true;
        self.note_all(now);
    }

    fn note(&mut self, name: &OsStr, now: Instant) {
        if self.files.len() >= NAMES_MAX {
            self.note_all(now);
        }
        if !self.is_all {
            self.files.insert(name.to_owned());
        }
        self.touch(now);
    }

    fn touch(&mut self, now: Instant) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
    }

    /// When it is to be told; none: there is nothing.
    pub(super) fn due(&self) -> Option<Instant> {
        let (quiet, latest) =
            if self.is_lossy { (QUIET_AFTER_LOSS, LATEST_AFTER_LOSS) } else { (QUIET, LATEST) };
        let noted = self.span.map(|(first, last)| (last + quiet).min(first + latest));
        let silent = self.writing.values().flatten().min().map(|created| *created + SILENCE);
        noted.into_iter().chain(silent).min()
    }

    /// What is to be told. From here on it has been.
    pub(super) fn take(&mut self, now: Instant) -> FolderChange {
        let is_silent = |created: &Option<Instant>| created.is_some_and(|created| created + SILENCE <= now);
        for (name, _) in self.writing.extract_if(.., |_, created| is_silent(created)) {
            if !self.is_all {
                self.files.insert(name);
            }
        }
        let files = std::mem::take(&mut self.files);
        let is_all = std::mem::take(&mut self.is_all);
        self.is_lossy = false;
        self.span = None;
        FolderChange { files: (!is_all).then_some(files), unfinished: self.writing.keys().cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    fn names(changed: &FolderChange) -> Vec<&str> {
        changed.files.iter().flatten().filter_map(|name| name.to_str()).collect()
    }

    #[test]
    fn what_happens_within_a_moment_is_told_once() {
        let (mut events, begun) = (Events::default(), Instant::now());
        let now = begun;
        assert_eq!(events.due(), None);
        for milliseconds in 0..50 {
            events.note_writing(name("a.so"));
            events.note_whole(name("a.so"), begun + Duration::from_millis(milliseconds));
            events.note_whole(name("b.so"), begun + Duration::from_millis(milliseconds));
        }
        assert_eq!(events.due(), Some(begun + Duration::from_millis(49) + QUIET));
        assert_eq!(names(&events.take(now)), ["a.so", "b.so"]);
        assert_eq!(events.due(), None);
        assert_eq!(
            events.take(now),
            FolderChange { files: Some(BTreeSet::new()), ..FolderChange::default() }
        );
    }

    #[test]
    fn a_storm_is_told_of_while_it_lasts() {
        let (mut events, begun) = (Events::default(), Instant::now());
        for milliseconds in 0..60_000 {
            events.note_whole(name("a.so"), begun + Duration::from_millis(milliseconds));
        }
        assert_eq!(events.due(), Some(begun + LATEST));
    }

    #[test]
    fn a_file_is_told_of_when_it_was_closed() {
        let (mut events, now) = (Events::default(), Instant::now());
        events.note_whole(name("a.so"), now);
        events.note_writing(name("a.so"));
        events.note_owner(name("a.so"), now);
        let changed = events.take(now);
        assert!(names(&changed).is_empty() && changed.unfinished.contains(name("a.so")));
        events.note_whole(name("a.so"), now);
        assert_eq!(names(&events.take(now)), ["a.so"]);
        events.note_owner(name("a.so"), now);
        assert_eq!(names(&events.take(now)), ["a.so"]);
    }

    #[test]
    fn a_file_that_is_linked_to_its_name_is_told_of_once_it_was_silent() {
        let (mut events, now) = (Events::default(), Instant::now());
        events.note_creation(name("linked.so"), now);
        events.note_creation(name("written.so"), now);
        events.note_creation(name("closed.so"), now);
        events.note_creation(name("later.so"), now + SILENCE / 2);
        events.note_writing(name("written.so"));
        events.note_whole(name("closed.so"), now);
        // What is told before has nothing of it.
        assert_eq!(events.due(), Some(now + QUIET));
        let changed = events.take(now + QUIET);
        assert!(names(&changed) == ["closed.so"] && changed.unfinished.len() == 3);
        assert_eq!(events.due(), Some(now + SILENCE));
        let changed = events.take(now + SILENCE);
        assert!(names(&changed) == ["linked.so"] && changed.unfinished.len() == 2);
        // Once, and never one that somebody has begun to write.
        assert_eq!(events.due(), Some(now + SILENCE / 2 + SILENCE));
        assert_eq!(names(&events.take(now + SILENCE * 9)), ["later.so"]);
        assert_eq!(events.due(), None);
        assert!(events.take(now + SILENCE * 9).unfinished.contains(name("written.so")));
    }

    #[test]
    fn where_events_were_lost_any_file_may_have_changed_but_those_that_are_being_written() {
        let (mut events, now) = (Events::default(), Instant::now());
        events.note_writing(name("lost.so"));
        events.note_whole(name("a.so"), now);
        events.note_loss(now);
        events.note_writing(name("writing.so"));
        events.note_whole(name("b.so"), now);
        assert_eq!(events.due(), Some(now + QUIET_AFTER_LOSS));
        let changed = events.take(now);
        assert_eq!(changed.files, None);
        assert!(changed.concerns(name("lost.so")) && !changed.concerns(name("writing.so")));
        events.note_whole(name("writing.so"), now);
        assert_eq!((events.due(), names(&events.take(now))), (Some(now + QUIET), vec!["writing.so"]));
    }

    #[test]
    fn names_without_end_are_any_file() {
        let (mut events, now) = (Events::default(), Instant::now());
        for number in 0..=NAMES_MAX {
            events.note_whole(name(&format!("{number}.so")), now);
            events.note_writing(name(&format!("w{number}.so")));
        }
        let changed = events.take(now);
        assert_eq!((changed.files, changed.unfinished.len()), (None, NAMES_MAX));
    }
}

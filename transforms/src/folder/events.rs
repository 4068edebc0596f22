//! What has happened in a folder and was not told yet.

use std::collections::BTreeSet;
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

/// Names that are remembered one by one.
const NAMES_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Events {
    /// Files that changed, and are whole.
    files: BTreeSet<OsString>,
    /// Any may have changed.
    is_all: bool,
    is_lossy: bool,
    /// Files that somebody has begun to write, and has not closed.
    writing: BTreeSet<OsString>,
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
        if !self.writing.contains(name) {
            self.note(name, now);
        }
    }

    /// A file is being written.
    pub(super) fn note_writing(&mut self, name: &OsStr) {
        if self.writing.len() < NAMES_MAX && !self.writing.contains(name) {
            self.writing.insert(name.to_owned());
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
        self.span.map(|(first, last)| (last + quiet).min(first + latest))
    }

    /// What is to be told. From here on it has been.
    pub(super) fn take(&mut self) -> FolderChange {
        let files = std::mem::take(&mut self.files);
        let is_all = std::mem::take(&mut self.is_all);
        self.is_lossy = false;
        self.span = None;
        FolderChange { files: (!is_all).then_some(files), unfinished: self.writing.clone() }
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
        assert_eq!(events.due(), None);
        for milliseconds in 0..50 {
            events.note_writing(name("a.so"));
            events.note_whole(name("a.so"), begun + Duration::from_millis(milliseconds));
            events.note_whole(name("b.so"), begun + Duration::from_millis(milliseconds));
        }
        assert_eq!(events.due(), Some(begun + Duration::from_millis(49) + QUIET));
        assert_eq!(names(&events.take()), ["a.so", "b.so"]);
        assert_eq!(events.due(), None);
        assert_eq!(events.take(), FolderChange { files: Some(BTreeSet::new()), ..FolderChange::default() });
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
        let changed = events.take();
        assert!(names(&changed).is_empty() && changed.unfinished.contains(name("a.so")));
        events.note_whole(name("a.so"), now);
        assert_eq!(names(&events.take()), ["a.so"]);
        events.note_owner(name("a.so"), now);
        assert_eq!(names(&events.take()), ["a.so"]);
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
        let changed = events.take();
        assert_eq!(changed.files, None);
        assert!(changed.concerns(name("lost.so")) && !changed.concerns(name("writing.so")));
        events.note_whole(name("writing.so"), now);
        assert_eq!((events.due(), names(&events.take())), (Some(now + QUIET), vec!["writing.so"]));
    }

    #[test]
    fn names_without_end_are_any_file() {
        let (mut events, now) = (Events::default(), Instant::now());
        for number in 0..=NAMES_MAX {
            events.note_whole(name(&format!("{number}.so")), now);
            events.note_writing(name(&format!("w{number}.so")));
        }
        let changed = events.take();
        assert_eq!((changed.files, changed.unfinished.len()), (None, NAMES_MAX));
    }
}

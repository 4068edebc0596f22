//! What is told of a real folder.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;

use notify::event::Flag;

use super::*;

/// What has been told so far.
#[derive(Clone, Default)]
struct Told {
    changes: Arc<Mutex<Vec<FolderChange>>>,
}

impl Told {
    fn watch(&self, folder: &Path) -> FolderWatch {
        let watch = FolderWatch::default();
        watch.follow(Some(folder.to_owned()));
        let changes = Arc::clone(&self.changes);
        watch.start(move |changed| changes.lock().unwrap().push(changed.clone())).unwrap();
        self.wait_for_all(1);
        watch
    }

    fn wait(&self, what: &str, is_so: impl Fn(&[FolderChange]) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !is_so(&self.changes.lock().unwrap()) {
            assert!(Instant::now() < until, "{what}: {:?}", self.changes.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until so many times any file may have changed.
    fn wait_for_all(&self, count: usize) {
        let is_so = |changes: &[FolderChange]| {
            changes.iter().filter(|changed| changed.files.is_none()).count() >= count
        };
        self.wait("any file may have changed", is_so);
    }

    fn wait_for(&self, name: &str) {
        self.wait(name, |changes| files(changes).contains(&OsString::from(name)));
    }

    fn files(&self) -> BTreeSet<OsString> {
        files(&self.changes.lock().unwrap())
    }

    fn forget(&self) {
        self.changes.lock().unwrap().clear();
    }
}

fn files(changes: &[FolderChange]) -> BTreeSet<OsString> {
    changes.iter().filter_map(|changed| changed.files.clone()).flatten().collect()
}

#[test]
fn files_that_are_written_renamed_and_removed_are_told_by_name() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    let told = Told::default();
    let _watch = told.watch(folder.path());
    fs::write(path("written.so"), "x").unwrap();
    told.wait_for("written.so");
    fs::write(path(".new"), "x").unwrap();
    fs::rename(path(".new"), path("renamed.wasm")).unwrap();
    told.wait_for("renamed.wasm");
    fs::rename(path("renamed.wasm"), path("away.wasm")).unwrap();
    told.wait_for("away.wasm");
    told.forget();
    fs::remove_file(path("away.wasm")).unwrap();
    told.wait_for("away.wasm");
    fs::set_permissions(path("written.so"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    told.wait_for("written.so");
    let target = elsewhere.path().join("x.so");
    fs::write(&target, "x").unwrap();
    symlink(&target, path("link.so")).unwrap();
    told.wait_for("link.so");
    told.forget();
    // What can be no transform is not told of.
    for name in ["text", ".hidden.so", "x.so.new"] {
        fs::write(path(name), "x").unwrap();
        fs::remove_file(path(name)).unwrap();
    }
    fs::write(path("last.so"), "x").unwrap();
    told.wait_for("last.so");
    assert_eq!(told.files().len(), 1, "{:?}", told.files());
    // A link that files are links by way of.
    told.forget();
    symlink(elsewhere.path(), path("..new")).unwrap();
    fs::rename(path("..new"), path("..data")).unwrap();
    told.wait_for_all(1);
}

#[test]
fn a_file_is_not_told_of_before_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("old.so"), "old").unwrap();
    let told = Told::default();
    let _watch = told.watch(folder.path());
    let mut half = [File::create(path("new.so")).unwrap(), File::create(path("old.so")).unwrap()];
    for round in 0..3 {
        for file in &mut half {
            file.write_all(b"half of it").unwrap();
        }
        // What happened before this has been told of when this is.
        let name = format!("whole{round}.so");
        fs::write(path(&name), "x").unwrap();
        told.wait_for(&name);
        let files = told.files();
        assert!(!files.contains(&OsString::from("new.so")) && !files.contains(&OsString::from("old.so")));
        let last = told.changes.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last.unfinished, ["new.so", "old.so"].map(OsString::from).into());
    }
    drop(half);
    told.wait_for("new.so");
    told.wait_for("old.so");
}

#[test]
fn a_panic_over_one_change_does_not_end_the_watch() {
    let folder = tempfile::tempdir().unwrap();
    let told = Told::default();
    let changes = Arc::clone(&told.changes);
    let watch = FolderWatch::default();
    watch.follow(Some(folder.path().to_owned()));
    let take_in = move |changed: &FolderChange| {
        changes.lock().unwrap().push(changed.clone());
        assert!(
            !files(std::slice::from_ref(changed)).contains(&OsString::from("bad.so")),
            "expected in this test"
        );
    };
    watch.start(take_in).unwrap();
    told.wait_for_all(1);
    for name in ["bad.so", "good.so"] {
        fs::write(folder.path().join(name), "x").unwrap();
        told.wait_for(name);
    }
}

#[test]
fn where_events_were_lost_any_file_may_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let told = Told::default();
    let watch = told.watch(folder.path());
    let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    watch.shared.note(folder.path(), Ok(lost));
    told.wait_for_all(2);
    watch.shared.note(folder.path(), Err(notify::Error::generic("expected in this test")));
    told.wait_for_all(3);
}

#[test]
fn a_folder_that_is_moved_away_or_comes_later_is_followed_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    fs::create_dir(&first).unwrap();
    let told = Told::default();
    let watch = told.watch(&first);
    // Another one of its name.
    fs::rename(&first, folder.path().join("moved")).unwrap();
    fs::create_dir(&first).unwrap();
    told.wait_for_all(2);
    fs::write(first.join("a.so"), "x").unwrap();
    told.wait_for("a.so");
    // It goes, and comes again.
    fs::remove_dir_all(&first).unwrap();
    fs::create_dir(&first).unwrap();
    told.wait_for_all(3);
    fs::write(first.join("b.so"), "x").unwrap();
    told.wait_for("b.so");
    // Another one, which comes later than it is named.
    watch.follow(Some(second.clone()));
    fs::create_dir(&second).unwrap();
    told.wait_for_all(4);
    fs::write(second.join("c.so"), "x").unwrap();
    told.wait_for("c.so");
    // The same one again is nothing new, and what is in the one before is nobody's.
    told.forget();
    watch.follow(Some(second.clone()));
    fs::write(first.join("nobody.so"), "x").unwrap();
    fs::write(second.join("d.so"), "x").unwrap();
    told.wait_for("d.so");
    assert_eq!(told.files(), [OsString::from("d.so")].into());
    told.wait("the same folder is watched on", |changes| changes.iter().all(|it| it.files.is_some()));
}

#[test]
fn a_storm_is_told_of_a_few_times() {
    let folder = tempfile::tempdir().unwrap();
    let told = Told::default();
    let _watch = told.watch(folder.path());
    let begun = Instant::now();
    for round in 0..5_000 {
        fs::write(folder.path().join("x.so"), round.to_string()).unwrap();
    }
    let took = begun.elapsed();
    fs::write(folder.path().join("last.so"), "x").unwrap();
    told.wait_for("last.so");
    // Ten times a second at most, however slow this machine is.
    let count = told.changes.lock().unwrap().len() as u128;
    assert!(count <= 3 + (took + begun.elapsed()).as_millis() / 100, "{count} times");
}

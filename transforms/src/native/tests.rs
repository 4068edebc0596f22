//! Libraries that are loaded into this process, and called as they are. Also run under valgrind (`tests/valgrind/run`).

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use pop3d_abi::Opt;
use pop3d_core::transform::{Command, Filter, Flow, Read, Sink};

use super::plugin::Instance;
use super::*;

/// Builds the plugin of the black-box tests.
fn build(folder: &Path, definitions: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let made = folder.join("filter.so");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Program::new(compiler)
        .args(["-shared", "-fPIC", "-g", "-O1", "-I"])
        .arg(root.join("plugins/abi/include"))
        .args(definitions.iter().map(|definition| format!("-D{definition}")))
        .arg("-o")
        .arg(&made)
        .arg(root.join("tests/plugins/filter.c"))
        .status();
    assert!(status.unwrap().success());
    made
}

fn configured(file: &Path, what: &str) -> Result<Arc<Plugin>, String> {
    let descriptor = library::load(&library::read(file)?)?;
    Plugin::configure(descriptor, "test", &[("do".to_owned(), what.to_owned())]).map(Arc::new)
}

struct Octets(Vec<u8>);

impl Sink for Octets {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

fn message() -> Message {
    let remote = [127, 0, 0, 1].into();
    Message { user: "user".into(), number: 1, octets: 5, uid: "uid".into(), command: Command::Retr, remote }
}

/// What an instance makes of a message that is cut so.
fn play(mut instance: Instance, input: &[u8], cut: usize) -> Result<Vec<u8>, Error> {
    let mut output = Octets(Vec::new());
    let mut flow = instance.start(&message(), &mut output)?;
    for chunk in input.chunks(cut) {
        if flow == Flow::More {
            flow = instance.push(chunk, &mut output)?;
        }
    }
    instance.finish(&mut output)?;
    Ok(output.0)
}

#[test]
fn a_library_in_this_process_does_what_it_says_and_frees_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = build(folder.path(), &[]);
    let input = b"Subject: Hello\r\n\r\n.\0\xFFno end".repeat(200);
    for what in ["identity", "at-end", "one-by-one", "ragged", "lie"] {
        let plugin = configured(&file, what).unwrap();
        for cut in [1, 7, 1000, 65_536] {
            assert!(play(Plugin::instance(&plugin), &input, cut).unwrap() == input, "{what}, {cut}");
        }
        // One that is given up in the middle, and one that never began.
        let mut instance = Plugin::instance(&plugin);
        let mut output = Octets(Vec::new());
        instance.start(&message(), &mut output).unwrap();
        instance.push(&input, &mut output).unwrap();
        drop(instance);
        drop(Plugin::instance(&plugin));
    }
}

#[test]
fn a_library_that_breaks_its_promise_never_to_wait_is_called_in_the_pool_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = build(folder.path(), &["TEST_FLAGS=POP3D_FLAG_NONBLOCKING"]);
    for (what, keeps_it) in [("identity", true), ("slow", false)] {
        let options = vec![("do".to_owned(), what.to_owned())];
        let isolation = Isolation::None;
        let spec = PluginSpec { isolation, options, ..PluginSpec::new("test", file.clone()) };
        let record = Arc::<Record>::default();
        let native = Native::load(spec, Pool::start("test", 1).unwrap(), Arc::default(), Arc::clone(&record));
        let native = native.unwrap();
        let native = Arc::new(native);
        let is_quick = || match &native.place {
            Place::Here { is_quick, .. } => is_quick.load(Ordering::Relaxed),
            Place::Helpers { .. } => panic!("it is isolated"),
        };
        assert!(is_quick());
        for _ in 0..2 {
            let (sender, woken) = std::sync::mpsc::channel();
            let wake = Wake(Arc::new(move || sender.send(()).unwrap_or_default()));
            let mut stream = Arc::clone(&native).open(Arc::new(message()), wake).unwrap();
            assert_eq!(stream.write(b"12345").unwrap(), 5);
            stream.finish().unwrap();
            let mut room = [0; 10];
            let read = loop {
                match stream.read(&mut room).unwrap() {
                    Read::Pending => woken.recv().unwrap(),
                    read => break read,
                }
            };
            assert_eq!((read, &room[..5]), (Read::Data(5), &b"12345"[..]));
            drop(stream);
            assert_eq!(is_quick(), keeps_it, "{what}");
        }
        let statistics = record.statistics();
        assert_eq!((statistics.messages, statistics.failed), (2, 0));
    }
}

#[test]
fn what_a_library_does_when_it_is_released_holds_up_nobody_who_lets_go_of_it() {
    static RELEASED_BY: Mutex<Option<Sender<Option<String>>>> = Mutex::new(None);
    extern "C" fn configure(_: *const pop3d_abi::Host, _: *const Opt, _: usize, _: *mut *mut c_void) -> i32 {
        0
    }
    extern "C" fn release(_: *mut c_void) {
        let thread = std::thread::current().name().map(str::to_owned);
        RELEASED_BY.lock().unwrap().take().unwrap().send(thread).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut descriptor = library::load(&library::read(&build(folder.path(), &[])).unwrap()).unwrap();
    descriptor.configure = Some(configure);
    descriptor.release = Some(release);
    let (sender, released) = channel();
    *RELEASED_BY.lock().unwrap() = Some(sender);
    let pool = Pool::start("test", 1).unwrap();
    drop(Plugin::configure(descriptor, "test", &[]).unwrap().released_in(pool.clone()));
    assert!(released.recv().unwrap().is_some_and(|thread| thread.starts_with("test")));
}

#[test]
fn an_answer_from_a_library_that_is_none_is_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let file = build(folder.path(), &[]);
    for (what, expected) in [("seven", "it answered 7"), ("minus-nine", "it answered -9")] {
        let plugin = configured(&file, what).unwrap();
        let error = play(Plugin::instance(&plugin), b"12345", 5).unwrap_err();
        assert!(matches!(&error, Error::Crashed(why) if why == expected), "{error:?}");
    }
    let plugin = configured(&file, "temporary").unwrap();
    assert!(matches!(play(Plugin::instance(&plugin), b"x", 1), Err(Error::Temporary(why)) if why == "later"));
    assert!(configured(&file, "what it does not know").is_err_and(|why| why == "no such thing to do"));
}

#[test]
fn a_message_of_which_a_library_writes_octets_that_are_nowhere_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let file = build(folder.path(), &[]);
    for what in ["nowhere", "too-long"] {
        let plugin = configured(&file, what).unwrap();
        let error = play(Plugin::instance(&plugin), b"12345", 5).unwrap_err();
        assert!(
            matches!(&error, Error::Crashed(why) if why == "it wrote octets that are nowhere"),
            "{error:?}"
        );
    }
}

#[test]
fn a_library_that_is_no_plugin_is_refused() {
    for (definition, expected) in [
        ("TEST_NO_SYMBOL", "it has no symbol"),
        ("TEST_ABI=2", "it is of version 2"),
        ("TEST_SIZE=8", "its descriptor has 8 octets"),
        ("TEST_NAME=\"Bad Name\"", "its name is not"),
        ("TEST_NAME=NULL", "its name is null"),
        ("TEST_PUSH=NULL", "its descriptor has a function that is null"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = build(folder.path(), &[definition]);
        let why = configured(&file, "identity").err().unwrap();
        assert!(why.starts_with(expected), "{definition}: {why}");
    }
}

#[test]
fn a_library_that_was_refused_is_not_taken_for_the_next() {
    let (broken, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let broken = build(broken.path(), &["TEST_NO_SYMBOL"]);
    let right = build(right.path(), &[]);
    for _ in 0..3 {
        assert!(configured(&broken, "identity").is_err());
        let plugin = configured(&right, "identity").unwrap();
        assert_eq!(play(Plugin::instance(&plugin), b"12345", 2).unwrap(), b"12345");
    }
}

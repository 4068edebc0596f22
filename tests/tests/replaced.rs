//! Files that are replaced and chains that are switched all the time: each message goes through one version of each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use pop3d_tests::{
    Admin, Client, Guest, Mail, Options, Plugins, Random, Server, light_or_heavy, message, wait_until,
};

/// The versions: each writes its letter before a message and behind it.
const VERSIONS: [&str; 2] = ["A", "B"];

/// What is replaced, and by what.
struct File {
    name: &'static str,
    path: PathBuf,
    versions: [Vec<u8>; 2],
}

fn files(folder: &Plugins) -> Vec<File> {
    let native = VERSIONS.map(|mark| {
        let definitions = [format!("TEST_MARK=\"{mark}\""), "TEST_NAME=\"marks\"".to_owned()];
        let path = folder.build(&format!(".{mark}"), &definitions.each_ref().map(String::as_str));
        fs::read(path).unwrap()
    });
    let marked = |mark| Guest {
        first: "(call $write (i32.const 32) (i32.const 2)) (i32.const 0)",
        last: "(call $write (i32.const 32) (i32.const 2)) (i32.const 0)",
        mark,
        ..Guest::default()
    };
    let component = VERSIONS.map(|mark| marked(mark).component());
    let command = VERSIONS.map(|mark| marked(mark).command());
    [("isolated", "isolated.so", native.clone()), ("native", "native.so", native)]
        .into_iter()
        .chain([("component", "component.wasm", component), ("command", "command.wasm", command)])
        .map(|(name, file, versions)| File { name, path: folder.path().join(file), versions })
        .collect()
}

/// Puts another version into a file: in place, as a careless copy does, or by a new file of its name.
fn replace(folder: &Path, file: &File, round: usize) {
    let octets = &file.versions[round % 2];
    if round.is_multiple_of(3) {
        fs::write(&file.path, octets).unwrap();
    } else {
        let new = folder.join(".new");
        fs::write(&new, octets).unwrap();
        fs::rename(&new, &file.path).unwrap();
    }
}

/// Asserts that a message went whole through one version of each of at most so many filters.
fn assert_whole(mut body: &[u8], text: &[u8], most: usize) {
    let mut marks = Vec::new();
    while body.len() > text.len() {
        let mark = &body[..3];
        let (first, last) = (&body[..30], &body[body.len() - 30..]);
        let seen = format!("{} … {} of {}", first.escape_ascii(), last.escape_ascii(), body.len());
        assert!(
            VERSIONS.iter().any(|version| mark == format!("{version}\r\n").as_bytes()),
            "after {marks:?}: {seen}"
        );
        assert!(body.ends_with(mark), "after {marks:?}: {seen}");
        marks.push(char::from(mark[0]));
        body = &body[3..body.len() - 3];
    }
    let differs = body.iter().zip(text).position(|(one, other)| one != other);
    assert!(
        body == text,
        "not the message, within {marks:?}: {} for {} octets, {differs:?}",
        body.len(),
        text.len()
    );
    assert!(marks.len() <= most, "{marks:?}");
}

/// Users `u0`, `u1` and so on with a message each, all of which passes the first version of a file.
fn configured(folder: &Path, files: &[File], mail: &Mail, clients: usize, text: &[u8]) -> String {
    let mut config = format!("transform_dir = \"{}\"\ntransform = \"isolated\"\n[users]\n", folder.display());
    for number in 0..clients {
        fs::create_dir(mail.path().join(format!("u{number}"))).unwrap();
        fs::write(mail.path().join(format!("u{number}/1")), text).unwrap();
        config.push_str(&format!("u{number} = \"pass\"\n"));
    }
    for file in files {
        fs::write(&file.path, &file.versions[0]).unwrap();
        let isolation = match file.name {
            "isolated" => "isolation = \"process\"\nhosts = 1\noptions = { do = \"identity\" }\n",
            "native" => "isolation = \"none\"\noptions = { do = \"identity\" }\n",
            _ => "",
        };
        let (name, path) = (file.name, file.path.display());
        config.push_str(&format!("[transforms.{name}]\nfile = \"{path}\"\n{isolation}"));
    }
    config
}

#[test]
fn each_message_goes_through_one_version_of_what_is_replaced_and_switched() {
    let (clients, replacements, switches) =
        (light_or_heavy(12, 50), light_or_heavy(60, 1_000), light_or_heavy(300, 10_000));
    let folder = Plugins::default();
    let files = files(&folder);
    let text = message(100_000, 1);
    let expected: Vec<u8> = pop3d_tests::as_sent(&text);
    let mail = Mail::default();
    let config = configured(folder.path(), &files, &mail, clients, &text);
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let busy = AtomicUsize::new(2);
    let messages = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    thread::scope(|scope| {
        let (server, files, busy, failed) = (&server, &files, &busy, &failed);
        let admins: [Box<dyn FnOnce() + Send>; 2] = [
            Box::new(|| {
                let mut admin = Admin::of(server);
                for round in 1..=replacements {
                    let file = &files[round % files.len()];
                    replace(folder.path(), file, round / files.len());
                    admin.says(&format!("tfr {}", file.name)).hears("+");
                }
            }),
            Box::new(|| {
                let mut admin = Admin::of(server);
                let mut random = Random::new(7);
                for _ in 0..switches {
                    let links: Vec<_> = (0..=random.below(3)).map(|_| files[random.below(4)].name).collect();
                    let chain = if random.below(10) == 0 { "none".to_owned() } else { links.join(",") };
                    admin.says(&format!("tf= {chain}")).hears("+");
                }
            }),
        ];
        let admins = admins.map(|work| {
            scope.spawn(move || {
                // The clients end when both are done, or one of them has failed.
                let over = Over { busy, failed };
                work();
                std::mem::forget(over);
                busy.fetch_sub(1, Ordering::Relaxed);
            })
        });
        for number in 0..clients {
            let (expected, messages) = (&expected, &messages);
            scope.spawn(move || {
                let mut client = Client::login(server.address(), &format!("u{number}"));
                while busy.load(Ordering::Relaxed) > 0 && !failed.load(Ordering::Relaxed) {
                    client.says("RETR 1").hears("+OK");
                    assert_whole(&client.body().unwrap(), expected, 3);
                    messages.fetch_add(1, Ordering::Relaxed);
                }
                client.says("QUIT").hears("+OK");
            });
        }
        for admin in admins {
            admin.join().unwrap();
        }
    });
    assert!(messages.into_inner() >= clients);
    let mut admin = Admin::of(&server);
    for file in &files {
        assert_eq!(admin.value(&format!("tfs? {}", file.name), "failed"), 0, "{}", file.name);
    }
    wait_until("helpers that are not needed are gone", || server.children() <= 1);
}

/// Says that something failed, where it is dropped.
struct Over<'flags> {
    busy: &'flags AtomicUsize,
    failed: &'flags AtomicBool,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.failed.store(true, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
    }
}

//! Mail is never lost, and a unique-id never comes to mean another message: over kills, full disks, lost state and
//! deliveries meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pop3d_tests::{Client, Mail, Options, PATIENCE, Server, as_sent, light_or_heavy, wait_until};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::TempDir;

/// The octets of each message by its unique-id.
type Shown = BTreeMap<String, Vec<u8>>;

/// Every message of the maildrop as a client sees it, by its unique-id.
fn shown(server: &Server) -> Shown {
    let listed = listed(server);
    let count = listed.len();
    let shown: Shown = listed.into_iter().collect();
    assert_eq!(shown.len(), count, "a unique-id stands for two messages");
    shown
}

/// The same in the order of the message-numbers; the sizes are compared on the way.
fn listed(server: &Server) -> Vec<(String, Vec<u8>)> {
    let mut client = Client::login_when_free(server.address(), "user");
    let mut listing = |command: &str| -> Vec<String> {
        client.says(command).hears("+OK");
        String::from_utf8(client.body().unwrap()).unwrap().lines().map(str::to_owned).collect()
    };
    let (unique_ids, sizes) = (listing("UIDL"), listing("LIST"));
    assert_eq!(unique_ids.len(), sizes.len());
    let mut listed = Vec::new();
    let mut total = 0;
    for (unique_id, size) in unique_ids.iter().zip(&sizes) {
        let (number, unique_id) = unique_id.split_once(' ').unwrap();
        client.says(&format!("RETR {number}")).hears("+OK");
        let octets = client.body().unwrap();
        assert_eq!(*size, format!("{number} {}", octets.len()));
        total += octets.len();
        listed.push((unique_id.to_owned(), octets));
    }
    client.says("STAT").hears(&format!("+OK {} {total}", listed.len()));
    client.says("QUIT").hears("+OK");
    listed
}

/// A message that no other is like.
fn message(number: usize) -> String {
    format!("Subject: {number}\nMessage-Id: <{number}@test>\n\n{}", format!(".{number}\n").repeat(number % 7))
}

fn messages(count: usize) -> Vec<String> {
    (1..=count).map(message).collect()
}

/// Numbers without an order (xorshift): the moments of a kill differ from run to run.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        Self(u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }
}

#[test]
fn a_kill_in_update_touches_no_message_that_was_not_marked() {
    const COUNT: usize = 4000;
    let mut moments = Moments::new();
    for round in 0..light_or_heavy(4, 60) {
        let mail = match round % 2 {
            0 => Mail::maildir("user", &messages(COUNT)),
            _ => Mail::flat("user", &messages(COUNT)),
        };
        let contents = |files: Vec<PathBuf>| -> BTreeMap<PathBuf, Vec<u8>> {
            files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
        };
        let before = contents(mail.files("user"));
        let state = tempfile::tempdir().unwrap();
        let options = Options { state: Some(state.path()), ..Options::default() };
        let mut server = Server::with(&mail, &options);
        let listed_before = listed(&server);
        // Numbers begin at 1: the odd ones.
        let marked: BTreeSet<_> = listed_before.iter().step_by(2).map(|(_, octets)| octets).collect();

        let mut client = Client::login_when_free(server.address(), "user");
        let deletions: String = (1..=COUNT).step_by(2).map(|number| format!("DELE {number}\r\n")).collect();
        client.sends(deletions.as_bytes());
        for _ in (1..=COUNT).step_by(2) {
            client.hears("+OK");
        }
        assert_eq!(mail.files("user").len(), COUNT, "a message went before QUIT");
        client.says("UIDL 1").hears("-ERR");
        // The kill comes right behind the removal of this one, without a pause in which all would go.
        let witness = &listed_before[2 * moments.below(COUNT / 4)].1;
        let witness = before.iter().find(|(_, octets)| as_sent(octets) == *witness).unwrap().0;
        let until = Instant::now() + PATIENCE;
        client.says("QUIT");
        while witness.exists() {
            assert!(Instant::now() < until, "no message is removed");
        }
        server.signal(Signal::KILL);
        server.wait();

        let after = contents(mail.files("user"));
        for (file, octets) in &before {
            match after.get(file) {
                Some(left) => assert!(left == octets, "{} was changed", file.display()),
                None => {
                    assert!(marked.contains(&as_sent(octets)), "{} was not marked", file.display());
                }
            }
        }
        assert!(after.keys().all(|file| before.contains_key(file)), "a message came from nowhere");

        let shown_before: Shown = listed_before.iter().cloned().collect();
        // What is left is what it was, by the same unique-ids.
        let shown_after = shown(&Server::with(&mail, &options));
        assert_eq!(shown_after.len(), after.len());
        for (unique_id, octets) in &shown_after {
            assert_eq!(shown_before.get(unique_id), Some(octets), "{unique_id} is another message");
        }
        println!("round {round}: {} of {} were removed", COUNT - after.len(), COUNT / 2);
    }
}

#[test]
fn a_kill_before_quit_removes_nothing() {
    let mail = Mail::maildir("user", &messages(10));
    let mut server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    client.says("DELE 1").hears("+OK");
    client.says("DELE 7").hears("+OK");
    server.signal(Signal::KILL);
    server.wait();
    assert_eq!(mail.files("user").len(), 10);
}

#[test]
fn a_full_disk_stops_neither_reading_nor_removing() {
    let mail = Mail::maildir("user", &messages(20));
    // No file may have an octet: to the program as good as a full disk. The log is a pipe for that time.
    let log = tempfile::tempdir().unwrap();
    let log = log.path().join("log");
    let before = format!(
        "mkfifo {0}.pipe; cat {0}.pipe >{0} & exec 2>{0}.pipe; trap '' XFSZ; ulimit -f 0",
        log.display()
    );
    let options = Options { before: &before, log: Some(&log), ..Options::default() };
    let server = Server::with(&mail, &options);
    let all = shown(&server);
    assert_eq!(all.len(), 20);
    let mut client = Client::login_when_free(server.address(), "user");
    client.says("DELE 20").hears("+OK");
    client.says("QUIT").hears("+OK");
    assert_eq!(mail.files("user").len(), 19);
    let left = shown(&server);
    assert_eq!(left.len(), 19);
    assert!(left.iter().all(|(unique_id, octets)| all.get(unique_id) == Some(octets)));
}

/// Every regular file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] });
    below.filter(|path| path.is_file()).collect()
}

#[test]
fn a_state_folder_that_was_damaged_or_lost_changes_nothing_that_a_client_sees() {
    let mail = Mail::maildir("user", &messages(40));
    let place = TempDir::new().unwrap();
    let state = place.path().join("state");
    let options = Options { state: Some(&state), ..Options::default() };
    let before = shown(&Server::with(&mail, &options));
    assert_eq!(before.len(), 40);
    // Everything in there at once, between two lives of the server.
    let damages: [fn(&Path); 4] = [
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, [0xFF; 4096]).unwrap(),
        |path| {
            let length = fs::metadata(path).unwrap().len();
            fs::File::options().write(true).open(path).unwrap().set_len(length / 2).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
    ];
    for damage in damages {
        files_below(&state).iter().for_each(|path| damage(path));
        assert_eq!(shown(&Server::with(&mail, &options)), before);
    }
    fs::remove_dir_all(&state).unwrap();
    assert_eq!(shown(&Server::with(&mail, &options)), before);
    // While it runs, too.
    let server = Server::with(&mail, &options);
    assert_eq!(shown(&server), before);
    fs::remove_dir_all(&state).unwrap();
    assert_eq!(shown(&server), before);
    // It has been made anew.
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "in the way").unwrap();
    assert_eq!(shown(&server), before);
}

#[test]
fn unique_ids_and_contents_stay_together_over_deliveries_and_restarts() {
    for is_maildir in [true, false] {
        let mail =
            if is_maildir { Mail::maildir("user", &messages(5)) } else { Mail::flat("user", &messages(5)) };
        let state = tempfile::tempdir().unwrap();
        let options = Options { state: Some(state.path()), ..Options::default() };
        let mut known = Shown::new();
        for round in 0..4 {
            let server = Server::with(&mail, &options);
            let now = shown(&server);
            assert_eq!(now.len(), 5 + 2 * round);
            for (unique_id, octets) in &known {
                assert_eq!(now.get(unique_id), Some(octets), "{unique_id}");
            }
            known = now;
            // In a session: mail comes, and another program marks a message as read.
            let mut client = Client::login_when_free(server.address(), "user");
            let user = mail.path().join("user");
            for number in 0..2 {
                let text = message(100 + 10 * round + number);
                let name = format!("{}.M1P{round}.host", 1_800_000_000 + 10 * round + number);
                fs::write(if is_maildir { user.join("new").join(name) } else { user.join(name) }, text)
                    .unwrap();
            }
            if is_maildir {
                let file = &mail.files("user")[0];
                let base = file.file_name().unwrap().to_str().unwrap().split(':').next().unwrap();
                fs::rename(file, user.join("cur").join(format!("{base}:2,{}", ["", "S"][round % 2])))
                    .unwrap();
            }
            client.says("STAT").hears(&format!("+OK {} ", 5 + 2 * round));
            client.says("RSET").hears("+OK");
            client.says(&format!("RETR {}", 6 + 2 * round)).hears("-ERR");
            client.says("QUIT").hears("+OK");
        }
    }
}

#[test]
fn what_is_no_file_is_no_message_and_holds_nobody_up() {
    let mail = Mail::flat("user", &["a\n"]);
    let user = mail.path().join("user");
    fs::write(user.join(std::ffi::OsStr::from_bytes(b"odd \xE9\n\t\x01name")), "odd\n").unwrap();
    std::os::unix::fs::symlink("nowhere", user.join("dangling")).unwrap();
    // Who opened it would wait for ever.
    mknodat(CWD, user.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let _socket = UnixListener::bind(user.join("socket")).unwrap();
    let server = Server::start(&mail, &[]);
    let shown = shown(&server);
    let texts: BTreeSet<_> = shown.values().map(Vec::as_slice).collect();
    assert_eq!(texts, BTreeSet::from([&b"a\r\n"[..], b"odd\r\n"]));
    for unique_id in shown.keys() {
        assert!(
            unique_id.len() <= 70 && unique_id.bytes().all(|octet| octet.is_ascii_graphic()),
            "{unique_id}"
        );
    }
}

#[test]
fn a_folder_that_could_not_be_listed_can_be_later() {
    let mail = Mail::default();
    // A file, for that is what root cannot list either.
    fs::write(mail.path().join("user"), "no folder").unwrap();
    let server = Server::start(&mail, &[]);
    let mut client = Client::connect(server.address());
    client.says("USER user").hears("+OK");
    client.says("PASS pass").hears("-ERR [SYS/");
    client.says("STAT").hears("-ERR");
    fs::remove_file(mail.path().join("user")).unwrap();
    client.says("USER user").hears("+OK");
    client.says("PASS pass").hears("+OK");
    client.says("STAT").hears("+OK 0 0");
}

#[test]
fn a_large_maildrop_is_listed_and_emptied_whole() {
    let count = light_or_heavy(5_000, 50_000);
    let mail = Mail::maildir("user", &(1..=count).map(|number| format!("{number}\n")).collect::<Vec<_>>());
    let server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    // The second listing is asked for before the first is read.
    client.sends(b"LIST\r\nUIDL\r\nSTAT\r\n");
    client.hears("+OK");
    let sizes: String = (1..=count).map(|n| format!("{n} {}\r\n", n.to_string().len() + 2)).collect();
    assert!(client.body().unwrap() == sizes.as_bytes());
    client.hears("+OK");
    assert_eq!(client.body().unwrap().iter().filter(|&&octet| octet == b'\n').count(), count);
    client.hears(&format!("+OK {count} "));
    for number in 1..=count {
        client.says(&format!("DELE {number}")).hears("+OK");
    }
    client.says("LIST").hears("+OK");
    assert!(client.body().unwrap().is_empty());
    client.says("QUIT").hears("+OK");
    wait_until("all are gone", || mail.files("user").is_empty());
}

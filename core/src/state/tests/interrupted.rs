//! A process that is killed while it saves, and one that has no room on its disk.
//!
//! Both are this test program, started again with one test to run and a state folder in its environment.

use std::env;
use std::hint::spin_loop;
use std::process::{Child, Command, Stdio};

use super::super::accounts::KeptAccounts;
use super::*;
use crate::accounts::{Hashed, UserName};

/// Where the other process finds its state folder.
const FOLDER: &str = "POP3D_TEST_STATE";

const HASH: &[u8] =
    b"{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

/// Two versions of the accounts: some, and many.
fn version(is_long: bool) -> KeptAccounts {
    let hashed = Hashed::parse(HASH).unwrap();
    let mut accounts = KeptAccounts::default();
    for number in 0..if is_long { 2_000 } else { 300 } {
        accounts.add(UserName::parse(format!("user{number}").as_bytes()).unwrap(), &hashed);
    }
    accounts
}

/// The arguments that make this program run one test of this file, by itself and aloud.
fn arguments(test: &str) -> [String; 4] {
    let path = module_path!().split_once("::").unwrap().1;
    [format!("{path}::{test}"), "--exact".into(), "--ignored".into(), "--nocapture".into()]
}

#[test]
#[ignore = "what the next test starts and kills"]
fn saves_until_it_is_killed() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let claim = StateFiles::open(Path::new(&folder)).unwrap().claim().unwrap();
    let claim = claim.expect("the kernel has taken back the claim of who was killed");
    let versions = [version(false), version(true)];
    for accounts in versions.iter().cycle() {
        accounts.save(&claim).unwrap();
        // Whoever counts the lines has gone: so does this.
        if io::stdout().write_all(b"saved\n").is_err() {
            return;
        }
    }
}

#[test]
fn a_process_killed_while_it_saves_leaves_one_of_two_versions_whole() {
    let rounds = if env::var_os("POP3D_HEAVY").is_some_and(|value| value == "1") { 1_000 } else { 200 };
    let house = House::new();
    let below = |end: u32| getrandom::u32().unwrap() % end;
    let versions = [version(false), version(true)];
    let (mut met, mut left_behind) = ([0; 2], 0);
    for round in 0..rounds {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(arguments("saves_until_it_is_killed"))
            .env(FOLDER, house.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_saves(&mut child, 1 + below(3));
        for _ in 0..below(200_000) {
            spin_loop();
        }
        child.kill().unwrap();
        reap(&mut child);
        let read = KeptAccounts::read(&house.files).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let number = versions.iter().position(|version| *version == read).expect("one of the two");
        met[number] += 1;
        left_behind += usize::from(house.names().contains(&".accounts".to_owned()));
    }
    println!("killed after {met:?} versions were in place, {left_behind} times within a save");
    // Else this has shown nothing.
    assert!(met.iter().all(|&count| count > 0) && left_behind > 0);
    version(false).save(&house.claim()).unwrap();
    assert_eq!(house.names(), ["accounts", "owner"], "what was left behind is gone");
}

/// Waits until the child has said often enough that it has saved.
fn wait_for_saves(child: &mut Child, times: u32) {
    let stdout = child.stdout.as_mut().unwrap();
    let (mut heard, mut octet) = (Vec::new(), [0]);
    while heard.windows(5).filter(|word| word == b"saved").count() < times as usize {
        assert_eq!(stdout.read(&mut octet).unwrap(), 1, "it ended: {}", heard.escape_ascii());
        heard.extend_from_slice(&octet);
    }
}

#[expect(clippy::disallowed_methods, reason = "the test waits for nothing else")]
fn reap(child: &mut Child) {
    child.wait().unwrap();
}

#[test]
#[ignore = "what the next test starts with little room on its disk"]
fn saves_where_there_is_little_room() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let files = StateFiles::open(Path::new(&folder)).unwrap();
    let claim = files.claim().unwrap().unwrap();
    let error = version(true).save(&claim).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(KeptAccounts::read(&files).unwrap(), version(false));
    assert_eq!(names(Path::new(&folder)), ["accounts", "owner"]);
    // What has room is still written.
    claim.replace("statistics", b"few").unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test waits for nothing else")]
fn a_disk_without_room_leaves_the_old_file() {
    let house = House::new();
    version(false).save(&house.claim()).unwrap();
    // The short version has some 30 KiB, the long one 200; the shell counts 512 octets. Without the trap, the signal
    // would end the process before it can see the error.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(arguments("saves_where_there_is_little_room"))
        .env(FOLDER, house.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(KeptAccounts::read(&house.files).unwrap(), version(false));
    assert_eq!(house.files.read("statistics").unwrap().as_deref(), Some(&b"few"[..]));
}

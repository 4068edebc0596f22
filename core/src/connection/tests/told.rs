//! Messages whose names tell their sizes, right and wrong.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::*;
use crate::maildir::LocalStore;

/// What a client hears by these commands of a Maildir that is kept in a folder; an index is kept beside.
fn heard(folder: &Path, commands: &str) -> String {
    let mut stage = Stage::new(Vec::new(), script(&format!("{LOGIN}{commands}QUIT\r\n"), usize::MAX));
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    settings.store = Arc::new(LocalStore::new(folder.join("mail"), Some(folder.join("state"))));
    stage.desk.shared.settings.store(Arc::new(settings));
    assert_eq!(stage.play(), Turn::Gone);
    stage.heard()
}

/// A Maildir with a long message that begins with a stuffed line, whose name tells that it has so many octets.
fn maildir(octets: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("mail/user/new");
    fs::create_dir_all(&new).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(new.join(format!("1.a.host,W={octets}")), ".\nx\n.\n".repeat(10_000)).unwrap();
    folder
}

/// What is told of the messages that were sent.
fn told(heard: &str) -> Vec<&str> {
    let lines = heard.lines().filter(|line| line.ends_with(" octets") || line.contains("follows"));
    lines.collect()
}

#[test]
fn a_wrong_size_in_the_name_of_a_long_message_is_told_once() {
    let folder = maildir(90_005);
    let first = heard(folder.path(), "TOP 1 1\r\nRETR 1\r\nRETR 1\r\n");
    assert_eq!(told(&first), ["+OK top of message follows", "+OK 90005 octets", "+OK message follows"]);
    let next = heard(folder.path(), "LIST 1\r\nRETR 1\r\n");
    assert!(next.contains("+OK 1 90000\r\n"), "it is not counted");
    assert_eq!(told(&next), ["+OK 90000 octets"]);
}

#[test]
fn a_right_size_in_the_name_of_a_long_message_stays() {
    let folder = maildir(90_000);
    for _ in 0..2 {
        let heard = heard(folder.path(), "RETR 1\r\nTOP 1 1\r\nRETR 1\r\n");
        assert_eq!(told(&heard), ["+OK 90000 octets", "+OK top of message follows", "+OK 90000 octets"]);
    }
    let indexes = fs::read_dir(folder.path().join("state/indexes")).unwrap().next().unwrap().unwrap();
    let mut header = [0; 16];
    fs::File::open(indexes.path().join("user")).unwrap().read_exact(&mut header).unwrap();
    assert_eq!(header[8..], [0; 8], "all are to be looked at again");
}

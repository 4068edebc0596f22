//! The maildrop from outside: locked for one, a snapshot, removed after QUIT and only then, whatever happens.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pop3d_tests::{Client, End, Mail, Options, Server, as_sent, wait_until};
use rustix::process::Signal;

/// Messages of the test that kills the server in UPDATE.
const MANY: usize = 2_000;

#[test]
fn one_session_at_a_time_and_the_next_at_once() {
    let mail = Mail::maildir("user", &["1\n"]);
    let server = Server::start(&mail, &[]);
    let mut first = Client::login(server.address(), "user");
    let mut second = Client::connect(server.address());
    second.says("USER user").hears("+OK");
    second.says("PASS pass").hears("-ERR [IN-USE]");
    second.says("USER other").hears("+OK");
    second.says("PASS pass").hears("+OK");
    first.says("QUIT").hears("+OK");
    for round in 0..200 {
        let mut client = Client::login(server.address(), "user");
        if round % 2 == 0 {
            client.says("QUIT").hears("+OK");
        } else {
            // Without QUIT the server must first notice that the client has gone.
            client.ends();
            assert_eq!(client.rest().1, End::Closed);
        }
    }
}

#[test]
fn the_log_tells_of_a_message_that_another_of_its_name_hides() {
    let names = |user: &str| {
        let mail = Mail::maildir(user, &["1\n"]);
        let file = fs::read_dir(mail.path().join(user).join("new")).unwrap().next().unwrap().unwrap();
        let read = mail.path().join(user).join("cur").join(format!("{}:2,S", file.file_name().display()));
        (mail, file.path(), read)
    };
    let (mail, _, read) = names("user");
    fs::write(&read, "2\n").unwrap();
    let server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    client.says("STAT").hears("+OK 1 ");
    server.logs("is not shown until another of that name is deleted");
    client.says("DELE 1").hears("+OK");
    client.says("QUIT").hears("+OK");
    Client::login(server.address(), "user").says("STAT").hears("+OK 1 ");
    // Two names of one file are one message.
    let (mail, file, read) = names("user");
    fs::hard_link(file, read).unwrap();
    let server = Server::start(&mail, &[]);
    Client::login(server.address(), "user").says("STAT").hears("+OK 1 ");
    assert!(!server.log().contains("is not shown"), "{}", server.log());
}

#[test]
fn two_servers_with_one_state_folder_lock_each_other_out() {
    let mail = Mail::maildir("user", &["1\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { state: Some(state.path()), ..Options::default() };
    let (one, mut other) = (Server::with(&mail, &options), Server::with(&mail, &options));
    let mut client = Client::login(one.address(), "user");
    let mut refused = Client::connect(other.address());
    refused.says("USER user").hears("+OK");
    refused.says("PASS pass").hears("-ERR [IN-USE]");
    client.says("QUIT").hears("+OK");
    let _other_client = Client::login(other.address(), "user");
    // The kernel frees the lock of a process that died.
    other.signal(Signal::KILL);
    other.wait();
    drop(Client::login(one.address(), "user"));
}

#[test]
fn what_arrives_later_and_what_vanishes_concern_nobody_else() {
    let mail = Mail::flat("user", &["one\n", "two\n", "three\n"]);
    let server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    fs::remove_file(mail.path().join("user/2")).unwrap();
    fs::write(mail.path().join("user/0"), "new\n").unwrap();
    client.says("STAT").hears("+OK 3 17");
    client.says("RETR 1").hears("+OK 5 octets");
    assert_eq!(client.body().unwrap(), b"one\r\n");
    client.says("RETR 2").hears("-ERR");
    client.says("TOP 2 0").hears("-ERR");
    client.says("RETR 3").hears("+OK 7 octets");
    assert_eq!(client.body().unwrap(), b"three\r\n");
    client.says("DELE 2").hears("+OK");
    client.says("QUIT").hears("+OK");
    let mut client = Client::login(server.address(), "user");
    client.says("STAT").hears("+OK 3 17");
}

#[test]
fn a_message_that_changed_is_refused_until_it_is_counted_anew() {
    let mail = Mail::flat("user", &["one\n", "two\n"]);
    let server = Server::start(&mail, &[]);
    for text in ["one and more\n", "\n.\n", ""] {
        let mut client = Client::login(server.address(), "user");
        fs::write(mail.path().join("user/1"), text).unwrap();
        // It may have been cut, and the client was told another size.
        client.says("RETR 1").hears("-ERR [SYS/TEMP]");
        client.says("RETR 2").hears("+OK 5 octets");
        client.body().unwrap();
        client.says("QUIT").hears("+OK");
        let mut client = Client::login(server.address(), "user");
        let octets = as_sent(text.as_bytes()).len();
        client.says("LIST 1").hears(&format!("+OK 1 {octets}"));
        client.says("RETR 1").hears(&format!("+OK {octets} octets"));
        assert_eq!(client.body().unwrap(), as_sent(text.as_bytes()));
        client.says("QUIT").hears("+OK");
    }
}

#[test]
fn unique_ids_stay_when_files_are_moved_and_renamed_and_the_index_is_lost() {
    let mail = Mail::maildir("user", &["1\n", "2\n", "3\n"]);
    let server = Server::start(&mail, &[]);
    let listing = || {
        let mut client = Client::login(server.address(), "user");
        client.says("UIDL").hears("+OK");
        let listing = client.body().unwrap();
        client.says("QUIT").hears("+OK");
        listing
    };
    let before = listing();
    for file in mail.files("user") {
        let name = format!("{}:2,S", file.file_name().unwrap().to_str().unwrap());
        fs::rename(&file, mail.path().join("user/cur").join(name)).unwrap();
    }
    assert_eq!(listing(), before);
    fs::remove_dir_all(server.state().join("indexes")).unwrap();
    assert_eq!(listing(), before);
    let mut client = Client::login(server.address(), "user");
    let file = &mail.files("user")[1];
    fs::rename(file, file.with_extension("host:2,RS")).unwrap();
    client.says("RETR 2").hears("+OK 3 octets");
    assert_eq!(client.body().unwrap(), b"2\r\n");
    client.says("DELE 2").hears("+OK");
    client.says("QUIT").hears("+OK");
    assert_eq!(mail.files("user").len(), 2);
}

#[test]
fn quit_says_how_many_could_not_be_removed_and_removes_the_others() {
    let mail = Mail::flat("user", &["1\n", "2\n", "3\n"]);
    let server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    // A folder in its place can be removed by nobody.
    fs::remove_file(mail.path().join("user/2")).unwrap();
    fs::create_dir_all(mail.path().join("user/2/x")).unwrap();
    for number in 1..=3 {
        client.says(&format!("DELE {number}")).hears("+OK");
    }
    let reply = client.says("QUIT").hears("-ERR");
    assert!(reply.contains('1'), "{reply}");
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
    assert!(mail.files("user").is_empty());
}

#[test]
fn a_damaged_index_gives_right_answers() {
    let mail = Mail::maildir("user", &["one\n", ".two\n\n", ""]);
    let server = Server::start(&mail, &[]);
    let expected = "1 5\r\n2 8\r\n3 0\r\n";
    let check = || {
        let mut client = Client::login(server.address(), "user");
        client.says("LIST").hears("+OK 3");
        assert_eq!(client.body().unwrap(), expected.as_bytes());
        client.says("QUIT").hears("+OK");
    };
    check();
    let index = files_below(&server.state().join("indexes")).remove(0);
    let whole = fs::read(&index).unwrap();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        fs::write(&index, &damaged).unwrap();
        check();
    }
    for damaged in [&whole[..whole.len() - 1], &whole[..10], b"", &[0xFF; 5000]] {
        fs::write(&index, damaged).unwrap();
        check();
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn without_a_state_folder_service_goes_on_with_a_warning() {
    let mail = Mail::flat("user", &["one\n"]);
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("file");
    fs::write(&state, "in the way").unwrap();
    let server = Server::with(&mail, &Options { state: Some(&state), ..Options::default() });
    server.logs("WARN");
    let mut client = Client::login(server.address(), "user");
    client.says("STAT").hears("+OK 1 5");
    client.says("DELE 1").hears("+OK");
    client.says("QUIT").hears("+OK");
    assert!(mail.files("user").is_empty());
}

#[test]
fn what_is_no_message_is_none_and_what_is_no_folder_is_refused() {
    let mail = Mail::flat("user", &["one\n"]);
    let user = mail.path().join("user");
    fs::write(user.join(".hidden"), "x").unwrap();
    fs::create_dir(user.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", user.join("link")).unwrap();
    std::os::unix::fs::symlink(&user, mail.path().join("a")).unwrap();
    fs::write(mail.path().join("b"), "a file").unwrap();
    let server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    client.says("STAT").hears("+OK 1 5");
    for user in ["a", "b"] {
        let mut client = Client::connect(server.address());
        client.says(&format!("USER {user}")).hears("+OK");
        client.says("PASS pass").hears("-ERR [SYS/TEMP]");
    }
    let mut client = Client::login(server.address(), "other");
    client.says("STAT").hears("+OK 0 0");
}

#[test]
fn a_server_that_is_killed_in_update_leaves_each_message_whole_or_gone() {
    for round in 0..5 {
        let messages: Vec<_> =
            (0..MANY).map(|number| format!("Subject: {number}\n\n.body {number}\n")).collect();
        let mail =
            if round % 2 == 0 { Mail::maildir("user", &messages) } else { Mail::flat("user", &messages) };
        let whole: BTreeMap<_, _> =
            mail.files("user").into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect();
        let state = tempfile::tempdir().unwrap();
        let options = Options { state: Some(state.path()), ..Options::default() };
        let mut server = Server::with(&mail, &options);
        let mut client = Client::login(server.address(), "user");
        let commands: String = (1..=MANY).map(|number| format!("DELE {number}\r\n")).collect();
        client.sends(commands.as_bytes());
        for _ in 0..MANY {
            client.hears("+OK");
        }
        assert_eq!(mail.files("user").len(), MANY);
        client.says("QUIT");
        let gone = MANY * (round + 1) / 7;
        wait_until("some are gone", || mail.files("user").len() < MANY - gone);
        server.signal(Signal::KILL);
        server.wait();
        let left = mail.files("user");
        println!("round {round}: {} of {MANY} left", left.len());
        for file in &left {
            assert!(whole[file] == fs::read(file).unwrap(), "{}", file.display());
        }
        let server = Server::with(&mail, &options);
        let mut client = Client::login(server.address(), "user");
        client.says("STAT").hears(&format!("+OK {} ", left.len()));
        for number in (1..=left.len()).step_by(97) {
            client.says(&format!("RETR {number}")).hears("+OK");
            let body = client.body().unwrap();
            assert!(whole.values().any(|message| as_sent(message) == body));
        }
    }
}

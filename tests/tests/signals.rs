//! Signals: a server that is asked to stop sends what it began, and one that is asked again cuts it so that nobody takes
//! it for whole.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use pop3d_tests::{
    Client, End, Mail, Options, Plugins, Server, as_sent, fails_to_start_with, message, plugin_config,
    wait_until,
};
use rustix::process::Signal;

/// Longer than what the buffers of two sockets take, and sent in a part of the time that a server that is to stop gives.
const LONG: usize = 16 << 20;

#[test]
fn a_transfer_runs_to_its_end_when_the_server_is_to_stop() {
    let message = message(LONG, 1);
    for arguments in [&[][..], &["-t", "cat"]] {
        let mail = Mail::flat("user", &[&message]);
        let mut server = Server::start(&mail, arguments);
        let mut idle = Client::login(server.address(), "other");
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        server.signal(Signal::TERM);
        idle.hears("-ERR [SYS/TEMP]");
        assert_eq!(idle.rest().1, End::Closed);
        assert!(client.body().unwrap() == as_sent(&message));
        drop((client, idle));
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(mail.files("user").len(), 1);
    }
}

#[test]
fn what_is_marked_as_deleted_stays_when_the_server_stops() {
    let mail = Mail::flat("user", &["1\n", "2\n"]);
    let mut server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    client.says("DELE 1").hears("+OK");
    server.signal(Signal::INT);
    client.hears("-ERR");
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(mail.files("user").len(), 2);
}

#[test]
fn a_second_signal_resets_what_is_under_way() {
    let mail = Mail::flat("user", &[message(LONG, 1)]);
    for arguments in [&[][..], &["-t", "cat"]] {
        let mut server = Server::start(&mail, arguments);
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        server.signal(Signal::TERM);
        server.logs("stopping");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(128 + 15));
        assert_eq!(client.rest().1, End::Reset);
    }
}

#[test]
fn a_second_signal_ends_a_server_whose_workers_hang() {
    let plugins = Plugins::default();
    let file = plugins.build("hangs.so", &["TEST_FLAGS=POP3D_FLAG_NONBLOCKING"]);
    let mail = Mail::flat("user", &["1\n"]);
    let config = plugin_config(&file, "none", "options = { do = \"hang\" }\n");
    let mut server = Server::with(
        &mail,
        &Options { config: &config, arguments: &["--log-level", "debug"], ..Options::default() },
    );
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1");
    server.logs("RETR");
    server.signal(Signal::TERM);
    server.logs("stopping");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(128 + 15));
    assert!(server.log().contains("workers that hang, and end with the process: 1"), "{}", server.log());
    assert!(server.log().contains("stopped\n"), "{}", server.log());
}

#[test]
fn a_configuration_that_takes_long_to_read_holds_up_no_signal_to_stop() {
    let plugins = Plugins::default();
    let file = plugins.build("hangs.so", &["TEST_CONSTRUCTOR=for (;;) usleep(1000000)"]);
    let mail = Mail::flat("user", &["1\n"]);
    let mut server = Server::start(&mail, &[]);
    fs::write(server.config(), format!("[transforms.hangs]\nfile = {file:?}\n")).unwrap();
    server.signal(Signal::HUP);
    wait_until("its helper is there", || server.children() > 0);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    // By then it would have been given up.
    assert!(!server.log().contains("did not load it"), "{}", server.log());
}

#[test]
fn a_plugin_that_never_loads_keeps_no_start_from_being_ended() {
    let plugins = Plugins::default();
    let hangs = "TEST_CONSTRUCTOR=kill(getpid(), SIGTERM); for (;;) usleep(1000000)";
    let file = plugins.build("hangs.so", &[hangs]);
    let (mail, state) = (Mail::flat("user", &["1\n"]), tempfile::tempdir().unwrap());
    let config = format!("[transforms.hangs]\nfile = {file:?}\nisolation = \"none\"\n");
    let (status, said) = fails_to_start_with(&mail, state.path(), &config);
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn a_log_that_was_moved_away_is_opened_anew() {
    let mail = Mail::flat("user", &["1\n"]);
    let log = tempfile::tempdir().unwrap();
    let (path, moved) = (log.path().join("log"), log.path().join("log.1"));
    let config = format!("[log]\nfile = {path:?}\n");
    let server = Server::with(&mail, &Options { config: &config, log: Some(&path), ..Options::default() });
    for signal in [Signal::HUP, Signal::USR1] {
        fs::rename(&path, &moved).unwrap();
        server.signal(signal);
        // In the new one.
        server.logs("log opened anew");
    }
    Client::login(server.address(), "user").says("QUIT").hears("+OK");
    wait_until("the login is in it", || fs::read_to_string(&path).unwrap().contains("logged out"));
    assert!(!fs::read_to_string(&moved).unwrap().contains("logged out"));
}

#[test]
fn the_log_tells_of_each_login_and_logout_and_never_a_password() {
    let mail = Mail::flat("user", &["1\n", "2\n", "3\n"]);
    let server = Server::start(&mail, &["--log-level", "debug"]);
    let mut client = Client::connect(server.address());
    client.says("USER user").hears("+OK");
    client.says("PASS pas\u{e9}wort").hears("-ERR [AUTH]");
    client.says("USER us\u{1}er").hears("-ERR");
    client.says("USER us\u{e9}r").hears("+OK");
    client.says("USER user").hears("+OK");
    client.says("PASS pass").hears("+OK");
    client.says("RETR 2").hears("+OK");
    client.body().unwrap();
    client.says("DELE 1").hears("+OK");
    client.says("QUIT").hears("+OK");
    server.logs("logged out");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("logged out")).unwrap();
    for part in ["user user", "127.0.0.1", "retrieved 1 messages", "deleted 1", "left 2"] {
        assert!(line.contains(part), "{line}");
    }
    for shown in ["USER ****\n", "USER us\\xc3\\xa9r\n", "RETR 2\n"] {
        assert!(log.contains(shown), "{log}");
    }
    assert!(!log.contains("wort") && !log.contains("PASS pas"), "{log}");
}

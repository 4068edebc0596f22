//! Statistics: what is counted, what of it outlives the process, and how it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use pop3d_tests::{Admin, Client, End, Mail, Options, Server, light_or_heavy, retrieved, wait_until};
use rustix::process::Signal;

/// A transform whose messages are counted.
const CHAIN: &str = "transform = \"first\"\n[transforms.first]\ncommand = [\"sed\", \"1i X-First: yes\"]\n";

#[test]
fn statistics_outlive_the_process() {
    let mail = Mail::maildir("user", &["Subject: one\n\nbody\n", "Subject: two\n\nbody\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { state: Some(state.path()), ..Options::default() };
    let counted =
        |admin: &mut Admin| ["rb?", "re?", "xe?", "hc?", "hu?"].map(|command| admin.number(command));
    let socket = state.path().join("peep.sock");

    let mut server = Server::with(&mail, &options);
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    client.body().unwrap();
    client.says("DELE 1").hears("+OK");
    client.says("QUIT").hears("+OK");
    let mut admin = Admin::at(&socket);
    let before = counted(&mut admin);
    assert_eq!(before[1..], [1, 1, 1, 1]);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(!socket.exists(), "the socket outlives its server");

    let server = Server::with(&mail, &options);
    let mut admin = Admin::at(&socket);
    assert_eq!(counted(&mut admin), before);
    retrieved(&server).unwrap();
    assert_eq!(admin.number("re?"), 2);
    assert_eq!(admin.number("hu?"), 2);
}

#[test]
fn a_kill_loses_no_statistics_but_those_of_the_last_minute() {
    if light_or_heavy(0, 1) == 0 {
        println!("not shown: it takes a minute");
        return;
    }
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { state: Some(state.path()), ..Options::default() };
    let mut server = Server::with(&mail, &options);
    let begun = Instant::now();
    assert!(Client::tries(server.address(), "user", "pass").starts_with("+OK"));
    let kept = || fs::read_to_string(state.path().join("statistics")).unwrap_or_default();
    // Every minute, and some time for a machine that has much else to do.
    while !kept().contains("pop3d_logins_total{result=\"ok\"} 1\n") {
        assert!(begun.elapsed() < Duration::from_secs(90), "{}", kept());
        thread::sleep(Duration::from_millis(100));
    }
    server.signal(Signal::KILL);
    server.wait();
    let _server = Server::with(&mail, &options);
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    assert_eq!((admin.number("hu?"), admin.number("hc?")), (1, 1));
}

#[test]
fn what_a_transform_has_done_outlives_the_process_and_its_generations() {
    let mail = Mail::maildir("user", &["Subject: one\n\nbody\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { state: Some(state.path()), config: CHAIN, ..Options::default() };
    let socket = state.path().join("peep.sock");
    let mut server = Server::with(&mail, &options);
    let mut admin = Admin::at(&socket);
    retrieved(&server).unwrap();
    wait_until("it is counted", || admin.value("tfs? first", "bytes_in") > 0);
    admin.says("tfr first").hears("+");
    retrieved(&server).unwrap();
    wait_until("it is counted", || admin.value("tfs? first", "messages") == 2);
    wait_until("it is over", || admin.value("tfs? first", "running") == 0);
    assert_eq!(admin.lines("tfl?"), ["first process ready 2"]);
    let before = admin.lines("tfs? first");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let _server = Server::with(&mail, &options);
    let mut admin = Admin::at(&socket);
    assert_eq!(admin.lines("tfs? first"), before);
    let metrics = admin.lines("st?");
    assert!(
        metrics.contains(&"pop3d_transform_messages_total{transform=\"first\"} 2".to_owned()),
        "{metrics:?}"
    );
    assert!(metrics.iter().all(|line| line.split(' ').count() == 2 && !line.contains("kept")), "{metrics:?}");
}

#[test]
fn octets_are_counted_as_they_were_sent() {
    let mail = Mail::maildir("user", &[".Subject: one\n\n.body\nno end"]);
    let server = Server::start(&mail, &[]);
    let mut client = Client::connect(server.address());
    client.sends(b"USER user\r\nPASS pass\r\nSTAT\r\nRETR 1\r\nRETR 9\r\nNOPE\r\nQUIT\r\n");
    let (heard, end) = client.rest();
    assert_eq!(end, End::Closed);
    let mut admin = Admin::of(&server);
    // The greeting is no answer, and was heard before.
    wait_until("all is counted", || admin.number("rb?") == heard.len() as u64);
    assert_eq!(admin.number("re?"), 1);
}

#[test]
fn statistics_have_names_as_openmetrics_would_have_them() {
    let mail = Mail::maildir("user", &["Subject: one\n\nbody\n"]);
    let server = Server::with(&mail, &Options { config: CHAIN, ..Options::default() });
    let mut admin = Admin::of(&server);
    retrieved(&server).unwrap();
    let bucket = "pop3d_transform_seconds_bucket{transform=\"first\",le=\"+Inf\"}";
    wait_until("it is counted", || admin.value("st?", bucket) == 1);
    let gauges = [
        "pop3d_sessions",
        "pop3d_sessions_peak",
        "pop3d_uptime_seconds",
        "pop3d_transform_running",
        "pop3d_transform_queued",
    ];
    let lines = admin.lines("st?");
    let mut below = 0;
    for line in &lines {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
        let (family, labels) = name.split_once('{').unwrap_or((name, "}"));
        assert!(
            family.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_' || octet.is_ascii_digit())
        );
        let labels = labels.strip_suffix('}').unwrap();
        let are_quoted = |label: &str| {
            label.split_once("=\"").is_some_and(|(key, text)| !key.is_empty() && text.ends_with('"'))
        };
        assert!(labels.is_empty() || labels.split(',').all(are_quoted), "{line}");
        let histogram = family.strip_prefix("pop3d_transform_seconds_");
        let is_histogram = histogram.is_some_and(|part| ["bucket", "count", "sum"].contains(&part));
        // What only grows, and nothing else, is a counter.
        assert!(family.ends_with("_total") || gauges.contains(&family) || is_histogram, "{line}");
        if histogram == Some("bucket") && labels.starts_with("transform=\"first\"") {
            let count: u64 = value.parse().unwrap();
            assert!(count >= below, "buckets count what is below their bound: {line}");
            below = count;
        }
    }
    assert_eq!(below, 1);
    assert_eq!(admin.value("st?", "pop3d_transform_seconds_count{transform=\"first\"}"), 1);
    let mut names: Vec<_> =
        lines.iter().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), lines.len(), "a name is told twice");
}

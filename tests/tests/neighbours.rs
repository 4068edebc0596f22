//! Filters that loop, eat memory, crash or lie: those who have their mail from others notice nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pop3d_tests::{
    Admin, Client, Deed, Filters, Guest, Kind, Mail, Options, Server, as_sent, light_or_heavy, message, rot13,
};

/// Clients that have nothing to do with what goes wrong.
const NEIGHBOURS: usize = 100;

/// What goes wrong, and how.
fn troubles(filters: &Filters) -> Vec<(String, String)> {
    let mut troubles = Vec::new();
    let mut trouble = |name: &str, keys: String| troubles.push((name.to_owned(), keys));
    for what in ["loop", "eat", "wild", "crash", "abort", "exit", "seven", "minus-nine", "bomb"] {
        // Enough for a library, and little to eat.
        let keys = format!("{}\nmemory = \"256MiB\"", filters.native(what, "process"));
        trouble(&format!("native-{what}"), keys);
    }
    for (what, piece) in [
        ("loop", "(call $forever) (i32.const 0)"),
        ("eat", "(call $eat) (i32.const 0)"),
        ("bomb", "(call $flood) (i32.const 0)"),
        ("trap", "unreachable"),
    ] {
        let guest = Guest { piece, ..Guest::default() };
        let component = format!("component-{what}");
        trouble(&component, filters.wasm(&component, &guest.component()));
        let command = format!("command-{what}");
        trouble(&command, filters.wasm(&command, &guest.command()));
    }
    for (what, command) in [
        ("loop", "while :; do :; done"),
        ("eat", "perl -e '$x .= \"x\" x 1000000 while 1'"),
        ("bomb", "yes"),
        ("kill", "kill -SEGV $$"),
        ("sleep", "exec sleep 1000"),
    ] {
        let keys = format!("command = \"\"\"{command}\"\"\"\nmemory = \"256MiB\"");
        trouble(&format!("program-{what}"), keys);
    }
    troubles
}

/// The neighbours and a user `bad`, each with that message.
fn configured(filters: &Filters, troubles: &[(String, String)], mail: &Mail, text: &[u8]) -> String {
    // The neighbours' mail passes a component, a helper process and the server itself: they share the pool with the rest.
    let mut config = String::from("transform = [\"turns\", \"isolated\", \"native\"]\n[users]\n");
    for user in (0..NEIGHBOURS).map(|number| format!("u{number}")).chain(["bad".to_owned()]) {
        fs::create_dir(mail.path().join(&user)).unwrap();
        fs::write(mail.path().join(&user).join("1"), text).unwrap();
        config.push_str(&format!("{user} = \"pass\"\n"));
    }
    config.push_str("[transform_defaults]\ncpu = \"300ms\"\ntimeout = \"1s\"\nmax_output = \"8MiB\"\n");
    // Those of the neighbours have time: that the machine is busy is no fault of theirs.
    let patience = "cpu = \"60s\"\ntimeout = \"60s\"";
    config.push_str(&filters.table("turns", Kind::Component, Deed::Rot13, patience));
    config.push_str(&filters.table("isolated", Kind::Isolated, Deed::Identity, patience));
    config.push_str(&filters.table("native", Kind::Native, Deed::Identity, patience));
    for (name, keys) in troubles {
        config.push_str(&format!("[transforms.{name}]\n{keys}\n"));
    }
    config
}

/// Has the message of `bad` pass what goes wrong, one after the other.
fn go_wrong(server: &Server, troubles: &[(String, String)]) {
    let mut admin = Admin::of(server);
    for (name, _) in troubles {
        admin.says(&format!("tf= {name} bad")).hears("+");
        let mut client = Client::login_when_free(server.address(), "bad");
        let reply = client.says("RETR 1").line();
        if reply.starts_with("+OK") {
            // What floods is found out after "+OK".
            assert!(name.ends_with("bomb"), "{name}: {reply}");
            let (heard, end) = client.rest();
            assert_eq!(end, pop3d_tests::End::Reset, "{name}");
            assert!(!heard.ends_with(b"\r\n.\r\n"), "{name}");
        } else {
            assert!(reply.starts_with("-ERR [SYS/TEMP] transform "), "{name}: {reply}");
        }
        assert!(admin.value(&format!("tfs? {name}"), "failed") > 0, "{name}");
    }
}

#[test]
fn a_hundred_others_notice_nothing_of_what_goes_wrong() {
    let filters = Filters::default();
    let troubles = troubles(&filters);
    let text = message(30_000, 1);
    let mail = Mail::default();
    let config = configured(&filters, &troubles, &mail, &text);
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let expected = as_sent(&rot13(&text));
    let (is_over, answers, slowest) =
        (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Duration::ZERO));
    let barrier = Barrier::new(NEIGHBOURS + 1);
    thread::scope(|scope| {
        for number in 0..NEIGHBOURS {
            let (server, expected, is_over) = (&server, &expected, &is_over);
            let (barrier, answers, slowest) = (&barrier, &answers, &slowest);
            // One that cannot log in keeps none of the others waiting.
            let mut client = Client::login(server.address(), &format!("u{number}"));
            scope.spawn(move || {
                barrier.wait();
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    client.says("RETR 1").hears("+OK");
                    assert!(client.body().unwrap() == *expected);
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = begun.elapsed().max(*slowest);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                client.says("QUIT").hears("+OK");
            });
        }
        barrier.wait();
        // Whatever fails here, the others are let go.
        let outcome = thread::Builder::new()
            .spawn_scoped(scope, || (0..light_or_heavy(1, 5)).for_each(|_| go_wrong(&server, &troubles)))
            .unwrap()
            .join();
        is_over.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    println!(
        "{} answers to {NEIGHBOURS} clients beside what goes wrong, the slowest after {:?}",
        answers.into_inner(),
        slowest.into_inner().unwrap()
    );
    let mut admin = Admin::of(&server);
    for name in ["turns", "isolated", "native"] {
        assert_eq!(admin.value(&format!("tfs? {name}"), "failed"), 0, "{name}");
    }
}

#[test]
fn answers_that_are_none_cost_one_message() {
    let filters = Filters::default();
    let text = message(200_000, 2);
    let mail = Mail::flat("user", &[&text]);
    for isolation in ["process", "none"] {
        let mut config = String::new();
        for what in ["seven", "minus-nine", "lie", "nonsense", "nowhere", "too-long"] {
            config.push_str(&format!("[transforms.{what}]\n{}\n", filters.native(what, isolation)));
        }
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        let mut admin = Admin::of(&server);
        for what in ["seven", "minus-nine", "nonsense", "nowhere", "too-long"] {
            admin.says(&format!("tf= {what}")).hears("+");
            let mut client = Client::login_when_free(server.address(), "user");
            client.says("RETR 1").hears("-ERR [SYS/TEMP]");
            // The next one has a filter of its own.
            client.says("RETR 1").hears("-ERR [SYS/TEMP]");
            client.says("QUIT").hears("+OK");
            assert_eq!(admin.value(&format!("tfs? {what}"), "failed"), 2);
        }
        // Nothing that it says beside is believed, and what it writes is whole.
        admin.says("tf= lie").hears("+");
        let mut client = Client::login_when_free(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        assert!(client.body().unwrap() == as_sent(&text), "{isolation}");
    }
}

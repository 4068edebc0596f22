//! Messages in native plugins, in helper processes and in the server, from outside: by the published C interface alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use pop3d_tests::{
    Admin, Client, End, Mail, Options, Plugins, Server, as_sent, message, plugin_config, retrieved, rot13,
    serving_plugin, wait_until,
};
use rustix::process::Signal;

/// The two places where a plugin may run.
const ISOLATIONS: [&str; 2] = ["process", "none"];

/// A function that does to a message what the plugin does.
type Twin = fn(&[u8]) -> Vec<u8>;

#[test]
fn what_a_plugin_writes_is_what_the_client_gets() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let cases: [(&str, Twin); 8] = [
        ("rot13", rot13),
        ("identity", <[u8]>::to_vec),
        ("double", |octets| octets.iter().flat_map(|&octet| [octet, octet]).collect()),
        ("swallow", |_| Vec::new()),
        ("at-end", <[u8]>::to_vec),
        ("one-by-one", <[u8]>::to_vec),
        ("pass", |octets| [b"X-Passed: yes\n", octets].concat()),
        ("stop", |octets| octets[..octets.len().min(10)].to_vec()),
    ];
    let texts = [message(300_000, 1), b".\r\n.x\n\0\xFF no end".to_vec(), Vec::new(), message(33_000, 2)];
    for isolation in ISOLATIONS {
        for (what, twin) in cases {
            for text in &texts {
                let mail = Mail::flat("user", &[text]);
                let server =
                    serving_plugin(&mail, &file, isolation, &format!("options = {{ do = \"{what}\" }}"));
                assert!(
                    retrieved(&server).unwrap() == as_sent(&twin(text)),
                    "{isolation} {what} {}",
                    text.len()
                );
            }
        }
    }
}

/// A process's state and its ticks of user time; none: there is none.
fn state_of(process: u32) -> Option<(String, u64)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    Some(((*fields.first()?).to_owned(), fields.get(11)?.parse().ok()?))
}

#[test]
fn a_helper_whose_plugin_never_returns_ends_with_a_server_that_is_killed() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &[b"a line\n"]);
    let keys = "timeout = \"600s\"\noptions = { do = \"loop\" }";
    let mut server = serving_plugin(&mail, &file, "process", keys);
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1");
    let mut looping = 0;
    wait_until("the plugin is in its loop", || {
        let helpers = server.child_numbers();
        looping =
            helpers.into_iter().find(|&it| state_of(it).is_some_and(|(_, ticks)| ticks > 10)).unwrap_or(0);
        looping > 0
    });
    server.signal(Signal::KILL);
    server.wait();
    // Whoever it belongs to from then on may let it be a zombie for a while.
    wait_until("it has ended", || state_of(looping).is_none_or(|(state, _)| state == "Z" || state == "X"));
}

#[test]
fn a_chain_of_programs_and_plugins_is_one_pipe() {
    let plugins = Plugins::default();
    plugins.build("rot.so", &[]);
    plugins.build("through.so", &[]);
    let text = message(200_000, 3);
    let mail = Mail::flat("user", &[&text]);
    let config = format!(
        "transform_dir = \"{}\"\ntransform = [\"rot\", \"cat\", \"through\", \"rot\"]\n\
         [transforms.through]\nfile = \"{}\"\noptions = {{ do = \"pass\" }}\nisolation = \"none\"\n",
        plugins.path().display(),
        plugins.path().join("through.so").display(),
    );
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let expected = rot13(&[b"X-Passed: yes\n", rot13(&text).as_slice()].concat());
    assert!(retrieved(&server).unwrap() == as_sent(&expected));
}

#[test]
fn a_failure_is_told_before_ok_and_is_a_reset_after_it() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let text = message(400_000, 4);
    let mail = Mail::flat("user", &[&text]);
    for isolation in ISOLATIONS {
        let mut cases = vec![("temporary", "SYS/TEMP"), ("permanent", "SYS/PERM"), ("nonsense", "SYS/TEMP")];
        if isolation == "process" {
            cases.extend([("crash", "SYS/TEMP"), ("exit", "SYS/TEMP")]);
        }
        for (what, code) in cases {
            let keys = |after: usize, more: &str| {
                format!("options = {{ do = \"{what}\", after = {after} }}\n{more}")
            };
            let server = serving_plugin(&mail, &file, isolation, &keys(0, ""));
            let refused = retrieved(&server).unwrap_err();
            assert!(
                refused.starts_with(&format!("-ERR [{code}] transform filter failed")),
                "{what}: {refused}"
            );

            let server = serving_plugin(&mail, &file, isolation, &keys(0, "on_error = \"pass\""));
            assert!(retrieved(&server).unwrap() == as_sent(&text), "{what}");

            let server = serving_plugin(&mail, &file, isolation, &keys(200_000, ""));
            let mut client = Client::login(server.address(), "user");
            client.says("RETR 1").hears("+OK");
            let (octets, end) = client.rest();
            assert_eq!(end, End::Reset, "{isolation} {what}");
            assert!(!octets.ends_with(b"\r\n.\r\n"));

            let server = serving_plugin(&mail, &file, isolation, &keys(200_000, "spool = true"));
            assert!(retrieved(&server).unwrap_err().starts_with("-ERR ["), "{isolation} {what}");
        }
    }
}

#[test]
fn a_plugin_that_hangs_or_floods_is_stopped_and_the_next_message_served() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    for isolation in ISOLATIONS {
        let keys = "timeout = \"3s\"\nhosts = 1\noptions = { do = \"hang\" }";
        let server = serving_plugin(&mail, &file, isolation, keys);
        let mut admin = Admin::of(&server);
        assert!(retrieved(&server).unwrap_err().starts_with("-ERR [SYS/TEMP]"));
        assert_ne!(admin.says("tfe? filter").line(), "+");
        assert_eq!(admin.value("tfs? filter", "timed_out"), 1, "{isolation}");
        admin.says("tfo= filter do:rot13").hears("+");
        assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(b"Subject: x\n\nx\n")));
    }
    for isolation in ISOLATIONS {
        let keys = "max_output = \"1MiB\"\noptions = { do = \"bomb\" }";
        let server = serving_plugin(&mail, &file, isolation, keys);
        assert!(retrieved(&server).is_err());
        assert!(server.peak_memory() < 200 << 10, "{} KiB", server.peak_memory());
    }
}

#[test]
fn a_helper_that_does_not_let_go_of_a_message_is_ended() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &["TEST_CLOSE=(void (*)(void *))pause"]);
    let mail = Mail::flat("user", &[&message(1 << 20, 1)]);
    let keys = "timeout = \"1s\"\nhosts = 1\noptions = { do = \"identity\" }";
    let server = serving_plugin(&mail, &file, "process", keys);
    let mut client = Client::login(server.address(), "user");
    let helpers = server.child_numbers();
    client.says("TOP 1 1").hears("+OK");
    client.body().unwrap();
    wait_until("it is ended", || !server.child_numbers().iter().any(|it| helpers.contains(it)));
    wait_until("the log tells it", || server.log().contains("did not let go of a message"));
    // Nobody has failed by that.
    let mut admin = Admin::of(&server);
    assert_eq!(admin.value("tfs? filter", "failed"), 0);
    client.says("TOP 1 1").hears("+OK");
    client.body().unwrap();
}

#[test]
fn the_only_helper_is_there_again_after_every_message_that_floods() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &[&message(100_000, 1)]);
    // "flood" goes on when it is told that nobody takes anything any more.
    for what in ["bomb", "flood"] {
        let keys =
            format!("hosts = 1\ntimeout = \"1s\"\nmax_output = \"8MiB\"\noptions = {{ do = \"{what}\" }}");
        let server = serving_plugin(&mail, &file, "process", &keys);
        for _ in 0..3 {
            let mut client = Client::login_when_free(server.address(), "user");
            let reply = client.says("RETR 1").line();
            if reply.starts_with("+OK") {
                assert_eq!(client.rest().1, End::Reset, "{what}");
            } else {
                // The helper was killed only then.
                assert!(what == "flood" && reply.starts_with("-ERR [SYS/TEMP]"), "{what}: {reply}");
            }
        }
    }
}

/// A plugin of one helper, which ends at a long message; all that is in the pool has one thread.
fn brittle(plugins: &Plugins, definition: &str) -> String {
    let file = plugins.build("brittle.so", &[definition]);
    let keys = "hosts = 1\noptions = { do = \"crash\", after = 100 }\n[transform_pool]\nworkers = 1";
    plugin_config(&file, "process", keys)
}

#[test]
fn no_thread_waits_while_a_helper_is_started_again() {
    let plugins = Plugins::default();
    let (awaited, begun) = (plugins.path().join("awaited"), plugins.path().join("awaited.begun"));
    let mail = Mail::flat("user", &[&message(1000, 1)]);
    for user in ["other", "a", "b"] {
        fs::create_dir(mail.path().join(user)).unwrap();
        fs::write(mail.path().join(user).join("1"), "x\n").unwrap();
    }
    let config = format!(
        "{}\n[transforms.through]\nfile = \"{}\"\nisolation = \"none\"\noptions = {{ do = \"identity\" }}\n",
        brittle(&plugins, &format!("WAITS_FOR=\"{}\"", awaited.display())),
        plugins.build("through.so", &[]).display(),
    );
    fs::write(&awaited, "").unwrap();
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    admin.says("tf= through other").hears("+");
    let mut clients = ["a", "b"].map(|user| Client::login(server.address(), user));
    let mut other = Client::login(server.address(), "other");
    for path in [&awaited, &begun] {
        fs::remove_file(path).unwrap();
    }
    assert!(retrieved(&server).unwrap_err().starts_with("-ERR [SYS/TEMP]"));
    for client in &mut clients {
        client.says("RETR 1");
    }
    wait_until("it is started again", || begun.exists());
    wait_until("both wait for it", || admin.value("tfs? filter", "running") == 2);
    other.says("RETR 1").hears("+OK");
    assert_eq!(other.body().unwrap(), b"x\r\n");
    fs::write(&awaited, "").unwrap();
    for client in &mut clients {
        client.hears("+OK");
        assert_eq!(client.body().unwrap(), b"x\r\n");
    }
}

#[test]
fn a_helper_that_cannot_be_started_is_not_started_for_every_message() {
    let plugins = Plugins::default();
    let spoilt = plugins.path().join("spoilt");
    let mail = Mail::flat("user", &[&message(1000, 1)]);
    let end = format!("if (access(\"{}\", F_OK) == 0) _exit(1)", spoilt.display());
    let config = brittle(&plugins, &format!("TEST_CONSTRUCTOR={end}"));
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    fs::write(&spoilt, "").unwrap();
    // The pause grows: however slow the machine is, one of them comes within it.
    for _ in 0..10 {
        assert!(retrieved(&server).unwrap_err().starts_with("-ERR [SYS/TEMP]"));
    }
    server.logs("ended while it loaded it");
    server.logs("is not started again yet");
}

#[test]
fn output_that_nobody_takes_waits_in_the_helper() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let text = message(64 << 20, 1);
    let mail = Mail::flat("user", &[&text]);
    fs::create_dir(mail.path().join("other")).unwrap();
    fs::write(mail.path().join("other/1"), "Subject: x\n\nx\n").unwrap();
    let keys = "hosts = 1\nmemory = \"512MiB\"\noptions = { do = \"at-end\" }";
    let server = serving_plugin(&mail, &file, "process", keys);
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    // The helper does one thing at a time: once it answers another one, it has written all of the first.
    let mut other = Client::login(server.address(), "other");
    other.says("RETR 1").hears("+OK");
    assert_eq!(other.body().unwrap(), b"Subject: x\r\n\r\nx\r\n");
    assert!(client.body().unwrap() == as_sent(&text));
    assert!(server.peak_memory() < 64 << 10, "{} KiB", server.peak_memory());
}

#[test]
fn clients_that_go_leave_nothing_behind() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &[message(8 << 20, 6)]);
    for isolation in ISOLATIONS {
        let server = serving_plugin(&mail, &file, isolation, "hosts = 1");
        retrieved(&server).unwrap();
        let (children, descriptors) = (server.children(), server.descriptors());
        for _ in 0..20 {
            let mut client = Client::login_when_free(server.address(), "user");
            client.says("RETR 1").hears("+OK");
            drop(client);
        }
        let mut admin = Admin::of(&server);
        wait_until("nothing runs", || admin.value("tfs? filter", "running") == 0);
        drop(admin);
        wait_until("descriptors are closed", || server.descriptors() <= descriptors);
        assert_eq!(server.children(), children);
    }
}

#[test]
fn what_a_plugin_writes_to_standard_error_is_in_the_log_but_not_without_end() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let server = serving_plugin(&mail, &file, "process", "hosts = 1\noptions = { do = \"noisy\" }");
    let mut admin = Admin::of(&server);
    assert_eq!(retrieved(&server).unwrap(), b"Subject: x\r\n\r\nx\r\n");
    // The helper ends once another one has taken its place, and what it wrote has been counted.
    admin.says("tfo= filter do:identity").hears("+");
    server.logs("more octets of standard error");
    let log = server.log();
    let noise = log.matches("noise").count();
    assert!(noise > 0 && log.len() < 100_000, "{noise} times, {} octets", log.len());
    assert!(server.peak_memory() < 200 << 10, "{} KiB", server.peak_memory());
}

//! Native plugins, in helper processes and in the server, from outside: by the published C interface alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pop3d_tests::{
    Admin, Client, End, Mail, Options, Plugins, Server, as_sent, light_or_heavy, message, wait_until,
};

/// The two places where a plugin may run.
const ISOLATIONS: [&str; 2] = ["process", "none"];

/// The configuration of a transform "filter" as the chain.
fn config(file: &Path, isolation: &str, keys: &str) -> String {
    format!(
        "transform = \"filter\"\n[transforms.filter]\nfile = \"{}\"\nisolation = \"{isolation}\"\n{keys}\n",
        file.display()
    )
}

fn serving(mail: &Mail, file: &Path, isolation: &str, keys: &str) -> Server {
    Server::with(mail, &Options { config: &config(file, isolation, keys), ..Options::default() })
}

fn retrieved(server: &Server) -> Result<Vec<u8>, String> {
    let mut client = Client::login_when_free(server.address(), "user");
    let reply = client.says("RETR 1").line();
    if !reply.starts_with("+OK") {
        return Err(reply);
    }
    client.body().map_err(|error| error.to_string())
}

fn rot13(octets: &[u8]) -> Vec<u8> {
    let turn = |octet: &u8| match octet {
        b'a'..=b'z' => (octet - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (octet - b'A' + 13) % 26 + b'A',
        other => *other,
    };
    octets.iter().map(turn).collect()
}

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
                let server = serving(&mail, &file, isolation, &format!("options = {{ do = \"{what}\" }}"));
                assert!(
                    retrieved(&server).unwrap() == as_sent(&twin(text)),
                    "{isolation} {what} {}",
                    text.len()
                );
            }
        }
    }
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
            let server = serving(&mail, &file, isolation, &keys(0, ""));
            let refused = retrieved(&server).unwrap_err();
            assert!(
                refused.starts_with(&format!("-ERR [{code}] transform filter failed")),
                "{what}: {refused}"
            );

            let server = serving(&mail, &file, isolation, &keys(0, "on_error = \"pass\""));
            assert!(retrieved(&server).unwrap() == as_sent(&text), "{what}");

            let server = serving(&mail, &file, isolation, &keys(200_000, ""));
            let mut client = Client::login(server.address(), "user");
            client.says("RETR 1").hears("+OK");
            let (octets, end) = client.rest();
            assert_eq!(end, End::Reset, "{isolation} {what}");
            assert!(!octets.ends_with(b"\r\n.\r\n"));

            let server = serving(&mail, &file, isolation, &keys(200_000, "spool = true"));
            assert!(retrieved(&server).unwrap_err().starts_with("-ERR ["), "{isolation} {what}");
        }
    }
}

#[test]
fn a_plugin_that_hangs_or_floods_is_stopped_and_the_next_message_served() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let server = serving(&mail, &file, "process", "timeout = \"1s\"\nhosts = 1\noptions = { do = \"hang\" }");
    let mut admin = Admin::of(&server);
    assert!(retrieved(&server).unwrap_err().starts_with("-ERR [SYS/TEMP]"));
    assert_ne!(admin.says("tfe? filter").line(), "+");
    admin.says("tfo= filter do:rot13").hears("+");
    assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(b"Subject: x\n\nx\n")));
    for isolation in ISOLATIONS {
        let keys = "max_output = \"1MiB\"\noptions = { do = \"bomb\" }";
        let server = serving(&mail, &file, isolation, keys);
        assert!(retrieved(&server).is_err());
        assert!(server.peak_memory() < 200 << 10, "{} KiB", server.peak_memory());
    }
}

#[test]
fn what_cannot_be_loaded_is_failed_with_its_reason() {
    let plugins = Plugins::default();
    plugins.build("symbol.so", &["TEST_NO_SYMBOL"]);
    plugins.build("version.so", &["TEST_ABI=2"]);
    plugins.build("size.so", &["TEST_SIZE=8"]);
    plugins.build("name.so", &["TEST_NAME=\"Bad Name\""]);
    plugins.build("right.so", &[]);
    plugins.build("others.so", &[]);
    fs::set_permissions(plugins.path().join("others.so"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::write(plugins.path().join("text.so"), "no library\n").unwrap();
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let folder = format!("transform_dir = \"{}\"\n", plugins.path().display());
    let server = Server::with(&mail, &Options { config: &folder, ..Options::default() });
    let mut admin = Admin::of(&server);
    let failed = |name: &str| format!("{name} native failed 1");
    assert_eq!(
        admin.lines("tfl?"),
        [
            failed("name"),
            failed("others"),
            "right native ready 1".into(),
            failed("size"),
            failed("symbol"),
            failed("text"),
            failed("version"),
        ]
    );
    for (name, why) in [
        ("symbol", "no%20symbol"),
        ("version", "version%202"),
        ("size", "octets"),
        ("name", "name"),
        ("others", "chmod"),
        ("text", "no%20shared%20library"),
    ] {
        let said = admin.says(&format!("tfe? {name}")).line();
        assert!(said.contains(why), "{name}: {said}");
        admin.says(&format!("tf= {name}")).hears("-20");
        admin.says(&format!("tfr {name}")).hears("-21");
    }
    admin.says("tf+ again right.so").hears("+");
    admin.says("tf+ again right.so").hears("-22");
    for wrong in ["../right.so", "/etc/passwd", "nothing.so", "text.so", ".hidden.so"] {
        admin.says(&format!("tf+ new {wrong}")).hears("-21");
    }
    admin.says("tfo= again do:nothing-that-it-knows").hears("-21");
    admin.says("tf= again").hears("+");
    assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(b"Subject: x\n\nx\n")));
    admin.says("tfo= again do:identity").hears("+");
    assert_eq!(retrieved(&server).unwrap(), b"Subject: x\r\n\r\nx\r\n");
    admin.says("tf- again").hears("-23");
    admin.says("tf= none").hears("+");
    admin.says("tf- again").hears("+");

    // What is dropped in is found by a look at all of them, which what is broken already does not keep.
    plugins.build("late.so", &[]);
    admin.says("tf= late").hears("-20");
    admin.says("tfr *").hears("-21");
    admin.says("tf= late").hears("+");
    admin.says("tf= none").hears("+");

    // What was loaded by another name is there again after a restart.
    let state = tempfile::tempdir().unwrap();
    let options = Options { config: &folder, state: Some(state.path()), ..Options::default() };
    let server = Server::with(&mail, &options);
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    admin.says("tf+ again right.so").hears("+");
    admin.says("tf= again").hears("+");
    drop(server);
    let server = Server::with(&mail, &options);
    assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(b"Subject: x\n\nx\n")));
    drop(server);

    // In the chain of the configuration it stops the start.
    let state = tempfile::tempdir().unwrap();
    let config = format!("{folder}transform = \"version\"\n");
    let (status, said) = pop3d_tests::fails_to_start_with(&mail, state.path(), &config);
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(said.contains("version"), "{said}");
}

#[test]
fn a_file_that_is_replaced_all_the_time_tears_no_message() {
    let plugins = Plugins::default();
    let (rot, same) = (plugins.build("rot", &[]), plugins.build("same", &["TEST_NAME=\"other\""]));
    let file = plugins.path().join("filter.so");
    fs::copy(&rot, &file).unwrap();
    let clients = light_or_heavy(6, 6);
    let text = message(100_000, 5);
    let mail = Mail::default();
    for user in ["user", "other", "a", "b", "c", "d"] {
        fs::create_dir(mail.path().join(user)).unwrap();
        fs::write(mail.path().join(user).join("1"), &text).unwrap();
    }
    let expected = as_sent(&rot13(&text));
    for isolation in ISOLATIONS {
        let server = serving(&mail, &file, isolation, "hosts = 2");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut admin = Admin::of(&server);
                for round in 0..light_or_heavy(20, 200) {
                    let from = if round % 2 == 0 { &same } else { &rot };
                    if round % 3 == 0 {
                        // In place, as a careless copy does.
                        fs::write(&file, fs::read(from).unwrap()).unwrap();
                    } else {
                        let new = plugins.path().join(".new");
                        fs::copy(from, &new).unwrap();
                        fs::rename(&new, &file).unwrap();
                    }
                    admin.says("tfr filter").hears("+");
                }
                is_over.store(true, Ordering::Relaxed);
            });
            for user in ["user", "other", "a", "b", "c", "d"].into_iter().take(clients) {
                let (server, expected, is_over) = (&server, &expected, &is_over);
                scope.spawn(move || {
                    let mut client = Client::login(server.address(), user);
                    while !is_over.load(Ordering::Relaxed) {
                        client.says("RETR 1").hears("+OK");
                        assert!(client.body().unwrap() == *expected);
                    }
                });
            }
        });
        wait_until("helpers that are not needed are gone", || server.children() <= 2);
    }
}

#[test]
fn clients_that_go_leave_nothing_behind() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &[message(8 << 20, 6)]);
    for isolation in ISOLATIONS {
        let server = serving(&mail, &file, isolation, "hosts = 1");
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

//! What the kernel refuses the running server, the programs that it starts and the helper processes of plugins: shown by
//! filters that try.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use pop3d_tests::{Client, Mail, Options, Plugins, Server, checked, retrieved};

/// What a filter was answered, by what it tried.
fn answers(server: &Server) -> BTreeMap<String, String> {
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    let body = String::from_utf8(client.body().unwrap()).unwrap();
    assert!(body.ends_with("x\r\n"), "{body}");
    tried(&body)
}

fn tried(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(what, answer)| (what.to_owned(), answer.to_owned())).collect()
}

/// The configuration of the plugin that tries, and whether the kernel of this machine refuses what it is told to.
fn serving(mail: &Mail, plugin: &Path, isolation: &str, elsewhere: &Path, confine: &str) -> Server {
    let config = format!(
        "transform = \"confined\"\n[transforms.confined]\nfile = {plugin:?}\nisolation = \"{isolation}\"\n\
         options = {{ elsewhere = {elsewhere:?} }}\n[confine]\n{confine}\n"
    );
    Server::with(mail, &Options { config: &config, ..Options::default() })
}

fn expected(answers: &[(&str, &str)]) -> BTreeMap<String, String> {
    answers.iter().map(|(what, answer)| ((*what).to_owned(), (*answer).to_owned())).collect()
}

#[test]
fn the_server_is_refused_what_it_never_does() {
    let plugins = Plugins::default();
    let plugin = plugins.build_from("confined.c", "confined.so", &[]);
    // Beneath the temporary folder everything may be written.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let elsewhere = folder.path().join("file");
    let mail = Mail::maildir("user", &["x\n"]);
    let server = serving(&mail, &plugin, "none", &elsewhere, "landlock = true");
    if server.log().contains("no seccomp filter") {
        println!("not shown: this kernel has no seccomp filters");
        return;
    }
    server.logs("seccomp: ");
    let mut found = answers(&server);
    let written = found.remove("write").unwrap();
    assert!(server.log().contains("no Landlock") || written == "EACCES", "{written}");
    // The parent is this test, which root and its own user may send signals to.
    assert_eq!(
        found,
        expected(&[
            ("unshare", "EPERM"),
            ("keyctl", "EPERM"),
            ("ptrace", "EPERM"),
            ("io_uring", "ENOSYS"),
            ("signal", "done"),
            ("own signal", "done"),
            ("packets", "done"),
            ("connection", "done"),
            ("fork", "done"),
            ("handle", "done"),
            ("limits", "done"),
            ("own limits", "done"),
            ("ciphers", "done"),
            ("typing", "done"),
            ("thread", "done"),
            ("memory", "done"),
            ("time", "done"),
        ])
    );
}

#[test]
fn a_helper_process_is_refused_more() {
    let plugins = Plugins::default();
    let plugin = plugins.build_from("confined.c", "confined.so", &[]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mail = Mail::maildir("user", &["x\n"]);
    let server = serving(&mail, &plugin, "process", &folder.path().join("file"), "");
    if server.log().contains("no seccomp filter") {
        println!("not shown: this kernel has no seccomp filters");
        return;
    }
    assert_eq!(
        answers(&server),
        expected(&[
            ("unshare", "EPERM"),
            ("keyctl", "EPERM"),
            ("ptrace", "EPERM"),
            ("io_uring", "ENOSYS"),
            ("signal", "EPERM"),
            ("own signal", "done"),
            ("packets", "EPERM"),
            ("connection", "done"),
            ("fork", "EPERM"),
            ("handle", "EPERM"),
            ("limits", "EPERM"),
            ("own limits", "done"),
            ("ciphers", "EPERM"),
            ("typing", "EPERM"),
            ("thread", "done"),
            ("memory", "done"),
            ("time", "done"),
            ("write", "done"),
        ])
    );
}

#[test]
fn a_sealed_plugin_is_refused_all_but_its_message() {
    let plugins = Plugins::default();
    let plugin = plugins.build_from("confined.c", "confined.so", &[]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mail = Mail::maildir("user", &["x\n"]);
    let server = serving(&mail, &plugin, "process", &folder.path().join("file"), "seal_plugins = true");
    if server.log().contains("no seccomp filter") {
        println!("not shown: this kernel has no seccomp filters");
        return;
    }
    server.logs("plugins are sealed: ");
    let mut found = answers(&server);
    // What it needs goes on: threads, memory, time.
    for done in ["own signal", "own limits", "thread", "memory", "time"] {
        assert_eq!(found.remove(done).as_deref(), Some("done"), "{done}");
    }
    assert_eq!(found.remove("io_uring").as_deref(), Some("EPERM"));
    assert!(found.len() == 12 && found.values().all(|answer| answer == "EPERM"), "{found:?}");
}

#[test]
fn a_plugin_that_turns_letters_works_sealed() {
    let mail = Mail::maildir("user", &["Subject: x\n\nx\n"]);
    let plugins = Plugins::default();
    let plugin = plugins.build("filter.so", &[]);
    let config = format!(
        "transform = \"filter\"\n[transforms.filter]\nfile = {plugin:?}\n[confine]\nseal_plugins = true\nlandlock = true\n"
    );
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    for _ in 0..3 {
        assert_eq!(retrieved(&server).unwrap(), b"Fhowrpg: k\r\n\r\nk\r\n");
    }
    let (status, said) = checked(&mail, "[confine]\nseccomp = false\nseal_plugins = true\n");
    assert!(!status.success() && said.contains("3:16: plugins are sealed by a seccomp filter"), "{said}");
}

/// What every child is refused, and what it may do.
const OF_A_CHILD: [(&str, &str); 16] = [
    ("unshare", "EPERM"),
    ("keyctl", "EPERM"),
    ("ptrace", "EPERM"),
    ("io_uring", "ENOSYS"),
    ("handle", "EPERM"),
    ("limits", "EPERM"),
    ("own limits", "done"),
    ("ciphers", "EPERM"),
    ("typing", "EPERM"),
    ("own signal", "done"),
    ("packets", "done"),
    ("connection", "done"),
    ("fork", "done"),
    ("thread", "done"),
    ("memory", "done"),
    ("time", "done"),
];

/// A server whose temporary folder holds no mail, with folders of others: where a child tries to write.
fn with_programs(mail: &Mail, temporary: &Path, keys: &str, confine: &str) -> Server {
    let before = format!("export TMPDIR='{}'", temporary.display());
    let config = format!("{keys}\n[confine]\n{confine}\n");
    Server::with(mail, &Options { config: &config, before: &before, ..Options::default() })
}

#[test]
fn a_program_is_refused_more_than_the_server_and_writes_where_it_may() {
    let plugins = Plugins::default();
    let program = plugins.build_program("confined.c", "confined");
    let temporary = tempfile::tempdir().unwrap();
    let mail = Mail::maildir("user", &["x\n"]);
    for (confine, elsewhere, written, signal) in [
        ("landlock = false", mail.path().join("other"), "done", "done"),
        ("landlock = true", mail.path().join("other"), "EACCES", "EPERM"),
        ("landlock = true", temporary.path().join("file"), "done", "EPERM"),
    ] {
        let keys = format!("transform = [\"{} {}\"]", program.display(), elsewhere.display());
        let server = with_programs(&mail, temporary.path(), &keys, confine);
        if server.log().contains("no seccomp filter") {
            println!("not shown: this kernel has no seccomp filters");
            return;
        }
        server.logs("children: seccomp: ");
        let mut found = answers(&server);
        let (wrote, signalled) = (found.remove("write").unwrap(), found.remove("signal").unwrap());
        assert_eq!(found, expected(&OF_A_CHILD));
        if !server.log().contains("no Landlock") {
            assert_eq!(wrote, written, "{confine}, {}", elsewhere.display());
        }
        // Older kernels have no such rule.
        if !server.log().contains("as far as this kernel has it") {
            assert_eq!(signalled, signal, "{confine}");
        }
    }
}

#[test]
fn a_program_finds_the_folder_that_it_may_write_in_and_shares_memory() {
    let temporary = tempfile::tempdir().unwrap();
    let mail = Mail::maildir("user", &["x\n"]);
    // Of a name that a second run of this test does not have.
    let shared = format!("/dev/shm/{}", temporary.path().file_name().unwrap().display());
    let commands = format!(
        "if f=$(mktemp); then echo file: done; fi; echo folder: ${{f%/*}}; \
         if touch {shared}; then rm {shared}; echo memory: done; fi; cat"
    );
    let keys = format!("transform = [\"sh -c '{}'\"]", commands.replace('"', "\\\""));
    let server = with_programs(&mail, temporary.path(), &keys, "landlock = true");
    let folder = temporary.path().display().to_string();
    assert_eq!(answers(&server), expected(&[("file", "done"), ("folder", &folder), ("memory", "done")]));
}

#[test]
fn programs_that_know_passwords_and_tokens_are_refused_the_same() {
    let plugins = Plugins::default();
    let program = plugins.build_program("confined.c", "confined");
    let temporary = tempfile::tempdir().unwrap();
    let (passwords, tokens) = (temporary.path().join("passwords"), temporary.path().join("tokens"));
    let mail = Mail::maildir("user", &["x\n"]);
    let elsewhere = temporary.path().join("file");
    let word = |told: &Path| format!("\"{} {} {}\"", program.display(), elsewhere.display(), told.display());
    let keys = format!("checkpassword = {}\n[oauth]\nprogram = {}", word(&passwords), word(&tokens));
    let server = with_programs(&mail, temporary.path(), &keys, "");
    if server.log().contains("no seccomp filter") {
        println!("not shown: this kernel has no seccomp filters");
        return;
    }
    let mut client = Client::connect(server.address());
    client.says("USER nobody").hears("+OK");
    client.says("PASS x").hears("+OK");
    client.says("QUIT").hears("+OK");
    let mut client = Client::connect(server.address());
    // "n,a=nobody,^Aauth=Bearer x^A^A"
    client.says("AUTH OAUTHBEARER bixhPW5vYm9keSwBYXV0aD1CZWFyZXIgeAEB").hears("+OK");
    for told in [passwords, tokens] {
        let told = std::fs::read_to_string(told).unwrap();
        let mut found = tried(&told);
        assert_eq!(found.remove("signal").as_deref(), Some("done"));
        found.remove("write");
        assert_eq!(found, expected(&OF_A_CHILD));
    }
}

#[test]
fn the_filter_can_be_switched_off() {
    let plugins = Plugins::default();
    let plugin = plugins.build_from("confined.c", "confined.so", &[]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mail = Mail::maildir("user", &["x\n"]);
    for isolation in ["none", "process"] {
        let server = serving(&mail, &plugin, isolation, &folder.path().join("file"), "seccomp = false");
        server.logs("seccomp is switched off");
        server.logs("Landlock is switched off");
        assert!(!server.log().contains("seccomp: "), "{}", server.log());
        let found = answers(&server);
        assert_eq!((found["unshare"].as_str(), found["fork"].as_str()), ("done", "done"), "{isolation}");
    }
    let (status, said) = checked(&mail, "[confine]\nseccomp = true\nnew_privileges = true\n");
    assert!(!status.success() && said.contains("leave out new_privileges"), "{said}");
}

#[test]
fn programs_are_refused_the_same_and_work_on() {
    let mail = Mail::maildir("user", &["x\n"]);
    // The shell starts others, which start threads: all that goes on without what is refused.
    let command = "sh -c 'if unshare -U true 2>/dev/null; then echo unshare: done; else echo unshare: refused; fi; \
                   cat | sort | cat'";
    let config = format!("transform = [\"{command}\"]\n");
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    if server.log().contains("no seccomp filter") {
        println!("not shown: this kernel has no seccomp filters");
        return;
    }
    assert_eq!(answers(&server), expected(&[("unshare", "refused")]));
}

#[test]
fn what_the_parent_of_the_server_left_open_reaches_no_program() {
    let mail = Mail::maildir("user", &["x\n"]);
    // The parent's secret, and what the program has of it.
    let command = "sh -c 'if test -e /proc/$$/fd/9; then echo left: open; else echo left: closed; fi; cat'";
    let config = format!("transform = [\"{command}\"]\n");
    let options = Options { config: &config, before: "exec 9</etc/hostname", ..Options::default() };
    let server = Server::with(&mail, &options);
    assert!(Path::new(&format!("/proc/{}/fd/9", server.pid())).exists(), "it is there to be kept");
    assert_eq!(answers(&server), expected(&[("left", "closed")]));
}

//! What the kernel refuses the running server, the programs that it starts and the helper processes of plugins: shown by
//! filters that try.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use pop3d_tests::{Client, Mail, Options, Plugins, Server, checked};

/// What a filter was answered, by what it tried.
fn answers(server: &Server) -> BTreeMap<String, String> {
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    let body = String::from_utf8(client.body().unwrap()).unwrap();
    assert!(body.ends_with("x\r\n"), "{body}");
    let lines = body.lines().filter_map(|line| line.split_once(": "));
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
    assert!(server.log().contains("seccomp: "), "{}", server.log());
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
            ("write", "done"),
        ])
    );
}

#[test]
fn the_filter_can_be_switched_off() {
    let plugins = Plugins::default();
    let plugin = plugins.build_from("confined.c", "confined.so", &[]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mail = Mail::maildir("user", &["x\n"]);
    for isolation in ["none", "process"] {
        let server = serving(&mail, &plugin, isolation, &folder.path().join("file"), "seccomp = false");
        assert!(!server.log().contains("seccomp"), "{}", server.log());
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

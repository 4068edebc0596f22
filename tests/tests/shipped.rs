//! The filters that ship, as files in a real server: each does its work on a message that a client asks for. What they do
//! with other messages is told by their own tests, in `plugins/`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pop3d_tests::{
    Admin, Client, Mail, Options, Plugins, Server, as_sent, built, corpus, is_heavy_wanted, root,
};

/// A filter, its options, a message, and what a client gets of it.
struct Case {
    name: &'static str,
    options: &'static str,
    message: &'static str,
    expected: &'static str,
}

const CASES: [Case; 6] = [
    Case {
        name: "tag-subject",
        options: "prefix = \"[SPAM]\", threshold = 5.0",
        message: "X-Spam-Score: 7.3\nSubject: Hello\n\nBody\n",
        expected: "X-Spam-Score: 7.3\nSubject: [SPAM] Hello\n\nBody\n",
    },
    Case {
        name: "disclaimer",
        options: "text = \"Gr\u{fc}n\"",
        message: "Content-Type: text/plain; charset=iso-8859-1\n\
                  Content-Transfer-Encoding: quoted-printable\n\nHi\n",
        expected: "Content-Type: text/plain; charset=iso-8859-1\n\
                   Content-Transfer-Encoding: quoted-printable\n\nHi\n\nGr=FCn\n",
    },
    Case {
        name: "strip-attachments",
        options: "names = [\"*.exe\"], note = \"no {type}\"",
        message: "Content-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\n\
                  Content-Type: application/x-dos; name=a.EXE\n\nMZ\n--x--\n",
        expected: "Content-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\n\
                   Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n\
                   no application/x-dos\n\n--x--\n",
    },
    Case {
        name: "headers",
        options: "remove = [\"X-*\"], rename = { Old = \"New\" }, add = { X-Seen = \"yes\" }",
        message: "X-Abc: 1\n more\nOld: a\n\nX-Abc: body\n",
        expected: "New: a\nX-Seen: yes\n\nX-Abc: body\n",
    },
    Case {
        name: "redact",
        options: "patterns = ['\\b\\d{4}-\\d{4}\\b'], with = \"x\"",
        message: "Subject: 1234-5678\nContent-Transfer-Encoding: base64\n\nMTIzNC01Njc4Cg==\n",
        expected: "Subject: 1234-5678\nContent-Transfer-Encoding: base64\n\neAo=\n",
    },
    Case {
        name: "utf8",
        options: "",
        message: "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n\
                  Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DF\n",
        expected: "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
                   Content-Transfer-Encoding: 8bit\n\nGr\u{fc}\u{df}\n",
    },
];

/// Every filter by itself, and each in one chain on a message that is none of its business.
fn all_do_their_work(file_of: impl Fn(&str) -> PathBuf, kind: &str) {
    let mut config = format!("transform = [{}]\n", CASES.map(|case| format!("\"{}\"", case.name)).join(", "));
    for Case { name, options, .. } in &CASES {
        let file = file_of(name);
        let table =
            format!("[transforms.{name}]\nfile = \"{}\"\noptions = {{ {options} }}\n", file.display());
        config.push_str(&table);
    }
    let other = "Subject: Hello\nContent-Type: image/png\n\n\u{fc} 1234 is no text\n";
    let mail = Mail::flat_in_order("user", &CASES.map(|case| case.message));
    fs::write(mail.path().join("user/other"), other).unwrap();
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    let mut names = CASES.map(|case| format!("{} {kind} ready 1", case.name));
    names.sort();
    assert_eq!(admin.lines("tfl?"), names);
    // Headers adds its field to everything.
    let seen = other.replace("\n\n", "\nX-Seen: yes\n\n");
    assert_eq!(text(retrieved(&server, CASES.len() + 1)), text(as_sent(seen.as_bytes())), "all, {kind}");
    for (number, Case { name, expected, .. }) in (1..).zip(&CASES) {
        admin.says(&format!("tf= {name}")).hears("+");
        let sent = retrieved(&server, number);
        assert_eq!(text(sent), text(as_sent(expected.as_bytes())), "{name}, {kind}");
    }
}

fn retrieved(server: &Server, number: usize) -> Vec<u8> {
    let mut client = Client::login_when_free(server.address(), "user");
    client.says(&format!("RETR {number}")).hears("+OK");
    client.body().unwrap()
}

/// A difference between texts is easier to read than one between octets.
fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).unwrap()
}

/// Makes plugins of all filters.
fn build_plugins(folder: &Plugins) {
    for Case { name, .. } in &CASES {
        let file = folder.path().join(format!("{name}.so"));
        fs::copy(built(&format!("libpop3d_{}.so", name.replace('-', "_"))), &file).unwrap();
        // What cargo makes may be open to a group, which the server refuses.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Every message that a client gets through each filter, both as a plugin and in WebAssembly, is the same. That what a
/// plugin makes of the corpus is right is told by the tests in `plugins/`.
fn both_make_the_same_of_the_corpus(folder: &Plugins) {
    let messages = corpus();
    if messages.is_empty() {
        println!("the corpus is left out: POP3D_CORPUS names its folder");
        return;
    }
    build_plugins(folder);
    let mut config = String::new();
    for Case { name, options, .. } in &CASES {
        for kind in ["so", "wasm"] {
            let file = folder.path().join(format!("{name}.{kind}"));
            let keys = format!("file = \"{}\"\noptions = {{ {options} }}", file.display());
            config.push_str(&format!("[transforms.{name}-{kind}]\n{keys}\n"));
        }
    }
    let mail = Mail::flat_in_order("user", &messages);
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    let mut changed = 0;
    for Case { name, .. } in &CASES {
        let mut made = ["so", "wasm"].map(|kind| {
            admin.says(&format!("tf= {name}-{kind}")).hears("+");
            let mut client = Client::login_when_free(server.address(), "user");
            let made: Vec<_> = (1..=messages.len())
                .map(|number| {
                    client.says(&format!("RETR {number}")).hears("+OK");
                    client.body().unwrap()
                })
                .collect();
            client.says("QUIT").hears("+OK");
            made.into_iter()
        });
        for (number, message) in (1..).zip(&messages) {
            let [one, other] = made.each_mut().map(|made| made.next().unwrap());
            assert!(one == other, "{name}: message {number}");
            changed += usize::from(one != as_sent(message));
        }
    }
    assert!(changed > messages.len(), "{changed} of {} messages are changed by any filter", messages.len());
}

/// A text of the size that is promised fits into the memory of an instance, also where an octet becomes three when it is
/// decoded and each line of the text changes.
fn a_large_text_fits_into_the_memory(folder: &Plugins) {
    let header = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n";
    let line = [b"1234-5678 ".as_slice(), &[0xFC; 66], b"\n"].concat();
    let message = [header.as_bytes(), &line.repeat((2 << 20) / line.len() - 1)].concat();
    let mut config = String::new();
    for Case { name, options, .. } in &CASES {
        let file = folder.path().join(format!("{name}.wasm"));
        let keys = format!("file = \"{}\"\noptions = {{ {options} }}", file.display());
        config.push_str(&format!("[transforms.{name}]\n{keys}\n"));
    }
    let mail = Mail::flat_in_order("user", &[message]);
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    for name in ["redact", "disclaimer", "utf8"] {
        Admin::of(&server).says(&format!("tf= {name}")).hears("+");
        assert!(!retrieved(&server, 1).is_empty(), "{name}");
    }
}

#[test]
fn the_filters_that_ship_do_their_work_as_plugins() {
    let folder = Plugins::default();
    build_plugins(&folder);
    all_do_their_work(|name| folder.path().join(format!("{name}.so")), "native");
}

/// Builds for minutes, by `plugins/build`, and only where there is a compiler for WebAssembly.
#[test]
fn the_filters_that_ship_do_their_work_in_webassembly() {
    if !is_heavy_wanted() {
        return;
    }
    let folder = Plugins::default();
    let status = Command::new(root().join("plugins/build")).arg(folder.path()).arg("wasm").status().unwrap();
    if status.code() == Some(3) {
        println!("left out: the compiler has no target wasm32-unknown-unknown");
        return;
    }
    assert!(status.success(), "plugins/build: {status}");
    let file_of = |name: &str| folder.path().join(format!("{name}.wasm"));
    assert!(CASES.iter().all(|case| Path::is_file(&file_of(case.name))));
    all_do_their_work(file_of, "wasm");
    a_large_text_fits_into_the_memory(&folder);
    both_make_the_same_of_the_corpus(&folder);
}

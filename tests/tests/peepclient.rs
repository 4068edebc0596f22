//! The admin client against the server, as a script uses both.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use pop3d_tests::{Client, Mail, Options, Server, peepclient, wait_until};

const CONFIG: &str =
    "transform = \"first\"\n[transforms.first]\ncommand = \"cat\"\n[transforms.second]\ncommand = \"cat\"\n";

/// What the client prints at the server's socket.
fn at_socket(server: &Server, words: &[&str]) -> Output {
    let mut command = Command::new(peepclient());
    command.arg("--socket").arg(server.state().join("peep.sock")).args(words);
    command.stdin(Stdio::null()).output().unwrap()
}

fn prints(server: &Server, words: &[&str]) -> String {
    let output = at_socket(server, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_phrases_of_the_seed_are_answered() {
    let mail = Mail::maildir("user", &["Subject: x\n\nx\n"]);
    let server = Server::with(&mail, &Options { config: CONFIG, ..Options::default() });
    assert_eq!(prints(&server, &["users"]), "a\nb\nc\nd\nother\nuser\n");
    prints(&server, &["add", "user", "ann", "secret"]);
    prints(&server, &["delete", "user", "a;", "delete", "user", "b"]);
    assert_eq!(prints(&server, &["users"]), "ann\nc\nd\nother\nuser\n");
    prints(&server, &["set", "timeout", "700;", "set", "max", "connections", "20"]);
    assert_eq!(prints(&server, &["timeout;", "max", "connections"]), "700\n20\n");
    let folder = mail.path().to_str().unwrap();
    prints(&server, &["set", "maildir", folder]);
    assert_eq!(prints(&server, &["maildir"]), format!("{folder}\n"));
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    client.body().unwrap();
    assert_eq!(prints(&server, &["current", "connections", "amount"]), "1\n");
    assert_eq!(prints(&server, &["current", "logged", "users"]), "user\n");
    wait_until("it is counted", || prints(&server, &["retrieved", "emails"]) == "1\n");
    assert_eq!(prints(&server, &["removed", "emails", "amount"]), "0\n");
    assert_eq!(prints(&server, &["all", "time", "connection", "amount"]), "1\n");
    assert_eq!(prints(&server, &["all", "time", "logged", "amount"]), "1\n");
    assert!(prints(&server, &["retrieved", "bytes"]).trim().parse::<u64>().unwrap() > 0);
    assert!(prints(&server, &["capa"]).contains("c=1-"));
    prints(&server, &["quit"]);
}

#[test]
fn transforms_and_sessions_are_shown_and_switched() {
    let mail = Mail::maildir("user", &["Subject: x\n\nx\n"]);
    let server = Server::with(&mail, &Options { config: CONFIG, ..Options::default() });
    prints(&server, &["set", "transform", "second,first"]);
    assert_eq!(prints(&server, &["transform"]), "second\nfirst\n");
    prints(&server, &["set", "transform", "none", "user"]);
    assert_eq!(prints(&server, &["transform", "user"]), "");
    prints(&server, &["reload", "transform", "first"]);
    assert!(prints(&server, &["transforms"]).contains("first"));
    assert!(prints(&server, &["--json", "transforms"]).contains("\"generation\":2"));
    assert!(prints(&server, &["--json", "transform", "stats", "first"]).contains("\"messages\":0"));
    assert!(prints(&server, &["statistics"]).contains("pop3d_logins_total{result=\"ok\"}"));
    let mut client = Client::login(server.address(), "user");
    let sessions = prints(&server, &["sessions"]);
    let line = sessions.lines().find(|line| line.contains("TRANSACTION")).unwrap();
    prints(&server, &["kick", line.split_whitespace().next().unwrap()]);
    client.rest();
    wait_until("the session is gone", || prints(&server, &["current", "connections", "amount"]) == "0\n");
}

#[test]
fn a_refusal_is_a_status_and_a_sentence() {
    let mail = Mail::maildir("user", &["x\n"]);
    let arguments = ["-P", "0", "-a", "root:secret"];
    let server = Server::start(&mail, &arguments);
    let refused = at_socket(&server, &["delete", "user", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).starts_with("ERROR! "));

    let port = server.peep_address().port().to_string();
    let by_tcp = |password: &str, input: &str| {
        let mut child = Command::new(peepclient())
            .args(["-address", "localhost", "-port", &port, "-user", "root", "-pass", password])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may not read what it is told, where it is not let in.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = by_tcp("secret", "timeout\nmax connections\n");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    let output = by_tcp("wrong", "timeout\n");
    assert_eq!(output.status.code(), Some(77), "{output:?}");
}

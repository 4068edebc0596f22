//! Commands without a prompt: what is answered, what is refused, and the exit statuses.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::fake::{Fake, Local, PASSWORD, USER, unused_port};

fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peepclient"));
    command.args(arguments).env_remove("PEEP_PASSWORD").stdin(Stdio::null());
    command
}

/// Runs the program for a server, as the published client is run.
fn asks(fake: &Fake, arguments: &[&str]) -> (i32, String, String) {
    let port = fake.port();
    let server = ["-address", "localhost", "-port", &port, "-user", USER, "-pass", PASSWORD];
    told(client(&[&server[..], arguments].concat()).output().unwrap())
}

/// Runs the program with lines on standard input.
fn says(fake: &Fake, arguments: &[&str], lines: &str) -> (i32, String, String) {
    let port = fake.port();
    let mut child = client(&[&["-p", &port, "-u", USER], arguments].concat())
        .env("PEEP_PASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    told(child.wait_with_output().unwrap())
}

fn told(output: Output) -> (i32, String, String) {
    let text = |octets| String::from_utf8(octets).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs the program where it cannot do anything; the status, after a look at the sentence.
fn fails(mut command: Command, sentence: &str) -> i32 {
    let (status, output, errors) = told(command.output().unwrap());
    assert!(errors.starts_with("peepclient: ") && errors.contains(sentence), "{errors}");
    assert_eq!((output.as_str(), errors.matches('\n').count()), ("", 1), "{errors}");
    status
}

#[test]
fn arguments_are_commands_and_answers_are_lines() {
    let fake = Fake::start();
    assert_eq!(asks(&fake, &["users"]), (0, "alice\nbob\n".into(), String::new()));
    let (status, output, _) = asks(&fake, &["set timeout 5; timeout; max connections; add user carol three"]);
    assert_eq!((status, output.as_str()), (0, "5\n998\n"));
    assert_eq!(fake.model().users["carol"], "three");
    let (status, output, _) = asks(&fake, &["set", "program", "sed", "s/ a /b/", ";", "sessions"]);
    assert_eq!((status, output.lines().count()), (0, 3));
    assert_eq!(fake.model().program, "sed%20s/%20a%20/b/");
}

#[test]
fn a_refused_command_is_a_sentence_and_the_others_are_done() {
    let fake = Fake::start();
    let (status, output, errors) = asks(&fake, &["set max connections 0; add user bob x; timeout; reload"]);
    assert_eq!((status, output.as_str()), (1, "600\n"));
    let said: Vec<&str> = errors.lines().collect();
    assert_eq!(
        said,
        [
            "ERROR! set max connections: the server cannot hold that number of connections (1-998)",
            "ERROR! add user: there is such a user already",
            "ERROR! reload: the configuration was not taken, and nothing changed; the server's log says why",
        ]
    );
}

#[test]
fn standard_input_has_a_command_on_each_line() {
    let fake = Fake::start();
    let lines = "# a comment\n\nusers\r\nset timeout 7\n  timeout\nquit\nusers\n";
    assert_eq!(says(&fake, &[], lines), (0, "alice\nbob\n7\n".into(), String::new()));
    let (status, output, errors) = says(&fake, &[], "usrs\nadd user bob\ndelete user dave\ntimeout");
    assert_eq!((status, output.as_str()), (65, "7\n"));
    let said: Vec<&str> = errors.lines().collect();
    assert_eq!(
        said,
        [
            "ERROR! line 1: there is no command \"usrs\"; did you mean \"users\"?",
            "ERROR! line 2: <password> is missing: add user <user> <password>",
            "ERROR! delete user: there is no such user",
        ]
    );
}

#[test]
fn many_commands_are_answered_in_their_order() {
    let fake = Fake::start();
    let commands: Vec<String> = (0..200).map(|number| format!("set timeout {number}; timeout")).collect();
    let (status, output, _) = asks(&fake, &[&commands.join("; ")]);
    let expected: String = (0..200).map(|number| format!("{number}\n")).collect();
    assert_eq!((status, output), (0, expected));
}

#[test]
fn json_has_a_line_for_each_command() {
    let fake = Fake::start();
    let commands = "users; timeout; set timeout 5; kick 99; transform error banner; transform stats banner";
    let (status, output, _) = asks(&fake, &["--json", commands]);
    assert_eq!(status, 1);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(
        lines,
        [
            r#"["alice","bob"]"#,
            r#"{"ok":true,"value":600}"#,
            r#"{"ok":true}"#,
            r#"{"ok":false,"error":"kick: there is no such session","code":9}"#,
            r#"{"ok":true,"value":"out of fuel\nat push"}"#,
            r#"{"messages":12,"failed":1,"running":0,"p50_us":180,"p99_us":2300}"#,
        ]
    );
    let (status, output, _) = says(&fake, &["-j"], "nonsense\nsessions\n");
    assert_eq!((status, output.lines().count()), (65, 2));
    assert!(
        output.starts_with(r#"{"ok":false,"error":"line 1: there is no command \"nonsense\""#),
        "{output}"
    );
}

#[test]
fn a_unix_socket_needs_no_login() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("pop3d");
    std::fs::create_dir(&state).unwrap();
    let local = Local::start(&state.join("peep.sock"));
    local.model().users.clear();
    let output = client(&["--socket", local.path(), "add user bob x; users"]).output().unwrap();
    assert_eq!(told(output), (0, "bob\n".into(), String::new()));
}

#[test]
fn help_needs_no_server() {
    let (status, output, _) = told(client(&["help", "set", "timeout"]).output().unwrap());
    assert_eq!(status, 0);
    assert!(output.starts_with("set timeout <seconds>\n"), "{output}");
    for arguments in [&["--json", "help", "set", "timeout"][..], &["--json", "help"]] {
        let (status, output, _) = told(client(arguments).output().unwrap());
        assert_eq!((status, output.lines().count()), (0, 1), "{output}");
        assert!(output.starts_with(r#"{"ok":true,"value":""#) && output.contains("set timeout"), "{output}");
    }
    let (status, output, _) = told(client(&["help"]).output().unwrap());
    assert!(status == 0 && output.contains("all time logged amount"), "{output}");
}

#[test]
fn a_wrong_command_line_is_usage() {
    let fake = Fake::start();
    let port = fake.port();
    for (arguments, sentence) in [
        (&["--port", "x"][..], "invalid value 'x'"),
        (&["-port", &port, "users"], "--user"),
        (&["-user", "root", "users"], "--password-file"),
        (&["-user", "root", "-pass", "x", "usrs"], "did you mean \"users\"?"),
        (&["-user", "root", "-pass", "x", "add", "user", "a", "b c"], "cannot have a space"),
        (&["-user", "root", "-pass", "x", "add user a"], "<password> is missing"),
        (&["-user", "a b", "-pass", "x", "users"], "cannot have a space"),
    ] {
        assert_eq!(fails(client(arguments), sentence), 64, "{arguments:?}");
    }
    let command = client(&["-user", "root", "--password-file", "/nonexistent", "users"]);
    assert_eq!(fails(command, "cannot read the password from /nonexistent"), 66);
}

#[test]
fn each_way_not_to_reach_a_server_has_its_status() {
    let fake = Fake::start();
    let port = fake.port();
    let command = client(&["-port", &port, "-user", "root", "-pass", "wrong", "users"]);
    assert_eq!(fails(command, "wrong user or password; check --user and the password"), 77);
    let command = client(&["-port", &unused_port(), "-user", "root", "-pass", "x", "users"]);
    assert_eq!(fails(command, "nobody listens there; check that the server runs"), 69);
    let command = client(&["-address", "no-such-host.invalid", "-user", "root", "-pass", "x", "users"]);
    assert_eq!(fails(command, "there is no host \"no-such-host.invalid\""), 68);
    let command = client(&["--socket", "/nonexistent/peep.sock", "users"]);
    assert_eq!(fails(command, "there is no such socket; check that pop3d runs"), 69);
}

#[test]
fn a_server_that_closes_once_it_has_refused_has_refused_all_the_same() {
    let fake = Fake::scripted(|line| (line == "a root wrong").then_some("-2\r\n"));
    let command = client(&["-port", &fake.port(), "-user", "root", "-pass", "wrong", "users"]);
    assert_eq!(fails(command, "wrong user or password; check --user and the password"), 77);
}

#[test]
fn the_rest_of_a_line_that_is_too_long_is_no_command() {
    let fake = Fake::start();
    let lines = format!("#{}delete user alice\nusers\n", " ".repeat(64 * 1024 - 1));
    let (status, output, errors) = says(&fake, &[], &lines);
    assert_eq!((status, output.as_str()), (65, "alice\nbob\n"), "{errors}");
    assert_eq!(errors, "ERROR! line 1: it is too long; a line has at most 65536 octets\n");
    assert!(fake.model().users.contains_key("alice"));
}

#[test]
fn a_server_of_another_protocol_is_told_from_one_of_peep() {
    let web = Fake::scripted(|_| Some("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
    let command = client(&["-port", &web.port(), "-user", "root", "-pass", "x", "users"]);
    assert_eq!(
        fails(command, "is no PEEP server: it sent a line that is no reply; check address and port"),
        76
    );
    let pop3 =
        Fake::scripted(|line| Some(if line.starts_with('a') { "+OK ready\r\n-ERR\r\n" } else { "-ERR\r\n" }));
    let command = client(&["-port", &pop3.port(), "-user", "root", "-pass", "x", "users"]);
    assert_eq!(fails(command, "is no PEEP server"), 76);
}

#[test]
fn a_connection_lost_in_the_middle_keeps_the_answers_that_came() {
    let fake = Fake::scripted(|line| match line {
        "a root x" => Some("+\r\n"),
        "cap?" => Some("+1\r\na\r\n"),
        "t?" => Some("+600\r\n"),
        "u?" => Some("+2\r\nalice\r\n"),
        _ => None,
    });
    let port = fake.port();
    let arguments = ["-port", &port, "-user", "root", "-pass", "x", "timeout; users; maildir"];
    let (status, output, errors) = told(client(&arguments).output().unwrap());
    assert_eq!((status, output.as_str()), (74, "600\n"));
    assert!(errors.contains("is lost: the server closed it; what was asked last may"), "{errors}");
}

#[test]
fn a_server_of_the_published_protocol_is_enough() {
    let fake = Fake::scripted(|line| match line {
        "a root x" | "c= 15" => Some("+\r\n"),
        "cap?" => Some("+3\r\na\r\nc=1-998\r\nt=0-86400\r\n"),
        "u?" => Some("+0\r\n"),
        _ => Some("-0\r\n"),
    });
    let port = fake.port();
    let arguments =
        ["-port", &port, "-user", "root", "-pass", "x", "set max connections 15; users; sessions"];
    let (status, output, errors) = told(client(&arguments).output().unwrap());
    assert_eq!((status, output.as_str()), (1, ""));
    assert_eq!(errors, "ERROR! sessions: the server does not know this command, or not in this state\n");
}

#[test]
fn a_password_keeps_its_blanks_but_spaces_and_tabs() {
    let fake = Fake::start();
    assert_eq!(says(&fake, &[], " add user carol x\u{3000}\t\r\n").0, 0);
    assert_eq!(fake.model().users["carol"], "x\u{3000}");
}

//! The program while it serves: its start, its log, its signals and its accounts, over sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server with a mail folder of its own.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
    folder: TempDir,
}

/// A client, after the greeting.
struct Client(BufReader<TcpStream>);

impl Server {
    /// Starts one for `user` with `messages` in a flat folder; waits until it listens.
    fn start(messages: &[&str], arguments: &[&str]) -> Self {
        Self::with_config(messages, arguments, "")
    }

    /// The same with a configuration, in which FOLDER is the folder of the server.
    fn with_config(messages: &[&str], arguments: &[&str], config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let maildrop = folder.path().join("mail/user");
        fs::create_dir_all(&maildrop).unwrap();
        for (number, message) in messages.iter().enumerate() {
            fs::write(maildrop.join(format!("{number}.eml")), message).unwrap();
        }
        Self::in_folder(folder, arguments, config)
    }

    /// The same in a folder that another server had.
    fn in_folder(folder: TempDir, arguments: &[&str], config: &str) -> Self {
        let file = folder.path().join("pop3d.toml");
        let text = format!("state = \"FOLDER/state\"\n{config}");
        fs::write(&file, text.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pop3d"))
            .args(["-p", "0", "-m"])
            .arg(folder.path().join("mail"))
            .arg("-c")
            .arg(&file)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, stderr, address: ([127, 0, 0, 1], 0).into(), folder };
        let line = match config.contains("[log]") {
            false => server.log_line("listening on "),
            true => server.log_file_line("listening on "),
        };
        let port = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
        server.address.set_port(port);
        server
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The next line of standard error that contains `part`.
    fn log_line(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "the log ended without {part}");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The line of the log file that contains `part`.
    fn log_file_line(&self, part: &str) -> String {
        wait_for(part, || {
            let text = fs::read_to_string(self.path("log")).unwrap_or_default();
            text.split_inclusive('\n')
                .find(|line| line.contains(part) && line.ends_with('\n'))
                .map(str::to_owned)
        })
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client(BufReader::new(stream));
        assert!(client.line().starts_with("+OK"));
        client
    }

    fn login(&self) -> Client {
        let mut client = self.connect();
        assert!(client.says("USER user\r\nPASS pass").starts_with("+OK"));
        assert!(client.line().starts_with("+OK"));
        client
    }

    /// The status once it has ended, and what was left of standard error.
    fn ended(mut self) -> (Option<i32>, String) {
        let status = wait_for("the end", || self.child.try_wait().unwrap());
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where a test came to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    /// Says a command; the first line of the answer.
    fn says(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// Everything up to the end of the connection, and whether it was closed in order.
    fn rest(mut self) -> (Vec<u8>, bool) {
        let mut octets = Vec::new();
        let is_closed = self.0.read_to_end(&mut octets).is_ok();
        (octets, is_closed)
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "no {what} within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

const USER: [&str; 2] = ["-u", "user:pass"];

#[test]
fn a_signal_to_stop_ends_the_server_with_status_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(&["x\n"], &USER);
        let mut client = server.login();
        assert!(client.says("DELE 1").starts_with("+OK"));
        let mail = server.path("mail/user/0.eml");
        server.signal(signal);
        let (said, _) = client.rest();
        assert!(said.starts_with(b"-ERR"), "{}", said.escape_ascii());
        // RFC 1939, section 6: a session that does not end by QUIT removes nothing.
        assert!(mail.exists());
        let (status, rest) = server.ended();
        assert_eq!(status, Some(0), "{rest}");
        assert!(rest.ends_with("INFO pop3d: stopped\n"), "{rest}");
    }
}

#[test]
fn a_message_under_way_is_sent_to_its_end() {
    // The transform waits until it is told to go on, by which time the server is stopping.
    let gate = tempfile::tempdir().unwrap();
    let (started, go) = (gate.path().join("started"), gate.path().join("go"));
    assert!(Command::new("mkfifo").arg(&go).status().unwrap().success());
    let command = format!("cat; : > {}; read line < {}; echo end", started.display(), go.display());
    // More than is held before "+OK": from there on the message is under way.
    let message = "a line of the message\n".repeat(10_000);
    let mut server = Server::start(&[&message], &["-u", "user:pass", "-t", &command]);
    let mut client = server.login();
    assert!(client.says("RETR 1").starts_with("+OK"));
    for _ in 0..10_000 {
        assert_eq!(client.line(), "a line of the message\r\n");
    }
    wait_for("start of the transform", || started.exists().then_some(()));
    server.signal(Signal::TERM);
    server.log_line("stopping");
    fs::write(&go, "\n").unwrap();
    let (said, is_closed) = client.rest();
    assert!(is_closed);
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("end\r\n.\r\n"), "{said}");
    assert_eq!(server.ended().0, Some(0));
}

#[test]
fn a_client_that_waits_for_a_transform_is_refused_when_the_server_stops() {
    for sizes in ["stored", "exact"] {
        let config = format!(
            "transform = \"sh -c 'echo $$ >&2; exec sleep 600'\"\n[transform_defaults]\nsizes = \"{sizes}\"\n"
        );
        let mut server = Server::with_config(&["x\n"], &USER, &config);
        let mut client = server.login();
        let command: &[u8] = if sizes == "exact" { b"STAT\r\n" } else { b"RETR 1\r\n" };
        client.0.get_mut().write_all(command).unwrap();
        let line = server.log_line("pop3d::transform");
        let program = line.trim_end().rsplit(' ').next().unwrap().to_owned();
        server.signal(Signal::TERM);
        let (said, is_closed) = client.rest();
        assert!(said == b"-ERR [SYS/TEMP] server is stopping\r\n" && is_closed, "{}", said.escape_ascii());
        assert_eq!(server.ended().0, Some(0));
        wait_for("end of the program", || (!is_alive(&program)).then_some(()));
    }
}

#[test]
fn a_second_signal_ends_the_server_and_its_programs_at_once() {
    // More than is held before "+OK": from there on the message is under way.
    let command = "yes | head -c 100000; echo $$ >&2; exec sleep 600";
    let mut server = Server::start(&["x\n"], &["-u", "user:pass", "-t", command]);
    let mut client = server.login();
    assert!(client.says("RETR 1").starts_with("+OK"));
    let line = server.log_line("pop3d::transform");
    let program = line.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert!(is_alive(&program), "{line}");
    server.signal(Signal::TERM);
    server.log_line("stopping");
    server.signal(Signal::TERM);
    let (status, _) = server.ended();
    assert_eq!(status, Some(128 + 15));
    wait_for("end of the program", || (!is_alive(&program)).then_some(()));
    let (said, _) = client.rest();
    assert!(!said.ends_with(b"\r\n.\r\n"), "{}", said.escape_ascii());
}

#[test]
fn sighup_opens_the_log_anew() {
    let config = "[log]\nfile = \"FOLDER/log\"\nlevel = \"debug\"\n";
    let server = Server::with_config(&[], &USER, config);
    fs::rename(server.path("log"), server.path("log.1")).unwrap();
    server.signal(Signal::HUP);
    server.log_file_line("log opened anew");
    let mut client = server.login();
    client.says("QUIT");
    server.log_file_line("logged in");
    assert!(!fs::read_to_string(server.path("log.1")).unwrap().contains("logged in"));
    let text = fs::read_to_string(server.path("log")).unwrap();
    assert!(text.contains(": PASS") && !text.contains("PASS pass"), "{text}");
    server.signal(Signal::TERM);
    let (status, stderr) = server.ended();
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_line_of_the_log_cannot_be_forged() {
    let server = Server::start(&[], &["-u", "user:pass", "--log-level", "debug"]);
    let mut client = server.connect();
    let forged = "USER x\u{1B}[2J\u{2028}2026-11-23T00:00:00.000Z ERROR pop3d: forged";
    client.says(forged);
    client.says("PASS x\rINFO forged");
    client.says("QUIT");
    server.signal(Signal::TERM);
    let (_, log) = server.ended();
    let time = |line: &str| line.len() > 24 && line.as_bytes()[10] == b'T' && line.as_bytes()[23] == b'Z';
    assert!(log.lines().all(time), "{log}");
    assert!(
        !log.contains(
            |character: char| character == '\u{2028}' || character != '\n' && character.is_control()
        )
    );
}

#[test]
fn a_reader_of_the_log_that_goes_ends_no_session() {
    let mut server = Server::start(&["x\n"], &["-u", "user:pass", "--log-level", "debug"]);
    // From here on standard error has no reader: it is that of a program that has ended.
    let mut ended = Command::new("true").stderr(Stdio::piped()).spawn().unwrap();
    server.stderr = BufReader::new(ended.stderr.take().unwrap());
    ended.wait().unwrap();
    for _ in 0..3 {
        let mut client = server.login();
        assert!(client.says("RETR 1").starts_with("+OK"));
        assert_eq!((client.line(), client.line()), ("x\r\n".to_owned(), ".\r\n".to_owned()));
        assert!(client.says("QUIT").starts_with("+OK"));
    }
    server.signal(Signal::TERM);
    assert_eq!(server.ended().0, Some(0));
}

#[test]
fn accounts_of_all_sources_log_in_and_the_command_line_wins() {
    let config =
        "accounts = \"FOLDER/mail/accounts\"\n[users]\nuser = \"of the file\"\nother = \"{PLAIN}{x}\"\n";
    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts");
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    fs::write(&accounts, format!("hashed:{{ARGON2ID}}{hash}\nother:{{PLAIN}}old\n")).unwrap();
    let config = config.replace("FOLDER/mail/accounts", accounts.to_str().unwrap());
    let mut server = Server::with_config(&[], &["-u", "user:p a:s s "], &config);
    let tries = |user: &str, password: &str| {
        let mut client = server.connect();
        client.says(&format!("USER {user}"));
        client.says(&format!("PASS {password}"))
    };
    for (user, password) in [("user", "p a:s s "), ("other", "{x}"), ("hashed", "password")] {
        let said = tries(user, password);
        assert!(said.starts_with("+OK"), "{user}: {said}");
    }
    for (user, password) in
        [("user", "of the file"), ("other", "old"), ("hashed", "Password"), ("../user", "p")]
    {
        let said = tries(user, password);
        assert!(said.starts_with("-ERR [AUTH]"), "{user}: {said}");
    }
    server.signal(Signal::TERM);
    server.log_line("stopped");
}

#[test]
fn what_is_not_right_and_stops_nothing_is_told_in_the_log() {
    let config = "transform = \"no-such-program\"\n[users]\nuser = \"pass\"\n[log]\nfile = \"FOLDER/log\"\n";
    let server = Server::with_config(&["x\n"], &[], config);
    assert!(server.log_file_line("there is no program no-such-program").contains(" WARN pop3d: "));
    let said = server.log_file_line("chmod o-r");
    assert!(said.contains(server.path("pop3d.toml").to_str().unwrap()), "{said}");
    let mut client = server.login();
    let said = client.says("RETR 1");
    assert!(said.starts_with("-ERR [SYS/PERM]"), "{said}");
    assert!(client.says("NOOP").starts_with("+OK"));
}

/// What files and folders in a state folder may be used for, and the folder itself.
fn permits(path: &Path, files: u32, folders: u32) {
    let mode = if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::read_dir(path).unwrap().for_each(|entry| permits(&entry.unwrap().path(), files, folders));
        folders
    } else {
        files
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn unique_ids_hold_where_the_state_folder_can_only_be_read() {
    let (list, config) = ("mail/user/dovecot-uidlist", "allow_root = true\nunique_ids = \"dovecot\"\n");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("mail/user/new")).unwrap();
    fs::write(folder.path().join("mail/user/new/1.a.host"), "x\n").unwrap();
    fs::write(folder.path().join(list), "3 V1275660208 N10 G0123\n1 :1.a.host\n").unwrap();
    let mut server = Server::in_folder(folder, &USER, config);
    let known = server.login().says("UIDL 1");
    assert!(known.starts_with("+OK 1 ") && !known.contains("host"), "{known}");
    let folder = std::mem::replace(&mut server.folder, tempfile::tempdir().unwrap());
    server.signal(Signal::TERM);
    server.ended();
    fs::remove_file(folder.path().join(list)).unwrap();
    permits(folder.path(), 0o644, 0o777);
    permits(&folder.path().join("state"), 0o444, 0o555);
    // Modes mean nothing to root.
    let config = if geteuid().is_root() { "user = \"65534\"\ngroup = \"65534\"\n" } else { "" };
    let server = Server::in_folder(folder, &USER, config);
    let mut client = server.login();
    assert_eq!(client.says("UIDL 1"), known);
    let mut other = server.connect();
    assert!(other.says("USER user\r\nPASS pass").starts_with("+OK"));
    assert!(other.line().starts_with("-ERR [IN-USE]"));
    assert!(client.says("DELE 1").starts_with("+OK") && client.says("QUIT").starts_with("+OK"));
    permits(&server.path("state"), 0o644, 0o755);
}

#[test]
fn a_state_folder_that_cannot_be_used_costs_speed_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let state = file.join("state");
    let server = Server::start(&["x\n"], &["-u", "user:pass", "--state", state.to_str().unwrap()]);
    let mut client = server.login();
    assert_eq!(client.says("STAT"), "+OK 1 3\r\n");
    assert!(client.says("DELE 1").starts_with("+OK") && client.says("QUIT").starts_with("+OK"));
    assert!(!server.path("mail/user/0.eml").exists());
    server.signal(Signal::TERM);
    assert_eq!(server.ended().0, Some(0));
}

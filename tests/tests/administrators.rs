//! Who administrates: credentials, the Unix socket, and administrators in great number or slow.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pop3d_tests::{Admin, Client, Mail, Options, Server, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

#[test]
fn credentials_are_asked_for_by_tcp_alone() {
    let mail = Mail::maildir("user", &["x\n"]);
    let arguments = ["-P", "0", "-a", "root:pass:word", "-a", "other:secret"];
    let server = Server::start(&mail, &arguments);
    let mut admin = Admin::connect(server.peep_address());
    admin.says("c?").hears("-0");
    admin.says("a root pass").hears("-2");
    admin.says("a root").hears("-1");
    admin.says("a root pass:word").hears("+");
    admin.says("a root pass:word").hears("-0");
    assert_eq!(admin.number("hc?"), 0);
    admin.says("q").hears("+");
    admin.hears_the_end();

    let begun = Instant::now();
    let mut wrong = Admin::connect(server.peep_address());
    wrong.sends(&b"a root x\r\n".repeat(7));
    for least in [200, 600, 1400, 3000, 6200].map(Duration::from_millis) {
        wrong.hears("-2");
        assert!(begun.elapsed() >= least, "the answer came after {:?}", begun.elapsed());
    }
    wrong.hears_the_end();
    // Nobody else waits for that.
    let mut owner = Admin::of(&server);
    owner.says("q").hears("+");
    owner.hears_the_end();
}

#[test]
fn how_many_administrators_there_are_and_how_often_one_may_be_wrong_can_be_set() {
    let mail = Mail::maildir("user", &["x\n"]);
    let config = "[peep]\nlisten = [\"127.0.0.1:0\"]\nconnections = 2\nfailed_logins = 1\n";
    let server = Server::with(&mail, &Options { config, arguments: &["-a", "root:x"], ..Options::default() });
    let mut first = Admin::connect(server.peep_address());
    first.says("a root x").hears("+");
    let mut wrong = Admin::connect(server.peep_address());
    wrong.says("cap?").line();
    let mut third = Admin::connect(server.peep_address());
    // It is answered once there is a seat, which the wrong one gives up at once.
    third.says("a root x");
    wrong.sends(b"a root y\r\n");
    third.hears("+");
}

#[test]
fn who_could_not_be_accepted_and_has_no_seat_any_more_costs_no_processor() {
    let mail = Mail::maildir("user", &["x\n"]);
    let config = "[peep]\nlisten = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\nconnections = 1\n";
    let server = Server::with(&mail, &Options { config, arguments: &["-a", "root:x"], ..Options::default() });
    server.logs("PEEP: listening on /");
    let log = server.log();
    let addresses = log.lines().filter_map(|line| line.split_once("PEEP: listening on 127."));
    let addresses: Vec<SocketAddr> =
        addresses.map(|(_, rest)| format!("127.{rest}").parse().unwrap()).collect();
    let before = server.descriptors();
    // No further descriptor for this process.
    let none = Rlimit { current: Some(0), maximum: getrlimit(Resource::Nofile).maximum };
    let limit = prlimit(Some(server.pid()), Resource::Nofile, none).unwrap();
    let waiting: Vec<_> = addresses.iter().map(|&address| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(waiting.len(), 2, "{log}");
    wait_until("neither is accepted", || server.log().matches("was not accepted").count() >= 4);
    prlimit(Some(server.pid()), Resource::Nofile, limit).unwrap();
    wait_until("one has the seat", || server.descriptors() > before);
    // For longer than until it would be tried again.
    let mut asleep = Instant::now();
    wait_until("the admin thread sleeps", || {
        if !sleeps(&server, "admin") {
            asleep = Instant::now();
        }
        asleep.elapsed() > Duration::from_millis(400)
    });
}

/// Whether the thread of this name waits for something.
fn sleeps(server: &Server, name: &str) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let mut states = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok());
    states.any(|state| state.contains(&format!(" ({name}) S ")))
}

#[test]
fn administrators_of_the_configuration_may_be_hashed() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::start(&mail, &[]);
    Admin::of(&server).says("u+ ann secret").hears("+");
    let accounts = fs::read_to_string(server.state().join("accounts")).unwrap();
    let hash = accounts.lines().find_map(|line| line.strip_prefix("ann:")).unwrap();
    let config =
        format!("[peep]\nlisten = [\"127.0.0.1:0\"]\n[peep.admins]\nplain = \"text\"\nhashed = \"{hash}\"\n");
    let options = Options { config: &config, arguments: &["-a", "third:word"], ..Options::default() };
    let server = Server::with(&mail, &options);
    let address = server.peep_address();
    for (user, password) in [("plain", "text"), ("hashed", "secret"), ("third", "word")] {
        let mut admin = Admin::connect(address);
        admin.says(&format!("a {user} {hash}")).hears(if hash.len() > 128 { "-1" } else { "-2" });
        admin.says(&format!("a {user} {password}x")).hears("-2");
        admin.says(&format!("a {user} {password}")).hears("+");
        assert_eq!(admin.number("cc?"), 0);
    }
    // A user of POP3 is no administrator.
    Admin::connect(address).says("a user pass").hears("-2");
    let by_default = Server::start(&mail, &["-P", "0", "-a", "root:root"]);
    assert!(by_default.peep_address().ip().is_loopback());
    let log = by_default.log();
    let mut places = log.lines().filter_map(|line| line.split_once("PEEP: listening on "));
    assert!(
        places.all(|(_, place)| ["127.0.0.1:", "[::1]:", "/"].iter().any(|it| place.starts_with(it))),
        "{log}"
    );
}

#[test]
fn without_an_administrator_the_port_stays_closed() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::start(&mail, &["-P", "0"]);
    let mut admin = Admin::of(&server);
    admin.says("v?").hears(concat!("+", env!("CARGO_PKG_VERSION")));
    server.logs("--peep-admin");
    assert!(!server.log().contains("PEEP: listening on 127"), "{}", server.log());
}

#[test]
fn a_second_server_of_one_state_folder_takes_nothing_from_the_first() {
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { state: Some(state.path()), ..Options::default() };
    let first = Server::with(&mail, &options);
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    admin.says("u+ ann secret").hears("+");
    let second = Server::with(&mail, &options);
    assert!(Client::tries(second.address(), "ann", "secret").starts_with("+OK"));
    second.logs("--state");
    drop(second);
    assert_eq!(admin.number("hu?"), 0);
    assert!(Client::tries(first.address(), "ann", "secret").starts_with("+OK"));
    let _again = Admin::at(&state.path().join("peep.sock"));
}

#[test]
fn what_is_no_socket_is_not_replaced_by_one() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "somebody's").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for socket in [&file, &link] {
        let config = format!("[peep]\nsocket = {socket:?}\n");
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        assert!(Client::tries(server.address(), "user", "pass").starts_with("+OK"));
        server.logs("no socket for PEEP");
        assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's");
        assert!(link.is_symlink());
    }
}

/// What a file or folder, and all that is in it, may be used for.
fn permits(path: &Path, files: u32, folders: u32) {
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            permits(&entry.unwrap().path(), files, folders);
        }
    }
    let mode = if path.is_dir() { folders } else { files };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_was_kept_holds_where_the_state_folder_can_only_be_read() {
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    let mut options =
        Options { state: Some(state.path()), config: "[users]\nzoe = \"pass\"\n", ..Options::default() };
    let first = Server::with(&mail, &options);
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    admin.says("u+ ann secret").hears("+");
    admin.says("u- zoe").hears("+");
    drop((first, admin));
    permits(state.path(), 0o444, 0o555);
    permits(mail.path(), 0o644, 0o755);
    if rustix::process::geteuid().is_root() {
        // Modes mean nothing to root.
        options.config = "user = \"65534\"\ngroup = \"65534\"\n[users]\nzoe = \"pass\"\n";
    }
    let second = Server::with(&mail, &options);
    permits(state.path(), 0o644, 0o755);
    second.logs("can only be read");
    assert!(Client::tries(second.address(), "ann", "secret").starts_with("+OK"));
    assert!(Client::tries(second.address(), "zoe", "pass").starts_with("-ERR [AUTH]"));
}

#[test]
fn an_administrator_who_was_taken_out_or_has_another_password_can_do_nothing_more() {
    let mail = Mail::maildir("user", &["x\n"]);
    let before = "[peep.admins]\nroot = \"root\"\nann = \"one\"\nbob = \"{PLAIN}bob\"\n";
    let arguments = ["-P", "0"];
    let server =
        Server::with(&mail, &Options { config: before, arguments: &arguments, ..Options::default() });
    let address = server.peep_address();
    let enters = |name: &str, password: &str| {
        let mut admin = Admin::connect(address);
        admin.says(&format!("a {name} {password}")).hears("+");
        admin.number("c?");
        admin
    };
    let (mut root, mut ann, mut bob) = (enters("root", "root"), enters("ann", "one"), enters("bob", "bob"));
    server.logs("bob at 127.0.0.1");
    fs::write(server.config(), before.replace("\"one\"", "\"two\"").replace("bob = \"{PLAIN}bob\"\n", ""))
        .unwrap();
    root.says("cf").hears("+");
    root.number("c?");
    for gone in [&mut ann, &mut bob] {
        gone.says("u- user").hears_the_end();
    }
    assert!(Client::tries(server.address(), "user", "pass").starts_with("+OK"));
    enters("ann", "two");
    let mut none = Admin::connect(address);
    none.says("a bob bob").hears("-2");
}

#[test]
fn an_administrator_who_takes_no_replies_is_closed_and_costs_no_memory() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::start(&mail, &[]);
    let mut stream = UnixStream::connect(server.state().join("peep.sock")).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let commands = b"st?\r\n".repeat(1000);
    // Until the server takes no more, for its replies are not taken.
    let mut sent = 0;
    let refused = loop {
        match stream.write(&commands) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 64 << 20, "the server takes all of it");
    };
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock, "{refused}");
    assert!(server.resident_memory() < 128 << 10, "{} KiB", server.resident_memory());
    let mut admin = Admin::of(&server);
    admin.says("v?").hears(concat!("+", env!("CARGO_PKG_VERSION")));
    stream.set_write_timeout(Some(Duration::from_secs(120))).unwrap();
    // Half a minute without progress: what is written then has no reader.
    while let Ok(count) = stream.write(&commands) {
        assert!(count > 0);
    }
    server.logs("closed, it took too long");
}

#[test]
fn the_socket_is_for_its_owner_whatever_its_mode() {
    if !rustix::process::geteuid().is_root() {
        println!("not shown: only root can be somebody else");
        return;
    }
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("peep.sock");
    let config = format!("peep.socket = \"{}\"\n", socket.display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let _owner = Admin::at(&socket);
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let ask = || {
        let script = "import socket, sys\n\
            s = socket.socket(socket.AF_UNIX)\n\
            s.connect(sys.argv[1])\n\
            try:\n s.sendall(b'v?\\r\\n')\n sys.stdout.write(s.recv(100).decode())\n\
            except (BrokenPipeError, ConnectionResetError): pass\n";
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", script])
            .arg(&socket)
            .output()
            .unwrap();
        (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    open(folder.path(), 0o755);
    let (is_in, _, said) = ask();
    assert!(!is_in && said.contains("PermissionError"), "the mode lets a stranger in: {said}");
    open(&socket, 0o666);
    let (is_in, heard, said) = ask();
    assert!(is_in && heard.is_empty(), "{}: {said}", heard.escape_ascii());
    server.logs("of user 65534 is not the owner");
    assert!(Admin::at(&socket).says("v?").line().starts_with('+'));
}

#[test]
fn who_comes_after_64_administrators_waits_and_the_owner_does_not() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::start(&mail, &["-P", "0", "-a", "root:secret"]);
    let address = server.peep_address();
    let mut seated: Vec<_> = (0..64).map(|_| Admin::connect(address)).collect();
    for admin in &mut seated {
        admin.says("c?").hears("-0");
    }
    let mut late = TcpStream::connect(address).unwrap();
    late.write_all(b"c?\r\n").unwrap();
    let mut owner = Admin::of(&server);
    owner.says("v?").hears(concat!("+", env!("CARGO_PKG_VERSION")));
    let mut reply = [0; 4];
    late.set_nonblocking(true).unwrap();
    assert_eq!(late.read(&mut reply).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    late.set_nonblocking(false).unwrap();
    late.set_read_timeout(Some(pop3d_tests::PATIENCE)).unwrap();
    seated.pop();
    late.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"-0\r\n");
}

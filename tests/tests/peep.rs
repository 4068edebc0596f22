//! PEEP from outside: what an administrator sets is so, at once, and still after a kill; and it costs nobody a message.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use pop3d_tests::{
    Admin, Client, End, Mail, Options, Over, Server, as_sent, light_or_heavy, message, wait_until,
};
use rustix::process::Signal;

/// Two transforms that show on the first line which of them a message went through.
const CHAINS: &str = "transform = \"first\"\n\
    [transforms.first]\ncommand = [\"sed\", \"1i X-First: yes\"]\n\
    [transforms.second]\ncommand = [\"sed\", \"1i X-Second: yes\"]\n";

fn login(server: &Server, user: &str, password: &str) -> String {
    Client::tries(server.address(), user, password)
}

/// The first header of the user's message.
fn first_line(server: &Server, user: &str) -> String {
    let mut client = Client::login_when_free(server.address(), user);
    client.says("RETR 1").hears("+OK");
    let body = client.body().unwrap();
    client.says("QUIT").hears("+OK");
    String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn what_was_set_is_still_there_after_a_kill() {
    let mail = Mail::maildir("user", &["Subject: one\n\nbody\n"]);
    let elsewhere = Mail::maildir("ann", &["Subject: elsewhere\n\nbody\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { state: Some(state.path()), config: CHAINS, ..Options::default() };
    let mut server = Server::with(&mail, &options);
    assert_eq!(first_line(&server, "user"), "X-First: yes");

    let mut admin = Admin::at(&state.path().join("peep.sock"));
    admin.says("u+ ann secret").hears("+");
    admin.says("u+ bob secret").hears("+");
    admin.says("u= bob other").hears("+");
    admin.says("u+ gone secret").hears("+");
    admin.says("u- gone").hears("+");
    admin.says("c= 77").hears("+");
    admin.says("t= 1234").hears("+");
    admin.says("tf= second,first").hears("+");
    admin.says("tf= none ann").hears("+");
    admin.says(&format!("m= {}", elsewhere.path().display())).hears("+");
    assert!(login(&server, "ann", "secret").starts_with("+OK"));
    admin.says("st?");
    server.signal(Signal::KILL);
    server.wait();

    let server = Server::with(&mail, &options);
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    assert_eq!(admin.number("c?"), 77);
    assert_eq!(admin.number("t?"), 1234);
    assert_eq!(admin.lines("tf?"), ["second", "first"]);
    assert_eq!(admin.lines("tf? ann"), Vec::<String>::new());
    assert_eq!(admin.lines("tf? bob"), ["second", "first"]);
    admin.says("m?").hears(&format!("+{}", elsewhere.path().display()));
    let users = admin.lines("u?");
    assert!(users.contains(&"ann".to_owned()) && !users.contains(&"gone".to_owned()), "{users:?}");
    assert!(login(&server, "ann", "secret").starts_with("+OK"));
    assert!(login(&server, "bob", "secret").starts_with("-ERR"));
    assert!(login(&server, "bob", "other").starts_with("+OK"));
    assert!(login(&server, "gone", "secret").starts_with("-ERR"));
    let accounts = fs::read_to_string(state.path().join("accounts")).unwrap();
    assert!(!accounts.contains("secret") && accounts.contains("ann:{ARGON2ID}$argon2id$"), "{accounts}");
    let mode = |name: &str| fs::metadata(state.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("accounts"), mode("settings.toml"), mode("peep.sock")), (0o600, 0o600, 0o600));
}

#[test]
fn of_ten_clients_five_are_served_and_five_wait() {
    let mail = Mail::maildir("user", &["x\n"]);
    let config = "[limits]\ngive_way_after = \"1h\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let mut admin = Admin::of(&server);
    admin.says("c= 5").hears("+");
    let mut served: Vec<_> = (0..5).map(|_| Client::connect(server.address())).collect();
    let mut waiting: Vec<_> = (0..5).map(|_| Client::silent(server.address())).collect();
    assert_eq!(admin.number("cc?"), 5);
    for client in &mut served {
        client.says("CAPA").hears("+OK");
        client.body().unwrap();
    }
    for client in &mut served {
        client.says("QUIT").hears("+OK");
    }
    drop(served);
    for client in &mut waiting {
        client.hears("+OK");
        client.says("USER user").hears("+OK");
    }
    assert_eq!(admin.number("cc?"), 5);
    // Open connections stay, and one more is served once there are fewer.
    admin.says("c= 1").hears("+");
    for client in &mut waiting {
        client.says("USER user").hears("+OK");
    }
    let mut late = Client::silent(server.address());
    drop(waiting);
    late.hears("+OK");
    admin.says("c= 0").hears("-5");
    admin.says("c= 99999999999").hears("-5");
    admin.says("c= five").hears("-1");
    assert_eq!(admin.number("c?"), 1);
}

#[test]
fn a_session_is_closed_without_update() {
    let mail = Mail::maildir("user", &[message(8 << 20, 1), b"two\n".to_vec()]);
    let server = Server::start(&mail, &[]);
    let mut admin = Admin::of(&server);
    let mut client = Client::login(server.address(), "user");
    client.says("DELE 2").hears("+OK");
    client.says("RETR 1").hears("+OK");
    let sessions = admin.lines("s?");
    assert_eq!(sessions.len(), 1);
    let fields: Vec<_> = sessions[0].split(' ').collect();
    assert_eq!((fields.len(), fields[1], fields[3]), (6, "user", "TRANSACTION"), "{sessions:?}");
    admin.says(&format!("k {}", fields[0])).hears("+");
    let (octets, end) = client.rest();
    assert_eq!(end, End::Reset, "a cut message looks whole");
    assert!(!octets.ends_with(b"\r\n.\r\n"));
    wait_until("the session is gone", || admin.lines("s?").is_empty());
    admin.says(&format!("k {}", fields[0])).hears("-9");
    assert_eq!(mail.files("user").len(), 2);

    let _client = Client::login_when_free(server.address(), "user");
    assert_eq!(admin.lines("cu?"), ["user"]);
    assert_eq!(admin.number("ku user"), 1);
    wait_until("the session is gone", || admin.lines("cu?").is_empty());
    assert_eq!(admin.number("ku user"), 0);
    admin.says("ku nobody").hears("-4");
}

#[test]
fn the_log_names_who_closed_sessions_and_who_silenced_it() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::start(&mail, &["-P", "0", "-a", "root:secret"]);
    let mut admin = Admin::connect(server.peep_address());
    admin.says("a root secret").hears("+");
    let _open = Client::login(server.address(), "user");
    let sessions = admin.lines("s?");
    let kick = format!("k {}", sessions[0].split(' ').next().unwrap());
    admin.says("k 0").hears("-9").says(&kick).hears("+");
    admin.says("ku nobody").hears("-4").says("ku user").line();
    admin.says("lg= loud").hears("-10").says("lg= off").hears("+");
    let refused = [
        "k 0 refused: there is no such session",
        "ku **** refused: there is no such user",
        "lg= **** refused: there is no such level",
    ];
    for told in [&kick, "ku ****", "lg= ****"].into_iter().chain(refused) {
        let end = format!(": {told}");
        let tells = |line: &str| line.contains(" pop3d::peep: root at 127.0.0.1:") && line.ends_with(&end);
        wait_until(told, || server.log().lines().any(tells));
    }
}

#[test]
fn a_chain_that_is_switched_all_the_time_loses_and_mixes_nothing() {
    let clients = light_or_heavy(20, 100);
    let text = message(20_000, 7);
    let mail = Mail::default();
    for number in 0..clients {
        let folder = mail.path().join(format!("u{number}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("1"), &text).unwrap();
    }
    let users: String = (0..clients).map(|number| format!("u{number} = \"pass\"\n")).collect();
    let config = format!("{CHAINS}[users]\n{users}");
    // Each switch is on disk before it takes effect: in memory, so that no disk bounds how often.
    let memory = Path::new("/dev/shm");
    let state = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let options = Options { config: &config, state: Some(state.path()), ..Options::default() };
    let server = Server::with(&mail, &options);
    let is_over = AtomicBool::new(false);
    let body = as_sent(&text);
    thread::scope(|scope| {
        let switching = scope.spawn(|| {
            let mut admin = Admin::at(&state.path().join("peep.sock"));
            let (mut switched, begun) = (0_u32, Instant::now());
            while !is_over.load(Ordering::Relaxed) {
                admin.sends(&b"tf= first\r\ntf= second\r\ntf= none\r\n".repeat(20));
                for _ in 0..60 {
                    admin.hears("+");
                }
                switched += 60;
            }
            f64::from(switched) / begun.elapsed().as_secs_f64()
        });
        let retrieving: Vec<_> = (0..clients)
            .map(|number| {
                let (server, body) = (&server, &body);
                scope.spawn(move || {
                    let mut client = Client::login(server.address(), &format!("u{number}"));
                    for _ in 0..light_or_heavy(10, 100) {
                        client.says("RETR 1").hears("+OK");
                        let got = client.body().unwrap();
                        let rest = got.strip_suffix(body.as_slice()).expect("the message is whole");
                        let known = [&b""[..], b"X-First: yes\r\n", b"X-Second: yes\r\n"];
                        assert!(known.contains(&rest), "{}", rest.escape_ascii());
                    }
                })
            })
            .collect();
        {
            let _over = Over(&is_over);
            for client in retrieving {
                client.join().unwrap();
            }
        }
        println!("switched {:.0} times a second", switching.join().unwrap());
    });
}

#[test]
fn a_full_disk_is_an_error_and_changes_nothing() {
    let mail = Mail::maildir("user", &["x\n"]);
    let config = "peep.transform_exec = true\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let state = server.state();
    let mut admin = Admin::of(&server);
    admin.says("u+ ann secret").hears("+");
    admin.says("c= 50").hears("+");
    let before = fs::read(state.join("accounts")).unwrap();
    // No file of this process can grow any more.
    let limit = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::prlimit(Some(server.pid()), rustix::process::Resource::Fsize, limit).unwrap();
    admin.says("u+ bob secret").hears("-12");
    admin.says("u= ann other").hears("-12");
    admin.says("u- ann").hears("-12");
    let folder = tempfile::tempdir().unwrap();
    let path = format!("m= {}", folder.path().display());
    for command in ["c= 60", "t= 77", path.as_str(), "tf= none", "tf= none user", "tfx= cat"] {
        admin.says(command).hears("-12");
    }
    // Of the configuration nothing is kept there.
    admin.says("cf").hears("+");
    assert_eq!((admin.number("c?"), admin.number("t?")), (50, 600));
    admin.says("m?").hears(&format!("+{}", mail.path().display()));
    assert_eq!((admin.lines("tf?"), admin.lines("tf? user")), (Vec::new(), Vec::new()));
    assert_eq!(admin.lines("tfl?"), Vec::<String>::new(), "what could not be kept is not there");
    assert!(login(&server, "bob", "secret").starts_with("-ERR"));
    assert!(login(&server, "ann", "secret").starts_with("+OK"));
    assert!(fs::read(state.join("accounts")).unwrap() == before);
    let names = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "half a file is left behind: {left:?}");
}

#[test]
fn a_damaged_accounts_file_is_named_and_left() {
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("accounts"), "ann:{ARGON2ID}$argon2id$v=19$broken\n").unwrap();
    let before = fs::read(state.path().join("accounts")).unwrap();
    let (status, said) = pop3d_tests::fails_to_start(&mail, state.path());
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(
        said.contains("accounts") && said.contains('1') && said.trim_end().lines().count() == 1,
        "{said}"
    );
    assert!(fs::read(state.path().join("accounts")).unwrap() == before);
}

#[test]
fn the_configuration_is_taken_whole_or_not_at_all() {
    let mail = Mail::maildir("user", &["Subject: x\n\nx\n"]);
    let server = Server::with(&mail, &Options { config: CHAINS, ..Options::default() });
    let config = server.config();
    let mut admin = Admin::of(&server);
    let write = |text: &str| fs::write(&config, text).unwrap();
    write(&format!("timeout = 700\n[users]\nnew = \"pass\"\n{}", CHAINS.split_once('\n').unwrap().1));
    admin.says("cf").hears("+");
    assert_eq!(admin.number("t?"), 700);
    assert_eq!(admin.lines("tf?"), Vec::<String>::new());
    assert!(login(&server, "new", "pass").starts_with("+OK"));
    for wrong in ["timeout = \"soon\"", "nonsense = 1", "transform = [", "workers = 1"] {
        write(wrong);
        admin.says("cf").hears("-11");
        assert_eq!(admin.number("t?"), 700);
        assert_eq!(admin.lines("tfl?").len(), 2);
    }
    // What PEEP set stays until the configuration says something else than it did then.
    write(CHAINS);
    admin.says("cf").hears("+");
    admin.says("tf= second").hears("+");
    admin.says("t= 50").hears("+");
    write(&format!("timeout = 800\n{CHAINS}"));
    admin.says("cf").hears("+");
    assert_eq!((admin.number("t?"), admin.lines("tf?")), (800, vec!["second".to_owned()]));
    // SIGHUP is the same.
    write(&format!("timeout = 900\n{CHAINS}"));
    server.signal(Signal::HUP);
    wait_until("the configuration is read", || admin.number("t?") == 900);
}

#[test]
fn users_come_and_go() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::start(&mail, &[]);
    let mut admin = Admin::of(&server);
    admin.says("u+ user x").hears("-3");
    for name in ["../x", ".x", "a/b", "a\u{202e}b"] {
        admin.says(&format!("u+ {name} x")).hears("-1");
        admin.says(&format!("u- {name}")).hears("-4");
    }
    // All in one packet, answered in their order.
    admin.sends(b"u+ ann one\r\nu+ ann two\r\nu= ann two\r\nu- nobody\r\nu= nobody x\r\nv?\r\n");
    for reply in ["+", "-3", "+", "-4", "-4", concat!("+", env!("CARGO_PKG_VERSION"))] {
        admin.hears(reply);
    }
    assert!(login(&server, "ann", "one").starts_with("-ERR"));
    let mut client = Client::connect(server.address());
    client.says("USER ann").hears("+OK");
    client.says("PASS two").hears("+OK");
    admin.says("u- ann").hears("+");
    // A session that is open stays; no new login.
    client.says("STAT").hears("+OK 0 0");
    assert_eq!(admin.lines("cu?"), ["ann"]);
    assert!(login(&server, "ann", "two").starts_with("-ERR"));
    client.says("QUIT").hears("+OK");
    admin.says("u- ann").hears("-4");
}

#[test]
fn the_chain_of_a_user_who_is_gone_can_be_seen_and_taken_away() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::with(&mail, &Options { config: CHAINS, ..Options::default() });
    let mut admin = Admin::of(&server);
    admin.says("u+ ann secret").hears("+").says("tf= second ann").hears("+").says("u- ann").hears("+");
    assert_eq!(admin.lines("tf? ann"), ["second"]);
    admin.says("tf- second").hears("-23");
    // Without an account there is nobody to set another one for.
    admin.says("tf= first ann").hears("-4").says("tf= none ann").hears("-4");
    admin.says("tf= default ann").hears("+");
    admin.says("tf? ann").hears("-4").says("tf= default ann").hears("-4");
    admin.says("tf- second").hears("+");
}

#[test]
fn the_mail_folder_is_tried_before_it_is_taken() {
    let mail = Mail::maildir("user", &["old\n"]);
    let server = Server::start(&mail, &[]);
    let mut admin = Admin::of(&server);
    let other = Mail::maildir("user", &["new\n", "newer\n"]);
    let file = other.path().join("file");
    fs::write(&file, "").unwrap();
    for wrong in [Path::new("/nowhere/at/all"), &file] {
        admin.says(&format!("m= {}", wrong.display())).hears("-6");
    }
    admin.says("m?").hears(&format!("+{}", mail.path().display()));
    let mut open = Client::login(server.address(), "user");
    admin.says(&format!("m= {}", other.path().display())).hears("+");
    open.says("STAT").hears("+OK 1 ");
    open.says("RETR 1").hears("+OK");
    assert_eq!(open.body().unwrap(), b"old\r\n");
    let mut new = Client::login(server.address(), "user");
    new.says("STAT").hears("+OK 2 ");
    // Of the maildrop that is open still there is no second session.
    admin.says(&format!("m= {}", mail.path().display())).hears("+");
    assert!(login(&server, "user", "pass").starts_with("-ERR [IN-USE]"));
}

#[test]
fn a_mail_folder_that_hangs_holds_up_no_other_administrator() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let hung = folder.path().display();
    // A file system of which no one answers, for this process and the server that it becomes.
    let mount = format!("mount -i -t fuse -o fd=5,rootmode=40000,user_id=0,group_id=0 hung {hung}");
    let can_mount = format!("exec 5<>/dev/fuse && unshare -m {mount}");
    if !Command::new("bash").args(["-c", &can_mount]).stderr(Stdio::null()).status().unwrap().success() {
        println!("not shown: no file system can be mounted here");
        return;
    }
    let before =
        format!("exec 5<>/dev/fuse; exec unshare -m sh -c '{mount} && exec \"$0\" \"$@\"' \"$0\" \"$@\"");
    let server = Server::with(&mail, &Options { before: &before, ..Options::default() });
    let mut waiting = UnixStream::connect(server.state().join("peep.sock")).unwrap();
    waiting.write_all(format!("m= {hung}\r\n").as_bytes()).unwrap();
    let mut admin = Admin::of(&server);
    for seconds in 600..650 {
        admin.says(&format!("t= {seconds}")).hears("+");
    }
    waiting.set_nonblocking(true).unwrap();
    let refused = waiting.read(&mut [0; 4]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock, "the folder does not hang: {refused}");
}

#[test]
fn the_range_of_connections_is_what_the_process_can_hold() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::with(&mail, &Options { before: "ulimit -n 300", ..Options::default() });
    let mut admin = Admin::of(&server);
    let lines = admin.lines("cap?");
    let most: u64 = lines[1].strip_prefix("c=1-").unwrap().parse().unwrap();
    assert!((100..300).contains(&most), "{lines:?}");
    assert_eq!(admin.number("c?"), most, "what is configured is more");
    admin.says(&format!("c= {}", most + 1)).hears("-5");
    admin.says(&format!("c= {most}")).hears("+");
    let mut clients: Vec<_> = (0..most).map(|_| Client::connect(server.address())).collect();
    let mut late = Client::silent(server.address());
    assert_eq!(admin.number("cc?"), most);
    clients.pop();
    late.hears("+OK");
}

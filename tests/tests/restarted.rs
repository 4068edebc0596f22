//! What administrators were told has been done, after the configuration is read again and after a restart.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::TcpStream;
use std::thread;

use pop3d_tests::{Admin, Client, Mail, Options, Server, message, wait_until};
use rustix::process::Signal;
use tempfile::TempDir;

/// A server that can be started again, with another configuration.
struct House {
    mail: Mail,
    state: TempDir,
}

impl House {
    fn new() -> Self {
        Self { mail: mail(), state: tempfile::tempdir().unwrap() }
    }

    fn start(&self, config: &str) -> Server {
        Server::with(&self.mail, &Options { config, state: Some(self.state.path()), ..Options::default() })
    }

    fn admin(&self) -> Admin {
        Admin::at(&self.state.path().join("peep.sock"))
    }
}

fn mail() -> Mail {
    let mail = Mail::maildir("user", &["x\n"]);
    fs::create_dir(mail.path().join("ann")).unwrap();
    fs::write(mail.path().join("ann/1"), "x\n").unwrap();
    mail
}

fn stop(mut server: Server) {
    server.signal(Signal::TERM);
    server.wait();
}

fn login(server: &Server, user: &str, password: &str) -> bool {
    let reply = Client::tries(server.address(), user, password);
    // Whose password is right may meet the session before, of which the server does not know yet that its client has gone.
    reply.starts_with("+OK") || reply.starts_with("-ERR [IN-USE]")
}

#[test]
fn a_program_that_a_chain_names_again_is_there_after_a_restart() {
    let house = House::new();
    let config = "peep.transform_exec = true\n";
    let server = house.start(config);
    let mut admin = house.admin();
    admin.says("tfx= sed%20s/x/y/").hears("+").says("tf= none").hears("+").says("tf= exec user").hears("+");
    stop(server);
    let server = house.start(config);
    assert_eq!(house.admin().lines("tf? user"), ["exec"]);
    assert_eq!(body(&server), b"y\r\n");
    // What no chain names any more is of no use, and nothing to fail for.
    house.admin().says("tf= default user").hears("+").says("tfx= sed%20s/x/z/").hears("+");
    stop(server);
    let server = house.start("transform = \"cat\"\npeep.transform_exec = false\n");
    assert_eq!(body(&server), b"x\r\n");
}

#[test]
fn who_is_started_while_another_stops_has_what_that_one_kept_and_keeps_more() {
    let house = &House { mail: Mail::flat("user", &[message(16 << 20, 1)]), ..House::new() };
    let config = |port| format!("[peep]\nlisten = [\"127.0.0.1:{port}\"]\nadmins.root = \"root\"\n");
    let before = house.start(&config(0));
    let port = before.peep_address();
    house.admin().says("u+ ann old").hears("+");
    let mut client = Client::login(before.address(), "user");
    client.says("RETR 1").hears("+OK");
    before.signal(Signal::TERM);
    before.logs("stopping");
    wait_until("its ports are free", || TcpStream::connect(port).is_err());
    let server = thread::scope(|scope| {
        let log = house.state.path().join("after.log");
        let config = format!("[log]\nfile = {log:?}\n{}", config(port.port()));
        let (state, after) = (Some(house.state.path()), log.clone());
        let after = scope.spawn(move || {
            let options = Options { config: &config, state, log: Some(&after), ..Options::default() };
            Server::with(&house.mail, &options)
        });
        // Its message is under way until it is read, and as long the one before is there.
        let said = || fs::read_to_string(&log).unwrap_or_default();
        wait_until("the next one waits", || said().contains("and stops: waiting for it"));
        client.body().unwrap();
        drop(client);
        after.join().unwrap()
    });
    assert_eq!(server.peep_address(), port);
    assert!(login(&server, "ann", "old"));
    // What was sent while it stopped is counted too.
    assert_eq!(house.admin().number("re?"), 1);
    house.admin().says("u+ bob new").hears("+");
    stop(server);
    assert!(login(&house.start(""), "bob", "new"));
    stop(before);
}

fn body(server: &Server) -> Vec<u8> {
    let mut client = Client::login_when_free(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    client.body().unwrap()
}

#[test]
fn of_an_account_that_was_removed_nothing_comes_back_with_one_of_its_name() {
    let house = House::new();
    let config =
        "[users.ann]\npassword = \"x\"\ndelete = false\napp_passwords = { phone = \"{PLAIN}tap\" }\n";
    let server = house.start(config);
    let mut admin = house.admin();
    assert!(login(&server, "ann", "tap"));
    let secret = admin.says("ua+ ann radio").line();
    let secret = secret.strip_prefix('+').unwrap();
    assert!(login(&server, "ann", secret));
    admin.says("u- ann").hears("+").says("u+ ann new").hears("+");
    let are_gone = |server: &Server, admin: &mut Admin| {
        assert!(admin.lines("ua? ann").is_empty());
        assert!(!login(server, "ann", "tap") && !login(server, "ann", secret));
        // What the configuration says of the account holds for whoever has it.
        let mut client = Client::connect(server.address());
        client.says("USER ann").hears("+OK");
        client.says("PASS new").hears("+OK");
        client.says("DELE 1").hears("-ERR [SYS/PERM]");
    };
    are_gone(&server, &mut admin);
    admin.says("cf").hears("+");
    are_gone(&server, &mut admin);
    stop(server);
    let server = house.start(config);
    are_gone(&server, &mut house.admin());
}

#[test]
fn who_gets_a_name_that_was_taken_out_of_the_configuration_gets_none_of_its_app_passwords() {
    let house = House::new();
    let with = |password: &str| format!("[users]\nann = {password:?}\n");
    for is_started_anew in [false, true] {
        let server = house.start(&with("one"));
        let mut admin = house.admin();
        let secret = admin.says("ua+ ann phone").line();
        let secret = secret.strip_prefix('+').unwrap();
        assert!(login(&server, "ann", secret));
        // A file that cannot be taken makes nothing forgotten.
        let config = fs::read_to_string(server.config()).unwrap();
        fs::write(server.config(), "[users]\nann = \n").unwrap();
        admin.says("cf").hears("-11");
        fs::write(server.config(), &config).unwrap();
        admin.says("cf").hears("+");
        assert!(login(&server, "ann", secret));
        let server = if is_started_anew {
            stop(server);
            house.start("[users]\nbob = \"two\"\n")
        } else {
            fs::write(server.config(), config.replace("ann = \"one\"\n", "bob = \"two\"\n")).unwrap();
            admin.says("cf").hears("+");
            server
        };
        assert!(!login(&server, "ann", secret));
        assert!(!fs::read_to_string(house.state.path().join("app-passwords")).unwrap().contains("\nann:"));
        stop(server);
        let server = house.start(&with("another"));
        assert!(house.admin().lines("ua? ann").is_empty() && !login(&server, "ann", secret));
        assert!(login(&server, "ann", "another"));
        stop(server);
    }
}

#[test]
fn what_the_configuration_gives_an_account_while_it_is_removed_holds_once_it_is_added() {
    let house = House::new();
    let server = house.start("[users]\nann = \"one\"\n");
    let mut admin = house.admin();
    admin.says("u- ann").hears("+");
    let config = fs::read_to_string(server.config()).unwrap();
    let with = "ann = { password = \"two\", app_passwords = { q = \"tap\" } }\n";
    fs::write(server.config(), config.replace("ann = \"one\"\n", with)).unwrap();
    admin.says("cf").hears("+");
    assert!(!login(&server, "ann", "tap"));
    admin.says("u+ ann new").hears("+");
    for _ in 0..2 {
        assert_eq!(admin.lines("ua? ann").len(), 1);
        assert!(
            login(&server, "ann", "tap") && login(&server, "ann", "new") && !login(&server, "ann", "two")
        );
        admin.says("cf").hears("+");
    }
}

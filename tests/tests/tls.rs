//! TLS: what is sent through it, what ends it, what must not get through, and certificates that change under it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::{fs, thread};

use pop3d_tests::tls::{Certificate, Wire, certificate, config};
use pop3d_tests::{
    Admin, Client, End, Mail, Options, Over, Server, as_sent, light_or_heavy, message, wait_until,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};

const SELF_SIGNED: [&str; 3] = ["--tls-self-signed", "--pop3s-port", "0"];

/// Longer than what the buffers of two sockets take.
const LONG: usize = 64 << 20;

/// Most memory that the server may have had, in KiB.
const MEMORY_MAX: u64 = 96 * 1024;

fn self_signed(mail: &Mail) -> Server {
    Server::start(mail, &SELF_SIGNED)
}

fn login(server: &Server, user: &str) -> Client {
    let mut client = Client::connect_tls(server.pop3s_address());
    client.says(&format!("USER {user}")).hears("+OK");
    client.says("PASS pass").hears("+OK");
    client
}

/// A server with the certificate of two files, and what is said in `[tls]` besides.
fn with_files(mail: &Mail, files: &Certificate, keys: &str) -> Server {
    let config = format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}\nlisten = [\"127.0.0.1:0\"]\n{keys}",
        files.certificate, files.key
    );
    Server::with(mail, &Options { config: &config, ..Options::default() })
}

/// The certificate that a client is shown.
fn shown(server: &Server) -> Vec<u8> {
    let mut client = Client::connect_tls(server.pop3s_address());
    client.wire().tls().peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_long_message_comes_whole_and_in_little_memory() {
    // The first goes from its file as it stands, the second through the encoder.
    let clean = as_sent(&message(LONG, 1));
    let other = [b".\n", &message(LONG, 2)[..]].concat();
    let mail = Mail::flat("user", &[&clean, &other]);
    let server = self_signed(&mail);
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let mut client = Client::silent(server.pop3s_address());
        client.wire().start_tls_with(config(versions), "localhost").unwrap();
        client.hears("+OK");
        client.says("USER user").hears("+OK");
        client.says("PASS pass").hears("+OK");
        for (number, message) in [(1, &clean), (2, &other)] {
            client.says(&format!("RETR {number}")).hears("+OK");
            assert!(client.body().unwrap() == as_sent(message));
        }
        client.says("QUIT").hears("+OK");
        assert_eq!(client.rest().1, End::Closed);
        wait_until("the maildrop is free", || Admin::of(&server).number("cc?") == 0);
    }
    assert!(server.peak_memory() < MEMORY_MAX, "{} KiB", server.peak_memory());
}

#[test]
fn many_messages_asked_for_at_once_by_a_client_that_reads_late_come_whole() {
    let messages: Vec<_> = (0..40).map(|seed| message(300_000, seed)).collect();
    let mail = Mail::flat_in_order("user", &messages);
    let server = Server::start(&mail, &[&SELF_SIGNED[..], &["-t", "cat"]].concat());
    let mut client = login(&server, "user");
    let commands: String = (1..=messages.len()).map(|number| format!("RETR {number}\r\n")).collect();
    client.sends(commands.as_bytes());
    for message in &messages {
        client.hears("+OK");
        assert!(client.body().unwrap() == as_sent(message));
    }
}

#[test]
fn a_client_that_says_all_and_ends_its_half_hears_all() {
    let mail = Mail::flat("user", &["Subject: x\n\nbody\n"]);
    let server = self_signed(&mail);
    let mut client = Client::connect_tls(server.pop3s_address());
    client.sends(b"USER user\r\nPASS pass\r\nSTAT\r\nDELE 1\r\nQUIT\r\n");
    let Wire::Tls(stream) = client.wire() else { panic!() };
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    client.ends();
    for _ in 0..5 {
        client.hears("+OK");
    }
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
    assert!(mail.files("user").is_empty());
}

#[test]
fn a_cut_message_has_neither_a_termination_octet_nor_a_close_notify() {
    let mail = Mail::flat("user", &[message(LONG, 1)]);
    // Before the client takes anything, and in the midst of it.
    for octets in [100_000, 10_000_000] {
        let filter = format!("sh -c 'head -c {octets}; exit 1'");
        let server = Server::start(&mail, &[&SELF_SIGNED[..], &["-t", &filter]].concat());
        let mut client = login(&server, "user");
        client.says("RETR 1").hears("+OK");
        let (heard, end) = client.rest();
        assert_eq!(end, End::Reset, "after {} octets", heard.len());
        assert!(!heard.ends_with(b"\r\n.\r\n"));
    }
    // A server that is ended at once cuts as well.
    let server = self_signed(&mail);
    let mut client = login(&server, "user");
    client.says("RETR 1").hears("+OK");
    server.signal(Signal::TERM);
    server.logs("stopping");
    server.signal(Signal::TERM);
    assert_eq!(client.rest().1, End::Reset);
}

#[test]
fn records_that_are_wrong_cost_their_connection_and_nothing_else() {
    let mail = Mail::flat("user", &["1\n"]);
    let server = self_signed(&mail);
    let mut other = login(&server, "other");
    // A record of nonsense, one of an alert, one too long, and no record.
    let records: [&[u8]; 4] = [
        &[
            0x17, 3, 3, 0, 32, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2,
            3, 4, 5, 6, 7, 8,
        ],
        &[0x15, 3, 3, 0, 2, 1, 0],
        &[0x17, 3, 3, 0xFF, 0xFF, 0],
        b"QUIT\r\n",
    ];
    for record in records {
        let mut client = Client::login_when_free(server.address(), "user");
        client.says("QUIT").hears("+OK");
        let mut client = login(&server, "user");
        client.says("DELE 1").hears("+OK");
        client.wire().socket().write_all(record).unwrap();
        assert_ne!(client.rest().1, End::Closed);
    }
    other.says("NOOP").hears("+OK");
    let mut client = Client::login_when_free(server.address(), "user");
    client.says("STAT").hears("+OK 1 ");
}

#[test]
fn a_handshake_that_comes_octet_by_octet_is_one() {
    let server = self_signed(&Mail::default());
    let mut client = Client::silent(server.pop3s_address());
    let socket = client.wire().socket().try_clone().unwrap();
    let name = "localhost".try_into().unwrap();
    let tls = rustls::ClientConnection::new(config(&[&TLS13]).into(), name).unwrap();
    let mut stream = rustls::StreamOwned::new(tls, Dribble(socket));
    stream.write_all(b"CAPA\r\nQUIT\r\n").unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert!(heard.starts_with("+OK") && heard.ends_with(".\r\n+OK goodbye\r\n"), "{heard}");
}

/// A socket that is written to octet by octet.
struct Dribble(std::net::TcpStream);

impl Read for Dribble {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Dribble {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.write(&octets[..octets.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_handshake_that_never_ends_ends_after_the_time_before_login() {
    let mail = Mail::default();
    let config = "login_timeout = 3\n";
    let server = Server::with(&mail, &Options { arguments: &SELF_SIGNED, config, ..Options::default() });
    for beginning in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1]] {
        let mut client = Client::silent(server.pop3s_address());
        client.sends(beginning);
        let (heard, _) = client.rest();
        assert!(heard.is_empty());
    }
    let mut client = Client::connect(server.address());
    client.says("STLS").hears("+OK");
    client.sends(&[0x16, 3, 1, 2, 0, 1]);
    assert!(client.rest().0.is_empty());
    wait_until("the connections are gone", || Admin::of(&server).number("cc?") == 0);
}

#[test]
fn a_server_that_stops_does_not_wait_for_handshakes() {
    let mut server = self_signed(&Mail::default());
    let mut begun = Client::silent(server.pop3s_address());
    begun.sends(&[0x16, 3, 1]);
    wait_until("it is served", || Admin::of(&server).number("cc?") == 1);
    let mut client = Client::connect_tls(server.pop3s_address());
    server.signal(Signal::TERM);
    client.hears("-ERR [SYS/TEMP]");
    assert_eq!(client.rest().1, End::Closed);
    assert_eq!(begun.rest(), (Vec::new(), End::Closed));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_comes_in_the_clear_right_behind_stls_is_not_carried_out() {
    let mail = Mail::flat("user", &["1\n"]);
    let server = self_signed(&mail);
    for (behind, part) in
        [("", ""), ("USER user\r\n", ""), ("USER us", "er\r\nPASS pass\r\n"), ("\r\n", "NOOP\r\n")]
    {
        let mut client = Client::connect(server.address());
        client.sends(format!("STLS\r\n{behind}").as_bytes()).hears("+OK");
        if part.is_empty() {
            client.starts_tls();
            client.says("PASS pass").hears("-ERR send USER first");
        } else {
            // In the place of TLS: it is the end.
            client.sends(part.as_bytes());
            let (heard, end) = client.rest();
            assert!(heard.first().is_none_or(|&octet| octet == 0x15), "{}", heard.escape_ascii());
            assert!(end == End::Closed || end == End::Reset);
        }
    }
    // What is logged behind them all.
    Client::login(server.address(), "other").says("QUIT").hears("+OK");
    server.logs("user other");
    assert!(!server.log().contains("user user"), "{}", server.log());
}

#[test]
fn certificates_are_replaced_while_clients_come() {
    let (mail, folder) = (Mail::default(), tempfile::tempdir().unwrap());
    let first = certificate(folder.path(), "a", &["localhost"]);
    let server = with_files(&mail, &first, "");
    assert_eq!(shown(&server), first.octets.as_ref());
    let (is_over, served) = (AtomicBool::new(false), AtomicU32::new(0));
    let clients = u32::try_from(light_or_heavy(4, 100)).unwrap();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut client = Client::connect_tls(server.pop3s_address());
                    client.says("CAPA").hears("+OK");
                    client.body().unwrap();
                    client.says("QUIT").hears("+OK");
                    assert_eq!(client.rest().1, End::Closed);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _over = Over(&is_over);
        let mut held = Client::connect_tls(server.pop3s_address());
        for _ in 0..5 {
            let renewed = certificate(folder.path(), "a", &["localhost"]);
            server.signal(Signal::HUP);
            wait_until("the renewed certificate is shown", || shown(&server) == renewed.octets.as_ref());
            let before = served.load(Ordering::Relaxed);
            wait_until("others are served", || served.load(Ordering::Relaxed) > before + clients);
        }
        held.says("CAPA").hears("+OK");
        held.body().unwrap();
    });
}

#[test]
fn a_pair_that_is_none_leaves_the_old_one_and_is_told() {
    let (mail, folder) = (Mail::default(), tempfile::tempdir().unwrap());
    let first = certificate(folder.path(), "a", &["localhost"]);
    let server = with_files(&mail, &first, "");
    let mut admin = Admin::of(&server);
    let key = fs::read(&first.key).unwrap();
    let spoil = |path: &Path, octets: &[u8], why: &str, admin: &mut Admin| {
        fs::write(path, octets).unwrap();
        assert_eq!(admin.says("cf").line(), "-11");
        server.logs(why);
        assert_eq!(shown(&server), first.octets.as_ref());
    };
    spoil(&first.key, b"", "no private key in it", &mut admin);
    let other = certificate(folder.path(), "b", &["localhost"]);
    spoil(&first.key, &fs::read(&other.key).unwrap(), "not the key of the certificate", &mut admin);
    // A pipe that nobody writes to is not waited for.
    fs::remove_file(&first.key).unwrap();
    mknodat(CWD, &first.key, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert_eq!(admin.says("cf").line(), "-11");
    server.logs("it is no regular file");
    fs::remove_file(&first.key).unwrap();
    fs::write(&first.key, key).unwrap();
    assert_eq!(admin.says("cf").line(), "+");
    let renewed = certificate(folder.path(), "a", &["localhost"]);
    assert_eq!(admin.says("cf").line(), "+");
    assert_eq!(shown(&server), renewed.octets.as_ref());
}

#[test]
fn a_renewed_certificate_is_found_and_each_name_has_its_own() {
    let (mail, folder) = (Mail::default(), tempfile::tempdir().unwrap());
    let first = certificate(folder.path(), "a", &["a.example"]);
    let second = certificate(folder.path(), "b", &["b.example"]);
    let further = format!("[[tls.sni]]\ncertificate = {:?}\nkey = {:?}\n", second.certificate, second.key);
    let server = with_files(&mail, &first, &further);
    let shown = |name: &str| {
        let mut client = Client::silent(server.pop3s_address());
        client.wire().start_tls_with(config(&[&TLS13]), name).unwrap();
        client.wire().tls().peer_certificates().unwrap()[0].to_vec()
    };
    assert_eq!(shown("a.example"), first.octets.as_ref());
    assert_eq!(shown("b.example"), second.octets.as_ref());
    assert_eq!(shown("other.example"), first.octets.as_ref());
    let renewed = certificate(folder.path(), "b", &["b.example"]);
    wait_until("the renewed one is shown", || shown("b.example") == renewed.octets.as_ref());
    assert_eq!(shown("a.example"), first.octets.as_ref());
    fs::write(&renewed.key, "").unwrap();
    server.logs("no private key in it");
    assert_eq!(shown("b.example"), renewed.octets.as_ref());
    let statistics = Admin::of(&server).lines("st?");
    for number in 1..=2 {
        let line = format!("pop3d_tls_certificate_days{{number=\"{number}\"}} ");
        assert!(statistics.iter().any(|it| it.starts_with(&line)), "{statistics:?}");
    }
}

#[test]
fn a_version_too_old_is_not_spoken() {
    let (mail, folder) = (Mail::default(), tempfile::tempdir().unwrap());
    let files = certificate(folder.path(), "a", &["localhost"]);
    let server = with_files(&mail, &files, "min_version = \"1.3\"\n");
    let mut client = Client::silent(server.pop3s_address());
    assert!(client.wire().start_tls_with(config(&[&TLS12]), "localhost").is_err());
    client.wire().socket().shutdown(Shutdown::Both).unwrap();
    drop(Client::connect_tls(server.pop3s_address()));
    let mut client = Client::connect(server.address());
    client.says("STLS").hears("+OK");
    client.starts_tls().says("QUIT").hears("+OK");
    let statistics = Admin::of(&server).lines("st?");
    for line in
        ["pop3d_tls_handshakes_total{result=\"ok\"} 2", "pop3d_tls_handshakes_total{result=\"failed\"} 1"]
    {
        assert!(statistics.iter().any(|it| it == line), "{statistics:?}");
    }
}

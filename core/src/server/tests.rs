//! Who is let in by a server that serves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use rustix::net::{AddressFamily, SendFlags, SocketType, bind, connect, send, socket};

use super::*;
use crate::nets::Nets;
use crate::settings::{FailedLogins, Limits};
use crate::shared::tests::settings;

#[test]
fn connections_leave_descriptors_for_all_else() {
    for (limit, own, connections) in
        [(usize::MAX, 30, usize::MAX - 128), (1024, 30, 896), (100, 30, 50), (40, 30, 6), (20, 30, 1)]
    {
        assert_eq!(connections_for(limit, own), connections, "{limit}");
    }
    assert!(open_descriptors() >= 3);
}

/// A client with an address of its own among those of loopback.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(from: [u8; 4], server: SocketAddr) -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((Ipv4Addr::from(from), 0))).unwrap();
        connect(&socket, &server).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(BufReader::new(stream))
    }

    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn says(&mut self, line: &str) -> String {
        write!(self.0.get_mut(), "{line}\r\n").unwrap();
        self.hears()
    }

    fn hears_the_end(mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn who_fails_too_often_hears_no_greeting_and_others_do() {
    let mut server = Server::new(1, 1).unwrap();
    let address = server.listen(SocketAddr::from(([127, 0, 0, 1], 0)), Protocol::Pop3).unwrap();
    let failed_logins = FailedLogins { refused_after: Some(4), ..Default::default() };
    let excepted = Nets::none();
    let limits = Limits { failed_login_delay: Duration::ZERO, failed_logins, excepted, ..Limits::default() };
    let running = server.start(settings(limits), Totals::default()).unwrap();
    let mut other = Client::new([127, 0, 0, 4], address);
    assert!(other.hears().starts_with("+OK"));

    let mut guesser = Client::new([127, 0, 0, 3], address);
    guesser.hears();
    for _ in 0..3 {
        assert!(guesser.says("USER user").starts_with("+OK"));
        assert!(guesser.says("PASS wrong").starts_with("-ERR [AUTH]"));
    }
    guesser.hears_the_end();
    let mut guesser = Client::new([127, 0, 0, 3], address);
    assert!(guesser.hears().starts_with("+OK"));
    let mut waiting = Client::new([127, 0, 0, 3], address);
    assert!(waiting.hears().starts_with("+OK"));
    guesser.says("USER user");
    assert!(guesser.says("PASS wrong").starts_with("-ERR [AUTH]"));

    let turned_away =
        "-ERR [SYS/TEMP] too many failed logins from your address, wait and try again later\r\n";
    let mut refused = Client::new([127, 0, 0, 3], address);
    assert_eq!(refused.hears(), turned_away);
    refused.hears_the_end();
    // One that had come before.
    waiting.says("USER user");
    assert_eq!(waiting.says("PASS wrong"), turned_away);
    waiting.hears_the_end();

    assert!(Client::new([127, 0, 0, 5], address).hears().starts_with("+OK"));
    other.says("USER user");
    assert!(other.says("PASS wrong").starts_with("-ERR [AUTH]"));

    let (handle, guessing) = (running.handle(), IpAddr::from([127, 0, 0, 3]));
    let refused = handle.refused_addresses();
    assert_eq!(refused.iter().map(|&(address, _)| address).collect::<Vec<_>>(), [guessing]);
    assert!(handle.admit_address(guessing) && !handle.admit_address(guessing));
    assert_eq!(handle.refused_addresses(), []);
    assert!(Client::new([127, 0, 0, 3], address).hears().starts_with("+OK"));
    running.drain(Duration::ZERO);
}

#[test]
fn what_stands_behind_an_urgent_octet_is_read_without_more_to_come() {
    let mut server = Server::new(1, 1).unwrap();
    let address = server.listen(SocketAddr::from(([127, 0, 0, 1], 0)), Protocol::Pop3).unwrap();
    let limits = Limits { failed_login_delay: Duration::from_millis(200), ..Limits::default() };
    let running = server.start(settings(limits), Totals::default()).unwrap();
    let mut client = Client::new([127, 0, 0, 1], address);
    client.hears();
    client.says("USER user");
    // While the answer is held back nothing is read: then all of this is there at once.
    write!(client.0.get_mut(), "PASS wrong\r\nUS").unwrap();
    send(client.0.get_ref(), b"!", SendFlags::OOB).unwrap();
    write!(client.0.get_mut(), "ER user\r\n").unwrap();
    assert!(client.hears().starts_with("-ERR [AUTH]"));
    assert!(client.hears().starts_with("+OK"));
    running.drain(Duration::ZERO);
}

#[test]
fn the_first_who_is_silent_gives_way() {
    let mut server = Server::new(1, 1).unwrap();
    let address = server.listen(SocketAddr::from(([127, 0, 0, 1], 0)), Protocol::Pop3).unwrap();
    let limits = Limits { connections: 2, give_way_after: Duration::ZERO, ..Limits::default() };
    let running = server.start(settings(limits), Totals::default()).unwrap();
    let from = [127, 0, 0, 1];
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::new(from, address);
        assert!(client.hears().starts_with("+OK"));
        clients.push(client);
    }
    for _ in 0..10 {
        let mut client = Client::new(from, address);
        assert!(client.hears().starts_with("+OK"));
        clients.push(client);
        let mut first = clients.remove(0);
        assert_eq!(first.hears(), "-ERR [SYS/TEMP] server is full and you were silent, try again later\r\n");
        first.hears_the_end();
        assert_eq!(running.handle().sessions().count(), 2);
    }
    // Who waits for an answer is not silent.
    let limits = Limits {
        connections: 2,
        give_way_after: Duration::ZERO,
        failed_login_delay: Duration::from_secs(3600),
        ..Limits::default()
    };
    running.handle().replace_settings(settings(limits));
    let mut busy = clients.remove(0);
    write!(busy.0.get_mut(), "USER user\r\nPASS wrong\r\n").unwrap();
    assert!(busy.hears().starts_with("+OK"));
    let mut next = Client::new(from, address);
    assert!(next.hears().starts_with("+OK"));
    assert!(clients.remove(0).hears().starts_with("-ERR [SYS/TEMP]"));
    running.drain(Duration::ZERO);
}

#[test]
fn who_is_silent_at_one_worker_gives_way_to_who_waits_at_another() {
    let mut server = Server::new(2, 1).unwrap();
    let address = server.listen(SocketAddr::from(([127, 0, 0, 1], 0)), Protocol::Pop3).unwrap();
    let limits = Limits { connections: 1, give_way_after: Duration::ZERO, ..Limits::default() };
    let running = server.start(settings(limits), Totals::default()).unwrap();
    let mut before = Client::new([127, 0, 0, 1], address);
    assert!(before.hears().starts_with("+OK"));
    // The kernel has each of them come to the one or to the other.
    for _ in 0..20 {
        let mut client = Client::new([127, 0, 0, 1], address);
        assert!(client.hears().starts_with("+OK"));
        assert_eq!(before.hears(), "-ERR [SYS/TEMP] server is full and you were silent, try again later\r\n");
        before.hears_the_end();
        before = client;
    }
    running.drain(Duration::ZERO);
}

#[test]
fn who_is_no_balancer_is_closed_and_a_balancer_speaks_for_its_client() {
    let mut server = Server::new(1, 1).unwrap();
    let address = server.listen_for_balancers(SocketAddr::from(([127, 0, 0, 1], 0)), Protocol::Pop3).unwrap();
    let proxies = ["127.0.0.2".parse().unwrap()].into_iter().collect();
    let limits = Limits { proxies, connections_per_address: 2, ..Limits::default() };
    let running = server.start(settings(limits), Totals::default()).unwrap();
    let (balancer, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 110\r\n";
    let sends = |from, pieces: &[&[u8]]| {
        let mut client = Client::new(from, address);
        for piece in pieces {
            // It may have been closed before.
            let _ = client.0.get_mut().write_all(piece);
        }
        client
    };
    let is_closed = |mut client: Client| {
        let mut heard = Vec::new();
        // A reset where the server did not read all.
        let _ = client.0.read_to_end(&mut heard);
        assert!(heard.is_empty(), "{}", heard.escape_ascii());
    };
    is_closed(sends(other, &[header]));
    is_closed(sends(balancer, &[b"USER user\r\n"]));
    let mut ending = sends(balancer, &[b"PROXY TCP4 "]);
    ending.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    is_closed(ending);

    // Cut anywhere, and with what the client says behind it in one piece.
    let (first, second) = header.split_at(20);
    let mut cut = sends(balancer, &[first, second]);
    assert!(cut.hears().starts_with("+OK"));
    let together = [header, &b"NOOP\r\nQUIT\r\n"[..]].concat();
    let mut together = sends(balancer, &[&together]);
    assert!(together.hears().starts_with("+OK"));
    assert!(together.hears().starts_with("-ERR"));
    assert!(together.hears().starts_with("+OK"));
    let addresses = || {
        let sessions = running.handle().sessions().list();
        sessions.iter().map(|session| session.address.to_string()).collect::<Vec<_>>()
    };
    assert!(addresses().contains(&"192.0.2.7:50000".to_owned()), "{:?}", addresses());

    // The limit is that of the client's address, and the other one is none of its.
    let mut second = sends(balancer, &[header]);
    let told = second.hears();
    let third = sends(balancer, &[header]).hears();
    assert!(told.starts_with("-ERR") || third.starts_with("-ERR"), "{told} {third}");
    let mut local = sends(balancer, &[b"PROXY UNKNOWN\r\n"]);
    assert!(local.hears().starts_with("+OK"));
    assert!(addresses().iter().any(|address| address.starts_with("127.0.0.2:")));
    running.drain(Duration::ZERO);
}

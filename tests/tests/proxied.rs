//! Behind a balancer that speaks the PROXY protocol, or a proxy that says XCLIENT: clients have their own addresses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;

use pop3d_tests::{Admin, Client, Mail, Options, Server, wait_until};

/// What a balancer says of a client, in the two forms of the protocol.
fn headers() -> [Vec<u8>; 2] {
    let first = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 995\r\n".to_vec();
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C".to_vec();
    second.extend([192, 0, 2, 7, 198, 51, 100, 1]);
    second.extend(50_000_u16.to_be_bytes());
    second.extend(995_u16.to_be_bytes());
    [first, second]
}

fn served(server: &Server) -> SocketAddr {
    let mut address = None;
    wait_until("the server listens for balancers", || {
        let log = server.log();
        address =
            log.lines().find_map(|line| line.split_once("PROXY protocol: listening on ")?.1.parse().ok());
        address.is_some()
    });
    address.unwrap()
}

#[test]
fn pop3s_begins_behind_the_header_and_the_client_is_who_it_names() {
    let mail = Mail::maildir("user", &["Subject: x\n\nx\n"]);
    let config = "[proxy]\npop3s_listen = [\"127.0.0.1:0\"]\nnets = [\"127.0.0.1\"]\n\
                  [tls]\nrequire_tls = \"login\"\ncleartext_nets = []\n";
    let arguments = ["--tls-self-signed", "--pop3s-port", "0"];
    let server = Server::with(&mail, &Options { config, arguments: &arguments, ..Options::default() });
    let address = served(&server);
    for header in headers() {
        let mut client = Client::silent(address);
        client.sends(&header);
        client.starts_tls();
        client.hears("+OK");
        client.says("USER user").hears("+OK");
        client.says("PASS pass").hears("+OK");
        let sessions = Admin::of(&server).lines("s?");
        assert!(sessions.iter().any(|line| line.contains(" user 192.0.2.7:50000 ")), "{sessions:?}");
        client.says("RETR 1").hears("+OK");
        assert_eq!(client.body().unwrap(), b"Subject: x\r\n\r\nx\r\n");
        client.says("QUIT").hears("+OK");
    }
}

#[test]
fn who_sends_no_header_or_none_that_is_one_gets_no_handshake() {
    let mail = Mail::maildir("user", &["x\n"]);
    let config = "[proxy]\npop3s_listen = [\"127.0.0.1:0\"]\nnets = [\"127.0.0.1\"]\n";
    let arguments = ["--tls-self-signed", "--pop3s-port", "0"];
    let server = Server::with(&mail, &Options { config, arguments: &arguments, ..Options::default() });
    let address = served(&server);
    assert!(Client::silent(address).wire().start_tls().is_err(), "a handshake without a header");
    let mut late = Client::silent(address);
    late.sends(b"PROXY TCP4 192.0.2.7\r\n");
    assert!(late.wire().start_tls().is_err(), "a header that says less than it has to");
}

#[test]
fn a_trusted_proxy_speaks_for_clients_who_are_limited_by_their_own_addresses() {
    let mail = Mail::maildir("user", &["Subject: x\n\nx\n"]);
    let config = "[proxy]\nxclient_nets = [\"127.0.0.1\"]\n\
                  [limits]\nconnections_per_address = 2\nfailed_login_delay = 0\n\
                  [limits.failed_logins]\nrefuse_after = 2\nper_connection = 10\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let speaks = |line: &str| {
        let mut proxy = Client::silent(server.address());
        proxy.hears("+OK [XCLIENT] ");
        let reply = proxy.says(line).line();
        (proxy, reply)
    };
    let (mut first, reply) = speaks("XCLIENT ADDR=192.0.2.7 PORT=50000 SESSION=a TTL=3");
    assert!(reply.starts_with("+OK"), "{reply}");
    first.says("USER user").hears("+OK");
    first.says("PASS pass").hears("+OK");
    let sessions = Admin::of(&server).lines("s?");
    assert!(sessions.iter().any(|line| line.contains(" user 192.0.2.7:50000 ")), "{sessions:?}");
    first.says("XCLIENT ADDR=192.0.2.8").hears("-ERR");
    server.logs("user user from 192.0.2.7:50000 logged in");

    // Two connections of that address, and not one more; the proxy has others.
    let (mut second, reply) = speaks("XCLIENT ADDR=192.0.2.7");
    assert!(reply.starts_with("+OK"), "{reply}");
    let (mut third, reply) = speaks("XCLIENT ADDR=192.0.2.7");
    assert!(reply.starts_with("-ERR [SYS/TEMP] too many connections"), "{reply}");
    assert!(third.rest().0.is_empty());
    // One that has moved is counted where it is.
    assert!(second.says("XCLIENT ADDR=192.0.2.9").line().starts_with("+OK"));
    let (mut guesser, reply) = speaks("XCLIENT ADDR=192.0.2.7");
    assert!(reply.starts_with("+OK"), "{reply}");

    // What it guesses is its own, and not the proxy's.
    for _ in 0..2 {
        guesser.says("USER user").hears("+OK");
        guesser.says("PASS wrong").hears("-ERR");
    }
    let (_, reply) = speaks("XCLIENT ADDR=192.0.2.7");
    assert!(reply.starts_with("-ERR [SYS/TEMP]"), "{reply}");
    let (_, reply) = speaks("XCLIENT ADDR=192.0.2.10");
    assert!(reply.starts_with("+OK"), "{reply}");
}

#[test]
fn a_trusted_proxy_itself_is_counted_once_it_logs_in_without_saying_for_whom() {
    let mail = Mail::maildir("user", &["x\n"]);
    let config = "[proxy]\nxclient_nets = [\"127.0.0.1\"]\n\
                  [limits]\nconnections_per_address = 1\nexcepted_nets = []\nfailed_login_delay = 0\n\
                  [limits.failed_logins]\nrefuse_after = 1\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let connects = || {
        let mut proxy = Client::silent(server.address());
        proxy.hears("+OK [XCLIENT] ");
        proxy
    };
    // More than an address may have: nobody knows yet for whom.
    let [mut first, mut second, mut third] = [connects(), connects(), connects()];
    first.says("USER user").hears("+OK");
    first.says("PASS wrong").hears("-ERR [AUTH]");
    second.says("USER user").hears("+OK");
    second.says("PASS pass").hears("-ERR [SYS/TEMP]");
    third.says("XCLIENT ADDR=192.0.2.7").hears("+OK");
    third.says("USER user").hears("+OK");
    third.says("PASS pass").hears("+OK");
    // Its own address is refused, and it speaks for others.
    let mut fourth = connects();
    fourth.says("XCLIENT ADDR=192.0.2.8").hears("+OK");
}

#[test]
fn for_who_is_not_trusted_there_is_no_xclient() {
    let mail = Mail::maildir("user", &["x\n"]);
    for config in ["", "[proxy]\nxclient_nets = [\"192.0.2.0/24\"]\n"] {
        let server = Server::with(&mail, &Options { config, ..Options::default() });
        let mut client = Client::silent(server.address());
        assert!(!client.line().contains("XCLIENT"));
        client.says("CAPA").hears("+OK");
        assert!(!String::from_utf8(client.body().unwrap()).unwrap().contains("XCLIENT"));
        let unknown = client.says("XYZZY").line();
        assert_eq!(client.says("XCLIENT ADDR=192.0.2.7").line(), unknown);
    }
}

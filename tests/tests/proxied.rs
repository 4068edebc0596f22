//! Behind a balancer that speaks the PROXY protocol: clients of POP3S have their own addresses.

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

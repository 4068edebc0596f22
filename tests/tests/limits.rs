//! What a hostile or clumsy client can do: be refused, once and cheaply.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pop3d_tests::{Admin, Client, End, Mail, Options, Server, as_sent, message, wait_until};

#[test]
fn a_line_that_is_too_long_is_refused_once_and_costs_no_memory() {
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::start(&mail, &[]);
    let mut client = Client::login(server.address(), "user");
    client.sends(&b"x".repeat(10_000)).sends(b"\r\n").hears("-ERR");
    client.says("NOOP").hears("+OK");
    client.says(&format!("NOOP {}", "x".repeat(300))).hears("-ERR");
    client.says("STAT").hears("+OK 1 3");
    let before = server.peak_memory();
    let block = vec![b'y'; 1 << 20];
    for _ in 0..64 {
        client.sends(&block);
    }
    client.sends(b"\n").hears("-ERR");
    client.says("STAT").hears("+OK 1 3");
    let after = server.peak_memory();
    assert!(after < before + 2048, "{before} KiB before, {after} KiB after");
}

#[test]
fn who_makes_only_mistakes_is_sent_away() {
    let mail = Mail::default();
    let server = Server::start(&mail, &[]);
    let mut client = Client::connect(server.address());
    let (heard, end) = client.sends(&b"nonsense\r\n".repeat(40)).rest();
    assert_eq!((heard.split(|&octet| octet == b'\n').count() - 1, end), (20, End::Closed));
    let mut client = Client::login(server.address(), "user");
    let (heard, end) = client.sends(&b"nonsense\r\n".repeat(200)).rest();
    assert_eq!((heard.split(|&octet| octet == b'\n').count() - 1, end), (100, End::Closed));
}

#[test]
fn three_failed_logins_end_a_connection_and_all_failures_sound_alike() {
    let mail = Mail::flat("user", &["x\n"]);
    let config = "[limits]\nfailed_login_delay = \"10ms\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let mut replies = Vec::new();
    let names: [&[u8]; 9] =
        [b"user", b"nobody", b"../user", b"./user", b".user", b"user/", b"USER", b"user@x", b"\xC3\xBC"];
    for names in names.chunks(3) {
        let mut client = Client::connect(server.address());
        for name in names {
            client.sends(b"USER ").sends(name).sends(b"\r\n");
            if client.line().starts_with("+OK") {
                replies.push(client.says("PASS wrong").line());
            }
        }
    }
    replies.dedup();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert!(replies[0].starts_with("-ERR [AUTH]"), "{replies:?}");
    let mut client = Client::connect(server.address());
    for _ in 0..3 {
        client.says("USER user").hears("+OK");
        client.says("PASS wrong").hears("-ERR [AUTH]");
    }
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
}

#[test]
fn octets_that_are_no_text_never_log_in() {
    let mail = Mail::flat("user", &["x\n"]);
    let config = "[limits]\nfailed_login_delay = \"10ms\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    for (user, password) in [
        (&b"user\0x"[..], &b"pass"[..]),
        (b"user", b"pass\0x"),
        (b"user\0", b"pass"),
        (b"user", b"pass\0"),
        (b"user\r", b"pass"),
        (b"user\x1B", b"pass"),
    ] {
        let mut client = Client::connect(server.address());
        client.sends(b"USER ").sends(user).sends(b"\r\nPASS ").sends(password).sends(b"\r\nSTAT\r\nQUIT\r\n");
        let (heard, _) = client.rest();
        let heard = String::from_utf8(heard).unwrap();
        assert!(!heard.contains("+OK 1 "), "{:?}: {heard}", user.escape_ascii());
    }
}

#[test]
fn half_lines_before_login_share_a_bound_and_short_logins_go_on() {
    let mail = Mail::flat("user", &["x\n"]);
    let config = "workers = 1\n[limits]\nfailed_login_delay = 0\nheld_before_login = \"1MiB\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    Client::login(server.address(), "user").says("QUIT").hears("+OK");
    let answer = |octets: &[u8]| {
        let mut client = Client::connect(server.address());
        client.says("AUTH PLAIN").hears("+ ");
        client.sends(octets);
        client
    };
    let before = server.peak_memory();
    let mut clients: Vec<_> = (0..300).map(|_| answer(&[b'A'; 40_000])).collect();
    for _ in 0..10 {
        Client::login_when_free(server.address(), "user").says("QUIT").hears("+OK");
    }
    let after = server.peak_memory();
    assert!(after < before + 6 * 1024, "{before} KiB before, {after} KiB after");
    let refused = Admin::of(&server).value("st?", "pop3d_connections_refused_total");
    assert!((250..=284).contains(&refused), "{refused}");
    let (heard, end) = clients.pop().unwrap().rest();
    let heard = String::from_utf8(heard).unwrap();
    assert!(heard.starts_with("-ERR [SYS/TEMP] too much is being sent ") && end == End::Closed, "{heard}");
    clients[0].says("").hears("-ERR [AUTH] wrong user name or password");
    drop(clients);
    // Once they have gone there is room again.
    wait_until("a long answer is taken", || {
        let mut client = answer(&[b'A'; 40_000]);
        client.says("").line().starts_with("-ERR [AUTH]")
    });
}

#[test]
fn ten_thousand_commands_in_one_go_are_all_answered() {
    let mail = Mail::flat("user", &["x\n", "y\n"]);
    let server = Server::start(&mail, &[]);
    let mut client = Client::silent(server.address());
    let mut commands = b"USER user\r\nPASS pass\r\n".to_vec();
    for _ in 0..2_500 {
        commands.extend_from_slice(b"NOOP\r\nSTAT\nRETR 2\r\nUIDL 1\r\n");
    }
    commands.extend_from_slice(b"QUIT\r\n");
    client.sends(&commands);
    for _ in 0..3 {
        client.hears("+OK");
    }
    for _ in 0..2_500 {
        client.hears("+OK");
        client.hears("+OK 2 6");
        client.hears("+OK 3 octets");
        assert_eq!(client.body().unwrap(), b"y\r\n");
        client.hears("+OK 1 1");
    }
    client.hears("+OK");
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
}

#[test]
fn clients_come_by_ipv4_and_ipv6() {
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::start(&mail, &["-t", "echo $POP3_REMOTE"]);
    for address in [Ipv4Addr::LOCALHOST.into(), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let mut client = Client::login(SocketAddr::new(address, server.address().port()), "user");
        client.says("RETR 1").hears("+OK");
        assert_eq!(client.body().unwrap(), format!("{address}\r\n").into_bytes());
        client.says("QUIT").hears("+OK");
    }
}

#[test]
fn a_session_cut_into_octets_is_the_same_session() {
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::start(&mail, &[]);
    let mut client = Client::silent(server.address());
    for octet in b"USER user\r\nPASS pass\r\nRETR 1\r\nQUIT\r\n" {
        client.sends(&[*octet]);
    }
    let (heard, end) = client.rest();
    assert!(heard.ends_with(b"+OK 3 octets\r\nx\r\n.\r\n+OK goodbye\r\n"), "{:?}", heard.escape_ascii());
    assert_eq!(end, End::Closed);
}

#[test]
fn silence_ends_a_session_without_update() {
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::start(&mail, &["-T", "3"]);
    let mut silent = Client::connect(server.address());
    let mut client = Client::login(server.address(), "user");
    client.says("DELE 1").hears("+OK");
    assert_eq!(client.rest(), (Vec::new(), End::Closed));
    assert_eq!(silent.rest(), (Vec::new(), End::Closed));
    assert_eq!(mail.files("user").len(), 1);
}

#[test]
fn a_client_that_takes_nothing_is_reset_in_the_end() {
    let mail = Mail::flat("user", &[message(64 << 20, 1)]);
    for arguments in [&["-T", "3"][..], &["-T", "3", "-t", "cat"]] {
        let server = Server::start(&mail, arguments);
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        server.logs("logged out");
        let (heard, end) = client.rest();
        assert_eq!(end, End::Reset);
        assert!(!heard.ends_with(b"\r\n.\r\n"));
        wait_until("no child is left", || server.children() == 0);
    }
}

#[test]
fn three_thousand_connections_are_all_served() {
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::start(&mail, &[]);
    let mut clients: Vec<_> = (0..3_000).map(|_| Client::silent(server.address())).collect();
    for client in &mut clients {
        client.hears("+OK");
        client.says("CAPA").says("QUIT");
    }
    for mut client in clients {
        client.hears("+OK");
        assert!(!client.body().unwrap().is_empty());
        client.hears("+OK");
        assert_eq!(client.rest().1, End::Closed);
    }
}

#[test]
fn past_the_limit_clients_wait_for_their_turn() {
    let mail = Mail::default();
    let config = "[limits]\nconnections = 5\ngive_way_after = \"1h\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let served: Vec<_> = (0..5).map(|_| Client::connect(server.address())).collect();
    let mut waiting: Vec<_> = (0..5).map(|_| Client::silent(server.address())).collect();
    for mut client in served {
        client.says("NOOP").hears("-ERR");
        client.says("QUIT").hears("+OK");
    }
    for client in &mut waiting {
        client.hears("+OK");
    }
}

#[test]
fn without_descriptors_who_is_silent_gives_way() {
    let mail = Mail::default();
    let config = "login_timeout = \"10m\"\n[limits]\ngive_way_after = \"1s\"\n";
    let server = Server::with(&mail, &Options { before: "ulimit -n 64", config, ..Options::default() });
    // More than there is room for: all of them stay, and say nothing.
    let mut silent: Vec<_> = (0..128).map(|_| Client::silent(server.address())).collect();
    silent.iter_mut().for_each(|client| drop(client.line()));
    wait_until("somebody is served", || Client::silent(server.address()).line().starts_with("+OK"));
}

#[test]
fn without_descriptors_clients_are_told_and_served_again_later() {
    let message = message(200_000, 1);
    let mail = Mail::flat("user", &[&message]);
    for limit in [40, 64, 100] {
        let before = format!("ulimit -n {limit}");
        let server = Server::with(&mail, &Options { before: &before, ..Options::default() });
        let mut clients: Vec<_> = (0..2 * limit).map(|_| Client::silent(server.address())).collect();
        let greetings: Vec<_> = clients.iter_mut().map(Client::line).collect();
        assert!(greetings.iter().any(|greeting| greeting.starts_with("-ERR [SYS/TEMP]")), "{limit}");
        assert!(greetings.iter().any(|greeting| greeting.starts_with("+OK")), "{limit}");
        drop(clients);
        // While others are being closed one may be let in and the next one not.
        let mut client = Client::silent(server.address());
        wait_until("it serves again", || {
            let is_served = client.line().starts_with("+OK");
            if !is_served {
                client = Client::silent(server.address());
            }
            is_served
        });
        client.says("USER user").hears("+OK");
        client.says("PASS pass").hears("+OK");
        client.says("RETR 1").hears("+OK");
        assert!(client.body().unwrap() == as_sent(&message));
    }
}

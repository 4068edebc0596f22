//! What every kind of transform makes of messages, alone and in chains, against a plain function that does the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pop3d_tests::{
    Admin, Client, DEEDS, Deed, Filters, KINDS, Kind, Mail, Options, Random, Server, as_sent, corpus,
    light_or_heavy, message, wait_until,
};

/// Every deed as every kind, named `Deed-Kind`; and what cuts a message into pieces of any length.
fn everything(filters: &Filters) -> String {
    let mut config = format!("[transforms.ragged]\n{}\n", filters.native("ragged", "none"));
    for kind in KINDS {
        for deed in DEEDS {
            config.push_str(&filters.table(&name(deed, kind), kind, deed, "cpu = \"60s\""));
        }
    }
    config
}

fn name(deed: Deed, kind: Kind) -> String {
    format!("{deed:?}-{kind:?}").to_lowercase()
}

/// Messages with what may go wrong at their edges, and others by chance.
fn messages(random: &mut Random) -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> =
        [&b""[..], b"\n", b".", b".\r\n", b"\r\n.\r\n", b"x", b"a\0b\xFF\r\n\n.x\n.", b"\r\r\n\r"]
            .map(<[u8]>::to_vec)
            .into();
    messages.push(vec![b'.'; 70_000]);
    messages.push(message(66_000, 1));
    messages.extend((0..light_or_heavy(4, 10)).map(|_| random.message(100)));
    messages.extend((0..light_or_heavy(2, 10)).map(|_| random.message(100_000)));
    messages
}

fn assert_retrieves(server: &Server, messages: &[Vec<u8>], chain: &str, twin: impl Fn(&[u8]) -> Vec<u8>) {
    let mut client = Client::login_when_free(server.address(), "user");
    for (number, message) in (1..).zip(messages) {
        client.says(&format!("RETR {number}")).hears("+OK");
        assert!(client.body().unwrap() == as_sent(&twin(message)), "{chain}, message {number}");
    }
    client.says("QUIT").hears("+OK");
}

#[test]
fn each_kind_alone_does_what_the_function_does() {
    let filters = Filters::default();
    let messages = messages(&mut Random::new(1));
    let mail = Mail::flat_in_order("user", &messages);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    for kind in KINDS {
        for deed in DEEDS {
            let chain = name(deed, kind);
            admin.says(&format!("tf= {chain}")).hears("+");
            assert_retrieves(&server, &messages, &chain, |octets| deed.twin(octets));
            assert_eq!(admin.value(&format!("tfs? {chain}"), "failed"), 0);
        }
    }
}

#[test]
fn chains_of_three_kinds_do_what_the_functions_do_one_after_another() {
    let filters = Filters::default();
    let seed = u64::from(std::process::id());
    let mut random = Random::new(seed);
    let messages = messages(&mut random);
    let mail = Mail::flat_in_order("user", &messages);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    for _ in 0..light_or_heavy(20, 100) {
        let kinds = [0; 3].map(|_| random.one_of(&KINDS));
        // One that swallows leaves the others nothing to do.
        let deeds = [0; 3].map(|_| match random.below(12) {
            0 => Deed::Swallow,
            _ => random.one_of(&[Deed::Identity, Deed::Rot13, Deed::Double, Deed::AtEnd, Deed::Singly]),
        });
        let names: Vec<_> = deeds.iter().zip(kinds).map(|(&deed, kind)| name(deed, kind)).collect();
        let chain = format!("ragged,{}", names.join(","));
        // A chain may name a transform twice.
        admin.says(&format!("tf= {chain}")).hears("+");
        assert_retrieves(&server, &messages, &format!("{chain} (seed {seed})"), |octets| {
            deeds.iter().fold(octets.to_vec(), |octets, deed| deed.twin(&octets))
        });
    }
}

#[test]
fn every_kind_takes_the_corpus() {
    let messages = corpus();
    if messages.is_empty() {
        println!("left out: POP3D_CORPUS names the folder of the corpus");
        return;
    }
    let filters = Filters::default();
    let mail = Mail::flat_in_order("user", &messages);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    for kind in KINDS {
        for deed in [Deed::Identity, Deed::Rot13, Deed::Double, Deed::AtEnd] {
            let chain = name(deed, kind);
            admin.says(&format!("tf= {chain}")).hears("+");
            assert_retrieves(&server, &messages, &chain, |octets| deed.twin(octets));
        }
    }
    let chain = "ragged,rot13-component,identity-program,double-isolated,rot13-command";
    admin.says(&format!("tf= {chain}")).hears("+");
    assert_retrieves(&server, &messages, chain, |octets| Deed::Double.twin(octets));
}

#[test]
fn a_chain_of_sixty_four_links_is_one_pipe() {
    let filters = Filters::default();
    let messages = [message(100_000, 2), b"x".to_vec()];
    let mail = Mail::flat_in_order("user", &messages);
    // PEEP's lines are short; the chain of the configuration is not.
    let links: Vec<_> =
        (0..64).map(|link| format!("\"{}\"", name(Deed::Rot13, KINDS[1 + link % 5]))).collect();
    let config = format!("transform = [{}]\n{}", links.join(", "), everything(&filters));
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    assert_retrieves(&server, &messages, "64 links", <[u8]>::to_vec);
    assert_eq!(admin.value("tfs? rot13-native", "failed"), 0);
}

#[test]
fn top_ends_a_transform_early_and_that_is_no_failure() {
    let filters = Filters::default();
    // Far more than what any buffer on the way holds.
    let text = [b"Subject: x\n\none\ntwo\n".to_vec(), message(3 << 20, 1)].concat();
    let mail = Mail::flat("user", &[&text]);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    for kind in KINDS {
        let chain = name(Deed::Rot13, kind);
        admin.says(&format!("tf= {chain}")).hears("+");
        let mut client = Client::login_when_free(server.address(), "user");
        for (lines, body) in [("0", ""), ("1", "bar\r\n"), ("2", "bar\r\ngjb\r\n")] {
            client.says(&format!("TOP 1 {lines}")).hears("+OK");
            assert_eq!(client.body().unwrap(), format!("Fhowrpg: k\r\n\r\n{body}").into_bytes(), "{chain}");
        }
        client.says("QUIT").hears("+OK");
        wait_until("nothing runs", || admin.value(&format!("tfs? {chain}"), "running") == 0);
        for counter in ["failed", "timed_out", "passed"] {
            assert_eq!(admin.value(&format!("tfs? {chain}"), counter), 0, "{chain} {counter}");
        }
    }
}

#[test]
fn clients_that_go_in_the_middle_leave_nothing_of_any_kind() {
    let filters = Filters::default();
    let text = message(8 << 20, 1);
    let mail = Mail::flat("user", &[&text]);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    let names = KINDS.map(|kind| name(Deed::Identity, kind));
    let mut chains = names.to_vec();
    chains.push(names.join(","));
    chains.push(names.iter().rev().cloned().collect::<Vec<_>>().join(","));
    for chain in &chains {
        admin.says(&format!("tf= {chain}")).hears("+");
        // Once to its end: what is started once is there then.
        let mut client = Client::login_when_free(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        assert!(client.body().unwrap() == as_sent(&text));
        client.says("QUIT").hears("+OK");
        let at_rest = |admin: &mut Admin| {
            wait_until("nothing runs", || {
                names.iter().all(|name| admin.value(&format!("tfs? {name}"), "running") == 0)
            });
        };
        at_rest(&mut admin);
        wait_until("the session has ended", || admin.lines("s?").is_empty());
        let (children, descriptors) = (server.children(), server.descriptors());
        for round in 0..light_or_heavy(6, 20) {
            let mut client = Client::login_when_free(server.address(), "user");
            client.says("RETR 1");
            // Before the first octet, after it, and further on.
            client.takes([0, 1, 5_000, 300_000][round % 4]);
            drop(client);
        }
        at_rest(&mut admin);
        wait_until("descriptors are closed", || server.descriptors() <= descriptors);
        wait_until("no child is left", || server.children() <= children);
    }
    for name in names {
        assert_eq!(admin.value(&format!("tfs? {name}"), "failed"), 0, "{name}");
    }
}

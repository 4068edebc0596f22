//! A transform of any kind, anywhere in a chain, that fails after any number of octets: what a client hears then is the
//! whole message, "-ERR" or a reset, as the policy says, and never half of a message that looks whole.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::Command;

use pop3d_tests::{
    Admin, Client, Deed, End, Filters, KINDS, Kind, Mail, Options, Server, as_sent, edge, failing_at,
    light_or_heavy,
};

/// Octets of output held before "+OK".
const HOLD: usize = 64 * 1024;

/// What never fails: it is longer than its number says.
const NEVER: usize = 999_999_999;

/// What fails when "+OK" must be out, whatever the buffers hold on the way.
const LATE: usize = 1_200_000;

/// What a transform is told to do with what fails.
#[derive(Clone, Copy, Debug)]
struct Way {
    passes: bool,
    spools: bool,
}

const WAYS: [Way; 4] = [
    Way { passes: false, spools: false },
    Way { passes: true, spools: false },
    Way { passes: false, spools: true },
    Way { passes: true, spools: true },
];

/// The octets after which a transform fails: around every size that a buffer on the way has. Now and then comes a
/// message that does not fail, so that nobody takes the transform for broken.
fn edges() -> Vec<usize> {
    let around = light_or_heavy(1, 2);
    let mut edges = vec![0, 1, 2, 9, 10];
    for size in [1 << 12, 1 << 14, 1 << 15, HOLD] {
        edges.extend(size - around..=size + around);
    }
    edges.extend([LATE, LATE + 1]);
    edges.chunks(5).flat_map(|some| some.iter().copied().chain([NEVER])).collect()
}

fn name(kind: Kind, way: Way) -> String {
    let policy = if way.passes { "pass" } else { "fail" };
    let spool = if way.spools { "-spool" } else { "" };
    format!("{kind:?}-{policy}{spool}").to_lowercase()
}

/// Failing transforms of all kinds and ways, and some that do nothing.
fn everything(filters: &Filters) -> String {
    let mut config = String::new();
    for kind in KINDS {
        config.push_str(&filters.table(&format!("same-{kind:?}").to_lowercase(), kind, Deed::Identity, ""));
        for way in WAYS {
            let policy = if way.passes { "pass" } else { "fail" };
            let keys = format!("on_error = \"{policy}\"\nspool = {}", way.spools);
            config.push_str(&filters.table(&name(kind, way), kind, Deed::Fail, &keys));
        }
    }
    config
}

/// A maildrop of messages that fail after so many octets; the names of the files, which are the unique-ids, say so too.
fn mail(edges: &[usize]) -> (Mail, Vec<Vec<u8>>) {
    let mail = Mail::default();
    let mut edges = edges.to_vec();
    edges.sort_unstable();
    edges.dedup();
    fs::create_dir(mail.path().join("user")).unwrap();
    let messages: Vec<_> =
        edges.iter().map(|&edge| failing_at(if edge == NEVER { 0 } else { edge })).collect();
    let messages: Vec<_> = messages
        .into_iter()
        .zip(&edges)
        .map(|(message, edge)| [format!("{edge:09}").as_bytes(), &message[9..]].concat())
        .collect();
    for (message, edge) in messages.iter().zip(&edges) {
        fs::write(mail.path().join("user").join(format!("{edge:09}")), message).unwrap();
    }
    (mail, messages)
}

/// Asserts what a client hears of one message; whether the connection is over.
fn is_over(client: &mut Client, number: usize, message: &[u8], way: Way, what: &str) -> bool {
    let edge = edge(message);
    let reply = client.says(&format!("RETR {number}")).line();
    if edge == NEVER || (way.passes && (way.spools || edge < HOLD)) {
        assert!(reply.starts_with("+OK"), "{what}: {reply}");
        assert!(client.body().unwrap() == as_sent(message), "{what}: not the original");
        return false;
    }
    let code = if edge.is_multiple_of(2) { "SYS/TEMP" } else { "SYS/PERM" };
    let refusal = format!("-ERR [{code}] transform ");
    if way.spools || edge < HOLD {
        assert!(reply.starts_with(&refusal), "{what}: {reply}");
        return false;
    }
    // A failure that is known early enough is still told, whatever was written before it.
    if edge < LATE && reply.starts_with(&refusal) {
        return false;
    }
    assert!(reply.starts_with("+OK"), "{what}: {reply}");
    if edge < LATE && way.passes {
        let (heard, end) = client.rest_or_body();
        match end {
            Some(end) => assert_cut(&heard, end, what),
            None => assert!(heard == as_sent(message), "{what}: not the original"),
        }
        return end.is_some();
    }
    let (heard, end) = client.rest();
    assert_cut(&heard, end, what);
    true
}

fn assert_cut(heard: &[u8], end: End, what: &str) {
    assert_eq!(end, End::Reset, "{what}");
    assert!(!heard.windows(5).any(|octets| octets == b"\r\n.\r\n"), "{what}: a termination octet");
}

/// Has every message fail in this chain.
fn assert_fails(server: &Server, order: &[usize], messages: &[Vec<u8>], way: Way, chain: &str) {
    let mut client = Client::login_when_free(server.address(), "user");
    for &wanted in order {
        let number = messages.iter().position(|message| edge(message) == wanted).unwrap() + 1;
        let what = format!("{chain}, {wanted} octets");
        if is_over(&mut client, number, &messages[number - 1], way, &what) {
            client = Client::login_when_free(server.address(), "user");
        }
    }
    client.says("QUIT").hears("+OK");
}

fn of_kind(kind: Kind) {
    let filters = Filters::default();
    let order = edges();
    let (mail, messages) = mail(&order);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    for way in WAYS {
        let fails = name(kind, way);
        let chains = [
            fails.clone(),
            format!("{fails},same-isolated,same-command"),
            format!("same-program,{fails},same-component"),
            format!("same-native,same-program,{fails}"),
        ];
        for chain in &chains {
            admin.says(&format!("tf= {chain}")).hears("+");
            assert_fails(&server, &order, &messages, way, chain);
        }
    }
    assert_eq!(mail.files("user").len(), messages.len());
}

#[test]
fn a_program_fails_at_every_edge() {
    of_kind(Kind::Program);
}

#[test]
fn an_isolated_plugin_fails_at_every_edge() {
    of_kind(Kind::Isolated);
}

#[test]
fn a_plugin_in_the_server_fails_at_every_edge() {
    of_kind(Kind::Native);
}

#[test]
fn a_plugin_that_never_waits_fails_at_every_edge() {
    of_kind(Kind::Inline);
}

#[test]
fn a_component_fails_at_every_edge() {
    of_kind(Kind::Component);
}

#[test]
fn a_command_fails_at_every_edge() {
    of_kind(Kind::Command);
}

#[test]
fn the_log_has_the_reason_of_every_failure() {
    let filters = Filters::default();
    let (mail, _) = mail(&[1, 2]);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    for kind in KINDS {
        for way in WAYS {
            let name = name(kind, way);
            admin.says(&format!("tf= {name}")).hears("+");
            let mut client = Client::login_when_free(server.address(), "user");
            for number in [1, 2] {
                let reply = client.says(&format!("RETR {number}")).line();
                if reply.starts_with("+OK") {
                    client.body().unwrap();
                }
                let line = format!("WARN pop3d::transform: {name}: user, message {number}: ");
                server.logs(&line);
            }
            client.says("QUIT").hears("+OK");
        }
    }
}

#[test]
fn curl_sees_that_a_message_was_cut() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("left out: there is no curl");
        return;
    }
    let filters = Filters::default();
    let (mail, _) = mail(&[LATE]);
    let server = Server::with(&mail, &Options { config: &everything(&filters), ..Options::default() });
    let mut admin = Admin::of(&server);
    for kind in KINDS {
        let chain = name(kind, WAYS[0]);
        admin.says(&format!("tf= {chain}")).hears("+");
        drop(Client::login_when_free(server.address(), "user"));
        let mut status = None;
        pop3d_tests::wait_until("the maildrop is free", || {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--user", "user:pass", "--output", "/dev/null"]);
            let ended = curl.arg(format!("pop3://{}/1", server.address())).status().unwrap();
            status = ended.code();
            // 67: the session before has not ended yet.
            status != Some(67)
        });
        assert_eq!(status, Some(56), "{chain}");
    }
}

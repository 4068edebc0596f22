//! Programs as transforms: whatever one does, a client gets the whole message, "-ERR" or a reset, and nothing stays.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Instant;

use pop3d_tests::{
    Admin, Client, End, Mail, Options, Plugins, Server, as_sent, message, plugin_config, wait_until,
};
use rustix::process::Signal;

/// Octets of output held before "+OK".
const HOLD: usize = 64 * 1024;

fn mail(octets: usize) -> (Mail, Vec<u8>) {
    let message = message(octets, 1);
    (Mail::flat("user", &[&message]), message)
}

#[test]
fn a_message_passes_through_programs_unchanged_by_them() {
    let octets: &[&[u8]] =
        &[b"", b"x", b"x\n", b".\n", b"\n\n", b"a\rb\0c\xFF\r\n.x\n", &message(300_000, 7)];
    for (mail, name) in [(Mail::flat("user", octets), "flat"), (Mail::maildir("user", octets), "Maildir")] {
        for arguments in [&["-t", "cat"][..], &["-t", "cat", "-t", "cat", "-t", "cat"], &["-t", "cat | cat"]]
        {
            let server = Server::start(&mail, arguments);
            let mut client = Client::login(server.address(), "user");
            for (number, message) in (1..).zip(octets) {
                client.says(&format!("RETR {number}")).hears("+OK");
                assert!(
                    client.body().unwrap() == as_sent(message),
                    "{name}, {arguments:?}, message {number}"
                );
            }
            client.says("QUIT").hears("+OK");
            wait_until("no child is left", || server.children() == 0);
        }
    }
}

#[test]
fn a_program_that_dies_after_any_number_of_octets_leaves_no_terminated_message() {
    let (mail, _) = mail(1_000_000);
    let edges =
        [0, 1, 2, 4096, HOLD - 2, HOLD - 1, HOLD, HOLD + 1, HOLD + 2, 2 * HOLD, 3 * HOLD + 1, 4 * HOLD];
    for octets in edges.into_iter().chain(4 * HOLD - 2..4 * HOLD + 3).chain([900_000]) {
        let server = Server::filtering(&mail, &format!("command = \"head -c {octets}; exit 3\""));
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1");
        if octets < HOLD {
            client.hears("-ERR [SYS/TEMP]");
            client.says("NOOP").hears("+OK");
            continue;
        }
        let (heard, end) = client.rest();
        assert!(heard.starts_with(b"+OK"), "{octets}: {:?}", heard[..heard.len().min(50)].escape_ascii());
        assert!(!heard.windows(5).any(|octets| octets == b"\r\n.\r\n"), "{octets}");
        assert_eq!(end, End::Reset, "{octets}");
        assert_eq!(mail.files("user").len(), 1);
    }
}

#[test]
fn what_a_program_dies_of_decides_the_response_code() {
    let (mail, _) = mail(100);
    for (command, code) in [
        ("exit 1", "SYS/TEMP"),
        ("exit 75", "SYS/TEMP"),
        ("kill -9 $$", "SYS/TEMP"),
        ("exit 78", "SYS/PERM"),
        ("exit 126", "SYS/PERM"),
        ("exit 127", "SYS/PERM"),
        ("/no/such/program", "SYS/PERM"),
    ] {
        let server = Server::start(&mail, &["-t", command]);
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears(&format!("-ERR [{code}]"));
        client.says("TOP 1 0").hears(&format!("-ERR [{code}]"));
        client.says("QUIT").hears("+OK");
    }
}

#[test]
fn the_policy_to_pass_gives_the_original_and_a_spool_makes_every_failure_clean() {
    let (mail, message) = mail(500_000);
    let server = Server::filtering(&mail, "command = \"head -c 20; exit 1\"\non_error = \"pass\"");
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears(&format!("+OK {} octets", as_sent(&message).len()));
    assert!(client.body().unwrap() == as_sent(&message));

    let server = Server::filtering(&mail, "command = \"cat; exit 1\"\nspool = true");
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("-ERR [SYS/TEMP]");
    let server = Server::filtering(&mail, "command = \"cat\"\nspool = true");
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears(&format!("+OK {} octets", as_sent(&message).len()));
    assert!(client.body().unwrap() == as_sent(&message));
}

#[test]
fn the_command_line_names_a_chain_in_place_of_the_configurations() {
    let mail = Mail::flat("user", &["a\n"]);
    let config = "transform = \"sed s/$/3/\"\n";
    for (arguments, expected) in [
        (vec![], "a3\r\n"),
        (vec!["-t", "sed s/$/1/"], "a1\r\n"),
        (vec!["-t", "sed s/$/1/", "-t", "sed s/$/2/"], "a12\r\n"),
        (vec!["-t", ""], "a\r\n"),
        (vec!["-t", "", "-t", "sed s/$/1/"], "a1\r\n"),
    ] {
        let server = Server::with(&mail, &Options { config, arguments: &arguments, ..Options::default() });
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        assert_eq!(client.body().unwrap(), expected.as_bytes(), "{arguments:?}");
    }
}

#[test]
fn output_in_pieces_of_one_octet_arrives_whole() {
    let (mail, message) = mail(3_000);
    let server = Server::filtering(&mail, "command = [\"dd\", \"bs=1\", \"status=none\"]");
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    assert!(client.body().unwrap() == as_sent(&message));
}

#[test]
fn top_goes_through_the_program_and_counts_its_lines() {
    let mail = Mail::flat("user", &["Subject: x\n\none\ntwo\nthree\n"]);
    let server = Server::start(&mail, &["-t", "sed s/two/2/"]);
    let mut client = Client::login(server.address(), "user");
    for (lines, body) in [("0", ""), ("2", "one\r\n2\r\n"), ("4294967297", "one\r\n2\r\nthree\r\n")] {
        client.says(&format!("TOP 1 {lines}")).hears("+OK");
        assert_eq!(client.body().unwrap(), format!("Subject: x\r\n\r\n{body}").into_bytes());
    }
    // The rest is cancelled once the lines are out, and that is no failure.
    let server = Server::start(&mail, &["-t", "cat; yes"]);
    let mut client = Client::login(server.address(), "user");
    client.says("TOP 1 1").hears("+OK");
    assert_eq!(client.body().unwrap(), b"Subject: x\r\n\r\none\r\n");
    client.says("NOOP").hears("+OK");
    wait_until("no child is left", || server.children() == 0);
}

#[test]
fn a_program_gets_the_environment_that_is_promised_and_no_other() {
    let mail = Mail::flat("user", &["12345"]);
    let keys = "command = [\"env\"]\nenv = { A = \"b c\" }\noptions = { prefix = \"[x]\", count = 3 }";
    let server = Server::filtering(&mail, keys);
    let mut client = Client::login(server.address(), "user");
    let mut environment = |command: &str| {
        client.says(command).hears("+OK");
        let text = String::from_utf8(client.body().unwrap()).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let version = format!("POP3D_VERSION={}", env!("CARGO_PKG_VERSION"));
    let mut expected = vec![
        "A=b c",
        "LANG=C.UTF-8",
        "MESSAGE_NUMBER=1",
        "MESSAGE_SIZE=5",
        "MESSAGE_UID=1",
        "OPTION_COUNT=3",
        "OPTION_PREFIX=[x]",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        &version,
        "POP3_COMMAND=RETR",
        "POP3_REMOTE=127.0.0.1",
        "POP3_TOP_LINES=0",
        "POP3_USER=user",
        "TRANSFORM_NAME=filter",
    ];
    assert_eq!(environment("RETR 1"), expected);
    expected[9] = "POP3_COMMAND=TOP";
    expected[11] = "POP3_TOP_LINES=50";
    assert_eq!(environment("TOP 1 50"), expected);
}

#[test]
fn the_first_program_has_the_file_itself_as_its_input() {
    let (mail, _) = mail(100);
    let server = Server::start(&mail, &["-t", "readlink /proc/self/fd/0"]);
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    let file = String::from_utf8(client.body().unwrap()).unwrap();
    assert_eq!(file.trim_end(), mail.files("user")[0].canonicalize().unwrap().to_str().unwrap());
}

#[test]
fn bounds_of_time_and_output_are_kept() {
    let (mail, _) = mail(1_000);
    for keys in [
        "command = \"sleep 1000\"\ntimeout = \"300ms\"",
        "command = \"while :; do :; done\"\ncpu = \"1s\"",
        // All that a shell tells of a pipe is how the last of its programs ended.
        "command = \"sh -c 'echo x; while :; do :; done' | cat\"\ncpu = \"1s\"",
        "command = \"yes\"\nmax_output = \"1KiB\"",
        "command = \"trap '' TERM; while :; do sleep 1; done\"\ntimeout = \"300ms\"",
        "command = [\"sh\", \"-c\", \"x=$(yes | head -c 300000000); echo $x\"]\nmemory = \"64MiB\"",
    ] {
        let server = Server::filtering(&mail, keys);
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("-ERR [SYS/TEMP]");
        client.says("QUIT").hears("+OK");
        wait_until("no child is left", || server.children() == 0);
    }
}

#[test]
fn a_client_that_goes_takes_its_program_with_it() {
    let (mail, _) = mail(10_000_000);
    for command in ["sleep 1000", "cat; sleep 1000", "trap '' TERM; while :; do sleep 1; done", "yes"] {
        let server = Server::filtering(&mail, &format!("command = \"{command}\"\nmax_output = \"1TiB\""));
        // The store keeps the mail folder and a lock file open for the next.
        Client::login(server.address(), "user").says("QUIT").hears("+OK");
        server.logs("logged out");
        let before = server.descriptors();
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1");
        wait_until("the program runs", || server.children() > 0);
        drop(client);
        wait_until("no child is left", || server.children() == 0);
        wait_until("no descriptor is left", || server.descriptors() <= before);
    }
}

#[test]
fn a_program_that_sleeps_delays_nobody_else() {
    let mail = Mail::flat("user", &["x\n"]);
    let config =
        "transform = \"filter\"\n[transforms.filter]\ncommand = \"test $POP3_USER = other || sleep 1000\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let mut sleeping = Client::login(server.address(), "user");
    sleeping.says("RETR 1");
    wait_until("the program runs", || server.children() > 0);
    let begun = Instant::now();
    for _ in 0..50 {
        let mut client = Client::login(server.address(), "other");
        client.says("NOOP").hears("+OK");
        client.says("QUIT").hears("+OK");
    }
    println!("50 sessions beside a sleeping program: {:?}", begun.elapsed());
}

#[test]
fn exact_sizes_are_those_of_what_is_sent() {
    let mail = Mail::flat("user", &["Subject: a\n\nx x x\n", "y\n", ""]);
    let config = "transform = [\"sed s/x/long/g\", \"cat\"]\n[transform_defaults]\nsizes = \"exact\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    for _ in 0..2 {
        let mut client = Client::login(server.address(), "user");
        client.says("LIST").hears("+OK");
        let listing = String::from_utf8(client.body().unwrap()).unwrap();
        let mut total = 0;
        for (number, line) in (1..).zip(listing.lines()) {
            client.says(&format!("RETR {number}")).hears("+OK");
            let octets = client.body().unwrap().len();
            assert_eq!(line, format!("{number} {octets}"));
            total += octets;
        }
        client.says("STAT").hears(&format!("+OK 3 {total}"));
        client.says("QUIT").hears("+OK");
    }
}

#[test]
fn exact_sizes_are_kept_as_long_as_the_transforms_are() {
    let mail = Mail::flat("user", &["x\n", "y\n"]);
    let config = "transform = \"long\"\n[transform_defaults]\nsizes = \"exact\"\n[transforms.long]\ncommand = \"sed s/x/long/\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let mut admin = Admin::of(&server);
    let mut measured = |told: &[&str]| {
        for command in told {
            admin.says(command).hears("+");
        }
        let mut client = Client::login(server.address(), "user");
        client.says("STAT").hears("+OK 2 9");
        client.says("QUIT").hears("+OK");
        admin.lines("tfs? long").into_iter().find(|line| line.starts_with("messages ")).unwrap()
    };
    assert_eq!(measured(&[]), "messages 2");
    for told in [&["t= 700"] as &[_], &["tf= long user"], &["tf= long other", "tf= default user"], &["cf"]] {
        assert_eq!(measured(told), "messages 2", "{told:?}");
    }
    assert_eq!(measured(&["tfr long"]), "messages 4");
}

#[test]
fn more_messages_than_programs_may_run_wait_their_turn() {
    let mail = Mail::default();
    for user in ["a", "b", "c", "d"] {
        std::fs::create_dir(mail.path().join(user)).unwrap();
        std::fs::write(mail.path().join(user).join("1"), message(100_000, 3)).unwrap();
    }
    let server = Server::filtering(&mail, "command = [\"cat\"]\nmax_running = 1");
    let mut clients: Vec<_> =
        ["a", "b", "c", "d"].iter().map(|user| Client::login(server.address(), user)).collect();
    for round in 0..20 {
        for client in &mut clients {
            client.says("RETR 1");
        }
        for client in &mut clients {
            client.hears("+OK");
            assert!(client.body().unwrap() == as_sent(&message(100_000, 3)), "round {round}");
        }
    }
}

#[test]
fn a_server_that_stops_leaves_no_program() {
    let (mail, _) = mail(100);
    let mut server = Server::start(&mail, &["-t", "echo $$; exec sleep 1000"]);
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1");
    wait_until("the program runs", || server.children() > 0);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let children: String =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok()).collect();
    server.signal(Signal::TERM);
    server.logs("stopping");
    server.signal(Signal::TERM);
    server.wait();
    for child in children.split_whitespace() {
        wait_until("the program has ended", || !std::path::Path::new(&format!("/proc/{child}/exe")).exists());
    }
}

#[test]
fn failures_with_messages_that_ended_early_between_them_are_not_in_a_row() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &["TEST_FLAGS=POP3D_FLAG_NONBLOCKING"]);
    // Of TOP nobody waits for the end.
    let mail = Mail::flat("user", &[&message(1 << 20, 1)]);
    let native = |isolation: &str| {
        let keys = "options = { do = \"temporary\", after = 900000 }\n";
        plugin_config(&file, isolation, keys)
    };
    let program = "transform = \"filter\"\n[transforms.filter]\ncommand = \"head -c 900000; exit 75\"\n";
    for config in [program.to_owned(), native("process"), native("none")] {
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        for round in 0..13 {
            let mut client = Client::login_when_free(server.address(), "user");
            if round % 3 == 0 {
                client.says("TOP 1 1").hears("+OK");
                client.body().unwrap();
            }
            client.says("RETR 1").hears("+OK");
            assert_eq!(client.rest().1, End::Reset, "{config}");
        }
        assert!(!server.log().contains("in a row"), "{config}");
    }
}

#[test]
fn the_log_tells_that_a_further_generation_ended_a_rest() {
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::filtering(&mail, "command = \"exit $OPTION_STATUS\"\noptions = { status = 1 }");
    let mut admin = Admin::of(&server);
    // Nothing rests yet.
    admin.says("tfr filter").hears("+");
    let mut client = Client::login(server.address(), "user");
    for _ in 0..11 {
        assert!(client.says("RETR 1").line().starts_with("-ERR [SYS/TEMP]"));
    }
    server.logs("transform filter failed 10 messages in a row");
    admin.says("tfo= filter status:0").hears("+");
    admin.says("tfr filter").hears("+");
    client.says("RETR 1").hears("+OK");
    client.body().unwrap();
    client.says("QUIT").hears("+OK");
    server.logs("logged out");
    assert_eq!(server.log().matches("transform filter was made anew, and rests no more").count(), 1);
}

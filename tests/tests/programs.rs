//! Programs that behave badly in ways that only show over many messages, in the list of processes or on a busy server.
//! What a single message goes through is in `transforms.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::Shutdown;
use std::thread;
use std::time::Instant;

use pop3d_tests::{
    Client, End, Mail, Options, Server, as_sent, light_or_heavy, message, processes_with, wait_until,
};
use rustix::process::{Signal, kill_process};

/// Octets of output held before "+OK".
const HOLD: usize = 64 * 1024;

/// Octets of output after which a program fails: around every size that a buffer on the way may have.
fn edges() -> Vec<usize> {
    let around = light_or_heavy(1, 12);
    let sizes = [1 << 12, 1 << 13, 1 << 14, 1 << 15, HOLD, 2 * HOLD, 3 * HOLD, 4 * HOLD, 1 << 20];
    let mut edges: Vec<usize> = (0..=around).collect();
    edges.extend(sizes.iter().flat_map(|size| size - around..=size + around));
    // What is longer on the wire than in the pipe meets the edges elsewhere.
    edges.extend([HOLD - HOLD / 9, HOLD / 3, 100 * 1024, 333_333]);
    edges.sort_unstable();
    edges.dedup();
    edges
}

#[test]
fn a_program_that_refuses_messages_or_is_being_written_does_not_rest() {
    let mail = Mail::flat("user", &["infected\n", "x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("scan");
    fs::write(&program, "#!/bin/sh\ngrep -q infected && exit 78\necho clean\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let server = Server::filtering(&mail, &format!("command = [\"{}\"]", program.display()));
    let mut client = Client::login(server.address(), "user");
    for _ in 0..12 {
        client.says("RETR 1").hears("-ERR [SYS/PERM] transform filter failed");
    }
    let writing = fs::OpenOptions::new().append(true).open(&program).unwrap();
    for _ in 0..12 {
        client.says("RETR 2").hears("-ERR [SYS/TEMP] transform filter failed");
    }
    drop(writing);
    // What another test has just started may have it open a moment longer.
    wait_until("it is whole", || client.says("RETR 2").line().starts_with("+OK"));
    assert_eq!(client.body().unwrap(), b"clean\r\n");
    assert!(!server.log().contains("in a row"));
}

/// No octets that a client would take for the end.
#[track_caller]
fn assert_never_ended(heard: &[u8], what: &str) {
    assert!(!heard.windows(5).any(|octets| octets == b"\r\n.\r\n"), "{what}: a termination octet");
}

#[test]
fn whatever_a_program_wrote_before_it_failed_is_not_taken_for_whole() {
    // The name of the file is its unique-id, and tells the program after how many octets to fail.
    let mail = Mail::default();
    let user = mail.path().join("user");
    fs::create_dir(&user).unwrap();
    let edges = edges();
    for edge in &edges {
        fs::write(user.join(format!("{edge:09}")), "Subject: x\n\nx\n").unwrap();
    }
    // The last message goes well, now and then: a program that fails ten in a row rests.
    fs::write(user.join("well"), "Subject: x\n\nx\n").unwrap();
    for ending in ["exit 3", "kill -KILL $$"] {
        // Lines that look like the end; no text at all; and ordinary ones.
        for line in [".", "", "x"] {
            let what = format!(
                "test $MESSAGE_UID = well && exec cat; yes '{line}' | head -c \"$MESSAGE_UID\"; {ending}"
            );
            let server = Server::start(&mail, &["-t", &what]);
            let mut client = Client::login(server.address(), "user");
            for (number, &edge) in (1..).zip(&edges) {
                if number % 5 == 0 {
                    client.says(&format!("RETR {}", edges.len() + 1)).hears("+OK");
                    client.body().unwrap();
                }
                let reply = client.says(&format!("RETR {number}")).line();
                if edge < HOLD {
                    assert!(reply.starts_with("-ERR [SYS/TEMP] "), "{what}, {edge} octets: {reply}");
                    continue;
                }
                assert!(reply.starts_with("+OK"), "{what}, {edge} octets: {reply}");
                let (heard, end) = client.rest();
                assert_eq!(end, End::Reset, "{what}, {edge} octets");
                assert_never_ended(&heard, &what);
                client = Client::login_when_free(server.address(), "user");
            }
            wait_until("no child is left", || server.children() == 0);
        }
    }
}

#[test]
fn what_was_marked_stays_when_a_message_is_cut() {
    let mail = Mail::flat("user", &["one\n", "two\n"]);
    let server = Server::start(&mail, &["-t", "yes | head -c 200000; exit 1"]);
    let mut client = Client::login(server.address(), "user");
    client.says("DELE 2").hears("+OK");
    // QUIT waits behind it, and must not be heard.
    client.says("RETR 1\r\nQUIT").hears("+OK");
    assert_eq!(client.rest().1, End::Reset);
    let mut client = Client::login_when_free(server.address(), "user");
    client.says("STAT").hears("+OK 2 ");
    assert_eq!(mail.files("user").len(), 2);
}

#[test]
fn no_policy_helps_once_ok_was_said() {
    let mail = Mail::flat("user", &["one\n"]);
    for failure in ["exit 1", "exec sleep 1000"] {
        let keys =
            format!("command = \"yes | head -c 200000; {failure}\"\non_error = \"pass\"\ntimeout = \"3s\"");
        let server = Server::filtering(&mail, &keys);
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        let (heard, end) = client.rest();
        assert_eq!(end, End::Reset, "{failure}");
        assert_never_ended(&heard, failure);
    }
}

#[test]
fn a_chain_goes_on_without_the_program_that_failed() {
    let mail = Mail::flat("user", &["one\n"]);
    let config = "transform = [\"tr a-z A-Z\", \"fails\", \"rev\"]\n\
                  [transforms.fails]\ncommand = \"false\"\non_error = \"pass\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK 5 octets");
    assert_eq!(client.body().unwrap(), b"ENO\r\n");
}

#[test]
fn a_spool_that_failed_can_still_give_the_original() {
    let original = message(300_000, 1);
    let mail = Mail::flat("user", &[&original]);
    let server =
        Server::filtering(&mail, "command = \"cat; echo more; exit 1\"\nspool = true\non_error = \"pass\"");
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears(&format!("+OK {} octets", as_sent(&original).len()));
    assert!(client.body().unwrap() == as_sent(&original));
    client.says("QUIT").hears("+OK");
    let spooled: u64 = fs::read_dir(server.state())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum();
    assert!(spooled < 100_000, "{spooled} octets are left in the state folder");
}

#[test]
fn a_program_may_read_nothing_or_stop_reading() {
    let mail = Mail::flat("user", &[vec![b'x'; 4 << 20]]);
    for (chain, sent) in [
        ("[\"echo hi\"]", &b"hi\r\n"[..]),
        ("[\"head -c 5\"]", b"xxxxx\r\n"),
        ("[\"cat\", \"head -c 5\"]", b"xxxxx\r\n"),
        ("[\"cat\", \"cat\", \"true\"]", b""),
    ] {
        let config = format!("transform = {chain}\n");
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears(&format!("+OK {} octets", sent.len()));
        assert_eq!(client.body().unwrap(), sent, "{chain}");
        client.says("QUIT").hears("+OK");
        wait_until("no child is left", || server.children() == 0);
    }
}

#[test]
fn pipelined_messages_come_in_their_order() {
    let messages: Vec<_> = (1..=60).map(|number| format!("Subject: {number}\n\n{number}\n")).collect();
    let mail = Mail::maildir("user", &messages);
    let server = Server::start(&mail, &["-t", "tr S s"]);
    let mut client = Client::login(server.address(), "user");
    let commands: String = (1..=60).map(|number| format!("RETR {number}\r\n")).collect();
    client.sends(commands.as_bytes());
    for number in 1..=60 {
        client.hears("+OK");
        assert_eq!(client.body().unwrap(), format!("subject: {number}\r\n\r\n{number}\r\n").into_bytes());
    }
}

#[test]
fn a_client_that_goes_leaves_nothing_that_a_program_has_started() {
    for (number, habit) in [
        "yes | head -c 100000; sleep 1000",
        // Ignores the polite signal, and so do those it starts.
        "trap '' TERM; yes | head -c 100000; while :; do sleep 1000; done",
        // Leaves somebody behind who holds the pipe.
        "sleep 1000 & yes | head -c 100000; exec sleep 1000",
        // Leaves somebody behind who ignores the polite signal, and ends itself.
        "(trap '' TERM; while :; do sleep 1000; done) & exec yes",
    ]
    .into_iter()
    .enumerate()
    {
        // What the environment tells of the message marks each process.
        let mark = format!("left-behind-{}-{number}", std::process::id());
        let mail = Mail::default();
        fs::create_dir(mail.path().join("user")).unwrap();
        fs::write(mail.path().join("user").join(&mark), "Subject: x\n\nx\n").unwrap();
        let server = Server::filtering(&mail, &format!("command = \"{habit}\"\nmax_output = \"1TiB\""));
        for is_reset in [false, true] {
            let mut client = Client::login_when_free(server.address(), "user");
            client.says("RETR 1").hears("+OK");
            wait_until("the program runs", || !processes_with(&mark).is_empty());
            if !is_reset {
                client.shuts(Shutdown::Both);
            }
            // Octets that were not read make the kernel reset the connection.
            drop(client);
            wait_until(habit, || processes_with(&mark).is_empty());
            wait_until("no child is left", || server.children() == 0);
        }
    }
}

#[test]
fn a_program_that_lives_on_without_output_is_a_failure() {
    let mark = format!("lives-on-{}", std::process::id());
    let mail = Mail::default();
    fs::create_dir(mail.path().join("user")).unwrap();
    fs::write(mail.path().join("user").join(&mark), "x\n").unwrap();
    let server = Server::start(&mail, &["-t", "cat; exec >&-; exec sleep 1000"]);
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("-ERR [SYS/TEMP]");
    client.says("NOOP").hears("+OK");
    wait_until("the program has ended", || processes_with(&mark).is_empty());
}

#[test]
fn a_program_that_is_killed_from_outside_is_a_failure() {
    let mark = format!("killed-{}", std::process::id());
    let mail = Mail::default();
    fs::create_dir(mail.path().join("user")).unwrap();
    fs::write(mail.path().join("user").join(&mark), "x\n").unwrap();
    let server = Server::start(&mail, &["-t", "yes | head -c 100000; exec sleep 1000"]);
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    client.takes(100_000);
    for program in processes_with(&mark) {
        // One of them may have ended since.
        let _ = kill_process(program, Signal::KILL);
    }
    let (heard, end) = client.rest();
    assert_eq!(end, End::Reset);
    assert_never_ended(&heard, "killed");
}

#[test]
fn a_program_that_fails_within_top_is_an_error_unless_the_lines_were_out() {
    let mail = Mail::flat("user", &["Subject: x\n\n1\n"]);
    let server = Server::start(&mail, &["-t", "cat; exit 9"]);
    let mut client = Client::login(server.address(), "user");
    client.says("TOP 1 100").hears("-ERR [SYS/TEMP]");
    client.says("TOP 1 0").hears("+OK");
    assert_eq!(client.body().unwrap(), b"Subject: x\r\n\r\n");
}

#[test]
fn programs_that_sleep_on_every_worker_delay_nobody_else() {
    const SLEEPERS: usize = 12;
    let mail = Mail::flat("user", &["Subject: awake\n\nx\n"]);
    let mut config = String::from(
        "transform = \"filter\"\n[transforms.filter]\nmax_running = 32\n\
         command = \"test $POP3_USER = user || sleep 1000; cat\"\n[users]\n",
    );
    for number in 0..SLEEPERS {
        fs::create_dir(mail.path().join(format!("s{number}"))).unwrap();
        fs::write(mail.path().join(format!("s{number}/1")), "x\n").unwrap();
        config.push_str(&format!("s{number} = \"pass\"\n"));
    }
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut sleepers: Vec<_> =
        (0..SLEEPERS).map(|number| Client::login(server.address(), &format!("s{number}"))).collect();
    for sleeper in &mut sleepers {
        sleeper.says("RETR 1");
    }
    wait_until("all of them sleep", || server.children() >= SLEEPERS);
    let begun = Instant::now();
    // Several, so that each worker has some.
    for _ in 0..16 {
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("+OK 21 octets");
        assert_eq!(client.body().unwrap(), b"Subject: awake\r\n\r\nx\r\n");
        client.says("QUIT").hears("+OK");
    }
    println!("16 messages beside {SLEEPERS} sleeping programs: {:?}", begun.elapsed());
}

#[test]
fn a_client_that_takes_its_time_is_no_fault_of_the_program() {
    let message = message(8 << 20, 1);
    let mail = Mail::flat("user", &[&message]);
    for command in ["cat", "cat | cat"] {
        let server = Server::filtering(&mail, &format!("command = \"{command}\"\ntimeout = \"2s\""));
        let mut client = Client::login(server.address(), "user");
        let ok = client.says("RETR 1").hears("+OK");
        assert_eq!(ok, "+OK message follows");
        let begun = Instant::now();
        wait_until("the client has had a pause", || begun.elapsed().as_secs() > 4);
        assert!(client.body().unwrap() == as_sent(&message));
    }
}

#[test]
fn what_a_program_complains_of_is_in_the_log_but_not_without_end() {
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::filtering(&mail, "command = \"cat; seq -f complaint-%g 1 500 >&2\"");
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK 3 octets");
    client.body().unwrap();
    client.says("QUIT").hears("+OK");
    server.logs("more octets of standard error");
    let log = server.log();
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("complaint-")).collect();
    assert!(complaints[0].contains("filter") && complaints[0].contains("user"), "{}", complaints[0]);
    assert_eq!(complaints.len(), 64);
}

#[test]
fn a_line_for_the_shell_is_bound_before_it_begins() {
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let config = "transform = \"limits\"\n[transforms.limits]\nmemory = \"100MiB\"\ncpu = \"3s\"\nmax_output = \"1MiB\"\n\
                  command = \"ulimit -v; ulimit -S -t; ulimit -H -t; ulimit -n; ulimit -c; ulimit -f\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let mut client = Client::login(server.address(), "user");
    for _ in 0..light_or_heavy(50, 500) {
        client.says("RETR 1").hears("+OK");
        let told = client.body().unwrap();
        assert_eq!(String::from_utf8_lossy(&told), "102400\r\n3\r\n4\r\n256\r\n0\r\n2048\r\n");
    }
}

#[test]
fn a_crowd_waits_for_the_few_programs_that_may_run() {
    let sessions = light_or_heavy(100, 1_000);
    let message = message(150_000, 1);
    let mail = Mail::default();
    let mut config = String::from(
        "transform = \"filter\"\n[transforms.filter]\ncommand = \"cat\"\nmax_running = 8\n\
         [transform_pool]\nqueue_timeout = \"10m\"\n[users]\n",
    );
    for number in 0..sessions {
        fs::create_dir(mail.path().join(format!("u{number}"))).unwrap();
        fs::write(mail.path().join(format!("u{number}/1")), &message).unwrap();
        config.push_str(&format!("u{number} = \"pass\"\n"));
    }
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut clients: Vec<_> =
        (0..sessions).map(|number| Client::login(server.address(), &format!("u{number}"))).collect();
    for client in &mut clients {
        client.says("RETR 1");
    }
    let sent = as_sent(&message);
    // All read at once: a client that does not read may hold a place.
    thread::scope(|scope| {
        for client in &mut clients {
            let sent = &sent;
            scope.spawn(move || {
                client.hears("+OK");
                assert!(client.body().unwrap() == *sent);
            });
        }
    });
    wait_until("no child is left", || server.children() == 0);
}

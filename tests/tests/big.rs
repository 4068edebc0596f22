//! Large messages in little memory. Left out unless POP3D_HEAVY=1.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pop3d_tests::{Client, Mail, Over, Server, is_heavy_wanted};

/// Most memory that the server may have had, in KiB.
const MEMORY_MAX: u64 = 64 * 1024;

const LINE: &[u8] = b".a line of a large message, of sixty-four octets with its end..\n";
const LINES: u64 = 600 * 1024 * 1024 / LINE.len() as u64;

/// Counts and compares the lines of a response as they come.
fn receive(client: &mut Client) {
    let sent = [b".", &LINE[..LINE.len() - 1], b"\r\n"].concat();
    let (mut room, mut at, mut octets) = (vec![0; 1 << 20], 0, 0_u64);
    let total = LINES * sent.len() as u64;
    while octets < total {
        let count = client.read(&mut room).unwrap();
        assert!(count > 0, "the connection ended after {octets} octets");
        let mut rest = &room[..count];
        while !rest.is_empty() && octets < total {
            let length = rest.len().min(sent.len() - at);
            assert!(rest[..length] == sent[at..at + length], "after {octets} octets");
            at = (at + length) % sent.len();
            octets += length as u64;
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            assert!(b".\r\n".starts_with(rest), "{:?}", rest.escape_ascii());
            if rest.len() == 3 {
                return;
            }
        }
    }
    let mut end = Vec::new();
    while end != b".\r\n" {
        let count = client.read(&mut room).unwrap();
        end.extend_from_slice(&room[..count]);
        assert!(b".\r\n".starts_with(&end), "{:?}", end.escape_ascii());
    }
}

#[test]
fn four_clients_at_once_get_600_mib_each_and_a_fifth_is_answered_meanwhile() {
    if !is_heavy_wanted() {
        return;
    }
    let mail = Mail::default();
    fs::create_dir_all(mail.path().join("a")).unwrap();
    let first = mail.path().join("a/1");
    let mut file = BufWriter::new(File::create(&first).unwrap());
    for _ in 0..LINES {
        file.write_all(LINE).unwrap();
    }
    file.into_inner().unwrap();
    for user in ["b", "c", "d"] {
        fs::create_dir_all(mail.path().join(user)).unwrap();
        fs::hard_link(&first, mail.path().join(user).join("1")).unwrap();
    }
    for arguments in [&[][..], &["-t", "cat"]] {
        let server = Server::start(&mail, arguments);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let downloads: Vec<_> = ["a", "b", "c", "d"]
                .map(|user| {
                    let address = server.address();
                    scope.spawn(move || {
                        let mut client = Client::login(address, user);
                        client.says("RETR 1").hears("+OK");
                        // What the reader has in its buffer is part of it.
                        receive(&mut client);
                    })
                })
                .into();
            let noop = scope.spawn(|| {
                let mut client = Client::login(server.address(), "user");
                let mut times = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    client.says("NOOP").hears("+OK");
                    times.push(begun.elapsed());
                }
                times.sort();
                times
            });
            {
                let _over = Over(&is_over);
                for download in downloads {
                    download.join().unwrap();
                }
            }
            let times = noop.join().unwrap();
            println!(
                "{arguments:?}: {} NOOPs meanwhile, median {:?}, slowest {:?}",
                times.len(),
                times[times.len() / 2],
                times[times.len() - 1],
            );
        });
        let peak = server.peak_memory();
        println!("{arguments:?}: at most {peak} KiB of memory");
        assert!(peak < MEMORY_MAX, "{peak} KiB");
    }
}

#[test]
fn a_message_of_5_gib_passes_whole() {
    if !is_heavy_wanted() {
        return;
    }
    const OCTETS: u64 = 5 << 30;
    let mail = Mail::flat("user", &[""]);
    // Sparse: one line of NUL octets.
    File::options().write(true).open(mail.path().join("user/1")).unwrap().set_len(OCTETS).unwrap();
    for arguments in [&[][..], &["-t", "cat"]] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["-T", "0"]);
        let config = "[transform_defaults]\nmax_output = \"10GiB\"\ncpu = \"10m\"\n";
        let options = pop3d_tests::Options { arguments: &arguments, config, ..Default::default() };
        let server = Server::with(&mail, &options);
        let mut client = Client::connect(server.address());
        client.says("USER user").hears("+OK");
        // All of it is counted first, which may take a minute.
        client.waits_for(Duration::from_secs(600)).says("PASS pass").hears("+OK");
        client.says("STAT").hears(&format!("+OK 1 {}", OCTETS + 2));
        client.says("RETR 1").hears("+OK");
        let (mut room, mut octets) = (vec![0; 1 << 20], 0);
        let mut end = Vec::new();
        while end != b"\r\n.\r\n" {
            let count = client.read(&mut room).unwrap();
            assert!(count > 0, "the connection ended after {octets} octets");
            let zeros = if octets < OCTETS {
                room[..count].iter().take_while(|&&octet| octet == 0).count()
            } else {
                0
            };
            octets += zeros as u64;
            end.extend_from_slice(&room[zeros..count]);
            assert!(b"\r\n.\r\n".starts_with(&end), "after {octets} octets: {:?}", end.escape_ascii());
        }
        assert_eq!(octets, OCTETS);
        assert!(server.peak_memory() < MEMORY_MAX, "{} KiB", server.peak_memory());
    }
}

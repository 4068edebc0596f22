//! Shared parts of the black-box tests: a server of one's own, the mail it serves, a client that hears every octet.
//!
//! Every wait ends: what does not happen within `PATIENCE` never will. No test depends on a time beside that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod client;
mod guest;
mod kinds;
mod mail;
mod plugin;
mod process;
mod random;
mod server;
pub mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use admin::Admin;
pub use client::{Client, End};
pub use guest::{Guest, root, with_type};
pub use kinds::{DEEDS, Deed, Filters, KINDS, Kind, edge, failing_at};
pub use mail::Mail;
pub use plugin::{Plugins, plugin_config, retrieved, serving_plugin};
pub use process::processes_with;
pub use random::{Random, corpus};
pub use server::{Options, Server, built, checked, fails_to_start, fails_to_start_with, peepclient, program};

/// How long something that must happen may take on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the tests that take long, or much room, are wanted (`POP3D_HEAVY=1`).
#[must_use]
pub fn is_heavy_wanted() -> bool {
    let is_wanted = std::env::var_os("POP3D_HEAVY").is_some_and(|value| value == "1");
    if !is_wanted {
        println!("left out: set POP3D_HEAVY=1 to run it");
    }
    is_wanted
}

/// How often something is to be done: the second number where the tests that take long are wanted.
#[must_use]
pub fn light_or_heavy(light: usize, heavy: usize) -> usize {
    if std::env::var_os("POP3D_HEAVY").is_some_and(|value| value == "1") { heavy } else { light }
}

/// Waits until something is so.
///
/// # Panics
/// Where it is not within `PATIENCE`.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Says that it is over where it is dropped, also by a failure: what goes on until then must not go on for ever.
pub struct Over<'flag>(pub &'flag AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The body of a multi-line response that a message becomes: line ends are CRLF, nothing is stuffed.
#[must_use]
pub fn as_sent(message: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        sent.extend_from_slice(line);
        sent.extend_from_slice(b"\r\n");
    }
    sent
}

/// A message of about so many octets, with lines that begin with ".", and another for each seed.
#[must_use]
pub fn message(octets: usize, seed: usize) -> Vec<u8> {
    let mut message = format!("Subject: message {seed}\n\n").into_bytes();
    for number in 0.. {
        if message.len() >= octets {
            break;
        }
        message.extend_from_slice(format!(".line {number} of message {seed}\n").as_bytes());
    }
    message
}

/// Turns letters by 13.
#[must_use]
pub fn rot13(octets: &[u8]) -> Vec<u8> {
    let turn = |octet: &u8| match octet {
        b'a'..=b'z' => (octet - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (octet - b'A' + 13) % 26 + b'A',
        other => *other,
    };
    octets.iter().map(turn).collect()
}

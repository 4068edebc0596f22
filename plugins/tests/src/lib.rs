//! Messages, and what is asked of every filter that ships: that the way a message is cut does not matter, that LF and
//! CRLF do not, and that a second pass changes nothing where the filter says so.
//!
//! The messages are those of the folder `messages`, and of `POP3D_CORPUS` where that names a folder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use pop3d_transform::{Filter, run, run_cut};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// All messages, by file.
///
/// # Panics
/// Where they cannot be read.
#[must_use]
pub fn messages() -> Vec<(PathBuf, Vec<u8>)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("messages")];
    // Relative to the root of the repository.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folders.extend(std::env::var_os("POP3D_CORPUS").map(|folder| root.join(folder)));
    let mut messages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "eml") {
                let message = fs::read(&path).unwrap();
                messages.push((path, message));
            }
        }
    }
    messages.sort();
    messages
}

/// What comes out of a filter. It takes every message.
///
/// # Panics
/// Where it does not.
#[must_use]
pub fn sent<F: Filter>(options: &[(&str, &str)], message: &[u8]) -> Vec<u8> {
    run::<F>(options, message).unwrap()
}

/// All messages, with LF and with CRLF, cut at random: as when they come in one piece.
///
/// # Panics
/// Where that is not so.
pub fn cuts_do_not_matter<F: Filter>(options: &[(&str, &str)]) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, cases: 3, ..Config::default() });
    for (path, message) in messages() {
        for message in [with_lf(&message), with_crlf(&message), message] {
            let whole = sent::<F>(options, &message);
            let cuts = prop::collection::vec(1usize..3000, 1..9);
            let outcome = runner.run(&cuts, |cuts| {
                prop_assert!(run_cut::<F>(options, &message, &cuts).unwrap() == whole);
                Ok(())
            });
            outcome.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        let octets = run_cut::<F>(options, &message_head(&path), &[1]).unwrap();
        assert_eq!(octets, sent::<F>(options, &message_head(&path)), "{}", path.display());
    }
}

/// The first octets of a message, which may end anywhere.
fn message_head(path: &Path) -> Vec<u8> {
    let message = fs::read(path).unwrap();
    message[..message.len().min(5000)].to_vec()
}

/// A second pass over all messages changes nothing.
///
/// # Panics
/// Where it does.
pub fn a_second_pass_changes_nothing<F: Filter>(options: &[(&str, &str)]) {
    for (path, message) in messages() {
        let once = sent::<F>(options, &message);
        assert!(sent::<F>(options, &once) == once, "{}", path.display());
    }
}

/// Nothing is changed in any message.
///
/// # Panics
/// Where something is.
pub fn nothing_changes<F: Filter>(options: &[(&str, &str)]) {
    for (path, message) in messages() {
        assert!(sent::<F>(options, &message) == message, "{}", path.display());
    }
}

/// Options that are refused, and what the sentence says.
///
/// # Panics
/// Where they are taken.
pub fn refuses<F: Filter>(options: &[(&str, &str)], said: &str) {
    let refusal = run::<F>(options, b"").unwrap_err().to_string();
    assert!(refusal.contains(said), "{refusal}");
}

/// A message with LF as line ends.
#[must_use]
pub fn with_lf(message: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        lines.extend_from_slice(line.strip_suffix(b"\r\n").unwrap_or(line));
        if line.ends_with(b"\r\n") {
            lines.push(b'\n');
        }
    }
    lines
}

/// A message with CRLF as line ends.
#[must_use]
pub fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in with_lf(message).split_inclusive(|&octet| octet == b'\n') {
        lines.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        if line.ends_with(b"\n") {
            lines.extend_from_slice(b"\r\n");
        }
    }
    lines
}

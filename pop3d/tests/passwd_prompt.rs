//! `pop3d passwd` at a terminal: it asks, and nobody sees what is typed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

/// How long something that must happen may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program at a terminal of its own.
struct Terminal {
    pty: Arc<Pty>,
    shown: Receiver<Vec<u8>>,
    seen: String,
    child: Child,
}

impl Terminal {
    fn start(file: &Path, arguments: &[&str]) -> Self {
        let (pty, pts) = open().unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_pop3d")).arg("passwd").arg("-f").arg(file);
        let child = command.args(arguments).spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let (sender, shown) = mpsc::channel();
        let reader = Arc::clone(&pty);
        thread::spawn(move || {
            let mut room = [0; 1024];
            // Reading fails once the program has ended.
            while let Ok(count) = (&*reader).read(&mut room) {
                if sender.send(room[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { pty, shown, seen: String::new(), child }
    }

    /// Waits until this is shown.
    fn shows(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let octets = self.shown.recv_timeout(PATIENCE);
            let octets = octets.unwrap_or_else(|_| panic!("shown: {:?}, and not {text:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&octets));
        }
    }

    fn types(&mut self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&*self.pty).unwrap().local_modes.contains(LocalModes::ECHO)
    }
}

#[test]
fn a_new_password_is_asked_for_twice_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts");
    let mut terminal = Terminal::start(&file, &["ann"]);
    terminal.shows("New password of ann: ");
    assert!(!terminal.echoes());
    terminal.types("tanstaaf\r");
    terminal.shows("Once more: ");
    terminal.types("tanstaaf\r");
    terminal.shows("ann added to");
    assert!(terminal.child.wait().unwrap().success());
    assert!(!terminal.seen.contains("tanstaaf") && terminal.echoes(), "{}", terminal.seen);

    let mut terminal = Terminal::start(&file, &["ann", "--verify"]);
    terminal.shows("Password of ann: ");
    terminal.types("tanstaaf\r");
    terminal.shows("is right");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));

    let before = fs::read_to_string(&file).unwrap();
    let mut terminal = Terminal::start(&file, &["ann"]);
    terminal.shows("New password of ann: ");
    terminal.types("one\r");
    terminal.shows("Once more: ");
    terminal.types("another\r");
    terminal.shows("another than the first");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(65));
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn an_interrupt_leaves_the_terminal_as_it_was_and_the_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts");
    fs::write(&file, "ann:{PLAIN}x\n").unwrap();
    let mut terminal = Terminal::start(&file, &["ann"]);
    terminal.shows("New password of ann: ");
    terminal.types("tans\x03");
    let status = terminal.child.wait().unwrap();
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status}");
    assert!(terminal.echoes());
    assert_eq!(fs::read_to_string(&file).unwrap(), "ann:{PLAIN}x\n");
}

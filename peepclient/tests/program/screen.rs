//! A terminal that these tests play: a pseudo-terminal, and what its screen shows.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use vt100::Parser;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// A terminal with the program in it.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    screen: Arc<Screen>,
    child: Child,
    reader: Option<JoinHandle<()>>,
    /// The modes before the program began.
    pub(crate) found: Termios,
}

struct Screen {
    parser: Mutex<Parser>,
    changed: Condvar,
}

impl Terminal {
    /// Starts the program in a terminal of 80x24, with a home folder of its own.
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(ROWS, COLUMNS)).unwrap();
        let found = tcgetattr(pty.as_fd()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_peepclient"))
            .args(arguments)
            .env_remove("PEEP_PASSWORD")
            .env("TERM", "xterm-256color")
            .env("HOME", home)
            .env("XDG_STATE_HOME", home.join("state"))
            .spawn(pts)
            .unwrap();
        let pty = Arc::new(pty);
        let screen = Arc::new(Screen {
            parser: Mutex::new(Parser::new(ROWS.try_into().unwrap(), COLUMNS.try_into().unwrap(), 1000)),
            changed: Condvar::new(),
        });
        let (source, shown) = (Arc::clone(&pty), Arc::clone(&screen));
        let reader = thread::spawn(move || {
            let mut room = [0; 4096];
            // Without anybody at the other end reading fails.
            while let Ok(count @ 1..) = source.as_ref().read(&mut room) {
                shown.parser.lock().unwrap().process(&room[..count]);
                shown.changed.notify_all();
            }
        });
        Self { pty, screen, child, reader: Some(reader), found }
    }

    /// Types.
    pub(crate) fn types(&self, keys: &str) {
        self.pty.as_ref().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen is as expected; what it shows then.
    pub(crate) fn waits_until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut parser = self.screen.parser.lock().unwrap();
        loop {
            let text = parser.screen().contents();
            if is_there(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} is not on the screen:\n{text}");
            parser = self.screen.changed.wait_timeout(parser, left).unwrap().0;
        }
    }

    /// Waits until the screen shows a text.
    pub(crate) fn shows(&self, text: &str) -> String {
        self.waits_until(text, |screen| screen.contains(text))
    }

    /// Whether the terminal repeats what is typed.
    pub(crate) fn echoes(&self) -> bool {
        self.modes().local_modes.contains(LocalModes::ECHO)
    }

    /// The modes of the terminal.
    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(self.pty.as_fd()).unwrap()
    }

    /// Whether the alternate screen is shown, and whether the cursor is hidden.
    pub(crate) fn is_taken(&self) -> (bool, bool) {
        let parser = self.screen.parser.lock().unwrap();
        (parser.screen().alternate_screen(), parser.screen().hide_cursor())
    }

    /// Sends the program a signal.
    pub(crate) fn signals(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the program; its exit status.
    pub(crate) fn ends(&mut self) -> i32 {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.code().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

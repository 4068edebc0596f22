//! What the prompt needs of the terminal: to be left as it was found, and to be silent while a password is typed.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use zeroize::Zeroizing;

use crate::exit::Exit;

/// Longest password that is read. The protocol has no form for one of more than 128 octets; the rest is room to say so.
const PASSWORD_MAX: u64 = 4096;

/// Whether somebody sits before this program.
pub(crate) fn is_attended() -> bool {
    io::stdin().is_terminal()
}

/// What becomes of the signals that end the program.
#[derive(Default)]
pub(crate) struct Watch {
    /// Whether they are left to somebody who has more to restore than modes.
    is_left: AtomicBool,
    /// The first that was left; 0: none.
    left: AtomicU8,
}

impl Watch {
    /// Leaves the next signal to the caller, who asks for it often.
    pub(crate) fn leave(&self) {
        self.is_left.store(true, Ordering::SeqCst);
    }

    /// The signal that has come, once they are left.
    pub(crate) fn signal(&self) -> Option<u8> {
        Some(self.left.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
    }
}

/// Sees to it that a signal which ends the program leaves the terminal as it is at this moment.
pub(crate) fn restore_on_signal() -> Result<Arc<Watch>, Exit> {
    let watch = Arc::new(Watch::default());
    if !is_attended() {
        return Ok(watch);
    }
    let failed = |error: io::Error| Exit::System(format!("cannot listen to signals: {error}"));
    let found = termios::tcgetattr(io::stdin()).map_err(|error| failed(error.into()))?;
    // Taken before the thread begins: a signal between the two waits for it.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let watched = Arc::clone(&watch);
    let thread = thread::Builder::new().name("signals".into());
    let spawned = thread.spawn(move || {
        for signal in signals.forever() {
            let signal = u8::try_from(signal).unwrap_or(0);
            // A second one is not left: whoever was to see the first does not.
            if watched.is_left.load(Ordering::SeqCst) && watched.left.swap(signal, Ordering::SeqCst) == 0 {
                continue;
            }
            // A terminal that has gone needs nothing.
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &found);
            std::process::exit(i32::from(Exit::Signal(signal).status()));
        }
    });
    spawned.map_err(failed)?;
    Ok(watch)
}

/// Asks for a line at the terminal.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut errors = io::stderr();
    write!(errors, "{question}: ")?;
    errors.flush()?;
    read_line().map(|line| line.to_string())
}

/// Asks for a password at the terminal, without echo.
pub(crate) fn ask_password(question: &str) -> io::Result<Zeroizing<String>> {
    let mut errors = io::stderr();
    let quiet = Quiet::begin()?;
    write!(errors, "{question}: ")?;
    errors.flush()?;
    let password = read_line();
    drop(quiet);
    writeln!(errors)?;
    password
}

/// Asks for a password that is to be set; twice, as nobody sees what was typed.
pub(crate) fn ask_new_password(user: &str) -> io::Result<Option<Zeroizing<String>>> {
    let password = ask_password(&format!("Password of {user}"))?;
    let again = ask_password("Once more")?;
    Ok((password == again).then_some(password))
}

fn read_line() -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(256));
    let mut input = io::Read::take(io::stdin().lock(), PASSWORD_MAX);
    if input.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

/// A terminal without echo; as it was before when dropped.
struct Quiet {
    found: Termios,
}

impl Quiet {
    fn begin() -> io::Result<Self> {
        let found = termios::tcgetattr(io::stdin())?;
        let mut quiet = found.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // The line end is shown, so that what follows has a line of its own in every case: it is written here.
        quiet.local_modes.remove(LocalModes::ECHONL);
        // What was typed ahead was typed with echo, and is no password.
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self { found })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.found);
    }
}

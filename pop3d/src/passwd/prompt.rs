//! Passwords from the terminal, without echo, and from standard input.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process;
use std::thread;

use pop3d_core::accounts::{Secret, UserName};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::exit::Exit;

/// Longest line that is read. Passwords are shorter; the rest is room to say so.
const LINE_MAX: u64 = 4096;

/// The first line of standard input.
pub(super) fn read_line() -> Result<Secret, Exit> {
    line(&mut io::stdin().lock())
        .map_err(|error| Exit::Data(format!("no password on standard input: {error}")))
}

/// Asks for a password.
pub(super) fn ask(user: &UserName) -> Result<Secret, Exit> {
    let [password] = asked([format!("Password of {user}")])?;
    Ok(password)
}

/// Asks for a password that is to be set; twice, as nobody sees what was typed.
pub(super) fn ask_new(user: &UserName) -> Result<Secret, Exit> {
    let [password, again] = asked([format!("New password of {user}"), "Once more".to_owned()])?;
    if password.octets() == again.octets() {
        Ok(password)
    } else {
        Err(Exit::Data("the second password is another than the first".to_owned()))
    }
}

/// Asks at the terminal of this process, whatever its standard input is.
fn asked<const N: usize>(questions: [String; N]) -> Result<[Secret; N], Exit> {
    let failed = |error: io::Error| {
        Exit::NoInput(format!("no terminal to ask for a password: {error}; give it by --stdin"))
    };
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
    let mut input = BufReader::new(terminal.try_clone().map_err(failed)?);
    let quiet = Quiet::begin(&terminal).map_err(failed)?;
    let mut passwords = Vec::with_capacity(N);
    for question in questions {
        write!(terminal, "{question}: ").map_err(failed)?;
        passwords.push(line(&mut input).map_err(failed)?);
        writeln!(terminal).map_err(failed)?;
    }
    drop(quiet);
    passwords.try_into().map_err(|_| failed(io::ErrorKind::UnexpectedEof.into()))
}

fn line(input: &mut impl BufRead) -> io::Result<Secret> {
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(256));
    if input.take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(Secret::new(text.strip_suffix(b"\r").unwrap_or(text)))
}

/// A terminal without echo; as it was before when dropped, or when a signal ends the process.
struct Quiet<T: AsFd> {
    terminal: T,
    found: Termios,
    signals: signal_hook::iterator::Handle,
}

impl Quiet<std::fs::File> {
    fn begin(terminal: &std::fs::File) -> io::Result<Self> {
        let found = termios::tcgetattr(terminal)?;
        let mut quiet = found.clone();
        // The line end is written here: what follows has a line of its own in every case.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let (watched, before) = (terminal.try_clone()?, found.clone());
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let _ = termios::tcsetattr(&watched, OptionalActions::Now, &before);
                let _ = emulate_default_handler(signal);
                process::exit(128 + signal);
            }
        })?;
        // What was typed ahead was typed with echo, and is no password.
        termios::tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal: terminal.try_clone()?, found, signals: handle })
    }
}

impl<T: AsFd> Drop for Quiet<T> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.found);
        self.signals.close();
    }
}

//! A program that knows passwords, by the interface of qmail's checkpassword: it reads the user name, the password and a
//! timestamp, each with NUL behind it, from descriptor 3, and says by its status what it found.
//!
//! Nothing of that is in its arguments or its environment, which others can see. What follows its own arguments is, as
//! that interface has it, what it runs where the password is right: `/bin/true`, usually.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use pop3d_core::accounts::{Checker, UserName};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal as Kill, WaitIdStatus, kill_process_group, pidfd_open};
use zeroize::Zeroizing;

use crate::children::{Children, reap};
use crate::environment::temporary;

/// The descriptor that a program reads.
const DESCRIPTOR: i32 = 3;

/// Most octets that a program reads (the interface of checkpassword).
const OCTETS_MAX: usize = 512;

/// Most octets that a program of tokens reads: what the smallest pipe holds, so that writing never waits for it.
const TOKEN_OCTETS_MAX: usize = 4096;

/// Where programs are looked for.
const PATH: &str = "PATH=/usr/local/bin:/usr/bin:/bin";

/// How the program is started, and how long it may take.
pub struct Checkpassword {
    words: Vec<CString>,
    /// Most octets that it reads.
    octets_max: usize,
    limit: Duration,
    children: Arc<Children>,
}

impl Checkpassword {
    /// A program with its arguments; none: there is no program, or NUL is in a word.
    #[must_use]
    pub fn new(words: &[String], limit: Duration, children: Arc<Children>) -> Option<Self> {
        let words: Vec<_> =
            words.iter().map(|word| CString::new(word.as_str()).ok()).collect::<Option<_>>()?;
        words.first().filter(|program| !program.is_empty())?;
        Some(Self { words, octets_max: OCTETS_MAX, limit, children })
    }

    /// The same for a program that knows tokens, which are longer: it reads one in place of the password.
    #[must_use]
    pub fn of_tokens(words: &[String], limit: Duration, children: Arc<Children>) -> Option<Self> {
        Some(Self { octets_max: TOKEN_OCTETS_MAX, ..Self::new(words, limit, children)? })
    }

    /// Starts it, with what it reads; its end is told by the descriptor.
    fn start(&self, message: &[u8]) -> io::Result<(Pid, OwnedFd)> {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        let words = self.words.clone();
        let pid = self.children.start(move || spawn(&words, &theirs))??;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
            // Without a descriptor nothing tells when it ends; killed, it does so at once.
            let _ = kill_process_group(pid, Kill::KILL);
            reap(pid);
        })?;
        // It fits into the pipe. A program that reads nothing, and has closed it, says so by its status.
        let _ = File::from(ours).write_all(message);
        Ok((pid, descriptor))
    }

    fn run(&self, message: &[u8], end: Instant) -> Result<i32, String> {
        let program = || self.words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        let started = self.children.start_errand(|| self.start(message));
        let (pid, descriptor) = match started {
            Some(started) => started.map_err(|error| format!("cannot start {}: {error}", program()))?,
            None => return Err("the server stops".to_owned()),
        };
        let has_ended = is_readable(&descriptor, end);
        // What it has left running is no longer wanted either. Its number is its own until it is reaped, which is done here.
        let _ = kill_process_group(pid, Kill::KILL);
        let status = self.children.end_errand(pid);
        if !has_ended {
            return Err(format!(
                "{} did not end within {} seconds, and was killed",
                program(),
                self.limit.as_secs()
            ));
        }
        let status = status.as_ref().and_then(WaitIdStatus::exit_status);
        status.ok_or_else(|| format!("{} was ended by a signal", program()))
    }
}

/// Starts a program that reads from a pipe, as the leader of a process group.
fn spawn(words: &[CString], theirs: &OwnedFd) -> io::Result<Pid> {
    let mut actions = PosixSpawnFileActions::init()?;
    // First, while nothing else can have that number: with the same number on both sides it is only kept open.
    actions.add_dup2(theirs.as_raw_fd(), DESCRIPTOR)?;
    for (descriptor, flags) in [(0, OFlag::O_RDONLY), (1, OFlag::O_WRONLY)] {
        actions.add_open(descriptor, "/dev/null", flags, Mode::empty())?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(nix::unistd::Pid::from_raw(0))?;
    let mut defaults = SigSet::empty();
    // Which this process has ignored since it began.
    defaults.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&defaults)?;
    attributes.set_sigmask(&SigSet::empty())?;
    let mut environment = vec![CString::new(PATH)?, c"LANG=C.UTF-8".to_owned()];
    if let Some((name, folder)) = temporary() {
        environment.push(CString::new([name.as_bytes(), b"=", folder.as_bytes()].concat())?);
    }
    let program = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let pid = posix_spawnp(program, &actions, &attributes, words, &environment)?;
    Pid::from_raw(pid.as_raw()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Waits until a descriptor can be read; whether that came before `end`.
fn is_readable(descriptor: &OwnedFd, end: Instant) -> bool {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let Ok(left) = Timespec::try_from(left) else { return false };
        match poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

impl Checker for Checkpassword {
    fn check(&self, user: &UserName, password: &[u8]) -> Result<bool, String> {
        let end = Instant::now() + self.limit;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let message = Zeroizing::new([user.as_str().as_bytes(), password, time.as_bytes(), b""].join(&0));
        // What cannot be said is no password.
        if password.contains(&0) || message.len() > self.octets_max {
            return Ok(false);
        }
        match self.run(&message, end)? {
            0 => Ok(true),
            1 => Ok(false),
            2 => Err("it was misused (status 2)".to_owned()),
            111 => Err("it has a problem that may pass (status 111)".to_owned()),
            status => Err(format!("it ended with status {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A script as the program.
    fn script(text: &str, limit: Duration) -> (tempfile::TempDir, Checkpassword) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("check");
        fs::write(&path, text).unwrap();
        // A file that is run itself must not be open for writing, also not in what another test has just forked.
        let words = ["/bin/sh", path.to_str().unwrap(), "/bin/true"].map(str::to_owned);
        let program = Checkpassword::new(&words, limit, Arc::default()).unwrap();
        (folder, program)
    }

    fn ann() -> UserName {
        UserName::parse(b"ann").unwrap()
    }

    /// Reads the three parts, and lets in ann with "se cret".
    const READS: &str = "read=$(tr '\\000' '\\n' <&3)\n\
         user=$(printf '%s\\n' \"$read\" | sed -n 1p); pass=$(printf '%s\\n' \"$read\" | sed -n 2p)\n\
         [ \"$user\" = ann ] && [ \"$pass\" = 'se cret' ] || exit 1\nexec \"$@\"";

    #[test]
    fn the_status_says_what_it_found() {
        let (_folder, program) = script(READS, LONG);
        assert_eq!(program.check(&ann(), b"se cret"), Ok(true));
        assert_eq!(program.check(&ann(), b"secret"), Ok(false));
        assert_eq!(program.check(&UserName::parse(b"bob").unwrap(), b"se cret"), Ok(false));
        for (status, said) in [(2, "misused"), (111, "may pass"), (7, "status 7")] {
            let (_folder, program) = script(&format!("exit {status}"), LONG);
            assert!(program.check(&ann(), b"x").unwrap_err().contains(said));
        }
        let (_folder, program) = script("kill -9 $$", LONG);
        assert!(program.check(&ann(), b"x").unwrap_err().contains("signal"));
        let words = ["/nonexistent/check".to_owned()];
        let program = Checkpassword::new(&words, LONG, Arc::default()).unwrap();
        assert!(program.check(&ann(), b"x").unwrap_err().contains("cannot start"));
        assert!(Checkpassword::new(&[], LONG, Arc::default()).is_none());
    }

    #[test]
    fn what_the_interface_has_no_form_for_is_no_password() {
        let (_folder, program) = script("exit 0", LONG);
        assert_eq!(program.check(&ann(), b"a\0b"), Ok(false));
        assert_eq!(program.check(&ann(), &[b'x'; 600]), Ok(false));
    }

    #[test]
    fn the_password_is_in_neither_arguments_nor_environment() {
        let (folder, program) = script(
            "tr '\\000' '\\n' < /proc/$$/environ > \"$0.env\"; tr '\\000' '\\n' < /proc/$$/cmdline > \"$0.args\"; ls -l /proc/$$/fd > \"$0.fds\"; exit 0",
            LONG,
        );
        assert_eq!(program.check(&ann(), b"tanstaaf"), Ok(true));
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        for name in ["check.env", "check.args"] {
            assert!(!read(name).contains("tanstaaf") && !read(name).contains("ann"), "{}", read(name));
        }
    }

    #[test]
    fn one_that_does_not_end_is_killed_with_what_it_started() {
        let (folder, program) = script("sleep 1000 & echo $! > \"$0.pid\"; wait", Duration::from_millis(700));
        let why = program.check(&ann(), b"x").unwrap_err();
        assert!(why.contains("was killed"), "{why}");
        // On a busy machine it may have been killed before it had started anything.
        if let Some(pid) =
            fs::read_to_string(folder.path().join("check.pid")).ok().filter(|pid| !pid.is_empty())
        {
            let end = Instant::now() + Duration::from_secs(30);
            let status = format!("/proc/{}/status", pid.trim());
            // A zombie until somebody reaps it.
            let runs = || fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
            while runs() {
                assert!(Instant::now() < end, "it still runs");
                std::thread::yield_now();
            }
        }
        assert_eq!(program.children.errands_running(), 0);
    }
}

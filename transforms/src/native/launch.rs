//! The process of a helper: started, limited, told what to load, and ended.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, WaitId, WaitIdOptions, prlimit, waitid};

use super::frames::{self, FROM_HELPER_MAX, Frame, Kind};
use super::incoming::Incoming;
use crate::children::{Children, charge_beyond};
use crate::environment::temporary;
use crate::record::Record;

/// The argument that makes this program a helper.
pub const ARGUMENT: &str = "--plugin-host";

/// The further argument by which it keeps its plugin to its messages, once that is loaded.
pub const SEALED: &str = "--sealed";

/// The further argument by which it ends with the thread that has started it, which ends with the server.
pub const TIED: &str = "--tied";

/// How long a helper may take to load its plugin.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// How long a helper that has closed its socket may take to end.
const LAST_MOMENT: Duration = Duration::from_millis(50);

/// Descriptors of a helper.
const DESCRIPTORS: u64 = 64;

/// What a helper is started with.
pub(super) struct Start<'start> {
    pub(super) name: &'start str,
    pub(super) options: &'start [(String, String)],
    pub(super) library: &'start [u8],
    /// What starts its process.
    pub(super) children: &'start Children,
    /// What its processor time is added to, once it has ended.
    pub(super) record: &'start Arc<Record>,
    /// Address space in octets.
    pub(super) memory: Option<u64>,
    /// Longest time of one call.
    pub(super) timeout: Duration,
}

/// Why there is no helper, as a sentence.
#[derive(Clone, Debug)]
pub(super) enum Unstarted {
    /// The server has no process, thread or descriptor for it.
    OfServer(String),
    /// It has not loaded its plugin.
    OfPlugin(String),
}

/// The process of a helper. Dropping it kills and reaps it.
pub(super) struct Process {
    child: Child,
    /// What its processor time is added to.
    record: Arc<Record>,
    is_reaped: bool,
}

/// Starts a helper, which hears on that socket.
///
/// # Errors
/// Where no process can be had.
pub(super) fn launch(socket: UnixStream, start: &Start<'_>) -> io::Result<Process> {
    let children = start.children;
    let sealed = children.seals_plugins().then_some(SEALED);
    let tied = children.have_lasting_starters().then_some(TIED);
    let begin = move || {
        Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .args(sealed)
            .args(tied)
            .env_clear()
            .envs(temporary())
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    };
    let child = children.start(begin)??;
    limit(Pid::from_child(&child), start.memory);
    Ok(Process::new(child, Arc::clone(start.record)))
}

fn limit(pid: Pid, memory: Option<u64>) {
    let set = |resource, limit| {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        if let Err(error) = prlimit(Some(pid), resource, limit) {
            log::warn!(target: "pop3d::transform", "a limit of a helper process cannot be set: {error}");
        }
    };
    set(Resource::Nofile, DESCRIPTORS);
    set(Resource::Core, 0);
    if let Some(memory) = memory {
        set(Resource::As, memory);
    }
}

/// Tells a helper what to load, and hears whether it has.
///
/// # Errors
/// Why it has not; none: it has ended.
pub(super) fn load(socket: &UnixStream, start: &Start<'_>) -> Result<(), Option<String>> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => None,
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Some(format!("its helper process did not load it within {LOAD_LIMIT:?}"))
        }
        _ => Some(format!("its helper process did not load it: {error}")),
    };
    socket.set_read_timeout(Some(LOAD_LIMIT)).map_err(failed)?;
    socket.set_write_timeout(Some(LOAD_LIMIT)).map_err(failed)?;
    let mut socket = socket;
    let payload = frames::write_load(start.name, start.options, start.library);
    Frame::new(0, Kind::Load, payload).write(&mut socket).map_err(failed)?;
    // The helper says nothing more before it is asked.
    let answer = Incoming::new(socket, FROM_HELPER_MAX).frame().map_err(failed)?;
    socket.set_write_timeout(None).map_err(failed)?;
    match answer.kind {
        Kind::Loaded => Ok(()),
        _ => Err(Some(String::from_utf8_lossy(&answer.payload).into_owned())),
    }
}

impl fmt::Display for Unstarted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::OfServer(why) | Self::OfPlugin(why)) = self;
        formatter.write_str(why)
    }
}

impl Process {
    pub(super) fn new(child: Child, record: Arc<Record>) -> Self {
        Self { child, record, is_reaped: false }
    }

    /// Its standard error, the first time.
    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Ends it for good, if it does not end by itself just then; its status. `charged`: what of its processor time was
    /// counted before.
    pub(super) fn end(mut self, charged: Duration) -> String {
        // One that crashes has closed its socket a moment before it has a status.
        let until = Instant::now() + LAST_MOMENT;
        while !self.is_gone() && Instant::now() < until {
            thread::yield_now();
        }
        self.reap(charged)
    }

    fn is_gone(&self) -> bool {
        // Looked at and not reaped, which is done below, and by nobody else.
        let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        matches!(waitid(WaitId::Pid(Pid::from_child(&self.child)), seen), Ok(Some(_)))
    }

    fn reap(&mut self, charged: Duration) -> String {
        if !self.is_gone() {
            // It may have gone just then.
            let _ = self.child.kill();
        }
        let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(Pid::from_child(&self.child)), seen) {}
        let status = charge_beyond(charged, &self.record, || self.child.try_wait());
        self.is_reaped = true;
        status.ok().flatten().map_or_else(String::new, |status| status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.reap(Duration::ZERO);
        }
    }
}

//! Children from their start until they are reaped: who owns them, how they end.
//!
//! Every child leads a process group of its own. The group's number stays taken as long as the leader is not
//! reaped, so the group is killed before: then the signal cannot hit a stranger.

mod nursery;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use pop3d_core::pool::Pool;
use pop3d_core::transform::Wake;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open, waitid,
};

use self::nursery::Nursery;
pub use self::usage::processor_time;
pub(crate) use self::usage::{charge_beyond, reap};
use crate::queue::Place;
use crate::record::Record;

/// How long a child may take to end after SIGTERM; then it is killed.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// Longest time between two looks at a child that is to end.
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// How long `kill_all` waits for what is being started, and for the dead.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// Time between two looks at whether something is being started.
const STARTING_LOOK: Duration = Duration::from_millis(1);

/// Every child that is not reaped yet, of all transforms. The program ends them all by `kill_all` when it stops.
#[derive(Default)]
pub struct Children {
    /// None may be started any more.
    is_closed: AtomicBool,
    /// Held for reading while one is started, so that none slips through.
    starting: RwLock<()>,
    living: Mutex<HashMap<Pid, Arc<Child>>>,
    /// Programs that whoever started them waits for, and reaps.
    errands: Mutex<HashSet<Pid>>,
    /// What starts them; none: whoever asks for it.
    nursery: Option<Nursery>,
    /// Whether plugins in helper processes are kept to their messages once they are loaded.
    seals_plugins: bool,
}

/// A started program, the leader of its process group.
pub(crate) struct Child {
    pid: Pid,
    descriptor: OwnedFd,
    /// From when on it is there, its number may belong to somebody else.
    reaped: Mutex<Option<Reaped>>,
    /// Free for the next message once the child has ended, even if a slow client has not taken its output.
    place: Mutex<Option<Place>>,
    /// Where its processor time goes.
    record: Arc<Record>,
}

/// What is left of a child that is reaped.
#[derive(Clone, Copy)]
struct Reaped {
    exit: Exit,
    /// Its processor time, and that of what it has waited for.
    time: Duration,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Status(i32),
    Signal(i32),
    /// Somebody else reaped it.
    Unknown,
}

/// Leave to start a child. While it is held `kill_all` waits, though not for ever.
pub(crate) struct Permission<'a> {
    children: &'a Arc<Children>,
    _starting: RwLockReadGuard<'a, ()>,
}

/// The owner of a child. Dropping it ends the child, without waiting for that.
pub(crate) struct Owner {
    child: Arc<Child>,
    /// `None` only while the owner is dropped.
    held: Option<Held>,
    pool: Pool,
}

struct Held {
    child: Arc<Child>,
    children: Arc<Children>,
}

impl Children {
    /// With threads of their own that start them, confined by a function, which is called in one of these; what that says.
    /// `seals_plugins`: whether those in helper processes are to be kept to their messages.
    ///
    /// # Errors
    /// What the function fails by, or where there are no threads to be had.
    pub fn confined<T: Send + 'static>(
        confine: impl FnOnce() -> io::Result<T> + Send + 'static,
        seals_plugins: bool,
    ) -> io::Result<(Self, T)> {
        let (nursery, told) = Nursery::new(confine)?;
        Ok((Self { nursery: Some(nursery), seals_plugins, ..Self::default() }, told))
    }

    /// Does what starts a child where that is confined as it is to be.
    ///
    /// # Errors
    /// Where there is no thread for it.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        start: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match &self.nursery {
            Some(nursery) => nursery.run(start),
            None => Ok(start()),
        }
    }

    /// Whether what starts them lives as long as the program does.
    pub(crate) fn have_lasting_starters(&self) -> bool {
        self.nursery.is_some()
    }

    /// Whether plugins in helper processes are kept to their messages once they are loaded.
    pub(crate) fn seals_plugins(&self) -> bool {
        self.seals_plugins
    }

    /// Kills every child with its process group, waits until they are dead, and refuses further ones.
    ///
    /// For the end of the program, when no client is left: what was told to end and has not yet is killed as well.
    pub fn kill_all(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let end = Instant::now() + KILL_WAIT;
        // Where a start hangs, as on a network that is gone, what comes of it is killed by who waits for it.
        while matches!(self.starting.try_write(), Err(TryLockError::WouldBlock)) && Instant::now() < end {
            thread::sleep(STARTING_LOOK);
        }
        let children: Vec<_> = self.living().values().cloned().collect();
        for child in &children {
            child.signal_group(Signal::KILL);
        }
        for &pid in self.errands().iter() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let end = Instant::now() + KILL_WAIT;
        for child in &children {
            child.wait_until(end);
            if child.reap().is_some() {
                self.living().remove(&child.pid);
            }
        }
    }

    /// Starts a program that is waited for and reaped by the caller; `None` once `kill_all` was called.
    pub(crate) fn start_errand<T>(
        &self,
        start: impl FnOnce() -> io::Result<(Pid, T)>,
    ) -> Option<io::Result<(Pid, T)>> {
        let _starting = self.leave_to_start()?;
        let started = start();
        if let Ok((pid, _)) = &started {
            let mut errands = self.errands();
            errands.insert(*pid);
            if self.is_closed.load(Ordering::SeqCst) {
                let _ = kill_process_group(*pid, Signal::KILL);
            }
        }
        Some(started)
    }

    /// Waits until a program that `start_errand` has started has ended, and reaps it; how it ended. Until then nobody else
    /// can have its number.
    pub(crate) fn end_errand(&self, pid: Pid) -> Option<WaitIdStatus> {
        // Without the lock: others are started and ended meanwhile.
        usage::wait_for_end(pid);
        // With it: what stands there may be signalled.
        let mut errands = self.errands();
        let status = usage::reap_ended(pid);
        errands.remove(&pid);
        status
    }

    fn errands(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many programs are waited for by whoever started them.
    #[cfg(test)]
    pub(crate) fn errands_running(&self) -> usize {
        self.errands().len()
    }

    /// How many are not reaped yet.
    #[must_use]
    pub fn count(&self) -> usize {
        self.living().len()
    }

    /// `None` once `kill_all` was called.
    pub(crate) fn permission(self: &Arc<Self>) -> Option<Permission<'_>> {
        let starting = self.leave_to_start()?;
        Some(Permission { children: self, _starting: starting })
    }

    fn leave_to_start(&self) -> Option<RwLockReadGuard<'_, ()>> {
        let starting = self.starting.read().unwrap_or_else(PoisonError::into_inner);
        (!self.is_closed.load(Ordering::SeqCst)).then_some(starting)
    }

    fn living(&self) -> MutexGuard<'_, HashMap<Pid, Arc<Child>>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permission<'_> {
    /// Takes charge of a child that was just started.
    ///
    /// # Errors
    /// Where there is no descriptor for it. It is killed then.
    pub(crate) fn adopt(
        &self,
        pid: Pid,
        place: Place,
        pool: &Pool,
        record: &Arc<Record>,
    ) -> io::Result<Owner> {
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                // Without a descriptor nothing tells when it ends; killed, it does so at once.
                let _ = kill_process_group(pid, Signal::KILL);
                usage::wait_for_end(pid);
                let _ = usage::charge(record, || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED));
                return Err(error.into());
            }
        };
        let place = Mutex::new(Some(place));
        let record = Arc::clone(record);
        let child = Arc::new(Child { pid, descriptor, reaped: Mutex::new(None), place, record });
        self.children.living().insert(pid, Arc::clone(&child));
        if self.children.is_closed.load(Ordering::SeqCst) {
            child.signal_group(Signal::KILL);
        }
        let children = Arc::clone(self.children);
        let held = Held { child: Arc::clone(&child), children };
        Ok(Owner { child, held: Some(held), pool: pool.clone() })
    }
}

impl Child {
    /// How it ended, if it has. It stays unreaped.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match *self.reaped() {
            Some(reaped) => Some(reaped.exit),
            None => self.look(WaitIdOptions::NOWAIT),
        }
    }

    fn signal_group(&self, signal: Signal) {
        if self.reaped().is_none() {
            // Fails where nobody may be signalled any more, or a program has taken another user's rights.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// If it has ended: kills what is left of its group and reaps it. Does not wait.
    fn reap(&self) -> Option<Reaped> {
        let mut reaped = self.reaped();
        if reaped.is_none() && self.look(WaitIdOptions::NOWAIT).is_some() {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let (exit, time) = usage::timed(|| self.look(WaitIdOptions::empty()));
            self.record.add_cpu(time);
            *reaped = exit.map(|exit| Reaped { exit, time });
            self.vacate();
        }
        *reaped
    }

    /// Lets the next message in.
    fn vacate(&self) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Outside the lock, since somebody is woken.
        drop(place);
    }

    fn look(&self, options: WaitIdOptions) -> Option<Exit> {
        let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.descriptor.as_fd()), options)) {
            Ok(status) => status.map(|status| Exit::of(&status)),
            Err(_) => Some(Exit::Unknown),
        }
    }

    /// Waits until it has ended, at most until `end`.
    fn wait_until(&self, end: Instant) {
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
            let limit = Timespec::try_from(rest).unwrap_or_default();
            match rustix::event::poll(&mut descriptors, Some(&limit)) {
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn reaped(&self) -> MutexGuard<'_, Option<Reaped>> {
        self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Child {
    /// The descriptor that becomes readable when the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Exit {
    fn of(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => Self::Status(status),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "exit status {status}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(formatter, "killed by signal {signal} ({name})"),
                None => write!(formatter, "killed by signal {signal}"),
            },
            Self::Unknown => formatter.write_str("exit status unknown"),
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
    ];
    names.into_iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| name)
}

impl Owner {
    pub(crate) fn child(&self) -> &Child {
        &self.child
    }

    /// Reaps a child that has ended, with what is left of its group: the processor time of it and of what it has waited for.
    pub(crate) fn reap(&self) -> Duration {
        self.held.as_ref().and_then(Held::reaped).map_or(Duration::ZERO, |reaped| reaped.time)
    }

    /// What to call when the child's descriptor becomes readable.
    pub(crate) fn on_exit(&self, wake: Wake) -> Wake {
        let child = Arc::clone(&self.child);
        Wake(Arc::new(move || {
            if child.exit().is_some() {
                child.vacate();
            }
            wake.wake();
        }))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if held.reaped().is_some() {
            return;
        }
        held.child.signal_group(Signal::TERM);
        look_again(held, &self.pool, Instant::now() + TERM_GRACE, Duration::from_millis(1));
    }
}

impl Held {
    /// Reaps it if it has ended; then nobody need know it any longer.
    fn reaped(&self) -> Option<Reaped> {
        let reaped = self.child.reap();
        if reaped.is_some() {
            let mut living = self.children.living();
            // Its number may be another child's by now.
            if living.get(&self.child.pid).is_some_and(|known| Arc::ptr_eq(known, &self.child)) {
                living.remove(&self.child.pid);
            }
        }
        reaped
    }
}

/// Looks after a child that was told to end, until it is reaped: in ever longer steps, since most are dead at
/// once, and none may hold up a thread. It is killed at `kill`.
fn look_again(held: Held, pool: &Pool, kill: Instant, delay: Duration) {
    let later = pool.clone();
    pool.run_after(delay, move || {
        if held.reaped().is_some() {
            return;
        }
        if Instant::now() >= kill {
            held.child.signal_group(Signal::KILL);
        }
        look_again(held, &later, kill, (delay * 2).min(LONGEST_LOOK));
    });
}

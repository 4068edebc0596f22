//! A child that runs, seen from the worker: its pipes, its time, its end. Nothing here waits.

use std::io::{self, Seek as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Interest;
use pop3d_core::transform::{Error, Read};
use pop3d_protocol::text::one_line;
use rustix::io::{Errno, ioctl_fionread, retry_on_intr};
use rustix::process::Signal;

use super::clock::Clock;
use super::errand::Errand;
use super::failure::Failure;
use super::start::{Started, Stdin, cpu_limit};
use super::watch::{Watch, Watched};
use crate::bound::Bound;
use crate::children::{Exit, Owner};
use crate::complaints::Complaints;
use crate::spec::CommandLine;

/// How long a child may live after it closed its output.
const EXIT_GRACE: Duration = Duration::from_secs(1);

/// Reads of standard error in one call.
const COMPLAINTS_PER_CALL: usize = 16;

/// EX_TEMPFAIL and EX_CONFIG of sysexits.
const EXIT_TEMPORARY: i32 = 75;
const EXIT_CONFIGURATION: i32 = 78;

/// What a shell says of a program that cannot be executed or found.
const EXIT_NOT_STARTED: [i32; 2] = [126, 127];

/// What a shell adds to a signal's number.
const EXIT_SIGNALLED: i32 = 128;

pub(super) struct Running {
    // Dropped in this order: no interest outlives its descriptor, and the child is ended last.
    _exit: Watch,
    input: Input,
    output: Output,
    stderr: Option<Watched>,
    owner: Owner,
    complaints: Complaints,
    clock: Clock,
    bound: Bound,
    errand: Arc<Errand>,
}

enum Input {
    File(std::fs::File),
    Pipe { pipe: Watched, written: u64 },
    Closed { written: u64 },
}

enum Output {
    Open(Watched),
    Closed { since: Instant },
}

impl Running {
    /// Takes charge of a child on the worker that drives its message. `announced`: all that its input will be, where that is
    /// known; `finished`: there is none.
    pub(super) fn new(
        errand: Arc<Errand>,
        started: Started,
        announced: Option<u64>,
        finished: bool,
    ) -> Result<Self, Failure> {
        let Started { owner, stdin, stdout, stderr } = started;
        let register = || -> io::Result<_> {
            let reactor = &errand.process.resources.reactor;
            let on_exit = owner.on_exit(errand.wake.clone());
            let exit = Watch::new(reactor, owner.child().as_fd(), Interest::READABLE, on_exit)?;
            let input = match stdin {
                Stdin::File(file) => Input::File(file),
                Stdin::Pipe(pipe) if !finished => {
                    let pipe = Watched::new(reactor, pipe, Interest::WRITABLE, errand.wake.clone())?;
                    Input::Pipe { pipe, written: 0 }
                }
                Stdin::Pipe(_) | Stdin::Nothing => Input::Closed { written: 0 },
            };
            let stdout = Watched::new(reactor, stdout, Interest::READABLE, errand.wake.clone())?;
            let stderr = Watched::new(reactor, stderr, Interest::READABLE, errand.wake.clone())?;
            Ok((exit, input, stdout, stderr))
        };
        let (exit, input, stdout, stderr) =
            register().map_err(|error| Failure::of_server(format!("cannot watch a child: {error}")))?;
        let mut bound = Bound::new(errand.process.spec.max_output);
        match (&input, announced) {
            (Input::File(_), _) => bound.announce(errand.message.octets),
            (Input::Pipe { .. } | Input::Closed { .. }, Some(octets)) => bound.announce(octets),
            (Input::Pipe { .. } | Input::Closed { .. }, None) => {}
        }
        Ok(Self {
            _exit: exit,
            input,
            output: Output::Open(stdout),
            stderr: Some(stderr),
            owner,
            complaints: Complaints::default(),
            clock: Clock::new(errand.process.spec.timeout),
            bound,
            errand,
        })
    }

    /// Writes what the pipe takes.
    pub(super) fn write(&mut self, octets: &[u8]) -> Result<usize, Error> {
        // A child whose complaints nobody takes stops reading.
        self.hear();
        let Input::Pipe { pipe, written } = &mut self.input else { return Ok(0) };
        match retry_on_intr(|| rustix::io::write(&*pipe, octets)) {
            Ok(count) => {
                *written += count as u64;
                self.bound.feed(count);
                self.clock.stop();
                Ok(count)
            }
            Err(Errno::AGAIN) => Ok(0),
            Err(Errno::PIPE) => {
                // It wants no more, as `head` does. Whether that is well its exit will tell.
                self.finish();
                Ok(0)
            }
            Err(error) => Err(Error::Temporary(format!("cannot write to a child: {error}"))),
        }
    }

    /// There is no more input.
    pub(super) fn finish(&mut self) {
        if let Input::Pipe { written, .. } = self.input {
            self.input = Input::Closed { written };
            self.clock.stop();
        }
    }

    pub(super) fn read(&mut self, octets: &mut [u8]) -> Result<Read, Error> {
        self.hear();
        if let Some(data) = self.take_output(octets)? {
            return Ok(data);
        }
        if let Some(exit) = self.owner.child().exit() {
            // What it wrote between the two looks, as its last.
            if let Some(data) = self.take_output(octets)? {
                return Ok(data);
            }
            self.judge(exit)?;
            if matches!(self.output, Output::Closed { .. }) {
                return self.check_spent().map(|()| Read::End);
            }
            // It has ended well, but something it started still has its output and may write.
        }
        self.check_time(Instant::now())?;
        Ok(Read::Pending)
    }

    /// What is there of its output; none: nothing, or it has ended.
    fn take_output(&mut self, octets: &mut [u8]) -> Result<Option<Read>, Error> {
        let Output::Open(pipe) = &self.output else { return Ok(None) };
        match retry_on_intr(|| rustix::io::read(pipe, &mut *octets)) {
            Ok(0) => {
                self.output = Output::Closed { since: Instant::now() };
                if self.owner.child().exit().is_none() {
                    self.errand.wake_after(EXIT_GRACE);
                }
                Ok(None)
            }
            Ok(count) => {
                self.clock.stop();
                self.bound.take(count).map(|()| Some(Read::Data(count)))
            }
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(Error::Temporary(format!("cannot read from a child: {error}"))),
        }
    }

    /// Whether it has written something and not failed so far.
    pub(super) fn is_well(&self) -> bool {
        let exit = self.owner.child().exit();
        self.bound.output() > 0 && exit.is_none_or(|exit| self.judge(exit).is_ok())
    }

    /// The last lines it wrote to standard error, for the log.
    pub(super) fn last_words(&mut self) -> String {
        self.hear();
        self.complaints.finish(&mut |line| self.errand.log_complaint(line));
        self.complaints.tail()
    }

    /// What an end means for the message.
    fn judge(&self, exit: Exit) -> Result<(), Error> {
        let spec = &self.errand.process.spec;
        let signal = match (exit, &spec.command) {
            (Exit::Signal(signal), _) => Some(signal),
            (Exit::Status(status), CommandLine::Shell(_)) => Some(status - EXIT_SIGNALLED),
            (Exit::Status(_) | Exit::Unknown, _) => None,
        };
        match exit {
            Exit::Status(0) => Ok(()),
            _ if signal == Some(Signal::XCPU.as_raw()) => Err(Error::TimedOut(spec.cpu)),
            Exit::Status(EXIT_TEMPORARY) => Err(Error::Temporary(exit.to_string())),
            Exit::Status(status) if status == EXIT_CONFIGURATION || EXIT_NOT_STARTED.contains(&status) => {
                Err(Error::Permanent(exit.to_string()))
            }
            Exit::Status(_) | Exit::Signal(_) | Exit::Unknown => Err(Error::Crashed(exit.to_string())),
        }
    }

    /// All went well by what is told. Of a pipe of the shell that is how its last program ended: that one before it was ended
    /// by the limit is seen by the time of all alone. The kernel ends a program by ticks, and counts on a busy machine up to a
    /// tenth more of them than it tells of one that has ended.
    fn check_spent(&self) -> Result<(), Error> {
        let spec = &self.errand.process.spec;
        let limit = cpu_limit(spec);
        let is_spent = self.owner.reap() >= limit - limit / 8;
        if is_spent && spec.command.has_several() {
            return Err(Error::TimedOut(spec.cpu));
        }
        Ok(())
    }

    /// Nothing came: whether that is so for too long.
    fn check_time(&mut self, now: Instant) -> Result<(), Error> {
        match self.output {
            Output::Closed { since } => {
                if now.saturating_duration_since(since) >= EXIT_GRACE {
                    return Err(Error::Crashed("it closed its output and did not exit".to_owned()));
                }
            }
            Output::Open(_) => {
                if self.clock.has_run_out(now, self.input.consumed(), self.input.starves()) {
                    return Err(Error::TimedOut(self.errand.process.spec.timeout));
                }
                self.errand.set_alarm(self.clock.look_after());
            }
        }
        Ok(())
    }

    /// Takes what is on standard error, a bounded share.
    fn hear(&mut self) {
        let Some(stderr) = &self.stderr else { return };
        let mut chunk = [0; 4096];
        for _ in 0..COMPLAINTS_PER_CALL {
            match retry_on_intr(|| rustix::io::read(stderr, &mut chunk)) {
                Ok(count) if count > 0 => {
                    self.complaints.take(&chunk[..count], &mut |line| self.errand.log_complaint(line));
                }
                Err(Errno::AGAIN) => return,
                Ok(_) | Err(_) => {
                    self.stderr = None;
                    return;
                }
            }
        }
        // There is more, and no event will tell.
        self.errand.wake.wake();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hear();
        let unlogged = self.complaints.finish(&mut |line| self.errand.log_complaint(line));
        if unlogged > 0 {
            let spec = &self.errand.process.spec;
            log::info!(
                target: "pop3d::transform",
                "{}: {unlogged} more octets of standard error",
                one_line(&spec.name),
            );
        }
        let consumed = match &self.input {
            Input::File(_) => self.input.consumed().min(self.errand.message.octets),
            Input::Pipe { written, .. } | Input::Closed { written } => *written,
        };
        self.errand.process.record.add_octets(consumed, self.bound.output());
    }
}

impl Input {
    /// What the child has taken so far, as far as can be known: not of a pipe that is closed on our side.
    fn consumed(&self) -> u64 {
        match self {
            // The offset is the child's too.
            Self::File(file) => (&*file).stream_position().unwrap_or(0),
            Self::Pipe { pipe, written } => written.saturating_sub(ioctl_fionread(pipe).unwrap_or(0)),
            Self::Closed { written } => *written,
        }
    }

    /// It has taken all there is so far, and more will come.
    fn starves(&self) -> bool {
        match self {
            Self::Pipe { pipe, .. } => ioctl_fionread(pipe) == Ok(0),
            Self::File(_) | Self::Closed { .. } => false,
        }
    }
}

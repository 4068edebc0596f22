//! One message on its way through a program: waits for its turn, for its child, then is that child's pipes.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{io, mem};

use pop3d_core::transform::{Error, Read, Stream};
use pop3d_protocol::text::one_line;

use super::Process;
use super::errand::Errand;
use super::failure::Failure;
use super::running::Running;
use super::start::{Source, Started, start};
use crate::queue::{Place, Turn};

/// One message on its way through a program.
pub(super) struct ProcessStream {
    errand: Arc<Errand>,
    state: State,
    /// All that the input will be, where that is known.
    announced: Option<u64>,
    /// `None`: it is over, and its time is counted.
    begun: Option<Instant>,
}

enum State {
    /// `None`: nobody has said yet where the input comes from. The child is not started before that is known.
    Queued {
        place: Place,
        source: Option<Source>,
    },
    /// The pool starts the child. `finished`: there is no input.
    Starting {
        launch: Arc<Launch>,
        finished: bool,
    },
    Running(Box<Running>),
    Ended,
    Failed(Error),
}

/// Hands a child from the pool to the worker.
struct Launch(Mutex<Handover>);

enum Handover {
    Waiting,
    Done(Result<Started, Failure>),
    /// It was taken, or nobody wants it any more.
    Over,
}

/// The pool's end of a launch. However its job ends, the worker hears of it.
struct Promise {
    launch: Arc<Launch>,
    errand: Arc<Errand>,
}

impl ProcessStream {
    pub(super) fn new(errand: Arc<Errand>, place: Place) -> Self {
        Self {
            errand,
            state: State::Queued { place, source: None },
            announced: None,
            begun: Some(Instant::now()),
        }
    }

    /// Says where the input comes from, unless that was said before.
    fn decide(&mut self, choice: Source) {
        if let State::Queued { source: source @ None, .. } = &mut self.state {
            *source = Some(choice);
        }
    }

    /// Goes on to the next state where that is possible.
    fn advance(&mut self) -> Result<(), Error> {
        match &self.state {
            State::Queued { place, source: Some(_) } => match place.turn() {
                Turn::Waiting => return Ok(()),
                Turn::TooLate => {
                    let Process { spec, limit, .. } = self.errand.process.as_ref();
                    let patience = spec.queue_timeout;
                    let reason =
                        format!("no turn within queue_timeout, {patience:?}: max_running is {limit}");
                    return Err(self.fail(Failure::of_server(reason)));
                }
                Turn::Called => self.launch(),
            },
            State::Queued { source: None, .. } | State::Starting { .. } | State::Running(_) => {}
            State::Ended => return Ok(()),
            State::Failed(error) => return Err(error.clone()),
        }
        let State::Starting { launch, finished } = &self.state else { return Ok(()) };
        let Some(result) = launch.take() else { return Ok(()) };
        let (errand, announced) = (Arc::clone(&self.errand), self.announced);
        let running = result.and_then(|started| Running::new(errand, started, announced, *finished));
        match running {
            Ok(running) => self.state = State::Running(Box::new(running)),
            Err(failure) => return Err(self.fail(failure)),
        }
        Ok(())
    }

    fn launch(&mut self) {
        let launch = Arc::new(Launch(Mutex::new(Handover::Waiting)));
        let starting = State::Starting { launch: Arc::clone(&launch), finished: false };
        let State::Queued { place, source: Some(source) } = mem::replace(&mut self.state, starting) else {
            return;
        };
        let promise = Promise { launch, errand: Arc::clone(&self.errand) };
        self.errand.process.resources.pool.run(move || promise.keep(source, place));
    }

    fn fail(&mut self, failure: impl Into<Failure>) -> Error {
        let Failure { error, is_its_own } = failure.into();
        let last_words = match &mut self.state {
            State::Running(running) => running.last_words(),
            State::Queued { .. } | State::Starting { .. } | State::Ended | State::Failed(_) => String::new(),
        };
        let reason = if last_words.is_empty() {
            error.to_string()
        } else {
            format!("{error}; standard error ends: {last_words}")
        };
        log::warn!(target: "pop3d::transform", "{}: {reason}", self.errand.title());
        let user = one_line(&self.errand.message.user);
        self.errand.process.record.count_failure(&error, format!("user {user}: {reason}"), is_its_own);
        self.count_time();
        self.state = State::Failed(error.clone());
        error
    }

    /// The message is over.
    fn count_time(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.errand.process.record.add_duration(begun.elapsed());
        }
    }
}

impl Stream for ProcessStream {
    fn announce(&mut self, octets: u64) {
        self.announced = Some(octets);
    }

    fn take_file(&mut self, file: &File) -> io::Result<bool> {
        if !matches!(self.state, State::Queued { source: None, .. }) {
            return Ok(false);
        }
        // Opened anew, the child has an offset of its own and cannot write. Where that is not possible, without
        // /proc for instance, the message is fed.
        let Ok(file) = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())) else { return Ok(false) };
        self.decide(Source::File(file));
        // A failure is reported by the first `read`.
        let _ = self.advance();
        Ok(true)
    }

    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        self.decide(Source::Pipe);
        self.advance()?;
        let State::Running(running) = &mut self.state else { return Ok(0) };
        running.write(input).map_err(|error| self.fail(error))
    }

    fn finish(&mut self) -> Result<(), Error> {
        match &mut self.state {
            // Nothing was written, since that was not possible yet.
            State::Queued { source, .. } => *source = Some(Source::Nothing),
            State::Starting { finished, .. } => *finished = true,
            State::Running(running) => running.finish(),
            State::Ended | State::Failed(_) => {}
        }
        self.advance()
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        self.decide(Source::Pipe);
        self.advance()?;
        match &mut self.state {
            State::Running(running) => match running.read(output) {
                Ok(Read::End) => {
                    self.state = State::Ended;
                    self.errand.process.record.count_success();
                    self.count_time();
                    Ok(Read::End)
                }
                Ok(progress) => Ok(progress),
                Err(error) => Err(self.fail(error)),
            },
            State::Queued { .. } | State::Starting { .. } => Ok(Read::Pending),
            State::Ended => Ok(Read::End),
            State::Failed(error) => Err(error.clone()),
        }
    }
}

impl Drop for ProcessStream {
    fn drop(&mut self) {
        match &self.state {
            State::Starting { launch, .. } => {
                // A child that is there already is ended here; one that comes later, by the job that started it.
                let _ = launch.replace(Handover::Over);
            }
            State::Running(running) if running.is_well() => {
                self.errand.process.record.count_progress(Instant::now());
            }
            State::Queued { .. } | State::Running(_) | State::Ended | State::Failed(_) => {}
        }
        self.count_time();
    }
}

impl Launch {
    /// What the pool has handed over, once.
    fn take(&self) -> Option<Result<Started, Failure>> {
        let mut handover = self.lock();
        if !matches!(*handover, Handover::Done(_)) {
            return None;
        }
        match mem::replace(&mut *handover, Handover::Over) {
            Handover::Done(result) => Some(result),
            Handover::Waiting | Handover::Over => None,
        }
    }

    fn replace(&self, next: Handover) -> Handover {
        mem::replace(&mut *self.lock(), next)
    }

    fn lock(&self) -> MutexGuard<'_, Handover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise {
    /// The job of the pool.
    fn keep(self, source: Source, place: Place) {
        if matches!(*self.launch.lock(), Handover::Over) {
            return;
        }
        let process = &self.errand.process;
        let result = start(process, &self.errand.message, source, place);
        let unwanted = {
            let mut handover = self.launch.lock();
            match *handover {
                Handover::Waiting => {
                    *handover = Handover::Done(result);
                    None
                }
                Handover::Done(_) | Handover::Over => Some(result),
            }
        };
        // Ends the child, outside the lock.
        drop(unwanted);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut handover = self.launch.lock();
        if matches!(*handover, Handover::Waiting) {
            let failure = Failure::of_server("the child was not started".to_owned());
            *handover = Handover::Done(Err(failure));
        }
        drop(handover);
        self.errand.wake.wake();
    }
}

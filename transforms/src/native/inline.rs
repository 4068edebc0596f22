//! A message in a plugin that says of itself that it never waits (`POP3D_FLAG_NONBLOCKING`), and that runs in the server:
//! called by the worker that drives the stream, so that nothing is handed over between threads.
//!
//! It is believed until a call takes so long that the worker's other clients have noticed. From then on its messages are
//! for the pool, as those of every other plugin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::warn;
use pop3d_core::transform::{Error, Filter, Flow, Message, Read, Sink, Stream, Wake};

use super::Native;
use super::plugin::Instance;
use crate::bound::Bound;
use crate::pool_stream::CHUNK;

/// Octets of output that wait before no more input is taken. A plugin may exceed it within one call.
const OUTPUT: usize = 64 * 1024;

/// A call that takes longer was not what was promised: a chunk is a matter of 32 microseconds.
const CALL_MAX: Duration = Duration::from_millis(50);

pub(super) struct Inline {
    native: Arc<Native>,
    message: Arc<Message>,
    wake: Wake,
    stage: Stage,
    output: Output,
    consumed: u64,
    may_pass: bool,
    /// Something was taken since `Pending` was answered last, so that asking again is worth it at once.
    has_moved: bool,
    begun: Instant,
    /// Time in calls, all of which computes.
    spent: Duration,
}

enum Stage {
    Waiting(Instance),
    Begun(Instance),
    /// The plugin wants no more of it; the rest goes out as it is.
    Copying,
    /// All its output is there.
    Ended {
        passes_from: Option<u64>,
    },
    Failed,
}

/// What waits is `octets[start..]`.
struct Output {
    octets: Vec<u8>,
    start: usize,
    bound: Bound,
}

impl Inline {
    /// A message that has not begun, in an instance of its own.
    pub(super) fn new(native: Arc<Native>, instance: Instance, message: Arc<Message>, wake: Wake) -> Self {
        native.record.count_message();
        native.record.begin();
        let bound = Bound::new(native.spec.max_output);
        Self {
            native,
            message,
            wake,
            stage: Stage::Waiting(instance),
            output: Output { octets: Vec::new(), start: 0, bound },
            consumed: 0,
            may_pass: false,
            has_moved: false,
            begun: Instant::now(),
            spent: Duration::ZERO,
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Waiting(mut instance) => {
                let message = Arc::clone(&self.message);
                let flow = self.call(|out| instance.start(&message, out))?;
                self.go_on(instance, flow)
            }
            stage => {
                self.stage = stage;
                Ok(())
            }
        }
    }

    /// What follows from an answer.
    fn go_on(&mut self, mut instance: Instance, flow: Flow) -> Result<(), Error> {
        if flow == Flow::More {
            self.stage = Stage::Begun(instance);
            return Ok(());
        }
        self.call(|out| instance.finish(out))?;
        match flow {
            Flow::Pass if self.may_pass => self.end(Some(self.consumed)),
            Flow::Pass => self.stage = Stage::Copying,
            Flow::More | Flow::Stop => self.end(None),
        }
        Ok(())
    }

    /// Calls the plugin. Where that fails, the message has failed.
    fn call<T>(&mut self, call: impl FnOnce(&mut Output) -> Result<T, Error>) -> Result<T, Error> {
        let begun = Instant::now();
        let result = call(&mut self.output);
        let time = begun.elapsed();
        self.spent += time;
        if time > CALL_MAX {
            self.native.trust_no_more(time);
        }
        let spec = &self.native.spec;
        let result = match result {
            Ok(_) if time > spec.timeout => Err(Error::TimedOut(spec.timeout)),
            Ok(_) if self.spent > spec.cpu => Err(Error::TimedOut(spec.cpu)),
            result => result,
        };
        result.inspect_err(|error| self.fail(error))
    }

    fn end(&mut self, passes_from: Option<u64>) {
        self.stage = Stage::Ended { passes_from };
        self.count();
        self.native.record.count_success();
    }

    fn fail(&mut self, error: &Error) {
        self.stage = Stage::Failed;
        self.count();
        self.native.record.report_failure(&self.message.user, self.message.number, error, true);
    }

    /// The message is over.
    fn count(&self) {
        let record = &self.native.record;
        record.add_cpu(self.spent);
        record.add_octets(self.consumed, self.output.bound.output());
        record.add_duration(self.begun.elapsed());
        record.end();
    }
}

impl Stream for Inline {
    fn announce(&mut self, octets: u64) {
        self.output.bound.announce(octets);
    }

    fn allow_passing(&mut self) {
        self.may_pass = true;
    }

    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        self.begin()?;
        if self.output.waiting() >= OUTPUT {
            return Ok(0);
        }
        let piece = &input[..input.len().min(CHUNK)];
        if matches!(self.stage, Stage::Begun(_) | Stage::Copying) {
            self.output.bound.feed(piece.len());
        }
        match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Begun(mut instance) => {
                let flow = self.call(|out| instance.push(piece, out))?;
                self.consumed += piece.len() as u64;
                self.go_on(instance, flow)?;
            }
            Stage::Copying => {
                self.stage = Stage::Copying;
                self.output.write(piece).inspect_err(|error| self.fail(error))?;
                self.consumed += piece.len() as u64;
            }
            // Nothing more is wanted; the end is told by `read`.
            stage @ (Stage::Waiting(_) | Stage::Ended { .. } | Stage::Failed) => {
                self.stage = stage;
                return Ok(0);
            }
        }
        self.has_moved = true;
        Ok(piece.len())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.begin()?;
        match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Begun(instance) => self.go_on(instance, Flow::Stop),
            Stage::Copying => {
                self.end(None);
                Ok(())
            }
            stage @ (Stage::Waiting(_) | Stage::Ended { .. } | Stage::Failed) => {
                self.stage = stage;
                Ok(())
            }
        }
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        self.begin()?;
        let count = self.output.take(output);
        if count > 0 {
            return Ok(Read::Data(count));
        }
        if matches!(self.stage, Stage::Ended { .. }) {
            return Ok(Read::End);
        }
        if std::mem::take(&mut self.has_moved) {
            self.wake.wake();
        }
        Ok(Read::Pending)
    }

    fn passes_from(&self) -> Option<u64> {
        match self.stage {
            Stage::Ended { passes_from } => passes_from,
            Stage::Waiting(_) | Stage::Begun(_) | Stage::Copying | Stage::Failed => None,
        }
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        match self.stage {
            Stage::Waiting(_) | Stage::Begun(_) | Stage::Copying => {
                self.count();
                if self.output.bound.output() > 0 {
                    self.native.record.count_progress(Instant::now());
                }
            }
            Stage::Ended { .. } | Stage::Failed => {}
        }
    }
}

impl Output {
    fn waiting(&self) -> usize {
        self.octets.len() - self.start
    }

    fn take(&mut self, room: &mut [u8]) -> usize {
        let count = self.waiting().min(room.len());
        room[..count].copy_from_slice(&self.octets[self.start..self.start + count]);
        self.start += count;
        if self.start == self.octets.len() {
            self.octets.clear();
            self.start = 0;
        }
        count
    }
}

impl Sink for Output {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.bound.take(octets.len())?;
        self.octets.extend_from_slice(octets);
        Ok(())
    }
}

impl Native {
    /// A call of a plugin that promised never to wait took so long.
    fn trust_no_more(&self, time: Duration) {
        if let super::Place::Here { is_quick, .. } = &self.place
            && is_quick.swap(false, std::sync::atomic::Ordering::Relaxed)
        {
            warn!(
                target: "pop3d::transform",
                "transform {}: it promises never to wait, and a call took {time:?}; from here on it runs in the pool",
                self.spec.name,
            );
        }
    }
}

//! What stands between the worker, which must not wait, and the task, which does so by being `Pending`.

use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pop3d_core::transform::{Error, Read, Wake};

/// Octets of a chunk of input.
const CHUNK: usize = 32 * 1024;

/// Chunks of input that wait.
const CHUNKS: usize = 2;

/// Octets of output that wait, before the task waits too. A synchronous filter may exceed it within one call.
const OUTPUT: usize = 64 * 1024;

pub(crate) struct Pipe {
    state: Mutex<State>,
    /// Rings at the worker.
    wake: Wake,
    max_output: u64,
}

struct State {
    input: Input,
    output: VecDeque<u8>,
    consumed: u64,
    produced: u64,
    /// How often something was taken or given.
    steps: u64,
    /// Processor time that was spent for the task elsewhere.
    charged: Duration,
    /// What the task waits with, for input or for room.
    waiting: Option<Waker>,
    /// The worker found nothing, or no room, and is to be told of any.
    is_worker_waiting: bool,
    may_pass: bool,
    passes_from: Option<u64>,
    outcome: Option<Result<(), Error>>,
    is_cancelled: bool,
    /// The task ends because there was no room for it.
    is_crowded_out: bool,
}

enum Input {
    Chunks {
        chunks: VecDeque<Vec<u8>>,
        has_ended: bool,
    },
    /// The whole message, to be read from here on.
    File {
        file: File,
        offset: u64,
    },
}

impl Pipe {
    pub(crate) fn new(wake: Wake, max_output: u64) -> Self {
        let state = State {
            input: Input::Chunks { chunks: VecDeque::new(), has_ended: false },
            output: VecDeque::new(),
            consumed: 0,
            produced: 0,
            steps: 0,
            charged: Duration::ZERO,
            waiting: None,
            is_worker_waiting: false,
            may_pass: false,
            passes_from: None,
            outcome: None,
            is_cancelled: false,
            is_crowded_out: false,
        };
        Self { state: Mutex::new(state), wake, max_output }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is moved, never half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker's end.
impl Pipe {
    pub(super) fn take_file(&self, file: File) {
        let mut state = self.lock();
        state.input = Input::File { file, offset: 0 };
        wake_task(state);
    }

    pub(super) fn allow_passing(&self) {
        self.lock().may_pass = true;
    }

    /// Takes what fits of the input; 0: none does.
    pub(super) fn offer(&self, input: &[u8]) -> Result<usize, Error> {
        let mut state = self.lock();
        if let Some(Err(error)) = &state.outcome {
            return Err(error.clone());
        }
        let is_over = state.outcome.is_some();
        let Input::Chunks { chunks, .. } = &mut state.input else { return Ok(0) };
        if is_over {
            // Nobody wants it any more.
            return Ok(input.len());
        }
        if chunks.len() >= CHUNKS {
            state.is_worker_waiting = true;
            return Ok(0);
        }
        let count = input.len().min(CHUNK);
        chunks.push_back(input.get(..count).unwrap_or_default().to_vec());
        wake_task(state);
        Ok(count)
    }

    pub(super) fn end_input(&self) -> Result<(), Error> {
        let mut state = self.lock();
        if let Input::Chunks { has_ended, .. } = &mut state.input {
            *has_ended = true;
        }
        wake_task(state);
        Ok(())
    }

    pub(super) fn take(&self, room: &mut [u8]) -> Result<Read, Error> {
        let mut state = self.lock();
        // What a task wrote before it failed is not asked for: the message has failed.
        if let Some(Err(error)) = &state.outcome {
            return Err(error.clone());
        }
        let count = state.output.len().min(room.len());
        if count == 0 {
            if state.outcome.is_some() {
                return Ok(Read::End);
            }
            state.is_worker_waiting = true;
            return Ok(Read::Pending);
        }
        for (place, octet) in room.iter_mut().zip(state.output.drain(..count)) {
            *place = octet;
        }
        if state.output.len() < OUTPUT {
            wake_task(state);
        }
        Ok(Read::Data(count))
    }

    pub(super) fn passes_from(&self) -> Option<u64> {
        self.lock().passes_from
    }

    pub(super) fn cancel(&self) {
        self.lock().is_cancelled = true;
    }
}

/// The task's end.
impl Pipe {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    /// Octets that the task may write.
    pub(crate) fn max_output(&self) -> u64 {
        self.max_output
    }

    /// The task ends because there was no room for it.
    #[cfg(feature = "wasm")]
    pub(crate) fn crowd_out(&self) {
        self.lock().is_crowded_out = true;
    }

    pub(super) fn is_crowded_out(&self) -> bool {
        self.lock().is_crowded_out
    }

    /// How often something was taken or given so far.
    pub(super) fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Processor time was spent for the task by another process.
    pub(crate) fn charge(&self, time: Duration) {
        self.lock().charged += time;
    }

    /// All of that.
    pub(super) fn charged(&self) -> Duration {
        self.lock().charged
    }

    /// Octets that were consumed, and produced.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.consumed, state.produced)
    }

    /// The next octets of the message, up to `CHUNK` of them; none: there are no more.
    pub(crate) async fn next(&self) -> Result<Option<Vec<u8>>, Error> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&self, context: &Context<'_>) -> Poll<Result<Option<Vec<u8>>, Error>> {
        let mut state = self.lock();
        let chunk = match &mut state.input {
            Input::File { file, offset } => match read(file, *offset) {
                Ok(chunk) => {
                    *offset += chunk.len() as u64;
                    Some(chunk).filter(|chunk| !chunk.is_empty())
                }
                Err(error) => return Poll::Ready(Err(Error::Temporary(format!("the message: {error}")))),
            },
            Input::Chunks { chunks, has_ended } => match chunks.pop_front() {
                Some(chunk) => Some(chunk),
                None if *has_ended => None,
                None => {
                    state.waiting = Some(context.waker().clone());
                    return Poll::Pending;
                }
            },
        };
        state.consumed += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        state.steps += 1;
        self.wake_worker(state);
        Poll::Ready(Ok(chunk))
    }

    /// Writes, once there is room.
    pub(crate) async fn write(&self, octets: &[u8]) -> Result<(), Error> {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.output.len() >= OUTPUT && !state.is_cancelled {
                state.waiting = Some(context.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            Poll::Ready(())
        })
        .await;
        self.append(octets)
    }

    /// Waits until what was written last has gone out far enough.
    pub(crate) async fn room(&self) -> Result<(), Error> {
        self.write(&[]).await
    }

    /// Writes at once, whether there is room or not.
    pub(crate) fn append(&self, octets: &[u8]) -> Result<(), Error> {
        let mut state = self.lock();
        if state.is_cancelled {
            return Err(Error::Temporary("the client has gone".to_owned()));
        }
        state.produced = state.produced.saturating_add(octets.len() as u64);
        if state.produced > self.max_output {
            return Err(Error::Limit("max_output"));
        }
        state.output.extend(octets);
        // To ask for room is no progress.
        state.steps += u64::from(!octets.is_empty());
        if !octets.is_empty() {
            self.wake_worker(state);
        }
        Ok(())
    }

    /// The rest of the message goes out as it is: by the cursor, where it looks for that, or from here.
    pub(crate) async fn pass(&self) -> Result<(), Error> {
        {
            let mut state = self.lock();
            if state.may_pass {
                state.passes_from = Some(state.consumed);
                return Ok(());
            }
        }
        while let Some(chunk) = self.next().await? {
            self.write(&chunk).await?;
        }
        Ok(())
    }

    /// The task is over: nobody reads the input any more, or waits. The waker holds the task's side of the stream, which
    /// holds this.
    pub(super) fn let_go(&self) {
        let mut state = self.lock();
        let waiting = state.waiting.take();
        let input = Input::Chunks { chunks: VecDeque::new(), has_ended: true };
        let input = std::mem::replace(&mut state.input, input);
        drop(state);
        drop((waiting, input));
    }

    /// The task has ended.
    pub(super) fn end(&self, outcome: Result<(), Error>) {
        let mut state = self.lock();
        state.outcome = Some(outcome);
        state.is_worker_waiting = true;
        self.wake_worker(state);
    }

    fn wake_worker(&self, mut state: MutexGuard<'_, State>) {
        let is_waiting = std::mem::take(&mut state.is_worker_waiting);
        drop(state);
        if is_waiting {
            self.wake.wake();
        }
    }
}

fn wake_task(mut state: MutexGuard<'_, State>) {
    let waiting = state.waiting.take();
    drop(state);
    if let Some(waker) = waiting {
        waker.wake();
    }
}

fn read(file: &File, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read_at(&mut chunk, offset) {
            Ok(count) => {
                chunk.truncate(count);
                return Ok(chunk);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

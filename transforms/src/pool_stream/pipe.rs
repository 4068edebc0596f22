//! What stands between the worker, which must not wait, and the task, which does so by being `Pending`.

use std::fs::File;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pop3d_core::transform::{Error, Read, Wake};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::input::{CHUNK, Input, append_up_to};
use super::output::Output;
use super::piece::{Extent, Piece};
use super::slice::Slice;
use crate::bound::Bound;

/// Chunks of input that wait.
const CHUNKS: usize = 2;

/// Octets of output that wait, before the task waits too. A synchronous filter may exceed it within one call.
const OUTPUT: usize = 64 * 1024;

/// Octets of output at which the worker is told at once, so that both go on side by side. Of less it is told when the task
/// has had its slice: to wake a thread costs more than a short message.
const TOLD_AT: usize = OUTPUT / 2;

/// Octets of output at which a task that waits for room goes on: it is not woken for a little.
const RESUMED_AT: usize = OUTPUT / 2;

const _: () = assert!(RESUMED_AT < OUTPUT, "a task that goes on must find room");

pub(crate) struct Pipe {
    state: Mutex<State>,
    /// Rings at the worker.
    wake: Wake,
    /// Octets of the message, where it is a file.
    octets: u64,
}

struct State {
    input: Input,
    output: Output,
    consumed: u64,
    bound: Bound,
    /// How often something was taken or given.
    steps: u64,
    /// Processor time that was spent for the task elsewhere.
    charged: Duration,
    /// What the task waits with, for input and for room.
    awaits_input: Option<Waker>,
    awaits_room: Option<Waker>,
    /// What the worker did not find, and is to be told of.
    wanted: Wanted,
    may_pass: bool,
    passes_from: Option<u64>,
    outcome: Option<Result<(), Error>>,
    taker: Taker,
    /// The task fails by what the server lacks, and not by what it runs.
    is_excused: bool,
}

#[derive(Clone, Copy, Default)]
struct Wanted {
    output: bool,
    room: bool,
}

/// Who takes what the task writes.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Taker {
    There,
    Gone,
    /// Gone, and the task has written since: an error told it.
    Missed,
}

impl State {
    /// Whether somebody takes what the task is about to write.
    ///
    /// # Errors
    /// Nobody does.
    fn look_for_taker(&mut self) -> Result<(), Error> {
        if self.taker == Taker::There {
            return Ok(());
        }
        self.taker = Taker::Missed;
        Err(Error::Temporary("the client has gone".to_owned()))
    }
}

impl Pipe {
    /// The pipe of a message of so many octets, should it come as a file.
    pub(crate) fn new(wake: Wake, max_output: u64, octets: u64) -> Self {
        let state = State {
            input: Input::chunks(false),
            output: Output::default(),
            consumed: 0,
            bound: Bound::new(max_output),
            steps: 0,
            charged: Duration::ZERO,
            awaits_input: None,
            awaits_room: None,
            wanted: Wanted::default(),
            may_pass: false,
            passes_from: None,
            outcome: None,
            taker: Taker::There,
            is_excused: false,
        };
        Self { state: Mutex::new(state), wake, octets }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is moved, never half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker's end.
impl Pipe {
    pub(crate) fn take_file(&self, file: File) {
        let mut state = self.lock();
        state.input = Input::File { file: Arc::new(file), offset: 0 };
        state.bound.announce(self.octets);
        let waiting = state.awaits_input.take();
        wake_task(state, waiting);
    }

    /// Octets of the message, as far as is known before it comes.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    pub(crate) fn announce(&self, octets: u64) {
        self.lock().bound.announce(octets);
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
        let Input::Chunks { chunks, spare, .. } = &mut state.input else { return Ok(0) };
        if is_over {
            // Nobody wants it any more.
            return Ok(input.len());
        }
        let is_full = chunks.len() >= CHUNKS;
        let count = match chunks.back_mut() {
            Some(last) if last.len() < CHUNK => append_up_to(last, input),
            Some(_) if is_full => {
                state.wanted.room = true;
                return Ok(0);
            }
            Some(_) | None => {
                let mut chunk = std::mem::take(spare);
                let count = append_up_to(&mut chunk, input);
                chunks.push_back(chunk);
                count
            }
        };
        state.bound.feed(count);
        let waiting = state.awaits_input.take();
        wake_task(state, waiting);
        Ok(count)
    }

    pub(super) fn end_input(&self) -> Result<(), Error> {
        let mut state = self.lock();
        if let Input::Chunks { has_ended, .. } = &mut state.input {
            *has_ended = true;
        }
        let waiting = state.awaits_input.take();
        wake_task(state, waiting);
        Ok(())
    }

    pub(crate) fn take(&self, room: &mut [u8]) -> Result<Read, Error> {
        let mut state = self.lock();
        // What a task wrote before it failed is not asked for: the message has failed.
        if let Some(Err(error)) = &state.outcome {
            return Err(error.clone());
        }
        let count = state.output.take(room);
        if count == 0 {
            if state.outcome.is_some() && state.output.is_empty() {
                return Ok(Read::End);
            }
            state.wanted.output = true;
            return Ok(Read::Pending);
        }
        let waiting = if state.output.len() <= RESUMED_AT { state.awaits_room.take() } else { None };
        wake_task(state, waiting);
        Ok(Read::Data(count))
    }

    /// Octets of output that wait.
    #[cfg(feature = "wasm")]
    pub(crate) fn output_len(&self) -> usize {
        self.lock().output.len()
    }

    pub(super) fn passes_from(&self) -> Option<u64> {
        self.lock().passes_from
    }

    pub(super) fn cancel(&self) {
        self.lock().taker = Taker::Gone;
    }
}

/// The task's end.
impl Pipe {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().taker != Taker::There
    }

    /// Whether the task has heard that nobody takes what it writes: an error that is none of its own.
    pub(super) fn was_missed(&self) -> bool {
        self.lock().taker == Taker::Missed
    }

    /// What the task may write, as far as that is known.
    pub(crate) fn bound(&self) -> Bound {
        self.lock().bound
    }

    /// The task is about to fail by what the server lacks: that is no failure of the transform.
    pub(crate) fn excuse(&self) {
        self.lock().is_excused = true;
    }

    pub(crate) fn is_excused(&self) -> bool {
        self.lock().is_excused
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
        (state.consumed, state.bound.output())
    }

    /// Puts the next octets of the message into `chunk`, in place of what was there; false: there are no more.
    pub(crate) async fn next(&self, chunk: &mut Vec<u8>) -> Result<bool, Error> {
        poll_fn(|context| self.poll_next(context, chunk)).await
    }

    /// The next octets, so many at most where they are in a file, which is not read; none: there are no more. `last`: what
    /// was given before.
    pub(crate) async fn next_piece(&self, last: Piece, most: usize) -> Result<Option<Piece>, Error> {
        if let Some(extent) = self.next_extent(most) {
            return Ok((extent.length > 0).then_some(Piece::Extent(extent)));
        }
        let mut chunk = match last {
            Piece::Octets(chunk) => chunk,
            Piece::Extent(_) => Vec::new(),
        };
        Ok(self.next(&mut chunk).await?.then_some(Piece::Octets(chunk)))
    }

    /// The same where it is a file.
    fn next_extent(&self, most: usize) -> Option<Extent> {
        let mut state = self.lock();
        let Input::File { file, offset } = &mut state.input else { return None };
        let left = usize::try_from(self.octets.saturating_sub(*offset)).unwrap_or(most);
        let extent = Extent { file: Arc::clone(file), offset: *offset, length: left.min(most) };
        *offset += extent.length as u64;
        state.consumed += extent.length as u64;
        state.steps += 1;
        Some(extent)
    }

    fn poll_next(&self, context: &Context<'_>, chunk: &mut Vec<u8>) -> Poll<Result<bool, Error>> {
        chunk.clear();
        let mut state = self.lock();
        match &mut state.input {
            Input::File { file, offset } => {
                let (file, offset) = (Arc::clone(file), *offset);
                // Nobody waits for the disk but the task.
                drop(state);
                if let Err(error) = self.read(&file, offset, chunk) {
                    self.excuse();
                    return Poll::Ready(Err(Error::Temporary(format!("the message: {error}"))));
                }
                state = self.lock();
                if let Input::File { offset, .. } = &mut state.input {
                    *offset += chunk.len() as u64;
                }
            }
            Input::Chunks { chunks, spare, has_ended } => match chunks.pop_front() {
                Some(next) => *spare = std::mem::replace(chunk, next),
                None if *has_ended => {}
                None => {
                    state.awaits_input = Some(context.waker().clone());
                    return Poll::Pending;
                }
            },
        }
        state.consumed += chunk.len() as u64;
        state.steps += 1;
        let is_wanted = std::mem::take(&mut state.wanted.room);
        drop(state);
        if is_wanted {
            self.wake.wake();
        }
        Poll::Ready(Ok(!chunk.is_empty()))
    }

    /// Reads from a file up to what it had when the message began.
    fn read(&self, file: &File, offset: u64, chunk: &mut Vec<u8>) -> Result<(), Errno> {
        let left = usize::try_from(self.octets.saturating_sub(offset)).unwrap_or(CHUNK).min(CHUNK);
        chunk.reserve_exact(left);
        while chunk.is_empty() && left > 0 {
            match pread(file, spare_capacity(chunk), offset) {
                Ok(0) => return Ok(()),
                Ok(_) => chunk.truncate(left),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether all of the message has been taken, so that `next` will say so without waiting.
    pub(crate) fn is_at_end(&self) -> bool {
        match &self.lock().input {
            Input::Chunks { chunks, has_ended, .. } => *has_ended && chunks.is_empty(),
            Input::File { offset, .. } => *offset >= self.octets,
        }
    }

    /// Takes back what `next_piece` gave last: nobody has looked at it.
    pub(crate) fn give_back(&self, piece: Piece) {
        let mut state = self.lock();
        state.consumed -= piece.len() as u64;
        match (&mut state.input, piece) {
            (Input::File { offset, .. }, piece) => *offset -= piece.len() as u64,
            (Input::Chunks { chunks, .. }, Piece::Octets(chunk)) if !chunk.is_empty() => {
                chunks.push_front(chunk);
            }
            (Input::Chunks { .. }, Piece::Octets(_) | Piece::Extent(_)) => {}
        }
    }

    /// Writes, once there is room.
    pub(crate) async fn write(&self, octets: &[u8]) -> Result<(), Error> {
        self.room().await?;
        self.append(octets)
    }

    /// Waits until what was written last has gone out far enough.
    ///
    /// # Errors
    /// Nobody wants it any more.
    pub(crate) async fn room(&self) -> Result<(), Error> {
        poll_fn(|context| {
            let mut state = self.lock();
            state.look_for_taker()?;
            if state.output.len() >= OUTPUT {
                state.awaits_room = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Writes at once, whether there is room or not.
    pub(crate) fn append(&self, octets: &[u8]) -> Result<(), Error> {
        self.put(octets.len(), |output| output.append(octets))
    }

    /// The same of octets that are not copied, once there is room.
    pub(crate) async fn give(&self, octets: Vec<u8>) -> Result<(), Error> {
        self.room().await?;
        self.put(octets.len(), |output| output.push(octets))
    }

    /// Octets that were given before, where they have gone out: memory to be used again.
    pub(crate) fn reclaim(&self) -> Option<Vec<u8>> {
        self.lock().output.reclaim()
    }

    fn put(&self, count: usize, put: impl FnOnce(&mut Output)) -> Result<(), Error> {
        let mut state = self.lock();
        state.look_for_taker()?;
        state.bound.take(count)?;
        put(&mut state.output);
        state.steps += u64::from(count > 0);
        if state.output.len() >= TOLD_AT {
            self.tell_worker(state);
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
        let (mut chunk, mut slice) = (Vec::new(), Slice::begin());
        while self.next(&mut chunk).await? {
            self.write(&chunk).await?;
            // Where the disk is slower than who takes it, nothing else would.
            slice.end_in_time().await;
        }
        Ok(())
    }

    /// The task has had its slice: the worker is told of what came of it.
    pub(super) fn end_slice(&self) {
        let state = self.lock();
        if !state.output.is_empty() {
            self.tell_worker(state);
        }
    }

    /// The task is over: nobody reads the input any more, or waits. The wakers hold the task's side of the stream, which
    /// holds this.
    pub(super) fn let_go(&self) {
        let mut state = self.lock();
        let waiting = (state.awaits_input.take(), state.awaits_room.take());
        let input = std::mem::replace(&mut state.input, Input::chunks(true));
        drop(state);
        drop((waiting, input));
    }

    /// The task has ended.
    pub(super) fn end(&self, outcome: Result<(), Error>) {
        let mut state = self.lock();
        state.outcome = Some(outcome);
        // Whatever the worker did last: it may be that it wants no output, but to hear of this.
        state.wanted.output = true;
        self.tell_worker(state);
    }

    /// Rings at the worker, where it found no output before.
    fn tell_worker(&self, mut state: MutexGuard<'_, State>) {
        let is_wanted = std::mem::take(&mut state.wanted.output);
        drop(state);
        if is_wanted {
            self.wake.wake();
        }
    }
}

fn wake_task(state: MutexGuard<'_, State>, waiting: Option<Waker>) {
    drop(state);
    if let Some(waker) = waiting {
        waker.wake();
    }
}

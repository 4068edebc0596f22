//! What other threads tell a worker, and the bell that wakes it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::accounts::{Exchange, UserName};
use crate::guesses::Penalty;
use crate::store::{Committed, Maildrop, OpenError};
use crate::token::{Key, Place};

/// Something that a worker is told.
pub(crate) enum Notice {
    /// The stream of a connection's transform can make progress.
    Wake(Key),
    /// A job of the pool has ended.
    Done(Key, Outcome),
    /// There may be room for another connection.
    Accept,
    /// Silence is borne for another time than before.
    Silence,
    /// An administrator wants the connection closed.
    Kick(Key),
    /// Accept no more; end what is idle.
    Drain,
    /// End everything.
    Stop,
}

/// What came of a job.
pub(crate) enum Outcome {
    /// Whose credentials they were, or what it costs that they were nobody's.
    Verified(Result<UserName, Penalty>),
    /// Whose they are cannot be found out now.
    Unverified,
    /// A SASL exchange that goes on, and what the client is to answer.
    Challenged(Box<Exchange>, Vec<u8>),
    /// They were nobody's, and what it costs; the client is to hear this first, and to answer it.
    Explained(Vec<u8>, Penalty),
    /// The maildrop.
    Opened(Result<Box<dyn Maildrop>, OpenError>),
    /// The deletions; the maildrop is unlocked.
    Committed(Committed),
    /// The job panicked: nothing is known.
    Lost,
}

/// The notices of one worker.
pub(crate) struct Notices {
    queue: Mutex<Vec<Notice>>,
    /// Whether the worker will look into the queue before it waits, so that the bell may stay silent.
    awake: AtomicBool,
    bell: mio::Waker,
}

impl Notices {
    /// The notices of the worker that polls `registry`.
    pub(crate) fn new(registry: &mio::Registry) -> io::Result<Self> {
        let bell = mio::Waker::new(registry, Place::Bell.token())?;
        Ok(Self { queue: Mutex::new(Vec::new()), awake: AtomicBool::new(false), bell })
    }

    /// Tells the worker something. May be called from any thread.
    pub(crate) fn push(&self, notice: Notice) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
        if !self.awake.swap(true, Ordering::AcqRel)
            && let Err(error) = self.bell.wake()
        {
            log::error!(target: "pop3d::worker", "a worker cannot be woken: {error}");
        }
    }

    /// Takes what was told, into an empty `notices`; called by the worker.
    pub(crate) fn take(&self, notices: &mut Vec<Notice>) {
        std::mem::swap(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner), notices);
    }

    /// The worker is about to wait; `false` where it must look into the queue before.
    pub(crate) fn may_wait(&self) -> bool {
        // From here on whoever pushes rings. What was pushed before is seen by the look into the queue.
        self.awake.store(false, Ordering::SeqCst);
        let quiet = self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if !quiet {
            self.awake.store(true, Ordering::SeqCst);
        }
        quiet
    }

    /// The worker has waited, and will look.
    pub(crate) fn wakes_up(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }
}

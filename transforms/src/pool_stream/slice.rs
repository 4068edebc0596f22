//! How long a task computes before it gives its thread up.

use std::time::{Duration, Instant};

/// After so long a task gives its thread up. A hand-over between threads costs some microseconds, so that most messages are
/// to pass in one slice; and of many that compute each is to have its turn soon.
const SLICE: Duration = Duration::from_millis(2);

/// The time that a task has before others have theirs.
pub(super) struct Slice {
    begun: Instant,
}

impl Slice {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now() }
    }

    /// Where it is used up, others have their turn, and another one begins.
    pub(super) async fn end_in_time(&mut self) {
        if self.begun.elapsed() >= SLICE {
            yield_now().await;
            *self = Self::begin();
        }
    }
}

/// Gives others their turn.
async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

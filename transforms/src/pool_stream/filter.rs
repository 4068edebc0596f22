//! A synchronous filter as a task: one call after another, each followed by a look at what goes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pop3d_core::transform::{Error, Filter, Flow, Message, Sink};

use super::pipe::Pipe;

/// After so long in calls a filter gives its thread up. A hand-over between threads costs some microseconds, so that most
/// messages are to pass in one slice; and of many that compute each is to have its turn soon.
const SLICE: Duration = Duration::from_millis(2);

/// Where a filter writes within a call.
struct Outlet<'pipe>(&'pipe Pipe);

impl Sink for Outlet<'_> {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.0.append(octets)
    }
}

/// Has a filter work on the message of a pipe.
pub(crate) async fn run(
    mut filter: Box<dyn Filter>,
    message: Arc<Message>,
    pipe: Arc<Pipe>,
) -> Result<(), Error> {
    let mut begun = Instant::now();
    let mut flow = filter.start(&message, &mut Outlet(&pipe))?;
    let mut chunk = Vec::new();
    while flow == Flow::More {
        // No room, no push: else a slow client would have the whole message in memory.
        pipe.room().await?;
        if !pipe.next(&mut chunk).await? {
            break;
        }
        flow = filter.push(&chunk, &mut Outlet(&pipe))?;
        if begun.elapsed() >= SLICE {
            yield_now().await;
            begun = Instant::now();
        }
    }
    filter.finish(&mut Outlet(&pipe))?;
    // The filter's memory is not held while its output goes out.
    drop((filter, chunk));
    if flow == Flow::Pass { pipe.pass().await } else { Ok(()) }
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

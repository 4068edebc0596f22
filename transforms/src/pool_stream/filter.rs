//! A synchronous filter as a task: one call after another, each followed by a look at what goes out.

use std::sync::Arc;

use pop3d_core::transform::{Error, Filter, Flow, Message, Sink};

use super::pipe::Pipe;
use super::slice::Slice;

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
    let mut slice = Slice::begin();
    let mut flow = filter.start(&message, &mut Outlet(&pipe))?;
    let mut chunk = Vec::new();
    while flow == Flow::More {
        // No room, no push: else a slow client would have the whole message in memory.
        pipe.room().await?;
        if !pipe.next(&mut chunk).await? {
            break;
        }
        flow = filter.push(&chunk, &mut Outlet(&pipe))?;
        slice.end_in_time().await;
    }
    filter.finish(&mut Outlet(&pipe))?;
    // The filter's memory is not held while its output goes out.
    drop((filter, chunk));
    if flow == Flow::Pass { pipe.pass().await } else { Ok(()) }
}

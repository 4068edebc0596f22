//! A filter in WebAssembly by itself, for measurements: polled on the thread that asks, with no pool and no worker.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Message, Read, Wake};

use super::failure::failure;
use super::host::Host;
use super::{Code, Wasm, WasmEngine, WasmSpec};
use crate::pool_stream::Pipe;

/// Octets of output that are taken at once.
const SCRATCH: usize = 64 * 1024;

/// A filter that was compiled.
pub struct Alone {
    wasm: Arc<Wasm>,
    scratch: Vec<u8>,
}

impl Alone {
    /// Compiles a filter, or takes what the engine has of it.
    ///
    /// # Errors
    /// Why it cannot be used, as a sentence.
    pub fn load(file: &[u8], engine: &Arc<WasmEngine>) -> Result<Self, String> {
        let pool = Pool::start("alone", 0).map_err(|error| error.to_string())?;
        let wasm = Wasm::new(WasmSpec::new("alone"), file, engine, pool)?;
        Ok(Self { wasm: Arc::new(wasm), scratch: vec![0; SCRATCH] })
    }

    /// Makes an instance of a component, and gives it up.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn instantiate(&mut self, message: &Message) -> Result<(), Error> {
        self.push(message, &[], 0).map(drop)
    }

    /// Has one instance of a component take the same chunk so often; how many octets come out.
    ///
    /// # Errors
    /// Where it fails.
    pub fn push(&mut self, message: &Message, chunk: &[u8], times: u64) -> Result<u64, Error> {
        let pipe = pipe(message);
        // It does not come through the pipe, and bounds what comes out of it all the same.
        pipe.announce((chunk.len() as u64).saturating_mul(times));
        let (wasm, chunk) = (Arc::clone(&self.wasm), Arc::new(chunk.to_vec()));
        let Code::Guest(guest) = &wasm.code else {
            return Err(Error::Permanent("it is no component".to_owned()));
        };
        let work = async {
            let mut store = wasm.engine.store(Host::new(&wasm.spec, message, &pipe));
            let calls = guest.begin(&mut store).await?;
            for _ in 0..times {
                let answer = calls.push.call_async(&mut store, (Arc::clone(&chunk),)).await;
                answer.map_err(|error| failure(&error, &pipe))?.0.map_err(Error::from)?;
                // As fast as it comes: a guest that waits for room is not what is measured.
                if pipe.output_len() >= SCRATCH / 2 {
                    pipe.take(&mut self.scratch)?;
                }
            }
            Ok(())
        };
        block_on(wasm.engine.ticking(work), || Ok(()))?;
        Ok(pipe.counts().1)
    }

    /// Has a message pass, from a file; how many octets come out.
    ///
    /// # Errors
    /// Where it fails.
    pub fn pass(&mut self, message: &Arc<Message>, file: &File) -> Result<u64, Error> {
        let pipe = pipe(message);
        let unread = |error: io::Error| Error::Temporary(error.to_string());
        pipe.take_file(file.try_clone().map_err(unread)?);
        let Wasm { engine, pool, spec, record, .. } = &*self.wasm;
        let queued = engine.queue(pool, spec.queue_timeout, record);
        let run = Arc::clone(&self.wasm).run(Arc::clone(message), queued, Arc::clone(&pipe));
        block_on(run, || pipe.take(&mut self.scratch).map(drop))?;
        while let Read::Data(_) = pipe.take(&mut self.scratch)? {}
        Ok(pipe.counts().1)
    }
}

fn pipe(message: &Message) -> Arc<Pipe> {
    Arc::new(Pipe::new(Wake(Arc::new(|| ())), u64::MAX, message.octets))
}

/// Polls a future to its end, and does something else whenever it waits.
fn block_on<T>(
    work: impl Future<Output = Result<T, Error>>,
    mut otherwise: impl FnMut() -> Result<(), Error>,
) -> Result<T, Error> {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match work.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => otherwise()?,
        }
    }
}

//! The clock of guests: a thread that ends their slices, and sleeps while none runs.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use wasmtime::Engine;

/// Longest slice.
const TICK: Duration = Duration::from_millis(10);

/// So many ticks without a guest, and the thread sleeps: waking it costs more than a tick.
const IDLE_TICKS: u32 = 10;

pub(super) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Tasks that are being polled.
    running: AtomicUsize,
    /// The thread sleeps, or is about to: who begins to run rings.
    is_asleep: AtomicBool,
    is_closed: Mutex<bool>,
    bell: Condvar,
}

impl Ticker {
    pub(super) fn start(engine: Engine) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        thread::Builder::new().name("wasm-clock".to_owned()).spawn(move || own.run(&engine))?;
        Ok(Self { shared })
    }

    /// Lets the clock go whenever a future is polled.
    pub(super) async fn ticking<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _running = self.shared.begin();
            work.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.bell.notify_one();
    }
}

impl Shared {
    fn begin(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.is_asleep.load(Ordering::SeqCst) {
            // With the lock: else it might ring before the thread listens.
            let _closed = self.lock();
            self.bell.notify_one();
        }
        Running(self)
    }

    fn run(&self, engine: &Engine) {
        let mut idle = 0;
        loop {
            let mut is_closed = self.lock();
            if idle == IDLE_TICKS {
                idle = 0;
                self.is_asleep.store(true, Ordering::SeqCst);
                while self.running.load(Ordering::SeqCst) == 0 && !*is_closed {
                    is_closed = self.bell.wait(is_closed).unwrap_or_else(PoisonError::into_inner);
                }
                self.is_asleep.store(false, Ordering::SeqCst);
            }
            let waited = self.bell.wait_timeout_while(is_closed, TICK, |is_closed| !*is_closed);
            let (is_closed, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if *is_closed {
                return;
            }
            drop(is_closed);
            engine.increment_epoch();
            idle = if self.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task is being polled.
struct Running<'ticker>(&'ticker Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

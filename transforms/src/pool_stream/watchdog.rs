//! Looks after calls that nothing interrupts: of one that does not return, the message fails all the same.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::Shared;

/// How often the calls are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// So many looks at nothing, and the thread sleeps: to wake it for each call would cost more.
const IDLE_LOOKS: u32 = 40;

#[derive(Default)]
pub(super) struct Watchdog {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    /// Calls by where their messages are: when they are to be over, and whose they are.
    calls: HashMap<usize, (Instant, Weak<Shared>)>,
    is_asleep: bool,
}

/// A call that goes on.
pub(super) struct Call {
    key: usize,
    watchdog: &'static Watchdog,
}

/// Begins to look after a call for a message, which is to return within `timeout`.
pub(super) fn watch(shared: &Arc<Shared>, timeout: Duration) -> Option<Call> {
    static WATCHDOG: OnceLock<Option<&'static Watchdog>> = OnceLock::new();
    let start = || {
        // One for the process, which is there until its end.
        let watchdog: &'static Watchdog = Box::leak(Box::default());
        let thread = thread::Builder::new().name("plugin-watch".to_owned());
        let started = thread.spawn(|| watchdog.run()).map_err(|error| {
            log::warn!(target: "pop3d::transform", "calls of plugins are not looked after: {error}");
        });
        started.is_ok().then_some(watchdog)
    };
    let watchdog = (*WATCHDOG.get_or_init(start))?;
    let key = Arc::as_ptr(shared).addr();
    let mut state = watchdog.lock();
    state.calls.insert(key, (Instant::now() + timeout, Arc::downgrade(shared)));
    if state.is_asleep {
        watchdog.bell.notify_one();
    }
    Some(Call { key, watchdog })
}

impl Drop for Call {
    fn drop(&mut self) {
        self.watchdog.lock().calls.remove(&self.key);
    }
}

impl Watchdog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut idle = 0;
        loop {
            let mut state = self.lock();
            if idle == IDLE_LOOKS {
                state.is_asleep = true;
                while state.calls.is_empty() {
                    state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.is_asleep = false;
            }
            idle = if state.calls.is_empty() { (idle + 1).min(IDLE_LOOKS) } else { 0 };
            let now = Instant::now();
            let late: Vec<_> =
                state.calls.extract_if(|_, (due, _)| *due <= now).map(|(_, (_, shared))| shared).collect();
            drop(state);
            for shared in late.iter().filter_map(Weak::upgrade) {
                shared.give_up();
            }
            thread::sleep(LOOK);
        }
    }
}

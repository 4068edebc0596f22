//! The queue before a transform: so many messages in it at once, then first come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pop3d_core::pool::Pool;
use pop3d_core::transform::Wake;

/// Who has its turn, and who waits for it.
#[derive(Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    /// As many may run. That of who came last.
    limit: usize,
    /// More than `limit` only where that was lowered.
    running: usize,
    waiting: VecDeque<Arc<Waiter>>,
}

/// Its turn is read and changed only with the line locked.
struct Waiter {
    turn: Mutex<Turn>,
    wake: Wake,
}

/// How far a message is in the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    Waiting,
    /// It may begin.
    Called,
    /// It has waited too long.
    TooLate,
}

/// A message's place in the queue, and later its leave to run. Dropping it lets the next one in.
pub(crate) struct Place {
    queue: Arc<Queue>,
    waiter: Arc<Waiter>,
}

impl Queue {
    /// Takes a place, the last one; `limit` may run from here on. `wake` is called when its turn changes, which it does
    /// after `patience` at the latest.
    pub(crate) fn join(self: &Arc<Self>, limit: usize, wake: Wake, patience: Duration, pool: &Pool) -> Place {
        let waiter = Arc::new(Waiter { turn: Mutex::new(Turn::Waiting), wake });
        let mut line = self.lock();
        line.limit = limit;
        line.waiting.push_back(Arc::clone(&waiter));
        let called = line.call();
        let turn = *waiter.turn();
        drop(line);
        for other in called.iter().filter(|other| !Arc::ptr_eq(other, &waiter)) {
            other.wake.wake();
        }
        if turn == Turn::Waiting {
            let (queue, waiter) = (Arc::downgrade(self), Arc::downgrade(&waiter));
            pool.run_after(patience, move || {
                if let (Some(queue), Some(waiter)) = (queue.upgrade(), waiter.upgrade()) {
                    queue.expire(&waiter);
                }
            });
        }
        Place { queue: Arc::clone(self), waiter }
    }

    /// How many run, and how many wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let line = self.lock();
        (line.running, line.waiting.len())
    }

    fn expire(&self, waiter: &Arc<Waiter>) {
        let mut line = self.lock();
        if *waiter.turn() == Turn::Waiting {
            line.forget(waiter);
            *waiter.turn() = Turn::TooLate;
            drop(line);
            waiter.wake.wake();
        }
    }

    fn leave(&self, waiter: &Arc<Waiter>) {
        let mut line = self.lock();
        let turn = *waiter.turn();
        match turn {
            Turn::Waiting => line.forget(waiter),
            Turn::TooLate => {}
            Turn::Called => {
                line.running -= 1;
                let called = line.call();
                drop(line);
                for next in called {
                    next.wake.wake();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Calls those whose turn it is: who waits longest goes first. They are to be woken without the lock.
    fn call(&mut self) -> Vec<Arc<Waiter>> {
        let free = self.limit.saturating_sub(self.running).min(self.waiting.len());
        self.running += free;
        let called: Vec<_> = self.waiting.drain(..free).collect();
        for waiter in &called {
            *waiter.turn() = Turn::Called;
        }
        called
    }

    fn forget(&mut self, waiter: &Arc<Waiter>) {
        self.waiting.retain(|other| !Arc::ptr_eq(other, waiter));
    }
}

impl Waiter {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) fn turn(&self) -> Turn {
        *self.waiter.turn()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.leave(&self.waiter);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn nobody() -> Wake {
        Wake(Arc::new(|| {}))
    }

    #[test]
    fn places_are_given_in_the_order_of_coming() {
        let pool = Pool::start("test", 1).unwrap();
        let queue = Arc::new(Queue::default());
        let mut places: VecDeque<_> = (0..6).map(|_| queue.join(2, nobody(), LONG, &pool)).collect();
        for called in 2..=6 {
            let turns: Vec<_> = places.iter().map(Place::turn).collect();
            let running = 2.min(turns.len());
            assert!(turns[..running].iter().all(|turn| *turn == Turn::Called), "{called}: {turns:?}");
            assert!(turns[running..].iter().all(|turn| *turn == Turn::Waiting), "{called}: {turns:?}");
            assert_eq!(queue.counts(), (running, turns.len() - running));
            places.pop_front();
        }
        drop(places);
        assert_eq!(queue.counts(), (0, 0));
    }

    #[test]
    fn a_limit_that_is_raised_or_lowered_holds_for_those_that_wait() {
        let pool = Pool::start("test", 1).unwrap();
        let queue = Arc::new(Queue::default());
        let mut places: Vec<_> = (0..4).map(|_| queue.join(1, nobody(), LONG, &pool)).collect();
        assert_eq!(queue.counts(), (1, 3));
        places.push(queue.join(3, nobody(), LONG, &pool));
        assert_eq!(queue.counts(), (3, 2));
        places.push(queue.join(1, nobody(), LONG, &pool));
        for (running, queued) in [(2, 3), (1, 3), (1, 2), (1, 1), (1, 0), (0, 0)] {
            places.remove(0);
            assert_eq!(queue.counts(), (running, queued));
        }
    }

    #[test]
    fn who_leaves_while_waiting_is_never_called() {
        let pool = Pool::start("test", 1).unwrap();
        let queue = Arc::new(Queue::default());
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let first = queue.join(1, nobody(), LONG, &pool);
        let second = queue.join(1, nobody(), LONG, &pool);
        let third = queue.join(
            1,
            Wake(Arc::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            })),
            LONG,
            &pool,
        );
        drop(second);
        drop(first);
        assert_eq!(third.turn(), Turn::Called);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert_eq!(queue.counts(), (1, 0));
    }

    #[test]
    fn who_waits_too_long_is_told() {
        let pool = Pool::start("test", 1).unwrap();
        let queue = Arc::new(Queue::default());
        let (sender, receiver) = mpsc::channel();
        let first = queue.join(1, nobody(), LONG, &pool);
        let wake = Wake(Arc::new(move || sender.send(()).unwrap()));
        let second = queue.join(1, wake, Duration::from_millis(5), &pool);
        receiver.recv().unwrap();
        assert_eq!(second.turn(), Turn::TooLate);
        assert_eq!(queue.counts(), (1, 0));
        drop(second);
        drop(first);
        assert_eq!(queue.counts(), (0, 0));
    }
}

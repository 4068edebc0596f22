//! The queue before a transform: so many children at once, then first come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pop3d_core::pool::Pool;
use pop3d_core::transform::Wake;

/// Who may have a child, and who waits to have one.
pub(crate) struct Queue {
    limit: usize,
    line: Mutex<Line>,
}

struct Line {
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
    /// It may have a child.
    Called,
    /// It has waited too long.
    TooLate,
}

/// A message's place in the queue, and later its leave to have a child. Dropping it lets the next one in.
pub(crate) struct Place {
    queue: Arc<Queue>,
    waiter: Arc<Waiter>,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, line: Mutex::new(Line { running: 0, waiting: VecDeque::new() }) }
    }

    /// Takes a place, the last one. `wake` is called when its turn changes.
    pub(crate) fn join(self: &Arc<Self>, wake: Wake, limit: Duration, pool: &Pool) -> Place {
        let mut line = self.lock();
        // Who waits goes first, even where a place is free for a moment.
        let turn = if line.running < self.limit && line.waiting.is_empty() {
            line.running += 1;
            Turn::Called
        } else {
            Turn::Waiting
        };
        let waiter = Arc::new(Waiter { turn: Mutex::new(turn), wake });
        if turn == Turn::Waiting {
            line.waiting.push_back(Arc::clone(&waiter));
            let (queue, waiter) = (Arc::downgrade(self), Arc::downgrade(&waiter));
            pool.run_after(limit, move || {
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
                if let Some(next) = line.waiting.pop_front() {
                    line.running += 1;
                    *next.turn() = Turn::Called;
                    drop(line);
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
        let queue = Arc::new(Queue::new(2));
        let mut places: VecDeque<_> = (0..6).map(|_| queue.join(nobody(), LONG, &pool)).collect();
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
    fn who_leaves_while_waiting_is_never_called() {
        let pool = Pool::start("test", 1).unwrap();
        let queue = Arc::new(Queue::new(1));
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let first = queue.join(nobody(), LONG, &pool);
        let second = queue.join(nobody(), LONG, &pool);
        let third = queue.join(
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
        let queue = Arc::new(Queue::new(1));
        let (sender, receiver) = mpsc::channel();
        let first = queue.join(nobody(), LONG, &pool);
        let wake = Wake(Arc::new(move || sender.send(()).unwrap()));
        let second = queue.join(wake, Duration::from_millis(5), &pool);
        receiver.recv().unwrap();
        assert_eq!(second.turn(), Turn::TooLate);
        assert_eq!(queue.counts(), (1, 0));
        drop(second);
        drop(first);
        assert_eq!(queue.counts(), (0, 0));
    }
}

//! Where the helper processes of one transform are, or may be: which of them a message goes to, where one is started, and
//! when not again. Nothing here waits: who starts one says what came of it, and until then messages wait without a thread.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::host::Host;
use super::launch::Unstarted;

/// How long a helper that died, or could not be started, is not started again: at first, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// So many helpers at most.
pub(super) struct Slots {
    /// Nobody who holds it waits for anything.
    slots: Mutex<Vec<Slot>>,
}

/// Where a helper is, or may be again.
#[derive(Default)]
struct Slot {
    place: Place,
    /// How often in a row it died or could not be started, and until when it is not started again.
    failures: u32,
    again: Option<Instant>,
}

#[derive(Default)]
enum Place {
    #[default]
    Empty,
    Starting(Arc<Starting>),
    Running(Arc<Host>),
}

/// Where a message goes.
pub(super) enum Choice {
    Ready(Arc<Host>),
    /// To that which somebody else is starting.
    Awaited(Arc<Starting>),
    /// To that which is there, where there is one; else to that which the caller is to start, and does so in any case.
    Vacant(Vacancy, Option<Arc<Host>>),
    /// Nowhere: none is there, and none is started again yet.
    Refused,
}

/// A helper that is being started, and the messages that wait for it.
#[derive(Default)]
pub(super) struct Starting {
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// None: it is not there yet.
    outcome: Option<Result<Arc<Host>, Unstarted>>,
    waiting: Vec<Waker>,
}

/// Leave to start a helper. Dropping it says that it could not be started.
pub(super) struct Vacancy {
    slots: Arc<Slots>,
    index: usize,
    starting: Arc<Starting>,
}

impl Slots {
    /// So many, of which the first is there.
    pub(super) fn new(count: usize, first: Arc<Host>) -> Self {
        let mut slots = vec![Slot { place: Place::Running(first), ..Slot::default() }];
        slots.resize_with(count.max(1), Slot::default);
        Self { slots: Mutex::new(slots) }
    }

    /// The one that `choose` would choose, where it is there.
    pub(super) fn ready(&self, now: Instant) -> Option<Arc<Host>> {
        let mut slots = self.lock();
        bury(&mut slots, now);
        let (load, host) = least_busy(&slots)?;
        (load == 0 || vacant(&slots, now).is_none()).then_some(host)
    }

    /// Chooses for one message: the one with the fewest, or one to be started rather than one that works.
    pub(super) fn choose(self: &Arc<Self>, now: Instant) -> Choice {
        let mut slots = self.lock();
        bury(&mut slots, now);
        let running = least_busy(&slots);
        if let Some((0, host)) = running {
            return Choice::Ready(host);
        }
        if let Some(index) = vacant(&slots, now) {
            let starting = Arc::<Starting>::default();
            slots[index].place = Place::Starting(Arc::clone(&starting));
            // One may take long to start, and the next message needs it as well. But one that is silent may be in a call
            // that never ends.
            let beside = running.map(|(_, host)| host).filter(|host| !host.is_silent());
            return Choice::Vacant(Vacancy { slots: Arc::clone(self), index, starting }, beside);
        }
        if let Some((_, host)) = running {
            return Choice::Ready(host);
        }
        let mut starting = slots.iter().filter_map(|slot| match &slot.place {
            Place::Starting(starting) => Some(Arc::clone(starting)),
            Place::Empty | Place::Running(_) => None,
        });
        starting.next().map_or(Choice::Refused, Choice::Awaited)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties the slots of those that have died.
fn bury(slots: &mut [Slot], now: Instant) {
    for slot in slots {
        if matches!(&slot.place, Place::Running(host) if !host.is_alive()) {
            slot.died(now);
        }
    }
}

/// The helper with the fewest messages, and how many that are. One that is silent may be in a call that never ends.
fn least_busy(slots: &[Slot]) -> Option<(usize, Arc<Host>)> {
    let running = slots.iter().filter_map(|slot| match &slot.place {
        Place::Running(host) => Some((host.load(), host)),
        Place::Empty | Place::Starting(_) => None,
    });
    let idle = running.clone().find(|(load, _)| *load == 0);
    let chosen = idle.or_else(|| running.min_by_key(|(load, host)| (host.is_silent(), *load)));
    chosen.map(|(load, host)| (load, Arc::clone(host)))
}

/// Where one may be started.
fn vacant(slots: &[Slot], now: Instant) -> Option<usize> {
    slots
        .iter()
        .position(|slot| matches!(slot.place, Place::Empty) && slot.again.is_none_or(|again| again <= now))
}

impl Slot {
    /// One that dies for the first time in a while may be started again at once.
    fn died(&mut self, now: Instant) {
        self.place = Place::Empty;
        let is_long_ago = self.again.is_none_or(|again| now.saturating_duration_since(again) > BACK_OFF.1);
        self.failures = if is_long_ago { 1 } else { self.failures.saturating_add(1) };
        self.again = Some(if is_long_ago { now } else { now + self.back_off() });
    }

    /// Whatever hinders it, the next message would wait as long for nothing.
    fn was_not_started(&mut self, now: Instant) {
        self.place = Place::Empty;
        self.failures = self.failures.saturating_add(1);
        self.again = Some(now + self.back_off());
    }

    fn back_off(&self) -> Duration {
        (BACK_OFF.0 * 2_u32.saturating_pow(self.failures.saturating_sub(1))).min(BACK_OFF.1)
    }
}

impl Starting {
    /// Waits until it is there.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) async fn outcome(&self) -> Result<Arc<Host>, Unstarted> {
        poll_fn(|context| {
            let mut progress = self.lock();
            match &progress.outcome {
                Some(outcome) => Poll::Ready(outcome.clone()),
                None => {
                    progress.waiting.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vacancy {
    /// What messages wait for.
    pub(super) fn starting(&self) -> Arc<Starting> {
        Arc::clone(&self.starting)
    }

    /// Says what came of it.
    pub(super) fn end(&self, outcome: Result<Arc<Host>, Unstarted>, now: Instant) {
        if let Some(slot) = self.slots.lock().get_mut(self.index) {
            match &outcome {
                Ok(host) => slot.place = Place::Running(Arc::clone(host)),
                Err(_) => slot.was_not_started(now),
            }
        }
        let mut progress = self.starting.lock();
        progress.outcome = Some(outcome);
        let waiting = std::mem::take(&mut progress.waiting);
        drop(progress);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Vacancy {
    fn drop(&mut self) {
        if self.starting.lock().outcome.is_none() {
            let unstarted = Unstarted::OfServer("its helper process could not be started".to_owned());
            self.end(Err(unstarted), Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    fn slots(count: usize) -> (Arc<Slots>, Arc<Host>) {
        let host = Host::without_process();
        (Arc::new(Slots::new(count, Arc::clone(&host))), host)
    }

    fn vacancy(slots: &Arc<Slots>, now: Instant) -> Vacancy {
        match slots.choose(now) {
            Choice::Vacant(vacancy, _) => vacancy,
            Choice::Ready(_) | Choice::Awaited(_) | Choice::Refused => panic!("none is to be started"),
        }
    }

    fn is_refused(slots: &Arc<Slots>, now: Instant) -> bool {
        matches!(slots.choose(now), Choice::Refused)
    }

    fn is(slots: &Arc<Slots>, now: Instant, host: &Arc<Host>) -> bool {
        matches!(slots.choose(now), Choice::Ready(chosen) if Arc::ptr_eq(&chosen, host))
    }

    /// What a message hears that asks; none: it waits.
    fn heard(starting: &Starting) -> Option<Result<Arc<Host>, Unstarted>> {
        match Box::pin(starting.outcome()).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_that_cannot_be_started_is_tried_again_ever_later() {
        let (slots, host) = slots(1);
        host.die();
        let mut now = Instant::now();
        for failures in 1..20 {
            let vacancy = vacancy(&slots, now);
            let starting = vacancy.starting();
            now += Duration::from_secs(30);
            vacancy.end(Err(Unstarted::OfPlugin("it hangs".to_owned())), now);
            assert!(matches!(heard(&starting), Some(Err(Unstarted::OfPlugin(why))) if why == "it hangs"));
            // It had died once before.
            let pause = (BACK_OFF.0 * (1 << failures)).min(BACK_OFF.1);
            assert!(is_refused(&slots, now) && is_refused(&slots, now + pause - Duration::from_millis(1)));
            now += pause;
        }
        let host = Host::without_process();
        vacancy(&slots, now).end(Ok(Arc::clone(&host)), now);
        assert!(is(&slots, now, &host));
    }

    #[test]
    fn one_that_dies_is_started_at_once_and_the_next_time_later() {
        let (slots, mut host) = slots(1);
        let mut now = Instant::now();
        for pause in [0, 200, 400, 800, 1600] {
            host.die();
            let pause = Duration::from_millis(pause);
            assert!(pause.is_zero() || is_refused(&slots, now));
            // It counts from when it was found dead.
            let _ = slots.ready(now);
            now += pause;
            host = Host::without_process();
            vacancy(&slots, now).end(Ok(Arc::clone(&host)), now);
        }
        // A while later all of that is forgotten.
        now += BACK_OFF.1 + Duration::from_secs(1);
        host.die();
        drop(vacancy(&slots, now));
    }

    #[test]
    fn who_comes_while_one_is_started_takes_another_or_waits_for_it() {
        let now = Instant::now();
        let (slots, host) = slots(2);
        assert!(is(&slots, now, &host));
        host.is_given_a_message();
        // Also who is to start it.
        let Choice::Vacant(second, Some(beside)) = slots.choose(now) else { panic!("none is beside") };
        assert!(Arc::ptr_eq(&beside, &host));
        assert!(is(&slots, now, &host) && slots.ready(now).is_some());
        host.die();
        let Choice::Vacant(first, None) = slots.choose(now) else { panic!("a dead one is beside") };
        assert!(slots.ready(now).is_none());
        let Choice::Awaited(awaited) = slots.choose(now) else { panic!("nothing is waited for") };
        assert!(heard(&awaited).is_none());
        let host = Host::without_process();
        first.end(Ok(Arc::clone(&host)), now);
        assert!(matches!(heard(&awaited), Some(Ok(heard)) if Arc::ptr_eq(&heard, &host)));
        // The other one is not there, which is of no account.
        second.end(Err(Unstarted::OfPlugin("it ended".to_owned())), now);
        host.is_given_a_message();
        assert!(is(&slots, now, &host));
    }

    #[test]
    fn one_that_is_silent_gets_nothing_where_another_one_works() {
        let now = Instant::now();
        let (slots, silent) = slots(2);
        silent.is_given_a_message();
        silent.has_said_nothing_for(Duration::from_secs(2));
        let Choice::Vacant(vacancy, None) = slots.choose(now) else {
            panic!("it is taken for one that works")
        };
        let host = Host::without_process();
        vacancy.end(Ok(Arc::clone(&host)), now);
        (0..3).for_each(|_| host.is_given_a_message());
        assert!(is(&slots, now, &host));
        assert!(slots.ready(now).is_some_and(|ready| Arc::ptr_eq(&ready, &host)));
        // Where both are silent, there is hope for either.
        host.has_said_nothing_for(Duration::from_secs(2));
        assert!(is(&slots, now, &silent));
    }

    #[test]
    fn who_gives_up_starting_one_leaves_nobody_waiting() {
        let (slots, host) = slots(1);
        host.die();
        let now = Instant::now();
        let vacancy = vacancy(&slots, now);
        let Choice::Awaited(awaited) = slots.choose(now) else { panic!("nothing is waited for") };
        drop(vacancy);
        assert!(matches!(heard(&awaited), Some(Err(Unstarted::OfServer(_)))));
        assert!(is_refused(&slots, now));
    }
}

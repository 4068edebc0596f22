//! The processor time of children.
//!
//! The kernel tells it of all children that are reaped, together. So they are reaped one at a time, and what the sum
//! grows by is the time of that one and of what it has waited for itself.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::record::Record;

/// Held while a child is reaped, which takes some microseconds.
static REAPING: Mutex<()> = Mutex::new(());

/// Calls `reap`, which reaps one child at most and does not wait, and adds the child's time to the record.
pub(crate) fn charge<T>(record: &Record, reap: impl FnOnce() -> T) -> T {
    // Nothing is guarded but the order.
    let _turn = REAPING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = time_of_the_reaped();
    let reaped = reap();
    record.add_cpu(time_of_the_reaped().saturating_sub(before));
    reaped
}

fn time_of_the_reaped() -> Duration {
    let duration = |time: TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
    };
    // Fails for no caller that names somebody it knows.
    getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_or(Duration::ZERO, |usage| duration(usage.user_time()) + duration(usage.system_time()))
}

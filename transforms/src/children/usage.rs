//! The processor time of children.
//!
//! The kernel tells it of all children that are reaped, together. So they are reaped one at a time, and what the sum
//! grows by is the time of that one and of what it has waited for itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

use crate::record::Record;

/// Held while a child is reaped, which takes some microseconds.
static REAPING: Mutex<()> = Mutex::new(());

/// Waits for the end of a child whose time is added to no record, and reaps it; how it ended.
pub(crate) fn reap(pid: Pid) -> Option<WaitIdStatus> {
    wait_for_end(pid);
    reap_ended(pid)
}

/// Waits for the end of a child. It is looked at and not reaped, and nothing is held meanwhile: one that was killed may still
/// take long to end.
pub(super) fn wait_for_end(pid: Pid) {
    let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), seen) {}
}

/// Reaps such a child that has ended.
pub(super) fn reap_ended(pid: Pid) -> Option<WaitIdStatus> {
    // Else its time would be taken for that of another one, which is reaped just then.
    let _turn = REAPING.lock().unwrap_or_else(PoisonError::into_inner);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok().flatten()
}

/// Calls `reap`, which reaps one child at most and does not wait, and adds the child's time to the record.
pub(crate) fn charge<T>(record: &Record, reap: impl FnOnce() -> T) -> T {
    charge_beyond(Duration::ZERO, record, reap)
}

/// The same, of a child whose time was counted up to `counted`.
pub(crate) fn charge_beyond<T>(counted: Duration, record: &Record, reap: impl FnOnce() -> T) -> T {
    let (reaped, time) = timed(reap);
    record.add_cpu(time.saturating_sub(counted));
    reaped
}

/// The same, and the child's time is for the caller to add.
pub(super) fn timed<T>(reap: impl FnOnce() -> T) -> (T, Duration) {
    // Nothing is guarded but the order.
    let _turn = REAPING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = time_of_the_reaped();
    let reaped = reap();
    (reaped, time_of_the_reaped().saturating_sub(before))
}

/// The processor time of this process and of all that it has started, also of those that still run.
#[must_use]
pub fn processor_time() -> Duration {
    // Nothing is reaped in between, which would then be counted twice or not at all.
    let _turn = REAPING.lock().unwrap_or_else(PoisonError::into_inner);
    time_of(UsageWho::RUSAGE_SELF) + time_of_the_reaped() + time_of_the_living()
}

fn time_of_the_reaped() -> Duration {
    time_of(UsageWho::RUSAGE_CHILDREN)
}

fn time_of(who: UsageWho) -> Duration {
    let duration = |time: TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
    };
    // Fails for no caller that names somebody it knows.
    getrusage(who).map_or(Duration::ZERO, |usage| duration(usage.user_time()) + duration(usage.system_time()))
}

/// That of children that run, such as helpers. Without /proc it is not known.
fn time_of_the_living() -> Duration {
    let children = |task: &Path| fs::read_to_string(task.join("children")).unwrap_or_default();
    let mut sum = Duration::ZERO;
    for task in tasks("self") {
        for child in children(&task).split_whitespace() {
            sum += tasks(child).iter().map(|task| time_of_task(task)).sum::<Duration>();
        }
    }
    sum
}

/// The folders of the threads of a process.
fn tasks(process: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn time_of_task(task: &Path) -> Duration {
    // Nanoseconds on a processor, nanoseconds of waiting for one, and how often.
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_time_of_a_child_counts_while_it_runs_and_when_it_is_reaped() {
        const SPENT: Duration = Duration::from_millis(50);
        let before = time_of_the_reaped();
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        // Other tests have children too: only its own time tells how long it ran.
        let own = || tasks(&child.id().to_string()).iter().map(|task| time_of_task(task)).sum::<Duration>();
        let end = Instant::now() + Duration::from_secs(60);
        while own() < SPENT * 2 {
            assert!(Instant::now() < end, "its time is not seen");
        }
        assert!(time_of_the_living() >= SPENT * 2 && processor_time() >= SPENT * 2);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(time_of_the_reaped() - before >= SPENT, "it is not lost");
    }
}

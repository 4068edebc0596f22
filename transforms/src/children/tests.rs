//! Programs that whoever started them waits for.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use rustix::thread::gettid;

use super::*;

/// Whether a thread of this process sleeps.
fn sleeps(thread: Pid) -> bool {
    let stat = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    let stat = fs::read_to_string(stat).unwrap();
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('S'))
}

#[test]
fn who_waits_for_a_program_that_does_not_end_holds_up_nobody() {
    let children = Children::default();
    let start = || {
        let mut program = Command::new("cat");
        let child = program.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        Ok((Pid::from_child(&child), child))
    };
    let (pid, mut child) = children.start_errand(start).unwrap().unwrap();
    let input = child.stdin.take();
    thread::scope(|scope| {
        let (teller, told) = channel();
        let children = &children;
        let waiting = scope.spawn(move || {
            teller.send(gettid()).unwrap();
            children.end_errand(pid)
        });
        let waiter = told.recv().unwrap();
        while !sleeps(waiter) {
            thread::yield_now();
        }
        let is_free = children.errands.try_lock().is_ok();
        drop(input);
        let status = waiting.join().unwrap();
        assert!(is_free, "others wait as well");
        assert_eq!(status.as_ref().and_then(WaitIdStatus::exit_status), Some(0));
    });
    assert_eq!(children.errands_running(), 0);
}

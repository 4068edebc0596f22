//! Programs that whoever started them waits for.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use rustix::thread::gettid;

use super::*;
use crate::queue::Queue;

/// Whether a thread of this process sleeps.
fn sleeps(thread: Pid) -> bool {
    let stat = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    let stat = fs::read_to_string(stat).unwrap();
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('S'))
}

/// Starts a program that ends with its input.
fn start_errand(children: &Children) -> (Pid, process::Child) {
    let start = || {
        let mut program = Command::new("cat");
        let child = program.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        Ok((Pid::from_child(&child), child))
    };
    children.start_errand(start).unwrap().unwrap()
}

#[test]
fn a_program_is_not_reaped_while_the_time_of_another_is_taken() {
    let (children, record) = (Children::default(), Record::default());
    let (pid, mut child) = start_errand(&children);
    drop(child.stdin.take());
    usage::wait_for_end(pid);
    thread::scope(|scope| {
        let (teller, told) = channel();
        let children = &children;
        let reaping = usage::charge(&record, || {
            let reaping = scope.spawn(move || {
                teller.send(gettid()).unwrap();
                children.end_errand(pid)
            });
            let reaper = told.recv().unwrap();
            while !reaping.is_finished() && !sleeps(reaper) {
                thread::yield_now();
            }
            let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            assert!(waitid(WaitId::Pid(pid), seen).is_ok(), "it is reaped");
            reaping
        });
        let status = reaping.join().unwrap();
        assert_eq!(status.as_ref().and_then(WaitIdStatus::exit_status), Some(0));
    });
}

#[test]
fn who_waits_for_a_program_that_does_not_end_holds_up_nobody() {
    let children = Children::default();
    let (pid, mut child) = start_errand(&children);
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

#[test]
fn a_start_that_hangs_does_not_hold_up_the_end_and_what_comes_of_it_is_killed() {
    let (children, record) = (Arc::<Children>::default(), Arc::<Record>::default());
    let pool = Pool::start("test", 1).unwrap();
    let queue = Arc::<Queue>::default();
    let place = queue.join(1, Wake(Arc::new(|| {})), KILL_WAIT, &pool);
    let permission = children.permission().unwrap();
    children.kill_all();
    let start = || Command::new("sleep").arg("1000").process_group(0).spawn();
    let pid = Pid::from_child(&start().unwrap());
    let owner = permission.adopt(pid, place, &pool, &record).unwrap();
    drop(permission);
    owner.child().wait_until(Instant::now() + Duration::from_secs(60));
    assert_eq!(owner.child().exit(), Some(Exit::Signal(Signal::KILL.as_raw())));
    assert!(children.permission().is_none());
}

//! How long children may take, and in which order they come.

use std::time::{Duration, Instant};

use pop3d_core::transform::Error;

use super::chains::chain;
use super::driver::{Input, Loop, message, octets};
use super::text;

#[test]
fn a_child_that_gets_nowhere_is_stopped() {
    let mut worker = Loop::new();
    for line in ["sleep 60", "cat >/dev/null; sleep 60", "printf x; sleep 60", "cat; sleep 60"] {
        let program = worker.process_with(line, |spec| spec.timeout = Duration::from_millis(300));
        let message = octets(100_000);
        let start = Instant::now();
        assert!(matches!(worker.send_file(program.clone(), &message), Err(Error::TimedOut(_))), "{line}");
        assert!(matches!(worker.feed(program.clone(), &message, 10_000), Err(Error::TimedOut(_))), "{line}");
        assert!(start.elapsed() < Duration::from_secs(30), "{line}");
        assert_eq!((program.statistics().failed, program.statistics().timed_out), (2, 2));
    }
    worker.wait_for_children();
}

#[test]
fn a_child_that_goes_on_slowly_is_not_stopped() {
    let mut worker = Loop::new();
    // It reads a line in less than the time, without writing; in all it takes longer.
    let line = "while read x; do sleep 0.5; done; echo done";
    let program = worker.process_with(line, |spec| spec.timeout = Duration::from_secs(4));
    assert_eq!(text(worker.send_file(program.clone(), &b"x\n".repeat(10))), "done\n");
    // It writes a line in less than the time.
    let line = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.6; done";
    let program = worker.process_with(line, |spec| spec.timeout = Duration::from_secs(4));
    assert_eq!(text(worker.send_file(program, b"x")), "1\n2\n3\n4\n5\n6\n7\n8\n");
}

#[test]
fn a_slow_client_never_makes_a_child_fail() {
    let mut worker = Loop::new();
    let content = octets(2_000_000);
    for fed in [false, true] {
        let cat = worker.process_with("cat", |spec| spec.timeout = Duration::from_secs(1));
        let input = if fed { Input::Fed(content.clone(), 10_000) } else { Input::file(&content) };
        let mut deliveries = [worker.open(cat, message(content.len()), input)];
        deliveries[0].stalls_at = 1;
        worker.run(&mut deliveries, |deliveries| deliveries[0].produced > 0);
        let start = Instant::now();
        worker.run(&mut deliveries, |_| start.elapsed() > Duration::from_secs(3));
        assert!(deliveries[0].outcome.is_none());
        deliveries[0].resume();
        worker.run(&mut deliveries, |deliveries| deliveries[0].outcome.is_some());
        let [delivery] = deliveries;
        assert!(delivery.outcome.unwrap().is_ok());
        assert!(delivery.output == content);
    }
}

#[test]
fn processor_time_is_bounded() {
    let mut worker = Loop::new();
    for line in ["while :; do :; done", "exec sh -c 'while :; do :; done'"] {
        let program = worker.process_with(line, |spec| spec.cpu = Duration::from_millis(100));
        let Err(Error::TimedOut(limit)) = worker.send_file(program, b"x") else { panic!("{line}") };
        assert_eq!(limit, Duration::from_millis(100));
    }
}

#[test]
fn a_program_that_waits_for_a_slow_one_before_it_is_not_to_blame() {
    let mut worker = Loop::new();
    let slow = worker.process("cat; sleep 3; echo slow");
    let fast = worker.process_with("cat", |spec| spec.timeout = Duration::from_secs(1));
    assert_eq!(text(worker.send_file(chain([slow, fast]), b"x\n")), "x\nslow\n");
}

#[test]
fn so_many_run_at_once_and_the_others_come_in_their_order() {
    let mut worker = Loop::new();
    let program = worker.process_with("cat", |spec| spec.max_running = 3);
    let open = |_| worker.open(program.clone(), message(1), Input::file(b"x"));
    let mut deliveries: Vec<_> = (0..100).map(open).collect();
    assert_eq!((program.statistics().running, program.statistics().queued), (3, 97));
    let mut most = 0;
    worker.run(&mut deliveries, |deliveries| {
        most = most.max(program.statistics().running);
        deliveries.iter().all(|delivery| delivery.outcome.is_some())
    });
    assert!(most <= 3);
    assert!(deliveries.iter().all(|delivery| delivery.output == b"x"));
}

#[test]
fn a_client_that_takes_nothing_holds_no_place_once_its_child_has_ended() {
    let mut worker = Loop::new();
    let program = worker.process_with("cat", |spec| spec.max_running = 1);
    let content = octets(50_000);
    let mut deliveries = [0, 1].map(|_| worker.open(program.clone(), message(50_000), Input::file(&content)));
    deliveries[0].stalls_at = 1;
    worker.run(&mut deliveries, |deliveries| deliveries[1].outcome.is_some());
    assert!(deliveries[1].output == content);
    assert!(deliveries[0].outcome.is_none());
    deliveries[0].resume();
    worker.run(&mut deliveries, |deliveries| deliveries[0].outcome.is_some());
    assert!(deliveries[0].output == content);
}

#[test]
fn who_waits_too_long_for_a_turn_fails_for_now() {
    let mut worker = Loop::new();
    let program = worker.process_with("cat", |spec| {
        spec.max_running = 1;
        spec.queue_timeout = Duration::from_millis(50);
    });
    // It holds the only place, since nobody has asked it for anything.
    let _first = worker.open(program.clone(), message(1), Input::file(b"x"));
    let Err(Error::Temporary(reason)) = worker.send_file(program.clone(), b"x") else { panic!() };
    assert_eq!(reason, "no turn within queue_timeout, 50ms: max_running is 1");
    assert_eq!(program.statistics().failed, 1);
}

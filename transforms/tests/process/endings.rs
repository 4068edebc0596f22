//! How children end, by themselves or not, and what that means for the message.

use std::time::{Duration, Instant};

use pop3d_core::transform::Error;

use super::driver::{Input, Loop, message, octets, process_state};
use super::text;

#[test]
fn a_child_that_reads_nothing_or_not_all_is_no_failure() {
    let mut worker = Loop::new();
    let message = octets(1_000_000);
    for line in ["printf hello", "true; printf hello", "exec <&-; printf hello"] {
        let program = worker.process(line);
        assert_eq!(text(worker.send_file(program.clone(), &message)), "hello", "{line}");
        assert_eq!(text(worker.feed(program, &message, 10_000)), "hello", "{line}");
    }
    let head = worker.process("head -c 10");
    assert_eq!(worker.send_file(head.clone(), &message).unwrap(), &message[..10]);
    assert_eq!(worker.feed(head, &message, 10_000).unwrap(), &message[..10]);
}

#[test]
fn a_child_may_write_a_hundred_times_its_input_and_more_is_a_bomb() {
    let mut worker = Loop::new();
    let message = vec![b'x'; 20_000];
    let line = |count| format!("i=0; while [ $i -lt {count} ]; do printf %020000d 0; i=$((i+1)); done");
    let much = worker.process(&line(100));
    assert_eq!(worker.send_file(much, &message).unwrap().len(), 2_000_000);
    let bomb = worker.process("cat /dev/zero");
    let by_input = "of 100 times its input and 1 MiB of output";
    assert!(matches!(worker.send_file(bomb.clone(), &message), Err(Error::Limit(name)) if name == by_input));
    assert!(matches!(worker.feed(bomb, &message, 1000), Err(Error::Limit(name)) if name == by_input));
    let bounded = worker.process_with("cat", |spec| spec.max_output = 19_999);
    assert!(matches!(worker.send_file(bounded, &message), Err(Error::Limit("max_output"))));
    worker.wait_for_children();
}

#[test]
fn an_exit_status_says_what_kind_of_failure_it_is() {
    let mut worker = Loop::new();
    let message = octets(100_000);
    for status in 1..=255 {
        let program = worker.process(&format!("exit {status}"));
        let error = worker.send_file(program, &message).unwrap_err();
        let (Error::Temporary(reason) | Error::Permanent(reason) | Error::Crashed(reason)) = &error else {
            // A shell's word for SIGXCPU.
            assert_eq!(status, 128 + 24);
            continue;
        };
        assert_eq!(reason, &format!("exit status {status}"));
        match status {
            75 => assert!(matches!(error, Error::Temporary(_))),
            78 | 126 | 127 => assert!(matches!(error, Error::Permanent(_))),
            _ => assert!(matches!(error, Error::Crashed(_))),
        }
    }
}

#[test]
fn a_failure_after_half_of_the_output_is_a_failure() {
    let mut worker = Loop::new();
    for line in ["head -c 50000; exit 3", "head -c 50000; kill -9 $$", "head -c 50000; kill -SEGV $$"] {
        let program = worker.process(line);
        let mut deliveries = [worker.open(program, message(100_000), Input::file(&octets(100_000)))];
        worker.run(&mut deliveries, |deliveries| deliveries[0].outcome.is_some());
        let [delivery] = deliveries;
        assert_eq!(delivery.output.len(), 50_000, "{line}");
        let Some(Err(Error::Crashed(reason))) = delivery.outcome else { panic!("{line}") };
        let expected = ["exit status 3", "killed by signal 9 (SIGKILL)", "killed by signal 11 (SIGSEGV)"];
        assert!(expected.contains(&reason.as_str()), "{reason}");
    }
}

#[test]
fn no_such_program_is_permanent() {
    let mut worker = Loop::new();
    for (line, reason) in [
        ("no-such-program", "no such program: no-such-program"),
        ("/no/such/program x", "no such program: /no/such/program"),
        ("/etc/passwd", "/etc/passwd is not executable"),
        ("no-such-program; exit $?", "exit status 127"),
    ] {
        let program = worker.process(line);
        let Err(Error::Permanent(told)) = worker.send_file(program.clone(), b"x") else { panic!("{line}") };
        assert_eq!(told, reason);
        let Err(Error::Permanent(told)) = worker.feed(program.clone(), b"x", 1) else { panic!("{line}") };
        assert_eq!(told, reason);
        worker.wait_for_children();
        assert_eq!((program.statistics().failed, program.statistics().running), (2, 0));
    }
    let folder = worker.process_with("cat", |spec| spec.folder = "/no/such/folder".into());
    assert!(matches!(worker.send_file(folder, b"x"), Err(Error::Permanent(_))));
}

#[test]
fn an_end_of_output_without_an_exit_is_a_failure() {
    let mut worker = Loop::new();
    let program = worker.process("cat; exec >&-; sleep 60");
    let Err(Error::Crashed(reason)) = worker.send_file(program, b"x") else { panic!() };
    assert_eq!(reason, "it closed its output and did not exit");
    // Shorter than a second is well.
    let program = worker.process("cat; exec >&-; sleep 0.1");
    assert_eq!(text(worker.send_file(program, b"x")), "x");
    worker.wait_for_children();
}

#[test]
fn a_grandchild_that_holds_the_output_open_may_write_until_it_gets_nowhere() {
    let mut worker = Loop::new();
    let program = worker.process("cat; (sleep 0.2; echo late) &");
    assert_eq!(text(worker.send_file(program, b"x\n")), "x\nlate\n");
    let line = "echo $$; sleep 60 &";
    let program = worker.process_with(line, |spec| spec.timeout = Duration::from_millis(300));
    assert!(matches!(worker.send_file(program, b"x"), Err(Error::TimedOut(_))));
    worker.wait_for_children();
}

#[test]
fn what_a_child_leaves_behind_is_killed_with_it() {
    let mut worker = Loop::new();
    // The grandchild has let go of the pipes.
    let program = worker.process("sleep 60 >/dev/null 2>&1 & echo $!");
    let pid = text(worker.send_file(program, b"x")).trim().parse().unwrap();
    worker.wait_for_children();
    // Its new parent reaps it; dead is enough.
    worker.run(&mut [], |_| matches!(process_state(pid), None | Some('Z' | 'X')));
}

/// Begins a message, waits for a line with numbers of processes, and lets the client go.
fn cancel_after_first_line(worker: &mut Loop, line: &str) -> Vec<u32> {
    let program = worker.process(line);
    let mut deliveries = [worker.open(program.clone(), message(1), Input::file(b"x"))];
    worker.run(&mut deliveries, |deliveries| deliveries[0].output.ends_with(b"\n"));
    let [mut delivery] = deliveries;
    delivery.cancel();
    assert_eq!(program.statistics().failed, 0, "a client that goes is no failure");
    assert_eq!(worker.registered(), 0);
    String::from_utf8(delivery.output).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn a_child_whose_client_goes_is_ended_with_its_group_and_reaped() {
    let mut worker = Loop::new();
    let start = Instant::now();
    let pids = cancel_after_first_line(&mut worker, "sleep 60 & echo $$ $!; wait");
    worker.wait_for_children();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(process_state(pids[0]), None, "reaped");
    worker.run(&mut [], |_| matches!(process_state(pids[1]), None | Some('Z' | 'X')));
}

#[test]
fn a_child_that_ignores_sigterm_is_killed() {
    let mut worker = Loop::new();
    let line = "trap '' TERM; echo $$; while :; do sleep 1; done";
    let pids = cancel_after_first_line(&mut worker, line);
    worker.wait_for_children();
    assert_eq!(process_state(pids[0]), None, "reaped");
}

#[test]
fn a_child_may_clean_up_at_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Loop::new();
    let line =
        format!("trap 'echo bye >{}/bye; exit' TERM; echo $$; sleep 60 & wait", folder.path().display());
    cancel_after_first_line(&mut worker, &line);
    worker.wait_for_children();
    assert!(folder.path().join("bye").exists());
}

#[test]
fn a_message_given_up_before_its_child_runs_leaves_nothing() {
    let mut worker = Loop::new();
    let program = worker.process_with("cat", |spec| spec.max_running = 2);
    for _ in 0..50 {
        let mut delivery = worker.open(program.clone(), message(1), Input::file(b"x"));
        delivery.cancel();
        let mut deliveries = [worker.open(program.clone(), message(1), Input::file(b"x"))];
        // One turn: the start is in the pool.
        worker.run(&mut deliveries, |_| true);
        deliveries[0].cancel();
    }
    assert_eq!(text(worker.send_file(program.clone(), b"x")), "x");
    worker.wait_for_children();
    worker.run(&mut [], |_| program.statistics().running == 0);
    assert_eq!(program.statistics().queued, 0);
}

#[test]
fn at_the_end_of_the_program_no_child_is_left() {
    let mut worker = Loop::new();
    let program = worker.process("trap '' TERM; echo $$; sleep 60");
    let open = |_| worker.open(program.clone(), message(1), Input::file(b"x"));
    let mut deliveries: Vec<_> = (0..4).map(open).collect();
    worker.run(&mut deliveries, |deliveries| {
        deliveries.iter().all(|delivery| delivery.output.ends_with(b"\n"))
    });
    // Some are ending already.
    deliveries.truncate(2);
    worker.resources.children.kill_all();
    assert_eq!(worker.resources.children.count(), 0);
    for delivery in &deliveries {
        let pid = String::from_utf8_lossy(&delivery.output).trim().parse().unwrap();
        assert_eq!(process_state(pid), None, "reaped");
    }
    worker.run(&mut deliveries, |deliveries| deliveries.iter().all(|delivery| delivery.outcome.is_some()));
    assert!(
        matches!(worker.send_file(program, b"x"), Err(Error::Temporary(_))),
        "no further child is started"
    );
}

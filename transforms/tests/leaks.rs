//! What is counted for the whole program, and so has one of its own: descriptors, children, memory.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "process/driver.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod driver;

use driver::{Input, Loop, message, octets};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Children of this program, dead ones included.
fn children() -> String {
    let mut children = String::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        children += &std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
    }
    children
}

/// A line of /proc/self/status in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap()
}

#[test]
fn neither_descriptors_nor_children_nor_memory_are_left_behind() {
    let mut worker = Loop::new();
    let lines =
        ["cat", "head -c 1", "exit 3", "cat; sleep 60 &", "no-such-program", "trap '' TERM; cat; sleep 60"];
    let before = descriptors();
    let input = octets(100_000);
    for line in lines {
        let program = worker.process_with(line, |spec| spec.max_running = 4);
        for fed in [false, true] {
            let open = |_| {
                let input = if fed { Input::Fed(input.clone(), 4096) } else { Input::file(&input) };
                worker.open(program.clone(), message(100_000), input)
            };
            let mut deliveries: Vec<_> = (0..8).map(open).collect();
            // Some are over by themselves, the others are given up in the middle or before they began.
            worker.run(&mut deliveries, |deliveries| {
                deliveries.iter().any(|it| it.outcome.is_some() || it.produced == 100_000)
            });
        }
    }
    worker.wait_for_children();
    worker.run(&mut [], |_| descriptors() == before);
    assert_eq!(children(), "");
    assert_eq!(worker.registered(), 0);

    // A long message is at no time in memory.
    let program = worker.process_with("head -c 300000000 /dev/zero", |spec| spec.max_output = u64::MAX);
    let peak = memory("VmHWM");
    let mut delivery = worker.open(program, message(100_000_000), Input::Fed(Vec::new(), 1));
    delivery.keep_output = false;
    let mut deliveries = [delivery];
    worker.run(&mut deliveries, |deliveries| deliveries[0].outcome.is_some());
    assert_eq!(deliveries[0].produced, 300_000_000);
    assert!(memory("VmHWM") < peak + 4096, "{peak} KiB became {}", memory("VmHWM"));
}

//! What a child sees, and what is seen of it in the log.

use std::collections::BTreeSet;
use std::sync::{Mutex, Once};
use std::time::Duration;

use pop3d_core::transform::{Command, Message};
use pop3d_transforms::spec::ProcessSpec;

use super::driver::{Input, Loop, message, octets};
use super::text;

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Journal;

impl log::Log for Journal {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOG.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

/// The lines of the log with a text, in their order.
fn logged(text: &str) -> Vec<String> {
    LOG.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
}

fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Journal).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    });
}

#[test]
fn a_child_sees_its_environment_and_nothing_else() {
    let mut worker = Loop::new();
    let change = |spec: &mut ProcessSpec| {
        spec.name = "tagger".to_owned();
        spec.env = vec![("SCANNER".to_owned(), "fast; rm".to_owned())];
        spec.options = vec![("only-external".to_owned(), "true".to_owned())];
    };
    let env = worker.process_with("env", change);
    let retr = text(worker.send_file(env.clone(), b"12345"));
    let mut lines: Vec<_> = retr.lines().collect();
    lines.sort_unstable();
    let expected = [
        "LANG=C.UTF-8",
        "MESSAGE_NUMBER=7",
        "MESSAGE_SIZE=5",
        "MESSAGE_UID=uid-7",
        "OPTION_ONLY_EXTERNAL=true",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "POP3D_VERSION=0.0-test",
        "POP3_COMMAND=RETR",
        "POP3_REMOTE=192.0.2.7",
        "POP3_TOP_LINES=0",
        "POP3_USER=alice",
        "SCANNER=fast; rm",
        "TRANSFORM_NAME=tagger",
    ];
    assert_eq!(lines, expected);
    let top = Message { command: Command::Top { lines: 12 }, ..message(1) };
    let delivery = worker.open(env, top, Input::file(b"x"));
    let top = text(worker.finish(delivery));
    assert!(top.contains("POP3_COMMAND=TOP\n") && top.contains("POP3_TOP_LINES=12\n"), "{top}");
}

/// What this program would hand on to any child: the three standard ones, and what its own parent left open.
fn inherited_descriptors() -> BTreeSet<u32> {
    let close_on_exec = 0o2_000_000;
    let is_inherited = |number: &u32| {
        let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else { return false };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        u32::from_str_radix(flags.trim(), 8).unwrap() & close_on_exec == 0
    };
    (0..1024).filter(is_inherited).collect()
}

/// The signals that are ignored, by a line of `/proc/self/status`.
fn ignored(line: &str) -> u64 {
    u64::from_str_radix(line.trim_start_matches("SigIgn:").trim(), 16).unwrap()
}

/// What any child of this program would ignore: what its own parent left ignored, as `nohup` does, and two signals
/// that the C library keeps for itself, 32 and 33.
fn inherited_ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    ignored(status.lines().find(|line| line.starts_with("SigIgn:")).unwrap()) & !PIPE | 0b11 << 31
}

/// SIGPIPE, which the runtime of Rust ignores, and gives back its default for a child.
const PIPE: u64 = 1 << 12;

#[test]
fn a_child_has_its_pipes_its_folder_its_group_and_its_limits() {
    let mut worker = Loop::new();
    let set = |spec: &mut ProcessSpec| {
        spec.cpu = Duration::from_millis(2500);
        spec.memory = Some(1 << 30);
        spec.max_output = 1 << 20;
    };
    let line =
        "pwd; cut -d' ' -f5 /proc/self/stat; echo $$; grep SigIgn /proc/self/status; exec ls /proc/self/fd";
    let program = worker.process(line);
    let seen = text(worker.feed(program, b"x", 1));
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[0], "/");
    assert_eq!(lines[1], lines[2], "the shell leads the group");
    assert_eq!(ignored(lines[3]) & !inherited_ignored(), 0, "a signal is ignored: {seen}");
    let descriptors: BTreeSet<u32> = lines[4..].iter().map(|line| line.parse().unwrap()).collect();
    let mut expected = inherited_descriptors();
    // The one more is the folder that ls lists.
    expected.extend((0..).filter(|number| !expected.contains(number)).take(1).collect::<Vec<_>>());
    assert_eq!(descriptors, expected);

    // Its limits are set right after its start: it waits for a line before it looks.
    let limits = worker.process_with("read line; cat /proc/self/limits", set);
    let seen = text(worker.feed(limits, b"go\n", 3));
    for (name, soft, hard) in [
        ("Max cpu time", "3", "4"),
        ("Max address space", "1073741824", "1073741824"),
        ("Max open files", "256", "256"),
        ("Max core file size", "0", "0"),
        ("Max file size", "1048576", "1048576"),
    ] {
        let line = seen.lines().find(|line| line.starts_with(name)).unwrap();
        let values: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, [soft, hard], "{name}");
    }
}

#[test]
fn a_file_is_never_written_to_and_its_offset_is_the_childs_own() {
    let mut worker = Loop::new();
    let line = "head -c 5; echo changed 2>/dev/null >&0; true";
    let program = worker.process(line);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"0123456789").unwrap();
    // The cursor's own offset is at the end, and the file was opened for writing too.
    for _ in 0..2 {
        let delivery = worker.open(program.clone(), message(10), Input::File(file.try_clone().unwrap(), 10));
        assert_eq!(text(worker.finish(delivery)), "01234");
    }
    assert_eq!(file.metadata().unwrap().len(), 10);
}

#[test]
fn standard_error_is_in_the_log_and_its_end_with_the_failure() {
    keep_log();
    let mut worker = Loop::new();
    let line = "echo first-complaint >&2; cat >/dev/null; printf 'last\\033words' >&2; exit 3";
    let program = worker.process_with(line, |spec| spec.name = "complainer".to_owned());
    worker.send_file(program, b"x").unwrap_err();
    let lines = logged("complainer");
    assert_eq!(
        lines,
        [
            "INFO complainer: alice, message 7: first-complaint",
            "INFO complainer: alice, message 7: last\\u{1b}words",
            "WARN complainer: alice, message 7: exit status 3; \
             standard error ends: first-complaint | last\\u{1b}words",
        ]
    );
}

#[test]
fn a_child_that_complains_without_end_is_neither_stopped_nor_logged_without_end() {
    keep_log();
    let mut worker = Loop::new();
    let line = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done; cat";
    let program = worker.process_with(line, |spec| spec.name = "flood".to_owned());
    let message = octets(500_000);
    assert_eq!(worker.feed(program, &message, 10_000).unwrap(), message);
    let lines = logged("flood");
    assert_eq!(lines.len(), 65);
    assert_eq!(lines[64], format!("INFO flood: {} more octets of standard error", (3000 - 64) * 40));
}

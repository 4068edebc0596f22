//! Messages through real programs.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod chains;
mod driver;
mod endings;
mod registry;
mod surroundings;
mod time;

use driver::{Loop, octets};
use pop3d_core::transform::Error;

fn text(result: Result<Vec<u8>, Error>) -> String {
    String::from_utf8(result.unwrap()).unwrap()
}

#[test]
fn a_message_passes_cat_unchanged() {
    let mut worker = Loop::new();
    let cat = worker.process("cat");
    for size in [0, 1, 4095, 65_535, 65_536, 65_537, 3_000_000] {
        let message = octets(size);
        assert!(worker.send_file(cat.clone(), &message).unwrap() == message, "{size} octets as a file");
        assert!(worker.feed(cat.clone(), &message, 10_000).unwrap() == message, "{size} octets fed");
    }
    worker.wait_for_children();
    assert_eq!(worker.registered(), 0);
    let statistics = cat.statistics();
    assert_eq!(
        (statistics.messages, statistics.failed, statistics.running, statistics.queued),
        (14, 0, 0, 0)
    );
    assert_eq!(statistics.bytes_in, statistics.bytes_out);
    assert_eq!(statistics.bytes_in, 2 * (1 + 4095 + 3 * 65_536 + 3_000_000));
}

#[test]
fn a_message_fed_octet_by_octet_arrives_whole() {
    let mut worker = Loop::new();
    let message = octets(3000);
    let cat = worker.process("cat");
    assert_eq!(worker.feed(cat, &message, 1).unwrap(), message);
}

#[test]
fn output_in_pieces_of_one_octet_arrives_whole() {
    let mut worker = Loop::new();
    let dd = worker.process_with("dd bs=1 2>/dev/null", |_| {});
    let message = octets(3000);
    assert_eq!(worker.send_file(dd, &message).unwrap(), message);
}

#[test]
fn a_plain_command_and_a_shell_line_both_run() {
    let mut worker = Loop::new();
    let plain = worker.process("tr a-z A-Z");
    assert_eq!(text(worker.send_file(plain, b"Hello\n")), "HELLO\n");
    let shell = worker.process("tr a-z A-Z | sed 's/$/!/'; echo $((1 + 2))");
    assert_eq!(text(worker.send_file(shell, b"Hello\n")), "HELLO!\n3\n");
}

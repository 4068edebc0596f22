//! Several programs one after another.

use std::sync::Arc;

use pop3d_core::transform::{Chain, Error, Transform};
use pop3d_transforms::process::Process;
use pop3d_transforms::spec::ProcessSpec;
use proptest::prelude::*;

use super::driver::{Input, Loop, message, octets};
use super::text;

pub(super) fn chain(links: impl IntoIterator<Item = Arc<Process>>) -> Arc<Chain> {
    Arc::new(Chain::new(links.into_iter().map(|link| link as Arc<dyn Transform>).collect()))
}

#[test]
fn a_message_passes_a_chain_of_three_programs() {
    let mut worker = Loop::new();
    let three = chain([worker.process("cat"), worker.process("tr a-m n-z"), worker.process("tr n-z a-m")]);
    let plain = octets(1_000_000);
    let expected: Vec<_> = plain
        .iter()
        .map(|octet| if octet.is_ascii_lowercase() && *octet > b'm' { octet - 13 } else { *octet })
        .collect();
    assert!(worker.send_file(three.clone(), &plain).unwrap() == expected);
    assert!(worker.feed(three, &plain, 7777).unwrap() == expected);
    worker.wait_for_children();
    assert_eq!(worker.registered(), 0);
}

#[test]
fn a_later_program_that_ends_early_leaves_those_before_to_say_how_they_end() {
    let mut worker = Loop::new();
    let long = b"y\n".repeat(500_000);
    let (first, head) = (worker.process("cat"), worker.process("head -n 2"));
    let three = chain([first.clone(), head.clone(), worker.process("cat")]);
    assert_eq!(text(worker.send_file(three, &long)), "y\ny\n");
    worker.wait_for_children();
    assert_eq!((first.statistics().failed, first.statistics().bytes_out), (0, long.len() as u64));
    let refuses = chain([worker.process("cat; exit 78"), head.clone()]);
    assert!(matches!(worker.send_file(refuses, &long), Err(Error::Permanent(_))));
    // One that never ends is ended by its own bounds, and not by that nobody listens.
    let endless = chain([worker.process("yes"), head]);
    assert!(matches!(worker.send_file(endless, b"x"), Err(Error::Limit(_))));
    worker.wait_for_children();
}

#[test]
fn a_failure_in_a_chain_names_its_link_and_the_rest_of_the_chain_can_do_without() {
    let mut worker = Loop::new();
    let three =
        chain([worker.process("cat"), worker.process("head -c 3; exit 3"), worker.process("tr a-z A-Z")]);
    let mut deliveries = [worker.open(three.clone(), message(5), Input::file(b"hello"))];
    worker.run(&mut deliveries, |deliveries| deliveries[0].outcome.is_some());
    let [delivery] = deliveries;
    assert!(matches!(delivery.outcome, Some(Err(Error::Crashed(_)))));
    assert_eq!(delivery.failed_link, 1);
    let two = Arc::new(three.without(1).unwrap());
    assert_eq!(text(worker.send_file(two, b"hello")), "HELLO");
}

#[test]
fn messages_that_wait_for_places_in_the_same_programs_do_not_wait_for_each_other() {
    let mut worker = Loop::new();
    let narrow = |spec: &mut ProcessSpec| spec.max_running = 1;
    let (one, two) = (worker.process_with("cat", narrow), worker.process_with("cat", narrow));
    let (there, back) = (chain([one.clone(), two.clone()]), chain([two, one]));
    let mut deliveries: Vec<_> = (0..20)
        .map(|index| {
            let chain = if index % 2 == 0 { there.clone() } else { back.clone() };
            worker.open(chain, message(1), Input::file(b"x"))
        })
        .collect();
    worker.run(&mut deliveries, |deliveries| deliveries.iter().all(|delivery| delivery.outcome.is_some()));
    assert!(deliveries.iter().all(|delivery| delivery.output == b"x"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_in_any_pieces_pass_any_number_of_programs(
        message in prop::collection::vec(any::<u8>(), 0..200_000),
        piece in 1..100_000_usize,
        links in 1..4_usize,
    ) {
        let mut worker = Loop::new();
        let piece = piece.max(message.len() / 1000);
        let chain = chain((0..links).map(|_| worker.process("cat")));
        prop_assert!(worker.feed(chain.clone(), &message, piece).unwrap() == message);
        prop_assert!(worker.send_file(chain, &message).unwrap() == message);
    }
}

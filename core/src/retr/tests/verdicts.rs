//! What a transform says of a message holds also where nobody wants more of its output.

use super::*;

/// Wants and gives so many octets, as a later link of a chain.
fn head(octets: usize) -> Copier {
    Copier { passes_from: Some(octets), ..COPIER }
}

#[test]
fn a_link_that_fails_behind_the_end_of_a_later_one_refuses_the_message_or_is_passed_by() {
    let message = lines(HOLD / 2);
    let fails = Copier { fails_at: Some(400), ..COPIER };
    assert_eq!(fetch(source(&message), vec![fails.clone(), head(82)], Part::Whole), Seen::Refused);
    let passes = Copier { on_error: OnError::Pass, ..fails };
    let links = vec![passes, head(82), COPIER];
    let Seen::Whole { response, .. } = fetch(source(&message), links, Part::Whole) else { panic!("a cut") };
    assert_eq!(response, expected(&message[..82]));
    assert_eq!(PASSED.get(), 1);
}

#[test]
fn top_of_what_spools_waits_for_the_verdict() {
    let message = [b"Subject: x\n\n".as_slice(), &lines(3 * HOLD)].concat();
    let spools = Copier { spool: true, ..COPIER };
    for lines in [0, 1, 50, 73, 74, 1000] {
        let part = Part::Top { lines };
        let plain = fetch(source(&message), vec![], part);
        let Seen::Whole { response: plain, .. } = plain else { panic!("{lines}: {plain:?}") };
        for links in [vec![spools.clone()], vec![spools.clone(), COPIER]] {
            let seen = fetch(source(&message), links, part);
            assert!(matches!(seen, Seen::Whole { response, .. } if response == plain), "{lines} lines");
        }
        let fails = Copier { fails_at: Some(message.len()), ..spools.clone() };
        assert_eq!(fetch(source(&message), vec![fails], part), Seen::Refused, "{lines} lines");
    }
    // Without a spool it ends with its lines.
    let fails = Copier { fails_at: Some(message.len()), ..COPIER };
    let seen = fetch(source(&message), vec![fails], Part::Top { lines: 1 });
    assert!(matches!(seen, Seen::Whole { .. }), "{seen:?}");
}

#[test]
fn ok_is_not_said_before_a_chain_has_given_something_where_nothing_is_held() {
    for octets in [0, 1, HOLD] {
        let message = lines(octets);
        let mut scratch = vec![0; SCRATCH_SIZE];
        let open = |fails_at, scratch: &mut [u8]| {
            let copier = Copier { fails_at, ..COPIER };
            let opening = start_holding(0, source(&message), vec![copier], Part::Whole);
            let Ok(Ok(opening)) = opening else { panic!("it begins") };
            let mut opening = Box::new(opening);
            loop {
                match opening.step(scratch) {
                    (Step::Pending | Step::Unfinished, Some(same)) => opening = same,
                    (step, _) => return step,
                }
            }
        };
        assert!(matches!(open(Some(0), &mut scratch), Step::Refused(..)), "{octets} octets");
        let Step::Open(cursor, announced) = open(None, &mut scratch) else { panic!("{octets} octets") };
        let response = expected(&message);
        assert_eq!(drain(cursor, announced, &mut scratch), Seen::Whole { announced, response });
    }
}

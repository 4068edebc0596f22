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

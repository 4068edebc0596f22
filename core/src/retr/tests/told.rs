//! Messages that have other octets than were told of them.

use super::*;

/// Whether a message was as told, once it is in the buffer as a whole.
fn is_as_told(mut cursor: RetrCursor) -> bool {
    let (mut outbound, mut scratch) = (Outbound::default(), vec![0; SCRATCH_SIZE]);
    while !matches!(cursor.fill(&mut outbound, &mut Spare::default(), &mut scratch), Ok(Fill::Finished)) {
        outbound.write_to(&mut Client::default()).unwrap();
    }
    cursor.is_as_told()
}

#[test]
fn a_whole_message_that_no_transform_changed_is_as_told_or_not() {
    for message in [&b".a\n.b\r\n\n"[..], b"a\nb", b".", b"", &b".\n..\nabc\r\n".repeat(30_000)] {
        let wrong = |by: u64| {
            let source = source(message);
            Source { octets: source.octets.map(|octets| Octets(octets.0 + by)), wire_clean: false, ..source }
        };
        assert!(is_as_told(RetrCursor::stored(wrong(0), Part::Whole)));
        assert!(!is_as_told(RetrCursor::stored(wrong(1), Part::Whole)));
        assert!(is_as_told(RetrCursor::stored(wrong(1), Part::Top { lines: 9 })));
        assert!(is_as_told(RetrCursor::stored(Source { octets: None, ..wrong(0) }, Part::Whole)));
        let held = RetrCursor::held(wrong(1), b"other\n".to_vec(), None, None, None);
        assert!(is_as_told(held), "nothing was told of the file");
    }
}

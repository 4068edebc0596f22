//! Messages that go from the file to the socket without passing through here.

use super::*;
use crate::transport::tests::Script;

/// What a client of 10,001 octets a write hears of a message of which a file is sent; before each write something
/// happens to the file. Or the error that ends it.
fn sendfile(message: &[u8], mut happens: impl FnMut(&File, u32)) -> Result<Vec<u8>, io::ErrorKind> {
    let clean = source(message);
    assert!(clean.wire_clean);
    let file = clean.file.try_clone().unwrap();
    let announced = clean.octets;
    let script = Script { piece: 10_001, ..Script::default() };
    let heard = Arc::clone(&script.heard);
    let mut transport = Transport::Scripted(script);
    let mut cursor = RetrCursor::stored(clean, Part::Whole);
    assert!(cursor.sends_file());
    let mut sent = 0;
    while cursor.sends_file() {
        happens(&file, sent);
        sent += 1;
        match cursor.send_file(&mut transport, 100_000) {
            // Less than it was asked for.
            Ok(count) => assert!(count <= 10_001),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.kind()),
        }
    }
    let mut octets = std::mem::take(&mut heard.lock().unwrap().octets);
    match drain(cursor, announced, &mut vec![0; SCRATCH_SIZE]) {
        Seen::Whole { response, .. } => octets.extend(response),
        other => panic!("{other:?}"),
    }
    Ok(octets)
}

#[test]
fn a_sendfile_that_sends_less_goes_on_where_it_stopped() {
    let message = b"Subject: x\r\n\r\nbody\r\n".repeat(30_000);
    let whole = [message.as_slice(), b".\r\n"].concat();
    assert!(sendfile(&message, |_, _| ()) == Ok(whole));
}

#[test]
fn a_file_that_becomes_shorter_while_it_is_sent_by_the_kernel_is_a_cut() {
    let message = b"Subject: x\r\n\r\nbody\r\n".repeat(30_000);
    for at in [0, 1, 7] {
        let shorter = |file: &File, sent| {
            if sent == at {
                file.set_len(5).unwrap();
            }
        };
        assert_eq!(sendfile(&message, shorter), Err(io::ErrorKind::UnexpectedEof), "at {at}");
    }
}

#[test]
fn what_is_added_to_a_file_while_it_is_sent_is_no_part_of_the_message() {
    let message = b"Subject: x\r\n\r\nbody\r\n".repeat(30_000);
    let whole = [message.as_slice(), b".\r\n"].concat();
    let grows = |mut file: &File, _| file.write_all(b"more\r\n").unwrap();
    assert!(sendfile(&message, grows) == Ok(whole));
    // The same where it is read: as it stands, through the encoder, through a transform.
    for (message, links) in
        [(expected_text(&lines(5_000)), vec![]), (lines(5_000), vec![]), (lines(5_000), vec![COPIER])]
    {
        let mut grown = source(&message);
        grown.file.write_all(b"more\r\n").unwrap();
        match fetch(grown, links, Part::Whole) {
            Seen::Whole { response, .. } => assert!(response == expected(&message)),
            other => panic!("{other:?}"),
        }
    }
}

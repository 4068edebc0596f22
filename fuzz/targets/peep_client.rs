//! The client's half of PEEP: whatever a server sends, in any cutting, is a reply or no PEEP; nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_protocol::peep::{COMMANDS, Client, Failure, Reply, ReplyError, Request};

fuzz_target!(|input: (&[u8], u8, &[u8])| {
    let (rows, size, octets) = input;
    let whole = converse(rows, octets, octets.len().max(1));
    assert!(whole == converse(rows, octets, usize::from(size) + 1));
    let heard: usize = whole.0.iter().map(octets_of).sum();
    assert!(heard <= 3 * octets.len(), "more is kept than came");
});

type Heard = (Vec<Result<Reply, Failure>>, Option<ReplyError>);

/// What is heard when the octets come in pieces of that size.
fn converse(rows: &[u8], octets: &[u8], size: usize) -> Heard {
    let mut client = Client::new();
    for &row in rows.iter().take(32) {
        let form = COMMANDS[usize::from(row) % COMMANDS.len()];
        let arguments = [&b"a:b"[..], b"c"];
        client.ask(&Request::new(form.commencement, &arguments).expect("the arguments have their form"));
    }
    let mut heard = Vec::new();
    for piece in octets.chunks(size) {
        let result = client.handle_input(piece);
        heard.extend(std::iter::from_fn(|| client.poll_reply()));
        if let Err(error) = result {
            return (heard, Some(error));
        }
    }
    (heard, None)
}

fn octets_of(reply: &Result<Reply, Failure>) -> usize {
    match reply {
        Ok(Reply::Text(text)) => text.len(),
        Ok(Reply::Lines(lines)) => lines.iter().map(String::len).sum(),
        Ok(Reply::Done | Reply::Integer(_)) | Err(_) => 0,
    }
}

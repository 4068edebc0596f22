//! The body of a multi-line response: any chunks and any rooms give what a slow twin writes, and `Measure` counts it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_protocol::multiline::{Measure, MultiLine};

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (message, cuts) = input;
    let mut cuts = cuts.iter().copied().cycle();
    let mut cut = || cuts.next().map_or(usize::MAX, usize::from);
    let (mut encoder, mut measure, mut sent) = (MultiLine::default(), Measure::default(), Vec::new());
    let mut rest = message.as_slice();
    while !rest.is_empty() {
        let chunk = &rest[..cut().saturating_add(1).min(rest.len())];
        let mut room = vec![0; cut().min(300)];
        let progress = encoder.encode(chunk, &mut room);
        if room.len() > 2 {
            assert!(progress.consumed > 0 || progress.produced > 0, "there was room, and nothing moved");
        }
        sent.extend_from_slice(&room[..progress.produced]);
        measure.update(&chunk[..progress.consumed]);
        rest = &rest[progress.consumed..];
        if room.is_empty() {
            // A room of no octets is no progress; the next one must be more.
            let mut room = [0; 16];
            let progress = encoder.encode(rest, &mut room);
            sent.extend_from_slice(&room[..progress.produced]);
            measure.update(&rest[..progress.consumed]);
            rest = &rest[progress.consumed..];
        }
    }
    while !encoder.is_finished() {
        let mut room = [0; 2];
        let count = encoder.finish(&mut room);
        sent.extend_from_slice(&room[..count]);
    }
    let (body, stuffed) = twin(&message);
    assert_eq!(sent, [stuffed.as_slice(), b".\r\n"].concat());
    assert_eq!(measure.octets().0, body.len() as u64);
    assert_eq!(encoder.octets(), measure.octets());
    assert_eq!(measure.is_wire_clean(), stuffed == message);
});

/// The lines as sent: without byte-stuffing, and with it.
fn twin(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut body, mut stuffed) = (Vec::new(), Vec::new());
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        if line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        for sent in [&mut body, &mut stuffed] {
            sent.extend_from_slice(line);
            sent.extend_from_slice(b"\r\n");
        }
    }
    (body, stuffed)
}

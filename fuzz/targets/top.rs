//! TOP: any chunks give the header, the empty line and the lines of the body that a slow twin counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_protocol::top::TopLimit;

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u8)| {
    let (message, cuts, lines) = input;
    let mut cuts = cuts.iter().copied().cycle();
    let (mut top, mut admitted, mut rest) = (TopLimit::new(lines.into()), 0, message.as_slice());
    while !rest.is_empty() && !top.is_reached() {
        let length = cuts.next().map_or(rest.len(), |cut| (usize::from(cut) + 1).min(rest.len()));
        let count = top.admit(&rest[..length]);
        assert!(count == length || top.is_reached());
        admitted += count;
        rest = &rest[count..];
    }
    assert_eq!(admitted, twin(&message, lines.into()));
    assert_eq!(top.admit(b"more"), if top.is_reached() { 0 } else { 4 });
});

fn twin(message: &[u8], lines: usize) -> usize {
    let (mut length, mut left) = (0, None);
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        match &mut left {
            Some(0) => break,
            Some(left) => *left -= 1,
            None if line == b"\n" || line == b"\r\n" => left = Some(lines),
            None => {}
        }
        length += line.len();
    }
    length
}

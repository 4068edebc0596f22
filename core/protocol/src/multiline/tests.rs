//! The encoder and the measure against slow, obvious twins, and the cases that other servers get wrong.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Encodes a message cut into chunks, with rooms of the given sizes, each as often as they come round.
fn encode(message: &[u8], chunks: &[usize], rooms: &[usize]) -> Vec<u8> {
    let mut encoder = MultiLine::default();
    let mut sent = Vec::new();
    let mut rooms = rooms.iter().copied().cycle();
    let mut rest = message;
    for &chunk in chunks.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut chunk, after) = rest.split_at(chunk.min(rest.len()));
        rest = after;
        while !chunk.is_empty() {
            let mut room = vec![0; rooms.next().unwrap()];
            let progress = encoder.encode(chunk, &mut room);
            assert!(room.is_empty() || progress.produced > 0, "room for one octet makes progress");
            sent.extend_from_slice(&room[..progress.produced]);
            chunk = &chunk[progress.consumed..];
        }
    }
    while !encoder.is_finished() {
        let mut room = vec![0; rooms.next().unwrap()];
        let produced = encoder.finish(&mut room);
        sent.extend_from_slice(&room[..produced]);
    }
    assert_eq!(encoder.finish(&mut [0; 8]), 0, "a finished response has nothing more");
    assert_eq!(encoder.octets(), Octets(octets_twin(message)));
    sent
}

fn encode_whole(message: &[u8]) -> Vec<u8> {
    encode(message, &[usize::MAX], &[2 * message.len() + 8])
}

fn measure(message: &[u8], chunks: &[usize]) -> Measure {
    let mut measure = Measure::default();
    let mut rest = message;
    for &chunk in chunks.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(chunk.min(rest.len()));
        measure.update(chunk);
        rest = after;
    }
    measure
}

/// The lines of a message, each without its line end; the last may lack one.
fn lines(message: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        lines.push(match line.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line).to_vec(),
            None => line.to_vec(),
        });
    }
    lines
}

/// The slow, obvious twin of the encoder.
fn encoded_twin(message: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    for line in lines(message) {
        if line.first() == Some(&b'.') {
            sent.push(b'.');
        }
        sent.extend_from_slice(&line);
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b".\r\n");
    sent
}

/// The slow, obvious twin of the measure.
fn octets_twin(message: &[u8]) -> u64 {
    lines(message).iter().map(|line| line.len() as u64 + 2).sum()
}

#[test]
fn an_empty_message_is_only_the_termination_octet() {
    assert_eq!(encode_whole(b""), b".\r\n");
    assert_eq!(measure(b"", &[1]).octets(), Octets(0));
    assert!(measure(b"", &[1]).is_wire_clean());
}

#[test]
fn the_first_octet_of_a_message_is_stuffed_when_it_is_a_dot() {
    assert_eq!(encode_whole(b".\r\n+OK\r\n"), b"..\r\n+OK\r\n.\r\n");
    assert_eq!(encode_whole(b"."), b"..\r\n.\r\n");
}

#[test]
fn line_ends_become_crlf_and_crlf_stays() {
    assert_eq!(encode_whole(b"a\nb\r\nc\n"), b"a\r\nb\r\nc\r\n.\r\n");
    assert_eq!(encode_whole(b"\n\n"), b"\r\n\r\n.\r\n");
}

#[test]
fn a_dot_after_any_line_end_is_doubled_and_no_other() {
    assert_eq!(encode_whole(b"a\n.b.c\r\n..\n\n."), b"a\r\n..b.c\r\n...\r\n\r\n..\r\n.\r\n");
}

#[test]
fn a_lone_cr_is_no_line_end() {
    assert_eq!(encode_whole(b"a\rb\r.c\r\r\n"), b"a\rb\r.c\r\r\n.\r\n");
    assert_eq!(encode_whole(b"abc\r"), b"abc\r\r\n.\r\n");
}

#[test]
fn nul_and_8_bit_octets_pass() {
    let every: Vec<u8> = (0..=255).filter(|octet| *octet != b'\n').collect();
    let mut expected = every.clone();
    expected.extend(b"\r\n.\r\n");
    assert_eq!(encode_whole(&every), expected);
}

#[test]
fn a_line_end_cut_between_cr_and_lf_is_one_line_end() {
    assert_eq!(encode(b"a\r\n.b\r\n", &[2, 1], &[64]), b"a\r\n..b\r\n.\r\n");
}

#[test]
fn without_room_nothing_happens() {
    let mut encoder = MultiLine::default();
    assert_eq!(encoder.encode(b".a", &mut []), Progress::default());
    assert_eq!(encoder.finish(&mut []), 0);
}

#[test]
fn what_went_out_as_it_stands_needs_only_the_termination_octet() {
    let mut encoder = MultiLine::after_wire_clean();
    let mut room = [0; 8];
    assert_eq!(encoder.finish(&mut room), 3);
    assert_eq!(&room[..3], b".\r\n");
    assert!(encoder.is_finished());
}

#[test]
fn only_crlf_lines_without_leading_dot_are_wire_clean() {
    for clean in [&b"a\r\n"[..], b"\r\n\r\n", b"a\rb.\r\n", b"\r\r\n"] {
        assert!(measure(clean, &[1]).is_wire_clean(), "{clean:?}");
        assert!(measure(clean, &[100]).is_wire_clean(), "{clean:?}");
    }
    for other in [&b"a"[..], b"a\n", b"\n", b".\r\n", b"a\r\n.\r\n", b"a\r\nb\n", b"a\r", b"a\r\nb"] {
        assert!(!measure(other, &[1]).is_wire_clean(), "{other:?}");
        assert!(!measure(other, &[100]).is_wire_clean(), "{other:?}");
    }
}

#[test]
fn lines_of_every_length_go_out_whole_whatever_follows_them() {
    for length in 0..300 {
        for behind in [0, 1, 100, 200] {
            let line = vec![b'a'; length];
            let message = [&line[..], b"\n", &line, b"\r\n.", &line, b"\n", &vec![b'b'; behind]].concat();
            assert_eq!(encode_whole(&message), encoded_twin(&message), "{length} {behind}");
        }
    }
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        // All that matters at its densest.
        3 => prop::collection::vec(prop::sample::select(b"\r\n.a".to_vec()), 0..80),
        // Lines as mail has them.
        1 => prop::collection::vec(("[.a-z]{0,90}", prop::sample::select(vec!["\r\n", "\n", "\r", ""])), 0..12)
            .prop_map(|lines| lines.into_iter().flat_map(|(text, end)| [text.into_bytes(), end.as_bytes().to_vec()]).collect::<Vec<_>>().concat()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1_usize..6, 1_usize..100, 1_usize..500], 1..12)
}

/// Sizes of rooms: some are none at all, one is not, or nothing would ever be sent.
fn rooms() -> impl Strategy<Value = Vec<usize>> {
    (sizes(), prop::collection::vec(0_usize..3, 0..4)).prop_map(|(sizes, small)| [sizes, small].concat())
}

proptest! {
    #[test]
    fn every_cutting_and_any_room_give_what_the_twin_sends(message in messages(), chunks in sizes(), rooms in rooms()) {
        prop_assert_eq!(encode(&message, &chunks, &rooms), encoded_twin(&message));
    }

    #[test]
    fn the_measure_is_what_is_sent_without_stuffing_and_termination(message in messages(), chunks in sizes()) {
        let measure = measure(&message, &chunks);
        prop_assert_eq!(measure.octets(), Octets(octets_twin(&message)));
        // Wire-clean is: what is sent is what is stored, then the termination octet.
        let sent = encoded_twin(&message);
        prop_assert_eq!(measure.is_wire_clean(), sent.strip_suffix(b".\r\n") == Some(message.as_slice()));
    }
}

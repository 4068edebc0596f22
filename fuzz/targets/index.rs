//! The index file: whatever stands in it, reading never panics, and what it says can be asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_core::maildir::index::Index;
use pop3d_protocol::maildrop::Snapshot;
use pop3d_protocol::number::MessageNumber;

/// Length of a header, and of a record behind it.
const HEADER: usize = 120;
const RECORD: usize = 24;

fuzz_target!(|input: (Vec<u8>, u8, u8, u8)| {
    let (octets, count, retired, owner) = input;
    look(octets.clone());
    look(Index::sealed(octets.clone()));
    // Lengths that fit, so that the records are looked at.
    let mut octets = octets;
    let (count, retired, owner) = (usize::from(count), usize::from(retired), usize::from(owner));
    octets.resize(octets.len().max(HEADER + count * RECORD + retired + owner), 0);
    let strings = octets.len() - HEADER - count * RECORD - retired - owner;
    for (at, value) in [(24, count), (32, count % 2), (96, strings), (104, retired), (112, owner)] {
        octets[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
    }
    look(Index::sealed(octets));
});

fn look(octets: Vec<u8>) {
    let Ok(index) = Index::parse(octets) else { return };
    for number in (0..Snapshot::count(&index)).filter_map(MessageNumber::from_index) {
        let _ = index.octets(number);
        assert!((1..=70).contains(&index.unique_id(number).len()));
    }
}

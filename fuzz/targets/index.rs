//! The index file: whatever stands in it, reading never panics, and what it says can be asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_core::maildir::index::Index;
use pop3d_protocol::maildrop::Snapshot;
use pop3d_protocol::number::MessageNumber;

fuzz_target!(|octets: &[u8]| {
    let Ok(index) = Index::parse(octets.to_vec()) else { return };
    for number in (0..Snapshot::count(&index)).filter_map(MessageNumber::from_index) {
        let _ = index.octets(number);
        assert!((1..=70).contains(&index.unique_id(number).len()));
    }
});

//! Headers of the PROXY protocol: no octets make a panic, a header is no longer than what was sent, and what follows it, or
//! is missing, changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_core::proxied::{HEADER_MAX, Header};

fuzz_target!(|octets: &[u8]| {
    let header = Header::read(octets);
    match header {
        Header::Whole { length, .. } => {
            assert!(length <= octets.len() && length <= HEADER_MAX);
            assert_eq!(Header::read(&octets[..length]), header);
            for end in [0, length / 2, length - 1] {
                assert_eq!(Header::read(&octets[..end]), Header::Incomplete);
            }
        }
        Header::Incomplete => assert!(octets.len() < HEADER_MAX),
        Header::Garbage => {
            let more = [octets, b"\r\n"].concat();
            assert_eq!(Header::read(&more), Header::Garbage);
        }
    }
});

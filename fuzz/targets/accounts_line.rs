//! Lines of an accounts file, and the whole of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_core::accounts::file::parse_line;

fuzz_target!(|octets: &[u8]| {
    for line in octets.split(|&octet| octet == b'\n') {
        if let Ok(Some((user, _))) = parse_line(line) {
            assert!(!user.as_str().contains('/') && !user.as_str().starts_with('.'));
        }
    }
});

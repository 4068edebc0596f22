//! Lines of an accounts file, the secrets in them, and the whole of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_core::accounts::file::{Secret, parse_line};
use pop3d_core::accounts::{Accounts, Hashed};

fuzz_target!(|octets: &[u8]| {
    for line in octets.split(|&octet| octet == b'\n') {
        let Ok(Some(line)) = parse_line(line) else { continue };
        let user = line.user.as_str();
        assert!(!user.contains('/') && !user.starts_with('.'));
        if let Secret::Stored(stored) = line.secret
            && let Ok(hashed) = Hashed::parse(stored)
        {
            assert_eq!(Hashed::parse(hashed.stored().as_bytes()), Ok(hashed));
        }
    }
    let _ = Accounts::new(true).add_file(octets);
});

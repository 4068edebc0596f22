//! The configuration: an error is one line that names a place, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(said) = pop3d::config::check_text(text) {
        assert!(!said.is_empty());
    }
});

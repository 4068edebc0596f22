//! The command parser: never panics, and takes for a number only what is written in digits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d_protocol::number::MessageNumber;
use pop3d_protocol::pop3::command::Command;

fuzz_target!(|line: &[u8]| {
    let _ = Command::parse(line);
    if let Some(number) = MessageNumber::parse(line) {
        let digits = std::str::from_utf8(line).expect("digits are text").trim_start_matches('0');
        assert_eq!(number.to_string(), digits);
    }
});

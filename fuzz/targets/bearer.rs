//! What a client says by OAUTHBEARER and XOAUTH2, tokens, and files of keys.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pop3d_core::accounts::Presented;
use pop3d_core::accounts::token::TokenKeys;

/// The keys of the tests, of each kind.
fn keys() -> TokenKeys {
    let mut keys = empty();
    keys.add_public(include_bytes!("../../core/src/accounts/token/tests/set.json")).unwrap();
    keys.add_secret(b"nobody who makes inputs signs them").unwrap();
    keys
}

fn empty() -> TokenKeys {
    TokenKeys::new(vec!["https://id.example".into()], vec!["pop3".into()], "sub", Duration::from_secs(60))
}

fuzz_target!(|octets: &[u8]| {
    static KEYS: OnceLock<TokenKeys> = OnceLock::new();
    let keys = KEYS.get_or_init(keys);
    for presented in [Presented::parse(octets), Presented::parse_xoauth2(octets)].into_iter().flatten() {
        assert!(!presented.token.is_empty() && presented.token.bytes().all(|octet| octet.is_ascii_graphic()));
        let _ = keys.user(presented.token);
    }
    if let Ok(token) = str::from_utf8(octets) {
        // Of those that are signed there are the few of the tests alone, which are all of one user.
        assert!(keys.user(token).is_none_or(|user| user.as_str() == "user"));
    }
    let mut read = empty();
    if read.add_public(octets).is_ok() {
        assert!(!read.is_empty());
        let _ = read.user(include_str!("../../core/src/accounts/token/tests/rsa.jwt").trim_end());
    }
});

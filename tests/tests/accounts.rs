//! Accounts of other servers and other programs, in the running server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use pop3d_tests::{Client, Mail, Options, Server, wait_until};

/// Of "secret", by crypt(3).
const WEAK: &str = "{CRYPT}$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";

/// What a login hears.
fn login(server: &Server, user: &str, password: &str) -> String {
    let mut client = Client::connect(server.address());
    client.says(&format!("USER {user}")).hears("+OK");
    let reply = client.says(&format!("PASS {password}")).line();
    // Its maildrop is free again once this is answered.
    client.says("QUIT").hears("");
    reply
}

#[test]
fn a_weak_hash_of_the_state_folder_is_made_anew_at_login_where_that_is_wanted() {
    let mail = Mail::default();
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("accounts");
    fs::write(&file, format!("ann:{WEAK}\nbob:{WEAK}\n# end\n")).unwrap();
    let kept = || fs::read_to_string(&file).unwrap();
    let start =
        |config| Server::with(&mail, &Options { config, state: Some(state.path()), ..Options::default() });
    {
        let server = start("");
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        assert!(!kept().contains("{ARGON2ID}"));
    }
    {
        let server = start("rehash = true\n[limits]\nfailed_login_delay = 0\n");
        assert!(login(&server, "ann", "wrong").starts_with("-ERR [AUTH]"));
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        wait_until("the hash is made anew", || kept().contains("ann:{ARGON2ID}$argon2id$"));
        assert!(kept().contains("bob:{SHA512-CRYPT}$6$"), "{}", kept());
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        assert!(!server.log().contains("secret"), "{}", server.log());
        // By AUTH too.
        let mut client = Client::connect(server.address());
        client.says("AUTH PLAIN AGJvYgBzZWNyZXQ=").hears("+OK");
        wait_until("the other is too", || kept().contains("bob:{ARGON2ID}$argon2id$"));
    }
    let server = start("");
    assert!(login(&server, "ann", "secret").starts_with("+OK"));
    assert!(login(&server, "bob", "secret").starts_with("+OK"));
    assert!(login(&server, "bob", "wrong").starts_with("-ERR [AUTH]"));
}

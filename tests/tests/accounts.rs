//! Accounts of other servers and other programs, in the running server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pop3d_tests::{Client, Mail, Options, Server, checked, processes_with, wait_until};
use rustix::process::Signal;

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

/// Reads the three parts of checkpassword's message, and lets in ann and "user" with "se cret". "down" is a problem,
/// "stuck" takes for ever. Each call leaves a line with the name.
const CHECKS: &str = "#!/bin/sh
read=$(tr '\\000' '\\n' <&3)
name=$(printf '%s\\n' \"$read\" | sed -n 1p)
pass=$(printf '%s\\n' \"$read\" | sed -n 2p)
printf '%s\\n' \"$name\" >> \"$0.asked\"
case $name in down) exit 111;; stuck) sleep 1000;; esac
{ [ \"$name\" = ann ] || [ \"$name\" = user ]; } && [ \"$pass\" = 'se cret' ] || exit 1
exec \"$@\"
";

#[test]
fn users_without_an_account_are_asked_for_by_checkpassword() {
    let mail = Mail::default();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check");
    fs::write(&script, CHECKS).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "checkpassword = \"{} /bin/true\"\ncheckpassword_timeout = \"2s\"\n[limits]\nfailed_login_delay = 0\n",
        script.display()
    );
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let asked = |name: &str| {
        let text = fs::read_to_string(folder.path().join("check.asked")).unwrap_or_default();
        text.lines().filter(|line| *line == name).count()
    };
    assert!(login(&server, "ann", "wrong").starts_with("-ERR [AUTH] wrong user name or password"));
    assert!(login(&server, "nobody", "se cret").starts_with("-ERR [AUTH] wrong user name or password"));
    assert!(login(&server, "ann", "se cret").starts_with("+OK"));
    assert_eq!((asked("ann"), asked("nobody")), (2, 1));
    // It is remembered; another password is not.
    assert!(login(&server, "ann", "se cret").starts_with("+OK"));
    assert_eq!(asked("ann"), 2);
    assert!(login(&server, "ann", "wrong").starts_with("-ERR [AUTH]"));
    assert_eq!(asked("ann"), 3);
    // By AUTH too: "\0ann\0se cret", "\0ann\0x".
    let mut client = Client::connect(server.address());
    client.says("AUTH PLAIN AGFubgB4").hears("-ERR [AUTH]");
    client.says("AUTH PLAIN AGFubgBzZSBjcmV0").hears("+OK");
    client.says("QUIT").hears("+OK");
    // An account of the server alone decides.
    assert!(login(&server, "user", "se cret").starts_with("-ERR [AUTH]"));
    assert!(login(&server, "user", "pass").starts_with("+OK"));
    assert_eq!(asked("user"), 0);
    // What may pass is told apart from a wrong password.
    assert!(login(&server, "down", "x").starts_with("-ERR [SYS/TEMP]"));
    assert!(login(&server, "stuck", "x").starts_with("-ERR [SYS/TEMP]"));
    wait_until("what was stuck is gone", || server.children() == 0);
    let log = server.log();
    assert!(log.contains("user down") && log.contains("status 111") && log.contains("was killed"), "{log}");
    assert!(!log.contains("se cret"), "{log}");
}

#[test]
fn a_checkpassword_that_hangs_holds_up_no_account_and_ends_with_the_server() {
    let mail = Mail::default();
    // Tells these from those of other tests.
    let mark = format!("1000.{}", std::process::id());
    let config = format!("checkpassword = [\"/bin/sleep\", \"{mark}\"]\ncheckpassword_timeout = \"1m\"\n");
    let mut server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut waiting: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.says(&format!("USER x{number}")).hears("+OK");
        client.says("PASS x");
    }
    wait_until("programs run", || server.children() > 0);
    assert!(login(&server, "user", "pass").starts_with("+OK"));
    assert!(login(&server, "user", "wrong").starts_with("-ERR [AUTH]"));
    assert!(server.children() <= 8);
    server.signal(Signal::TERM);
    wait_until("it stops", || server.log().contains("stopping"));
    // It may have ended already.
    server.signal(Signal::TERM);
    let _ = server.wait();
    wait_until("its programs are gone", || processes_with(&mark).is_empty());
}

#[test]
fn a_checkpassword_that_cannot_be_is_named_at_its_place() {
    let mail = Mail::default();
    for (config, named) in [
        ("checkpassword = \"\"", ":1:17: no program is named"),
        ("checkpassword = []", ":1:17: no program is named"),
        ("checkpassword = 7", ":1:17: expected a program"),
        ("checkpassword_timeout = \"2m\"", "at most 1m"),
    ] {
        let (status, said) = checked(&mail, config);
        assert!(status.code() == Some(78) && said.contains(named), "{said}");
    }
}

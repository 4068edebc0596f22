//! `pop3d passwd`: what becomes of an accounts file, and what is said and left alone where something is wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder with an accounts file.
struct House {
    folder: TempDir,
    file: PathBuf,
}

impl House {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        Self { folder, file }
    }

    /// The status, and what was said, by `pop3d passwd` with a password on its standard input.
    fn passwd(&self, arguments: &[&str], password: &[u8]) -> (i32, String) {
        run(&[&["-f", self.file.to_str().unwrap()], arguments].concat(), password)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// Nothing else lies about.
    fn is_tidy(&self) -> bool {
        fs::read_dir(self.folder.path()).unwrap().count() == 1
    }
}

fn run(arguments: &[&str], password: &[u8]) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pop3d"))
        .arg("passwd")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(password);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn an_account_is_added_changed_checked_and_removed() {
    let house = House::new("# ours\nbob:{PLAIN}x:1:1::/home/bob::nodelete\n");
    let (status, said) = house.passwd(&["ann", "--stdin"], b"tanstaaf\n");
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("ann added to") && said.contains("SIGHUP") && !said.contains("tanstaaf"), "{said}");
    assert!(
        house.text().starts_with("# ours\nbob:{PLAIN}x:1:1::/home/bob::nodelete\nann:{ARGON2ID}$argon2id$")
    );
    assert_eq!(house.passwd(&["ann", "--stdin", "--verify"], b"tanstaaf").0, 0);
    assert_eq!(house.passwd(&["ann", "--stdin", "--verify"], b"tanstaaf\r\nmore").0, 0);
    let (status, said) = house.passwd(&["ann", "--stdin", "--verify"], b"tanstaa\n");
    assert!(status == 1 && said.contains("is another"), "{said}");

    let (status, said) = house.passwd(&["bob", "--stdin", "--scheme", "SCRAM-SHA-256"], b"other\n");
    assert!(status == 0 && said.contains("another password"), "{said}");
    let line = house.text().lines().nth(1).unwrap().to_owned();
    assert!(
        line.starts_with("bob:{SCRAM-SHA-256}4096,") && line.ends_with(":1:1::/home/bob::nodelete"),
        "{line}"
    );
    assert_eq!(house.passwd(&["bob", "--stdin", "--verify"], b"other").0, 0);
    assert_eq!(house.passwd(&["bob", "--stdin", "--verify"], b"x").0, 1);

    assert_eq!(house.passwd(&["ann", "--remove"], b"").0, 0);
    assert_eq!(house.text(), format!("# ours\n{line}\n"));
    let mode = fs::metadata(&house.file).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o640);
    assert!(house.is_tidy());
}

#[test]
fn an_app_password_is_set_and_taken_back() {
    let house = House::new("ann:{PLAIN}x\n");
    let (status, said) = house.passwd(&["ann", "--stdin", "--app", "phone"], b"secret\n");
    assert!(status == 0 && said.contains("app password phone of ann set"), "{said}");
    assert!(house.text().starts_with("ann:{PLAIN}x::::::app.phone={ARGON2ID}$argon2id$"), "{}", house.text());
    assert_eq!(house.passwd(&["ann", "--stdin", "--verify"], b"secret").0, 0);
    assert_eq!(house.passwd(&["ann", "--stdin", "--verify"], b"x").0, 0);
    assert_eq!(house.passwd(&["ann", "--remove", "--app", "tv"], b"").0, 67);
    assert_eq!(house.passwd(&["bob", "--stdin", "--app", "tv"], b"x").0, 67);
    assert_eq!(house.passwd(&["ann", "--stdin", "--app", "a.b"], b"x").0, 64);
    assert_eq!(house.passwd(&["ann", "--remove", "--app", "phone"], b"").0, 0);
    assert_eq!(house.text(), "ann:{PLAIN}x::::::\n");
    assert_eq!(house.passwd(&["ann", "--stdin", "--verify"], b"secret").0, 1);
}

#[test]
fn a_file_is_made_for_its_owner_only_and_one_behind_a_link_is_the_one_that_is_changed() {
    let house = House::new("");
    let file = house.folder.path().join("new");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(run(&["-f", &text(&file), "ann", "--stdin"], b"x\n").0, 0);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let link = house.folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let config = house.folder.path().join("pop3d.toml");
    fs::write(&config, format!("accounts = \"{}\"\n", text(&link))).unwrap();
    assert_eq!(run(&["-c", &text(&config), "bob", "--stdin"], b"y\n").0, 0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&file).unwrap().contains("\nbob:{ARGON2ID}"));
}

#[test]
fn what_holds_in_place_of_the_accounts_file_is_told() {
    let house = House::new("ann:{PLAIN}x\nbob:{PLAIN}x\ncarl:{PLAIN}x\ndora:{PLAIN}x\n");
    let (config, state) = (house.folder.path().join("pop3d.toml"), house.folder.path().join("state"));
    let text = format!("accounts = {:?}\nstate = {state:?}\n[users]\nann = \"y\"\n", house.file);
    fs::write(&config, text).unwrap();
    fs::create_dir(&state).unwrap();
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let kept = format!("bob:{{ARGON2ID}}{hash}\ncarl:{{REMOVED}}\n# end\n");
    fs::write(state.join("accounts"), kept).unwrap();
    for (user, warning) in [
        ("ann", "ann stands in [users] of "),
        ("bob", "PEEP has set another password of bob"),
        ("carl", "PEEP has removed carl"),
        ("dora", ""),
    ] {
        for further in [&[][..], &["--verify"]] {
            let arguments = [&["-c", config.to_str().unwrap(), user, "--stdin"], further].concat();
            let (status, said) = run(&arguments, b"secret\n");
            assert_eq!(status, 0, "{said}");
            assert_eq!(said.contains("pop3d: warning: "), !warning.is_empty(), "{said}");
            assert!(said.contains(warning), "{said}");
        }
    }
}

#[test]
fn an_app_password_of_which_peep_holds_another_is_told() {
    let house = House::new("ann:{PLAIN}x\n");
    let (config, state) = (house.folder.path().join("pop3d.toml"), house.folder.path().join("state"));
    fs::write(&config, format!("accounts = {:?}\nstate = {state:?}\n", house.file)).unwrap();
    fs::create_dir(&state).unwrap();
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let kept =
        format!("ann:phone::{{REMOVED}}\nann:radio::{{REMOVED}}\nann:radio:1:{{ARGON2ID}}{hash}\n# end\n");
    fs::write(state.join("app-passwords"), kept).unwrap();
    for (app, set, removed) in [
        ("phone", "none of that name here lets in", ""),
        ("radio", "PEEP has made an app password radio of ann", "\"ua-\" of PEEP too"),
        ("tv", "", ""),
    ] {
        for (further, warning) in [("--stdin", set), ("--remove", removed)] {
            let (status, said) =
                run(&["-c", config.to_str().unwrap(), "ann", "--app", app, further], b"secret\n");
            assert_eq!(status, 0, "{said}");
            assert_eq!(said.contains("pop3d: warning: "), !warning.is_empty(), "{said}");
            assert!(said.contains(warning), "{said}");
        }
    }
}

#[test]
fn a_password_that_was_typed_decomposed_is_right_for_a_client_that_composes_it() {
    let house = House::new("");
    for typed in ["pa\u{308}ss\u{1F511}", "p\u{e4}ss\u{1F511}"] {
        assert_eq!(house.passwd(&["ann", "--stdin"], typed.as_bytes()).0, 0);
        for sent in ["pa\u{308}ss\u{1F511}", "p\u{e4}ss\u{1F511}"] {
            assert_eq!(house.passwd(&["ann", "--stdin", "--verify"], sent.as_bytes()).0, 0, "{typed} {sent}");
        }
    }
}

#[test]
fn what_is_wrong_is_named_and_the_file_stays_as_it_is() {
    let text = "bob:{PLAIN}x\nany:::::::nopassword\n";
    let house = House::new(text);
    for (arguments, password, status, named) in [
        (&["carl", "--remove"][..], &b""[..], 67, "carl is not in"),
        (&["carl", "--verify", "--stdin"], b"x", 67, "carl is not in"),
        (&["ann", "--stdin"], b"", 65, "no password"),
        (&["ann", "--stdin"], b"\n", 65, "empty"),
        (&["ann", "--stdin"], b"a\0b\n", 65, "NUL"),
        (&["ann", "--stdin"], b"p\xE4ss\n", 65, "UTF-8"),
        (&["ann", "--stdin"], &[b'x'; 300], 65, "at most 248 octets"),
        (&["ann", "--stdin", "--scheme", "BLF-CRYPT"], &[b'x'; 73], 65, "72 octets"),
        (&["ann", "--stdin", "--scheme", "MD5"], b"x", 64, "one of ARGON2ID"),
        (&["a:b", "--stdin"], b"x", 64, "no \":\""),
        (&["../x", "--stdin"], b"x", 64, "user name"),
        (&["ann", "--remove", "--verify"], b"x", 64, "--remove"),
        (&["any", "--stdin"], b"x", 78, "nopassword"),
    ] {
        let (found, said) = house.passwd(arguments, password);
        assert_eq!(found, status, "{arguments:?}: {said}");
        assert!(said.contains(named) && said.matches('\n').count() == 1, "{said}");
        assert_eq!(house.text(), text);
    }
    assert!(house.is_tidy());
    assert_eq!(run(&["ann", "--stdin"], b"x").0, 64);
    assert_eq!(run(&["-f", "/nonexistent/accounts", "ann", "--stdin"], b"x").0, 66);
    let broken = House::new("bob:{PLAIN}x\nann\n");
    let (status, said) = broken.passwd(&["carl", "--stdin"], b"x\n");
    assert!(status == 78 && said.contains(":2:1: no \":\""), "{said}");
    assert_eq!(broken.text(), "bob:{PLAIN}x\nann\n");
}

#[test]
fn several_at_once_lose_nobody() {
    let house = House::new("");
    let users: Vec<_> = (0..8).map(|number| format!("user{number}")).collect();
    std::thread::scope(|scope| {
        for user in &users {
            scope.spawn(|| assert_eq!(house.passwd(&[user, "--stdin"], b"secret\n").0, 0));
        }
    });
    let text = house.text();
    assert_eq!(text.lines().count(), users.len());
    assert!(users.iter().all(|user| text.contains(&format!("{user}:{{ARGON2ID}}"))));
    assert!(house.is_tidy());
}

#[test]
fn a_link_to_a_file_that_is_not_there_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("accounts");
    std::os::unix::fs::symlink(folder.path().join("elsewhere/accounts"), &link).unwrap();
    let (status, said) = run(&["-f", link.to_str().unwrap(), "ann", "--stdin"], b"tanstaaf\n");
    assert!(status == 66 && said.contains("it is a link to a file that is not there"), "{status} {said}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

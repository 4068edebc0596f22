//! Files of native plugins that cannot be loaded: what is said of them, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pop3d_tests::{Admin, Mail, Options, Plugins, Server, as_sent, fails_to_start_with, retrieved, rot13};

/// A folder of plugins of which none but `right.so` can be loaded.
fn broken() -> Plugins {
    let plugins = Plugins::default();
    plugins.build("symbol.so", &["TEST_NO_SYMBOL"]);
    plugins.build("version.so", &["TEST_ABI=2"]);
    plugins.build("size.so", &["TEST_SIZE=8"]);
    plugins.build("name.so", &["TEST_NAME=\"Bad Name\""]);
    for function in ["CONFIGURE", "RELEASE", "OPEN", "PUSH", "FINISH", "CLOSE"] {
        let name = format!("null-{}", function.to_lowercase());
        plugins.build(&format!("{name}.so"), &[&format!("TEST_{function}=NULL")]);
    }
    // What goes wrong in its constructor is told by how the helper ended.
    plugins.build("aborts.so", &["TEST_CONSTRUCTOR=abort()"]);
    plugins.build("leaves.so", &["TEST_CONSTRUCTOR=exit(3)"]);
    plugins.build("right.so", &[]);
    let mut other = fs::read(plugins.path().join("right.so")).unwrap();
    // Elf64_Ehdr: e_machine.
    other[18..20].copy_from_slice(&50_u16.to_ne_bytes());
    fs::write(plugins.path().join("machine.so"), other).unwrap();
    plugins.build("others.so", &[]);
    fs::set_permissions(plugins.path().join("others.so"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::write(plugins.path().join("text.so"), "no library\n").unwrap();
    plugins
}

/// The configuration that has them.
fn folder_of(plugins: &Plugins) -> String {
    format!("transform_dir = \"{}\"\n", plugins.path().display())
}

#[test]
fn what_cannot_be_loaded_is_failed_with_its_reason() {
    let plugins = broken();
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let server = Server::with(&mail, &Options { config: &folder_of(&plugins), ..Options::default() });
    let mut admin = Admin::of(&server);
    let failed = |name: &str| format!("{name} native failed 1");
    assert_eq!(
        admin.lines("tfl?"),
        [
            failed("aborts"),
            failed("leaves"),
            failed("machine"),
            failed("name"),
            failed("null-close"),
            failed("null-configure"),
            failed("null-finish"),
            failed("null-open"),
            failed("null-push"),
            failed("null-release"),
            failed("others"),
            "right native ready 1".into(),
            failed("size"),
            failed("symbol"),
            failed("text"),
            failed("version"),
        ]
    );
    for (name, why) in [
        ("symbol", "no%20symbol"),
        ("version", "version%202"),
        ("size", "octets"),
        ("name", "name"),
        ("null-configure", "null"),
        ("null-release", "null"),
        ("null-open", "null"),
        ("null-push", "null"),
        ("null-finish", "null"),
        ("null-close", "null"),
        ("others", "chmod"),
        ("text", "no%20shared%20library"),
        ("machine", "no%20shared%20library%20for%20this%20machine"),
        ("aborts", "ended%20while%20it%20loaded%20it:%20signal:%206"),
        ("leaves", "ended%20while%20it%20loaded%20it:%20exit%20status:%203"),
    ] {
        let said = admin.says(&format!("tfe? {name}")).line();
        assert!(said.contains(why), "{name}: {said}");
        admin.says(&format!("tf= {name}")).hears("-20");
        admin.says(&format!("tfr {name}")).hears("-21");
    }
    // What is dropped in is found by a look at all of them, which what is broken already does not keep.
    plugins.build("late.so", &[]);
    admin.says("tfr *").hears("-21");
    admin.says("tf= late").hears("+");
}

#[test]
fn plugins_are_loaded_side_by_side() {
    let plugins = Plugins::default();
    let place = |name: &str| plugins.path().join(name).display().to_string();
    // Each is loaded once the other has begun.
    for (name, other) in [("one", "two"), ("two", "one")] {
        let waits = format!(
            "TEST_CONSTRUCTOR=fclose(fopen(\"{}\", \"w\")); while (access(\"{}\", F_OK) != 0) usleep(1000)",
            place(name),
            place(other),
        );
        plugins.build(&format!("{name}.so"), &[&waits]);
    }
    let mail = Mail::flat("user", &["x\n"]);
    let server = Server::with(&mail, &Options { config: &folder_of(&plugins), ..Options::default() });
    assert_eq!(Admin::of(&server).lines("tfl?"), ["one native ready 1", "two native ready 1"]);
}

#[test]
fn a_file_is_loaded_under_another_name_and_what_cannot_be_is_refused() {
    let plugins = Plugins::default();
    plugins.build("right.so", &[]);
    fs::write(plugins.path().join("text.so"), "no library\n").unwrap();
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let folder = folder_of(&plugins);
    let server = Server::with(&mail, &Options { config: &folder, ..Options::default() });
    let mut admin = Admin::of(&server);
    admin.says("tf+ again right.so").hears("+");
    admin.says("tf+ again right.so").hears("-22");
    admin.says("tf+ bad! right.so").hears("-1");
    for wrong in ["../right.so", "/etc/passwd", "nothing.so", "text.so", ".hidden.so"] {
        admin.says(&format!("tf+ new {wrong}")).hears("-21");
    }
    admin.says("tfo= again do:nothing-that-it-knows").hears("-21");
    admin.says("tf= again").hears("+");
    assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(b"Subject: x\n\nx\n")));
    admin.says("tfo= again do:identity").hears("+");
    assert_eq!(retrieved(&server).unwrap(), b"Subject: x\r\n\r\nx\r\n");
    admin.says("tf- again").hears("-23");
    admin.says("tf= none").hears("+");
    admin.says("tf- again").hears("+");

    // What was loaded by another name is there again after a restart.
    let state = tempfile::tempdir().unwrap();
    let options = Options { config: &folder, state: Some(state.path()), ..Options::default() };
    let server = Server::with(&mail, &options);
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    admin.says("tf+ again right.so").hears("+");
    admin.says("tf= again").hears("+");
    drop(server);
    let server = Server::with(&mail, &options);
    assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(b"Subject: x\n\nx\n")));
}

#[test]
fn what_cannot_be_loaded_stops_the_start_where_mail_is_to_pass_it() {
    let plugins = Plugins::default();
    plugins.build("version.so", &["TEST_ABI=2"]);
    fs::write(plugins.path().join("text.so"), "no library\n").unwrap();
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let state = tempfile::tempdir().unwrap();
    let config = format!("{}transform = \"version\"\n", folder_of(&plugins));
    let (status, said) = fails_to_start_with(&mail, state.path(), &config);
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(said.contains("pop3d.toml:2:13: the chain names the transform version"), "{said}");
    // And in a rule, where the file is named.
    let file = plugins.path().join("text.so");
    let config = format!("[transforms.x]\nfile = {file:?}\n[[rule]]\nusers = [\"bob\"]\ntransform = \"x\"\n");
    let (status, said) = fails_to_start_with(&mail, state.path(), &config);
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(said.contains("pop3d.toml:2:8: rule 1 names the transform x"), "{said}");
}

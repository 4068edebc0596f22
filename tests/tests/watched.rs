//! The folder of transforms: what is put into it, replaced or removed is noticed without being told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use pop3d_tests::{
    Admin, Client, Guest, Mail, Options, Plugins, Server, as_sent, checked, fails_to_start_with, rot13,
    wait_until,
};
use rustix::process::Signal;

const TEXT: &[u8] = b"Subject: x\n\nx\n";

/// What a client gets; or the line that refuses it.
fn retrieved(server: &Server) -> Result<Vec<u8>, String> {
    let mut client = Client::login_when_free(server.address(), "user");
    client.says("RETR 1");
    let line = client.line();
    if line.starts_with("+OK") { Ok(client.body().unwrap()) } else { Err(line) }
}

fn serve(mail: &Mail, folder: &Path, config: &str) -> Server {
    let config = format!("transform_dir = \"{}\"\n{config}", folder.display());
    Server::with(mail, &Options { config: &config, ..Options::default() })
}

/// A filter that writes a letter and a line end before a message.
fn marking(mark: &str) -> Vec<u8> {
    let first = "(call $write (i32.const 32) (i32.const 2)) (i32.const 0)";
    Guest { first, mark, ..Guest::default() }.component()
}

fn marked(mark: &str) -> Vec<u8> {
    as_sent(&[mark.as_bytes(), b"\n", TEXT].concat())
}

/// Puts a file into a folder at once.
fn put(folder: &Path, name: &str, octets: &[u8]) {
    fs::write(folder.join(".new"), octets).unwrap();
    fs::rename(folder.join(".new"), folder.join(name)).unwrap();
}

fn wait_for(admin: &mut Admin, line: &str) {
    wait_until(line, || admin.lines("tfl?").iter().any(|it| it == line));
}

/// Whether it watches any folder.
fn watches(server: &Server) -> bool {
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let mut leads = open.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
    leads.any(|target| target.as_os_str() == "anon_inode:inotify")
}

#[test]
fn a_filter_that_is_dropped_in_replaced_broken_and_removed_is_noticed() {
    let (folder, mail) = (tempfile::tempdir().unwrap(), Mail::flat("user", &[TEXT]));
    let folder = folder.path();
    let server = serve(&mail, folder, "");
    let mut admin = Admin::of(&server);
    put(folder, "x.wasm", &marking("A"));
    wait_for(&mut admin, "x wasm ready 1");
    admin.says("tf= x").hears("+");
    assert_eq!(retrieved(&server).unwrap(), marked("A"));
    // By another file of its name, and in place.
    put(folder, "x.wasm", &marking("B"));
    wait_for(&mut admin, "x wasm ready 2");
    wait_until("the chain has it", || retrieved(&server).unwrap() == marked("B"));
    fs::write(folder.join("x.wasm"), marking("C")).unwrap();
    wait_for(&mut admin, "x wasm ready 3");
    wait_until("the chain has it", || retrieved(&server).unwrap() == marked("C"));
    // What cannot be loaded is told, and the older one goes on.
    put(folder, "x.wasm", b"torn");
    wait_for(&mut admin, "x wasm failed 3");
    assert!(admin.says("tfe? x").line().contains("x.wasm"));
    assert_eq!(retrieved(&server).unwrap(), marked("C"));
    put(folder, "x.wasm", &marking("D"));
    wait_for(&mut admin, "x wasm ready 4");
    fs::remove_file(folder.join("x.wasm")).unwrap();
    wait_for(&mut admin, "x wasm failed 4");
    assert!(admin.says("tfe? x").line().contains("No%20such%20file"));
    wait_until("the chain has it", || retrieved(&server).unwrap() == marked("D"));
    // What never was a filter leaves nothing.
    put(folder, "never.wasm", b"torn");
    wait_for(&mut admin, "never wasm failed 1");
    fs::remove_file(folder.join("never.wasm")).unwrap();
    wait_until("it is gone", || admin.lines("tfl?") == ["x wasm failed 4"]);
    // Somebody who has put it there says so.
    put(folder, "said.wasm", &marking("E"));
    admin.says("tf+ said said.wasm").hears("+");
    admin.says("tf+ said said.wasm").hears("-22");
    assert_eq!(admin.lines("tfl?"), ["said wasm ready 1", "x wasm failed 4"]);
}

#[test]
fn a_file_that_was_replaced_and_is_loaded_by_its_name_before_that_is_noticed_is_what_its_chain_has() {
    let (folder, mail) = (tempfile::tempdir().unwrap(), Mail::flat("user", &[TEXT]));
    let folder = folder.path();
    put(folder, "x.wasm", &marking("A"));
    let server = serve(&mail, folder, "");
    let mut admin = Admin::of(&server);
    admin.says("tf= x").hears("+");
    put(folder, "x.wasm", &marking("B"));
    admin.says("tf+ x x.wasm").hears("+");
    assert_eq!(retrieved(&server).unwrap(), marked("B"));
    assert_eq!(admin.lines("tfl?"), ["x wasm ready 2"]);
}

#[test]
fn a_file_that_is_half_written_is_not_loaded() {
    let (folder, mail) = (tempfile::tempdir().unwrap(), Mail::flat("user", &[TEXT]));
    let folder = folder.path();
    let whole = marking("A");
    let server = serve(&mail, folder, "");
    let mut admin = Admin::of(&server);
    // Nobody but who watches the folder loads this one.
    put(folder, "first.wasm", &marking("F"));
    wait_for(&mut admin, "first wasm ready 1");
    let mut file = File::create(folder.join("x.wasm")).unwrap();
    for (round, piece) in whole.chunks(whole.len().div_ceil(3)).enumerate() {
        file.write_all(piece).unwrap();
        // What happened before is noticed by the time when this is.
        let marker = format!("marker{round}");
        put(folder, &format!("{marker}.wasm"), &marking("M"));
        wait_for(&mut admin, &format!("{marker} wasm ready 1"));
        assert!(!admin.lines("tfl?").iter().any(|line| line.starts_with("x ")));
    }
    drop(file);
    wait_for(&mut admin, "x wasm ready 1");
    assert_eq!(server.log().matches("ERROR").count(), 0, "{}", server.log());
}

#[test]
fn a_native_plugin_is_noticed_and_refused_as_long_as_others_can_write_it() {
    use std::os::unix::fs::PermissionsExt;
    let (plugins, mail) = (Plugins::default(), Mail::flat("user", &[TEXT]));
    let built = plugins.build(".built", &[]);
    let server = serve(&mail, plugins.path(), "");
    let mut admin = Admin::of(&server);
    fs::set_permissions(&built, fs::Permissions::from_mode(0o666)).unwrap();
    fs::rename(&built, plugins.path().join("filter.so")).unwrap();
    wait_for(&mut admin, "filter native failed 1");
    assert!(admin.says("tfe? filter").line().contains("chmod"));
    fs::set_permissions(plugins.path().join("filter.so"), fs::Permissions::from_mode(0o600)).unwrap();
    wait_until("it can be used", || admin.says("tf= filter").line() == "+");
    assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(TEXT)));
}

#[test]
fn another_folder_is_followed_and_none_where_that_is_not_permitted() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mail = Mail::flat("user", &[TEXT]);
    let server = serve(&mail, first.path(), "");
    let mut admin = Admin::of(&server);
    put(first.path(), "a.wasm", &marking("A"));
    wait_for(&mut admin, "a wasm ready 1");
    assert!(watches(&server));
    let configure = |folder: &Path, rest: &str| {
        let config = format!("transform_dir = \"{}\"\n{rest}", folder.display());
        fs::write(server.config(), config).unwrap();
    };
    configure(second.path(), "");
    admin.says("cf").hears("+");
    assert!(admin.lines("tfl?").is_empty());
    put(second.path(), "b.wasm", &marking("B"));
    wait_for(&mut admin, "b wasm ready 1");
    configure(first.path(), "");
    server.signal(Signal::HUP);
    wait_for(&mut admin, "a wasm ready 1");
    put(first.path(), "c.wasm", &marking("C"));
    wait_for(&mut admin, "c wasm ready 1");
    assert_eq!(admin.lines("tfl?"), ["a wasm ready 1", "c wasm ready 1"]);
    configure(first.path(), "[peep]\ntransform_load = false\n");
    admin.says("cf").hears("+");
    wait_until("nothing is watched", || !watches(&server));
    configure(first.path(), "");
    admin.says("cf").hears("+");
    wait_until("it is watched again", || watches(&server));
    drop(server);

    let server = serve(&mail, first.path(), "[peep]\ntransform_load = false\n");
    let mut admin = Admin::of(&server);
    assert_eq!(admin.lines("tfl?"), ["a wasm ready 1", "c wasm ready 1"]);
    assert!(!watches(&server));
}

#[test]
fn what_a_table_says_of_a_file_that_is_dropped_in_holds_whenever_it_comes() {
    let (plugins, mail) = (Plugins::default(), Mail::flat("user", &[TEXT]));
    let built = plugins.build(".built", &[]);
    let table = "[transforms.filter]\nisolation = \"none\"\noptions = { do = \"identity\" }\n";
    let server = serve(&mail, plugins.path(), table);
    server.logs("no filter.so lies in transform_dir");
    let mut admin = Admin::of(&server);
    put(plugins.path(), "filter.wasm", &marking("A"));
    fs::copy(&built, plugins.path().join("filter.so")).unwrap();
    wait_for(&mut admin, "filter native ready 1");
    admin.says("tf= filter").hears("+");
    assert_eq!(retrieved(&server).unwrap(), as_sent(TEXT));
    assert_eq!(server.children(), 0);
    drop(server);

    // Where the file is there, its options are checked by it, before the start and at it.
    fs::remove_file(plugins.path().join("filter.wasm")).unwrap();
    let folder = format!("transform_dir = \"{}\"\n", plugins.path().display());
    let (status, said) = checked(&mail, &format!("{folder}{table}"));
    assert!(status.success(), "{said}");
    let wrong = table.replace("identity", "nothing-that-it-knows");
    let (status, said) = checked(&mail, &format!("{folder}{wrong}"));
    assert_eq!(status.code(), Some(78));
    assert!(said.contains("pop3d.toml:2:1: the transform filter cannot be used"), "{said}");
    let state = tempfile::tempdir().unwrap();
    let config = format!("{folder}transform = \"filter\"\n{wrong}");
    let (status, said) = fails_to_start_with(&mail, state.path(), &config);
    assert_eq!(status.code(), Some(78), "{said}");
    // Where it is not, that is told.
    let (status, said) = checked(&mail, &format!("{folder}[transforms.gone]\nspool = true\n"));
    assert!(!status.success() && said.contains("no gone.so or gone.wasm lies in transform_dir"), "{said}");
}

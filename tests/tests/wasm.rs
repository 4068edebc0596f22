//! Filters in WebAssembly from outside: files as compilers make them, dropped in, listed, switched and stopped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use pop3d_tests::{Admin, Client, Mail, Options, Plugins, Server, as_sent, message, root, rot13, with_type};

/// A guest of the transforms' own tests, as a core module.
fn module(name: &str) -> Vec<u8> {
    wat::parse_file(root().join("transforms/tests/guests").join(name)).unwrap()
}

/// A guest whose calls are these.
fn guest(start: &str, push: &str) -> Vec<u8> {
    let text = fs::read_to_string(root().join("transforms/tests/guests/template.wat")).unwrap();
    let text = text.replace("$START", start).replace("$PUSH", push).replace("$IMPORTS", "");
    with_type(wat::parse_str(text.replace("$FINISH", "(call $ok (i32.const 0))")).unwrap())
}

const MORE: &str = "(call $ok (i32.const 0))";
const SAME: &str = "(call $write (local.get $p) (local.get $n)) (call $ok (i32.const 0))";

fn retrieved(server: &Server) -> Result<Vec<u8>, String> {
    let mut client = Client::login_when_free(server.address(), "user");
    let reply = client.says("RETR 1").line();
    if !reply.starts_with("+OK") {
        return Err(reply);
    }
    client.body().map_err(|error| error.to_string())
}

#[test]
fn each_shape_of_a_file_is_a_transform() {
    let folder = Plugins::default();
    let put = |name: &str, octets: &[u8]| fs::write(folder.path().join(name), octets).unwrap();
    put("rot.wasm", &with_type(module("rot13.wat")));
    put("same.wasm", &guest(MORE, SAME));
    put("command.wasm", &module("command_identity.wat"));
    put("text.wasm", b"no module\n");
    put("other.wasm", &wat::parse_str("(module)").unwrap());
    let text = message(300_000, 1);
    let mail = Mail::flat("user", &[&text]);
    let config =
        format!("transform_dir = \"{}\"\ntransform = [\"rot\", \"command\"]\n", folder.path().display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    assert_eq!(
        admin.lines("tfl?"),
        [
            "command wasm ready 1",
            "other wasm failed 1",
            "rot wasm ready 1",
            "same wasm ready 1",
            "text wasm failed 1"
        ]
    );
    assert!(retrieved(&server).unwrap() == as_sent(&rot13(&text)));
    for (chain, expected) in [
        ("same", text.clone()),
        ("rot,same,command,rot", text.clone()),
        ("command,rot,command", rot13(&text)),
    ] {
        admin.says(&format!("tf= {chain}")).hears("+");
        assert!(retrieved(&server).unwrap() == as_sent(&expected), "{chain}");
    }
    for broken in ["text", "other"] {
        assert_ne!(admin.says(&format!("tfe? {broken}")).line(), "+");
        admin.says(&format!("tf= {broken}")).hears("-20");
    }
    // Another version of the file, and another name for it.
    put("same.wasm", &with_type(module("rot13.wat")));
    admin.says("tf= same").hears("+");
    admin.says("tfr same").hears("+");
    assert!(retrieved(&server).unwrap() == as_sent(&rot13(&text)));
    put("same.wasm", b"torn");
    admin.says("tfr same").hears("-21");
    assert!(retrieved(&server).unwrap() == as_sent(&rot13(&text)));
    admin.says("tf+ again rot.wasm").hears("+");
    admin.says("tf= again").hears("+");
    assert!(retrieved(&server).unwrap() == as_sent(&rot13(&text)));
}

#[test]
fn a_guest_that_fails_or_never_ends_costs_its_own_messages() {
    let folder = Plugins::default();
    let put = |name: &str, octets: &[u8]| fs::write(folder.path().join(name), octets).unwrap();
    put("trap.wasm", &guest(MORE, "unreachable"));
    put("loop.wasm", &guest(MORE, "(loop $l (br $l)) (call $ok (i32.const 0))"));
    put("exit3.wasm", &module("command_exit.wat"));
    put("same.wasm", &guest(MORE, SAME));
    let text = message(50_000, 2);
    let mail = Mail::flat("user", &[&text]);
    let config =
        format!("transform_dir = \"{}\"\n[transform_defaults]\ncpu = \"300ms\"\n", folder.path().display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    for name in ["trap", "loop", "exit3"] {
        admin.says(&format!("tf= {name}")).hears("+");
        let refused = retrieved(&server).unwrap_err();
        assert!(refused.starts_with(&format!("-ERR [SYS/TEMP] transform {name} failed")), "{refused}");
        assert_eq!(admin.value(&format!("tfs? {name}"), "failed"), 1);
        assert_ne!(admin.says(&format!("tfe? {name}")).line(), "+");
    }
    admin.says("tf= same").hears("+");
    assert!(retrieved(&server).unwrap() == as_sent(&text));
}

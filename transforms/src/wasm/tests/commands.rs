//! WASI commands: what they write is what the client gets, and their exit status is their outcome.

use proptest::prelude::*;

use super::build::module;
use super::twins::{input, manner};
use super::*;

fn command(spec: WasmSpec, file: &str) -> Arc<Wasm> {
    load(spec, &module(file))
}

#[test]
fn a_command_copies_a_message_however_it_is_cut() {
    let identity = command(WasmSpec::new("test"), "command_identity.wat");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let outcome = runner.run(&(input(), manner()), |(input, manner)| {
        prop_assert!(deliver(&identity, &input, &manner) == input);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn an_exit_status_is_an_outcome() {
    let exit = |status: u32| {
        let wasm = command(WasmSpec::new(&format!("exit-{status}")), "command_exit.wat");
        play(&wasm, b"which it does not read", &Manner::default()).map(|(output, _)| output)
    };
    assert_eq!(exit(0).unwrap(), b"");
    let with = |status| format!("exit status {status}: it has ended");
    assert!(matches!(exit(3), Err(Error::Crashed(why)) if why == with(3)));
    assert!(matches!(exit(75), Err(Error::Temporary(why)) if why == with(75)));
    for status in [78, 126, 127] {
        assert!(matches!(exit(status), Err(Error::Permanent(why)) if why == with(status)));
    }
}

#[test]
fn a_command_has_the_environment_of_a_process_and_little_else() {
    let spec = WasmSpec {
        env: vec![("LANG".into(), "C".into()), ("X".into(), "y=z".into())],
        options: vec![("only-external".into(), "true".into())],
        ..WasmSpec::new("test")
    };
    let wasm = command(spec, "command_environment.wat");
    let text = String::from_utf8(deliver(&wasm, b"12345", &Manner::default())).unwrap();
    let expected = format!(
        "PATH=/usr/local/bin:/usr/bin:/bin\0POP3_USER=user\0POP3_REMOTE=127.0.0.1\0MESSAGE_NUMBER=7\0MESSAGE_SIZE=5\0MESSAGE_UID=uid\0\
         TRANSFORM_NAME=test\0POP3D_VERSION={}\0POP3_COMMAND=TOP\0POP3_TOP_LINES=3\0LANG=C\0X=y=z\0\
         OPTION_ONLY_EXTERNAL=true\0",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(text, expected);
}

#[test]
fn a_command_that_wants_a_file_is_told_what_there_is_not() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "path_unlink_file" (func $delete (param i32 i32 i32) (result i32)))
        (func (export "_start") (drop (call $delete (i32.const 3) (i32.const 0) (i32.const 0)))))"#;
    let wasm = load(WasmSpec::new("test"), &wat::parse_str(text).unwrap());
    let Err(Error::Crashed(reason)) = play(&wasm, b"x", &Manner::default()) else { panic!() };
    assert!(reason.contains("wasi_snapshot_preview1::path_unlink_file"), "{reason}");
}

#[test]
fn a_command_of_another_system_is_refused() {
    let text = r#"(module (import "env" "system" (func)) (func (export "_start")))"#;
    assert_eq!(refusal(&wat::parse_str(text).unwrap()), "it imports system of env, which is not there");
    let text = r#"(module (func (export "_start") (param i32)))"#;
    assert!(refusal(&wat::parse_str(text).unwrap()).starts_with("its _start"));
    let text = r#"(module (import "wasi_snapshot_preview1" "fd_close" (func)) (func (export "_start")))"#;
    assert!(refusal(&wat::parse_str(text).unwrap()).starts_with("its imports do not fit"));
}

#[test]
fn a_command_that_never_ends_or_traps_fails_like_a_component() {
    let fails = |text: &str, spec| {
        let wasm = load(spec, &wat::parse_str(text).unwrap());
        play(&wasm, b"x", &Manner::default()).unwrap_err()
    };
    let spec = || WasmSpec { cpu: Duration::from_millis(30), ..WasmSpec::new("test") };
    let endless = r#"(module (func (export "_start") (loop $again (br $again))))"#;
    assert!(matches!(fails(endless, spec()), Error::TimedOut(_)));
    let traps = r#"(module (func (export "_start") unreachable))"#;
    assert!(matches!(fails(traps, spec()), Error::Crashed(_)));
    let grows = r#"(module (memory 1) (func (export "_start") (loop $again
        (drop (memory.grow (i32.const 1))) (br $again))))"#;
    assert!(matches!(fails(grows, WasmSpec::new("test")), Error::Limit("memory")));
}

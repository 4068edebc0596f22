//! What components may have of WASI, and what traps.

use super::build::Calls;
use super::*;

const WIT: &str = "
    package test:test;
    world w {
        include pop3d:transform/transform@1.0.0;
        import wasi:random/random@0.2.3;
        import wasi:random/insecure-seed@0.2.3;
        import wasi:clocks/wall-clock@0.2.3;
        import wasi:clocks/monotonic-clock@0.2.3;
        import wasi:cli/environment@0.2.3;
        import wasi:cli/exit@0.2.3;
        import wasi:cli/stderr@0.2.3;
        import wasi:filesystem/preopens@0.2.3;
        import wasi:sockets/network@0.2.3;
    }
    package wasi:random@0.2.3 {
        interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
        interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
    }
    package wasi:clocks@0.2.3 {
        interface wall-clock {
            record datetime { seconds: u64, nanoseconds: u32 }
            now: func() -> datetime;
            resolution: func() -> datetime;
        }
        interface monotonic-clock { now: func() -> u64; resolution: func() -> u64; }
    }
    package wasi:io@0.2.3 {
        interface error { resource error { to-debug-string: func() -> string; } }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream {
                check-write: func() -> result<u64, stream-error>;
                write: func(contents: list<u8>) -> result<_, stream-error>;
                blocking-flush: func() -> result<_, stream-error>;
            }
        }
    }
    package wasi:cli@0.2.3 {
        interface environment {
            get-environment: func() -> list<tuple<string, string>>;
            get-arguments: func() -> list<string>;
            initial-cwd: func() -> option<string>;
        }
        interface exit { exit: func(status: result); }
        interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }
    }
    package wasi:filesystem@0.2.3 {
        interface types { resource descriptor { sync: func(); } }
        interface preopens {
            use types.{descriptor};
            get-directories: func() -> list<tuple<descriptor, string>>;
        }
    }
    package wasi:sockets@0.2.3 { interface network { connect: func(); } }
";

const IMPORTS: &str = r#"
    (import "wasi:random/random@0.2.3" "get-random-bytes" (func $octets (param i64 i32)))
    (import "wasi:random/random@0.2.3" "get-random-u64" (func $number (result i64)))
    (import "wasi:random/insecure-seed@0.2.3" "insecure-seed" (func $seed (param i32)))
    (import "wasi:clocks/wall-clock@0.2.3" "now" (func $date (param i32)))
    (import "wasi:clocks/monotonic-clock@0.2.3" "now" (func $time (result i64)))
    (import "wasi:cli/environment@0.2.3" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/environment@0.2.3" "get-arguments" (func $arguments (param i32)))
    (import "wasi:cli/environment@0.2.3" "initial-cwd" (func $folder (param i32)))
    (import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))
    (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.3" "[method]output-stream.check-write" (func $room (param i32 i32)))
    (import "wasi:io/streams@0.2.3" "[method]output-stream.write" (func $print (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-flush" (func $flush (param i32 i32)))
    (import "wasi:filesystem/preopens@0.2.3" "get-directories" (func $folders (param i32)))
    (import "wasi:sockets/network@0.2.3" "connect" (func $connect))
"#;

/// A guest that does this when its message begins.
fn guest(start: &'static str) -> Arc<Wasm> {
    let calls = Calls { start, ..Calls::new() };
    load(WasmSpec::new("test"), &calls.build_in(IMPORTS, WIT, "w"))
}

#[test]
fn a_component_has_time_and_chance_and_an_empty_environment() {
    // Whatever comes is put at 256; of the lists and the option only the number of entries is looked at.
    let start = "
        (call $octets (i64.const 16) (i32.const 256))
        (if (i32.ne (i32.load (i32.const 260)) (i32.const 16)) (then unreachable))
        (drop (call $number))
        (call $seed (i32.const 256))
        (call $date (i32.const 256))
        (if (i64.eqz (i64.load (i32.const 256))) (then unreachable))
        (drop (call $time))
        (call $environment (i32.const 256))
        (if (i32.load (i32.const 260)) (then unreachable))
        (call $arguments (i32.const 256))
        (if (i32.load (i32.const 260)) (then unreachable))
        (call $folder (i32.const 256))
        (if (i32.load8_u (i32.const 256)) (then unreachable))
        (call $folders (i32.const 256))
        (if (i32.load (i32.const 260)) (then unreachable))
        (call $ok (i32.const 0))";
    assert_eq!(deliver(&guest(start), b"a message\n", &Manner::default()), b"a message\n");
}

#[test]
fn standard_error_takes_what_a_component_writes() {
    let start = "
        (global.set $held (call $stderr))
        (call $room (global.get $held) (i32.const 256))
        (if (i64.ne (i64.load (i32.const 264)) (i64.const 4096)) (then unreachable))
        (call $print (global.get $held) (i32.const 64) (i32.const 18) (i32.const 256))
        (if (i32.load8_u (i32.const 256)) (then unreachable))
        (call $flush (global.get $held) (i32.const 256))
        (if (i32.load8_u (i32.const 256)) (then unreachable))
        (call $ok (i32.const 0))";
    assert_eq!(deliver(&guest(start), b"a message\n", &Manner::default()), b"a message\n");
}

#[test]
fn to_exit_and_to_connect_are_crashes_with_a_name() {
    let reason = |start| match play(&guest(start), b"x", &Manner::default()) {
        Err(Error::Crashed(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("(call $exit (i32.const 0)) unreachable"), "exit");
    let connect = reason("(call $connect) unreachable");
    assert!(connect.contains("wasi:sockets/network@0.2.3#connect"), "{connect}");
}

//! Everything that may go wrong in a guest fails its message, for the right reason, and nothing else.

use super::build::{Calls, module, with_type, with_type_of_other};
use super::*;

/// Guests that do something in one of their calls.
fn in_each_call(what: &'static str) -> [Arc<Wasm>; 3] {
    let spec = || WasmSpec {
        cpu: Duration::from_millis(30),
        memory: 8 << 20,
        max_output: 1 << 20,
        ..WasmSpec::new("test")
    };
    let calls = [
        Calls { start: what, ..Calls::new() },
        Calls { push: what, ..Calls::new() },
        Calls { finish: what, ..Calls::new() },
    ];
    calls.map(|calls| load(spec(), &calls.build()))
}

/// How a message fails with each of them.
fn failures(what: &'static str) -> Vec<Error> {
    let failure = |wasm: &Arc<Wasm>| {
        let error = play(wasm, b"some message\n", &Manner::default()).unwrap_err();
        let statistics = wasm.statistics();
        assert_eq!((statistics.messages, statistics.failed, statistics.running), (1, 1, 0));
        assert!(wasm.last_error().starts_with("user user: "), "{}", wasm.last_error());
        error
    };
    in_each_call(what).iter().map(failure).collect()
}

#[test]
fn a_trap_is_a_crash() {
    for error in failures("unreachable") {
        let Error::Crashed(reason) = &error else { panic!("{error:?}") };
        assert_eq!(reason, "wasm trap: wasm `unreachable` instruction executed");
    }
}

#[test]
fn an_endless_loop_ends_with_its_time() {
    for what in ["(call $forever) unreachable", "(call $say) unreachable"] {
        for error in failures(what) {
            assert!(matches!(error, Error::TimedOut(limit) if limit.as_millis() == 30), "{error:?}");
        }
    }
}

#[test]
fn a_guest_gets_no_more_memory_than_its_limit() {
    for error in failures("(call $grow) unreachable") {
        assert!(matches!(error, Error::Limit("memory")), "{error:?}");
    }
    let spec = WasmSpec { memory: 1 << 20, ..WasmSpec::new("test") };
    let error = play(&load(spec, &Calls::new().build()), b"x", &Manner::default()).unwrap_err();
    assert!(matches!(error, Error::Limit("memory")), "{error:?}");
}

#[test]
fn a_guest_writes_no_more_than_its_limit() {
    for error in failures("(call $flood) unreachable") {
        assert!(matches!(error, Error::Limit("max_output")), "{error:?}");
    }
}

#[test]
fn what_a_guest_answers_is_how_the_message_fails() {
    for error in failures("(call $err (i32.const 0))") {
        assert!(matches!(&error, Error::Temporary(why) if why == "as the test wants"), "{error:?}");
    }
    for error in failures("(call $err (i32.const 1))") {
        assert!(matches!(&error, Error::Permanent(why) if why == "as the test wants"), "{error:?}");
    }
}

#[test]
fn an_answer_that_is_none_is_a_crash() {
    let calls = Calls { start: "(call $ok (i32.const 9))", ..Calls::new() };
    let error = play(&load(WasmSpec::new("test"), &calls.build()), b"x", &Manner::default()).unwrap_err();
    assert!(matches!(error, Error::Crashed(_)), "{error:?}");
}

#[test]
fn endless_guests_hold_up_nobody() {
    let pool = Pool::start("test", 1).unwrap();
    let calls = Calls { push: "(call $forever) unreachable", ..Calls::new() };
    let make = |calls: &Calls| {
        let spec = WasmSpec { cpu: Duration::from_secs(3600), ..WasmSpec::new("test") };
        Arc::new(Wasm::new(spec, &calls.build(), &engine(), pool.clone()).unwrap())
    };
    let endless = make(&calls);
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = Arc::clone(&endless).open(message(1), Wake(Arc::new(|| ()))).unwrap();
        stream.write(b"x").unwrap();
        streams.push(stream);
    }
    assert_eq!(deliver(&make(&Calls::new()), b"a message\n", &Manner::default()), b"a message\n");
    drop(streams);
    let (sender, done) = channel();
    pool.run(move || sender.send(()).unwrap());
    done.recv().unwrap();
    assert_eq!((endless.statistics().running, endless.statistics().failed), (0, 0));
}

#[test]
fn a_guest_that_gets_nowhere_is_out_of_time_before_its_processor_time_is() {
    for calls in [
        Calls { start: "(call $forever) unreachable", ..Calls::new() },
        Calls { push: "(call $forever) unreachable", ..Calls::new() },
        Calls { finish: "(call $forever) unreachable", ..Calls::new() },
    ] {
        let timeout = Duration::from_millis(30);
        let spec = WasmSpec { timeout, cpu: Duration::from_secs(3600), ..WasmSpec::new("test") };
        let wasm = load(spec, &calls.build());
        let error = play(&wasm, b"x", &Manner::default()).unwrap_err();
        assert!(matches!(error, Error::TimedOut(limit) if limit == timeout), "{error:?}");
        assert!(!wasm.statistics().cpu.is_zero());
    }
}

#[test]
fn messages_wait_for_a_place_among_the_instances() {
    let engine = Arc::new(WasmEngine::with_instances(1, None).unwrap());
    let pool = Pool::start("test", 1).unwrap();
    let make = |queue_timeout| {
        let spec = WasmSpec { queue_timeout, ..WasmSpec::new("test") };
        Arc::new(Wasm::new(spec, &Calls::new().build(), &engine, pool.clone()).unwrap())
    };
    let (patient, hasty) = (make(Duration::from_secs(3600)), make(Duration::from_millis(1)));
    let mut first = Arc::clone(&patient).open(message(1), Wake(Arc::new(|| ()))).unwrap();
    // It begins once there is input or somebody looks for output.
    assert_eq!(first.read(&mut [0; 1]).unwrap(), Read::Pending);
    let error = play(&hasty, b"x", &Manner::default()).unwrap_err();
    assert!(matches!(error, Error::Temporary(_)), "{error:?}");
    // Each is counted by its own name.
    let counts = |wasm: &Wasm| (wasm.statistics().running, wasm.statistics().queued);
    assert_eq!((counts(&patient), counts(&hasty)), ((1, 0), (0, 0)));
    let others: [_; 3] = std::array::from_fn(|_| {
        let mut stream = Arc::clone(&patient).open(message(1), Wake(Arc::new(|| ()))).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), Read::Pending);
        stream
    });
    assert_eq!((counts(&patient), counts(&hasty)), ((1, 3), (0, 0)));
    drop(first);
    drop(others);
    assert_eq!(deliver(&patient, b"x", &Manner::default()), b"x");
    assert_eq!(counts(&patient), (0, 0));
}

#[test]
fn a_guest_for_which_there_is_no_room_has_not_failed() {
    // As where instances have more memories or tables than most.
    let engine = wasmtime::Engine::new(&super::super::engine::pooling(1)).unwrap();
    let engine = Arc::new(WasmEngine::of(engine, 100, None).unwrap());
    let pool = Pool::start("test", 1).unwrap();
    let wasm = Arc::new(Wasm::new(WasmSpec::new("test"), &Calls::new().build(), &engine, pool).unwrap());
    let (wake, _wakes) = heard_wake();
    let mut first = Arc::clone(&wasm).open(message(1), wake).unwrap();
    assert_eq!(first.read(&mut [0; 1]).unwrap(), Read::Pending);
    // It does not rest after ten.
    for _ in 0..12 {
        let error = play(&wasm, b"x", &Manner::default()).unwrap_err();
        assert!(matches!(&error, Error::Temporary(why) if why == "no room for an instance"), "{error:?}");
    }
    assert_eq!(wasm.statistics().failed, 12);
}

#[test]
fn where_no_room_is_set_aside_guests_run_all_the_same() {
    let engine = wasmtime::Engine::new(&super::super::engine::on_demand()).unwrap();
    let engine = Arc::new(WasmEngine::of(engine, 1, None).unwrap());
    let make = |calls: Calls| {
        let pool = Pool::start("test", 1).unwrap();
        let spec = WasmSpec { memory: 8 << 20, ..WasmSpec::new("test") };
        Arc::new(Wasm::new(spec, &calls.build(), &engine, pool).unwrap())
    };
    assert_eq!(deliver(&make(Calls::new()), b"a message\n", &Manner::default()), b"a message\n");
    let bomb = Calls { push: "(call $grow) unreachable", ..Calls::new() };
    let error = play(&make(bomb), b"x", &Manner::default()).unwrap_err();
    assert!(matches!(error, Error::Limit("memory")), "{error:?}");
}

#[test]
fn what_is_no_filter_is_refused_with_what_would_be_one() {
    let shapes = ["a component", "wit-bindgen", "_start"];
    let empty = wat::parse_str("(module)").unwrap();
    for file in [&b"From here on: text\n"[..], b"", b"\0asm", &empty] {
        let reason = refusal(file);
        let is_broken = reason.starts_with("it is broken");
        assert!(is_broken || shapes.iter().all(|shape| reason.contains(shape)), "{reason}");
        assert!(!reason.contains('\n'));
    }
}

#[test]
fn a_component_is_taken_as_it_is() {
    let module = with_type(module("rot13.wat"));
    let component = wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    let wasm = load(WasmSpec::new("test"), &component);
    assert_eq!(deliver(&wasm, b"Hello\n", &Manner::default()), b"Uryyb\n");
}

#[test]
fn what_is_kept_of_a_guest_does_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("wasm-cache");
    for _ in 0..2 {
        let engine = Arc::new(WasmEngine::with_instances(1, Some(folder.clone())).unwrap());
        for (file, expected) in
            [(with_type(module("rot13.wat")), b"Uryyb\n"), (module("command_identity.wat"), b"Hello\n")]
        {
            let pool = Pool::start("test", 1).unwrap();
            let wasm = Arc::new(Wasm::new(WasmSpec::new("test"), &file, &engine, pool).unwrap());
            assert_eq!(deliver(&wasm, b"Hello\n", &Manner::default()), expected);
        }
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2);
}

#[test]
fn a_component_of_another_world_is_refused() {
    let nothing = wat::parse_str("(component)").unwrap();
    assert_eq!(refusal(&nothing), "it does not export pop3d:transform/filter@1.0.0");
    let wit = "package pop3d:transform@1.0.0;
        interface filter { start: func(); push: func(); finish: func(); }
        world other { export filter; }";
    let text = r#"(module (memory (export "memory") 1)
        (func (export "pop3d:transform/filter@1.0.0#start"))
        (func (export "pop3d:transform/filter@1.0.0#push"))
        (func (export "pop3d:transform/filter@1.0.0#finish")))"#;
    let other = with_type_of_other(wat::parse_str(text).unwrap(), wit, "other");
    assert!(refusal(&other).starts_with("its function start has another type"), "{}", refusal(&other));
    // The type says what the module does not have.
    let incomplete = with_type(wat::parse_str("(module)").unwrap());
    assert!(refusal(&incomplete).starts_with("it cannot become a component"), "{}", refusal(&incomplete));
}

#[test]
fn an_import_that_is_not_there_is_refused() {
    let wit = "package other:place; interface things { some: func(); } world w { import things; }";
    let text = r#"(module (import "other:place/things" "some" (func)) (memory (export "memory") 1))"#;
    let file = with_type_of_other(wat::parse_str(text).unwrap(), wit, "w");
    assert_eq!(refusal(&file), "it imports other:place/things, which is not there");
    let broken = &with_type(module("rot13.wat"))[..300];
    assert!(refusal(broken).starts_with("it is broken"), "{}", refusal(broken));
}

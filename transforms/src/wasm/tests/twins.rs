//! What guests make of messages, against functions that do the same.

use proptest::prelude::*;

use super::build::{Calls, module, with_type};
use super::*;
use crate::pool_stream::CHUNK;
use crate::twin::rot13;

/// A guest and the function that it is.
struct Twins {
    name: &'static str,
    wasm: Arc<Wasm>,
    function: fn(&[u8]) -> Vec<u8>,
}

/// Answers `pass` with the chunk that has the first empty line.
const HEADER: &str = "
    (call $write (local.get $p) (local.get $n))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (if (i32.eq (i32.load8_u (i32.add (local.get $p) (local.get $i))) (i32.const 10)) (then
        (if (i32.eq (global.get $last) (i32.const 10)) (then (local.set $flow (i32.const 1))))))
      (global.set $last (i32.load8_u (i32.add (local.get $p) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (call $ok (local.get $flow))";

const SINGLY: &str = "
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (call $write (i32.add (local.get $p) (local.get $i)) (i32.const 1))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (call $ok (i32.const 0))";

const HOLD: &str = "
    (memory.copy (i32.add (i32.const 1048576) (global.get $held)) (local.get $p) (local.get $n))
    (global.set $held (i32.add (global.get $held) (local.get $n)))
    (call $ok (i32.const 0))";

const TWICE: &str = "
    (call $write (local.get $p) (local.get $n))
    (call $write (local.get $p) (local.get $n))
    (call $ok (i32.const 0))";

const ADD: &str = "(call $write (i32.const 32) (i32.const 5)) (call $ok (i32.const 0))";

const HELD: &str = "(call $write (i32.const 1048576) (global.get $held)) (call $ok (i32.const 0))";

const END: &str = "(call $write (i32.const 48) (i32.const 4)) (call $ok (i32.const 0))";

/// Guests that do the same however a message is cut.
fn twins() -> Vec<Twins> {
    let wasm = |calls: Calls| load(WasmSpec::new("test"), &calls.build());
    let rot13_guest = load(WasmSpec::new("rot13"), &with_type(module("rot13.wat")));
    vec![
        Twins { name: "identity", wasm: wasm(Calls::new()), function: <[u8]>::to_vec },
        Twins { name: "rot13", wasm: rot13_guest, function: rot13 },
        Twins {
            name: "singly, between two lines",
            wasm: wasm(Calls { start: ADD, push: SINGLY, finish: END }),
            function: |input| [b"X: y\n", input, b"end\n"].concat(),
        },
        Twins {
            name: "swallows all",
            wasm: wasm(Calls { push: "(call $ok (i32.const 0))", ..Calls::new() }),
            function: |_| Vec::new(),
        },
        Twins {
            name: "all at the end",
            wasm: wasm(Calls { push: HOLD, finish: HELD, ..Calls::new() }),
            function: <[u8]>::to_vec,
        },
        Twins {
            name: "a line before the header, then passes",
            wasm: wasm(Calls { start: ADD, push: HEADER, ..Calls::new() }),
            function: |input| [b"X: y\n", input].concat(),
        },
    ]
}

pub(super) fn manner() -> impl Strategy<Value = Manner> {
    (prop::collection::vec(1_usize..100_000, 1..5), 1_usize..100_000, any::<bool>())
        .prop_map(|(cuts, room, as_file)| Manner { cuts, room, as_file })
}

/// Octets of a message: text for the most part.
pub(super) fn input() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![8 => 32_u8..127, 2 => Just(b'\n'), 1 => any::<u8>()];
    prop::collection::vec(octet, 0..150_000)
}

#[test]
fn a_guest_does_what_its_twin_does_however_a_message_is_cut() {
    let twins = twins();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let strategy = (input(), manner());
    let outcome = runner.run(&strategy, |(input, manner)| {
        for twin in &twins {
            let output = deliver(&twin.wasm, &input, &manner);
            prop_assert!(output == (twin.function)(&input), "{}", twin.name);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_guest_doubles_each_chunk() {
    let wasm = load(WasmSpec::new("test"), &Calls { push: TWICE, ..Calls::new() }.build());
    // A chunk is as much as there is when the guest is called.
    assert_eq!(deliver(&wasm, b"one, two\n", &Manner::default()), b"one, two\none, two\n");
}

#[test]
fn what_passes_never_reaches_the_guest() {
    let wasm = load(WasmSpec::new("test"), &Calls { push: HEADER, finish: END, ..Calls::new() }.build());
    let manner = Manner { cuts: vec![100_000], ..Manner::default() };
    let input = [b"A: b\n\n".as_slice(), &[b'x'; 200_000]].concat();
    let (output, passes_from) = play(&wasm, &input, &manner).unwrap();
    // It sees one chunk, and no more of it.
    let from = usize::try_from(passes_from.unwrap()).unwrap();
    assert!((6..=CHUNK).contains(&from), "{from}");
    assert!(output == [&input[..from], b"end\n"].concat());
    let pass = "(call $ok (i32.const 1))";
    let wasm =
        load(WasmSpec::new("test"), &Calls { start: pass, push: "unreachable", ..Calls::new() }.build());
    assert_eq!(deliver(&wasm, b"A: b\n", &manner), b"A: b\n");
}

#[test]
fn a_guest_that_stops_ends_the_message() {
    let stop = "(call $write (local.get $p) (local.get $n)) (call $ok (i32.const 2))";
    let wasm = load(WasmSpec::new("test"), &Calls { push: stop, finish: END, ..Calls::new() }.build());
    let manner = Manner { cuts: vec![1000], ..Manner::default() };
    let (output, passes_from) = play(&wasm, &[b'a'; 100_000], &manner).unwrap();
    assert_eq!(passes_from, None);
    assert!((1..=CHUNK + 4).contains(&output.len()) && output.ends_with(b"aend\n"), "{}", output.len());
}

#[test]
fn a_guest_is_told_of_the_message_and_of_its_options() {
    // The parameters of `start`: user, number, octets, uid, command, lines, remote, options; as (address, count).
    let start = "
        (call $write (local.get 0) (local.get 1))
        (call $write (local.get 4) (local.get 5))
        (call $write (local.get 8) (local.get 9))
        (call $write (i32.load (local.get $options)) (i32.load (i32.add (local.get $options) (i32.const 4))))
        (i32.store8 (i32.const 0) (i32.add (i32.const 48) (local.get 2)))
        (i32.store8 (i32.const 1) (i32.add (i32.const 48) (i32.wrap_i64 (local.get 3))))
        (i32.store8 (i32.const 2) (i32.add (i32.const 48) (local.get 6)))
        (i32.store8 (i32.const 3) (i32.add (i32.const 48) (local.get 7)))
        (i32.store8 (i32.const 4) (i32.add (i32.const 48) (local.get $count)))
        (call $write (i32.const 0) (i32.const 5))
        (call $ok (i32.const 2))";
    let options = vec![("key".to_owned(), "value".to_owned()), ("b".to_owned(), String::new())];
    let spec = WasmSpec { options, ..WasmSpec::new("test") };
    let wasm = load(spec, &Calls { start, ..Calls::new() }.build());
    let (output, _) = play(&wasm, b"12345", &Manner::default()).unwrap();
    assert_eq!(String::from_utf8(output).unwrap(), "useruid127.0.0.1key75132");
}

#[test]
fn a_guest_by_itself_takes_and_gives_as_much_as_is_measured() {
    let push = "(call $write (local.get $p) (local.get $n)) (call $ok (i32.const 0))";
    let component = Calls { push, ..Calls::new() }.build();
    let mut alone = alone::Alone::load(&component, &engine()).unwrap();
    // More than may come out of the message that it is told of.
    assert_eq!(alone.push(&message(5), &[b'a'; CHUNK], 200).unwrap(), 200 * CHUNK as u64);
}

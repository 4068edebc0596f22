//! Filters in WebAssembly against plain functions, in every cutting, and everything that may go wrong in one.

mod build;
mod commands;
mod endings;
mod imports;
mod twins;

use std::sync::OnceLock;
use std::sync::mpsc::channel;

use pop3d_core::transform::{Command as Asked, Read};

use super::*;
use crate::twin::{Manner, drive, heard_wake};

/// One engine for all tests: the room for its instances is large.
fn engine() -> Arc<WasmEngine> {
    static ENGINE: OnceLock<Arc<WasmEngine>> = OnceLock::new();
    Arc::clone(ENGINE.get_or_init(|| Arc::new(WasmEngine::new(None).unwrap())))
}

fn message(octets: usize) -> Arc<Message> {
    Arc::new(Message {
        user: "user".into(),
        number: 7,
        octets: octets as u64,
        uid: "uid".into(),
        command: Asked::Top { lines: 3 },
        remote: [127, 0, 0, 1].into(),
    })
}

fn load(spec: WasmSpec, file: &[u8]) -> Arc<Wasm> {
    Arc::new(Wasm::new(spec, file, &engine(), Pool::start("test", 2).unwrap()).unwrap())
}

/// Why a file is refused.
fn refusal(file: &[u8]) -> String {
    let pool = Pool::start("test", 1).unwrap();
    Wasm::new(WasmSpec::new("test"), file, &engine(), pool).err().expect("a refusal")
}

/// What comes out, and from where on the rest passes.
fn play(wasm: &Arc<Wasm>, input: &[u8], manner: &Manner) -> Result<(Vec<u8>, Option<u64>), Error> {
    let (wake, wakes) = heard_wake();
    let mut stream = Arc::clone(wasm).open(message(input.len()), wake)?;
    drive(stream.as_mut(), &wakes, input, manner)
}

/// What a client gets: what comes out, then what passes.
fn deliver(wasm: &Arc<Wasm>, input: &[u8], manner: &Manner) -> Vec<u8> {
    let (mut output, passes_from) = play(wasm, input, manner).unwrap();
    let from = passes_from.map_or(input.len(), |from| usize::try_from(from).unwrap());
    output.extend_from_slice(&input[from..]);
    output
}

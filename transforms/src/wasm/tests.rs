//! Filters in WebAssembly against plain functions, in every cutting, and everything that may go wrong in one.

mod build;
mod commands;
mod endings;
mod imports;
mod twins;

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::mpsc::channel;

use pop3d_core::transform::{Command as Asked, Read};

use super::*;

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

/// How a message is handed over, and taken.
#[derive(Clone, Debug)]
struct Manner {
    /// Sizes of the pieces it is offered in.
    cuts: Vec<usize>,
    /// Octets that are taken at once.
    room: usize,
    as_file: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { cuts: vec![10_000], room: 10_000, as_file: false }
    }
}

/// What comes out, and from where on the rest passes.
fn play(wasm: &Arc<Wasm>, input: &[u8], manner: &Manner) -> Result<(Vec<u8>, Option<u64>), Error> {
    let (sender, wakes) = channel();
    let wake = Wake(Arc::new(move || sender.send(()).unwrap_or_default()));
    let mut stream = Arc::clone(wasm).open(message(input.len()), wake)?;
    stream.allow_passing();
    let mut rest = input;
    if manner.as_file {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input).unwrap();
        assert!(stream.take_file(&file).unwrap());
    }
    let (mut output, mut buffer) = (Vec::new(), vec![0; manner.room]);
    let mut cuts = manner.cuts.iter().copied().cycle();
    let mut has_finished = manner.as_file;
    loop {
        let mut has_moved = false;
        if !has_finished {
            let piece = &rest[..rest.len().min(cuts.next().unwrap_or(1000))];
            let taken = if piece.is_empty() { 0 } else { stream.write(piece)? };
            rest = &rest[taken..];
            has_moved = taken > 0;
            if rest.is_empty() {
                stream.finish()?;
                has_finished = true;
            }
        }
        match stream.read(&mut buffer)? {
            Read::Data(count) => output.extend_from_slice(&buffer[..count]),
            Read::End => return Ok((output, stream.passes_from())),
            Read::Pending if has_moved => {}
            Read::Pending => wakes.recv().unwrap(),
        }
    }
}

/// What a client gets: what comes out, then what passes.
fn deliver(wasm: &Arc<Wasm>, input: &[u8], manner: &Manner) -> Vec<u8> {
    let (mut output, passes_from) = play(wasm, input, manner).unwrap();
    let from = passes_from.map_or(input.len(), |from| usize::try_from(from).unwrap());
    output.extend_from_slice(&input[from..]);
    output
}

//! Tells apart what a `.wasm` file may be, by its content.

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// What octets begin with that are WebAssembly.
const MAGIC: &[u8] = b"\0asm";

/// What is said of a file that is none of these.
const SHAPES: &str = "is neither a component, nor a core module with a component type (as wit-bindgen makes them), \
                      nor a WASI command (a core module that exports _start)";

/// What a file holds.
pub(super) enum Shape {
    /// A component, in these octets.
    Component(Vec<u8>),
    /// A program from standard input to standard output.
    Command,
}

impl Shape {
    /// Looks at a file; a core module with a component type becomes a component.
    pub(super) fn of(file: &[u8]) -> Result<Self, String> {
        if !file.starts_with(MAGIC) {
            return Err(format!("it is no WebAssembly: it {SHAPES}"));
        }
        if Parser::is_component(file) {
            return Ok(Self::Component(file.to_vec()));
        }
        let (has_type, has_start) = look(file).map_err(|error| format!("it is broken: {error}"))?;
        match (has_type, has_start) {
            (true, _) => wrap(file).map(Self::Component),
            (false, true) => Ok(Self::Command),
            (false, false) => Err(format!("it {SHAPES}")),
        }
    }
}

/// Whether a core module has a component type, and whether it exports `_start`.
fn look(file: &[u8]) -> Result<(bool, bool), wasmparser::BinaryReaderError> {
    let (mut has_type, mut has_start) = (false, false);
    for payload in Parser::new(0).parse_all(file) {
        match payload? {
            Payload::CustomSection(section) => has_type |= section.name().starts_with("component-type"),
            Payload::ExportSection(exports) => {
                for export in exports {
                    has_start |= export?.name == "_start";
                }
            }
            _ => {}
        }
    }
    Ok((has_type, has_start))
}

fn wrap(file: &[u8]) -> Result<Vec<u8>, String> {
    let component =
        ComponentEncoder::default().validate(true).module(file).and_then(|mut encoder| encoder.encode());
    component.map_err(|error| {
        let cause = error.root_cause().to_string();
        format!("it cannot become a component: {}", cause.lines().next().unwrap_or_default())
    })
}

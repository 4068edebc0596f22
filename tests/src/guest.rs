//! Filters in WebAssembly, made of text as a compiler makes them.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What a guest does, in the text format: before a message, with each piece of it, and behind it. Each leaves a number:
/// 0, or how the message fails, 1 for a while, 2 for good.
#[derive(Clone, Copy)]
pub struct Guest<'text> {
    /// Before a message.
    pub first: &'text str,
    /// With a piece, of `$n` octets at `$p`.
    pub piece: &'text str,
    /// Behind it.
    pub last: &'text str,
    /// One letter, which stands at 32 with a line feed behind it.
    pub mark: &'text str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { first: "(i32.const 0)", piece: SAME, last: "(i32.const 0)", mark: "-" }
    }
}

/// Copies a piece.
const SAME: &str = "(call $write (local.get $p) (local.get $n)) (i32.const 0)";

impl Guest<'_> {
    /// As a core module with the type of the world `transform`.
    ///
    /// # Panics
    /// Where the text is wrong.
    #[must_use]
    pub fn component(&self) -> Vec<u8> {
        with_type(self.module("component.wat"))
    }

    /// As a WASI command.
    ///
    /// # Panics
    /// Where the text is wrong.
    #[must_use]
    pub fn command(&self) -> Vec<u8> {
        self.module("command.wat")
    }

    fn module(&self, template: &str) -> Vec<u8> {
        let read = |name: &str| fs::read_to_string(root().join("tests/plugins").join(name)).unwrap();
        let deeds = read("deeds.wat").replace("$FIRST", self.first).replace("$PIECE", self.piece);
        let deeds = deeds.replace("$LAST", self.last);
        wat::parse_str(read(template).replace("$DEEDS", &deeds).replace("$MARK", self.mark)).unwrap()
    }
}

/// The folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A core module as wit-bindgen leaves it: with the type of the world `transform`.
///
/// # Panics
/// Where it is no module.
#[must_use]
pub fn with_type(mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("plugins/wit")).unwrap();
    let world = resolve.select_world(&[package], Some("transform")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

//! Makes the files of guests from text, as compilers make them.

use std::path::{Path, PathBuf};

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

/// The calls of a filter, in text.
pub(super) struct Calls {
    pub(super) start: &'static str,
    pub(super) push: &'static str,
    pub(super) finish: &'static str,
}

impl Calls {
    /// The identity.
    pub(super) const fn new() -> Self {
        Self {
            start: "(call $ok (i32.const 0))",
            push: "(call $write (local.get $p) (local.get $n)) (call $ok (i32.const 0))",
            finish: "(call $ok (i32.const 0))",
        }
    }

    /// The file.
    pub(super) fn build(&self) -> Vec<u8> {
        with_type(self.module(""))
    }

    /// The file of a filter that imports more, of a world that is written out.
    pub(super) fn build_in(&self, imports: &str, wit: &str, world: &str) -> Vec<u8> {
        let (resolve, _) = ours();
        with_type_in(self.module(imports), resolve, wit, world)
    }

    fn module(&self, imports: &str) -> Vec<u8> {
        let template = std::fs::read_to_string(path("template.wat")).unwrap();
        let text = template.replace("$START", self.start).replace("$PUSH", self.push);
        let text = text.replace("$FINISH", self.finish).replace("$IMPORTS", imports);
        wat::parse_str(text).unwrap()
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name)
}

/// A core module, as it is in the folder of guests.
pub(super) fn module(name: &str) -> Vec<u8> {
    wat::parse_file(path(name)).unwrap()
}

/// A core module with the type of our world.
pub(super) fn with_type(module: Vec<u8>) -> Vec<u8> {
    let (resolve, package) = ours();
    with_type_of(module, &resolve, package, "transform")
}

/// A core module with the type of a world that is written out, and knows nothing of ours.
pub(super) fn with_type_of_other(module: Vec<u8>, wit: &str, world: &str) -> Vec<u8> {
    with_type_in(module, Resolve::default(), wit, world)
}

fn with_type_in(module: Vec<u8>, mut resolve: Resolve, wit: &str, world: &str) -> Vec<u8> {
    let package = resolve.push_str("test.wit", wit).unwrap();
    with_type_of(module, &resolve, package, world)
}

fn ours() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    (resolve, package)
}

fn with_type_of(mut module: Vec<u8>, resolve: &Resolve, package: PackageId, world: &str) -> Vec<u8> {
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    module
}

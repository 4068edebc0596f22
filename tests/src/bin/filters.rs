//! Makes the same filters as each kind of transform, in a folder, and prints the configuration that names them: for
//! measurements (`benches/filters`).

#![allow(clippy::unwrap_used, reason = "a tool of the measurements: what goes wrong ends it")]

use std::path::Path;

use pop3d_tests::{Deed, Filters, Guest, Kind};

/// The filters by name: what they do, and as what.
const FILTERS: [(&str, Kind); 6] = [
    ("program", Kind::Program),
    ("isolated", Kind::Isolated),
    ("native", Kind::Native),
    ("inline", Kind::Inline),
    ("component", Kind::Component),
    ("command", Kind::Command),
];

/// Such statements in a file of some 20 kB.
const SOME_OF_A_LARGE_ONE: usize = 1000;

fn main() {
    let folder = std::env::args_os().nth(1).expect("the folder to make the filters in");
    let filters = Filters::at(Path::new(&folder));
    for (does, deed) in [("identity", Deed::Identity), ("rot13", Deed::Rot13)] {
        for (name, kind) in FILTERS {
            // Long messages go through at once, on however slow a machine.
            print!("{}", filters.table(&format!("{name}-{does}"), kind, deed, "cpu = \"10m\""));
        }
    }
    // Those of single figures (`benches/src/bin/alone.rs`).
    let same = Guest::default();
    let wide = "(call $rot13_wide (local.get $p) (local.get $n)) (i32.const 0)";
    let some = "(i32.store (i32.const 16384) (i32.mul (i32.load (i32.const 16384)) (i32.const 1234567)))";
    let large = format!("{} (i32.const 0)", some.repeat(SOME_OF_A_LARGE_ONE));
    for (name, guest) in [
        ("component-swallow", Guest { piece: "(i32.const 0)", ..same }),
        ("component-wide", Guest { piece: wide, ..same }),
        ("component-large", Guest { first: &large, ..same }),
        ("component-loop", Guest { piece: "(call $forever) (i32.const 0)", ..same }),
    ] {
        println!("[transforms.{name}]\n{}", filters.wasm(name, &guest.component()));
    }
}

//! Makes the same filters as each kind of transform, in a folder, and prints the configuration that names them: for
//! measurements (`benches/filters`).

#![allow(clippy::unwrap_used, reason = "a tool of the measurements: what goes wrong ends it")]

use std::path::Path;

use pop3d_tests::{Deed, Filters, Kind};

/// The filters by name: what they do, and as what.
const FILTERS: [(&str, Kind); 5] = [
    ("program", Kind::Program),
    ("isolated", Kind::Isolated),
    ("native", Kind::Native),
    ("component", Kind::Component),
    ("command", Kind::Command),
];

fn main() {
    let folder = std::env::args_os().nth(1).expect("the folder to make the filters in");
    let filters = Filters::at(Path::new(&folder));
    for (does, deed) in [("identity", Deed::Identity), ("rot13", Deed::Rot13)] {
        for (name, kind) in FILTERS {
            // Long messages go through at once, on however slow a machine.
            print!("{}", filters.table(&format!("{name}-{does}"), kind, deed, "cpu = \"10m\""));
        }
    }
}

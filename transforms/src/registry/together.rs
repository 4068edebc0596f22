//! All transforms of a configuration, made side by side: a plugin that takes long to load, or never ends, holds up no other.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use pop3d_core::transform::Kind;

use super::entry::Entry;
use crate::resources::Resources;
use crate::spec::{Isolation, Spec};

/// Plugins that are loaded at the same time: a compiler of each has memory of its own.
const AT_ONCE: usize = 8;

/// A transform that is to be made, and whether it is there because its file lies in the folder.
type Wanted = (Spec, bool);

/// The transforms of these by name, each what follows the one of its name before.
pub(super) fn follow(
    wanted: Vec<Wanted>,
    resources: &Resources,
    before: &BTreeMap<String, Entry>,
) -> BTreeMap<String, Entry> {
    let make = |(spec, is_dropped): Wanted| {
        let before = before.get(spec.name());
        let name = spec.name().to_owned();
        (name, Entry { is_dropped, ..Entry::following(spec, resources, before) })
    };
    let (aside, here): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(spec, _)| is_loaded_aside(spec));
    let threads = aside.len().min(AT_ONCE);
    let (aside, made) = (Mutex::new(aside.into_iter()), Mutex::new(BTreeMap::new()));
    let next = || aside.lock().unwrap_or_else(PoisonError::into_inner).next();
    let make_all = || {
        while let Some(wanted) = next() {
            let (name, entry) = make(wanted);
            made.lock().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without it the others do its work.
            let _ = thread::Builder::new().name("loading".to_owned()).spawn_scoped(scope, make_all);
        }
        make_all();
    });
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    // One after the other: the linker runs the constructors of libraries under a lock of its own.
    made.extend(here.into_iter().map(make));
    made
}

/// Whether it is loaded by somebody else than the process's own linker, and takes time.
fn is_loaded_aside(spec: &Spec) -> bool {
    match spec {
        Spec::Process(_) => false,
        Spec::Plugin(plugin) => plugin.isolation == Isolation::Process || plugin.kind() == Some(Kind::Wasm),
    }
}

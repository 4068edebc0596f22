//! One name of the registry: what it was defined as, and its current generation.

use std::sync::Arc;

use pop3d_core::transform::registry::State;

use super::loaded::Loaded;
use crate::resources::Resources;
use crate::spec::Spec;
use crate::stamp::Stamp;

#[derive(Clone)]
pub(super) struct Entry {
    /// As it was defined: options that were set since are not in it.
    pub(super) defined: Spec,
    pub(super) loaded: Loaded,
    pub(super) state: State,
    pub(super) generation: u64,
    /// Whether an administrator loaded it (`load`), and the configuration does not know of it.
    pub(super) is_added: bool,
    /// Whether it is there because its file lies in the folder, and nothing else names it.
    pub(super) is_dropped: bool,
    /// Of its file, looked at before that was last read, or was to be; none: it has none, or there was none.
    pub(super) stamp: Option<Stamp>,
    /// Its record, which another registry may have as well, does not know of it: it may never be in force (`tell`).
    pub(super) is_untold: bool,
}

impl Entry {
    /// What follows another entry of its name: that itself where nothing is defined anew.
    pub(super) fn following(spec: Spec, resources: &Resources, before: Option<&Self>) -> Self {
        match before {
            Some(before) if before.defined == spec && !before.may_be_mended() => {
                let state = match &before.loaded {
                    // What it needs may have come, or gone.
                    Loaded::Process(_) => before.loaded.state(),
                    // A file that could not be loaded anew has not become better: only loading it tells.
                    Loaded::Native(_) | Loaded::Broken { .. } => before.state,
                    #[cfg(feature = "wasm")]
                    Loaded::Wasm(..) => before.state,
                };
                Self { state, is_added: false, ..before.clone() }
            }
            Some(_) | None => Self::next(spec, resources, before),
        }
    }

    /// A further generation, or the first one.
    pub(super) fn next(spec: Spec, resources: &Resources, before: Option<&Self>) -> Self {
        let record = before.map_or_else(Arc::default, |before| before.loaded.record());
        let stamp = settled(&spec);
        let loaded = Loaded::new(spec.clone(), resources, record);
        let generation = before.map_or(0, |before| before.generation) + 1;
        let state = loaded.state();
        let (is_added, is_dropped, is_untold) = (false, false, true);
        Self { defined: spec, state, loaded, generation, is_added, is_dropped, stamp, is_untold }
    }

    /// Tells the record of this generation, once.
    pub(super) fn tell(&mut self) {
        if std::mem::take(&mut self.is_untold) {
            let record = self.loaded.record();
            // What was wrong may be mended.
            record.wake_up();
            if let Loaded::Broken { why, .. } = &self.loaded {
                record.note_error(why.clone());
            }
        }
    }

    /// Why it last failed a message, or could not be loaded.
    pub(super) fn last_error(&self) -> String {
        match &self.loaded {
            Loaded::Broken { why, .. } if self.is_untold => why.clone(),
            loaded => loaded.record().last_error(),
        }
    }

    /// Whether its file never was one, and is another one now.
    fn may_be_mended(&self) -> bool {
        matches!(self.loaded, Loaded::Broken { .. }) && self.stamp != stamp(&self.defined)
    }

    /// Whether it is what it would be if it were loaded anew, as far as that can be told without.
    pub(super) fn is_current(&self) -> bool {
        // What failed may have failed by something else than what is in its file.
        let is_well = self.state == State::Ready && self.loaded.state() == State::Ready;
        is_well && self.stamp == stamp(&self.defined)
    }
}

/// The stamp of the file that a transform is made of; none: there is no file, or it is a program, which is looked for
/// by each message.
pub(super) fn stamp(defined: &Spec) -> Option<Stamp> {
    match defined {
        Spec::Process(_) => None,
        Spec::Plugin(spec) => Stamp::of(&spec.file),
    }
}

/// The same, of a file that is about to be read.
pub(super) fn settled(defined: &Spec) -> Option<Stamp> {
    match defined {
        Spec::Process(_) => None,
        Spec::Plugin(spec) => Stamp::settled(&spec.file),
    }
}

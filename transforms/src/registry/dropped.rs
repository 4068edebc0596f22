//! Transforms that are there because their files lie in the folder of transforms.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use pop3d_core::transform::registry::{FolderChange, RESERVED_NAMES, State, is_name};

use super::Registry;
use super::entry::{Entry, stamp};
use super::loaded::Loaded;
use crate::folder::is_code;
use crate::spec::{Awaited, PluginSpec, Spec};

/// The plugins that lie in a folder and that nothing else names.
pub(super) fn dropped_in(
    folder: Option<&Path>,
    template: &PluginSpec,
    awaited: &[Awaited],
    is_named: impl Fn(&str) -> bool,
) -> Vec<Spec> {
    let Some(folder) = folder else { return Vec::new() };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            log::error!(target: "pop3d::transform", "the folder {} cannot be read: {error}", folder.display());
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut specs: Vec<PluginSpec> = Vec::new();
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_taken = is_named(name) || RESERVED_NAMES.contains(&name);
        if !is_code(&file) || !is_name(name) || is_taken {
            continue;
        }
        if let Some(other) = specs.iter().find(|spec| spec.name == name) {
            log::warn!(
                target: "pop3d::transform",
                "{} is no transform: {} has its name", file.display(), other.file.display(),
            );
            continue;
        }
        let own = awaited.iter().find(|awaited| awaited.spec.name == name);
        if own.is_some_and(|own| !own.fits(&file)) {
            log::warn!(
                target: "pop3d::transform",
                "{} is no transform: the keys of [transforms.{name}] are not for its kind", file.display(),
            );
            continue;
        }
        let template = own.map_or(template, |own| &own.spec);
        specs.push(PluginSpec { name: name.to_owned(), file: file.clone(), ..template.clone() });
    }
    specs.into_iter().map(Spec::Plugin).collect()
}

impl Registry {
    /// Whether a transform is there because this file lies in the folder, or once did (`note_lost`).
    pub(super) fn is_of_folder(&self, name: &str, file: &str) -> bool {
        let is_of = |entry: &Entry| match (&entry.defined, &self.folder) {
            (Spec::Plugin(spec), Some(folder)) => {
                let is_lost = entry.is_added && matches!(entry.loaded, Loaded::Broken { .. });
                (entry.is_dropped || is_lost) && spec.file == folder.join(file)
            }
            (Spec::Plugin(_) | Spec::Process(_), _) => false,
        };
        self.entry(name).is_ok_and(|entry| is_of(&entry))
    }

    /// Takes away what is there because a file has its name, where another file that is there was loaded by it. The caller
    /// holds `changing`.
    pub(super) fn drop_in_the_way(&self, name: &str, file: &str) {
        let mut entries = self.entries();
        let (Some(folder), Some(entry)) = (&self.folder, entries.get(name)) else { return };
        let Spec::Plugin(spec) = &entry.defined else { return };
        let kept = folder.join(file);
        if !entry.is_dropped || spec.file == kept || file.contains('/') || !kept.is_file() {
            return;
        }
        let other = spec.file.display();
        log::warn!(
            target: "pop3d::transform",
            "{other} is no transform: {} was loaded by its name, {name}, at run time", kept.display(),
        );
        let removed = entries.remove(name);
        // What it was made of may take a while to end.
        drop(entries);
        drop(removed);
    }

    /// Lists what an earlier process has loaded and this one cannot, so that it is told why, is loaded once that is possible,
    /// and can be taken away.
    pub(super) fn note_lost(&self, name: &str, file: &str, why: &str) {
        let Some(folder) = self.folder.as_ref().filter(|_| is_name(name) && !file.contains('/')) else {
            return;
        };
        let _changing = self.change();
        let spec = self.spec_of(name, folder.join(file));
        let mut entry = Entry {
            defined: Spec::Plugin(spec.clone()),
            loaded: Loaded::Broken { spec, record: Arc::default(), why: why.to_owned() },
            state: State::Failed,
            generation: 1,
            is_added: true,
            is_dropped: false,
            // Whatever is there may be what it is loaded by.
            stamp: None,
            is_untold: true,
        };
        entry.tell();
        self.entries().entry(name.to_owned()).or_insert(entry);
    }

    /// Makes transforms of files that are none yet; whether there was one. The caller holds `changing`.
    pub(super) fn make_dropped(&self, changed: &FolderChange) -> bool {
        let is_named = |name: &str| self.entries().contains_key(name);
        let found = dropped_in(self.folder.as_deref(), &self.plugin_template, &self.awaited, is_named);
        let mut is_any = false;
        for spec in found.into_iter().filter(|spec| concerns(changed, spec)) {
            let name = spec.name().to_owned();
            let mut entry = Entry { is_dropped: true, ..Entry::next(spec, &self.resources, None) };
            entry.tell();
            if entry.state == State::Ready {
                log::info!(target: "pop3d::transform", "transform {name} was put into the folder, and loaded");
            }
            self.entries().insert(name, entry);
            is_any = true;
        }
        is_any
    }

    /// Loads anew what is made of files that changed, since they were last read or were to be; whether there is another
    /// generation of one. The caller holds `changing`.
    pub(super) fn reload_changed(&self, changed: &FolderChange) -> bool {
        let entries = self.entries().clone();
        let mut is_any = false;
        for (name, entry) in entries {
            let Spec::Plugin(spec) = &entry.defined else { continue };
            if !concerns(changed, &entry.defined) || !self.has_in_folder(&spec.file) {
                continue;
            }
            let now = stamp(&entry.defined);
            // Where it is not known what has happened, it may be what kept it from being loaded.
            let is_to_be_tried = changed.files.is_none() && entry.state == State::Failed;
            if entry.stamp == now && !is_to_be_tried {
                continue;
            }
            if now.is_none() && entry.is_dropped && entry.loaded.transform().is_none() {
                log::info!(target: "pop3d::transform", "transform {name}, which could not be loaded, is gone");
                self.entries().remove(&name);
                continue;
            }
            match self.make_anew(&name) {
                Ok(()) => {
                    let generation = entry.generation + 1;
                    log::info!(
                        target: "pop3d::transform",
                        "the file of transform {name} was replaced, and loaded: generation {generation}",
                    );
                    is_any = true;
                }
                Err(error) if entry.loaded.transform().is_none() => log::error!(
                    target: "pop3d::transform",
                    "the file of transform {name} cannot be loaded: {error}",
                ),
                Err(error) => log::error!(
                    target: "pop3d::transform",
                    "the file of transform {name} was changed, and what was loaded before goes on: {error}",
                ),
            }
        }
        is_any
    }

    /// Whether a file lies in the folder of transforms, by whatever path.
    fn has_in_folder(&self, file: &Path) -> bool {
        let (Some(folder), Some(parent)) = (&self.folder, file.parent()) else { return false };
        let identity = |path: &Path| {
            let identity = |it: Metadata| (it.dev(), it.ino());
            path.metadata().map(identity).ok()
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        parent == folder || (identity(parent).is_some() && identity(parent) == identity(folder))
    }
}

fn concerns(changed: &FolderChange, spec: &Spec) -> bool {
    match spec {
        Spec::Process(_) => false,
        Spec::Plugin(PluginSpec { file, .. }) => file.file_name().is_some_and(|name| changed.concerns(name)),
    }
}

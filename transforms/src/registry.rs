//! Transforms by name: what the configuration says and an administrator changes, as generations of each.
//!
//! Not here: how a kind of transform is made (`registry/loaded.rs`) and works (`process.rs`), and what core asks of a registry
//! (`pop3d_core::transform::registry`).

mod dropped;
mod entry;
mod loaded;
mod together;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pop3d_core::transform::registry::{
    self, FolderChange, Listed, PROGRAM_NAME, RESERVED_NAMES, RegistryError, State, is_name,
};
use pop3d_core::transform::{Kind, Transform, TransformStatistics};

use self::dropped::dropped_in;
use self::entry::{Entry, settled};
use self::loaded::Loaded;
use crate::folder::is_code;
use crate::process::check;
use crate::resources::Resources;
use crate::spec::{Awaited, CommandLine, Isolation, PluginSpec, ProcessSpec, Spec};

/// What the configuration says of transforms.
pub struct Definitions {
    /// All that it names. No name is there twice, and none is reserved.
    pub specs: Vec<Spec>,
    /// How a program is run that an administrator names: all but its name and its command.
    pub template: ProcessSpec,
    /// How a plugin is run that an administrator loads: all but its name and its file.
    pub plugin_template: PluginSpec,
    /// The folder that files are loaded from: each is a transform named by its stem, unless `specs` names it.
    pub folder: Option<PathBuf>,
    /// What is said of some of them: no name is there twice, or in `specs`.
    pub awaited: Vec<Awaited>,
    /// What an administrator may do.
    pub permissions: Permissions,
}

/// What an administrator may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permissions {
    /// Load files from the folder of transforms.
    pub transform_load: bool,
    /// Have any program run.
    pub transform_exec: bool,
}

/// All transforms there are, by name.
pub struct Registry {
    resources: Resources,
    template: ProcessSpec,
    plugin_template: PluginSpec,
    folder: Option<PathBuf>,
    awaited: Vec<Awaited>,
    permissions: Permissions,
    /// Held from the first look to the last by who changes something: files are looked for in between.
    changing: Mutex<()>,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { transform_load: true, transform_exec: false }
    }
}

impl Definitions {
    /// Those of these names alone, so that nothing else is loaded.
    #[must_use]
    pub fn only(mut self, names: &[String]) -> Self {
        let is_named = |name: &str| self.specs.iter().any(|spec| spec.name() == name);
        let dropped_in = dropped_in(self.folder.as_deref(), &self.plugin_template, &self.awaited, is_named);
        self.specs.extend(dropped_in);
        self.specs.retain(|spec| names.iter().any(|name| name == spec.name()));
        Self { folder: None, ..self }
    }
}

impl Registry {
    /// The first generation of all that is defined.
    #[must_use]
    pub fn new(definitions: Definitions, resources: Resources) -> Self {
        let registry = Self::following(definitions, resources, &BTreeMap::new());
        registry.taken();
        registry
    }

    /// What follows this registry once the configuration was read again, and `taken` was called. This one does not change.
    ///
    /// Names that stay keep their statistics, their last errors and their generations; one whose definition is the same
    /// keeps its very transform, with the options that were set. The program of `set_program` stays as long as it is
    /// permitted, and the files of `load` as long as the folder is the same: that no more of them may be loaded takes none
    /// away. What else an administrator has changed is as the configuration has it.
    #[must_use]
    pub fn renewed(&self, mut definitions: Definitions) -> Self {
        let _changing = self.change();
        let entries = self.entries().clone();
        if let Some(entry) = entries.get(PROGRAM_NAME)
            && definitions.permissions.transform_exec
            && let Spec::Process(spec) = &entry.defined
        {
            definitions.specs.push(program(&definitions.template, spec.command.clone()));
        }
        let is_same_folder = definitions.folder == self.folder;
        let added = if is_same_folder { added(&definitions, &entries) } else { Vec::new() };
        let names: Vec<_> = added.iter().map(|spec| spec.name().to_owned()).collect();
        definitions.specs.extend(added);
        let renewed = Self::following(definitions, self.resources.clone(), &entries);
        for name in &names {
            if let Some(entry) = renewed.entries().get_mut(name) {
                entry.is_added = true;
            }
        }
        renewed
    }

    /// This registry is in force from here on: what it has of other generations is told to their records.
    pub fn taken(&self) {
        self.entries().values_mut().for_each(Entry::tell);
    }

    fn following(definitions: Definitions, resources: Resources, before: &BTreeMap<String, Entry>) -> Self {
        let Definitions { specs, template, plugin_template, folder, awaited, permissions } = definitions;
        let is_named = |name: &str| specs.iter().any(|spec| spec.name() == name);
        let dropped_in = dropped_in(folder.as_deref(), &plugin_template, &awaited, is_named);
        let specs = specs.into_iter().map(|spec| (spec, false));
        let specs = specs.chain(dropped_in.into_iter().map(|spec| (spec, true)));
        let entries = Mutex::new(together::follow(specs.collect(), &resources, before));
        let changing = Mutex::new(());
        Self { resources, template, plugin_template, folder, awaited, permissions, changing, entries }
    }

    /// The folder whose files are to be taken in as they come; none: nothing is loaded while the server runs.
    #[must_use]
    pub fn watched_folder(&self) -> Option<&Path> {
        self.folder.as_deref().filter(|_| self.permissions.transform_load)
    }

    /// What the transform of that name is made of.
    #[must_use]
    pub fn spec(&self, name: &str) -> Option<Spec> {
        self.entries().get(name).map(|entry| entry.defined.clone())
    }

    /// Why the transform of that name cannot be used; none: it can, or there is none.
    #[must_use]
    pub fn obstacle(&self, name: &str) -> Option<String> {
        let loaded = self.entries().get(name).map(|entry| entry.loaded.clone())?;
        loaded.check().err()
    }

    /// Ends the rest of the transform of that name, so that the next message tries it, whatever has failed before.
    pub fn wake_up(&self, name: &str) {
        let record = self.entries().get(name).map(|entry| entry.loaded.record());
        if let Some(record) = record {
            record.wake_up();
        }
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, name: &str) -> Result<Entry, RegistryError> {
        self.entries().get(name).cloned().ok_or(RegistryError::NoSuchTransform)
    }

    /// What a file in the folder is loaded by under a name.
    fn spec_of(&self, name: &str, file: PathBuf) -> PluginSpec {
        let template = template_of(name, &file, &self.awaited, &self.plugin_template);
        PluginSpec { name: name.to_owned(), file, ..template.clone() }
    }

    /// Makes a transform of a file in the folder, whether or not that is permitted by now.
    fn load_file(&self, name: &str, file: &str) -> Result<(), RegistryError> {
        let is_free = || !self.entries().contains_key(name) || self.is_of_folder(name, file);
        if RESERVED_NAMES.contains(&name) || !is_free() {
            return Err(RegistryError::NameInUse);
        }
        let not_loadable = |what: String| Err(RegistryError::NotLoadable(what));
        if !is_name(name) {
            return not_loadable(format!("{name} cannot be a name"));
        }
        let Some(folder) = &self.folder else {
            return not_loadable("the configuration names no transform_dir".to_owned());
        };
        // Nothing outside of the folder can be named.
        if file.contains('/') || !is_code(Path::new(file)) {
            return not_loadable(format!("{file} is no .so or .wasm file of {}", folder.display()));
        }
        let _changing = self.change();
        if !is_free() {
            return Err(RegistryError::NameInUse);
        }
        let spec = self.spec_of(name, folder.join(file));
        let defined = Spec::Plugin(spec.clone());
        // It may have been noticed by itself a moment ago, and is what it is then.
        let before = self.entry(name).ok().filter(|before| before.defined == defined);
        if let Some(before) = before.as_ref().filter(|before| before.is_current()) {
            let entry = Entry { is_added: true, is_dropped: false, ..before.clone() };
            self.entries().insert(name.to_owned(), entry);
            return Ok(());
        }
        let stamp = settled(&defined);
        let record = before.as_ref().map_or_else(Arc::default, |before| before.loaded.record());
        let loaded = Loaded::of_file(spec, &self.resources, record);
        let loaded = loaded.map_err(RegistryError::NotLoadable)?;
        // What was wrong may be mended.
        loaded.record().wake_up();
        let generation = before.map_or(0, |before| before.generation) + 1;
        let state = State::Ready;
        let (is_added, is_dropped, is_untold) = (true, false, false);
        let entry = Entry { defined, state, loaded, generation, is_added, is_dropped, stamp, is_untold };
        self.entries().insert(name.to_owned(), entry);
        Ok(())
    }

    /// Puts a further generation in place of the current one. The caller holds `changing`.
    fn replace(
        &self,
        name: &str,
        next: impl FnOnce(&Loaded) -> Result<Loaded, String>,
    ) -> Result<(), RegistryError> {
        let entry = self.entry(name)?;
        let stamp = settled(&entry.defined);
        let loaded = next(&entry.loaded).map_err(RegistryError::NotLoadable)?;
        // What was wrong may be mended.
        loaded.record().wake_up();
        let entry = Entry { state: loaded.state(), loaded, generation: entry.generation + 1, stamp, ..entry };
        self.entries().insert(name.to_owned(), entry);
        Ok(())
    }

    /// Makes a further generation of what a transform is made of at the moment. The caller holds `changing`.
    fn make_anew(&self, name: &str) -> Result<(), RegistryError> {
        let stamp = self.entry(name).map(|entry| settled(&entry.defined))?;
        self.replace(name, |loaded| loaded.reloaded(&self.resources)).inspect_err(|error| {
            // The older generation goes on serving; that it is not what lies on the disk is told by its state.
            if let RegistryError::NotLoadable(what) = error
                && let Some(entry) = self.entries().get_mut(name)
            {
                entry.state = State::Failed;
                entry.stamp = stamp;
                entry.loaded.record().note_error(what.clone());
            }
        })
    }
}

impl registry::Registry for Registry {
    fn list(&self) -> Vec<Listed> {
        let entries = self.entries();
        let list = entries.iter().map(|(name, entry)| Listed {
            name: name.clone(),
            kind: entry.loaded.kind(),
            state: entry.state,
            generation: entry.generation,
        });
        list.collect()
    }

    fn transform(&self, name: &str) -> Option<Arc<dyn Transform>> {
        self.entries().get(name).and_then(|entry| entry.loaded.transform())
    }

    fn load(&self, name: &str, file: &str) -> Result<(), RegistryError> {
        if !self.permissions.transform_load {
            let is_free = !RESERVED_NAMES.contains(&name) && !self.entries().contains_key(name);
            return Err(if is_free { RegistryError::NotPermitted } else { RegistryError::NameInUse });
        }
        self.load_file(name, file)
    }

    fn load_kept(&self, name: &str, file: &str) -> Result<(), RegistryError> {
        // It was permitted when it was loaded.
        self.load_file(name, file).inspect_err(|error| {
            if let RegistryError::NotLoadable(why) = error {
                self.note_lost(name, file, why);
            }
        })
    }

    fn make_way(&self, name: &str, file: &str) {
        let _changing = self.change();
        self.drop_in_the_way(name, file);
    }

    fn look(&self) -> Result<(), RegistryError> {
        if !self.permissions.transform_load {
            return Err(RegistryError::NotPermitted);
        }
        let _changing = self.change();
        self.make_dropped(&FolderChange::default());
        Ok(())
    }

    fn take_in(&self, changed: &FolderChange) -> bool {
        if !self.permissions.transform_load {
            return false;
        }
        let _changing = self.change();
        let is_first = self.make_dropped(changed);
        let is_further = self.reload_changed(changed);
        is_first || is_further
    }

    fn is_to_stay(&self, name: &str) -> bool {
        self.entry(name).is_ok_and(|entry| is_loaded_here(&entry.defined) && entry.is_current())
    }

    fn remove(&self, name: &str) -> Result<(), RegistryError> {
        let _changing = self.change();
        let removed = self.entries().remove(name);
        removed.map(drop).ok_or(RegistryError::NoSuchTransform)
    }

    fn reload(&self, name: &str) -> Result<(), RegistryError> {
        if self.entries().contains_key(name) && !self.permissions.transform_load {
            return Err(RegistryError::NotPermitted);
        }
        let _changing = self.change();
        self.make_anew(name)
    }

    fn set_option(&self, name: &str, key: &str, value: &str) -> Result<(), RegistryError> {
        let _changing = self.change();
        self.replace(name, |loaded| loaded.with_option(key, value, &self.resources))
    }

    fn set_program(&self, command: &str) -> Result<String, RegistryError> {
        if !self.permissions.transform_exec {
            return Err(RegistryError::NotPermitted);
        }
        let command = Some(command).filter(|command| !command.contains('\0')).and_then(CommandLine::parse);
        let command =
            command.ok_or_else(|| RegistryError::NoSuchProgram("no program is named".to_owned()))?;
        let spec = program(&self.template, command);
        let _changing = self.change();
        let before = self.entries().get(PROGRAM_NAME).cloned();
        if let Spec::Process(process) = &spec {
            check(process).map_err(RegistryError::NoSuchProgram)?;
        }
        let mut entry = Entry::next(spec, &self.resources, before.as_ref());
        entry.tell();
        self.entries().insert(PROGRAM_NAME.to_owned(), entry);
        Ok(PROGRAM_NAME.to_owned())
    }

    fn statistics(&self, name: &str) -> Option<TransformStatistics> {
        let record = self.entries().get(name).map(|entry| entry.loaded.record())?;
        Some(record.statistics())
    }

    fn restore(&self, name: &str, before: &TransformStatistics) -> bool {
        let record = self.entries().get(name).map(|entry| entry.loaded.record());
        record.map(|record| record.restore(before)).is_some()
    }

    fn last_error(&self, name: &str) -> Option<String> {
        self.entries().get(name).map(Entry::last_error)
    }
}

/// Whether it is a library in this process, which is never unloaded.
fn is_loaded_here(defined: &Spec) -> bool {
    match defined {
        Spec::Process(_) => false,
        Spec::Plugin(spec) => spec.isolation == Isolation::None && spec.kind() == Some(Kind::Native),
    }
}

/// What a file is loaded by under a name: the table that waits for it, or what holds for those without one.
fn template_of<'of>(
    name: &str,
    file: &Path,
    awaited: &'of [Awaited],
    template: &'of PluginSpec,
) -> &'of PluginSpec {
    let awaited = awaited.iter().find(|awaited| awaited.spec.name == name && awaited.fits(file));
    awaited.map_or(template, |awaited| &awaited.spec)
}

/// What an administrator loaded, but for names that the configuration has by now.
fn added(definitions: &Definitions, entries: &BTreeMap<String, Entry>) -> Vec<Spec> {
    let is_named = |name: &str| definitions.specs.iter().any(|spec| spec.name() == name);
    let spec = |(name, entry): (&String, &Entry)| match &entry.defined {
        Spec::Plugin(PluginSpec { file, .. }) if entry.is_added && !is_named(name) => {
            let (name, file) = (name.clone(), file.clone());
            let template = template_of(&name, &file, &definitions.awaited, &definitions.plugin_template);
            Some(Spec::Plugin(PluginSpec { name, file, ..template.clone() }))
        }
        Spec::Plugin(_) | Spec::Process(_) => None,
    };
    entries.iter().filter_map(spec).collect()
}

/// The transform of `set_program`.
fn program(template: &ProcessSpec, command: CommandLine) -> Spec {
    Spec::Process(ProcessSpec { name: PROGRAM_NAME.to_owned(), command, ..template.clone() })
}

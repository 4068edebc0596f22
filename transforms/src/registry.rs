//! Transforms by name: what the configuration says and an administrator changes, as generations of each.
//!
//! Not here: how a kind of transform is made and works (`process.rs`), and what core asks of a registry
//! (`pop3d_core::transform::registry`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pop3d_core::transform::registry::{
    self, Listed, PROGRAM_NAME, RESERVED_NAMES, RegistryError, State, is_name,
};
use pop3d_core::transform::{Kind, Transform, TransformStatistics};

use crate::native::Native;
use crate::process::{Process, Resources, check};
use crate::record::Record;
use crate::spec::{CommandLine, NativeSpec, ProcessSpec, Spec};

/// What the configuration says of transforms.
pub struct Definitions {
    /// All that it names. No name is there twice, and none is reserved.
    pub specs: Vec<Spec>,
    /// How a program is run that an administrator names: all but its name and its command.
    pub template: ProcessSpec,
    /// How a plugin is run that an administrator loads: all but its name and its file.
    pub native_template: NativeSpec,
    /// The folder that files are loaded from: each is a transform named by its stem, unless `specs` names it.
    pub folder: Option<PathBuf>,
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
    native_template: NativeSpec,
    folder: Option<PathBuf>,
    permissions: Permissions,
    /// Held from the first look to the last by who changes something: files are looked for in between.
    changing: Mutex<()>,
    entries: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    /// As it was defined: options that were set since are not in it.
    defined: Spec,
    loaded: Loaded,
    state: State,
    generation: u64,
}

/// The current transform of a name. Each kind says here how it is made and changed.
#[derive(Clone)]
enum Loaded {
    Process(Arc<Process>),
    Native(Arc<Native>),
    /// What could not be loaded; its record has why.
    Broken {
        spec: NativeSpec,
        record: Arc<Record>,
    },
}

impl Default for Permissions {
    fn default() -> Self {
        Self { transform_load: true, transform_exec: false }
    }
}

impl Registry {
    /// The first generation of all that is defined.
    #[must_use]
    pub fn new(definitions: Definitions, resources: Resources) -> Self {
        Self::following(definitions, resources, &BTreeMap::new())
    }

    /// What follows this registry once the configuration was read again. This one does not change.
    ///
    /// Names that stay keep their statistics, their last errors and their generations; one whose definition is the same
    /// keeps its very transform, with the options that were set. The program of `set_program` stays as long as it is
    /// permitted. What else an administrator has changed is as the configuration has it.
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
        Self::following(definitions, self.resources.clone(), &entries)
    }

    fn following(definitions: Definitions, resources: Resources, before: &BTreeMap<String, Entry>) -> Self {
        let Definitions { mut specs, template, native_template, folder, permissions } = definitions;
        let is_named = |name: &str| specs.iter().any(|spec| spec.name() == name);
        let dropped_in = dropped_in(folder.as_deref(), &native_template, is_named);
        specs.extend(dropped_in);
        let entries = specs.into_iter().map(|spec| {
            let before = before.get(spec.name());
            (spec.name().to_owned(), Entry::following(spec, &resources, before))
        });
        let entries = Mutex::new(entries.collect());
        let changing = Mutex::new(());
        Self { resources, template, native_template, folder, permissions, changing, entries }
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

    /// Puts a further generation in place of the current one.
    fn replace(
        &self,
        name: &str,
        next: impl FnOnce(&Loaded) -> Result<Loaded, String>,
    ) -> Result<(), RegistryError> {
        let _changing = self.change();
        let entry = self.entry(name)?;
        let loaded = next(&entry.loaded).map_err(RegistryError::NotLoadable)?;
        let entry = Entry { state: loaded.state(), loaded, generation: entry.generation + 1, ..entry };
        self.entries().insert(name.to_owned(), entry);
        Ok(())
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
        if RESERVED_NAMES.contains(&name) || self.entries().contains_key(name) {
            return Err(RegistryError::NameInUse);
        }
        if !self.permissions.transform_load {
            return Err(RegistryError::NotPermitted);
        }
        let not_loadable = |what: String| Err(RegistryError::NotLoadable(what));
        if !is_name(name) {
            return not_loadable(format!("{name} cannot be a name"));
        }
        let Some(folder) = &self.folder else {
            return not_loadable("the configuration names no transform_dir".to_owned());
        };
        // Nothing outside of the folder can be named.
        if file.contains('/') || file.starts_with('.') || !file.ends_with(".so") {
            return not_loadable(format!("{file} is no .so file of {}", folder.display()));
        }
        let _changing = self.change();
        if self.entries().contains_key(name) {
            return Err(RegistryError::NameInUse);
        }
        let spec =
            NativeSpec { name: name.to_owned(), file: folder.join(file), ..self.native_template.clone() };
        let native = Native::load(spec.clone(), self.resources.pool.clone(), Arc::default());
        let loaded = Loaded::Native(Arc::new(native.map_err(RegistryError::NotLoadable)?));
        let entry = Entry { defined: Spec::Native(spec), state: State::Ready, loaded, generation: 1 };
        self.entries().insert(name.to_owned(), entry);
        Ok(())
    }

    fn look(&self) {
        let _changing = self.change();
        let is_named = |name: &str| self.entries().contains_key(name);
        for spec in dropped_in(self.folder.as_deref(), &self.native_template, is_named) {
            let name = spec.name().to_owned();
            let entry = Entry::next(spec, &self.resources, None);
            self.entries().insert(name, entry);
        }
    }

    fn remove(&self, name: &str) -> Result<(), RegistryError> {
        let _changing = self.change();
        let removed = self.entries().remove(name);
        removed.map(drop).ok_or(RegistryError::NoSuchTransform)
    }

    fn reload(&self, name: &str) -> Result<(), RegistryError> {
        if self.transform(name).is_some() && !self.permissions.transform_load {
            return Err(RegistryError::NotPermitted);
        }
        self.replace(name, |loaded| loaded.reloaded(&self.resources))
    }

    fn set_option(&self, name: &str, key: &str, value: &str) -> Result<(), RegistryError> {
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
        let entry = Entry::next(spec, &self.resources, before.as_ref());
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
        let record = self.entries().get(name).map(|entry| entry.loaded.record())?;
        Some(record.last_error())
    }
}

impl Entry {
    /// What follows another entry of its name: that itself where nothing is defined anew.
    fn following(spec: Spec, resources: &Resources, before: Option<&Self>) -> Self {
        match before {
            // What it needs may have come, or gone.
            Some(before) if before.defined == spec => Self { state: before.loaded.state(), ..before.clone() },
            Some(_) | None => Self::next(spec, resources, before),
        }
    }

    /// A further generation, or the first one.
    fn next(spec: Spec, resources: &Resources, before: Option<&Self>) -> Self {
        let record = before.map_or_else(Arc::default, |before| before.loaded.record());
        let loaded = Loaded::new(spec.clone(), resources, record);
        let generation = before.map_or(0, |before| before.generation) + 1;
        Self { defined: spec, state: loaded.state(), loaded, generation }
    }
}

impl Loaded {
    fn new(spec: Spec, resources: &Resources, record: Arc<Record>) -> Self {
        match spec {
            Spec::Process(spec) => {
                Self::Process(Arc::new(Process::generation(spec, resources.clone(), record)))
            }
            Spec::Native(spec) => {
                match Native::load(spec.clone(), resources.pool.clone(), Arc::clone(&record)) {
                    Ok(native) => Self::Native(Arc::new(native)),
                    Err(what) => {
                        log::error!(target: "pop3d::transform", "transform {} cannot be loaded: {what}", spec.name);
                        record.note_error(what);
                        Self::Broken { spec, record }
                    }
                }
            }
        }
    }

    fn transform(&self) -> Option<Arc<dyn Transform>> {
        match self {
            Self::Process(process) => Some(Arc::clone(process) as Arc<dyn Transform>),
            Self::Native(native) => Some(Arc::clone(native) as Arc<dyn Transform>),
            Self::Broken { .. } => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Process(process) => process.kind(),
            Self::Native(_) | Self::Broken { .. } => Kind::Native,
        }
    }

    fn record(&self) -> Arc<Record> {
        match self {
            Self::Process(process) => Arc::clone(process.record()),
            Self::Native(native) => Arc::clone(native.record()),
            Self::Broken { record, .. } => Arc::clone(record),
        }
    }

    /// Whether all that it needs is there.
    fn state(&self) -> State {
        match self {
            Self::Process(process) if check(process.spec()).is_err() => State::Failed,
            Self::Process(_) | Self::Native(_) => State::Ready,
            Self::Broken { .. } => State::Failed,
        }
    }

    /// The same, from what it is made of as that is at the moment.
    fn reloaded(&self, resources: &Resources) -> Result<Self, String> {
        match self {
            Self::Process(process) => {
                check(process.spec())?;
                let spec = Spec::Process(process.spec().clone());
                Ok(Self::new(spec, resources, self.record()))
            }
            Self::Native(native) => self.native(native.spec().clone(), resources),
            Self::Broken { spec, .. } => self.native(spec.clone(), resources),
        }
    }

    fn with_option(&self, key: &str, value: &str, resources: &Resources) -> Result<Self, String> {
        match self {
            Self::Process(process) => {
                let mut spec = process.spec().clone();
                spec.set_option(key, value)?;
                Ok(Self::new(Spec::Process(spec), resources, self.record()))
            }
            Self::Native(native) => self.native(native.spec().clone().with_option(key, value), resources),
            Self::Broken { spec, .. } => self.native(spec.clone().with_option(key, value), resources),
        }
    }
}

impl Loaded {
    /// A plugin that was loaded, as a further generation.
    fn native(&self, spec: NativeSpec, resources: &Resources) -> Result<Self, String> {
        let native = Native::load(spec, resources.pool.clone(), self.record());
        native.map(|native| Self::Native(Arc::new(native))).inspect_err(|what| {
            self.record().note_error(what.clone());
        })
    }
}

/// The plugins that lie in a folder and that nothing else names.
fn dropped_in(folder: Option<&Path>, template: &NativeSpec, is_named: impl Fn(&str) -> bool) -> Vec<Spec> {
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
    let spec = |file: PathBuf| {
        let name = file.file_stem()?.to_str()?.to_owned();
        let is_plugin = file.extension().is_some_and(|ending| ending == "so") && !name.starts_with('.');
        let is_taken = is_named(&name) || RESERVED_NAMES.contains(&name.as_str());
        let spec = || Spec::Native(NativeSpec { name: name.clone(), file: file.clone(), ..template.clone() });
        (is_plugin && is_name(&name) && !is_taken).then(spec)
    };
    files.into_iter().filter_map(spec).collect()
}

/// The transform of `set_program`.
fn program(template: &ProcessSpec, command: CommandLine) -> Spec {
    Spec::Process(ProcessSpec { name: PROGRAM_NAME.to_owned(), command, ..template.clone() })
}

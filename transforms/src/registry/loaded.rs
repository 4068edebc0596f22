//! What a transform of any kind is made of: the one place where each kind says how it is made, changed and looked at.

use std::sync::Arc;

use pop3d_core::transform::registry::State;
use pop3d_core::transform::{Kind, Transform};

use crate::native::Native;
#[cfg(feature = "wasm")]
use crate::native::library;
use crate::process::{Process, check};
use crate::record::Record;
use crate::resources::Resources;
use crate::spec::{PluginSpec, Spec};
#[cfg(feature = "wasm")]
use crate::wasm::{Wasm, WasmSpec};

/// The current transform of a name. Each kind says here how it is made and changed.
#[derive(Clone)]
pub(super) enum Loaded {
    Process(Arc<Process>),
    Native(Arc<Native>),
    #[cfg(feature = "wasm")]
    Wasm(Arc<Wasm>, PluginSpec),
    /// What could not be loaded.
    Broken {
        spec: PluginSpec,
        record: Arc<Record>,
        /// When it was made.
        why: String,
    },
}

impl Loaded {
    pub(super) fn new(spec: Spec, resources: &Resources, record: Arc<Record>) -> Self {
        match spec {
            Spec::Process(spec) => {
                Self::Process(Arc::new(Process::generation(spec, resources.clone(), record)))
            }
            Spec::Plugin(spec) => match Self::of_file(spec.clone(), resources, Arc::clone(&record)) {
                Ok(loaded) => loaded,
                Err(why) => {
                    log::error!(target: "pop3d::transform", "transform {} cannot be loaded: {why}", spec.name);
                    Self::Broken { spec, record, why }
                }
            },
        }
    }

    pub(super) fn transform(&self) -> Option<Arc<dyn Transform>> {
        match self {
            Self::Process(process) => Some(Arc::clone(process) as Arc<dyn Transform>),
            Self::Native(native) => Some(Arc::clone(native) as Arc<dyn Transform>),
            #[cfg(feature = "wasm")]
            Self::Wasm(wasm, _) => Some(Arc::clone(wasm) as Arc<dyn Transform>),
            Self::Broken { .. } => None,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Process(process) => process.kind(),
            Self::Native(_) => Kind::Native,
            #[cfg(feature = "wasm")]
            Self::Wasm(..) => Kind::Wasm,
            Self::Broken { spec, .. } => spec.kind().unwrap_or(Kind::Native),
        }
    }

    pub(super) fn record(&self) -> Arc<Record> {
        match self {
            Self::Process(process) => Arc::clone(process.record()),
            Self::Native(native) => Arc::clone(native.record()),
            #[cfg(feature = "wasm")]
            Self::Wasm(wasm, _) => Arc::clone(wasm.record()),
            Self::Broken { record, .. } => Arc::clone(record),
        }
    }

    pub(super) fn state(&self) -> State {
        if self.check().is_ok() { State::Ready } else { State::Failed }
    }

    /// Whether all that it needs is there.
    ///
    /// # Errors
    /// What is not.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Process(process) => check(process.spec()),
            Self::Native(_) => Ok(()),
            #[cfg(feature = "wasm")]
            Self::Wasm(..) => Ok(()),
            Self::Broken { why, .. } => Err(why.clone()),
        }
    }

    /// The same, from what it is made of as that is at the moment.
    pub(super) fn reloaded(&self, resources: &Resources) -> Result<Self, String> {
        match self {
            Self::Process(process) => {
                check(process.spec())?;
                let spec = Spec::Process(process.spec().clone());
                Ok(Self::new(spec, resources, self.record()))
            }
            Self::Native(native) => self.next_of_file(native.spec().clone(), resources),
            #[cfg(feature = "wasm")]
            Self::Wasm(_, spec) => self.next_of_file(spec.clone(), resources),
            Self::Broken { spec, .. } => self.next_of_file(spec.clone(), resources),
        }
    }

    pub(super) fn with_option(&self, key: &str, value: &str, resources: &Resources) -> Result<Self, String> {
        match self {
            Self::Process(process) => {
                let mut spec = process.spec().clone();
                spec.set_option(key, value)?;
                Ok(Self::new(Spec::Process(spec), resources, self.record()))
            }
            Self::Native(native) => {
                self.next_of_file(native.spec().clone().with_option(key, value), resources)
            }
            #[cfg(feature = "wasm")]
            Self::Wasm(_, spec) => self.next_of_file(spec.clone().with_option(key, value), resources),
            Self::Broken { spec, .. } => self.next_of_file(spec.clone().with_option(key, value), resources),
        }
    }

    /// A file that was loaded anew, as a further generation.
    fn next_of_file(&self, spec: PluginSpec, resources: &Resources) -> Result<Self, String> {
        Self::of_file(spec, resources, self.record()).inspect_err(|what| {
            self.record().note_error(what.clone());
        })
    }

    /// What a file of code is.
    pub(super) fn of_file(
        spec: PluginSpec,
        resources: &Resources,
        record: Arc<Record>,
    ) -> Result<Self, String> {
        match spec.kind() {
            Some(Kind::Native) => {
                let children = Arc::clone(&resources.children);
                let native = Native::load(spec, resources.pool.clone(), children, record)?;
                Ok(Self::Native(Arc::new(native)))
            }
            #[cfg(feature = "wasm")]
            Some(Kind::Wasm) => {
                let octets = library::read(&spec.file)?;
                let shown = spec.file.display().to_string();
                let engine = resources.wasm.engine()?;
                let wasm = Wasm::load(wasm_spec(&spec), &octets, &engine, resources.pool.clone(), record);
                Ok(Self::Wasm(Arc::new(wasm.map_err(|what| format!("{shown}: {what}"))?), spec))
            }
            #[cfg(not(feature = "wasm"))]
            Some(Kind::Wasm) => Err(format!("{}: this build has no WebAssembly", spec.file.display())),
            Some(Kind::Process) | None => {
                Err(format!("{} ends neither in .so nor in .wasm", spec.file.display()))
            }
        }
    }
}

#[cfg(feature = "wasm")]
fn wasm_spec(spec: &PluginSpec) -> WasmSpec {
    let PluginSpec { name, policy, timeout, cpu, max_output, queue_timeout, env, options, .. } = spec.clone();
    let memory = spec.memory.unwrap_or(WasmSpec::new("").memory);
    WasmSpec { name, policy, timeout, cpu, memory, max_output, queue_timeout, env, options }
}

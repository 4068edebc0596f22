//! What every trial needs: the configuration, the transforms of the chain and no others, and a loop that drives them.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use pop3d_core::offline::Offline;
use pop3d_core::pool::Pool;
use pop3d_core::transform;
use pop3d_core::transform::registry::chain;
use pop3d_transforms::registry::{Permissions, Registry};
use pop3d_transforms::resources::Resources;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli;
use crate::config::{File, Transforms};
use crate::exit::Exit;
use crate::signals::KILLED;

/// A chain that messages can pass through.
pub(super) struct Trial {
    pub(super) offline: Offline,
    pub(super) registry: Registry,
    /// None: messages are read as they are.
    pub(super) chain: Option<Arc<transform::Chain>>,
    /// Octets of output that a server would hold before "+OK".
    pub(super) hold: usize,
}

impl Trial {
    /// The chain of the command line.
    ///
    /// # Errors
    /// Where one of its links cannot be used.
    pub(super) fn new(arguments: &cli::Chain) -> Result<Self, Exit> {
        let file = arguments.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let folder = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let transforms = Transforms::of_chain(&file, &arguments.text, &folder)?;
        let (offline, resources) = tools(&file)?;
        let registry = Registry::new(transforms.definitions.only(&transforms.chain), resources);
        let names: Vec<_> = transforms.chain.iter().map(String::as_str).collect();
        for name in &names {
            if let Some(obstacle) = registry.obstacle(name) {
                return Err(Exit::Config(format!("transform {name} cannot be used: {obstacle}")));
            }
        }
        let chain = chain(&registry, &names).map_err(|error| {
            Exit::Config(format!("transform {}: {error}", names.get(error.index()).unwrap_or(&"")))
        })?;
        Ok(Self { offline, registry, chain, hold: transforms.hold })
    }

    /// What is in the chain: `none`, or names joined by commas.
    pub(super) fn name(&self) -> &str {
        self.chain.as_ref().map_or("none", |chain| &chain.name)
    }
}

/// All transforms of a configuration.
///
/// # Errors
/// Where it is wrong.
pub(super) fn all(config: &Path) -> Result<Registry, Exit> {
    let file = File::read(config)?;
    let transforms = Transforms::new(&file, &[], Permissions::default())?;
    let (_, resources) = tools(&file)?;
    Ok(Registry::new(transforms.definitions, resources))
}

/// The loop, and what transforms are made with.
fn tools(file: &File) -> Result<(Offline, Resources), Exit> {
    let system = |what: &str, error: std::io::Error| Exit::System(format!("cannot {what}: {error}"));
    let offline = Offline::new().map_err(|error| system("make a loop", error))?;
    let pools = &file.config.transform_pool;
    let threads = match pools.workers.as_ref().map_or(0, |workers| *workers.as_ref()) {
        0 => thread::available_parallelism().map_or(1, usize::from) + 1,
        threads => threads,
    };
    let pool = Pool::start("transforms", threads).map_err(|error| system("start a thread", error))?;
    let mut resources = Resources::new(pool, offline.reactor(), env!("CARGO_PKG_VERSION"));
    // What the server has compiled is of use here too, where it is of the same user: else the folder would become one that the
    // server does not trust.
    let is_own = |state: &Path| {
        let status = state.metadata();
        status.is_ok_and(|status| status.is_dir() && status.uid() == rustix::process::geteuid().as_raw())
    };
    let state = file.config.state.clone().or_else(pop3d_programs::state_folder).filter(|state| is_own(state));
    if let Some(state) = state {
        resources = resources.with_cache(state.join("wasm-cache"));
    }
    if let Some(instances) = pools.max_wasm_instances {
        resources = resources.with_instances(u32::try_from(instances).unwrap_or(u32::MAX));
    }
    end_children_with_us(&resources).map_err(|error| system("listen to signals", error))?;
    Ok((offline, resources))
}

/// Programs are of process groups of their own: what ends this process does not end them.
fn end_children_with_us(resources: &Resources) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let children = Arc::clone(&resources.children);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            children.kill_all();
            std::process::exit(KILLED + signal);
        }
    })?;
    Ok(())
}

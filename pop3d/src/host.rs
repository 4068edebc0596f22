//! What the administration asks of the program: the configuration read again, and the level of the log.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use log::{LevelFilter, warn};
use pop3d_core::accounts::file::edit::{self, Renewal};
use pop3d_core::accounts::{External, UserName};
use pop3d_core::administration::{Configured, Host};
use pop3d_core::transform::{self, Holding};
use pop3d_transforms::checkpassword::Checkpassword;
use pop3d_transforms::children::Children;
use pop3d_transforms::folder::FolderWatch;
use pop3d_transforms::registry::{Definitions, Registry};
use pop3d_transforms::resources::Resources;

use crate::accounts_file::{Locked, Replaced};
use crate::cli::Cli;
use crate::plan::{Fixed, Plan};

/// The program, as what is read again is held against.
pub(crate) struct Program {
    cli: Cli,
    fixed: Fixed,
    /// The state folder, where it can be used.
    state: Option<PathBuf>,
    level: Mutex<Level>,
    registries: Mutex<Registries>,
    /// The folder of transforms, as it is watched.
    folder: Arc<FolderWatch>,
    children: Arc<Children>,
}

/// What the configuration said of the level, and says.
struct Level {
    taken: LevelFilter,
    offered: Option<LevelFilter>,
}

/// The transforms that there are, and those that there will be once the configuration has been taken.
struct Registries {
    taken: Arc<Registry>,
    offered: Option<Arc<Registry>>,
}

impl Program {
    /// The program that is started with this plan, and what the plan says that can be changed later.
    pub(crate) fn new(
        cli: Cli,
        plan: Plan,
        resources: Resources,
        state: Option<PathBuf>,
    ) -> (Self, Configured) {
        let level = Mutex::new(Level { taken: plan.log_level, offered: None });
        let children = Arc::clone(&resources.children);
        let fixed = plan.fixed.clone();
        let (registry, configured) = configured(plan, state.as_deref(), &children, |definitions| {
            Registry::new(definitions, resources)
        });
        let folder = Arc::<FolderWatch>::default();
        folder.follow(registry.watched_folder().map(Path::to_owned));
        let registries = Mutex::new(Registries { taken: registry, offered: None });
        (Self { cli, fixed, state, level, registries, folder, children }, configured)
    }

    /// What follows the folder of transforms, to be started once there is somebody to tell.
    pub(crate) fn folder(&self) -> Arc<FolderWatch> {
        Arc::clone(&self.folder)
    }
}

/// What a plan says that can be changed while the server runs.
fn configured(
    plan: Plan,
    state: Option<&Path>,
    children: &Arc<Children>,
    registry: impl FnOnce(Definitions) -> Registry,
) -> (Arc<Registry>, Configured) {
    let mut accounts = plan.accounts;
    if let Some((words, limit)) = plan.checkpassword
        && let Some(program) = Checkpassword::new(&words, limit, Arc::clone(children))
    {
        accounts.set_external(External::new(Box::new(program)));
    }
    let limit = plan.checking_limit;
    let program = |words: &[String]| {
        let program = Checkpassword::of_tokens(words, limit, Arc::clone(children))?;
        Some(External::new(Box::new(program)).without_memory())
    };
    if let Some(bearer) = plan.tokens.and_then(|tokens| tokens.bearer(program)) {
        accounts.set_bearer(bearer);
    }
    let registry = Arc::new(registry(plan.transforms.definitions));
    let spool_folder = state.map_or_else(env::temp_dir, Path::to_owned);
    let configured = Configured {
        mailbox: plan.mailbox,
        unique_ids: plan.unique_ids,
        accounts,
        accounts_file: plan.accounts_file,
        command_line: plan.command_line,
        administrators: plan.administrators,
        chain: plan.transforms.chain,
        rules: plan.transforms.rules,
        registry: Arc::clone(&registry) as Arc<dyn transform::registry::Registry>,
        places: plan.transforms.places,
        holding: Holding { hold: plan.transforms.hold, spool_folder },
        sizes: plan.transforms.sizes,
        tls: plan.tls,
        rehash: plan.rehash,
        limits: plan.limits,
    };
    (registry, configured)
}

impl Host for Program {
    fn configured(&self) -> Result<Configured, String> {
        let plan = Plan::read(&self.cli).map_err(|error| error.to_string())?;
        if let Some(key) = self.fixed.difference(&plan.fixed) {
            return Err(format!("{key} cannot be changed while the server runs; restart it"));
        }
        for warning in &plan.warnings {
            warn!(target: "pop3d", "{warning}");
        }
        self.level.lock().unwrap_or_else(PoisonError::into_inner).offered = Some(plan.log_level);
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        let (registry, configured) = configured(plan, self.state.as_deref(), &self.children, |definitions| {
            registries.taken.renewed(definitions)
        });
        registries.offered = Some(registry);
        Ok(configured)
    }

    fn renew_hashes(&self, file: &Path, renewals: &[Renewal]) -> Result<Vec<UserName>, String> {
        let what = |error: io::Error| format!("cannot write the accounts file {}: {error}", file.display());
        let Some(locked) = Locked::try_open(file).map_err(what)? else {
            // Who changes it meanwhile has it read again.
            return Ok(Vec::new());
        };
        let (text, users) = edit::renewed(&locked.text, renewals);
        if !users.is_empty()
            && let Replaced::Unsynced(error) = locked.replace(&text).map_err(what)?
        {
            warn!(target: "pop3d", "{} is replaced, but its folder is not synced: {error}", file.display());
        }
        Ok(users)
    }

    fn taken(&self) {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = registries.offered.take() {
            registry.taken();
            registries.taken = registry;
            self.folder.follow(registries.taken.watched_folder().map(Path::to_owned));
        }
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was set at run time stays until the configuration says another.
        if let Some(offered) = level.offered.take()
            && offered != level.taken
        {
            level.taken = offered;
            log::set_max_level(offered);
        }
    }

    fn log_level(&self) -> String {
        log::max_level().as_str().to_ascii_lowercase()
    }

    fn level_named(&self, name: &str) -> Option<LevelFilter> {
        let is_lower_case = name.bytes().all(|octet| octet.is_ascii_lowercase());
        name.parse().ok().filter(|_| is_lower_case)
    }

    fn set_log_level(&self, level: LevelFilter) {
        log::set_max_level(level);
    }
}

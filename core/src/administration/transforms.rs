//! Questions and changes of transforms and chains.

use std::ffi::OsStr;
use std::sync::Arc;

use log::warn;
use pop3d_protocol::peep::{Argument, Failure, REPLY_LINE_MAX, Reply};

use super::percent::{percent_decoded, percent_encoded_within};
use super::{Administration, chains};
use crate::accounts::UserName;
use crate::state::settings::Changed;
use crate::transform::TransformStatistics;
use crate::transform::registry::{ChainError, FolderChange, Listed, PROGRAM_NAME, RegistryError, is_name};

/// The word for a chain without links.
const NONE: &str = "none";

/// The word that takes away what was set: a user's own chain, or, for all, what stands in place of the configuration's.
const DEFAULT: &str = "default";

/// The word for all transforms.
const ALL: &str = "*";

/// Octets of a last error that fit into a reply.
const ERROR_MAX: usize = REPLY_LINE_MAX - "+\r\n".len();

impl Administration {
    /// The chain in force.
    pub(super) fn chain(&self, user: Option<&Argument>) -> Result<Reply, Failure> {
        let settings = self.server.settings();
        let chain = match user {
            Some(user) => settings.chain_of(&self.user_with_chain(user)?).cloned(),
            None => settings.chain.clone(),
        };
        let names = chain.map_or_else(Vec::new, |chain| chain.names().map(str::to_owned).collect());
        Ok(Reply::Lines(names))
    }

    pub(super) fn transforms(&self) -> Reply {
        let list = self.view.load().registry.list();
        let line = |it: &Listed| format!("{} {} {} {}", it.name, it.kind, it.state, it.generation);
        Reply::Lines(list.iter().map(line).collect())
    }

    pub(super) fn transform_statistics(&self, name: &Argument) -> Result<Reply, Failure> {
        let registry = &self.view.load().registry;
        let statistics = name.text().and_then(|name| registry.statistics(name));
        let statistics = statistics.ok_or(Failure::NoSuchTransform)?;
        Ok(Reply::Lines(statistics.lines().iter().map(|(key, value)| format!("{key} {value}")).collect()))
    }

    pub(super) fn transform_error(&self, name: &Argument) -> Result<Reply, Failure> {
        let registry = &self.view.load().registry;
        let error = name.text().and_then(|name| registry.last_error(name));
        Ok(Reply::Text(percent_encoded_within(ERROR_MAX, &error.ok_or(Failure::NoSuchTransform)?)))
    }

    /// Those of `st?` that belong to a transform.
    pub(super) fn add_transforms(&self, lines: &mut Vec<String>) {
        let registry = &self.view.load().registry;
        for listed in registry.list() {
            let Some(statistics) = registry.statistics(&listed.name) else { continue };
            lines.extend(metrics(&listed.name, &statistics));
        }
    }

    pub(super) fn set_chain(&self, chain: &Argument, user: Option<&Argument>) -> Result<(), Failure> {
        let is_removal = chain.octets() == DEFAULT.as_bytes();
        let known = |user| if is_removal { self.user_with_chain(user) } else { self.user(user) };
        let user = user.map(known).transpose()?;
        let mut state = self.lock();
        let mut kept = state.kept.clone();
        let names = self.names(chain)?;
        match (user, names) {
            (Some(user), Some(names)) => drop(kept.settings.user_chains.insert(user.to_string(), names)),
            (Some(user), None) => drop(kept.settings.user_chains.remove(user.as_str())),
            (None, Some(value)) => {
                let configured = self.view.load().chain.clone();
                kept.settings.chain = Some(Changed { value, configured });
            }
            (None, None) => {
                // One of its transforms may have been removed while it was not in force.
                self.check_chain(&self.view.load().chain)?;
                kept.settings.chain = None;
            }
        }
        // The program is kept as long as a chain that was set names it, and can be named again as long as the process lives.
        kept.settings.program = if kept.uses(PROGRAM_NAME) { state.program.clone() } else { None };
        self.put(&mut state, kept)
    }

    /// The names of a chain that messages can pass; none: the default.
    fn names(&self, chain: &Argument) -> Result<Option<Vec<String>>, Failure> {
        let chain = chain.text().ok_or(Failure::NoSuchTransform)?;
        match chain {
            DEFAULT => return Ok(None),
            NONE => return Ok(Some(Vec::new())),
            _ => {}
        }
        let names: Vec<_> = chain.split(',').map(str::to_owned).collect();
        self.check_chain(&names)?;
        Ok(Some(names))
    }

    /// Whether messages can pass the chain of these names.
    fn check_chain(&self, names: &[String]) -> Result<(), Failure> {
        match chains::chain(self.view.load().registry.as_ref(), names) {
            Ok(_) => Ok(()),
            Err(ChainError::NoSuchTransform { .. }) => Err(Failure::NoSuchTransform),
            Err(error @ ChainError::TooNarrow { .. }) => {
                let chain = names.join(",");
                warn!(target: "pop3d::peep", "the chain {chain} was not set, for it can never be passed: {error}");
                Err(Failure::NotPermitted)
            }
        }
    }

    pub(super) fn load_transform(&self, name: &Argument, file: &Argument) -> Result<(), Failure> {
        let name = name.text().filter(|name| is_name(name)).ok_or(Failure::BadSyntax)?;
        let file = file.text().ok_or(Failure::NotLoadable)?;
        let _loading = self.loading();
        let registry = Arc::clone(&self.view.load().registry);
        let was_there = registry.last_error(name).is_some();
        registry.load(name, file).map_err(|error| failure(name, &error))?;
        let mut state = self.lock();
        let mut kept = state.kept.clone();
        kept.settings.transforms.insert(name.to_owned(), file.to_owned());
        // A chain may have an older generation of it, of a file that was noticed before.
        self.put(&mut state, kept).inspect_err(|_| {
            // It has just been put there: hardly a chain can have it yet. One that was noticed before stays.
            if !was_there && !state.kept.uses(name) {
                let _ = registry.remove(name);
            }
        })
    }

    pub(super) fn remove_transform(&self, name: &Argument) -> Result<(), Failure> {
        let name = name.text().ok_or(Failure::NoSuchTransform)?;
        let _loading = self.loading();
        let mut state = self.lock();
        let configured = self.view.load();
        // One that could not be loaded can go as well, also where it is only kept.
        let is_there = configured.registry.last_error(name).is_some();
        if !is_there && !state.kept.settings.transforms.contains_key(name) {
            return Err(Failure::NoSuchTransform);
        }
        if state.kept.is_in_use(name, &configured) {
            return Err(Failure::TransformInUse);
        }
        let mut kept = state.kept.clone();
        if kept.settings.transforms.remove(name).is_some() {
            self.keep_settings(&kept)?;
            state.kept = kept;
        }
        if is_there {
            configured.registry.remove(name).map_err(|error| failure(name, &error))?;
        }
        Ok(())
    }

    pub(super) fn reload_transform(&self, name: &Argument) -> Result<(), Failure> {
        let name = name.text().ok_or(Failure::NoSuchTransform)?;
        let _loading = self.loading();
        let registry = Arc::clone(&self.view.load().registry);
        let names = match name {
            ALL => {
                // What the folder has besides is loaded by the look.
                let before = registry.list();
                registry.look().map_err(|error| failure(name, &error))?;
                let names = before.into_iter().map(|listed| listed.name);
                names.filter(|name| !registry.is_to_stay(name)).collect()
            }
            name => vec![name.to_owned()],
        };
        let mut result = Ok(());
        for name in names {
            // One that cannot be loaded keeps none of the others.
            result = result.and(registry.reload(&name).map_err(|error| failure(&name, &error)));
        }
        let mut state = self.lock();
        let kept = state.kept.clone();
        self.put(&mut state, kept)?;
        result
    }

    /// Takes in what has changed in the folder of transforms. Waits for files, and for what a plugin does while it is
    /// loaded.
    pub fn take_in(&self, changed: &FolderChange) {
        let _loading = self.loading();
        let configured = self.view.load_full();
        let mut is_changed = configured.registry.take_in(changed);
        let mut loaded = self.lock().kept.clone();
        loaded.settings.transforms.retain(|_, file| changed.concerns(OsStr::new(file)));
        is_changed |= configured.load_kept(&loaded);
        if is_changed {
            let mut state = self.lock();
            let kept = state.kept.clone();
            // What is wrong is in the log.
            let _ = self.put(&mut state, kept);
        }
    }

    pub(super) fn set_option(&self, name: &Argument, option: &Argument) -> Result<(), Failure> {
        let name = name.text().ok_or(Failure::NoSuchTransform)?;
        let (key, value) =
            option.text().and_then(|option| option.split_once(':')).ok_or(Failure::BadSyntax)?;
        let _loading = self.loading();
        let registry = Arc::clone(&self.view.load().registry);
        registry.set_option(name, key, value).map_err(|error| failure(name, &error))?;
        let mut state = self.lock();
        let kept = state.kept.clone();
        self.put(&mut state, kept)
    }

    /// A program as the chain of all.
    pub(super) fn set_program(&self, command: &Argument) -> Result<(), Failure> {
        let command = percent_decoded(command.octets()).ok_or(Failure::BadSyntax)?;
        let _loading = self.loading();
        let mut state = self.lock();
        let configured = self.view.load_full();
        let mut kept = state.kept.clone();
        kept.settings.program = Some(command.clone());
        let chain = Changed { value: vec![PROGRAM_NAME.to_owned()], configured: configured.chain.clone() };
        kept.settings.chain = Some(chain);
        // Found out before it is kept, and what was there before is put back where it cannot be kept.
        configured.registry.set_program(&command).map_err(|error| failure(PROGRAM_NAME, &error))?;
        self.put(&mut state, kept).inspect_err(|_| {
            let undone = match &state.program {
                Some(before) => configured.registry.set_program(before).map(drop),
                None => configured.registry.remove(PROGRAM_NAME),
            };
            if let Err(error) = undone {
                warn!(target: "pop3d::peep", "the program before cannot be had back: {error}");
            }
        })?;
        state.program = Some(command);
        Ok(())
    }

    fn user(&self, user: &Argument) -> Result<UserName, Failure> {
        let user = UserName::parse(user.octets()).ok_or(Failure::NoSuchUser)?;
        let is_there = self.server.settings().accounts.contains(&user);
        if is_there { Ok(user) } else { Err(Failure::NoSuchUser) }
    }

    /// A user whose account may be gone, where a chain of their own is left.
    fn user_with_chain(&self, user: &Argument) -> Result<UserName, Failure> {
        let left = UserName::parse(user.octets());
        let left = left.filter(|user| self.server.settings().user_chains.contains_key(user));
        left.map_or_else(|| self.user(user), Ok)
    }
}

fn failure(name: &str, error: &RegistryError) -> Failure {
    let failure = match error {
        RegistryError::NoSuchTransform => Failure::NoSuchTransform,
        RegistryError::NotLoadable(_) => Failure::NotLoadable,
        RegistryError::NameInUse => Failure::NameInUse,
        RegistryError::NotPermitted => Failure::NotPermitted,
        RegistryError::NoSuchProgram(_) => Failure::NoSuchProgram,
    };
    warn!(target: "pop3d::peep", "transform {name}: {error}");
    failure
}

/// What a transform has done, by OpenMetrics names.
fn metrics(name: &str, statistics: &TransformStatistics) -> Vec<String> {
    let mut lines = Vec::new();
    for (metric, value) in [
        ("messages_total", statistics.messages),
        ("failed_total", statistics.failed),
        ("timed_out_total", statistics.timed_out),
        ("passed_total", statistics.passed),
        ("received_octets_total", statistics.bytes_in),
        ("sent_octets_total", statistics.bytes_out),
        ("running", statistics.running),
        ("queued", statistics.queued),
    ] {
        lines.push(format!("pop3d_transform_{metric}{{transform=\"{name}\"}} {value}"));
    }
    let cpu = statistics.cpu.as_secs_f64();
    lines.push(format!("pop3d_transform_cpu_seconds_total{{transform=\"{name}\"}} {cpu}"));
    let durations = &statistics.durations;
    for (bound, count) in durations.buckets() {
        let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
        let labels = format!("transform=\"{name}\",le=\"{bound}\"");
        lines.push(format!("pop3d_transform_seconds_bucket{{{labels}}} {count}"));
    }
    lines.push(format!("pop3d_transform_seconds_count{{transform=\"{name}\"}} {}", durations.count()));
    let sum = durations.sum().as_secs_f64();
    lines.push(format!("pop3d_transform_seconds_sum{{transform=\"{name}\"}} {sum}"));
    lines
}

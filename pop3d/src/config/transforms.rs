//! What the configuration says of transforms: the chain, the programs by name, and what holds for all.

use std::collections::BTreeMap;

use pop3d_core::settings::Sizes;
use pop3d_core::transform::{OnError, Policy};
use pop3d_transforms::spec::{CommandLine, ProcessSpec};
use serde::Deserialize;
use toml::Spanned;

use super::File;
use super::values::{Size, Time};
use crate::exit::Exit;

/// Octets of output held before "+OK" where nothing else is said.
const HOLD: u64 = 64 * 1024;

/// Most octets that may be held: each message on its way has its own.
const HOLD_MAX: u64 = 64 << 20;

/// `transform`: names of transforms, or commands used as they are.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a name or command, or an array of them")]
pub(crate) enum Chain {
    One(String),
    Many(Vec<String>),
}

/// `[transforms.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    kind: Option<Kind>,
    command: Command,
    on_error: Option<Policed>,
    spool: Option<bool>,
    timeout: Option<Time>,
    cpu: Option<Time>,
    memory: Option<Size>,
    max_output: Option<Size>,
    max_running: Option<usize>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    options: toml::Table,
}

/// `[transform_defaults]`: what holds where a transform says nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defaults {
    on_error: Option<Policed>,
    spool: Option<bool>,
    timeout: Option<Time>,
    cpu: Option<Time>,
    memory: Option<Size>,
    max_output: Option<Size>,
    max_running: Option<usize>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    options: toml::Table,
    hold: Option<Spanned<Size>>,
    sizes: Option<SizesTold>,
}

/// `[transform_pool]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolTable {
    queue_timeout: Option<Time>,
}

/// Programs are the one kind there is.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Process,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a command line, or an array of the program and its arguments")]
enum Command {
    Line(String),
    Words(Vec<String>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Policed {
    Fail,
    Pass,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SizesTold {
    Stored,
    Exact,
}

/// What the transforms of a server are to be.
#[derive(Debug)]
pub(crate) struct Transforms {
    /// The global chain, in its order.
    pub(crate) chain: Vec<ProcessSpec>,
    /// Octets of output held before "+OK".
    pub(crate) hold: usize,
    /// Which sizes STAT and LIST tell.
    pub(crate) sizes: Sizes,
}

impl Transforms {
    /// Makes one out of the file; `commands` of the command line, where there are any, in place of its chain.
    ///
    /// # Errors
    /// Where a name or a command cannot be used, with its line and column.
    pub(crate) fn new(file: &File, commands: &[String]) -> Result<Self, Exit> {
        let config = &file.config;
        let hold = match &config.transform_defaults.hold {
            Some(hold) if hold.as_ref().0 > HOLD_MAX => {
                return Err(
                    file.error(hold.span(), "hold is at most 64MiB: every message on its way has its own")
                );
            }
            hold => hold.as_ref().map_or(HOLD, |hold| hold.as_ref().0),
        };
        let mut named = BTreeMap::new();
        for (name, table) in &config.transforms {
            let spec = named_spec(file, name, table.as_ref())
                .map_err(|what| file.error(table.span(), &format!("transform {name}: {what}")))?;
            named.insert(name.as_str(), spec);
        }
        let chain = if commands.is_empty() {
            chain_of_file(file, &named)?
        } else {
            let chain = commands.iter().map(|command| link(file, &named, command));
            let usage = |what: String| Exit::Usage(format!("--transform: {what}"));
            chain.collect::<Result<Vec<_>, _>>().map_err(usage)?.into_iter().flatten().collect()
        };
        let sizes = match config.transform_defaults.sizes {
            Some(SizesTold::Exact) => Sizes::Exact,
            Some(SizesTold::Stored) | None => Sizes::Stored,
        };
        Ok(Self { chain, hold: usize::try_from(hold).unwrap_or(usize::MAX), sizes })
    }
}

fn chain_of_file(file: &File, named: &BTreeMap<&str, ProcessSpec>) -> Result<Vec<ProcessSpec>, Exit> {
    let Some(chain) = &file.config.transform else { return Ok(Vec::new()) };
    let links = match chain.as_ref() {
        Chain::One(link) => std::slice::from_ref(link),
        Chain::Many(links) => links.as_slice(),
    };
    let mut specs = Vec::new();
    for text in links {
        let spec = link(file, named, text);
        specs.extend(spec.map_err(|what| file.error(chain.span(), &format!("transform: {what}")))?);
    }
    Ok(specs)
}

/// A link of a chain: a name, or a command used as it is. None: the empty one, which changes nothing.
fn link(file: &File, named: &BTreeMap<&str, ProcessSpec>, text: &str) -> Result<Option<ProcessSpec>, String> {
    if let Some(spec) = named.get(text) {
        return Ok(Some(spec.clone()));
    }
    let Some(command) = CommandLine::parse(text) else { return Ok(None) };
    if text.ends_with(".so") || text.ends_with(".wasm") {
        return Err(format!("\"{text}\" is no program; only programs can be transforms"));
    }
    let mut spec = ProcessSpec::new(text, command);
    file.config.transform_defaults.keys().apply(&mut spec);
    if let Some(timeout) = file.config.transform_pool.queue_timeout {
        spec.queue_timeout = timeout.0;
    }
    Ok(Some(spec))
}

fn named_spec(file: &File, name: &str, table: &Table) -> Result<ProcessSpec, String> {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return Err("a name has 1 to 64 letters, digits, \"-\", \"_\" and \".\"".to_owned());
    }
    let (Some(Kind::Process) | None) = table.kind;
    let command = match &table.command {
        Command::Line(line) => CommandLine::parse(line).ok_or("its command is empty")?,
        Command::Words(words) if words.first().is_none_or(String::is_empty) => {
            return Err("its command is empty".to_owned());
        }
        Command::Words(words) => CommandLine::Direct(words.clone()),
    };
    let mut spec = ProcessSpec::new(name, command);
    file.config.transform_defaults.keys().apply(&mut spec);
    if let Some(timeout) = file.config.transform_pool.queue_timeout {
        spec.queue_timeout = timeout.0;
    }
    table.keys().apply(&mut spec);
    if let Some((key, _)) = spec.env.iter().find(|(key, value)| !is_variable(key) || value.contains('\0')) {
        return Err(format!("env: \"{}\" cannot be a variable", key.escape_default()));
    }
    Ok(spec)
}

fn is_variable(key: &str) -> bool {
    !key.is_empty() && !key.contains(['=', '\0'])
}

impl Table {
    fn keys(&self) -> Keys<'_> {
        let Self { on_error, spool, timeout, cpu, memory, max_output, max_running, env, options, .. } = self;
        Keys {
            on_error: *on_error,
            spool: *spool,
            timeout: *timeout,
            cpu: *cpu,
            memory: *memory,
            max_output: *max_output,
            max_running: *max_running,
            env,
            options,
        }
    }
}

impl Defaults {
    fn keys(&self) -> Keys<'_> {
        let Self { on_error, spool, timeout, cpu, memory, max_output, max_running, env, options, .. } = self;
        Keys {
            on_error: *on_error,
            spool: *spool,
            timeout: *timeout,
            cpu: *cpu,
            memory: *memory,
            max_output: *max_output,
            max_running: *max_running,
            env,
            options,
        }
    }
}

/// The keys that a transform and the defaults have in common.
struct Keys<'config> {
    on_error: Option<Policed>,
    spool: Option<bool>,
    timeout: Option<Time>,
    cpu: Option<Time>,
    memory: Option<Size>,
    max_output: Option<Size>,
    max_running: Option<usize>,
    env: &'config BTreeMap<String, String>,
    options: &'config toml::Table,
}

impl Keys<'_> {
    fn apply(self, spec: &mut ProcessSpec) {
        let Policy { on_error, spool } = spec.policy;
        let on_error = match self.on_error {
            Some(Policed::Fail) => OnError::Fail,
            Some(Policed::Pass) => OnError::Pass,
            None => on_error,
        };
        spec.policy = Policy { on_error, spool: self.spool.unwrap_or(spool) };
        spec.timeout = self.timeout.map_or(spec.timeout, |timeout| timeout.0);
        spec.cpu = self.cpu.map_or(spec.cpu, |cpu| cpu.0);
        spec.memory = self.memory.map(|memory| memory.0).or(spec.memory);
        spec.max_output = self.max_output.map_or(spec.max_output, |size| size.0);
        spec.max_running = self.max_running.unwrap_or(spec.max_running);
        for (key, value) in self.env {
            put(&mut spec.env, key, value.clone());
        }
        for (key, value) in self.options {
            // Strings as they are, what else there is as TOML writes it, which for numbers and truth is JSON too.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            put(&mut spec.options, key, text);
        }
    }
}

fn put(pairs: &mut Vec<(String, String)>, key: &str, value: String) {
    match pairs.iter_mut().find(|(known, _)| known == key) {
        Some((_, known)) => *known = value,
        None => pairs.push((key.to_owned(), value)),
    }
}

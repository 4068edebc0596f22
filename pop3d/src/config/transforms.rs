//! What the configuration says of transforms: the chain, the programs by name, and what holds for all.

mod keys;
mod links;
mod rules;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use pop3d_core::settings::Sizes;
use pop3d_core::transform;
use pop3d_core::transform::registry::{RESERVED_NAMES, is_name};
use pop3d_core::transform::rules::NamedRule;
use pop3d_transforms::registry::{Definitions, Permissions};
use pop3d_transforms::spec::{Awaited, CommandLine, PluginSpec, ProcessSpec, Spec};
use toml::Spanned;

use self::keys::{check_environment, check_folder};
use self::links::Links;
pub(crate) use self::rules::RuleTable;
pub(crate) use self::tables::{Chain, Defaults, PoolTable, Table};
use self::tables::{Command, Kind, SizesTold};
use super::File;
use crate::exit::Exit;

/// Octets of output held before "+OK" where nothing else is said.
const HOLD: u64 = 64 * 1024;

/// Most octets that may be held: each message on its way has its own.
const HOLD_MAX: u64 = 64 << 20;

/// What the transforms of a server are to be.
pub(crate) struct Transforms {
    /// All of them, also those that are in no chain.
    pub(crate) definitions: Definitions,
    /// The names of the global chain, in its order.
    pub(crate) chain: Vec<String>,
    /// Which messages pass through other chains.
    pub(crate) rules: Vec<NamedRule>,
    /// Octets of output held before "+OK".
    pub(crate) hold: usize,
    /// Which sizes STAT and LIST tell.
    pub(crate) sizes: Sizes,
    /// What is wrong and keeps no server from its start: programs that are not there, which may come while it runs, and
    /// whose messages fail until then; rules that no message gets to.
    pub(crate) tolerated: Vec<Exit>,
    /// Where they stand, by name: what an error about one begins with.
    pub(crate) places: BTreeMap<String, String>,
}

impl Transforms {
    /// Makes one out of the file; `commands` of the command line, where there are any, in place of its chain.
    ///
    /// # Errors
    /// Where a name or a command cannot be used, with its line and column.
    pub(crate) fn new(file: &File, commands: &[String], permissions: Permissions) -> Result<Self, Exit> {
        let mut links = defined(file)?;
        let mut chain = Vec::new();
        if commands.is_empty() {
            if let Some(configured) = &file.config.transform {
                chain = links.chain(configured)?;
            }
        } else {
            for command in commands {
                links.add(&mut chain, command, |what| Exit::Usage(format!("--transform: {what}")))?;
            }
        }
        let mut shadowed = Vec::new();
        let rules = rules::read(file, &mut links, &mut shadowed)?;
        let mut transforms = Self::assembled(file, links, chain, rules, permissions)?;
        transforms.tolerated.append(&mut shadowed);
        Ok(transforms)
    }

    /// A chain that is tried without a server: names of the file, and files of code, joined by commas; or a command,
    /// which is run in `folder`. `none` is no transform, `default` the chain of the file.
    ///
    /// # Errors
    /// Where a link of it cannot be used.
    pub(crate) fn of_chain(file: &File, text: &str, folder: &Path) -> Result<Self, Exit> {
        let mut links = defined(file)?;
        let mut chain = Vec::new();
        match (text, &file.config.transform) {
            ("none", _) | ("default", None) => {}
            ("default", Some(configured)) => chain = links.chain(configured)?,
            (text, _) => {
                folder.clone_into(&mut links.template.folder);
                let before = links.missing.len();
                for link in links.split(text) {
                    links.add(&mut chain, link, |what| Exit::Usage(what.to_owned()))?;
                }
                // Those of tables are looked for when these are used.
                if let Some(missing) = links.missing.drain(before..).next() {
                    return Err(Exit::NoInput(missing.to_string()));
                }
            }
        }
        Self::assembled(file, links, chain, Vec::new(), Permissions::default())
    }

    fn assembled(
        file: &File,
        links: Links<'_>,
        chain: Vec<String>,
        rules: Vec<NamedRule>,
        permissions: Permissions,
    ) -> Result<Self, Exit> {
        let config = &file.config;
        let hold = match &config.transform_defaults.hold {
            Some(hold) if hold.as_ref().0 > HOLD_MAX => {
                return Err(
                    file.error(hold.span(), "hold is at most 64MiB: every message on its way has its own")
                );
            }
            hold => hold.as_ref().map_or(HOLD, |hold| hold.as_ref().0),
        };
        let Links { template, specs, plugin_template, natives, awaited, missing, places, .. } = links;
        let mut specs: Vec<_> = specs.into_values().map(Spec::Process).collect();
        specs.extend(natives.into_values().map(Spec::Plugin));
        let folder = config.transform_dir.clone();
        let sizes = match config.transform_defaults.sizes {
            Some(SizesTold::Exact) => Sizes::Exact,
            Some(SizesTold::Stored) | None => Sizes::Stored,
        };
        Ok(Self {
            definitions: Definitions { specs, template, plugin_template, folder, awaited, permissions },
            chain,
            rules,
            hold: usize::try_from(hold).unwrap_or(usize::MAX),
            sizes,
            tolerated: missing,
            places,
        })
    }
}

/// The transforms that a file names in tables.
fn defined(file: &File) -> Result<Links<'_>, Exit> {
    let defaults = &file.config.transform_defaults;
    check_environment(file, &defaults.env, defaults.options.as_ref())?;
    check_folder(file, defaults.cwd.as_ref())?;
    let mut links = Links::new(file);
    for (name, table) in &file.config.transforms {
        links.define(name, table)?;
    }
    Ok(links)
}

fn named_spec(
    file: &File,
    template: &ProcessSpec,
    name: &str,
    table: &Spanned<Table>,
) -> Result<ProcessSpec, Exit> {
    check_name(file, name, table)?;
    let place = table.span();
    let table = table.as_ref();
    let Some(command) = &table.command else {
        let what = "missing field `command`: a program, or `file`: code, unless that lies in transform_dir";
        return Err(file.error(place, what));
    };
    if table.is_for_a_plugin() {
        return Err(file.error(place, WHOSE_KEYS));
    }
    let error = |what: &str| file.error(command.span(), &format!("transform {name}: {what}"));
    let command = match command.as_ref() {
        Command::Line(line) if line.contains('\0') => None,
        Command::Line(line) => CommandLine::parse(line),
        Command::Words(words) if words.iter().any(|word| word.contains('\0')) => None,
        Command::Words(words) if words.first().is_none_or(String::is_empty) => None,
        Command::Words(words) => Some(CommandLine::Direct(words.clone())),
    };
    let command = command.ok_or_else(|| error("its command must name a program, without NUL"))?;
    check_environment(file, &table.env, table.options.as_ref())?;
    check_folder(file, table.cwd.as_ref())?;
    let mut spec = ProcessSpec { name: name.to_owned(), command, ..template.clone() };
    table.keys().apply(&mut spec);
    Ok(spec)
}

fn check_name(file: &File, name: &str, table: &Spanned<Table>) -> Result<(), Exit> {
    if !is_name(name) {
        let rule = "the name of a transform has 1 to 64 letters, digits, \"-\", \"_\" and \".\"";
        return Err(file.error(table.span(), rule));
    }
    if RESERVED_NAMES.contains(&name) {
        let rule = format!("no transform can have one of the names {}", RESERVED_NAMES.join(", "));
        return Err(file.error(table.span(), &rule));
    }
    Ok(())
}

/// The plugin that a table tells of; none: it tells of a program.
fn plugin_spec(
    file: &File,
    template: &PluginSpec,
    name: &str,
    table: &Spanned<Table>,
) -> Result<Option<PluginSpec>, Exit> {
    let place = table.span();
    let content = table.as_ref();
    let Some(library) = &content.file else {
        let may_be_dropped = file.config.transform_dir.is_some();
        if matches!(content.kind, Some(Kind::Native | Kind::Wasm)) && !may_be_dropped {
            return Err(file.error(place, "missing field `file`: the .so of a native plugin, or a .wasm"));
        }
        return Ok(None);
    };
    check_name(file, name, table)?;
    if content.kind == Some(Kind::Process) || content.command.is_some() {
        return Err(file.error(library.span(), "a program has a command, code has a file: name one"));
    }
    let mut spec = PluginSpec { name: name.to_owned(), file: library.as_ref().clone(), ..template.clone() };
    let (is_native, is_named) = match (spec.kind(), content.kind) {
        (Some(transform::Kind::Native), kind) => (true, kind.is_none_or(|kind| kind == Kind::Native)),
        (Some(transform::Kind::Wasm), kind) => (false, kind.is_none_or(|kind| kind == Kind::Wasm)),
        (Some(transform::Kind::Process) | None, _) => (false, false),
    };
    if !is_named {
        let what = "the file of a native plugin ends in .so, that of a filter in WebAssembly in .wasm";
        return Err(file.error(library.span(), what));
    }
    let kind = if is_native { transform::Kind::Native } else { transform::Kind::Wasm };
    if content.is_for_a_program() || content.is_for().is_some_and(|other| other != kind) {
        return Err(file.error(place, WHOSE_KEYS));
    }
    check_environment(file, &content.env, content.options.as_ref())?;
    content.keys().apply_plugin(&mut spec);
    Ok(Some(spec))
}

/// Which keys are not for every kind.
const WHOSE_KEYS: &str = "isolation and hosts are for native plugins, max_running and cwd are for programs, env for \
                          them and WASI commands";

/// What a table says of a file in the folder of transforms; none: it tells of something else.
fn awaited(
    file: &File,
    template: &PluginSpec,
    name: &str,
    table: &Spanned<Table>,
) -> Result<Option<Awaited>, Exit> {
    let (place, content) = (table.span(), table.as_ref());
    let is_program = content.kind == Some(Kind::Process) || content.command.is_some();
    if is_program || content.file.is_some() || file.config.transform_dir.is_none() {
        return Ok(None);
    }
    check_name(file, name, table)?;
    let kind = match content.kind {
        Some(Kind::Native) => Some(transform::Kind::Native),
        Some(Kind::Wasm) => Some(transform::Kind::Wasm),
        Some(Kind::Process) | None => None,
    };
    let is_for = content.is_for();
    let is_contradiction = content.is_for_both() || (kind.is_some() && is_for.is_some() && kind != is_for);
    if content.is_for_a_program() || is_contradiction {
        return Err(file.error(place, WHOSE_KEYS));
    }
    check_environment(file, &content.env, content.options.as_ref())?;
    let mut spec = PluginSpec { name: name.to_owned(), ..template.clone() };
    content.keys().apply_plugin(&mut spec);
    Ok(Some(Awaited { spec, kind: kind.or(is_for) }))
}

/// The files of a transform that is named by its file, for a sentence.
fn file_names(name: &str, kind: Option<transform::Kind>) -> String {
    match kind {
        Some(transform::Kind::Native) => format!("{name}.so"),
        Some(transform::Kind::Wasm) => format!("{name}.wasm"),
        Some(transform::Kind::Process) | None => format!("{name}.so or {name}.wasm"),
    }
}

//! The links of chains: names of tables, and commands used as they are, which get names here.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use pop3d_core::transform::registry::{RESERVED_NAMES, is_name, is_name_letter};
use pop3d_transforms::name::name_of;
use pop3d_transforms::spec::{Awaited, CommandLine, PluginSpec, ProcessSpec};
use toml::Spanned;

use super::super::{File, program};
use super::keys::missing_folder;
use super::{Chain, Table, awaited, file_names, named_spec, plugin_spec};
use crate::exit::Exit;

/// Most transforms in the chain: each message starts all of them.
pub(super) const CHAIN_MAX: usize = 100;

/// The transforms and the chain, as they are read.
pub(super) struct Links<'config> {
    file: &'config File,
    /// A program as it is where nothing is said of it alone.
    pub(super) template: ProcessSpec,
    /// By name, those of tables first: what they are called nothing else is.
    pub(super) specs: BTreeMap<String, ProcessSpec>,
    /// A plugin as it is where nothing is said of it alone.
    pub(super) plugin_template: PluginSpec,
    /// Plugins by name.
    pub(super) natives: BTreeMap<String, PluginSpec>,
    /// What is said of files in the folder of transforms.
    pub(super) awaited: Vec<Awaited>,
    /// The names of commands used as they are.
    commands: HashMap<CommandLine, String>,
    /// Programs that are not there.
    pub(super) missing: Vec<Exit>,
    /// Where the file of a plugin is named, or else its name is met first: what an error about it begins with.
    pub(super) places: BTreeMap<String, String>,
}

impl<'config> Links<'config> {
    pub(super) fn new(file: &'config File) -> Self {
        let mut template = ProcessSpec::new("", CommandLine::Direct(Vec::new()));
        file.config.transform_defaults.keys().apply(&mut template);
        if let Some(timeout) = file.config.transform_pool.queue_timeout {
            template.queue_timeout = timeout.0;
        }
        let mut plugin_template = PluginSpec::new("", PathBuf::new());
        file.config.transform_defaults.keys().apply_plugin(&mut plugin_template);
        plugin_template.queue_timeout = template.queue_timeout;
        Self {
            file,
            template,
            specs: BTreeMap::new(),
            plugin_template,
            natives: BTreeMap::new(),
            awaited: Vec::new(),
            commands: HashMap::new(),
            missing: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// Takes a table.
    pub(super) fn define(&mut self, name: &str, table: &Spanned<Table>) -> Result<(), Exit> {
        if let Some(spec) = plugin_spec(self.file, &self.plugin_template, name, table)? {
            let place = table.as_ref().file.as_ref().map_or_else(|| table.span(), Spanned::span);
            self.places.insert(name.to_owned(), self.file.error(place.clone(), "").to_string());
            self.missing.extend(program::missing_file(&spec.file).map(|what| self.file.error(place, &what)));
            self.natives.insert(name.to_owned(), spec);
            return Ok(());
        }
        if let Some(awaited) = awaited(self.file, &self.plugin_template, name, table)? {
            self.places.insert(name.to_owned(), self.file.error(table.span(), "").to_string());
            if !self.is_dropped_in(name, |file| awaited.fits(file)) {
                let what = format!("no {} lies in transform_dir", file_names(name, awaited.kind));
                self.missing.push(self.file.error(table.span(), &what));
            }
            self.awaited.push(awaited);
            return Ok(());
        }
        let spec = named_spec(self.file, &self.template, name, table)?;
        let place = table.as_ref().command.as_ref().map_or_else(|| table.span(), Spanned::span);
        self.missing.extend(program::missing(&spec).map(|what| self.file.error(place, &what)));
        let folder = table.as_ref().cwd.as_ref().or(self.file.config.transform_defaults.cwd.as_ref());
        self.missing.extend(missing_folder(self.file, folder));
        self.specs.insert(name.to_owned(), spec);
        Ok(())
    }

    /// Takes a chain; the names of its links.
    pub(super) fn chain(&mut self, configured: &Spanned<Chain>) -> Result<Vec<String>, Exit> {
        let mut chain = Vec::new();
        for (place, text) in &configured.as_ref().0 {
            let place = place.clone().unwrap_or_else(|| configured.span());
            let file = self.file;
            self.add(&mut chain, text, |what| file.error(place.clone(), what))?;
        }
        Ok(chain)
    }

    /// The links that a text names: several where they are joined by commas and could all be names or paths, else it is
    /// one.
    pub(super) fn split<'text>(&self, text: &'text str) -> Vec<&'text str> {
        let could_be = |part: &str| {
            !part.is_empty() && part.chars().all(|letter| letter == '/' || is_name_letter(letter))
        };
        let is_several = !self.file.config.transforms.contains_key(text) && text.split(',').all(could_be);
        if is_several { text.split(',').collect() } else { vec![text] }
    }

    /// Takes a link of a chain: a name, or a command used as it is. The empty one changes nothing.
    pub(super) fn add(
        &mut self,
        chain: &mut Vec<String>,
        text: &str,
        error: impl Fn(&str) -> Exit,
    ) -> Result<(), Exit> {
        // Names that were made for commands are no names here: the text is another command then.
        let is_table = self.file.config.transforms.contains_key(text);
        let name = if is_table || self.is_dropped_in(text, |_| true) {
            Some(text.to_owned())
        } else if let Some(name) = self.dropped_file(text) {
            Some(name)
        } else {
            match self.plugin(text, &error)? {
                Some(name) => Some(name),
                None => self.command(text, &error)?,
            }
        };
        let Some(name) = name else { return Ok(()) };
        self.places.entry(name.clone()).or_insert_with(|| error("").to_string());
        if chain.len() == CHAIN_MAX {
            return Err(error(&format!("a chain has at most {CHAIN_MAX} transforms")));
        }
        chain.push(name.clone());
        let places = chain.iter().filter(|other| **other == name).count();
        match self.specs.get(&name).map(ProcessSpec::running_limit) {
            // It would wait for itself.
            Some(limit) if places > limit => Err(error(&format!(
                "transform {name} stands {places} times in the chain, and its max_running is {limit}"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a plugin of that name lies in the folder of transforms.
    fn is_dropped_in(&self, text: &str, fits: impl Fn(&Path) -> bool) -> bool {
        let Some(folder) = &self.file.config.transform_dir else { return false };
        let is_there = |ending: &str| {
            let file = folder.join(format!("{text}.{ending}"));
            file.is_file() && fits(&file)
        };
        is_name(text) && (is_there("so") || is_there("wasm"))
    }

    /// The name of a plugin in the folder of transforms whose file is named; none: that file is not there, or elsewhere too.
    fn dropped_file(&self, text: &str) -> Option<String> {
        let (stem, _) = text.rsplit_once('.')?;
        let is_other = |file: &Path| !file.ends_with(text);
        let is_it =
            self.is_dropped_in(stem, |file| file.ends_with(text)) && !self.is_dropped_in(stem, is_other);
        let is_taken = self.file.config.transforms.contains_key(stem) || self.natives.contains_key(stem);
        let is_free = !is_taken && !Path::new(text).is_file();
        (is_it && is_free).then(|| stem.to_owned())
    }

    /// The name of a plugin whose file is named as it is; none: it is no plugin.
    fn plugin(&mut self, text: &str, error: impl Fn(&str) -> Exit) -> Result<Option<String>, Exit> {
        let path = Path::new(text.trim());
        // A program may be told of such a file: "wasmtime run filter.wasm".
        if text.trim().contains([' ', '\t', '\n']) && !path.is_file() {
            return Ok(None);
        }
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("so" | "wasm") => {}
            Some(_) | None => return Ok(None),
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        // The same file may stand there twice; another one of its name, or a command that got it, would be it as well.
        let is_same = self.natives.get(stem).is_none_or(|known| known.file == path);
        let is_taken = self.file.config.transforms.contains_key(stem) || self.specs.contains_key(stem);
        let is_free = is_same && !is_taken && !RESERVED_NAMES.contains(&stem);
        if !is_name(stem) || !is_free {
            return Err(error(&format!(
                "\"{stem}\" cannot be the name of a transform, or is another one's; give {} a [transforms.NAME]",
                path.display()
            )));
        }
        let spec =
            PluginSpec { name: stem.to_owned(), file: path.to_owned(), ..self.plugin_template.clone() };
        self.missing.extend(program::missing_file(&spec.file).map(|what| error(&what)));
        self.natives.insert(stem.to_owned(), spec);
        Ok(Some(stem.to_owned()))
    }

    /// The name of a command, which is made where it is met for the first time.
    fn command(&mut self, text: &str, error: impl Fn(&str) -> Exit) -> Result<Option<String>, Exit> {
        if text.contains('\0') {
            return Err(error("a command cannot contain NUL"));
        }
        let Some(command) = CommandLine::parse(text) else { return Ok(None) };
        if let Some(name) = self.commands.get(&command) {
            return Ok(Some(name.clone()));
        }
        let is_taken = |name: &str| {
            self.specs.contains_key(name)
                || self.natives.contains_key(name)
                || self.file.config.transforms.contains_key(name)
                || self.is_dropped_in(name, |_| true)
        };
        let name = name_of(&command, is_taken);
        let spec = ProcessSpec { name: name.clone(), command: command.clone(), ..self.template.clone() };
        if let Some(what) = program::missing(&spec) {
            self.missing.push(error(&format!("{what}, and there is no [transforms.{text}]")));
        }
        self.commands.insert(command, name.clone());
        self.specs.insert(name.clone(), spec);
        Ok(Some(name))
    }
}

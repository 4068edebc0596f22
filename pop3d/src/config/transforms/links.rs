//! The links of the global chain: names of tables, and commands used as they are, which get names here.

use std::collections::{BTreeMap, HashMap};

use pop3d_transforms::name::name_of;
use pop3d_transforms::spec::{CommandLine, ProcessSpec};
use toml::Spanned;

use super::super::{File, program};
use super::{Table, named_spec};
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
    /// The names of commands used as they are.
    commands: HashMap<CommandLine, String>,
    /// The names of its links, in their order.
    pub(super) chain: Vec<String>,
    /// Programs that are not there.
    pub(super) missing: Vec<Exit>,
}

impl<'config> Links<'config> {
    pub(super) fn new(file: &'config File) -> Self {
        let mut template = ProcessSpec::new("", CommandLine::Direct(Vec::new()));
        file.config.transform_defaults.keys().apply(&mut template);
        if let Some(timeout) = file.config.transform_pool.queue_timeout {
            template.queue_timeout = timeout.0;
        }
        let (specs, commands) = (BTreeMap::new(), HashMap::new());
        Self { file, template, specs, commands, chain: Vec::new(), missing: Vec::new() }
    }

    /// Takes a table.
    pub(super) fn define(&mut self, name: &str, table: &Spanned<Table>) -> Result<(), Exit> {
        let spec = named_spec(self.file, &self.template, name, table)?;
        let place = table.as_ref().command.span();
        self.missing.extend(program::missing(&spec).map(|what| self.file.error(place, &what)));
        self.specs.insert(name.to_owned(), spec);
        Ok(())
    }

    /// Takes a link of the chain: a name, or a command used as it is. The empty one changes nothing.
    pub(super) fn add(&mut self, text: &str, error: impl Fn(&str) -> Exit) -> Result<(), Exit> {
        // Names that were made for commands are no names here: the text is another command then.
        let is_table = self.file.config.transforms.contains_key(text);
        let name = if is_table { Some(text.to_owned()) } else { self.command(text, &error)? };
        let Some(name) = name else { return Ok(()) };
        if self.chain.len() == CHAIN_MAX {
            return Err(error(&format!("a chain has at most {CHAIN_MAX} transforms")));
        }
        self.chain.push(name.clone());
        let places = self.chain.iter().filter(|other| **other == name).count();
        match self.specs.get(&name).map(ProcessSpec::running_limit) {
            // It would wait for itself.
            Some(limit) if places > limit => Err(error(&format!(
                "transform {name} stands {places} times in the chain, and its max_running is {limit}"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// The name of a command, which is made where it is met for the first time.
    fn command(&mut self, text: &str, error: impl Fn(&str) -> Exit) -> Result<Option<String>, Exit> {
        if text.contains('\0') {
            return Err(error("a command cannot contain NUL"));
        }
        let Some(command) = CommandLine::parse(text) else { return Ok(None) };
        let path = text.trim_end();
        if path.ends_with(".so") || path.ends_with(".wasm") {
            return Err(error(&format!(
                "\"{path}\" is no program, and only programs can be transforms: name one that reads the message on its \
                 standard input"
            )));
        }
        if let Some(name) = self.commands.get(&command) {
            return Ok(Some(name.clone()));
        }
        let name = name_of(&command, |name| self.specs.contains_key(name));
        let spec = ProcessSpec { name: name.clone(), command: command.clone(), ..self.template.clone() };
        if let Some(what) = program::missing(&spec) {
            self.missing.push(error(&format!("{what}, and there is no [transforms.{text}]")));
        }
        self.commands.insert(command, name.clone());
        self.specs.insert(name.clone(), spec);
        Ok(Some(name))
    }
}

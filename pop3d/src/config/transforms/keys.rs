//! What the keys that a transform and the defaults have in common make of a spec.

use std::path::PathBuf;

use pop3d_core::transform::{OnError, Policy};
use pop3d_transforms::spec::{Isolation, PluginSpec, ProcessSpec};
use toml::Spanned;

use super::super::File;
use super::tables::{Environment, Isolated, Keys, Policed};
use crate::exit::Exit;

impl Keys<'_> {
    fn policy(&self, before: Policy) -> Policy {
        let on_error = match self.on_error {
            Some(Policed::Fail) => OnError::Fail,
            Some(Policed::Pass) => OnError::Pass,
            None => before.on_error,
        };
        Policy { on_error, spool: self.spool.unwrap_or(before.spool) }
    }

    fn put_options(&self, options: &mut Vec<(String, String)>) {
        for (key, value) in self.options.into_iter().flatten() {
            // Strings as they are, what else there is as JSON.
            let text = value.as_str().map_or_else(|| json(value).to_string(), str::to_owned);
            put(options, key, text);
        }
    }

    pub(super) fn apply_plugin(self, spec: &mut PluginSpec) {
        spec.isolation = match self.isolation {
            Some(Isolated::None) => Isolation::None,
            Some(Isolated::Process) => Isolation::Process,
            None => spec.isolation,
        };
        spec.hosts = self.hosts.unwrap_or(spec.hosts);
        spec.policy = self.policy(spec.policy);
        spec.timeout = self.timeout.map_or(spec.timeout, |timeout| timeout.0);
        spec.cpu = self.cpu.map_or(spec.cpu, |cpu| cpu.0);
        spec.memory = self.memory.map(|memory| memory.0).or(spec.memory);
        spec.max_output = self.max_output.map_or(spec.max_output, |size| size.0);
        for (key, value) in self.env {
            put(&mut spec.env, key.as_ref(), value.as_ref().clone());
        }
        self.put_options(&mut spec.options);
    }

    pub(super) fn apply(self, spec: &mut ProcessSpec) {
        spec.policy = self.policy(spec.policy);
        self.put_options(&mut spec.options);
        spec.timeout = self.timeout.map_or(spec.timeout, |timeout| timeout.0);
        spec.cpu = self.cpu.map_or(spec.cpu, |cpu| cpu.0);
        spec.memory = self.memory.map(|memory| memory.0).or(spec.memory);
        spec.max_output = self.max_output.map_or(spec.max_output, |size| size.0);
        if let Some(folder) = self.cwd {
            folder.clone_into(&mut spec.folder);
        }
        spec.max_running = self.max_running.unwrap_or(spec.max_running);
        for (key, value) in self.env {
            // Programs are looked for where they will look for others.
            match key.as_ref().as_str() {
                "PATH" => spec.path.clone_from(value.as_ref()),
                key => put(&mut spec.env, key, value.as_ref().clone()),
            }
        }
    }
}

/// Whether a program can be started in it, wherever the server was.
pub(super) fn check_folder(file: &File, folder: Option<&Spanned<PathBuf>>) -> Result<(), Exit> {
    match folder {
        Some(folder) if !folder.as_ref().is_absolute() => {
            Err(file.error(folder.span(), "cwd is a whole path, which begins with \"/\""))
        }
        Some(_) | None => Ok(()),
    }
}

/// What is wrong where no program can be started in it, since it is not there yet.
pub(super) fn missing_folder(file: &File, folder: Option<&Spanned<PathBuf>>) -> Option<Exit> {
    let missing = folder.filter(|folder| !folder.as_ref().is_dir())?;
    Some(file.error(missing.span(), &format!("there is no folder {}", missing.as_ref().display())))
}

/// Whether all of it can be in the environment of a program.
pub(super) fn check_environment(
    file: &File,
    env: &Environment,
    options: Option<&Spanned<toml::Table>>,
) -> Result<(), Exit> {
    for (key, value) in env {
        let name: &String = key.as_ref();
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(
                file.error(key.span(), "the name of a variable cannot be empty or contain \"=\" or NUL")
            );
        }
        if value.as_ref().contains('\0') {
            return Err(file.error(value.span(), "the value of a variable cannot contain NUL"));
        }
    }
    let has_nul = |value: &toml::Value| value.as_str().is_some_and(|text| text.contains('\0'));
    if let Some(options) = options
        && options.as_ref().values().any(has_nul)
    {
        return Err(file.error(options.span(), "the value of an option cannot contain NUL"));
    }
    Ok(())
}

/// A value of TOML as JSON has it; what JSON has no word for is a string.
fn json(value: &toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) if number.is_finite() => (*number).into(),
        toml::Value::Float(number) => number.to_string().into(),
        toml::Value::Boolean(is_true) => (*is_true).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.iter().map(json).collect(),
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
    }
}

fn put(pairs: &mut Vec<(String, String)>, key: &str, value: String) {
    match pairs.iter_mut().find(|(known, _)| known == key) {
        Some((_, known)) => *known = value,
        None => pairs.push((key.to_owned(), value)),
    }
}

//! `pop3d transform list`: what a configuration names and what lies in its folder of transforms, each loaded as the
//! server would.

use std::io::{self, Write};

use pop3d_core::transform::registry::{Listed, Registry as _};
use pop3d_protocol::text::one_line;
use pop3d_transforms::registry::Registry;
use pop3d_transforms::spec::{CommandLine, Spec};
use serde_json::json;

use super::{is_read, trial};
use crate::cli::List;
use crate::exit::Exit;

/// Lists them.
///
/// # Errors
/// Where the configuration is wrong.
pub(super) fn run(arguments: &List) -> Result<(), Exit> {
    let registry = trial::all(&arguments.config)?;
    let listed = registry.list();
    let mut out = io::stdout().lock();
    let width = listed.iter().map(|listed| listed.name.len()).max().unwrap_or_default();
    for Listed { name, kind, state, .. } in &listed {
        let made_of = made_of(&registry, name);
        let reason = registry.obstacle(name).map(|reason| one_line(&reason));
        let written = match (arguments.json, reason) {
            (true, reason) => {
                let (kind, state) = (kind.to_string(), state.to_string());
                let line = json!({
                    "name": name, "kind": kind, "state": state, "made_of": made_of, "reason": reason,
                });
                writeln!(out, "{line}")
            }
            (false, None) => writeln!(out, "{name:width$}  {kind:7}  {state:6}  {made_of}"),
            (false, Some(reason)) => {
                writeln!(out, "{name:width$}  {kind:7}  {state:6}  {made_of}  ({reason})")
            }
        };
        if !is_read(written)? {
            break;
        }
    }
    Ok(())
}

/// Its file or its command, on one line.
fn made_of(registry: &Registry, name: &str) -> String {
    let text = match registry.spec(name) {
        Some(Spec::Plugin(spec)) => spec.file.display().to_string(),
        Some(Spec::Process(spec)) => match spec.command {
            CommandLine::Shell(line) => line,
            CommandLine::Direct(words) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        },
        None => String::new(),
    };
    one_line(&text)
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:,+@%=".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_as_a_shell_would_need_them() {
        assert_eq!(quoted("--opt=x/y.z"), "--opt=x/y.z");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}

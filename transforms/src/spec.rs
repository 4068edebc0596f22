//! What the configuration says of a transform, as values.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use pop3d_core::transform::{Kind, Policy};

use crate::environment::PATH;

/// A transform of some kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Spec {
    /// An external program.
    Process(ProcessSpec),
    /// A file of code.
    Plugin(PluginSpec),
}

/// A program that is a transform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessSpec {
    /// The name in the configuration; for a command used as it is, one made from it.
    pub name: String,
    /// What is started for each message.
    pub command: CommandLine,
    /// How the cursor treats its messages.
    pub policy: Policy,
    /// Longest time without progress while the client is not the one that holds things up.
    pub timeout: Duration,
    /// Processor time for one message.
    pub cpu: Duration,
    /// Address space of one child in octets; none: no bound.
    pub memory: Option<u64>,
    /// Octets of output for one message; 100 times what comes in and 1 MiB is a bound as well.
    pub max_output: u64,
    /// Children at once; further messages queue. 0: eight a core. A chain that names a transform twice needs two.
    pub max_running: usize,
    /// Longest time in that queue.
    pub queue_timeout: Duration,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// Added to the environment as `OPTION_<KEY>`.
    pub options: Vec<(String, String)>,
    /// PATH of the child, and where programs are looked for.
    pub path: String,
    /// Its working folder.
    pub folder: PathBuf,
}

/// A file of code that is a transform: a native plugin (`.so`), or a filter in WebAssembly (`.wasm`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PluginSpec {
    /// The name in the configuration.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// How the cursor treats its messages.
    pub policy: Policy,
    /// Whether a native plugin runs in helper processes.
    pub isolation: Isolation,
    /// Helper processes. 0: one a core, four at most.
    pub hosts: usize,
    /// Longest time without progress, while the client is not what holds it up: of one call of a native plugin, or of a
    /// guest that computes.
    pub timeout: Duration,
    /// Processor time for one message.
    pub cpu: Duration,
    /// Octets: the address space of a helper process, none: no bound; or the memory of a guest, none: 64 MiB.
    pub memory: Option<u64>,
    /// Octets of output for one message; 100 times what comes in and 1 MiB is a bound as well.
    pub max_output: u64,
    /// Longest time before a guest may begin, where there are many.
    pub queue_timeout: Duration,
    /// Added to the environment of a WASI command.
    pub env: Vec<(String, String)>,
    /// What the code is configured by.
    pub options: Vec<(String, String)>,
}

impl PluginSpec {
    /// A spec with every default (`transforms.md`, part 8).
    #[must_use]
    pub fn new(name: &str, file: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            file,
            policy: Policy::default(),
            isolation: Isolation::default(),
            hosts: 0,
            timeout: Duration::from_secs(30),
            cpu: Duration::from_secs(10),
            memory: None,
            max_output: 1 << 30,
            queue_timeout: Duration::from_secs(30),
            env: Vec::new(),
            options: Vec::new(),
        }
    }

    /// Which kind of code it is, by the end of its name; none: of no kind that is known.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.file.extension()?.to_str()? {
            "so" => Some(Kind::Native),
            "wasm" => Some(Kind::Wasm),
            _ => None,
        }
    }

    /// The same with another value of an option.
    #[must_use]
    pub(crate) fn with_option(mut self, key: &str, value: &str) -> Self {
        match self.options.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => value.clone_into(known),
            None => self.options.push((key.to_owned(), value.to_owned())),
        }
        self
    }
}

/// What is said of a file that lies in the folder of transforms, or will.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Awaited {
    /// All but the file: that has this name, and an ending.
    pub spec: PluginSpec,
    /// The kind that what is said is for; none: it is for both.
    pub kind: Option<Kind>,
}

impl Awaited {
    /// Whether what is said is for a file of this name.
    #[must_use]
    pub fn fits(&self, file: &Path) -> bool {
        let spec = PluginSpec { file: file.to_owned(), ..self.spec.clone() };
        self.kind.is_none() || self.kind == spec.kind()
    }
}

/// Where a plugin runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Isolation {
    /// In processes of its own.
    #[default]
    Process,
    /// In the server.
    None,
}

/// How a program is started.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum CommandLine {
    /// A program and its arguments. Never empty.
    Direct(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

impl Spec {
    /// The name of the transform.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Process(spec) => &spec.name,
            Self::Plugin(spec) => &spec.name,
        }
    }
}

impl ProcessSpec {
    /// A spec with every default (`transforms.md`, part 8).
    #[must_use]
    pub fn new(name: &str, command: CommandLine) -> Self {
        Self {
            name: name.to_owned(),
            command,
            policy: Policy::default(),
            timeout: Duration::from_secs(30),
            cpu: Duration::from_secs(10),
            memory: None,
            max_output: 1 << 30,
            max_running: 0,
            queue_timeout: Duration::from_secs(30),
            env: Vec::new(),
            options: Vec::new(),
            path: PATH.to_owned(),
            folder: PathBuf::from("/"),
        }
    }
}

/// Options of one program: an administrator's script that goes wrong does not fill the memory.
const OPTIONS_MAX: usize = 1000;

/// Children at once for each core, where the configuration says nothing.
const RUNNING_PER_CORE: usize = 8;

impl ProcessSpec {
    /// How many children may run at once.
    #[must_use]
    pub fn running_limit(&self) -> usize {
        match self.max_running {
            0 => RUNNING_PER_CORE * thread::available_parallelism().map_or(1, usize::from),
            limit => limit,
        }
    }

    /// Sets one option, in place of its value so far.
    ///
    /// # Errors
    /// Where it cannot be in the environment, or there are too many; why.
    pub(crate) fn set_option(&mut self, key: &str, value: &str) -> Result<(), String> {
        if key.is_empty() || value.contains('\0') {
            return Err("an option needs a key, and a value without NUL".to_owned());
        }
        if let Some((_, known)) = self.options.iter_mut().find(|(known, _)| known == key) {
            value.clone_into(known);
        } else if self.options.len() < OPTIONS_MAX {
            self.options.push((key.to_owned(), value.to_owned()));
        } else {
            return Err(format!("it has {OPTIONS_MAX} options, and takes no more"));
        }
        Ok(())
    }
}

/// Octets for which a line needs a shell. Without one of them, words are what stands between spaces and tabs.
const SHELL_OCTETS: &str = "|&;<>()$`\\\"'*?[]#~=%!{}\n";

/// Words that begin a command only a shell has.
const SHELL_WORDS: [&str; 28] = [
    ".", ":", "alias", "break", "case", "cd", "command", "continue", "eval", "exec", "exit", "export", "for",
    "if", "read", "readonly", "return", "set", "shift", "times", "trap", "type", "ulimit", "umask", "unset",
    "until", "wait", "while",
];

/// What a line has between two commands, or around one within another.
const BETWEEN_COMMANDS: [&str; 6] = ["|", ";", "&", "\n", "`", "$("];

impl CommandLine {
    /// Whether a shell runs it, and may run several programs for it: quotes are not looked into.
    #[must_use]
    pub fn has_several(&self) -> bool {
        match self {
            Self::Shell(line) => BETWEEN_COMMANDS.iter().any(|between| line.contains(between)),
            Self::Direct(_) => false,
        }
    }

    /// Splits a line by shell words where no shell is needed, else keeps it for one. `None`: it has no word.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let words: Vec<_> =
            line.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let needs_shell = line.contains(|letter| SHELL_OCTETS.contains(letter))
            || words.first().is_some_and(|word| SHELL_WORDS.contains(&word.as_str()));
        Some(if needs_shell { Self::Shell(line.to_owned()) } else { Self::Direct(words) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(words: &[&str]) -> Option<CommandLine> {
        Some(CommandLine::Direct(words.iter().map(|&word| word.to_owned()).collect()))
    }

    #[test]
    fn several_commands_are_those_that_a_shell_runs_for_a_line() {
        let has_several = |line: &str| CommandLine::parse(line).unwrap().has_several();
        assert!(["a | b", "a; b", "a && b", "a `b`", "a $(b)", "a\nb"].into_iter().all(has_several));
        assert!(!["a", "sed 's/x/y/'", "a >b", "perl -pe '$x'"].into_iter().any(has_several));
    }

    #[test]
    fn a_plain_line_is_split_into_words() {
        assert_eq!(CommandLine::parse("cat"), direct(&["cat"]));
        assert_eq!(CommandLine::parse("  tr a-z\tA-Z "), direct(&["tr", "a-z", "A-Z"]));
        assert_eq!(CommandLine::parse("/opt/x,y/f:1 @+^ ü"), direct(&["/opt/x,y/f:1", "@+^", "ü"]));
    }

    #[test]
    fn a_line_with_an_octet_that_means_something_to_a_shell_is_kept_for_one() {
        for octet in SHELL_OCTETS.chars() {
            let line = format!("cat a{octet}b");
            assert_eq!(CommandLine::parse(&line), Some(CommandLine::Shell(line.clone())));
        }
    }

    #[test]
    fn a_word_that_only_a_shell_knows_needs_one() {
        for word in SHELL_WORDS {
            let line = format!("{word} 3");
            assert_eq!(CommandLine::parse(&line), Some(CommandLine::Shell(line.clone())));
        }
    }

    #[test]
    fn a_line_without_words_is_none() {
        for line in ["", "  \t ", "\n", " \r\n"] {
            assert_eq!(CommandLine::parse(line), None);
        }
    }
}

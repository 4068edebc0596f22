//! The command line of `pop3d transform`: transforms are tried without a server.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// What may stand in place of the server's arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Sets the password of an account in an accounts file, adds one, removes it, or checks its password.
    Passwd(super::Passwd),
    /// Tries transforms without a server and without clients.
    #[command(subcommand, arg_required_else_help = false)]
    Transform(TransformTask),
}

/// What is done with transforms.
#[derive(Debug, Subcommand)]
pub(crate) enum TransformTask {
    /// Lists the transforms of a configuration: name, kind, state, what each is made of, and why it failed.
    List(List),
    /// Passes messages through a chain, and shows what becomes of each: the difference, sizes and times. The status is 0
    /// where all have passed, and 1 where one has failed.
    Check(Check),
    /// Measures a chain beside none: octets and messages a second, and processor time.
    Bench(Bench),
}

/// `pop3d transform list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE.toml")]
    pub(crate) config: PathBuf,

    /// One JSON object for each, on a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A chain, and where its names are defined.
#[derive(Debug, Args)]
pub(crate) struct Chain {
    /// Names, .so and .wasm files, joined by commas; or a command as it is, run in this folder. none: no transform;
    /// default: the chain of the configuration.
    #[arg(value_name = "CHAIN")]
    pub(crate) text: String,

    /// The configuration file; for a command or a file none is needed.
    #[arg(short, long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,

    /// Whose mail the transforms are told that it is.
    #[arg(long, value_name = "NAME", default_value = "user")]
    pub(crate) user: String,
}

/// `pop3d transform check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) chain: Chain,

    /// Files, folders, or "-" for a message on standard input. Without any: messages that are built in.
    #[arg(value_name = "MESSAGE")]
    pub(crate) messages: Vec<PathBuf>,

    /// All messages of a Maildir, or of a folder of plain files.
    #[arg(long, value_name = "FOLDER", conflicts_with = "messages")]
    pub(crate) maildir: Option<PathBuf>,

    /// Shows no differences.
    #[arg(long)]
    pub(crate) no_diff: bool,

    /// One JSON object for each message, and one for all, each on a line; no differences.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pop3d transform bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) chain: Chain,

    /// How often each is measured, the chain and none in turn; medians are shown.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,

    /// How long each is measured in a round.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = humantime::parse_duration)]
    pub(crate) time: Duration,

    /// Messages under way at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) at_once: u32,

    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

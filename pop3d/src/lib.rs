//! The program pop3d as a library, so that what it reads from outside can be fuzzed.

mod accounts_file;
mod cli;
#[doc(hidden)]
pub mod config;
mod exit;
mod host;
mod logging;
mod passwd;
mod plan;
mod privileges;
mod signals;
mod start;
mod transform;

use std::process::ExitCode;

use pop3d_transforms::native;

/// The command line, for what is made of it: the manual page, and completions for shells.
#[doc(hidden)]
#[must_use]
pub fn command() -> clap::Command {
    <cli::Cli as clap::CommandFactory>::command()
}

/// Does what a helper process of a plugin is for, without what it has no need of.
fn run_helper() -> ExitCode {
    if let Err(error) = privileges::children::confine_helper() {
        eprintln!("pop3d: cannot be confined: {error}");
        return ExitCode::FAILURE;
    }
    let is_told = |what| std::env::args_os().skip(2).any(|argument| argument == what);
    let is_sealed = is_told(native::SEALED);
    let seal = || if is_sealed { privileges::children::seal() } else { Ok(()) };
    native::helper::run(is_told(native::TIED), seal)
}

/// Does what the command line of this process says; returns the status for the system.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == native::ARGUMENT) {
        return run_helper();
    }
    // Before anything is started, and before there is a second thread.
    if let Err(error) = native::inherited::keep_from_children() {
        eprintln!("pop3d: what its parent left open cannot be kept from programs: {error}");
        return ExitCode::FAILURE;
    }
    let result = cli::Cli::read().and_then(|cli| match &cli.task {
        Some(cli::Task::Passwd(task)) => passwd::run(task),
        Some(cli::Task::Transform(task)) => transform::run(task),
        None => start::run(cli),
    });
    exit::code(result)
}

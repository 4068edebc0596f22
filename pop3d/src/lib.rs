//! The program pop3d as a library, so that what it reads from outside can be fuzzed.

mod cli;
#[doc(hidden)]
pub mod config;
mod exit;
mod host;
mod logging;
mod plan;
mod signals;
mod start;

use std::process::ExitCode;

/// Does what the command line of this process says; returns the status for the system.
#[must_use]
pub fn main() -> ExitCode {
    let result = cli::Cli::read().and_then(start::run);
    exit::code(result)
}

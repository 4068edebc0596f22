//! pop3d: a POP3 server whose messages can pass through transforms on their way out.

mod cli;
mod config;
mod exit;
mod logging;
mod signals;
mod start;

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = cli::Cli::read().and_then(|cli| start::run(&cli));
    exit::code(result)
}

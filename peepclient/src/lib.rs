//! peepclient: administers a running POP3 server by PEEP, its admin protocol.
//!
//! The library is the program; `main.rs` only calls it. Public is what the documents are made from: the definition of the
//! command line, the table of the phrases and the exit statuses.

mod cli;
mod exit;
mod link;
mod login;
mod phrase;
mod prompt;
mod render;
mod script;
mod terminal;
mod tls;
mod top;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

pub use crate::cli::definition;
pub use crate::exit::EXIT_STATUSES;
pub use crate::phrase::{Column, Kind, PHRASES, Parameter, Phrase, Shows};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::link::{Credentials, Link};

/// Does what the command line says; the exit status.
#[must_use]
pub fn main() -> ExitCode {
    exit::code(run())
}

fn run() -> Result<(), Exit> {
    let mut cli = Cli::read()?;
    let target = cli.target()?;
    let (command, is_json) = (std::mem::take(&mut cli.command), cli.json);
    let signals = terminal::restore_on_signal()?;
    let is_attended = terminal::is_attended() && io::stdout().is_terminal();
    let mut credentials = || login::credentials(&mut cli, &target);
    let open = |credentials: Option<Credentials>| Link::open(&target, credentials.as_ref());
    match command.as_slice() {
        [command] if command == "top" && is_attended => top::run(&target, credentials()?, &signals),
        [command] if command == "top" => {
            Err(Exit::Usage("top needs a terminal; \"statistics\" tells scripts what the server does".into()))
        }
        [] if is_attended && !is_json => prompt::run(open(credentials()?)?),
        [] => script::run_lines(is_json, || open(credentials()?)),
        commands => script::run_commands(commands, is_json, || open(credentials()?)),
    }
}

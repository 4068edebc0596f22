//! `pop3d transform`: transforms without a server and without clients, for who writes one.
//!
//! ```text
//! command line, configuration ──► Trial: registry, chain, loop ──► check: Mail ──► Report
//!                                                             └──► bench
//! ```

mod bench;
mod check;
mod diff;
mod journal;
mod list;
mod mail;
mod report;
mod samples;
mod trial;

use std::io;

use crate::cli::TransformTask;
use crate::exit::Exit;

/// Does what the command line asks for.
///
/// # Errors
/// Where that cannot be, and where a message failed.
pub(crate) fn run(task: &TransformTask) -> Result<(), Exit> {
    match task {
        TransformTask::List(list) => list::run(list),
        TransformTask::Check(check) => check::run(check),
        TransformTask::Bench(bench) => bench::run(bench),
    }
}

/// What was written, or nobody reads any more: then the rest need not be done, and what was seen so far counts.
fn is_read(written: io::Result<()>) -> Result<bool, Exit> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Exit::System(format!("standard output cannot be written: {error}"))),
    }
}

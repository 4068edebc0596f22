//! The limit of descriptors, and what of it is left for connections.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections may not take: messages and folders that are open for a while, pipes. Where there are
/// few in all, half of them.
const DESCRIPTORS_KEPT: usize = 128;

/// The least of them, beside those that the server has open once it serves.
const DESCRIPTORS_SPARE: usize = 4;

/// Descriptors that each worker and the admin thread open later: a reserve, an event queue and its bell.
pub(super) const DESCRIPTORS_PER_THREAD: usize = 2;

/// Raises the limit of descriptors to the hard limit; returns it.
pub(super) fn raise_descriptor_limit() -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX))
}

/// How many descriptors the process has open.
pub(super) fn open_descriptors() -> usize {
    // Where that cannot be found out, half of all are kept.
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// How many connections a limit of descriptors is enough for, of which the server has some itself.
pub(super) fn connections_for(limit: usize, own: usize) -> usize {
    let kept = DESCRIPTORS_KEPT.min(limit / 2).max(own + DESCRIPTORS_SPARE);
    limit.saturating_sub(kept).max(1)
}

//! What stands on the host's side of one guest: where it writes, what it says, how much memory it may have.

use std::sync::Arc;
use std::time::Instant;

use pop3d_core::transform::{Error, Message};
use pop3d_protocol::text::one_line;
use wasmtime::ResourceLimiter;

use super::WasmSpec;
use crate::complaints::Complaints;
use crate::pool_stream::Pipe;

/// Lines of one message that reach the log.
const LINES_MAX: usize = 32;

/// Octets of each of them, and of a reason.
pub(super) const LINE_MAX: usize = 1024;

/// Octets of output that are copied before the task looks for room again.
pub(super) const PIECE: usize = 32 * 1024;

/// Octets of chance at once.
pub(super) const RANDOM_MAX: usize = 1 << 20;

pub(super) struct Host {
    pub(super) pipe: Arc<Pipe>,
    pub(super) memory: Memory,
    pub(super) journal: Journal,
    /// Since when its clock goes.
    pub(super) begun: Instant,
}

impl Host {
    pub(super) fn new(spec: &WasmSpec, message: &Message, pipe: &Arc<Pipe>) -> Self {
        let name = one_line(&spec.name);
        let title = format!("{name}: {}, message {}", one_line(&message.user), message.number);
        Self {
            pipe: Arc::clone(pipe),
            memory: Memory { octets: spec.memory, taken: 0 },
            journal: Journal { title, lines: 0, complaints: Complaints::default() },
            begun: Instant::now(),
        }
    }
}

/// What a store holds: its instance's memory has a bound.
pub(super) trait Bounded: Send + 'static {
    fn memory(&mut self) -> &mut Memory;
}

impl Bounded for Host {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

/// How much memory an instance may have.
pub(super) struct Memory {
    octets: u64,
    /// By all memories and tables of the instance.
    taken: u64,
}

impl Memory {
    fn take(&mut self, more: usize) -> wasmtime::Result<bool> {
        let more = more as u64;
        if more > self.octets.saturating_sub(self.taken) {
            // Told that it gets none, a guest would end in some way of its own.
            return Err(wasmtime::Error::new(Error::Limit("memory")));
        }
        self.taken += more;
        Ok(true)
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current).saturating_mul(size_of::<usize>()))
    }
}

/// What a guest says to the log.
pub(super) struct Journal {
    title: String,
    lines: usize,
    complaints: Complaints,
}

impl Journal {
    /// Whether a further line will be kept.
    pub(super) fn has_room(&self) -> bool {
        self.lines < LINES_MAX
    }

    pub(super) fn log(&mut self, level: log::Level, text: &str) {
        if self.has_room() {
            self.lines += 1;
            let text = &text[..text.floor_char_boundary(LINE_MAX)];
            log::log!(target: "pop3d::transform", level, "{}: {}", self.title, one_line(text));
        }
    }

    /// Takes what a guest writes on standard error.
    pub(super) fn complain(&mut self, octets: &[u8]) {
        let title = &self.title;
        self.complaints.take(octets, &mut |line| log::info!(target: "pop3d::transform", "{title}: {line}"));
    }

    /// The guest says no more. Returns the last lines of its standard error, or nothing.
    pub(super) fn finish(&mut self) -> String {
        let title = &self.title;
        let mut log = |line: &str| log::info!(target: "pop3d::transform", "{title}: {line}");
        let unlogged = self.complaints.finish(&mut log);
        if unlogged > 0 {
            log(&format!("{unlogged} more octets of standard error"));
        }
        self.complaints.tail()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_limit() {
        let mut memory = Memory { octets: 100_000, taken: 0 };
        assert!(memory.memory_growing(0, 65_536, None).unwrap());
        assert!(memory.table_growing(10, 1010, None).unwrap());
        assert!(memory.memory_growing(65_536, 131_072, None).is_err());
        assert!(memory.table_growing(0, 10_000, None).is_err());
        assert_eq!(memory.taken, 65_536 + 8000);
        assert!(memory.table_growing(0, usize::MAX, None).is_err());
    }

    #[test]
    fn the_log_takes_so_many_lines() {
        let mut journal = Journal { title: String::new(), lines: 0, complaints: Complaints::default() };
        for _ in 0..LINES_MAX {
            assert!(journal.has_room());
            journal.log(log::Level::Info, &"\u{fc}".repeat(LINE_MAX));
        }
        assert!(!journal.has_room());
    }
}

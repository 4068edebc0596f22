//! What comes into a pipe: chunks that the worker offers, or a file that the task reads itself.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

/// Octets of a chunk of input: no more than a plugin is promised at once.
pub(crate) const CHUNK: usize = 32 * 1024;

pub(super) enum Input {
    Chunks {
        chunks: VecDeque<Vec<u8>>,
        /// One that was emptied.
        spare: Vec<u8>,
        has_ended: bool,
    },
    /// The whole message, to be read from here on.
    File { file: Arc<File>, offset: u64 },
}

impl Input {
    /// No chunk yet.
    pub(super) fn chunks(has_ended: bool) -> Self {
        Self::Chunks { chunks: VecDeque::new(), spare: Vec::new(), has_ended }
    }
}

/// Appends what a chunk takes; how much that was.
pub(super) fn append_up_to(chunk: &mut Vec<u8>, input: &[u8]) -> usize {
    let fitting = input.get(..CHUNK.saturating_sub(chunk.len())).unwrap_or(input);
    chunk.extend_from_slice(fitting);
    fitting.len()
}

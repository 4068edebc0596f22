//! The contract between a protocol engine and whoever drives it.

/// A protocol without sockets, files, clock or threads.
///
/// After every `handle_*` the caller takes what `poll_action` has until it has none, and what
/// `poll_output` has as far as there is room. Nothing happens between calls.
pub trait Engine {
    /// What only the outside can do.
    type Action;
    /// What came of it.
    type Answer;

    /// Takes octets from the client; returns how many.
    ///
    /// While an action is unanswered, or replies wait that found no room, it takes none: that is
    /// the back-pressure, and what makes pipelining safe.
    fn handle_input(&mut self, octets: &[u8]) -> usize;

    /// Takes what came of the last action.
    fn handle_answer(&mut self, answer: Self::Answer);

    /// The client has been silent too long. Never leads to UPDATE (RFC 1939, section 3).
    fn handle_timeout(&mut self);

    /// The next thing that only the outside can do.
    fn poll_action(&mut self) -> Option<Self::Action>;

    /// Writes replies into `room`; returns how many octets. A listing continues where it stopped.
    fn poll_output(&mut self, room: &mut [u8]) -> usize;
}

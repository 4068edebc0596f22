//! TOP: the headers, the empty line, and so many lines of the body (RFC 1939, section 7).

/// Cuts a message, as stored, after the header, the empty line and `lines` lines of the body.
#[derive(Debug)]
pub struct TopLimit {}

impl TopLimit {
    /// A limit of so many lines of the body; 0 gives the headers and the empty line.
    #[must_use]
    pub fn new(_lines: u32) -> Self {
        Self {}
    }

    /// How many of the octets that come next belong to the answer, from the first on.
    pub fn admit(&mut self, _message: &[u8]) -> usize {
        0
    }

    /// Whether nothing more belongs to the answer.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        false
    }
}

//! What tests of streams share: a filter as a plain function, and the loop that drives a stream.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use pop3d_core::transform::{Error, Read, Stream, Wake};

/// Turns letters by 13.
pub(crate) fn rot13(octets: &[u8]) -> Vec<u8> {
    let turn = |octet: &u8| match octet {
        b'a'..=b'z' => (octet - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (octet - b'A' + 13) % 26 + b'A',
        other => *other,
    };
    octets.iter().map(turn).collect()
}

/// A wake, and where it is heard.
pub(crate) fn heard_wake() -> (Wake, Receiver<()>) {
    let (sender, wakes) = channel();
    (Wake(Arc::new(move || sender.send(()).unwrap_or_default())), wakes)
}

/// How a message is handed over, and taken.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Sizes of the pieces it is offered in.
    pub(crate) cuts: Vec<usize>,
    /// Octets that are taken at once.
    pub(crate) room: usize,
    pub(crate) as_file: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { cuts: vec![10_000], room: 10_000, as_file: false }
    }
}

/// What comes out of a stream, and from where on the rest passes.
pub(crate) fn drive(
    stream: &mut dyn Stream,
    wakes: &Receiver<()>,
    input: &[u8],
    manner: &Manner,
) -> Result<(Vec<u8>, Option<u64>), Error> {
    stream.allow_passing();
    let mut rest = input;
    let mut has_finished = false;
    if manner.as_file {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input).unwrap();
        // Of a short message it takes none.
        has_finished = stream.take_file(&file).unwrap();
    }
    let (mut output, mut buffer) = (Vec::new(), vec![0; manner.room]);
    let mut cuts = manner.cuts.iter().copied().cycle();
    loop {
        let mut has_moved = false;
        if !has_finished {
            let piece = &rest[..rest.len().min(cuts.next().unwrap_or(1000))];
            let taken = if piece.is_empty() { 0 } else { stream.write(piece)? };
            rest = &rest[taken..];
            has_moved = taken > 0;
            if rest.is_empty() {
                stream.finish()?;
                has_finished = true;
            }
        }
        match stream.read(&mut buffer)? {
            Read::Data(count) => output.extend_from_slice(&buffer[..count]),
            Read::End => return Ok((output, stream.passes_from())),
            Read::Pending if has_moved => {}
            Read::Pending => wakes.recv().unwrap(),
        }
    }
}

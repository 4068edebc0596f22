//! Runs a filter as the server does, without one: for the tests of filters.

use crate::{Command, Error, Filter, Flow, Message, Options, Output, configured};

/// Longest piece that the server pushes, in octets.
const CHUNK_MAX: usize = 65_536;

/// What comes out of a filter for a message, with these options.
///
/// # Errors
/// What the filter answers; `Error::Permanent` where it does not take its options.
pub fn run<F: Filter>(options: &[(&str, &str)], message: &[u8]) -> Result<Vec<u8>, Error> {
    run_cut::<F>(options, message, &[CHUNK_MAX])
}

/// The same, with the message cut into pieces of these sizes, over and over.
///
/// # Errors
/// As for `run`.
pub fn run_cut<F: Filter>(
    options: &[(&str, &str)],
    message: &[u8],
    cuts: &[usize],
) -> Result<Vec<u8>, Error> {
    let options = Options::new(options.iter().copied());
    let mut filter = configured::<F>(options).map_err(Error::Permanent)?;
    let told = Message {
        user: "user",
        number: 1,
        octets: message.len() as u64,
        uid: "uid",
        command: Command::Retr,
        remote: "127.0.0.1",
    };
    let mut sent = Vec::new();
    let mut flow = filter.start(&told, &mut Output::new(&mut sent))?;
    let mut rest = message;
    let mut cuts = cuts.iter().cycle();
    while flow == Flow::More && !rest.is_empty() {
        let size = cuts.next().map_or(CHUNK_MAX, |&cut| cut.clamp(1, CHUNK_MAX));
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        flow = filter.push(chunk, &mut Output::new(&mut sent))?;
        rest = after;
    }
    filter.finish(&mut Output::new(&mut sent))?;
    if flow == Flow::Pass {
        sent.extend_from_slice(rest);
    }
    Ok(sent)
}

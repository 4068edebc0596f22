//! The loop against plain functions: messages through a transform that works in threads of its own.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::*;
use crate::transform::{Command, Kind, Stream, Transform};

/// Makes capitals in a thread, whose end rings. Fails messages that begin with "!".
struct Capitals {
    /// Octets that become capitals; the rest passes.
    passes_from: Option<usize>,
}

struct Stage {
    passes_from: Option<usize>,
    input: Vec<u8>,
    output: Arc<Mutex<Option<Vec<u8>>>>,
    taken: usize,
    wake: Wake,
}

impl Transform for Capitals {
    fn name(&self) -> &str {
        "capitals"
    }

    fn kind(&self) -> Kind {
        Kind::Native
    }

    fn open(self: Arc<Self>, _: Arc<Message>, wake: Wake) -> Result<Box<dyn Stream>, Error> {
        let (passes_from, output) = (self.passes_from, Arc::default());
        Ok(Box::new(Stage { passes_from, input: Vec::new(), output, taken: 0, wake }))
    }
}

impl Stream for Stage {
    fn write(&mut self, input: &[u8]) -> Result<usize, Error> {
        self.input.extend_from_slice(input);
        // There is room for more at once.
        self.wake.wake();
        Ok(input.len())
    }

    fn finish(&mut self) -> Result<(), Error> {
        let input = std::mem::take(&mut self.input);
        let end = self.passes_from.unwrap_or(usize::MAX).min(input.len());
        let (output, wake) = (Arc::clone(&self.output), self.wake.clone());
        thread::spawn(move || {
            *output.lock().unwrap_or_else(PoisonError::into_inner) = Some(input[..end].to_ascii_uppercase());
            wake.wake();
        });
        Ok(())
    }

    fn read(&mut self, output: &mut [u8]) -> Result<Read, Error> {
        let made = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(made) = &*made else { return Ok(Read::Pending) };
        if made.first() == Some(&b'!') {
            return Err(Error::Crashed("as told".to_owned()));
        }
        let rest = &made[self.taken..];
        let count = rest.len().min(output.len());
        output[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(if count == 0 { Read::End } else { Read::Data(count) })
    }

    fn passes_from(&self) -> Option<u64> {
        self.passes_from.map(|from| from as u64)
    }
}

/// All messages of a list, and what becomes of each.
struct Post {
    chain: Option<Arc<Chain>>,
    messages: Vec<Vec<u8>>,
    begun: usize,
    /// Which message is in a slot.
    slots: Vec<Option<usize>>,
    outputs: Vec<Vec<u8>>,
    results: Vec<Option<Result<(), String>>>,
}

impl Work for Post {
    fn next(&mut self, slot: usize) -> Option<Errand> {
        let message = self.messages.get(self.begun)?;
        assert_eq!(self.slots[slot].replace(self.begun), None, "the slot is not free");
        self.begun += 1;
        Some(Errand { chain: self.chain.clone(), source: source(message), message: told(message) })
    }

    fn take(&mut self, slot: usize, octets: &[u8]) {
        self.outputs[self.slots[slot].unwrap()].extend_from_slice(octets);
    }

    fn end(&mut self, slot: usize, result: Result<(), Failure>) {
        let result = result.map_err(|failure| match failure {
            Failure::Transform { link, error } => format!("{link}: {error}"),
            Failure::Message(what) => what,
        });
        let message = self.slots[slot].take().unwrap();
        assert!(self.results[message].replace(result).is_none(), "told twice");
    }
}

fn source(message: &[u8]) -> Source {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(message).unwrap();
    Source { file, length: message.len() as u64, octets: None, wire_clean: false }
}

fn told(message: &[u8]) -> Arc<Message> {
    Arc::new(Message {
        user: "user".to_owned(),
        number: 1,
        octets: message.len() as u64,
        uid: "uid".to_owned(),
        command: Command::Retr,
        remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
    })
}

fn pass(transform: Option<Capitals>, messages: Vec<Vec<u8>>, at_once: usize) -> Post {
    let chain = transform.map(|it| Arc::new(Chain::new(vec![Arc::new(it)])));
    let count = messages.len();
    let (slots, outputs) = (vec![None; at_once], vec![Vec::new(); count]);
    let mut post = Post { chain, messages, begun: 0, slots, outputs, results: vec![None; count] };
    Offline::new().unwrap().run(at_once, &mut post).unwrap();
    assert_eq!(post.slots, vec![None; at_once]);
    post
}

fn messages() -> Vec<Vec<u8>> {
    (0..50).map(|number| format!("message {number}\n").repeat(number * 700).into_bytes()).collect()
}

#[test]
fn every_message_is_whole_however_many_are_under_way() {
    for at_once in [1, 7, 100] {
        let post = pass(Some(Capitals { passes_from: None }), messages(), at_once);
        for (message, output) in messages().iter().zip(&post.outputs) {
            assert_eq!(*output, message.to_ascii_uppercase());
        }
        assert!(post.results.iter().all(|result| *result == Some(Ok(()))));
    }
}

#[test]
fn what_passes_comes_from_the_file_and_without_a_chain_all_does() {
    let post = pass(Some(Capitals { passes_from: Some(20) }), messages(), 3);
    for (message, output) in messages().iter().zip(&post.outputs) {
        let (head, rest) = message.split_at(message.len().min(20));
        assert_eq!(*output, [&head.to_ascii_uppercase(), rest].concat());
    }
    assert_eq!(pass(None, messages(), 3).outputs, messages());
}

#[test]
fn a_message_that_fails_is_told_and_the_others_pass() {
    let post = pass(Some(Capitals { passes_from: None }), vec![b"a".into(), b"!".into(), b"b".into()], 2);
    let failed = Some(Err("0: as told".to_owned()));
    assert_eq!(post.results, [Some(Ok(())), failed, Some(Ok(()))]);
    assert_eq!(post.outputs, [b"A".to_vec(), Vec::new(), b"B".to_vec()]);
}

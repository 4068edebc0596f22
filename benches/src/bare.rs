//! The bare loop behind `bin/bare`: replies are prepared, so that what is measured is the machine and its kernel.
//!
//! A message of up to `PREPARED_MAX` octets is a whole reply in memory. A larger one, which must be stored as it is
//! sent, goes from its file: by `sendfile`, or by reading and writing blocks.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use memchr::memchr_iter;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::loopback::Loopback;

/// Octets up to which a message is prepared.
const PREPARED_MAX: u64 = 1 << 20;

/// Octets that are read from a file and written at once: what was found to be fastest.
const BLOCK: usize = 256 * 1024;

/// Octets that one connection may write before others have their turn.
const SHARE: usize = 256 * 1024;

const LISTENER: Token = Token(usize::MAX);

/// How messages are sent that are not prepared.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum By {
    /// Blocks are read and written.
    Write,
    /// `sendfile`.
    Sendfile,
}

/// What is said to one user.
#[derive(Default)]
struct Maildrop {
    stat: Rc<[u8]>,
    list: Rc<[u8]>,
    uidl: Rc<[u8]>,
    messages: Vec<Reply>,
}

/// One reply.
#[derive(Clone)]
enum Reply {
    Prepared(Rc<[u8]>),
    /// The status line, the file, its length.
    Stored(Rc<[u8]>, Rc<File>, u64),
}

/// What is left of a reply.
enum Rest {
    Octets(Rc<[u8]>, usize),
    File(Rc<File>, u64, u64),
}

struct Connection {
    stream: TcpStream,
    user: Option<Rc<Maildrop>>,
    rests: Vec<Rest>,
    has_quit: bool,
}

/// What became of a turn.
enum Turn {
    Waits,
    Unfinished,
    Gone,
}

/// Serves for ever.
///
/// # Errors
/// Where the mail cannot be read, or the address not be had.
pub fn serve(mail: &Path, listen: Loopback, by: By) -> io::Result<()> {
    let maildrops = maildrops(mail)?;
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(listen.address())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut unfinished: Vec<usize> = Vec::new();
    let mut block = vec![0; BLOCK];
    loop {
        let wait = (!unfinished.is_empty()).then_some(std::time::Duration::ZERO);
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut ready = std::mem::take(&mut unfinished);
        for event in &events {
            if event.token() != LISTENER {
                ready.push(event.token().0);
                continue;
            }
            loop {
                let (mut stream, _) = match listener.accept() {
                    Ok(accepted) => accepted,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => continue,
                };
                stream.set_nodelay(true)?;
                let slot = free.pop().unwrap_or(connections.len());
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, Token(slot), both)?;
                let greeting = Rest::Octets(b"+OK bare loop ready\r\n".as_slice().into(), 0);
                let connection = Connection { stream, user: None, rests: vec![greeting], has_quit: false };
                if slot == connections.len() {
                    connections.push(Some(connection));
                } else {
                    connections[slot] = Some(connection);
                }
                ready.push(slot);
            }
        }
        for slot in ready {
            let Some(Some(connection)) = connections.get_mut(slot) else { continue };
            match connection.turn(&maildrops, by, &mut block) {
                Turn::Waits => {}
                Turn::Unfinished => unfinished.push(slot),
                Turn::Gone => {
                    connections[slot] = None;
                    free.push(slot);
                }
            }
        }
    }
}

impl Connection {
    fn turn(&mut self, maildrops: &HashMap<Vec<u8>, Rc<Maildrop>>, by: By, block: &mut [u8]) -> Turn {
        let mut share = SHARE;
        loop {
            while let Some(rest) = self.rests.first_mut() {
                match rest.write(&mut self.stream, by, block) {
                    Ok((written, is_out)) => {
                        share = share.saturating_sub(written);
                        if is_out {
                            self.rests.remove(0);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Waits,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return Turn::Gone,
                }
                if share == 0 {
                    return Turn::Unfinished;
                }
            }
            if self.has_quit {
                return Turn::Gone;
            }
            let mut room = [0; 512];
            match self.stream.read(&mut room) {
                Ok(0) => return Turn::Gone,
                Ok(count) => {
                    for line in room[..count].split_inclusive(|&octet| octet == b'\n') {
                        self.answer(line, maildrops);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Turn::Gone,
            }
        }
    }

    fn answer(&mut self, line: &[u8], maildrops: &HashMap<Vec<u8>, Rc<Maildrop>>) {
        let line = line.trim_ascii_end();
        let ok = || Reply::Prepared(b"+OK\r\n".as_slice().into());
        let user = self.user.as_deref();
        let reply = match (line.get(..4), user) {
            (Some(b"USER"), _) => {
                self.user = maildrops.get(line.get(5..).unwrap_or_default()).cloned();
                Some(ok())
            }
            (Some(b"STAT"), Some(user)) => Some(Reply::Prepared(Rc::clone(&user.stat))),
            (Some(b"LIST"), Some(user)) => Some(Reply::Prepared(Rc::clone(&user.list))),
            (Some(b"UIDL"), Some(user)) => Some(Reply::Prepared(Rc::clone(&user.uidl))),
            (Some(b"RETR"), Some(user)) => {
                let number = line.get(5..).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
                number.and_then(|number: usize| user.messages.get(number.checked_sub(1)?)).cloned()
            }
            (Some(b"QUIT"), _) => {
                self.has_quit = true;
                Some(ok())
            }
            (Some(b"PASS" | b"NOOP"), Some(_)) => Some(ok()),
            _ => None,
        };
        match reply.unwrap_or_else(|| Reply::Prepared(b"-ERR\r\n".as_slice().into())) {
            Reply::Prepared(octets) => self.rests.push(Rest::Octets(octets, 0)),
            Reply::Stored(status, file, length) => {
                self.rests.push(Rest::Octets(status, 0));
                self.rests.push(Rest::File(file, 0, length));
                self.rests.push(Rest::Octets(b".\r\n".as_slice().into(), 0));
            }
        }
    }
}

impl Rest {
    /// Writes some of it; how many octets, and whether that was all.
    fn write(&mut self, stream: &mut TcpStream, by: By, block: &mut [u8]) -> io::Result<(usize, bool)> {
        match self {
            Self::Octets(octets, written) => {
                let count = stream.write(&octets[*written..])?;
                *written += count;
                Ok((count, *written == octets.len()))
            }
            Self::File(file, offset, length) => {
                let most =
                    usize::try_from(*length - *offset).map_or(block.len(), |left| left.min(block.len()));
                let count = match by {
                    By::Write => {
                        let count = file.read_at(&mut block[..most], *offset)?;
                        stream.write(&block[..count])?
                    }
                    By::Sendfile => {
                        let mut from = *offset;
                        rustix::fs::sendfile(&*stream, &**file, Some(&mut from), most)?
                    }
                };
                if count == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                *offset += count as u64;
                Ok((count, *offset == *length))
            }
        }
    }
}

/// What every user of a mail folder is told.
fn maildrops(mail: &Path) -> io::Result<HashMap<Vec<u8>, Rc<Maildrop>>> {
    let mut maildrops = HashMap::new();
    for user in fs::read_dir(mail)? {
        let user = user?;
        let mut paths = Vec::new();
        for message in fs::read_dir(user.path().join("cur"))? {
            paths.push(message?.path());
        }
        paths.sort();
        let name = user.file_name().into_encoded_bytes();
        maildrops.insert(name, Rc::new(maildrop(&paths)?));
    }
    Ok(maildrops)
}

fn maildrop(paths: &[std::path::PathBuf]) -> io::Result<Maildrop> {
    let mut maildrop = Maildrop::default();
    let (mut list, mut uidl, mut total) = ("+OK\r\n".to_owned(), "+OK\r\n".to_owned(), 0);
    for (number, path) in (1..).zip(paths) {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let (reply, octets) = if length > PREPARED_MAX {
            let status = format!("+OK {length} octets\r\n");
            (Reply::Stored(status.into_bytes().into(), Rc::new(file), length), length)
        } else {
            prepared(&fs::read(path)?)
        };
        maildrop.messages.push(reply);
        list += &format!("{number} {octets}\r\n");
        let unique_id = path.file_name().unwrap_or_default().to_string_lossy();
        uidl += &format!("{number} {}\r\n", unique_id.split(':').next().unwrap_or_default());
        total += octets;
    }
    list += ".\r\n";
    uidl += ".\r\n";
    maildrop.stat = format!("+OK {} {total}\r\n", paths.len()).into_bytes().into();
    maildrop.list = list.into_bytes().into();
    maildrop.uidl = uidl.into_bytes().into();
    Ok(maildrop)
}

/// The reply that a message is, and the octets of the message as sent.
fn prepared(message: &[u8]) -> (Reply, u64) {
    let mut body = Vec::with_capacity(message.len() + message.len() / 16);
    let (mut start, mut stuffed) = (0, 0);
    let mut ends = memchr_iter(b'\n', message);
    while start < message.len() {
        let end = ends.next().unwrap_or(message.len());
        let line = &message[start..end];
        if line.starts_with(b".") {
            body.push(b'.');
            stuffed += 1;
        }
        body.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        body.extend_from_slice(b"\r\n");
        start = end + 1;
    }
    let octets = body.len() as u64 - stuffed;
    let mut reply = format!("+OK {octets} octets\r\n").into_bytes();
    reply.append(&mut body);
    reply.extend_from_slice(b".\r\n");
    (Reply::Prepared(reply.into()), octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_reply_is_what_a_server_says() {
        let said = |message: &[u8]| match prepared(message) {
            (Reply::Prepared(octets), size) => (String::from_utf8(octets.to_vec()).unwrap(), size),
            (Reply::Stored(..), _) => unreachable!("it is prepared"),
        };
        assert_eq!(said(b"a: b\n\n.\nc"), ("+OK 14 octets\r\na: b\r\n\r\n..\r\nc\r\n.\r\n".to_owned(), 14));
        assert_eq!(said(b"a\r\n"), ("+OK 3 octets\r\na\r\n.\r\n".to_owned(), 3));
        assert_eq!(said(b""), ("+OK 0 octets\r\n.\r\n".to_owned(), 0));
    }
}

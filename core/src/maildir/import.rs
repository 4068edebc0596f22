//! What Dovecot or Courier noted of the messages of a Maildir: sizes, and the unique-ids that clients know.
//!
//! Courier's sizes are left alone: it counts a CR for every line end, also where there is one already. Dovecot's are
//! those of `W=` in a file name, and no better believed (see `inspect.rs`).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use super::folder::UserFolder;
use super::name;

/// Longest line of a list that is taken; a file name has 255 octets at most.
const LINE_MAX: u64 = 4096;

/// Whose unique-ids messages get that are met for the first time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UniqueIds {
    /// Those of the file names, as with qmail and with Dovecot's `%f`.
    #[default]
    Names,
    /// Those in `dovecot-uidlist`, in Dovecot's usual format `%08Xu%08Xv`.
    Dovecot,
    /// Those in `courierpop3dsizelist`.
    Courier,
}

/// What was noted of one message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Note {
    /// Octets as sent.
    pub(super) octets: Option<u64>,
    /// The unique-id that clients know.
    pub(super) unique_id: Option<Vec<u8>>,
}

/// What was noted, by the base of the file name.
#[derive(Debug, Default)]
pub(super) struct Notes {
    notes: HashMap<Vec<u8>, Note>,
}

impl Notes {
    /// Reads the lists in a user's folder. One that is not there or not understood says nothing.
    ///
    /// # Errors
    /// One that unique-ids are to be from cannot be read now, or is a link or a folder: messages would get others, and keep them.
    pub(super) fn read(folder: &UserFolder, unique_ids: UniqueIds) -> io::Result<Self> {
        let mut notes = Self::default();
        let file = match unique_ids {
            UniqueIds::Names | UniqueIds::Dovecot => "dovecot-uidlist",
            UniqueIds::Courier => "courierpop3dsizelist",
        };
        let opened = folder.open_file(file).map(BufReader::new);
        let is_closed = opened.is_err();
        let read = opened.and_then(|list| match unique_ids {
            UniqueIds::Names | UniqueIds::Dovecot => notes.add_dovecot(unique_ids, list),
            UniqueIds::Courier => notes.add_courier(list),
        });
        match read {
            Ok(()) => Ok(notes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(notes),
            Err(error) if unique_ids != UniqueIds::Names && (is_closed || error.raw_os_error().is_some()) => {
                Err(io::Error::new(error.kind(), format!("{file}: {error}")))
            }
            Err(error) => {
                let user = folder.user();
                log::warn!(target: "pop3d::maildir", "{user}: {file} not taken over: {error}");
                Ok(Self::default())
            }
        }
    }

    /// What was noted of a message.
    pub(super) fn of(&self, base: &[u8]) -> Option<&Note> {
        self.notes.get(base)
    }

    /// Version 3: `3 V<uidvalidity> …`, then `<uid> <fields> :<name>`. Version 1: `1 <uidvalidity> …`, then
    /// `<uid> <name>`.
    fn add_dovecot(&mut self, unique_ids: UniqueIds, mut list: BufReader<File>) -> io::Result<()> {
        let mut line = Vec::new();
        next_line(&mut list, &mut line)?;
        let mut words = line.split(|&octet| octet == b' ');
        let (version, mut rest) = (words.next(), words);
        let validity = match version {
            Some(b"3") => rest.find_map(|word| number(word.strip_prefix(b"V")?)),
            Some(b"1") => rest.next().and_then(number),
            Some(_) | None => None,
        };
        let Some(validity) = validity else { return Err(io::Error::other("unknown version")) };
        let is_first = version == Some(b"1");
        while next_line(&mut list, &mut line)? {
            let Some((uid, rest)) = split_once(&line, b' ') else { continue };
            let (fields, name) = if is_first {
                (&b""[..], rest)
            } else if let Some(name) = rest.strip_prefix(b":") {
                (&b""[..], name)
            } else if let Some(at) = rest.windows(2).position(|window| window == b" :") {
                (rest.get(..at).unwrap_or_default(), rest.get(at + 2..).unwrap_or_default())
            } else {
                continue;
            };
            let field =
                |letter| fields.split(|&octet| octet == b' ').find_map(|field| field.strip_prefix(letter));
            let usual = || number(uid).map(|uid| format!("{uid:08x}{validity:08x}").into_bytes());
            let unique_id = match unique_ids {
                UniqueIds::Dovecot => match field(b"P") {
                    // So it says that the unique-id is the name.
                    Some(b"") => None,
                    Some(id) => Some(id.to_vec()),
                    None => usual(),
                },
                UniqueIds::Names | UniqueIds::Courier => None,
            };
            self.add(name, Note { octets: field(b"W").and_then(number), unique_id });
        }
        Ok(())
    }

    /// `/<version> <next uid> <uidvalidity>`, then `<name> <size> <uid>:<uidvalidity>` and, since version 3, one
    /// more number.
    fn add_courier(&mut self, mut list: BufReader<File>) -> io::Result<()> {
        let mut line = Vec::new();
        next_line(&mut list, &mut line)?;
        if !line.starts_with(b"/2 ") && !line.starts_with(b"/3 ") {
            return Err(io::Error::other("unknown version"));
        }
        while next_line(&mut list, &mut line)? {
            let mut words = line.rsplitn(3, |&octet| octet == b' ');
            let (Some(uid), Some(_), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let mut numbers = uid.split(|&octet| octet == b':').map(number);
            let unique_id = match (numbers.next().flatten(), numbers.next().flatten()) {
                // Taken over by Courier from a version that used the names.
                (Some(0) | None, _) | (_, None) => None,
                (Some(uid), Some(0)) => Some(format!("UID{uid}").into_bytes()),
                (Some(uid), Some(validity)) => Some(format!("UID{uid}-{validity}").into_bytes()),
            };
            self.add(name, Note { octets: None, unique_id });
        }
        Ok(())
    }

    fn add(&mut self, name: &[u8], mut note: Note) {
        note.unique_id = note.unique_id.filter(|unique_id| name::is_unique_id(unique_id));
        self.notes.insert(name::base(name).to_vec(), note);
    }
}

/// Reads a line without its end; `false` where there is none, or one too long.
fn next_line(list: &mut BufReader<File>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    list.take(LINE_MAX).read_until(b'\n', line)?;
    Ok(line.pop_if(|last| *last == b'\n').is_some())
}

fn split_once(line: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, line)?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// A decimal number of digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

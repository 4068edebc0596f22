//! The maildrop of a dialogue, as files: a Maildir or a flat folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How a maildrop is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Flat,
    Maildir,
}

/// A maildrop, whose messages are numbered from 1 in the order of their delivery.
pub(crate) struct Maildrop {
    folder: PathBuf,
    kind: Kind,
    /// The names of the messages, in their order.
    names: Vec<String>,
}

impl Maildrop {
    /// An empty maildrop in this folder, whatever was there before.
    pub(crate) fn create(folder: &Path, kind: Kind) -> io::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        match kind {
            Kind::Flat => fs::create_dir_all(folder)?,
            Kind::Maildir => {
                for part in ["tmp", "new", "cur"] {
                    fs::create_dir_all(folder.join(part))?;
                }
            }
        }
        Ok(Self { folder: folder.to_owned(), kind, names: Vec::new() })
    }

    /// Adds a message behind all others, under a name of its own where none is given.
    pub(crate) fn deliver(&mut self, octets: &[u8], name: Option<&str>) -> io::Result<()> {
        let number = self.names.len() + 1;
        let name =
            name.map_or_else(|| format!("{}.M{number}P7.example", 1_700_000_000 + number), str::to_owned);
        let place = match self.kind {
            Kind::Flat => self.folder.join(&name),
            Kind::Maildir => self.folder.join("new").join(&name),
        };
        self.names.push(name);
        // As a delivery does it: nobody sees half a message.
        let temporary = self.folder.join(if self.kind == Kind::Flat { ".part" } else { "tmp/part" });
        fs::write(&temporary, octets)?;
        fs::rename(temporary, place)
    }

    /// Removes a message behind the back of the server.
    pub(crate) fn remove(&self, number: usize) -> io::Result<()> {
        fs::remove_file(self.find(number)?)
    }

    /// Makes a message impossible to delete or read: a folder stands in its place.
    pub(crate) fn obstruct(&self, number: usize) -> io::Result<()> {
        let place = self.find(number)?;
        fs::remove_file(&place)?;
        fs::create_dir_all(place.join("obstacle"))
    }

    /// Cuts a message to so many octets.
    pub(crate) fn shorten(&self, number: usize, octets: u64) -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(self.find(number)?)?.set_len(octets)
    }

    /// The numbers of the messages that are there.
    pub(crate) fn remaining(&self) -> Vec<usize> {
        (1..=self.names.len()).filter(|&number| self.find(number).is_ok()).collect()
    }

    /// Where a message is: its name may have got flags, and it may have been moved.
    fn find(&self, number: usize) -> io::Result<PathBuf> {
        let name = self.names.get(number - 1).ok_or(io::ErrorKind::NotFound)?;
        let parts: &[&str] = match self.kind {
            Kind::Flat => &["."],
            Kind::Maildir => &["new", "cur"],
        };
        for part in parts {
            for entry in fs::read_dir(self.folder.join(part))? {
                let path = entry?.path();
                let found = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if found == *name
                    || found.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([',', ':']))
                {
                    return Ok(path);
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("message {number} is not there")))
    }
}

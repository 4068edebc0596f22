//! The messages of a trial: files, folders as the server serves them, standard input, or those built in.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use pop3d_core::regular_file;
use pop3d_core::store::Source;
use pop3d_protocol::text::one_line;
use rustix::fs::{MemfdFlags, memfd_create};

use super::samples;
use crate::cli::Check;
use crate::exit::Exit;

/// Longest message that is taken from standard input, in octets: it is kept in memory.
const STDIN_MAX: u64 = 1 << 30;

/// A message that has not been opened yet.
pub(super) struct Mail {
    /// What it is called where it is shown.
    pub(super) name: String,
    origin: Origin,
}

enum Origin {
    File(PathBuf),
    StandardInput,
    Sample(Vec<u8>),
}

/// What the command line names.
///
/// # Errors
/// Where something of it is not there or cannot be listed.
pub(super) fn of(arguments: &Check) -> Result<Vec<Mail>, Exit> {
    let mut mails = Vec::new();
    match &arguments.maildir {
        Some(folder) => list(folder, &mut mails)?,
        None if arguments.messages.is_empty() => {
            let sample =
                |(name, octets)| Mail { name: format!("sample {name}"), origin: Origin::Sample(octets) };
            mails.extend(samples::all().into_iter().map(sample));
        }
        None => {
            for path in &arguments.messages {
                let status = fs::metadata(path);
                match status {
                    _ if path.as_os_str() == "-" => {
                        mails.push(Mail { name: "-".to_owned(), origin: Origin::StandardInput });
                    }
                    Ok(status) if status.is_dir() => list(path, &mut mails)?,
                    Ok(_) => mails.push(Mail::file(path.clone())),
                    Err(error) => return Err(unreadable(path, &error)),
                }
            }
        }
    }
    Ok(mails)
}

/// The messages of a folder, in the order of their names: those of `new` and `cur` where it has one of these, else its
/// files. What begins with "." is none, and links are not followed.
fn list(folder: &Path, mails: &mut Vec<Mail>) -> Result<(), Exit> {
    let parts = ["new", "cur"].map(|part| folder.join(part));
    let is_maildir = parts.iter().any(|part| is_folder(part));
    let folders = if is_maildir { parts.to_vec() } else { vec![folder.to_owned()] };
    let mut files: Vec<(OsString, PathBuf)> = Vec::new();
    for folder in folders.iter().filter(|part| !is_maildir || is_folder(part)) {
        let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(folder, &error))?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && !entry.file_name().as_bytes().starts_with(b".") {
                files.push((base(entry.file_name()), entry.path()));
            }
        }
    }
    files.sort();
    mails.extend(files.into_iter().map(|(_, path)| Mail::file(path)));
    Ok(())
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|status| status.is_dir())
}

/// A name without the flags of a Maildir, which change.
fn base(name: OsString) -> OsString {
    let mut octets = name.into_vec();
    if let Some(colon) = octets.iter().position(|&octet| octet == b':') {
        octets.truncate(colon);
    }
    OsString::from_vec(octets)
}

fn unreadable(path: &Path, error: &io::Error) -> Exit {
    Exit::NoInput(format!("cannot read {}: {error}", path.display()))
}

impl Mail {
    fn file(path: PathBuf) -> Self {
        Self { name: one_line(&path.to_string_lossy()), origin: Origin::File(path) }
    }

    /// Opens it.
    ///
    /// # Errors
    /// Where it cannot be read, or is no file.
    pub(super) fn open(self) -> io::Result<Source> {
        match self.origin {
            Origin::Sample(octets) => kept(&octets),
            Origin::StandardInput => {
                let mut octets = Vec::new();
                let read = io::stdin().lock().take(STDIN_MAX + 1).read_to_end(&mut octets)?;
                if read as u64 > STDIN_MAX {
                    return Err(io::Error::other(format!("it has more than {STDIN_MAX} octets")));
                }
                kept(&octets)
            }
            Origin::File(path) => {
                let file = regular_file::open(&path)?;
                let length = file.metadata()?.len();
                Ok(Source { file, length, octets: None, wire_clean: false })
            }
        }
    }
}

/// A message that is in memory, as a file: transforms take files.
///
/// # Errors
/// Where there is no memory for it.
pub(super) fn kept(octets: &[u8]) -> io::Result<Source> {
    let mut file = File::from(memfd_create("message", MemfdFlags::CLOEXEC)?);
    file.write_all(octets)?;
    Ok(Source { file, length: octets.len() as u64, octets: None, wire_clean: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut mails = Vec::new();
        list(folder, &mut mails).ok().unwrap();
        let root = folder.to_str().unwrap();
        mails.into_iter().map(|mail| mail.name.strip_prefix(root).unwrap().to_owned()).collect()
    }

    #[test]
    fn a_folder_has_the_messages_that_the_server_would_serve() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["2.eml", "1.eml", ".hidden"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("1.eml", folder.path().join("link")).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert_eq!(names(folder.path()), ["/1.eml", "/2.eml"]);
        // It is a Maildir from here on.
        fs::create_dir(folder.path().join("cur")).unwrap();
        fs::create_dir(folder.path().join("new")).unwrap();
        for name in ["cur/10.a:2,S", "new/20.b", "cur/30.c:2,"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(names(folder.path()), ["/cur/10.a:2,S", "/new/20.b", "/cur/30.c:2,"]);
    }
}

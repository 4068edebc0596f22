//! Mail folders.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary mail folder.
pub struct Mail {
    folder: TempDir,
}

impl Default for Mail {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
}

impl Mail {
    /// The mail of `user`, a flat folder with these messages, "1", "2", …
    #[must_use]
    pub fn flat<Message: AsRef<[u8]>>(user: &str, messages: &[Message]) -> Self {
        let mail = Self::default();
        fs::create_dir_all(mail.path().join(user)).unwrap();
        for (number, message) in (1..).zip(messages) {
            fs::write(mail.path().join(user).join(number.to_string()), message).unwrap();
        }
        mail
    }

    /// The same with names that are in this order however they are sorted.
    #[must_use]
    pub fn flat_in_order<Message: AsRef<[u8]>>(user: &str, messages: &[Message]) -> Self {
        let mail = Self::default();
        fs::create_dir_all(mail.path().join(user)).unwrap();
        for (number, message) in (1..).zip(messages) {
            fs::write(mail.path().join(user).join(format!("{number:06}")), message).unwrap();
        }
        mail
    }

    /// The mail of `user`, a Maildir with these messages in `new`.
    #[must_use]
    pub fn maildir<Message: AsRef<[u8]>>(user: &str, messages: &[Message]) -> Self {
        let mail = Self::default();
        for folder in ["new", "cur", "tmp"] {
            fs::create_dir_all(mail.path().join(user).join(folder)).unwrap();
        }
        for (number, message) in (0..).zip(messages) {
            let name = format!("{}.M{number}P1.host", 1_700_000_000 + number);
            fs::write(mail.path().join(user).join("new").join(name), message).unwrap();
        }
        mail
    }

    /// The mail folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The files of a user's messages, in the order of their names.
    #[must_use]
    pub fn files(&self, user: &str) -> Vec<PathBuf> {
        let top = self.path().join(user);
        let mut files: Vec<_> = [top.clone(), top.join("new"), top.join("cur")]
            .into_iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flat_map(|entries| entries.map(|entry| entry.unwrap().path()))
            .filter(|path| path.is_file())
            .collect();
        files.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
        files
    }
}

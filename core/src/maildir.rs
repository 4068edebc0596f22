//! The embedded store: Maildir and flat folders.

use std::path::PathBuf;

use crate::accounts::UserName;
use crate::store::{MailStore, Maildrop, OpenError};

/// The folders of all users under one mail folder.
pub struct LocalStore {
    _mail: PathBuf,
    _state: Option<PathBuf>,
}

impl LocalStore {
    /// The store of `mail`, one folder a user. Indexes and locks are kept in `state`; none, or one that cannot be
    /// written: service goes on from the mail folder alone, with a warning.
    #[must_use]
    pub fn new(mail: PathBuf, state: Option<PathBuf>) -> Self {
        Self { _mail: mail, _state: state }
    }
}

impl MailStore for LocalStore {
    fn open(&self, _user: &UserName) -> Result<Box<dyn Maildrop>, OpenError> {
        Err(OpenError::InUse(None))
    }
}

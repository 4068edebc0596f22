//! Changes: one at a time, each on disk before it takes effect. Called in the pool.

use std::fmt;
use std::net::IpAddr;

use log::info;
use pop3d_protocol::peep::{Argument, Command, Failure, Reply};

use super::{Administration, TIMEOUT_MAX};
use crate::state::settings::Changed;

/// Whether a change may have to make transforms: to compile, or to wait for what a plugin does while it is loaded.
pub(crate) fn makes_transforms(command: &Command) -> bool {
    matches!(
        command,
        Command::LoadTransform { .. }
            | Command::RemoveTransform { .. }
            | Command::ReloadTransform { .. }
            | Command::SetOption { .. }
            | Command::SetProgram { .. }
            | Command::Reload
    )
}

/// Puts into the log what the administrator `peer` has done, or was refused, and hands the result on.
pub(super) fn told<T>(
    peer: &str,
    what: &impl fmt::Display,
    result: Result<T, Failure>,
) -> Result<T, Failure> {
    match &result {
        Ok(_) => info!(target: "pop3d::peep", "{peer}: {what}"),
        Err(failure) => info!(target: "pop3d::peep", "{peer}: {what} refused: {failure}"),
    }
    result
}

impl Administration {
    /// Carries out a change for the administrator `peer`. May wait for the disk, for a hash, for another change.
    pub(crate) fn change(&self, command: Command, peer: &str) -> Result<Reply, Failure> {
        // Before the command is gone.
        let what = command.to_string();
        if let Command::AddAppPassword { user, name } = &command {
            return told(peer, &what, self.add_app_password(user, name)).map(Reply::Text);
        }
        let result = match command {
            Command::AddUser { user, password } => self.add_user(&user, &password),
            Command::RemoveUser { user } => self.remove_user(&user),
            Command::SetPassword { user, password } => self.set_password(&user, &password),
            Command::SetConnections(count) => self.set_connections(count),
            Command::SetMailbox { path } => self.set_mailbox(&path),
            Command::SetTimeout(seconds) => self.set_timeout(seconds),
            Command::SetChain { chain, user } => self.set_chain(&chain, user.as_ref()),
            Command::LoadTransform { name, file } => self.load_transform(&name, &file),
            Command::RemoveTransform { name } => self.remove_transform(&name),
            Command::ReloadTransform { name } => self.reload_transform(&name),
            Command::SetOption { name, option } => self.set_option(&name, &option),
            Command::SetProgram { command } => self.set_program(&command),
            Command::RemoveAppPassword { user, name } => self.remove_app_password(&user, &name),
            Command::AdmitAddress { address } => self.admit_address(&address),
            Command::Reload => self.reload(),
            question => return self.query(&question, peer).unwrap_or(Err(Failure::UnknownCommand)),
        };
        told(peer, &what, result).map(|()| Reply::Done)
    }

    fn set_connections(&self, count: u64) -> Result<(), Failure> {
        if !self.ranges().connections.contains(&count) {
            return Err(Failure::ConnectionsOutOfRange);
        }
        let mut state = self.lock();
        // With the lock: a reload replaces it.
        let configured = self.view.load().connections();
        let mut kept = state.kept.clone();
        kept.settings.connections = Some(Changed { value: count, configured });
        self.put(&mut state, kept)
    }

    fn set_timeout(&self, seconds: u64) -> Result<(), Failure> {
        if seconds > TIMEOUT_MAX {
            return Err(Failure::TimeoutOutOfRange);
        }
        let mut state = self.lock();
        let configured = self.view.load().timeout();
        let mut kept = state.kept.clone();
        kept.settings.timeout = Some(Changed { value: seconds, configured });
        self.put(&mut state, kept)
    }

    /// It is not kept over a restart: neither is what it ends.
    fn admit_address(&self, address: &Argument) -> Result<(), Failure> {
        let address: IpAddr = address.text().and_then(|text| text.parse().ok()).ok_or(Failure::BadSyntax)?;
        if !self.server.admit_address(address) {
            return Err(Failure::NotRefused);
        }
        info!(target: "pop3d::peep", "logins from {address} are taken again");
        Ok(())
    }

    fn set_mailbox(&self, path: &Argument) -> Result<(), Failure> {
        let path = path.text().ok_or(Failure::BadPath)?;
        // The next start may be in another folder.
        let path = std::path::absolute(path).map_err(|_| Failure::BadPath)?;
        let text = path.to_str().ok_or(Failure::BadPath)?.to_owned();
        // The lock is let go: a network folder that hangs keeps nobody else waiting.
        let store = self.lock().store.moved_to(path.clone());
        store.check().map_err(|error| {
            info!(target: "pop3d::peep", "the mail folder {} cannot be used: {error}", path.display());
            Failure::BadPath
        })?;
        let mut state = self.lock();
        let configured = self.view.load_full();
        let mut kept = state.kept.clone();
        kept.settings.mailbox = Some(Changed { value: text, configured: configured.mailbox_text() });
        self.put(&mut state, kept)
    }
}

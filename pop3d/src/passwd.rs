//! `pop3d passwd`: adds, changes, removes and checks an account of an accounts file.

mod overruled;
mod prompt;

use std::io;
use std::path::{Path, PathBuf};

use pop3d_core::accounts::file::edit::{self, Edited};
use pop3d_core::accounts::{self, Accounts, Secret, UserName};
use pop3d_protocol::pop3::Credentials;

use crate::accounts_file::{Locked, Replaced};
use crate::cli::Passwd;
use crate::config::File;
use crate::exit::{self, Exit};

/// Longest password that PASS has a line for, in octets (RFC 2449, section 4).
const PASSWORD_MAX: usize = 255 - "PASS \r\n".len();

/// Does what the command line asks for.
///
/// # Errors
/// What has been done, where it has been done; else what is wrong. Then the file is as it was.
pub(crate) fn run(passwd: &Passwd) -> Result<(), Exit> {
    let (path, overruled) = path(passwd)?;
    let done = if passwd.verify { verify(&path, passwd) } else { change(&path, passwd) };
    // What has been done is true, and not what its user will find.
    if let (Err(Exit::Done(_) | Exit::Failed(_)), Some(overruled)) = (&done, &overruled) {
        exit::warn(overruled);
    }
    done
}

fn change(path: &Path, passwd: &Passwd) -> Result<(), Exit> {
    let user = &passwd.user;
    let place = path.display();
    if passwd.remove {
        let locked = open(path, false)?;
        read(path, &locked.text)?;
        let removed = match &passwd.app {
            Some(app) => edit::with_app(&locked.text, user, app, None)
                .ok_or_else(|| Exit::NoUser(format!("{user} has no app password {app} in {place}"))),
            None => edit::without(&locked.text, user).ok_or_else(|| no_user(user, path)),
        };
        replace(path, locked, &removed?)?;
        let what = passwd.app.as_ref().map_or_else(String::new, |app| format!("app password {app} of "));
        return Err(Exit::Done(format!("{what}{user} removed from {place}; {ADVICE}")));
    }
    // Read before it is asked for anything, and again once it is locked: nobody waits for who types a password.
    if path.exists() {
        let accounts = read(path, &open(path, false)?.text)?;
        if passwd.app.is_some() && !accounts.contains(user) {
            return Err(no_user(user, path));
        }
    }
    let password = if passwd.stdin { prompt::read_line()? } else { prompt::ask_new(user)? };
    check(&password)?;
    let hashed = accounts::hash_by(passwd.scheme, &accounts::form_to_keep(password.octets()))
        .map_err(|error| Exit::Data(format!("the password cannot be hashed: {error}")))?;
    let locked = open(path, true)?;
    read(path, &locked.text)?;
    if let Some(app) = &passwd.app {
        let text = edit::with_app(&locked.text, user, app, Some(&hashed.stored()));
        let text = text.ok_or_else(|| no_user(user, path))?;
        read(path, &text)?;
        replace(path, locked, &text)?;
        return Err(Exit::Done(format!("app password {app} of {user} set in {place}; {ADVICE}")));
    }
    let (text, what) = match edit::with_secret(&locked.text, user, &hashed.stored()) {
        Edited::Added(text) => (text, "added to"),
        Edited::Changed(text) => (text, "has another password in"),
    };
    // Other fields of the line may not fit to a password.
    read(path, &text)?;
    replace(path, locked, &text)?;
    Err(Exit::Done(format!("{user} {what} {place}; {ADVICE}")))
}

fn open(path: &Path, makes: bool) -> Result<Locked, Exit> {
    Locked::open(path, makes).map_err(|error| {
        Exit::NoInput(format!("cannot read the accounts file {}: {}", path.display(), exit::of_file(&error)))
    })
}

fn replace(path: &Path, locked: Locked, text: &[u8]) -> Result<(), Exit> {
    let path = path.display();
    let what = |error: io::Error| {
        Exit::CannotCreate(format!("cannot write the accounts file {path}: {}", exit::of_file(&error)))
    };
    if let Replaced::Unsynced(error) = locked.replace(text).map_err(what)? {
        exit::warn(&format!("{path} is replaced, but its folder is not synced: {error}"));
    }
    Ok(())
}

/// What makes a server take it.
const ADVICE: &str = "a running server reads it on SIGHUP, or by \"cf\" of PEEP";

/// The accounts file, and what its configuration tells that holds in place of what stands there.
fn path(passwd: &Passwd) -> Result<(PathBuf, Option<String>), Exit> {
    if let Some(file) = &passwd.file {
        return Ok((file.clone(), None));
    }
    let config = passwd.config.as_deref().unwrap_or(Path::new(""));
    let file = File::read(config)?;
    let overruled = overruled::by(&file, config, passwd);
    let path = file.config.accounts.ok_or_else(|| {
        Exit::Config(format!("{} names no accounts file; add accounts = \"FILE\"", config.display()))
    })?;
    Ok((path, overruled))
}

/// The accounts of a file, all of it understood.
fn read(path: &Path, text: &[u8]) -> Result<Accounts, Exit> {
    let mut accounts = Accounts::new(false);
    let added = accounts.add_file(text);
    added.map_err(|(line, error)| Exit::Config(format!("{}:{line}:1: {error}", path.display())))?;
    Ok(accounts)
}

fn verify(path: &Path, passwd: &Passwd) -> Result<(), Exit> {
    let accounts = read(path, &open(path, false)?.text)?;
    let user = &passwd.user;
    if !accounts.contains(user) {
        return Err(no_user(user, path));
    }
    let password = if passwd.stdin { prompt::read_line()? } else { prompt::ask(user)? };
    let credentials =
        Credentials::Password { user: user.as_str().as_bytes().into(), password: password.octets().into() };
    if accounts.is_password(&credentials) {
        let but =
            if accounts.switches(user).is_disabled { ", but nobody logs in to the account" } else { "" };
        Err(Exit::Done(format!("the password of {user} is right{but}")))
    } else {
        Err(Exit::Failed(format!("the password of {user} is another")))
    }
}

fn no_user(user: &UserName, path: &Path) -> Exit {
    Exit::NoUser(format!("{user} is not in {}", path.display()))
}

/// Refuses a password that no client could send.
fn check(password: &Secret) -> Result<(), Exit> {
    let octets = password.octets();
    if octets.is_empty() {
        Err(Exit::Data("an empty password is none".to_owned()))
    } else if octets.len() > PASSWORD_MAX {
        Err(Exit::Data(format!(
            "a password has at most {PASSWORD_MAX} octets: PASS has no line for a longer one"
        )))
    } else if octets.contains(&0) || octets.contains(&b'\r') {
        Err(Exit::Data("a password has neither NUL nor CR in it: clients cannot send them".to_owned()))
    } else if accounts::is_prohibited(octets) {
        let what =
            "a password is UTF-8, without control characters beyond ASCII and others that SASLprep prohibits";
        Err(Exit::Data(what.to_owned()))
    } else {
        Ok(())
    }
}

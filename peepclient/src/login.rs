//! Who asks: the administrator's user and password, from where they are given.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::link::{Credentials, Target};
use crate::terminal;

/// Longest file of a password; what is behind its first line is not read as one.
const PASSWORD_FILE_MAX: u64 = 4096;

/// Where the password may be, besides the command line and a file.
const VARIABLE: &str = "PEEP_PASSWORD";

/// The administrator for a server; none where the kernel tells it.
pub(crate) fn credentials(cli: &mut Cli, target: &Target) -> Result<Option<Credentials>, Exit> {
    if matches!(target, Target::Socket(_)) {
        return Ok(None);
    }
    let user = match cli.user.take() {
        Some(user) => user,
        None if terminal::is_attended() => {
            terminal::ask("Administrator").map_err(|error| unanswered(&error))?
        }
        None => return Err(Exit::Usage("say who asks: --user".into())),
    };
    let password = if let Some(password) = cli.take_pass() {
        password
    } else if let Some(path) = &cli.password_file {
        of_file(path)?
    } else if let Some(password) = of_environment()? {
        password
    } else if terminal::is_attended() {
        terminal::ask_password(&format!("Password of {user} at {target}"))
            .map_err(|error| unanswered(&error))?
    } else {
        return Err(Exit::Usage(format!(
            "no password, and no terminal to ask at: use --password-file, or set {VARIABLE}"
        )));
    };
    Ok(Some(Credentials { user, password }))
}

fn unanswered(error: &io::Error) -> Exit {
    Exit::Usage(format!("the terminal gave no answer: {error}; use --user and --password-file"))
}

fn of_environment() -> Result<Option<Zeroizing<String>>, Exit> {
    match std::env::var(VARIABLE) {
        // No password is empty: a variable that is says no more than one that is not there.
        Ok(password) => Ok(Some(password.into()).filter(|password: &Zeroizing<String>| !password.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Exit::Usage(format!("{VARIABLE} is not UTF-8"))),
    }
}

fn of_file(path: &Path) -> Result<Zeroizing<String>, Exit> {
    let unread =
        |why: &str| Exit::NoInput(format!("cannot read the password from {}: {why}", path.display()));
    // Room from the start: growing would leave copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(4096));
    File::open(path)
        .and_then(|file| file.take(PASSWORD_FILE_MAX).read_to_end(&mut octets))
        .map_err(|error| unread(&error.to_string()))?;
    let line = octets.split(|&octet| octet == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(unread("its first line is empty"));
    }
    let text = std::str::from_utf8(line).map_err(|_| unread("it is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, expected) in [("secret\n", Ok("secret")), ("a b\r\nmore", Ok("a b")), ("\nx", Err(66))]
        {
            std::fs::write(&path, content).unwrap();
            let read = of_file(&path);
            assert_eq!(
                read.as_ref().map(|text| text.as_str()).map_err(Exit::status),
                expected,
                "{content:?}"
            );
        }
        assert_eq!(of_file(&folder.path().join("none")).unwrap_err().status(), 66);
    }
}

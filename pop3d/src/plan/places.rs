//! Places of the file system that must not be one: what the server keeps would be mail, or the log would stand in what it reads.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pop3d_core::accounts::UserName;
use pop3d_core::state::{accounts, apps, settings};

use super::Fixed;
use crate::exit::Exit;

/// Refuses a state folder whose files would be somebody's messages, and a log that would be written into another file.
///
/// # Errors
/// Where there is such, with what to do.
pub(super) fn check(fixed: &Fixed, mailbox: &Path, is_user: impl Fn(&UserName) -> bool) -> Result<(), Exit> {
    if let Some(state) = &fixed.state {
        check_state(state, mailbox, is_user)?;
    }
    let Some(log) = &fixed.log_file else { return Ok(()) };
    let kept = [accounts::FILE, apps::FILE, settings::FILE];
    let kept = fixed.state.iter().flat_map(|state| kept.map(|name| state.join(name)));
    match fixed.read_again.iter().cloned().chain(kept).find(|file| are_one(log, file)) {
        Some(file) => Err(Exit::Config(format!(
            "[log] file is {}, which the server reads for something else, and the log would be written into it; name another",
            file.display()
        ))),
        None => Ok(()),
    }
}

fn check_state(state: &Path, mailbox: &Path, is_user: impl Fn(&UserName) -> bool) -> Result<(), Exit> {
    let within = resolved(state);
    let Ok(within) = within.strip_prefix(resolved(mailbox)) else { return Ok(()) };
    let parts: Vec<_> = within.iter().map(|part| part.as_encoded_bytes()).collect();
    let what = match parts[..] {
        [] => "the mail folder too".to_owned(),
        [user] | [user, b"new" | b"cur"] => match UserName::parse(user).filter(is_user) {
            Some(user) => format!("where the mail of {user} is"),
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    Err(Exit::Config(format!(
        "the state folder {} is {what}, and what is kept there would be taken for mail; name another by --state",
        state.display()
    )))
}

/// Whether two paths lead to one file. Devices are nobody's to spoil.
fn are_one(log: &Path, other: &Path) -> bool {
    match (log.metadata(), other.metadata()) {
        (Ok(log), _) if !log.is_file() => false,
        (Ok(log), Ok(other)) => (log.dev(), log.ino()) == (other.dev(), other.ino()),
        _ => resolved(log) == resolved(other),
    }
}

/// A path without links, as far as there is something.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = |above: &Path| Some(above.canonicalize().ok()?.join(absolute.strip_prefix(above).ok()?));
    absolute.ancestors().find_map(there).unwrap_or_else(|| absolute.clone())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_state_folder_whose_files_would_be_mail_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mail = folder.path().join("mail");
        fs::create_dir(&mail).unwrap();
        symlink(&mail, folder.path().join("link")).unwrap();
        let refused = |state: &str| {
            let is_ann = |user: &UserName| user.as_str() == "ann";
            check_state(&folder.path().join(state), &mail, is_ann).err().map(|error| error.to_string())
        };
        for (state, named) in [
            ("mail", "is the mail folder too"),
            ("link/", "is the mail folder too"),
            ("mail/ann", "where the mail of ann is"),
            ("link/ann/new", "where the mail of ann is"),
        ] {
            let said = refused(state).unwrap();
            assert!(said.contains(named) && said.ends_with("name another by --state"), "{said}");
        }
        for state in ["state", "mail/.state", "mail/bob", "mail/ann/state", "link/state/ann", "."] {
            assert_eq!(refused(state), None, "{state}");
        }
    }

    #[test]
    fn one_file_is_known_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        fs::write(path("other"), "").unwrap();
        fs::hard_link(path("file"), path("hard")).unwrap();
        symlink("file", path("soft")).unwrap();
        for name in ["file", "hard", "soft"] {
            assert!(are_one(&path(name), &path("file")) && !are_one(&path(name), &path("other")), "{name}");
        }
        assert!(are_one(&path("absent"), &path("./absent")) && !are_one(&path("absent"), &path("gone")));
        assert!(!are_one(Path::new("/dev/null"), Path::new("/dev/null")));
    }
}

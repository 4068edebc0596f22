//! Warnings of passwords: those that stand in plain in the configuration, on the command line and in the accounts file, and are
//! refused where they are sent, or empty; and those that are hashed badly. The name is told, the password never.

use std::path::Path;

use pop3d_core::accounts::{Doubt, Doubted, Doubts};

use super::{File, User};
use crate::cli::Cli;

/// Those of the accounts file.
pub(crate) fn of_accounts_file(path: &Path, doubts: &Doubts) -> Vec<String> {
    let told = |doubted: &Doubted| {
        let Doubted { line, user, app, doubt } = doubted;
        format!("{}:{line}:1: {}", path.display(), sentence(user.as_str(), app.as_deref(), *doubt))
    };
    let mut warnings: Vec<_> = doubts.first.iter().map(told).collect();
    if doubts.further > 0 {
        warnings.push(format!(
            "{}: {} more passwords are empty, or refused wherever they are sent",
            path.display(),
            doubts.further
        ));
    }
    warnings
}

/// What is said of so many hashes in the accounts file that are guessed fast; none: nothing.
pub(crate) fn of_fast_hashes(path: &Path, (own, apps): (usize, usize), is_renewed: bool) -> Vec<String> {
    let what = "kept by MD5, SHA or the like, and guessed fast by whoever gets the file";
    let advice = if is_renewed { "rehash makes each" } else { "write rehash = true, which makes each" };
    let own = (own > 0)
        .then(|| format!("{}: {own} passwords are {what}; {advice} anew at its next login", path.display()));
    let apps = (apps > 0).then(|| {
        format!("{}: {apps} app passwords are {what}; set others by pop3d passwd --app", path.display())
    });
    own.into_iter().chain(apps).collect()
}

/// Those of `[users]`.
pub(crate) fn of_users(file: &File) -> Vec<String> {
    let of =
        |stored: &[u8]| if stored.starts_with(b"{") { Doubt::of_stored(stored) } else { Doubt::of(stored) };
    let users = file.config.users.iter().flat_map(|(name, user)| {
        User::passwords(user).filter_map(move |(app, place, password)| {
            let what = sentence(name.as_ref(), app, of(password)?);
            Some(file.error(place, &what).to_string())
        })
    });
    users.collect()
}

/// Those of the command line.
pub(crate) fn of_command_line(cli: &Cli) -> Vec<String> {
    let users = cli.users.iter().filter_map(|user| {
        Some(format!("--user: {}", sentence(user.name.as_str(), None, Doubt::of(user.password.octets())?)))
    });
    users.collect()
}

fn sentence(user: &str, app: Option<&str>, doubt: Doubt) -> String {
    match app {
        None => format!("the password of {user} {doubt}"),
        Some(app) => format!("the app password {app} of {user} {doubt}"),
    }
}

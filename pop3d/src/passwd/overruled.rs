//! What holds in place of the account of an accounts file, as far as the configuration tells: its own `[users]`, and what
//! PEEP has set.

use std::path::Path;

use pop3d_core::accounts::{Accounts, UserName};
use pop3d_core::state::StateFiles;
use pop3d_core::state::accounts::KeptAccounts;
use pop3d_core::state::apps::KeptApps;

use crate::cli::Passwd;
use crate::config::File;

/// Says why what stands in the accounts file of this configuration is not what holds; none: it does.
pub(super) fn by(file: &File, config: &Path, passwd: &Passwd) -> Option<String> {
    let user = &passwd.user;
    by_peep(file, passwd).or_else(|| {
        let mut names = file.config.users.keys();
        let is_there = names.any(|name| UserName::parse(name.as_ref().as_bytes()).as_ref() == Some(user));
        is_there.then(|| {
            let what = if passwd.remove && passwd.app.is_none() { "remove" } else { "change" };
            format!(
                "{user} stands in [users] of {} too, and that is what holds; {what} it there",
                config.display()
            )
        })
    })
}

/// The same by what PEEP has set. An app password stands beside a password of PEEP's.
fn by_peep(file: &File, passwd: &Passwd) -> Option<String> {
    let user = &passwd.user;
    let state = file.config.state.clone().or_else(pop3d_programs::state_folder);
    let state = state.filter(|state| state.is_dir())?;
    // What cannot be read tells nothing: a start says what is wrong there.
    let files = StateFiles::open(&state).ok()?;
    let kept = KeptAccounts::read(&files).ok()?;
    let place = state.display();
    if kept.hashed(user).is_some() && passwd.app.is_none() {
        let (what, how) = if passwd.remove {
            ("and by that password it can be logged in to still", r#"remove it by "u-" of PEEP too"#)
        } else {
            ("which is what holds", r#"change it by "u=" of PEEP"#)
        };
        return Some(format!(
            "PEEP has set another password of {user}, {what} (state folder {place}); {how}"
        ));
    }
    let mut accounts = Accounts::new(false);
    accounts.add(user.clone(), b"");
    kept.apply(&mut accounts);
    if !accounts.contains(user) {
        return Some(format!(
            "PEEP has removed {user}, which is what holds (state folder {place}); add it by \"u+\" of PEEP"
        ));
    }
    let name = passwd.app.as_deref()?;
    let (what, how) = app_by_peep(&KeptApps::read(&files).ok()?, user, name, passwd.remove)?;
    Some(format!("PEEP has {what} (state folder {place}); {how}"))
}

/// The same of an app password: what PEEP has done, and what to do.
fn app_by_peep(
    kept: &KeptApps,
    user: &UserName,
    name: &str,
    removes: bool,
) -> Option<(String, &'static str)> {
    if kept.is_made(user, name) {
        let how = if removes {
            r#"take it back by "ua-" of PEEP too"#
        } else {
            r#"take it back by "ua-" of PEEP, or choose another name"#
        };
        return Some((format!("made an app password {name} of {user}, which is what holds"), how));
    }
    (kept.is_taken_back(user, name) && !removes).then(|| {
        let what =
            format!("taken back the app password {name} of {user}, so that none of that name here lets in");
        (what, r#"make one by "ua+" of PEEP, or choose another name"#)
    })
}

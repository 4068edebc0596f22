//! What holds in place of the account of an accounts file, as far as the configuration tells: its own `[users]`, and what
//! PEEP has set.

use std::path::Path;

use pop3d_core::accounts::{Accounts, UserName};
use pop3d_core::state::StateFiles;
use pop3d_core::state::accounts::KeptAccounts;

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
    let kept = KeptAccounts::read(&StateFiles::open(&state).ok()?).ok()?;
    let place = state.display();
    if kept.hashed(user).is_some() {
        let (what, how) = match (&passwd.app, passwd.remove) {
            (Some(_), _) => return None,
            (None, true) => {
                ("and by that password it can be logged in to still", r#"remove it by "u-" of PEEP too"#)
            }
            (None, false) => ("which is what holds", r#"change it by "u=" of PEEP"#),
        };
        return Some(format!(
            "PEEP has set another password of {user}, {what} (state folder {place}); {how}"
        ));
    }
    let mut accounts = Accounts::new(false);
    accounts.add(user.clone(), b"");
    kept.apply(&mut accounts);
    let is_removed = !accounts.contains(user);
    is_removed.then(|| {
        format!(
            "PEEP has removed {user}, which is what holds (state folder {place}); add it by \"u+\" of PEEP"
        )
    })
}

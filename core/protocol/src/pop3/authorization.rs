//! What exists in AUTHORIZATION (RFC 1939, section 4): how far the login has come, and how often it may fail.

use alloc::boxed::Box;

use super::action::Credentials;

/// Maildrops refused in one connection: right credentials, but no one waits here for ever.
const REFUSED_MAILDROPS_MAX: u16 = 10;
/// Challenges of one exchange; no mechanism needs as many.
const CHALLENGES_MAX: u16 = 8;

/// How often a client may be wrong until its connection is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tolerance {
    /// Failed logins, of which the last closes: who guesses has to connect again.
    pub failed_logins: u16,
    /// Lines before login that are no command, or none for AUTHORIZATION; the last closes.
    pub mistakes_before_login: u16,
    /// The same after login.
    pub mistakes: u16,
}

impl Tolerance {
    /// What holds where nothing else is said.
    pub const DEFAULT: Self = Self { failed_logins: 3, mistakes_before_login: 20, mistakes: 100 };
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The AUTHORIZATION state.
#[derive(Debug, Default)]
pub(super) struct Authorization {
    pub(super) login: Login,
    failed_logins: u16,
    refused_maildrops: u16,
    mistakes: u16,
}

/// How far a login has come.
#[derive(Debug, Default)]
pub(super) enum Login {
    /// Nobody has said who they are.
    #[default]
    Nobody,
    /// USER gave a name; PASS may follow.
    Named(Box<[u8]>),
    /// `Action::Verify` is unanswered.
    Verifying,
    /// `Action::Exchange` is unanswered.
    Exchanging { challenges: u16 },
    /// The client is to answer a challenge: so many there were.
    Challenged { challenges: u16 },
    /// The client was told in a challenge why the login fails. Whatever it answers, it has failed.
    Explained,
    /// `Action::OpenMaildrop` is unanswered.
    Opening,
    /// `Action::StartTls` is unanswered.
    Securing,
    /// `Action::Identify` is unanswered.
    Identifying,
}

/// Whether something may be tried once more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Patience {
    /// It may.
    Left,
    /// That was the last time.
    Lost,
}

impl Patience {
    /// Counts one more, of at most so many.
    pub(super) fn count(counter: &mut u16, most: u16) -> Self {
        *counter = counter.saturating_add(1);
        if *counter < most { Self::Left } else { Self::Lost }
    }
}

impl Authorization {
    /// Keeps the name of USER until PASS. It is not looked up: the answer is the same for every name, so that
    /// nobody learns which ones exist.
    pub(super) fn name(&mut self, user: &[u8]) {
        self.login = Login::Named(user.into());
    }

    /// Octets of the name that USER gave.
    pub(super) fn held(&self) -> usize {
        match &self.login {
            Login::Named(user) => user.len(),
            Login::Nobody
            | Login::Verifying
            | Login::Exchanging { .. }
            | Login::Challenged { .. }
            | Login::Explained
            | Login::Opening
            | Login::Securing
            | Login::Identifying => 0,
        }
    }

    /// The credentials that PASS completes, unless USER is missing.
    pub(super) fn password(&mut self, password: &[u8]) -> Option<Credentials> {
        match core::mem::replace(&mut self.login, Login::Verifying) {
            Login::Named(user) => Some(Credentials::Password { user, password: password.into() }),
            other @ (Login::Nobody
            | Login::Verifying
            | Login::Exchanging { .. }
            | Login::Challenged { .. }
            | Login::Explained
            | Login::Opening
            | Login::Securing
            | Login::Identifying) => {
                self.login = other;
                None
            }
        }
    }

    /// The credentials of APOP.
    pub(super) fn apop(&mut self, user: &[u8], digest: [u8; 16]) -> Credentials {
        self.login = Login::Verifying;
        Credentials::Apop { user: user.into(), digest }
    }

    /// A challenge is to be answered; `Lost`: there were too many.
    pub(super) fn challenge(&mut self, before: u16) -> Patience {
        let mut challenges = before;
        let patience = Patience::count(&mut challenges, CHALLENGES_MAX);
        self.login = Login::Challenged { challenges };
        patience
    }

    /// The credentials are wrong, or cannot be verified: back to the beginning.
    pub(super) fn fail_login(&mut self, most: u16) -> Patience {
        self.login = Login::Nobody;
        Patience::count(&mut self.failed_logins, most)
    }

    /// The maildrop cannot be opened: back to the beginning.
    pub(super) fn refuse_maildrop(&mut self) -> Patience {
        self.login = Login::Nobody;
        Patience::count(&mut self.refused_maildrops, REFUSED_MAILDROPS_MAX)
    }

    /// A line was no command, or no command for AUTHORIZATION.
    pub(super) fn mistake(&mut self, most: u16) -> Patience {
        Patience::count(&mut self.mistakes, most)
    }

    /// Whether an action is unanswered.
    pub(super) fn is_waiting(&self) -> bool {
        match self.login {
            Login::Nobody | Login::Named(_) | Login::Challenged { .. } | Login::Explained => false,
            Login::Verifying
            | Login::Exchanging { .. }
            | Login::Opening
            | Login::Securing
            | Login::Identifying => true,
        }
    }
}

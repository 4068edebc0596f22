//! What comes of credentials. It is counted in the pool, where they are verified, so that it counts whether the client
//! waits for its answer or not.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use pop3d_protocol::engine::Engine;
use pop3d_protocol::pop3::{Answer, Refusal};
use pop3d_protocol::reply::ResponseCode;

use super::{Connection, Desk, Task, temporary};
use crate::accounts::{Accounts, Asking, USER_NAME_MAX, UserName, WrongCredentials, prepared};
use crate::guesses::{DELAY_DOUBLINGS_MAX, Penalty};
use crate::notice::Outcome;
use crate::shared::{Pools, Shared, TurnedAway};

/// Counts one login.
pub(super) struct Judge {
    shared: Arc<Shared>,
    peer: SocketAddr,
    /// When it began.
    now: Instant,
}

impl Judge {
    /// Says what came of credentials that claim to be those of `claimed`.
    pub(super) fn judge(&self, claimed: &[u8], verified: Result<UserName, WrongCredentials>) -> Outcome {
        Outcome::Verified(match verified {
            Ok(user) => {
                if let Some(address) = self.shared.settings.load().limits.counted(self.peer.ip()) {
                    self.shared.guesses.forgive(address);
                }
                Ok(user)
            }
            Err(WrongCredentials) => Err(self.fail(&prepared(claimed), &shown(claimed), "wrong credentials")),
        })
    }

    /// Counts a failed login, for the account with this name; `user` is what the client claimed, for the log.
    fn fail(&self, name: &[u8], user: &str, why: &str) -> Penalty {
        let Self { shared, peer, now } = self;
        let settings = shared.settings.load();
        let rules = &settings.limits.failed_logins;
        let fail = |address| shared.guesses.fail(address, name, *now, rules);
        let penalty = settings.limits.counted(peer.ip()).map(fail).unwrap_or_default();
        info!(target: "pop3d::login", "user {user} from {peer} not logged in: {why}");
        if let Some(failures) = penalty.refused_after {
            let line = refusal_line(peer.ip(), rules.refused_for, failures);
            warn!(target: "pop3d::login", "{line}");
        }
        penalty
    }

    /// Counts an exchange once its client has given it up. Called in the pool: to prepare a long name takes long.
    pub(super) fn when_given_up(self, claimed: &[u8]) -> impl FnOnce() + Send + 'static {
        let Self { shared, peer, now } = self;
        let user = shown(claimed);
        // One that is longer than any user's is nobody's, whatever its end.
        let name = prepared(claimed);
        let name = name.get(..=USER_NAME_MAX).unwrap_or(&name).to_vec();
        // The exchange may be in a notice that nobody takes any more, and notices are part of what is shared.
        let shared = Arc::downgrade(&shared);
        move || {
            if let Some(shared) = shared.upgrade() {
                Self { shared, peer, now }.fail(&name, &user, "the exchange was given up");
            }
        }
    }
}

/// A claimed name for the log. One that is longer than any user's is cut: it may have a megabyte.
fn shown(claimed: &[u8]) -> String {
    let (shown, rest) = claimed.split_at(claimed.len().min(USER_NAME_MAX));
    let more = if rest.is_empty() { "" } else { "…" };
    format!("{}{more}", shown.escape_ascii())
}

/// How long a login may wait for its turn to be asked about.
const TURN_MAX: Duration = Duration::from_secs(30);

/// Has a login asked about in its turn, which is told to come; or, where it has not come in time, tells that.
pub(super) fn in_turn(pools: &Pools, ask: impl FnOnce(Turned) + Send + 'static) {
    in_turn_within(TURN_MAX, pools, ask);
}

/// Whether a login's turn has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turned {
    InTime,
    TooLate,
}

fn in_turn_within(limit: Duration, pools: &Pools, ask: impl FnOnce(Turned) + Send + 'static) {
    let waits = Arc::new(Mutex::new(Some(ask)));
    let turn = move |turned| {
        let ask = waits.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ask) = ask {
            ask(turned);
        }
    };
    let too_late = turn.clone();
    pools.externals.run(move || turn(Turned::InTime));
    // Where all who ask are held up, only another pool can tell.
    pools.passwords.run_after(limit, move || too_late(Turned::TooLate));
}

impl Judge {
    /// Says what came of a password that is known to be right, without waiting for those who are asked about others.
    pub(super) fn judge_known(&self, asking: &Asking) -> Outcome {
        self.judge(asking.user().as_str().as_bytes(), Ok(asking.user().clone()))
    }

    /// Asks about somebody's password, where its turn has come in time, and says what came of it. Waits for another program.
    pub(super) fn judge_asked(&self, asking: &Asking, password: &[u8], turned: Turned) -> Outcome {
        let user = asking.user();
        let asked = match turned {
            Turned::InTime => asking.ask(password),
            Turned::TooLate => Err("too many others are being checked".to_owned()),
        };
        match asked {
            Ok(is_right) => {
                let verified = if is_right { Ok(user.clone()) } else { Err(WrongCredentials) };
                self.judge(user.as_str().as_bytes(), verified)
            }
            Err(why) => {
                error!(target: "pop3d::login", "user {user} from {}: not checked: {why}", self.peer);
                Outcome::Unverified
            }
        }
    }

    /// Has a weak hash made anew of the password that was found right; after the answer, for it takes as long as a login.
    pub(super) fn renew(&self, accounts: &Accounts, user: &UserName, password: &[u8]) {
        if self.shared.settings.load().rehash && accounts.is_weak(user) {
            self.shared.renew(user, password);
        }
    }
}

impl Connection {
    /// Who counts a login that begins here.
    pub(super) fn judge(&self, desk: &Desk) -> Judge {
        Judge { shared: Arc::clone(&desk.shared), peer: self.peer, now: desk.now }
    }

    /// Whether nobody from the client's address may log in: then it is told so, and sent away. A proxy that logs in without a
    /// word of for whom is a client of its own address.
    pub(super) fn is_turned_away(&mut self, desk: &Desk) -> bool {
        let address = self.peer.ip();
        let settled = self.admission.as_mut().map(|admission| admission.settle(address, desk.now));
        let why = match settled {
            Some(Err(why)) => {
                desk.counters.refused.add(1);
                why
            }
            Some(Ok(())) | None if desk.shared.is_refused(address, desk.now) => TurnedAway::FailedLogins,
            Some(Ok(())) | None => return false,
        };
        self.exchange = None;
        self.explained = None;
        self.reason = match why {
            TurnedAway::TooMany => "too many connections from its address",
            TurnedAway::FailedLogins => "too many failed logins from its address",
        };
        let refusal = temporary(why.reply());
        self.session.refuse_and_close(&refusal);
        // The session says farewell once it has its answer.
        self.session.handle_answer(Answer::Verified(Err(refusal)));
        true
    }

    /// Answers a failed login after a time that grows, and that does not depend on what was wrong.
    pub(super) fn hold_back_refusal(&mut self, penalty: Penalty, desk: &Desk) {
        desk.counters.logins_wrong.add(1);
        let doublings = self.failed_logins.max(penalty.doublings).min(DELAY_DOUBLINGS_MAX);
        self.failed_logins += 1;
        let refusal = Refusal { code: Some(ResponseCode::Auth), text: "wrong user name or password".into() };
        self.hold_back(refusal, doublings, desk);
    }

    /// Refuses a login after the time that a failed one takes, doubled so often.
    pub(super) fn hold_back(&mut self, refusal: Refusal, doublings: u32, desk: &Desk) {
        let delay: Duration = desk.shared.settings.load().limits.failed_login_delay * (1 << doublings);
        self.task = Task::Delayed { until: self.last_sign + delay, refusal: Box::new(refusal) };
    }

    /// The time that an answer was held back for may have come.
    pub(super) fn release_refusal(&mut self, now: Instant) {
        if let Task::Delayed { until, .. } = self.task
            && until <= now
            && let Task::Delayed { refusal, .. } = std::mem::replace(&mut self.task, Task::None)
        {
            self.last_sign = now;
            self.session.handle_answer(Answer::Verified(Err(*refusal)));
        }
    }
}

/// The line of the log that other programs read to keep an address out (docs/configuration.md). It does not change, and
/// has nothing in it that a client chose.
fn refusal_line(address: IpAddr, refused_for: Duration, failures: u32) -> String {
    format!("address {address} refused for {} seconds after {failures} failed logins", refused_for.as_secs())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::pool::Pool;

    #[test]
    fn a_login_hears_of_it_when_its_turn_does_not_come() {
        let pools = Pools {
            passwords: Pool::start("passwords", 1).unwrap(),
            externals: Pool::start("externals", 1).unwrap(),
            maildrops: Pool::start("maildrops", 1).unwrap(),
            transforms: Pool::start("transforms", 1).unwrap(),
        };
        let (go_on, held_up) = channel::<()>();
        pools.externals.run(move || {
            let _ = held_up.recv();
        });
        let (tell, told) = channel();
        in_turn_within(Duration::ZERO, &pools, {
            let tell = tell.clone();
            move |turned| tell.send(turned).unwrap()
        });
        assert_eq!(told.recv(), Ok(Turned::TooLate));
        go_on.send(()).unwrap();
        in_turn_within(TURN_MAX, &pools, move |turned| tell.send(turned).unwrap());
        assert_eq!(told.recv(), Ok(Turned::InTime), "one is told twice, or the other not");
    }

    #[test]
    fn the_line_that_others_read_is_this_one() {
        for (address, line) in [
            ("192.0.2.7", "address 192.0.2.7 refused for 600 seconds after 100 failed logins"),
            ("2001:db8::7", "address 2001:db8::7 refused for 600 seconds after 100 failed logins"),
        ] {
            assert_eq!(refusal_line(address.parse().unwrap(), Duration::from_secs(600), 100), line);
        }
    }
}

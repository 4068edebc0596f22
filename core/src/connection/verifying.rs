//! Whose credentials the client has: by a password, a digest, or an exchange of AUTH. What comes of them is in `judging.rs`.

use std::sync::Arc;

use pop3d_protocol::engine::Engine;
use pop3d_protocol::pop3::{Answer, Credentials, Mechanism, Step as SaslStep};

use super::actions::Job;
use super::judging::in_turn;
use super::{Connection, Desk, Task, temporary};
use crate::accounts::{Exchange, Secret, Stepped};
use crate::notice::Outcome;
use crate::tls::Channel;

impl Connection {
    /// Finds out whose credentials these are.
    pub(super) fn verify(&mut self, credentials: Credentials, desk: &Desk) {
        // One that was cancelled is over, and counted, before this login is.
        self.exchange = None;
        let octets = match &credentials {
            Credentials::Password { user, password } => user.len() + password.len(),
            Credentials::Apop { user, .. } => user.len(),
        };
        if self.is_turned_away(desk) || self.holds_too_much(octets, desk) {
            return;
        }
        let accounts = Arc::clone(&desk.shared.settings.load().accounts);
        self.judged_by = Some(Arc::clone(&accounts));
        let from = self.peer.ip();
        if let Some(user) = accounts.verify_at_once(&credentials, self.timestamp.as_deref(), from) {
            let outcome = self.judge(desk).judge(user.as_str().as_bytes(), Ok(user.clone()));
            return self.take_outcome(outcome, desk);
        }
        let asking = match &credentials {
            Credentials::Password { user, password } => accounts.asking(user).zip(Some(password)),
            Credentials::Apop { .. } => None,
        };
        if let Some((asking, password)) = &asking
            && asking.is_known(password)
        {
            let outcome = self.judge(desk).judge_known(asking);
            return self.take_outcome(outcome, desk);
        }
        self.task = Task::Job;
        let timestamp = self.timestamp.clone();
        let (job, judge) = (Job::new(self.key, desk), self.judge(desk));
        // The answer to a failed login is due after the same time, however long the work took.
        self.last_sign = desk.now;
        if let Some((asking, password)) = asking {
            let password = Secret::new(password);
            return in_turn(&desk.shared.pools, move |turned| {
                job.done(judge.judge_asked(&asking, password.octets(), turned));
            });
        }
        desk.shared.pools.passwords.run(move || {
            let verified = accounts.verify(&credentials, timestamp.as_deref(), from);
            let (Credentials::Password { user, .. } | Credentials::Apop { user, .. }) = &credentials;
            job.done(judge.judge(user, verified.clone()));
            if let (Ok(user), Credentials::Password { password, .. }) = (&verified, &credentials) {
                judge.renew(&accounts, user, password);
            }
        });
    }

    /// Goes on with a SASL exchange.
    pub(super) fn exchange(&mut self, step: SaslStep, desk: &Desk) {
        let octets = match &step {
            SaslStep::Begin { initial, .. } => {
                // Of an exchange that was cancelled nothing is left.
                self.exchange = None;
                self.in_hand = 0;
                initial.as_ref().map_or(0, |initial| initial.len())
            }
            SaslStep::Response(response) => response.len(),
        };
        if self.is_turned_away(desk) || self.holds_too_much(octets, desk) {
            return;
        }
        let explained = self.explained.take();
        let (exchange, response) = match step {
            SaslStep::Response(_) if let Some(penalty) = explained => {
                self.last_sign = desk.now;
                self.let_go(desk);
                return self.hold_back_refusal(penalty, desk);
            }
            SaslStep::Begin { mechanism, initial } => {
                let accounts = Arc::clone(&desk.shared.settings.load().accounts);
                let binding = self.transport.tls().and_then(Channel::binding);
                let is_external = mechanism == Mechanism::External;
                let certified = if is_external { self.certified(desk) } else { Vec::new() };
                let exchange =
                    Exchange::new(mechanism, accounts, self.peer.ip(), binding).with_certified(certified);
                (Box::new(exchange), initial)
            }
            SaslStep::Response(response) => match self.exchange.take() {
                Some(mut exchange) => {
                    exchange.renew(Arc::clone(&desk.shared.settings.load().accounts));
                    (exchange, Some(response))
                }
                None => {
                    let refusal = temporary("nothing was asked");
                    return self.session.handle_answer(Answer::Verified(Err(refusal)));
                }
            },
        };
        self.task = Task::Job;
        let (job, judge, mut exchange) = (Job::new(self.key, desk), self.judge(desk), exchange);
        self.judged_by = Some(Arc::clone(exchange.accounts()));
        self.last_sign = desk.now;
        let pools = desk.shared.pools.clone();
        desk.shared.pools.passwords.run(move || match exchange.step(response.as_deref()) {
            Ok(Stepped::Challenge(challenge)) => {
                let tell = judge.when_given_up(exchange.user());
                exchange.tell_if_given_up(tell);
                job.done(Outcome::Challenged(exchange, challenge));
            }
            Ok(Stepped::Verified(user)) => {
                job.done(judge.judge(exchange.user(), Ok(user.clone())));
                if let Some(password) = exchange.password() {
                    judge.renew(exchange.accounts(), &user, password);
                }
            }
            Ok(Stepped::Ask(asking)) if asking.is_known(exchange.password().unwrap_or_default()) => {
                job.done(judge.judge_known(&asking));
            }
            Ok(Stepped::Ask(asking)) => in_turn(&pools, move |turned| {
                let outcome = judge.judge_asked(&asking, exchange.password().unwrap_or_default(), turned);
                job.done(explain(outcome, &mut exchange));
            }),
            Err(wrong) => job.done(explain(judge.judge(exchange.user(), Err(wrong)), &mut exchange)),
        });
    }
}

/// What is wrong is explained first, where the mechanism does so.
fn explain(outcome: Outcome, exchange: &mut Exchange) -> Outcome {
    match outcome {
        Outcome::Verified(Err(penalty)) => match exchange.take_refusal() {
            Some(refusal) => Outcome::Explained(refusal.into_bytes(), penalty),
            None => Outcome::Verified(Err(penalty)),
        },
        other => other,
    }
}

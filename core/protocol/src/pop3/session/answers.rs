//! What each answer to an action leads to. The states that they lead to are entered in `session.rs`.

use alloc::sync::Arc;

use super::{Action, Conversation, Opened, Part, Refusal, State};
use crate::maildrop::Snapshot;
use crate::number::Octets;
use crate::pop3::authorization::{Authorization, Login, Patience};
use crate::pop3::sasl;
use crate::pop3::transaction::{Activity, Messages, Transaction};
use crate::reply::ResponseCode;

impl Conversation {
    pub(super) fn handle_verified(&mut self, result: Result<(), Refusal>) {
        let State::Authorization(
            authorization @ Authorization { login: Login::Verifying | Login::Exchanging { .. }, .. },
        ) = &mut self.state
        else {
            return;
        };
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(()) => {
                authorization.login = Login::Opening;
                self.action = Some(Action::OpenMaildrop);
            }
            Err(refusal) => {
                let patience = authorization.fail_login(self.tolerance.failed_logins);
                self.refuse_login(&refusal, patience);
            }
        }
    }

    /// `explains`: it tells why the login fails.
    pub(super) fn handle_challenged(&mut self, challenge: &[u8], explains: bool) {
        let State::Authorization(authorization @ Authorization { login: Login::Exchanging { .. }, .. }) =
            &mut self.state
        else {
            return;
        };
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        let Login::Exchanging { challenges } = authorization.login else { return };
        match (sasl::encode(challenge), authorization.challenge(challenges)) {
            (Some(encoded), Patience::Left) => {
                if explains {
                    authorization.login = Login::Explained;
                }
                self.replies.challenge(&encoded);
            }
            (None, _) | (_, Patience::Lost) => {
                authorization.login = Login::Nobody;
                self.mistake("authentication failed");
            }
        }
    }

    pub(super) fn handle_maildrop(&mut self, result: Result<Opened, Refusal>) {
        let State::Authorization(authorization @ Authorization { login: Login::Opening, .. }) =
            &mut self.state
        else {
            return;
        };
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(opened) => {
                let transaction = Transaction::new(opened);
                self.replies.ok(format_args!("maildrop locked, {}", Messages(transaction.remaining())));
                self.begin_transaction(transaction);
            }
            Err(refusal) => {
                let patience = authorization.refuse_maildrop();
                self.refuse_login(&refusal, patience);
            }
        }
    }

    pub(super) fn handle_measured(&mut self, result: Result<Arc<dyn Snapshot + Send + Sync>, Refusal>) {
        let State::Transaction(transaction) = &mut self.state else { return };
        let Activity::Measuring(sizes) = transaction.activity else { return };
        transaction.activity = Activity::Ready;
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(snapshot) => {
                transaction.measure(snapshot);
                transaction.show_sizes(sizes, &mut self.replies);
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    pub(super) fn handle_message(&mut self, result: Result<Option<Octets>, Refusal>) {
        let State::Transaction(transaction) = &mut self.state else { return };
        let Activity::Opening(part) = transaction.activity else { return };
        transaction.activity = Activity::Ready;
        if let Some(farewell) = self.farewell.take() {
            return self.say_and_close(&farewell);
        }
        match result {
            Ok(octets) => {
                match (part, octets) {
                    (Part::Whole, Some(octets)) => self.replies.ok(format_args!("{octets} octets")),
                    (Part::Whole, None) => self.replies.ok(format_args!("message follows")),
                    (Part::Top { .. }, _) => self.replies.ok(format_args!("top of message follows")),
                }
                transaction.forgive();
                transaction.activity = Activity::Sending;
                self.action = Some(Action::SendMessage);
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    pub(super) fn handle_sent(&mut self) {
        let State::Transaction(transaction @ Transaction { activity: Activity::Sending, .. }) =
            &mut self.state
        else {
            return;
        };
        transaction.activity = Activity::Ready;
        if let Some(farewell) = self.farewell.take() {
            self.say_and_close(&farewell);
        }
    }

    pub(super) fn handle_committed(&mut self, remaining: u32) {
        let State::Update(deletions) = &self.state else { return };
        let count = deletions.count();
        if remaining == 0 {
            self.replies.ok(format_args!("{} deleted", Messages(count)));
        } else {
            let code = Some(ResponseCode::SysTemp);
            self.replies.error(code, format_args!("{remaining} of {count} deleted messages not removed"));
        }
        self.close();
    }
}

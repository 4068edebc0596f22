//! What the session asks of the outside, and what is answered.

use std::sync::Arc;
use std::time::SystemTime;

use log::{Level, debug, error, info, log};
use pop3d_protocol::engine::Engine;
use pop3d_protocol::number::MessageNumber;
use pop3d_protocol::pop3::{Action, Answer, Opened, Part, Refusal};
use pop3d_protocol::reply::ResponseCode;

use super::{Account, Connection, Desk, Ending, Task, temporary};
use crate::accounts::UserName;
use crate::measure::{Measuring, Progress};
use crate::notice::{Notice, Notices, Outcome};
use crate::retr::{Cut, Opening, RetrCursor, Step, message_of};
use crate::settings::Sizes;
use crate::shared::Place;
use crate::store::{Committed, Maildrop, MessageError, OpenError};
use crate::token::Key;
use crate::transform::{Chain, Command, Error, Wake};

/// Messages that cannot be opened of which the log warns in one session: more tell nothing more.
const UNOPENED_MAX: usize = 100;

impl Connection {
    /// Does what the session asks for, or begins to.
    pub(super) fn act(&mut self, action: Action, desk: &mut Desk) {
        match action {
            Action::Verify(credentials) => self.verify(credentials, desk),
            Action::Exchange(step) => self.exchange(step, desk),
            Action::StartTls => self.begin_securing(desk),
            Action::Identify(proxied) => self.identify(proxied, desk),
            Action::OpenMaildrop => self.open_maildrop(desk),
            Action::Measure => self.measure(desk),
            Action::OpenMessage { number, part } => self.open_message(number, part, desk),
            Action::SendMessage => {
                if let Task::Opened(cursor) = std::mem::replace(&mut self.task, Task::None) {
                    self.task = Task::Sending { cursor, is_pending: false };
                }
            }
            Action::Commit(deletions) => {
                let Account::Open(user, mut maildrop) =
                    std::mem::replace(&mut self.account, Account::Unknown)
                else {
                    return;
                };
                self.account = Account::Verified(user);
                if let Some(present) = &self.present {
                    present.updating();
                }
                self.has_updated = true;
                self.task = Task::Job;
                let (job, counters) = (Job::new(self.key, desk), Arc::clone(&desk.counters));
                desk.shared.pools.maildrops.run(move || {
                    let committed = maildrop.commit(&deletions);
                    // Here: the connection may be gone by now, and what is removed is removed.
                    counters.messages_removed.add(u64::from(committed.removed));
                    // Unlocked before the client hears of it: it may be back at once.
                    drop(maildrop);
                    job.done(Outcome::Committed(committed));
                });
            }
            Action::Close => {
                self.account = match std::mem::replace(&mut self.account, Account::Unknown) {
                    Account::Open(user, maildrop) => {
                        // Unlocked before the client hears of it: it may be back at once.
                        drop(maildrop);
                        Account::Verified(user)
                    }
                    account @ (Account::Unknown | Account::Verified(_)) => account,
                };
                self.place = None;
                self.task = Task::None;
                self.ending = Ending::AfterOutput;
            }
        }
    }

    fn open_maildrop(&mut self, desk: &Desk) {
        let Account::Verified(user) = &self.account else {
            self.session.handle_answer(Answer::Maildrop(Err(temporary("no maildrop"))));
            return;
        };
        match self.admit_user(user, desk) {
            Ok(place) => self.place = Some(place),
            Err(refusal) => {
                self.account = Account::Unknown;
                return self.session.handle_answer(Answer::Maildrop(Err(refusal)));
            }
        }
        let (user, store) = (user.clone(), Arc::clone(&desk.shared.settings.load().store));
        if let Some(opened) = store.open_at_once(&user) {
            return self.take_outcome(Outcome::Opened(opened), desk);
        }
        self.task = Task::Job;
        let job = Job::new(self.key, desk);
        desk.shared.pools.maildrops.run(move || job.done(Outcome::Opened(store.open(&user))));
    }

    /// Whether a user whose credentials are right may have a session.
    fn admit_user(&self, user: &UserName, desk: &Desk) -> Result<Place, Refusal> {
        let shared = &desk.shared;
        let settings = shared.settings.load();
        if let Some(seconds) = shared.logins.wait(user, desk.now, &settings.limits.login_delays) {
            desk.counters.logins_too_soon.add(1);
            info!(target: "pop3d::login", "user {user} from {}: too soon after the last login", self.peer);
            let text = format!("too soon after your last login, wait for {seconds} seconds");
            return Err(Refusal { code: Some(ResponseCode::LoginDelay), text });
        }
        Place::take(shared, user, settings.limits.sessions_per_user).ok_or_else(|| {
            desk.counters.logins_in_use.add(1);
            info!(target: "pop3d::login", "user {user} from {}: too many sessions", self.peer);
            let text = "you have too many sessions already".to_owned();
            Refusal { code: Some(ResponseCode::InUse), text }
        })
    }

    fn open_message(&mut self, number: MessageNumber, part: Part, desk: &Desk) {
        let answer = match self.begin_message(number, part, desk) {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            Err(refusal) => Answer::Message(Err(refusal)),
        };
        self.session.handle_answer(answer);
    }

    /// Opens a message; the answer, or none where a transform has to say something first.
    fn begin_message(
        &mut self,
        number: MessageNumber,
        part: Part,
        desk: &Desk,
    ) -> Result<Option<Answer>, Refusal> {
        let Account::Open(user, maildrop) = &mut self.account else { return Err(temporary("no maildrop")) };
        let source = maildrop.message(number).map_err(|error| {
            // A client may ask for it as often as it likes.
            let unopened = self.unopened.get_or_insert_default();
            let is_told = unopened.len() < UNOPENED_MAX && unopened.insert(number);
            let level = if is_told { Level::Warn } else { Level::Debug };
            log!(target: "pop3d::retr", level, "user {user} from {}: message {number}: {error}", self.peer);
            match error {
                MessageError::Vanished => Refusal { code: None, text: format!("message {number} is gone") },
                MessageError::Changed => {
                    temporary(format!("message {number} changed since login, log in again"))
                }
                MessageError::Unreadable(_) => temporary(format!("message {number} cannot be read")),
            }
        })?;
        let octets = source.octets.filter(|_| part == Part::Whole);
        let settings = desk.shared.settings.load();
        (self.part, self.number) = (part, Some(number));
        let command = match part {
            Part::Whole => Command::Retr,
            Part::Top { lines } => Command::Top { lines },
        };
        let Some(chain) = settings.chain_for(user, &source, command) else {
            self.task = Task::Opened(Box::new(RetrCursor::stored(source, part)));
            return Ok(Some(Answer::Message(Ok(octets))));
        };
        let message = message_of(user, maildrop.as_ref(), number, source.length, command, self.peer.ip());
        let wake = wake(&desk.notices, self.key);
        let opening =
            Opening::start(source, Arc::clone(chain), message, part, settings.holding.clone(), wake);
        match opening {
            Ok(Ok(opening)) => {
                self.task = Task::Opening(Box::new(opening));
                Ok(None)
            }
            Ok(Err(original)) => {
                self.task = Task::Opened(Box::new(original));
                Ok(Some(Answer::Message(Ok(octets))))
            }
            Err((cut, chain)) => Err(self.transform_failed(&cut, &chain, desk)),
        }
    }

    fn measure(&mut self, desk: &Desk) {
        let settings = desk.shared.settings.load();
        let Account::Open(user, maildrop) = &self.account else {
            self.session.handle_answer(Answer::Measured(Err(temporary("no maildrop"))));
            return;
        };
        if settings.may_transform(user) {
            let settings = Arc::clone(&settings);
            let measuring = Measuring::new(user.clone(), self.peer.ip(), maildrop.snapshot(), settings);
            self.task = Task::Measuring(Box::new(measuring));
        } else {
            self.session.handle_answer(Answer::Measured(Ok(maildrop.snapshot())));
        }
    }

    /// Moves a transform whose output the session waits for; whether the session got its answer.
    pub(super) fn advance_task(&mut self, desk: &mut Desk) -> bool {
        match std::mem::replace(&mut self.task, Task::None) {
            Task::Opening(opening) => {
                let (step, opening) = opening.step(&mut desk.scratch);
                if let Some(opening) = opening {
                    self.task = Task::Opening(opening);
                }
                match step {
                    Step::Pending => {}
                    Step::Unfinished => self.is_unfinished = true,
                    Step::Open(cursor, octets) => {
                        self.task = Task::Opened(Box::new(cursor));
                        self.session.handle_answer(Answer::Message(Ok(octets)));
                        return true;
                    }
                    Step::Refused(cut, chain) => {
                        let refusal = self.transform_failed(&cut, &chain, desk);
                        self.session.handle_answer(Answer::Message(Err(refusal)));
                        return true;
                    }
                }
            }
            Task::Measuring(mut measuring) => {
                let Account::Open(_, maildrop) = &mut self.account else { return false };
                let wake = wake(&desk.notices, self.key);
                match measuring.step(maildrop.as_mut(), &desk.shared.exact_sizes, &wake, &mut desk.scratch) {
                    Progress::Pending => self.task = Task::Measuring(measuring),
                    Progress::Unfinished => {
                        self.is_unfinished = true;
                        self.task = Task::Measuring(measuring);
                    }
                    Progress::Measured(snapshot) => {
                        self.session.handle_answer(Answer::Measured(Ok(snapshot)));
                        return true;
                    }
                }
            }
            task @ (Task::None
            | Task::Job
            | Task::Delayed { .. }
            | Task::Securing
            | Task::Opened(_)
            | Task::Sending { .. }) => self.task = task,
        }
        false
    }

    /// Takes what came of a job.
    pub(crate) fn handle_outcome(&mut self, outcome: Outcome, desk: &Desk) {
        if !matches!(self.task, Task::Job) {
            return;
        }
        self.task = Task::None;
        if self.ending != Ending::AfterJob {
            self.take_outcome(outcome, desk);
        }
    }

    pub(super) fn take_outcome(&mut self, outcome: Outcome, desk: &Desk) {
        if !matches!(outcome, Outcome::Challenged(..)) {
            self.let_go(desk);
        }
        match outcome {
            Outcome::Verified(Ok(user)) => {
                self.account = Account::Verified(user);
                self.session.handle_answer(Answer::Verified(Ok(())));
            }
            Outcome::Verified(Err(penalty)) => self.hold_back_refusal(penalty, desk),
            Outcome::Unverified => {
                desk.counters.logins_unavailable.add(1);
                // Held back as any other: each may have cost a program, and nothing is counted.
                self.hold_back(
                    temporary("passwords cannot be checked now, wait and try again later"),
                    0,
                    desk,
                );
            }
            Outcome::Challenged(exchange, challenge) => {
                self.exchange = Some(exchange);
                self.session.handle_answer(Answer::Challenged(challenge.into()));
            }
            Outcome::Explained(challenge, penalty) => {
                self.explained = Some(penalty);
                self.session.handle_answer(Answer::Explained(challenge.into()));
            }
            Outcome::Opened(Ok(maildrop)) => self.maildrop_opened(maildrop, desk),
            Outcome::Opened(Err(error)) => {
                let refusal = self.maildrop_refused(&error, desk);
                self.account = Account::Unknown;
                self.place = None;
                self.session.handle_answer(Answer::Maildrop(Err(refusal)));
            }
            Outcome::Committed(Committed { removed, gone, remaining }) => {
                self.facts.deleted = removed;
                self.facts.left = self.facts.left.saturating_sub(removed).saturating_sub(gone);
                self.session.handle_answer(Answer::Committed { remaining });
            }
            Outcome::Lost => {
                error!(target: "pop3d::worker", "{}: a job was lost", self.peer);
                self.ending = Ending::AfterOutput;
            }
        }
    }

    fn maildrop_opened(&mut self, maildrop: Box<dyn Maildrop>, desk: &Desk) {
        let Account::Verified(user) = std::mem::replace(&mut self.account, Account::Unknown) else { return };
        // First: who is to go for what changed has a name from here on, or is seen below to be no longer let in.
        if let Some(present) = &self.present {
            present.logged_in(&user);
        }
        let accounts = Arc::clone(&desk.shared.settings.load().accounts);
        let before = self.judged_by.take().unwrap_or_else(|| Arc::clone(&accounts));
        if !accounts.still_admits(&before, &user, self.peer.ip()) {
            info!(target: "pop3d::login", "user {user} from {}: changed or switched off meanwhile", self.peer);
            if let Some(present) = &self.present {
                present.sent_away();
            }
            self.place = None;
            let text = "wrong user name or password".to_owned();
            let refusal = Refusal { code: Some(ResponseCode::Auth), text };
            return self.session.handle_answer(Answer::Maildrop(Err(refusal)));
        }
        let snapshot = maildrop.snapshot();
        info!(
            target: "pop3d::login",
            "user {user} from {} logged in: {} messages", self.peer, snapshot.count(),
        );
        desk.counters.logins.add(1);
        self.facts.left = snapshot.count();
        let settings = desk.shared.settings.load();
        let delays = &settings.limits.login_delays;
        desk.shared.logins.note(&user, desk.now, delays);
        self.session.set_login_delay(delays.told_to(&user));
        let has_chain = settings.may_transform(&user);
        self.session.set_keeps_all(settings.accounts.switches(&user).may_not_delete);
        self.account = Account::Open(user, maildrop);
        let measure_first = settings.sizes == Sizes::Exact && has_chain;
        self.session.handle_answer(Answer::Maildrop(Ok(Opened { snapshot, measure_first })));
    }

    fn maildrop_refused(&self, error: &OpenError, desk: &Desk) -> Refusal {
        match error {
            OpenError::InUse(since) => {
                desk.counters.logins_in_use.add(1);
                info!(target: "pop3d::login", "user {} from {}: maildrop in use", self.user(), self.peer);
                let since = since.and_then(|since| SystemTime::now().duration_since(since).ok());
                let since = since.map_or_else(String::new, |time| format!(" for {} seconds", time.as_secs()));
                let text = format!("maildrop in use by another session{since}");
                Refusal { code: Some(ResponseCode::InUse), text }
            }
            OpenError::Unavailable(cause) => {
                desk.counters.logins_unavailable.add(1);
                error!(
                    target: "pop3d::login",
                    "user {} from {}: the maildrop cannot be opened: {cause}", self.user(), self.peer,
                );
                temporary("maildrop cannot be opened now, wait and try again later")
            }
        }
    }

    /// What the client is told of a transform that failed before "+OK".
    fn transform_failed(&self, cut: &Cut, chain: &Chain, desk: &Desk) -> Refusal {
        let user = self.user();
        let Cut::Transform { link, error } = cut else {
            error!(target: "pop3d::retr", "user {user} from {}: message {cut}", self.peer);
            return temporary(match cut {
                Cut::Spool(..) => "message cannot be spooled",
                Cut::File(_) | Cut::Shrunk | Cut::Transform { .. } => "message cannot be read",
            });
        };
        desk.counters.transforms_failed.add(1);
        let name = chain.links.get(*link).map_or(chain.name.as_str(), |link| link.name());
        // What it said of itself is in the log already.
        debug!(target: "pop3d::transform", "transform {name} failed for user {user}: {error}");
        let code = match error {
            Error::Permanent(_) => ResponseCode::SysPerm,
            Error::Temporary(_) | Error::Crashed(_) | Error::TimedOut(_) | Error::Limit(_) => {
                ResponseCode::SysTemp
            }
        };
        Refusal { code: Some(code), text: format!("transform {} failed", shown_name(name)) }
    }
}

/// A job of the pool that owes an answer: also where it panics.
pub(super) struct Job {
    key: Key,
    notices: Arc<Notices>,
    is_done: bool,
}

impl Job {
    pub(super) fn new(key: Key, desk: &Desk) -> Self {
        Self { key, notices: Arc::clone(&desk.notices), is_done: false }
    }

    pub(super) fn done(mut self, outcome: Outcome) {
        self.is_done = true;
        self.notices.push(Notice::Done(self.key, outcome));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.is_done {
            self.notices.push(Notice::Done(self.key, Outcome::Lost));
        }
    }
}

fn wake(notices: &Arc<Notices>, key: Key) -> Wake {
    let notices = Arc::clone(notices);
    Wake(Arc::new(move || notices.push(Notice::Wake(key))))
}

/// Longest name of a transform in a reply: a command used as it is may be long.
const SHOWN_NAME_MAX: usize = 64;

/// A name that is safe in a reply.
fn shown_name(name: &str) -> String {
    let printable =
        name.chars().map(|character| if (' '..='~').contains(&character) { character } else { '?' });
    printable.take(SHOWN_NAME_MAX).collect()
}

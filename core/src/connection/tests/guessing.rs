//! What failed logins cost whoever comes back in another connection. The clock is the desk's.

use std::net::IpAddr;

use super::*;
use crate::accounts::Switches;
use crate::accounts::{Bearer, Checker, External, TokenCheck, UserName};
use crate::settings::FailedLogins;

const RULES: FailedLogins = FailedLogins {
    period: Duration::from_secs(600),
    undelayed: 3,
    refused_after: Some(10),
    refused_for: Duration::from_secs(600),
};

const FROM: &str = "192.0.2.7";
const TURNED_AWAY: &str =
    "-ERR [SYS/TEMP] too many failed logins from your address, wait and try again later\r\n";

/// A server whose rules are these.
fn stage(rules: FailedLogins) -> Stage {
    let stage = Stage::new(Vec::new(), script("", usize::MAX));
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    settings.limits.failed_logins = rules;
    stage.desk.shared.settings.store(Arc::new(settings));
    stage
}

impl Stage {
    /// Another client comes in the place of the one before.
    fn comes(&mut self, from: &str, says: &str) {
        let script = Script { ends: false, ..script(says, usize::MAX) };
        self.heard = Arc::clone(&script.heard);
        let peer = SocketAddr::from((from.parse::<IpAddr>().unwrap(), 1));
        let key = Slots::new().insert(());
        self.connection = Connection::new(key, peer, Transport::Scripted(script), &self.desk);
    }

    /// Another client fails; how long its answer is held back.
    fn fails(&mut self, from: &str, user: &str) -> Duration {
        self.comes(from, &format!("USER {user}\r\nPASS wrong\r\n"));
        assert_eq!(self.play(), Turn::Waiting);
        let Task::Delayed { until, .. } = self.connection.task else { panic!("{}", self.heard()) };
        assert_eq!(self.connection.deadline(&mut self.desk), Some(until));
        until - self.desk.now
    }

    /// Another client logs in, or not.
    fn logs_in(&mut self, from: &str) -> bool {
        self.comes(from, LOGIN);
        self.play();
        self.connection.session.is_authenticated()
    }

    fn is_refused(&self, from: &str) -> bool {
        self.desk.shared.is_refused(from.parse().unwrap(), self.desk.now)
    }
}

#[test]
fn who_connects_again_to_guess_waits_longer_each_time() {
    let mut stage = stage(RULES);
    let base = Limits::default().failed_login_delay;
    for (count, factor) in [1, 1, 1, 2, 4, 8].into_iter().enumerate() {
        assert_eq!(stage.fails(FROM, &format!("user{count}")), base * factor, "{count}");
    }
    assert_eq!(stage.fails("192.0.2.8", "other"), base);
    // A right login from there, and all is forgotten.
    assert!(stage.logs_in(FROM));
    assert_eq!(stage.fails(FROM, "user7"), base);
    // As it is after a while.
    for count in 10..14 {
        stage.fails(FROM, &format!("user{count}"));
    }
    stage.desk.now += RULES.period;
    assert_eq!(stage.fails(FROM, "user14"), base);
}

#[test]
fn guesses_for_one_account_from_many_addresses_wait_longer_and_its_owner_does_not() {
    let mut stage = stage(RULES);
    let base = Limits::default().failed_login_delay;
    for (count, factor) in [1, 1, 1, 2, 4, 8, 16, 16, 16, 16, 16, 16].into_iter().enumerate() {
        assert_eq!(stage.fails(&format!("192.0.2.{count}"), "user"), base * factor, "{count}");
    }
    assert!(stage.logs_in("198.51.100.1"));
}

#[test]
fn an_address_with_too_many_failures_is_turned_away_without_a_look_at_its_password() {
    let mut stage = stage(RULES);
    for count in 0..10 {
        assert!(!stage.is_refused(FROM));
        stage.fails(FROM, &format!("user{count}"));
    }
    assert!(stage.is_refused(FROM) && !stage.is_refused("192.0.2.8"));
    for says in [LOGIN, "USER user\r\nPASS wrong\r\n", "AUTH PLAIN AHVzZXIAcGFzcw==\r\n", "AUTH LOGIN\r\n"] {
        // One that was connected before.
        stage.comes(FROM, says);
        let before = stage.desk.counters.logins_wrong.value();
        stage.play();
        assert!(stage.heard().ends_with(TURNED_AWAY), "{}", stage.heard());
        assert!(stage.heard.lock().unwrap().is_finished);
        assert_eq!(stage.desk.counters.logins_wrong.value(), before);
    }
    assert!(stage.logs_in("192.0.2.8"));
    stage.desk.now += RULES.refused_for;
    assert!(stage.logs_in(FROM));
}

#[test]
fn auth_is_counted_as_pass_is() {
    let mut stage = stage(FailedLogins { refused_after: Some(2), ..RULES });
    for _ in 0..2 {
        assert!(!stage.is_refused(FROM));
        stage.comes(FROM, "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n");
        stage.play();
        assert!(matches!(stage.connection.task, Task::Delayed { .. }), "{}", stage.heard());
    }
    assert!(stage.is_refused(FROM));
}

#[test]
fn a_token_that_is_no_good_counts_before_it_is_told() {
    let mut stage = stage(FailedLogins { refused_after: Some(2), ..RULES });
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    let mut accounts = Accounts::clone(&settings.accounts);
    accounts.set_bearer(Bearer::new(TokenCheck::Keys(Arc::default()), None, None).unwrap());
    settings.accounts = Arc::new(accounts);
    stage.desk.shared.settings.store(Arc::new(settings));
    for _ in 0..2 {
        assert!(!stage.is_refused(FROM));
        stage.comes(FROM, "AUTH OAUTHBEARER AQ==\r\n");
        stage.play();
        assert!(stage.heard().contains("\r\n+ "), "{}", stage.heard());
    }
    assert!(stage.is_refused(FROM));
    // Whatever the client answers to what it was told, it waits as long as for any other failed login.
    for (address, answer) in [("192.0.2.8", "AQ=="), ("192.0.2.9", "*"), ("192.0.2.10", "no base64")] {
        stage.comes(address, &format!("AUTH OAUTHBEARER AQ==\r\n{answer}\r\n"));
        stage.play();
        let Task::Delayed { until, .. } = stage.connection.task else { panic!("{}", stage.heard()) };
        assert_eq!(until - stage.desk.now, Limits::default().failed_login_delay, "{answer}");
        assert_eq!(stage.connection.failed_logins, 1, "{answer}");
    }
}

/// Cannot find anything out.
struct Down;

impl Checker for Down {
    fn check(&self, _: &UserName, _: &[u8]) -> Result<bool, String> {
        Err("it is down".to_owned())
    }
}

#[test]
fn a_login_that_cannot_be_checked_waits_as_a_failed_one_and_is_none() {
    let mut stage = stage(FailedLogins { refused_after: Some(1), ..RULES });
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    let mut accounts = Accounts::clone(&settings.accounts);
    accounts.set_external(External::new(Box::new(Down)));
    settings.accounts = Arc::new(accounts);
    stage.desk.shared.settings.store(Arc::new(settings));
    for _ in 0..2 {
        assert_eq!(stage.fails(FROM, "somebody"), Limits::default().failed_login_delay);
        let Task::Delayed { refusal, .. } = &stage.connection.task else { panic!() };
        assert_eq!(refusal.code, Some(pop3d_protocol::reply::ResponseCode::SysTemp));
        assert_eq!(stage.desk.counters.logins_wrong.value(), 0);
        assert!(!stage.is_refused(FROM));
    }
}

#[test]
fn an_exchange_of_scram_that_is_given_up_counts_however_it_ends() {
    let mut stage = stage(FailedLogins { refused_after: Some(5), ..RULES });
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    let mut accounts = Accounts::new(true);
    accounts.add(UserName::parse(b"user").unwrap(), b"pass");
    settings.accounts = Arc::new(accounts);
    stage.desk.shared.settings.store(Arc::new(settings));
    // n,,n=user,r=x
    let begins = "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9eA==\r\n";
    // It is cancelled, also in favour of another one, answered by what is no base64, or left.
    for more in ["*\r\n", "*\r\nAUTH PLAIN\r\n", "no base64\r\n", ""] {
        stage.comes(FROM, &format!("{begins}{more}"));
        stage.play();
        assert!(stage.heard().contains("\r\n+ cj14"), "{}", stage.heard());
        assert!(!stage.is_refused(FROM));
    }
    // Nor need the client wait for what it is to answer.
    stage.comes(FROM, begins);
    while !matches!(stage.connection.task, Task::Job) {
        stage.connection.input.is_readable = true;
        stage.connection.is_writable = true;
        stage.connection.turn(&mut stage.desk);
    }
    assert!(!stage.is_refused(FROM));
    stage.comes("192.0.2.8", "");
    stage.finish_job();
    assert!(stage.is_refused(FROM));
    // What is given up in favour of a right login is forgiven, and does not count behind it.
    stage.comes("192.0.2.9", &format!("{begins}*\r\n{LOGIN}"));
    stage.play();
    assert!(stage.connection.session.is_authenticated() && stage.connection.exchange.is_none());
}

#[test]
fn a_client_that_does_not_wait_for_the_answer_has_failed_too() {
    let mut stage = stage(FailedLogins { refused_after: Some(1), ..RULES });
    stage.comes(FROM, "USER user\r\nPASS wrong\r\n");
    while !matches!(stage.connection.task, Task::Job) {
        stage.connection.input.is_readable = true;
        stage.connection.is_writable = true;
        stage.connection.turn(&mut stage.desk);
    }
    assert_eq!(stage.connection.kick(), Turn::Gone);
    // The answer comes when another has taken the place.
    stage.comes("192.0.2.8", "");
    stage.finish_job();
    assert!(stage.is_refused(FROM));
}

#[test]
fn who_guesses_at_a_proxy_shuts_out_nobody_for_whom_it_speaks() {
    let mut stage = stage(FailedLogins { refused_after: Some(1), ..RULES });
    let mut settings = Settings::clone(&stage.desk.shared.settings.load());
    settings.limits.trusted = [FROM.parse().unwrap()].into_iter().collect();
    stage.desk.shared.settings.store(Arc::new(settings));
    stage.fails(FROM, "user");
    assert!(stage.is_refused(FROM));
    for (says, is_let_in) in [(format!("XCLIENT ADDR=192.0.2.9\r\n{LOGIN}"), true), (LOGIN.to_owned(), false)]
    {
        stage.comes(FROM, &says);
        let seat = Shared::take_seat(&stage.desk.shared).unwrap();
        let admission = Admission::new(seat, FROM.parse().unwrap(), stage.desk.now);
        stage.connection.admission = Some(admission.unwrap_or_else(|why| panic!("{why:?}")));
        stage.play();
        assert_eq!(stage.connection.session.is_authenticated(), is_let_in, "{}", stage.heard());
        assert_eq!(stage.heard().ends_with(TURNED_AWAY), !is_let_in, "{}", stage.heard());
    }
}

#[test]
fn loopback_addresses_are_never_turned_away_by_default() {
    let mut stage = stage(RULES);
    let base = Limits::default().failed_login_delay;
    for from in ["127.0.0.1", "::1"] {
        for _ in 0..20 {
            assert_eq!(stage.fails(from, "user"), base);
        }
        assert!(!stage.is_refused(from));
    }
}

#[test]
fn an_account_that_changes_while_its_maildrop_is_opened_lets_nobody_in() {
    let nobody: fn(&mut Accounts, &UserName) = |accounts, user| assert!(accounts.remove(user));
    let disabled = |accounts: &mut Accounts, user: &UserName| {
        accounts.switch(user, Switches { is_disabled: true, ..Switches::default() });
    };
    let another = |accounts: &mut Accounts, user: &UserName| accounts.add(user.clone(), b"another");
    for (change, is_let_in) in [(nobody, false), (disabled, false), (another, false), (|_, _| (), true)] {
        let mut stage =
            Stage::new(vec![b"x\n".to_vec()], Script { ends: false, ..script(LOGIN, usize::MAX) });
        // The password is known to be right; the maildrop is being opened.
        stage.connection.input.is_readable = true;
        stage.connection.is_writable = true;
        stage.connection.turn(&mut stage.desk);
        if matches!(stage.connection.account, Account::Unknown) {
            stage.finish_job();
            stage.connection.turn(&mut stage.desk);
        }
        assert!(matches!(
            (&stage.connection.account, &stage.connection.task),
            (Account::Verified(_), Task::Job)
        ));
        let user = UserName::parse(b"user").unwrap();
        let mut settings = Settings::clone(&stage.desk.shared.settings.load());
        let mut accounts = Accounts::clone(&settings.accounts);
        change(&mut accounts, &user);
        settings.accounts = Arc::new(accounts);
        stage.desk.shared.settings.store(Arc::new(settings));
        stage.finish_job();
        stage.play();
        assert_eq!(stage.heard().contains("+OK maildrop locked"), is_let_in);
        assert_eq!(stage.heard().ends_with("-ERR [AUTH] wrong user name or password\r\n"), !is_let_in);
        assert_eq!(stage.connection.place.is_some(), is_let_in);
    }
}

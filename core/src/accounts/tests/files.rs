//! Accounts of files as other servers have them.

use super::*;

fn file(text: &str) -> Accounts {
    let mut accounts = Accounts::new(false);
    accounts.add_file(text.as_bytes()).unwrap();
    accounts
}

fn from(accounts: &Accounts, user: &str, password: &str, address: &str) -> bool {
    let credentials =
        Credentials::Password { user: user.as_bytes().into(), password: password.as_bytes().into() };
    accounts.verify(&credentials, None, address.parse().unwrap()).is_ok()
}

#[test]
fn a_passwd_file_of_dovecot_lets_in_whom_it_lets_in_there() {
    let accounts = file(
        "ann:{PLAIN}secret:1000:1000:A:/home/ann:/bin/sh:userdb_mail=maildir:~/Maildir\n\
         bob:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5:::::\n\
         carl:{PLAIN.b64}YTpi\n\
         dora:{PLAIN}x::::::allow_nets=192.0.2.0/24,::1\n\
         eve:*::::::\n\
         finn:{PLAIN}x::::::nologin\n\
         gil:::::::nopassword allow_nets=192.0.2.7\n\
         hal:{CRYPT}!\n",
    );
    let here = "192.0.2.7";
    assert!(from(&accounts, "ann", "secret", here) && !from(&accounts, "ann", "secret:1000", here));
    assert!(from(&accounts, "bob", "Hello world!", here) && !from(&accounts, "bob", "x", here));
    assert!(from(&accounts, "carl", "a:b", here));
    assert!(from(&accounts, "dora", "x", here) && from(&accounts, "dora", "x", "::1"));
    assert!(!from(&accounts, "dora", "x", "192.0.3.7") && !from(&accounts, "dora", "y", here));
    assert!(!from(&accounts, "eve", "*", here) && !from(&accounts, "eve", "", here));
    assert!(!from(&accounts, "finn", "x", here));
    assert!(from(&accounts, "gil", "anything", here) && from(&accounts, "gil", "", here));
    assert!(!from(&accounts, "gil", "anything", "192.0.2.8"));
    assert!(!from(&accounts, "hal", "!", here));
}

#[test]
fn an_account_that_is_not_to_be_used_costs_what_a_name_costs_that_there_is_not() {
    let mut accounts = Accounts::new(true);
    let hash = hashed(b"secret", 64);
    accounts.add_file(format!("a:{hash}\nb:{hash}:::::: nologin\nc:{hash}::::::allow_nets=::1\nd:{{PLAIN}}x::::::nologin\ne:*\n").as_bytes()).unwrap();
    for (user, password) in [
        ("a", "wrong"),
        ("b", "secret"),
        ("b", "wrong"),
        ("c", "secret"),
        ("d", "x"),
        ("e", ""),
        ("nobody", "x"),
    ] {
        let before = accounts.hashes();
        assert!(!from(&accounts, user, password, "192.0.2.7"));
        assert_eq!(accounts.hashes() - before, 1, "{user} {password}");
    }
    // It is not remembered as right either.
    assert!(from(&accounts, "c", "secret", "::1"));
    let before = accounts.hashes();
    assert!(!from(&accounts, "c", "secret", "192.0.2.7"));
    assert_eq!(accounts.hashes() - before, 1);
}

#[test]
fn what_is_switched_stays_so_when_the_password_is_changed() {
    let accounts = file("ann:{PLAIN}secret::::::nodelete allow_nets=192.0.2.7\n");
    let new = Hashed::parse(hashed(b"new", 8).as_bytes()).unwrap();
    let changed = accounts.with(name("ann"), &new, b"new");
    assert!(from(&changed, "ann", "new", "192.0.2.7") && !from(&changed, "ann", "new", "192.0.2.8"));
    assert!(changed.switches(&name("ann")).may_not_delete);
    let mut kept = accounts;
    kept.add_hashed(name("ann"), &new);
    assert!(from(&kept, "ann", "new", "192.0.2.7") && !from(&kept, "ann", "new", "192.0.2.8"));
}

#[test]
fn an_app_password_lets_in_beside_the_password_and_each_can_go() {
    let hash = hashed(b"phone", 8);
    let text =
        format!("ann:{{PLAIN}}secret::::::app.phone={hash} app.tv={{PLAIN}}tv nodelete\nbob:{{PLAIN}}x\n");
    let accounts = file(&text);
    let here = "192.0.2.7";
    for password in ["secret", "phone", "tv"] {
        assert!(from(&accounts, "ann", password, here), "{password}");
    }
    assert!(!from(&accounts, "ann", "x", here) && !from(&accounts, "bob", "tv", here));
    // Another password leaves them; a hash that is gone is not remembered.
    let new = Hashed::parse(hashed(b"new", 8).as_bytes()).unwrap();
    let changed = accounts.with(name("ann"), &new, b"new");
    assert!(from(&changed, "ann", "new", here) && from(&changed, "ann", "phone", here));
    assert!(!from(&changed, "ann", "secret", here));
    let mut revoked = file("ann:{PLAIN}secret::::::app.tv={PLAIN}tv\n");
    revoked.inherit(&accounts);
    assert!(from(&revoked, "ann", "tv", here) && !from(&revoked, "ann", "phone", here));
    let wrong = format!("ann:{{PLAIN}}x::::::app.phone={}", &hash[..40]);
    assert!(Accounts::new(false).add_file(wrong.as_bytes()).is_err());
}

#[test]
fn a_failed_login_costs_all_hashes_of_an_account_or_as_many() {
    let (one, two) = (hashed(b"one", 8), hashed(b"two", 8));
    let accounts = file(&format!("ann:{one}::::::app.two={two}\n"));
    for (user, password, cost) in
        [("ann", "x", 2), ("nobody", "x", 2), ("ann", "one", 1), ("ann", "two", 2), ("ann", "two", 0)]
    {
        let before = accounts.hashes();
        let _ = from(&accounts, user, password, "192.0.2.7");
        assert_eq!(accounts.hashes() - before, cost, "{user} {password}");
    }
}

#[test]
fn a_line_that_costs_too_much_is_named() {
    let text =
        "a:{PLAIN}x\nb:{BLF-CRYPT}$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW:1:1::::\n";
    let error = Accounts::new(false).add_file(text.as_bytes()).unwrap_err();
    assert_eq!(error, (2, LineError::Secret(SchemeError::TooCostly(Scheme::Bcrypt))));
}

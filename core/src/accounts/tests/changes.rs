//! Accounts that change while the server runs, and passwords that are remembered for a while.

use md5::{Digest, Md5};
use pop3d_protocol::pop3::Mechanism;

use super::super::verified::REMEMBERED_FOR;
use super::*;

fn hash_of(password: &[u8]) -> Hashed {
    Hashed::parse(hashed(password, 8).as_bytes()).unwrap()
}

/// An account whose hash is known, as one of a file.
fn ann() -> Accounts {
    let mut accounts = Accounts::new(false);
    accounts.add_hashed(name("ann"), &hash_of(b"secret"));
    accounts
}

/// How many hashes a login costs at a time, and whether it is right.
fn cost(accounts: &Accounts, user: &str, password: &[u8], now: Instant) -> (u64, bool) {
    let credentials = Credentials::Password { user: user.as_bytes().into(), password: password.into() };
    let before = accounts.hashes();
    let is_right = accounts.verify_at(&credentials, None, HERE, now).is_ok();
    (accounts.hashes() - before, is_right)
}

#[test]
fn a_client_that_comes_again_costs_one_hash_in_that_time() {
    let (accounts, start) = (ann(), Instant::now());
    assert_eq!(cost(&accounts, "ann", b"secret", start), (1, true));
    for seconds in [0, 1, 60, 300, REMEMBERED_FOR.as_secs() - 1] {
        let now = start + Duration::from_secs(seconds);
        assert_eq!(cost(&accounts, "ann", b"secret", now), (0, true), "after {seconds} s");
    }
    // A hit has made it no longer.
    let later = start + REMEMBERED_FOR;
    assert_eq!(cost(&accounts, "ann", b"secret", later), (1, true));
    assert_eq!(cost(&accounts, "ann", b"secret", later), (0, true));
}

#[test]
fn a_wrong_password_costs_one_hash_whether_the_right_one_is_remembered_or_not() {
    let (accounts, now) = (ann(), Instant::now());
    assert_eq!(cost(&accounts, "ann", b"wrong", now), (1, false));
    // It is not remembered as wrong, nor as right.
    assert_eq!(cost(&accounts, "ann", b"wrong", now), (1, false));
    assert_eq!(cost(&accounts, "ann", b"secret", now), (1, true));
    assert_eq!(cost(&accounts, "ann", b"wrong", now), (1, false));
    assert_eq!(cost(&accounts, "nobody", b"wrong", now), (1, false));
    assert_eq!(cost(&accounts, "nobody", b"secret", now), (1, false));
    assert_eq!(cost(&accounts, "ann", b"secret", now), (0, true), "a wrong one does not make it forgotten");
}

#[test]
fn a_client_that_comes_again_with_another_form_of_the_password_costs_no_hash_either() {
    let mut accounts = Accounts::new(false);
    accounts.add_hashed(name("ann"), &hash_of("p\u{e4}ss".as_bytes()));
    let (decomposed, now) = ("pa\u{308}ss".as_bytes(), Instant::now());
    assert_eq!(cost(&accounts, "ann", decomposed, now), (2, true), "each form is tried");
    assert_eq!(cost(&accounts, "ann", decomposed, now), (0, true));
    assert_eq!(cost(&accounts, "ann", "p\u{e4}ss".as_bytes(), now), (0, true));
}

#[test]
fn the_password_of_one_account_is_not_remembered_for_another() {
    let (mut accounts, now) = (ann(), Instant::now());
    accounts.add_hashed(name("bob"), &hash_of(b"other"));
    assert_eq!(cost(&accounts, "ann", b"secret", now), (1, true));
    assert_eq!(cost(&accounts, "bob", b"secret", now), (1, false));
}

#[test]
fn an_account_that_is_added_costs_no_hash_at_its_first_login() {
    let (before, now) = (ann(), Instant::now());
    assert_eq!(cost(&before, "ann", b"secret", now), (1, true));
    let after = before.with_at(name("bob"), &hash_of(b"new"), b"new", now);
    assert_eq!(cost(&after, "bob", b"new", now), (0, true));
    assert_eq!(cost(&after, "bob", b"old", now), (1, false));
    assert_eq!(cost(&after, "bob", b"new", now + REMEMBERED_FOR), (1, true));
    assert_eq!(cost(&after, "ann", b"secret", now), (0, true), "what is verified of others stays so");
    assert!(after.contains(&name("bob")) && !before.contains(&name("bob")));
    assert_eq!(
        cost(&before, "bob", b"new", now),
        (1, false),
        "who has the accounts of before sees no change"
    );
}

#[test]
fn a_password_that_was_changed_is_forgotten_at_once() {
    let (accounts, now) = (ann(), Instant::now());
    assert_eq!(cost(&accounts, "ann", b"secret", now), (1, true));
    let changed = accounts.with_at(name("ann"), &hash_of(b"other"), b"other", now);
    assert_eq!(cost(&changed, "ann", b"secret", now), (1, false));
    assert_eq!(cost(&changed, "ann", b"other", now), (0, true));
    assert_eq!(changed.prices.count(), 1);
}

#[test]
fn an_account_that_is_added_anew_is_as_the_configuration_has_it_but_for_the_password() {
    let mut configured = Accounts::new(false);
    configured.add_file(b"ann:{PLAIN}x::::::nodelete app.q={PLAIN}of-the-file").unwrap();
    let mut accounts = Accounts::new(false);
    accounts.add(name("bob"), b"x");
    accounts.copy(&name("ann"), &configured);
    accounts.copy(&name("nobody"), &configured);
    let accounts = accounts.with(name("ann"), &hash_of(b"new"), b"new");
    assert!(login(&accounts, b"ann", b"new").is_ok() && login(&accounts, b"ann", b"of-the-file").is_ok());
    assert!(login(&accounts, b"ann", b"x").is_err() && login(&accounts, b"bob", b"x").is_ok());
    assert!(accounts.switches(&name("ann")).may_not_delete && !accounts.contains(&name("nobody")));
}

#[test]
fn an_account_that_was_removed_is_nobody() {
    let (mut accounts, now) = (ann(), Instant::now());
    accounts.add(name("plain"), b"x");
    assert_eq!(cost(&accounts, "ann", b"secret", now), (1, true));
    let without_plain = accounts.without(&name("plain"));
    assert_eq!(cost(&without_plain, "plain", b"x", now), (1, false));
    assert_eq!(cost(&without_plain, "ann", b"secret", now), (0, true));
    let without = accounts.without(&name("ann"));
    assert_eq!(cost(&without, "ann", b"secret", now), (0, false), "nothing is hashed any more");
    assert_eq!(without.without(&name("ann")).names().count(), 1);
    // Back again, it begins anew.
    let mut back = without.clone();
    back.add_hashed(name("ann"), &hash_of(b"secret"));
    assert_eq!(cost(&back, "ann", b"secret", now), (1, true));
}

#[test]
fn apop_works_for_an_account_whose_password_this_process_was_told() {
    let digest = |timestamp: &str, secret: &[u8]| -> [u8; 16] {
        Md5::new().chain_update(timestamp).chain_update(secret).finalize().into()
    };
    let apop = |digest| Credentials::Apop { user: b"ann"[..].into(), digest };
    let right = apop(digest("<1@x>", b"secret"));
    let with = |keeps| Accounts::new(keeps).with(name("ann"), &hash_of(b"secret"), b"secret");
    assert!(with(true).verify(&right, Some("<1@x>"), HERE).is_ok());
    assert!(with(true).verify(&right, Some("<2@x>"), HERE).is_err());
    assert!(with(false).verify(&right, Some("<1@x>"), HERE).is_err());

    let anew = |keeps, password: &[u8]| {
        let mut anew = Accounts::new(keeps);
        anew.add_hashed(name("ann"), &hash_of(password));
        anew.inherit(&with(true));
        anew
    };
    assert!(anew(true, b"secret").verify(&right, Some("<1@x>"), HERE).is_ok());
    assert!(
        anew(false, b"secret").verify(&right, Some("<1@x>"), HERE).is_err(),
        "it is kept only where it is wanted"
    );
    assert!(
        anew(true, b"other").verify(&right, Some("<1@x>"), HERE).is_err(),
        "it is not that of another hash"
    );
}

#[test]
fn cram_md5_and_apop_are_offered_only_while_an_account_keeps_a_plain_secret() {
    let offers = |accounts: &Accounts| {
        let offers = accounts.mechanisms(false).contains(Mechanism::CramMd5);
        assert_eq!(accounts.has_plain(), offers, "both or neither");
        offers
    };
    let mut accounts = Accounts::new(true);
    accounts.add_stored(name("hashed"), hashed(b"secret", 8).as_bytes()).unwrap();
    assert!(!offers(&accounts), "all are hashed");
    for _ in 0..2 {
        accounts.add(name("plain"), b"secret");
        assert!(offers(&accounts));
    }
    accounts.add_hashed(name("plain"), &hash_of(b"secret"));
    assert!(!offers(&accounts), "its password was replaced by a hash");
    accounts.add_app(&name("plain"), "phone", b"{PLAIN}secret").unwrap();
    assert!(offers(&accounts));
    accounts.remove_app(&name("plain"), "phone");
    assert!(!offers(&accounts));
    // An administrator tells a password, and removes the account.
    let told = accounts.with(name("ann"), &hash_of(b"secret"), b"secret");
    assert!(offers(&told) && !offers(&told.without(&name("ann"))));
    // The configuration is read again: what this process was told is known of the same hash.
    let hash = hash_of(b"secret");
    let told = accounts.with(name("ann"), &hash, b"secret");
    for keeps_plain in [true, false] {
        let mut anew = Accounts::new(keeps_plain);
        anew.add_hashed(name("ann"), &hash);
        assert!(!offers(&anew));
        anew.inherit(&told);
        assert_eq!(offers(&anew), keeps_plain);
    }
}

#[test]
fn accounts_that_are_read_anew_remember_what_was_verified() {
    let (before, now) = (ann(), Instant::now());
    assert_eq!(cost(&before, "ann", b"secret", now), (1, true));
    let mut anew = ann();
    anew.inherit(&before);
    assert_eq!(cost(&anew, "ann", b"secret", now), (0, true));
    let mut other = Accounts::new(false);
    other.add_hashed(name("ann"), &hash_of(b"other"));
    other.inherit(&before);
    assert_eq!(cost(&other, "ann", b"secret", now), (1, false));
    assert_eq!(cost(&other, "ann", b"other", now), (1, true));
    // A password that is told in plain stays the one that counts.
    let mut plain = Accounts::new(false);
    plain.add(name("ann"), b"plain");
    plain.inherit(&before);
    assert_eq!(cost(&plain, "ann", b"secret", now), (0, false));
    assert_eq!(cost(&plain, "ann", b"plain", now), (0, true));
}

#[test]
fn who_was_found_right_is_not_let_in_by_a_secret_that_no_longer_is() {
    let user = name("ann");
    let mut before = ann();
    before.add_made_app(&user, "phone", 1, &hash_of(b"of the phone"));
    let is_let_in = |after: &Accounts| after.still_admits(&before, &user, HERE);
    let with = |change: fn(&mut Accounts, &UserName)| {
        let mut after = before.clone();
        change(&mut after, &user);
        after
    };
    let read_anew = |password: &[u8], apps: &[&str]| {
        let mut anew = Accounts::new(false);
        anew.add_stored(user.clone(), hashed(password, 8).as_bytes()).unwrap();
        for app in apps {
            anew.add_made_app(&user, app, 1, &hash_of(b"of the phone"));
        }
        anew.inherit(&before);
        anew
    };
    for (what, after) in [
        ("another password", before.with(user.clone(), &hash_of(b"other"), b"other")),
        ("an app password taken back", with(|accounts, user| accounts.remove_app(user, "phone"))),
        (
            "one that was made again",
            with(|accounts, user| accounts.add_made_app(user, "phone", 2, &hash_of(b"x"))),
        ),
        ("removed", before.without(&user)),
        ("removed and added", before.without(&user).with(user.clone(), &hash_of(b"other"), b"other")),
        ("read with another password", read_anew(b"other", &["phone"])),
        ("read without an app password", read_anew(b"secret", &[])),
    ] {
        assert!(!is_let_in(&after), "{what}");
    }
    for (what, after) in [
        ("nothing", before.clone()),
        ("another account", before.with(name("bob"), &hash_of(b"other"), b"other")),
        ("another app password", with(|accounts, user| accounts.add_made_app(user, "tv", 1, &hash_of(b"x")))),
        ("one taken back that was not there", with(|accounts, user| accounts.remove_app(user, "tv"))),
        ("a hash made anew", with(|accounts, user| accounts.renew(user, &hash_of(b"secret"), b"secret"))),
        ("read with another one beside", read_anew(b"secret", &["phone", "tv"])),
    ] {
        assert!(is_let_in(&after), "{what}");
    }
    let told = |password: &[u8]| {
        let mut accounts = Accounts::new(false);
        accounts.add(user.clone(), password);
        accounts
    };
    for (password, is_same) in [(&b"plain"[..], true), (b"other", false)] {
        let (before, mut anew) = (told(b"plain"), told(password));
        anew.inherit(&before);
        assert_eq!(anew.still_admits(&before, &user, HERE), is_same);
    }
}

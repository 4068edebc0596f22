//! Logins: right to the octet, and of one cost where they fail.

mod changes;
mod files;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use pop3d_protocol::pop3::Credentials;

use super::*;

/// Where clients are.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Cheap for tests, dear enough to be told from a code.
fn hashed(password: &[u8], memory: u32) -> String {
    let params = Params::new(memory, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    format!("{{ARGON2ID}}{}", argon2.hash_password_with_salt(password, b"salt of 16 octet").unwrap())
}

fn name(text: &str) -> UserName {
    UserName::parse(text.as_bytes()).unwrap()
}

fn login(accounts: &Accounts, user: &[u8], password: &[u8]) -> Result<String, WrongCredentials> {
    let credentials = Credentials::Password { user: user.into(), password: password.into() };
    accounts.verify(&credentials, None, HERE).map(|user| user.to_string())
}

#[test]
fn a_name_that_could_leave_the_mail_folder_is_no_name() {
    for wrong in ["", ".", "..", ".x", "a/b", "/", "../x", "a\0b", "a\nb", "a\u{85}b", "a\u{7F}"] {
        assert_eq!(UserName::parse(wrong.as_bytes()), None, "{wrong:?}");
    }
    assert_eq!(UserName::parse(&[b'x'; USER_NAME_MAX + 1]), None);
    assert_eq!(UserName::parse(b"\xFF"), None);
    assert_eq!(UserName::parse(b"\xC0\xAE\xC0\xAE"), None, "overlong dots");
    for right in ["user@example.org", "a", "a.b", "a..", "-x", "~", "a b", "ü", "a\\b", "$(x)"] {
        assert_eq!(name(right).as_str(), right);
    }
    assert!(UserName::parse(&[b'x'; USER_NAME_MAX]).is_some());
}

#[test]
fn a_password_is_right_to_the_octet() {
    let long = [b'x'; 300];
    let passwords: [&[u8]; 7] =
        [b" pass: word ", b"\xC3\xBF\xC2\xBF", b"a\0b", b"\0", b"", b"p\xC3\xBC", &long];
    for password in passwords {
        for is_hashed in [false, true] {
            let mut accounts = Accounts::new(false);
            if is_hashed {
                accounts.add_stored(name("user"), hashed(password, 8).as_bytes()).unwrap();
            } else {
                accounts.add(name("user"), password);
            }
            for tried in passwords {
                assert_eq!(login(&accounts, b"user", tried).is_ok(), tried == password);
            }
            let more = [password, b"\0"].concat();
            assert_eq!(login(&accounts, b"user", &more), Err(WrongCredentials));
            // Half a character is no UTF-8 at all.
            if let Some((_, less)) = password.split_last() {
                assert_eq!(login(&accounts, b"user", less), Err(WrongCredentials));
            }
        }
    }
}

#[test]
fn a_name_is_right_to_the_octet() {
    let mut accounts = Accounts::new(false);
    accounts.add(name("user"), b"pass");
    assert_eq!(login(&accounts, b"user", b"pass"), Ok("user".into()));
    for wrong in [&b"User"[..], b"user\0", b"user ", b" user", b"./user", b"../user", b"", b"\xFF", b".user"]
    {
        assert_eq!(login(&accounts, wrong, b"pass"), Err(WrongCredentials));
    }
}

#[test]
fn a_name_and_a_password_may_be_composed_in_another_way() {
    let mut accounts = Accounts::new(false);
    accounts.add(name("m\u{fc}ller"), "p\u{e4}ss".as_bytes());
    accounts.add(name("old"), "pa\u{308}ss".as_bytes());
    accounts.add_stored(name("hashed"), hashed("pa\u{308}ss".as_bytes(), 8).as_bytes()).unwrap();
    accounts.add(name("nothing"), "\u{ad}".as_bytes());
    let composed = |user: &str, password: &str| login(&accounts, user.as_bytes(), password.as_bytes());
    for user in ["m\u{fc}ller", "mu\u{308}ller"] {
        for password in ["p\u{e4}ss", "pa\u{308}ss", "\u{ff50}\u{e4}ss"] {
            assert_eq!(composed(user, password), Ok("m\u{fc}ller".into()));
        }
        assert_eq!(composed(user, "pass"), Err(WrongCredentials));
    }
    for password in ["p\u{e4}ss", "pa\u{308}ss"] {
        assert_eq!(composed("old", password), Ok("old".into()));
    }
    // A hash that was made of another form is right for that one.
    assert_eq!(composed("hashed", "pa\u{308}ss"), Ok("hashed".into()));
    assert_eq!(composed("hashed", "p\u{e4}ss"), Err(WrongCredentials));
    // One that is prepared to nothing is not the empty one.
    assert_eq!(composed("nothing", "\u{ad}"), Ok("nothing".into()));
    assert_eq!(composed("nothing", ""), Err(WrongCredentials));
    // What becomes a path when it is prepared is no name: fullwidth full stops and a solidus.
    assert_eq!(composed("\u{ff0e}\u{ff0e}\u{ff0f}old", "pa\u{308}ss"), Err(WrongCredentials));
}

#[test]
fn a_character_younger_than_the_tables_keeps_no_other_from_being_composed() {
    let mut accounts = Accounts::new(false);
    accounts.add(name("m\u{fc}ller\u{20BD}"), "schl\u{fc}ssel\u{1F511}".as_bytes());
    for user in ["m\u{fc}ller\u{20BD}", "mu\u{308}ller\u{20BD}"] {
        for password in ["schl\u{fc}ssel\u{1F511}", "schlu\u{308}ssel\u{1F511}"] {
            let let_in = login(&accounts, user.as_bytes(), password.as_bytes());
            assert_eq!(let_in, Ok("m\u{fc}ller\u{20BD}".into()));
        }
    }
}

#[test]
fn who_sends_what_none_may_have_is_refused_at_the_same_cost() {
    let mut accounts = Accounts::new(false);
    let secret = "pass\u{202E}".as_bytes();
    accounts.add(name("plain"), secret);
    accounts.add_stored(name("hashed"), hashed(secret, 8).as_bytes()).unwrap();
    accounts.add(name("pri\u{E000}vate"), b"secret");
    for user in ["plain", "hashed", "nobody", "pri\u{E000}vate"] {
        assert_eq!(login(&accounts, user.as_bytes(), secret), Err(WrongCredentials));
        let before = accounts.hashes();
        assert_eq!(login(&accounts, user.as_bytes(), b"secret"), Err(WrongCredentials), "{user}");
        assert_eq!(accounts.hashes() - before, 1);
    }
}

#[test]
fn another_form_of_a_password_costs_everybody_the_same() {
    let mut accounts = Accounts::new(false);
    accounts.add_stored(name("hashed"), hashed(b"secret", 8).as_bytes()).unwrap();
    for user in [&b"hashed"[..], b"nobody"] {
        let before = accounts.hashes();
        assert_eq!(login(&accounts, user, "pa\u{308}ss".as_bytes()), Err(WrongCredentials));
        assert_eq!(accounts.hashes() - before, 2);
    }
}

#[test]
fn a_hashed_account_logs_in_with_its_password_only() {
    let mut accounts = Accounts::new(false);
    let hash = hashed(b"secret", 8);
    // Spaces at the end of a hash are easily left there, and mean nothing.
    let text = format!("# accounts\n\nuser:{hash} \r\nother:{{PLAIN}}x\nthird:{{argon2id}}{}", &hash[10..]);
    accounts.add_file(text.as_bytes()).unwrap();
    assert_eq!(login(&accounts, b"user", b"secret"), Ok("user".into()));
    assert_eq!(login(&accounts, b"user", b"secre"), Err(WrongCredentials));
    assert_eq!(login(&accounts, b"nobody", b"secret"), Err(WrongCredentials));
    assert_eq!(login(&accounts, b"other", b"x"), Ok("other".into()));
    assert_eq!(login(&accounts, b"third", b"secret"), Ok("third".into()));
    let mut names: Vec<_> = accounts.names().map(UserName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["other", "third", "user"]);
}

#[test]
fn the_hash_of_another_program_is_understood() {
    // echo -n password | argon2 somesalt -id -e -t 2 -m 16 -p 1 (from the reference implementation's tests).
    let mut accounts = Accounts::new(false);
    let hash =
        "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    accounts.add_stored(name("user"), hash.as_bytes()).unwrap();
    assert_eq!(login(&accounts, b"user", b"password"), Ok("user".into()));
    assert_eq!(login(&accounts, b"user", b"Password"), Err(WrongCredentials));
}

#[test]
fn a_password_that_is_no_utf_8_is_wrong_also_where_an_account_has_it() {
    let mut accounts = Accounts::new(false);
    accounts.add_file(b"latin:{PLAIN}p\xE4ss\nuser:{PLAIN}p\xC3\xA4ss\n").unwrap();
    accounts.add_stored(name("hashed"), hashed(b"p\xE4ss", 8).as_bytes()).unwrap();
    for user in [&b"latin"[..], b"hashed", b"user"] {
        assert_eq!(login(&accounts, user, b"p\xE4ss"), Err(WrongCredentials));
    }
    assert_eq!(login(&accounts, b"user", "päss".as_bytes()), Ok("user".into()));
}

#[test]
fn a_line_that_is_wrong_is_named() {
    let secret = |error| LineError::Secret(error);
    let wrong = |text: &[u8]| Accounts::new(false).add_file(text).unwrap_err();
    assert_eq!(wrong(b"a:{PLAIN}x\nb\n"), (2, LineError::NoSecret));
    assert_eq!(wrong(b"a:{PLAIN}x\n\na:{PLAIN}y\n"), (3, LineError::Twice));
    for text in [&b"a:{ROT13}x"[..], b"a:plain", b"a:{PLAIN", b"a:", b"a:{}x"] {
        assert_eq!(wrong(text), (1, secret(SchemeError::UnknownScheme)));
    }
    for hash in [
        "x",
        "",
        "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=18$m=8,t=1,p=1$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=1,t=0,p=1$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ] {
        let text = format!("a:{{ARGON2ID}}{hash}");
        assert_eq!(wrong(text.as_bytes()), (1, secret(SchemeError::BadHash(Scheme::Argon2id))), "{hash}");
    }
    for costs in ["m=4194304,t=1,p=1", "m=8,t=100000,p=1"] {
        let text = format!(
            "a:{{ARGON2ID}}$argon2id$v=19${costs}$c2FsdHNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        );
        assert_eq!(wrong(text.as_bytes()), (1, secret(SchemeError::TooCostly(Scheme::Argon2id))));
    }
}

#[test]
fn the_account_that_was_added_last_replaces_others_of_its_name() {
    let mut accounts = Accounts::new(false);
    accounts.add_stored(name("user"), hashed(b"first", 8).as_bytes()).unwrap();
    accounts.add_stored(name("user"), hashed(b"second", 16).as_bytes()).unwrap();
    assert_eq!(accounts.prices.count(), 1);
    accounts.add(name("user"), b"third");
    // Nothing is hashed any more, so that nothing is spent.
    assert_eq!(accounts.prices.count(), 0);
    assert_eq!(login(&accounts, b"user", b"first"), Err(WrongCredentials));
    assert_eq!(login(&accounts, b"user", b"third"), Ok("user".into()));
}

#[test]
fn a_failed_login_costs_a_hash_whatever_was_wrong() {
    let mut accounts = Accounts::new(false);
    accounts.add_stored(name("hashed"), hashed(b"secret", 8 * 1024).as_bytes()).unwrap();
    accounts.add(name("plain"), b"secret");
    let cost = |user: &[u8], password: &[u8]| {
        let before = accounts.hashes();
        let _ = login(&accounts, user, password);
        accounts.hashes() - before
    };
    for user in [&b"hashed"[..], b"plain", b"nobody", b"../x", b".x", b"x\0", b"\xFF", b""] {
        assert_eq!(cost(user, b"wrong"), 1, "{}", user.escape_ascii());
    }
    assert_eq!(cost(b"plain", b"secret"), 0);
}

#[test]
fn a_name_without_a_hash_has_always_the_cost_of_one_that_has() {
    let mut accounts = Accounts::new(false);
    for (user, memory) in [("a", 8), ("b", 16), ("c", 32)] {
        accounts.add_stored(name(user), hashed(b"x", memory).as_bytes()).unwrap();
    }
    let mut met = HashSet::new();
    for number in 0..200 {
        let user = format!("user{number}");
        let cost = accounts.price_of_nobody(user.as_bytes()).unwrap();
        for spelling in [user.clone(), user.replacen('u', "u\u{ad}", 1), user.replacen('r', "\u{ff52}", 1)] {
            assert_eq!(Some(cost), accounts.price_of_nobody(spelling.as_bytes()), "{spelling}");
        }
        let [hashed::Cost::Argon2(_, params)] = &cost[..] else { panic!("{cost:?}") };
        met.insert(params.m_cost());
    }
    assert_eq!(met, HashSet::from([8, 16, 32]));
}

#[test]
fn apop_is_that_of_the_rfc_and_only_where_the_secret_is_kept() {
    // RFC 1939, section 7: the example.
    let timestamp = "<1896.697170952@dbc.mtview.ca.us>";
    let digest = 0xc4c9_334b_ac56_0ecc_979e_5800_1b3e_22fb_u128.to_be_bytes();
    let apop = |user: &[u8], digest| Credentials::Apop { user: user.into(), digest };
    let mut accounts = Accounts::new(true);
    accounts.add(name("mrose"), b"tanstaaf");
    accounts.add_stored(name("hashed"), hashed(b"tanstaaf", 8).as_bytes()).unwrap();
    accounts.add_stored(name("plain"), b"{PLAIN}tanstaaf").unwrap();
    assert_eq!(accounts.verify(&apop(b"mrose", digest), Some(timestamp), HERE), Ok(name("mrose")));
    assert_eq!(accounts.verify(&apop(b"plain", digest), Some(timestamp), HERE), Ok(name("plain")));
    assert_eq!(accounts.verify(&apop(b"mrose", digest), None, HERE), Err(WrongCredentials));
    assert_eq!(accounts.verify(&apop(b"mrose", digest), Some("<1@x>"), HERE), Err(WrongCredentials));
    for user in [&b"hashed"[..], b"nobody", b"../mrose", b""] {
        assert_eq!(accounts.verify(&apop(user, digest), Some(timestamp), HERE), Err(WrongCredentials));
    }
    assert_eq!(accounts.verify(&apop(b"mrose", [0; 16]), Some(timestamp), HERE), Err(WrongCredentials));
    let mut without = Accounts::new(false);
    without.add(name("mrose"), b"tanstaaf");
    assert_eq!(without.verify(&apop(b"mrose", digest), Some(timestamp), HERE), Err(WrongCredentials));
}

#[test]
fn no_secret_is_shown_by_debug() {
    let key = MemoryKey::of_process();
    let shown = format!("{:?}", Stored::keyed(key, b"tanstaaf", true));
    assert_eq!(shown, "Keyed { code: Code, plain: Some(Secret) }");
    let hashed = Hashed::parse(hashed(b"tanstaaf", 8).as_bytes()).unwrap();
    let shown = format!("{:?}", Stored::told(hashed, key, b"tanstaaf", true, Instant::now()));
    assert!(shown.starts_with("Hashed { hashed: Hashed, verified: Verified("), "{shown}");
    assert!(shown.contains("(Code, ") && shown.ends_with("plain: Some(Secret) }"), "{shown}");
}

#[test]
fn what_needs_no_hash_is_known_at_once_and_nothing_else_is() {
    let mut accounts = Accounts::new(true);
    accounts.add(name("plain"), b"secret");
    accounts.add_stored(name("hashed"), hashed(b"secret", 64).as_bytes()).unwrap();
    let at_once = |accounts: &Accounts, user: &str, password: &[u8]| {
        let credentials = Credentials::Password { user: user.as_bytes().into(), password: password.into() };
        accounts.verify_at_once(&credentials, None, HERE).map(|user| user.to_string())
    };
    assert_eq!(at_once(&accounts, "plain", b"secret").as_deref(), Some("plain"));
    assert_eq!(at_once(&accounts, "hashed", b"secret"), None, "nobody knows yet");
    assert!(login(&accounts, b"hashed", b"secret").is_ok());
    assert_eq!(at_once(&accounts, "hashed", b"secret").as_deref(), Some("hashed"));
    for (user, password) in
        [("plain", &b"secre"[..]), ("hashed", b"other"), ("nobody", b"secret"), ("../x", b"")]
    {
        assert_eq!(at_once(&accounts, user, password), None, "{user}");
    }
    assert_eq!(accounts.hashes(), 1);
    accounts.switch(&name("plain"), Switches { is_disabled: true, ..Switches::default() });
    assert_eq!(at_once(&accounts, "plain", b"secret"), None, "it is not to be used");
}

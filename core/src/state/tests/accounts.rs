//! The accounts that PEEP set: what is written is read, and what is damaged is refused.

use std::sync::LazyLock;

use pop3d_protocol::pop3::Credentials;
use proptest::prelude::*;

use super::super::accounts::{FILE, KeptAccounts};
use super::*;
use crate::accounts::{Accounts, Hashed, UserName, hash};

/// Hashes of some forms that other programs write.
const HASHES: [&str; 4] = [
    "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "{ARGON2ID}$argon2id$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "{ARGON2ID}$argon2id$v=16$m=64,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5Q",
    "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1,keyid=Hj5+dsK0,data=sRlHhRmKUGzdOmXn01XmXygd5Kc\
     $4fXXG0spB92WPB1NitT8/OH0VKI$\
     iPBVuORECm5biUsjq33hn9/7BKqy9aPWKhFfK2haEsMiPBVuORECm5biUsjq33hn9/7BKqy9aPWKhFfK2haEsA",
];

fn name(text: &str) -> UserName {
    UserName::parse(text.as_bytes()).unwrap()
}

fn hashed(number: usize) -> Hashed {
    Hashed::parse(HASHES[number].as_bytes()).unwrap()
}

/// A few accounts.
fn some() -> KeptAccounts {
    let mut kept = KeptAccounts::default();
    kept.add(name("ann@example.org"), &hashed(0));
    kept.add(name("#b:c%"), &hashed(2));
    kept.remove(&name("dora"), true);
    kept
}

fn login(accounts: &Accounts, user: &str, password: &[u8]) -> bool {
    let credentials = Credentials::Password { user: user.as_bytes().into(), password: password.into() };
    accounts.verify(&credentials, None, std::net::Ipv4Addr::LOCALHOST.into()).is_ok()
}

fn names_of(accounts: &Accounts) -> Vec<String> {
    let mut names: Vec<_> = accounts.names().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

#[test]
fn without_a_file_nothing_is_kept() {
    let house = House::new();
    assert_eq!(KeptAccounts::read(&house.files).unwrap(), KeptAccounts::default());
    KeptAccounts::default().save(&house.claim()).unwrap();
    assert_eq!(KeptAccounts::read(&house.files).unwrap(), KeptAccounts::default());
}

#[test]
fn an_account_that_was_set_logs_in_after_a_restart() {
    let house = House::new();
    let mut kept = KeptAccounts::default();
    kept.add(name("ann"), &hash(b" p\xC3\xBFss:word ").unwrap());
    kept.save(&house.claim()).unwrap();
    let mut accounts = Accounts::new(false);
    KeptAccounts::read(&house.files).unwrap().apply(&mut accounts);
    assert!(login(&accounts, "ann", b" p\xC3\xBFss:word "));
    assert!(!login(&accounts, "ann", b" p\xC3\xBFss:word"));
}

#[test]
fn what_is_kept_is_put_over_what_is_configured() {
    let configured = || {
        let mut accounts = Accounts::new(false);
        for user in ["ann", "bob", "carl"] {
            accounts.add(name(user), b"configured");
        }
        accounts
    };
    let mut kept = KeptAccounts::default();
    let cheap = {
        use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
        let params = Params::new(8, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(b"kept", b"salt of 16 octet").unwrap();
        Hashed::parse(format!("{{ARGON2ID}}{hash}").as_bytes()).unwrap()
    };
    kept.add(name("ann"), &cheap);
    kept.add(name("eva"), &cheap);
    kept.add(name("fred"), &cheap);
    kept.remove(&name("bob"), true);
    kept.remove(&name("fred"), false);
    let mut accounts = configured();
    kept.apply(&mut accounts);
    assert_eq!(names_of(&accounts), ["ann", "carl", "eva"]);
    assert!(login(&accounts, "ann", b"kept") && !login(&accounts, "ann", b"configured"));
    assert!(login(&accounts, "eva", b"kept") && login(&accounts, "carl", b"configured"));
    assert!(!login(&accounts, "bob", b"configured"));
    // Back again.
    kept.add(name("bob"), &cheap);
    let mut accounts = configured();
    kept.apply(&mut accounts);
    assert!(login(&accounts, "bob", b"kept"));
}

#[test]
fn the_file_explains_itself() {
    let text = some().text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[..4].iter().all(|line| line.starts_with("# ")), "{text}");
    assert_eq!(lines[4], format!("%23b%3Ac%25:{}", HASHES[2]));
    assert_eq!(lines[5], format!("ann@example.org:{}", HASHES[0]));
    assert_eq!(lines[6], "dora:{REMOVED}");
    assert!(lines[7].starts_with("# end ") && lines.len() == 8);
}

#[test]
fn a_file_that_a_person_edited_is_read_where_it_ends_as_it_says() {
    let text = some().text();
    let end = text.rfind("# end").unwrap();
    let edited = format!("{}\r\n  \r\n# mine\r\nEve:{} \r\nfay:{{removed}}", &text[..end], HASHES[1]);
    for closing in ["\n# end", "\n# end\n", "\r\n# end\r\n\r\n", "\n# end  \n"] {
        let mut expected = some();
        expected.add(name("Eve"), &hashed(1));
        expected.remove(&name("fay"), true);
        assert_eq!(KeptAccounts::parse(format!("{edited}{closing}").as_bytes()).unwrap(), expected);
    }
    for closing in ["\n", "\n# end 0123456789abcdef\n", "\n# end\n# more\n", "\n# ends\n", "# end"] {
        let octets = format!("{edited}{closing}");
        let (place, what) = KeptAccounts::parse(octets.as_bytes()).unwrap_err();
        assert!(place < octets.len() && !what.is_empty());
    }
}

#[test]
fn a_line_that_is_wrong_is_named_and_the_file_is_left_as_it_is() {
    let house = House::new();
    let hash = HASHES[0];
    let long = "x".repeat(4097);
    for (line, named) in [
        ("ann", "no \":\""),
        ("ann:{PLAIN}x", "unknown scheme; write {ARGON2ID} and a hash, or {REMOVED}"),
        ("ann:", "unknown scheme"),
        ("ann:{ARGON2ID}x", "no hash of {ARGON2ID}"),
        (&format!("ann:{}", &hash[..hash.len() - 40]), "argon2id"),
        (&format!("../x:{hash}"), "a user name has"),
        (&format!("a%2Fb:{hash}"), "a user name has"),
        (&format!("a%:{hash}"), "\"%\" stands before"),
        (&format!("bob:{hash}\nbob:{{REMOVED}}"), "further up"),
        (&format!("a%3Ab:{hash}\na%3ab:{hash}"), "further up"),
        (&long, "4096 octets"),
    ] {
        let text = format!("# first\n{line}\n# end\n");
        fs::write(house.path(FILE), &text).unwrap();
        let error = KeptAccounts::read(&house.files).unwrap_err().to_string();
        let number = 2 + line.matches('\n').count();
        assert!(error.starts_with(&format!("{}:{number}:1: ", house.path(FILE).display())), "{error}");
        assert!(
            error.contains(named) && error.contains("move the file away") && !error.contains('\n'),
            "{error}"
        );
        assert_eq!(fs::read_to_string(house.path(FILE)).unwrap(), text);
    }
    fs::remove_file(house.path(FILE)).unwrap();
    fs::create_dir(house.path(FILE)).unwrap();
    let error = KeptAccounts::read(&house.files).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read {}: not a regular file; move it away to start without what it keeps",
            house.path(FILE).display()
        )
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_or_says_the_same() {
    let (kept, text) = (some(), some().text());
    let mut whole = 0;
    for length in 0..text.len() {
        match KeptAccounts::parse(&text.as_bytes()[..length]) {
            Ok(read) => {
                assert_eq!(read, kept, "cut at {length}");
                whole += 1;
            }
            Err((place, _)) => assert!(place <= length),
        }
    }
    // Without its checksum, or without the last line end.
    assert_eq!(whole, 3);
}

#[test]
fn a_file_with_one_octet_changed_is_refused_or_says_the_same() {
    let (kept, text) = (some(), some().text());
    for place in 0..text.len() {
        for bit in 0..8 {
            let mut octets = text.clone().into_bytes();
            octets[place] ^= 1 << bit;
            if let Ok(read) = KeptAccounts::parse(&octets) {
                assert_eq!(read, kept, "octet {place}, bit {bit}");
            }
        }
    }
}

fn any_name() -> impl Strategy<Value = UserName> {
    let names = prop_oneof!["[a-z#:% ]{1,8}", "\\PC{1,40}", "[#:%]{128}"];
    names.prop_filter_map("no user name", |name| UserName::parse(name.as_bytes()))
}

proptest! {
    #[test]
    fn what_is_kept_is_read_again(
        entries in proptest::collection::vec((any_name(), proptest::option::of(0..HASHES.len())), 0..20),
    ) {
        let mut kept = KeptAccounts::default();
        for (user, number) in &entries {
            match number {
                Some(number) => kept.add(user.clone(), &hashed(*number)),
                None => kept.remove(user, true),
            }
        }
        let text = kept.text();
        prop_assert_eq!(KeptAccounts::parse(text.as_bytes()).unwrap(), kept.clone());
        prop_assert!(KeptAccounts::parse(text.replace('\n', "\r\n").as_bytes()).is_err());
    }

    #[test]
    fn no_octets_panic(changes in proptest::collection::vec((0_usize..2000, any::<u8>()), 1..30)) {
        static WHOLE: LazyLock<String> = LazyLock::new(|| some().text());
        let mut octets = WHOLE.clone().into_bytes();
        for (place, value) in changes {
            let place = place % octets.len();
            octets[place] = value;
        }
        let _ = KeptAccounts::parse(&octets);
    }
}

proptest! {
    // Hashing takes long.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_password_is_that_of_its_hash_only(password in "[ -~äß€中🔑]{0,20}") {
        let password = password.as_bytes();
        let mut kept = KeptAccounts::default();
        kept.add(name("ann"), &hash(password).unwrap());
        let mut accounts = Accounts::new(false);
        KeptAccounts::parse(kept.text().as_bytes()).unwrap().apply(&mut accounts);
        prop_assert!(login(&accounts, "ann", password));
        prop_assert!(!login(&accounts, "ann", &[password, b"x"].concat()));
    }
}

//! Each mechanism, step by step.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::scram::client;
use super::super::{Bearer, Checker, External, Switches};
use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn accounts() -> Arc<Accounts> {
    let mut accounts = Accounts::new(true);
    accounts.add(UserName::parse(b"user").unwrap(), b"pencil");
    accounts.add(UserName::parse(b"tim").unwrap(), b"tanstaaftanstaaf");
    Arc::new(accounts)
}

fn user(name: &str) -> Result<Stepped, WrongCredentials> {
    Ok(Stepped::Verified(UserName::parse(name.as_bytes()).unwrap()))
}

fn challenge(text: &str) -> Result<Stepped, WrongCredentials> {
    Ok(Stepped::Challenge(text.as_bytes().to_vec()))
}

#[test]
fn plain_is_three_parts_and_nobody_becomes_somebody_else() {
    for (message, outcome) in [
        (&b"\0user\0pencil"[..], user("user")),
        (b"user\0user\0pencil", user("user")),
        (b"tim\0user\0pencil", Err(WrongCredentials)),
        (b"\0user\0pencil\0", Err(WrongCredentials)),
        (b"\0user\0penci", Err(WrongCredentials)),
        (b"\0user", Err(WrongCredentials)),
        (b"", Err(WrongCredentials)),
    ] {
        let mut exchange = Exchange::new(Mechanism::Plain, accounts(), HERE, None);
        assert_eq!(exchange.step(Some(message)), outcome, "{}", message.escape_ascii());
        let mut later = Exchange::new(Mechanism::Plain, accounts(), HERE, None);
        assert_eq!(later.step(None), challenge(""));
        assert_eq!(later.step(Some(message)), outcome);
        assert_eq!(later.step(Some(message)), Err(WrongCredentials), "it is over");
    }
}

#[test]
fn a_message_or_a_password_that_is_no_utf_8_is_wrong_by_each_mechanism() {
    let mut accounts = Accounts::new(true);
    accounts.add(UserName::parse(b"user").unwrap(), b"p\xE4ss");
    let accounts = Arc::new(accounts);
    let exchange = |mechanism| Exchange::new(mechanism, Arc::clone(&accounts), HERE, None);
    assert_eq!(exchange(Mechanism::Plain).step(Some(b"\0user\0p\xE4ss")), Err(WrongCredentials));
    let mut login = exchange(Mechanism::Login);
    assert_eq!(login.step(Some(b"user")), challenge("Password:"));
    assert_eq!(login.step(Some(b"p\xE4ss")), Err(WrongCredentials));
    for first in [&b"n,,n=us\xE9r,r=x"[..], b"n,,n=user,r=\xE9"] {
        assert_eq!(exchange(Mechanism::ScramSha256).step(Some(first)), Err(WrongCredentials));
    }
    let bearer = b"n,a=us\xE9r,\x01auth=Bearer x\x01\x01";
    assert_eq!(exchange(Mechanism::OauthBearer).step(Some(bearer)), Err(WrongCredentials));
}

#[test]
fn external_is_whom_the_certificate_names_and_who_has_an_account() {
    let named = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| UserName::parse(name.as_bytes()).unwrap()).collect()
    };
    let nobody: &[&str] = &[];
    for (names, message, outcome) in [
        (&["user"][..], &b""[..], user("user")),
        (&["nobody", "tim", "user"], b"", user("tim")),
        (&["tim", "user"], b"user", user("user")),
        (&["user"], b"tim", Err(WrongCredentials)),
        (&["nobody"], b"", Err(WrongCredentials)),
        (&["nobody"], b"nobody", Err(WrongCredentials)),
        (nobody, b"", Err(WrongCredentials)),
        (nobody, b"user", Err(WrongCredentials)),
    ] {
        let begin =
            || Exchange::new(Mechanism::External, accounts(), HERE, None).with_certified(named(names));
        assert_eq!(begin().step(Some(message)), outcome, "{}", message.escape_ascii());
        let mut later = begin();
        assert_eq!(later.step(None), challenge(""));
        assert_eq!(later.step(Some(message)), outcome);
    }
    let mut switched_off = Accounts::new(false);
    let line = b"user:{PLAIN}pencil::::::allow_nets=192.0.2.0/24\n";
    switched_off.add_file(line).unwrap();
    let exchange = Exchange::new(Mechanism::External, Arc::new(switched_off), HERE, None);
    let mut exchange = exchange.with_certified(named(&["user"]));
    assert_eq!(exchange.step(Some(b"user")), Err(WrongCredentials));
}

#[test]
fn login_asks_for_both_or_for_the_password_alone() {
    let mut exchange = Exchange::new(Mechanism::Login, accounts(), HERE, None);
    assert_eq!(exchange.step(None), challenge("Username:"));
    assert_eq!(exchange.step(Some(b"user")), challenge("Password:"));
    assert_eq!(exchange.step(Some(b"pencil")), user("user"));
    let mut exchange = Exchange::new(Mechanism::Login, accounts(), HERE, None);
    assert_eq!(exchange.step(Some(b"nobody")), challenge("Password:"));
    assert_eq!(exchange.step(Some(b"pencil")), Err(WrongCredentials));
    assert_eq!(exchange.user(), b"nobody");
}

#[test]
fn the_digest_of_rfc_2195_section_2_is_right() {
    let said = "<1896.697170952@postoffice.reston.mci.net>";
    for (response, outcome) in [
        ("tim b913a602c7eda7a495b4e6e7334d3890", user("tim")),
        ("tim B913A602C7EDA7A495B4E6E7334D3890", user("tim")),
        ("user b913a602c7eda7a495b4e6e7334d3890", Err(WrongCredentials)),
        ("nobody b913a602c7eda7a495b4e6e7334d3890", Err(WrongCredentials)),
        ("tim", Err(WrongCredentials)),
        ("", Err(WrongCredentials)),
    ] {
        let mut exchange = Exchange::new(Mechanism::CramMd5, accounts(), HERE, None);
        exchange.state = State::Digest(said.to_owned());
        assert_eq!(exchange.step(Some(response.as_bytes())), outcome, "{response}");
    }
    let first = |()| Exchange::new(Mechanism::CramMd5, accounts(), HERE, None).step(None);
    assert_ne!(first(()), first(()), "a challenge comes only once");
}

#[test]
fn scram_knows_the_password_and_shows_it_before_it_lets_in() {
    let mut exchange = Exchange::new(Mechanism::ScramSha256, accounts(), HERE, None);
    let Ok(Stepped::Challenge(said)) = exchange.step(Some(b"n,,n=user,r=x")) else { panic!() };
    let said = String::from_utf8(said).unwrap();
    let last = client::answer(&said, "n=user,r=x", b"pencil");
    let Ok(Stepped::Challenge(shown)) = exchange.step(Some(last.as_bytes())) else { panic!() };
    assert!(shown.starts_with(b"v="));
    assert_eq!(exchange.step(Some(b"")), user("user"));
}

#[test]
fn scram_is_given_up_between_what_it_shows_and_the_proof() {
    for steps in 0..=4 {
        let told = Arc::new(AtomicUsize::new(0));
        let mut exchange = Exchange::new(Mechanism::ScramSha256, accounts(), HERE, None);
        let mut last = Vec::new();
        for step in 0..steps {
            let response = match step {
                0 => None,
                1 => Some(b"n,,n=user,r=x".to_vec()),
                2 => {
                    let said = String::from_utf8(std::mem::take(&mut last)).unwrap();
                    Some(client::answer(&said, "n=user,r=x", b"pencil").into_bytes())
                }
                _ => Some(Vec::new()),
            };
            if let Ok(Stepped::Challenge(said)) = exchange.step(response.as_deref()) {
                last = said;
                let told = Arc::clone(&told);
                exchange.tell_if_given_up(move || {
                    told.fetch_add(1, Ordering::Relaxed);
                });
            }
        }
        drop(exchange);
        assert_eq!(told.load(Ordering::Relaxed), usize::from(steps == 2), "{steps}");
    }
}

#[test]
fn scram_goes_the_same_way_with_nobody_and_fails_at_its_end() {
    let said = |name: &str| {
        let mut exchange = Exchange::new(Mechanism::ScramSha256, accounts(), HERE, None);
        let first = format!("n={name},r=x");
        let Ok(Stepped::Challenge(said)) = exchange.step(Some(format!("n,,{first}").as_bytes())) else {
            panic!()
        };
        let said = String::from_utf8(said).unwrap();
        let last = client::answer(&said, &first, b"wrong");
        assert_eq!(exchange.step(Some(last.as_bytes())), Err(WrongCredentials));
        said.split_once(",s=").unwrap().1.to_owned()
    };
    assert_eq!(said("nobody"), said("nobody"));
    assert_ne!(said("nobody"), said("user"));
    assert_eq!(said("nobody").len(), said("user").len());
    let mut other = Exchange::new(Mechanism::ScramSha256, accounts(), HERE, None);
    assert_eq!(other.step(Some(b"n,a=tim,n=user,r=x")), Err(WrongCredentials));
}

#[test]
fn scram_lets_in_by_kept_keys_without_a_secret() {
    let mut accounts = Accounts::new(false);
    // The keys of "pencil" by RFC 7677, section 3, as Dovecot writes them.
    accounts
        .add_file(
            b"user:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,\
              wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n\
              tim:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,\
              wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=::::::allow_nets=192.0.2.7\n",
        )
        .unwrap();
    let accounts = Arc::new(accounts);
    let listed: Vec<_> = accounts.mechanisms(false).iter().map(Mechanism::as_str).collect();
    assert_eq!(listed, ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    let login = |name: &str, password: &[u8]| {
        let mut exchange = Exchange::new(Mechanism::ScramSha256, Arc::clone(&accounts), HERE, None);
        let first = format!("n={name},r=x");
        let Ok(Stepped::Challenge(said)) = exchange.step(Some(format!("n,,{first}").as_bytes())) else {
            panic!()
        };
        let said = String::from_utf8(said).unwrap();
        let last = client::answer(&said, &first, password);
        let shown = exchange.step(Some(last.as_bytes()));
        (said.split_once(",s=").unwrap().1.len(), shown.and_then(|_| exchange.step(Some(b""))))
    };
    let (length, outcome) = login("user", b"pencil");
    assert_eq!(outcome, user("user"));
    assert_eq!(login("user", b"penci"), (length, Err(WrongCredentials)));
    assert_eq!(login("tim", b"pencil"), (length, Err(WrongCredentials)), "it is not from there");
    // Nobody looks like those that there are.
    assert_eq!(login("nobody", b"pencil"), (length, Err(WrongCredentials)));
    let mut plain = Exchange::new(Mechanism::Plain, accounts, HERE, None);
    assert_eq!(plain.step(Some(b"\0user\0pencil")), user("user"));
}

#[test]
fn no_name_shows_the_same_salt_for_both_hashes_since_kept_keys_do_not() {
    let mut accounts = Accounts::new(true);
    accounts
        .add_file(
            b"kept:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,\
              wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\nplain:{PLAIN}secret\n",
        )
        .unwrap();
    let accounts = Arc::new(accounts);
    let salt = |mechanism, name: &str| {
        let mut exchange = Exchange::new(mechanism, Arc::clone(&accounts), HERE, None);
        let Ok(Stepped::Challenge(said)) = exchange.step(Some(format!("n,,n={name},r=x").as_bytes())) else {
            panic!()
        };
        let said = String::from_utf8(said).unwrap();
        said.split(',').nth(1).unwrap().to_owned()
    };
    for name in ["kept", "plain", "nobody", "somebody"] {
        let (first, second) = (salt(Mechanism::ScramSha256, name), salt(Mechanism::ScramSha1, name));
        assert_ne!(first.get(..12), second.get(..12), "{name}");
        assert_eq!(first, salt(Mechanism::ScramSha256, name), "{name}");
        // However a name is spelt it is the same one (RFC 4013), also where nobody has it.
        let soft_hyphen = format!("{}\u{ad}{}", &name[..1], &name[1..]);
        let wide = name.replacen('e', "\u{ff45}", 1);
        for spelling in [soft_hyphen, wide] {
            assert_eq!(first, salt(Mechanism::ScramSha256, &spelling), "{spelling}");
        }
    }
}

#[test]
fn what_needs_a_plain_secret_is_offered_where_there_is_one() {
    let listed =
        |accounts: &Accounts| accounts.mechanisms(false).iter().map(Mechanism::as_str).collect::<Vec<_>>();
    assert_eq!(listed(&accounts()), ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"]);
    assert_eq!(listed(&Accounts::new(false)), ["PLAIN", "LOGIN"]);
}

#[test]
fn an_exchange_goes_on_by_accounts_as_they_have_become() {
    let name = UserName::parse(b"user").unwrap();
    let mut others = Accounts::new(true);
    others.add(name.clone(), b"another");
    let (others, fewer) = (Arc::new(others), Arc::new(accounts().without(&name)));
    let begin = |mechanism, first: Option<&[u8]>| {
        let mut exchange = Exchange::new(mechanism, accounts(), HERE, None);
        let Ok(Stepped::Challenge(said)) = exchange.step(first) else { panic!() };
        (exchange, String::from_utf8(said).unwrap())
    };
    for (accounts, password, outcome) in [
        (&accounts(), "pencil", user("user")),
        (&others, "pencil", Err(WrongCredentials)),
        (&others, "another", user("user")),
        (&fewer, "pencil", Err(WrongCredentials)),
    ] {
        let (mut exchange, _) = begin(Mechanism::Plain, None);
        exchange.renew(Arc::clone(accounts));
        assert_eq!(exchange.step(Some(format!("\0user\0{password}").as_bytes())), outcome);
        let (mut exchange, said) = begin(Mechanism::ScramSha256, Some(b"n,,n=user,r=x"));
        exchange.renew(Arc::clone(accounts));
        let last = client::answer(&said, "n=user,r=x", b"pencil");
        let shown = exchange.step(Some(last.as_bytes())).is_ok();
        assert_eq!(shown, password == "pencil" && outcome.is_ok());
    }
    // Between the proof and what the client says to ours.
    for (accounts, outcome) in
        [(None, user("user")), (Some(fewer), Err(WrongCredentials)), (Some(others), Err(WrongCredentials))]
    {
        let (mut exchange, said) = begin(Mechanism::ScramSha256, Some(b"n,,n=user,r=x"));
        let last = client::answer(&said, "n=user,r=x", b"pencil");
        assert!(exchange.step(Some(last.as_bytes())).is_ok());
        if let Some(accounts) = accounts {
            exchange.renew(accounts);
        }
        assert_eq!(exchange.step(Some(b"")), outcome);
    }
}

#[test]
fn whom_to_be_is_the_same_in_each_form_of_a_name() {
    const COMPOSED: &str = "gr\u{fc}n";
    const IN_PARTS: &str = "gru\u{308}n";
    let mut accounts = Accounts::new(true);
    accounts.add(UserName::parse(COMPOSED.as_bytes()).unwrap(), b"pencil");
    let accounts = Arc::new(accounts);
    for authorization in [COMPOSED, IN_PARTS] {
        for name in [COMPOSED, IN_PARTS] {
            let begin = |mechanism| Exchange::new(mechanism, Arc::clone(&accounts), HERE, None);
            let message = format!("{authorization}\0{name}\0pencil");
            assert_eq!(begin(Mechanism::Plain).step(Some(message.as_bytes())), user(COMPOSED));
            let message = format!("n,a={authorization},n={name},r=x");
            assert!(begin(Mechanism::ScramSha256).step(Some(message.as_bytes())).is_ok());
            let certified = vec![UserName::parse(name.as_bytes()).unwrap()];
            let mut external = begin(Mechanism::External).with_certified(certified);
            assert_eq!(external.step(Some(authorization.as_bytes())), user(COMPOSED));
        }
    }
}

/// Takes every token.
struct Credulous;

impl Checker for Credulous {
    fn check(&self, _: &UserName, _: &[u8]) -> Result<bool, String> {
        Ok(true)
    }
}

#[test]
fn a_program_is_asked_about_the_token_of_an_account_that_is_not_to_be_used_in_vain() {
    let mut accounts = Accounts::new(false);
    accounts
        .add_file(b"on:{PLAIN}x\noff:{PLAIN}x::::::disabled\nfar:{PLAIN}x::::::allow_nets=192.0.2.7\n")
        .unwrap();
    let program = TokenCheck::Program(Arc::new(External::new(Box::new(Credulous)).without_memory()));
    accounts.set_bearer(Bearer::new(program, None, None).unwrap());
    let accounts = Arc::new(accounts);
    for (name, is_let_in) in [("on", true), ("nobody", true), ("off", false), ("far", false)] {
        let message = format!("n,a={name},\x01auth=Bearer x\x01\x01");
        let mut exchange = Exchange::new(Mechanism::OauthBearer, Arc::clone(&accounts), HERE, None);
        let Ok(Stepped::Ask(asking)) = exchange.step(Some(message.as_bytes())) else { panic!("{name}") };
        assert_eq!(asking.ask(b"x"), Ok(is_let_in), "{name}");
    }
}

#[test]
fn no_program_is_asked_about_a_name_that_is_prohibited_and_so_seems_to_be_without_an_account() {
    const PROHIBITED: &str = "a\u{e000}";
    let mut accounts = Accounts::new(false);
    let name = UserName::parse(PROHIBITED.as_bytes()).unwrap();
    accounts.add(name.clone(), b"pencil");
    accounts.switch(&name, Switches { is_disabled: true, ..Switches::default() });
    let program = TokenCheck::Program(Arc::new(External::new(Box::new(Credulous)).without_memory()));
    accounts.set_bearer(Bearer::new(program, None, None).unwrap());
    let accounts = Arc::new(accounts);
    for (name, is_asked) in [(PROHIBITED, false), ("nobody", true)] {
        let message = format!("n,a={name},\x01auth=Bearer x\x01\x01");
        let mut exchange = Exchange::new(Mechanism::OauthBearer, Arc::clone(&accounts), HERE, None);
        let stepped = exchange.step(Some(message.as_bytes()));
        assert_eq!(matches!(stepped, Ok(Stepped::Ask(_))), is_asked, "{stepped:?}");
    }
}

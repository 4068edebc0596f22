//! Logins from the line to whose they are: AUTH by every mechanism, and USER, PASS and APOP, in any cutting. Who is let in has said
//! the right secret, whatever else was said before.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use base64ct::{Base64, Encoding};
use libfuzzer_sys::fuzz_target;
use pop3d_core::accounts::{
    Accounts, Bearer, Checker, Exchange, External, Stepped, TokenCheck, UserName, is_prohibited,
};
use pop3d_protocol::engine::Engine;
use pop3d_protocol::pop3::{
    Action, Answer, CHALLENGE_MAX, Credentials, Greeting, Lengths, Mechanism, Refusal, Session, Step,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TIMESTAMP: &str = "<1.2@host>";

/// The users, each with the secret; of the last nobody may log in.
const USERS: [(&str, &[u8]); 4] =
    [("user", b"pencil"), ("kept", b"pencil"), ("gr\u{fc}n", "p\u{e4}ss".as_bytes()), ("off", b"pencil")];

/// Of "kept", as RFC 7677 has them (section 3).
const KEYS: &str = "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,\
                    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// Knows "outside", and one secret of that user.
struct Only(&'static [u8]);

impl Checker for Only {
    fn check(&self, user: &UserName, password: &[u8]) -> Result<bool, String> {
        assert!(!is_prohibited(password));
        Ok(user.as_str() == "outside" && password == self.0)
    }
}

static ACCOUNTS: LazyLock<Arc<Accounts>> = LazyLock::new(|| {
    let mut accounts = Accounts::new(true);
    for (user, secret) in USERS {
        accounts.add(name(user), secret);
    }
    accounts.add_stored(name("kept"), KEYS.as_bytes()).unwrap();
    accounts.add_file(b"off:{PLAIN}pencil::::::nologin").unwrap();
    accounts.set_external(External::new(Box::new(Only(b"right"))));
    let tokens = External::new(Box::new(Only(b"token"))).without_memory();
    accounts.set_bearer(Bearer::new(TokenCheck::Program(Arc::new(tokens)), None, None).unwrap());
    Arc::new(accounts)
});

fn name(text: &str) -> UserName {
    UserName::parse(text.as_bytes()).unwrap()
}

/// What is said in one go: by which mechanism or command, with which first response, and the answers to challenges.
type Login = (u8, Option<Vec<u8>>, Vec<Vec<u8>>);

fuzz_target!(|input: (Vec<Login>, Vec<u8>, bool)| {
    let (logins, cuts, has_channel) = input;
    let octets: Vec<u8> = logins.iter().flat_map(line_of).collect();
    let whole = play(&octets, &[], has_channel);
    assert!(whole == play(&octets, &cuts, has_channel), "it depends on how it was cut");
});

fn line_of((kind, first, more): &Login) -> Vec<u8> {
    let first = first.as_deref();
    let mut said = match Mechanism::ALL.get(usize::from(kind % 16)) {
        Some(mechanism) => {
            let mut line = format!("AUTH {}", mechanism.as_str()).into_bytes();
            if let Some(first) = first {
                line.push(b' ');
                line.extend(if first.is_empty() { b"=".to_vec() } else { response(first) });
            }
            line
        }
        None if kind % 16 == 10 => [b"USER ", first.unwrap_or_default()].concat(),
        None if kind % 16 == 11 => [b"PASS ", first.unwrap_or_default()].concat(),
        None if kind % 16 == 12 => [b"APOP ", first.unwrap_or_default()].concat(),
        None => first.unwrap_or_default().to_vec(),
    };
    said.extend_from_slice(b"\r\n");
    for answer in more {
        said.extend(response(answer));
        said.extend_from_slice(b"\r\n");
    }
    said
}

/// What is right somewhere, and would hardly be found.
const KNOWN: [&[u8]; 9] = [
    b"\0user\0pencil",
    b"\0kept\0pencil",
    b"\0off\0pencil",
    b"\0outside\0right",
    b"user",
    b"pencil",
    b"n,,n=user,r=x",
    b"n,a=outside,\x01auth=Bearer token\x01\x01",
    b"user=outside\x01auth=Bearer token\x01\x01",
];

/// In base64, but for one that begins with 0xFE: the rest of it as it is. Of those that begin with any other octet a quarter stands for one
/// that is known, with the rest behind it.
fn response(octets: &[u8]) -> Vec<u8> {
    match octets {
        [0xFE, raw @ ..] => raw.to_vec(),
        [octet, which, rest @ ..] if octet % 4 == 3 => {
            let known = KNOWN[usize::from(*which) % KNOWN.len()];
            Base64::encode_string(&[known, rest].concat()).into_bytes()
        }
        octets => Base64::encode_string(octets).into_bytes(),
    }
}

/// What is heard, with the random parts of challenges left out, and who was let in.
fn play(octets: &[u8], cuts: &[u8], has_channel: bool) -> (Vec<u8>, Vec<UserName>) {
    let mut session = Session::new(Greeting {
        name: "pop3d",
        timestamp: Some(TIMESTAMP.into()),
        mechanisms: ACCOUNTS.mechanisms(has_channel).iter().chain([Mechanism::External]).collect(),
        ..Greeting::default()
    });
    let channel = has_channel.then(|| b"channel".as_slice().into());
    let (mut heard, mut rest, mut exchange, mut let_in) = (Vec::new(), octets, None, Vec::new());
    let mut cuts = cuts.iter().copied().cycle();
    loop {
        let mut room = [0; 1024];
        loop {
            let count = session.poll_output(&mut room);
            heard.extend_from_slice(&room[..count]);
            let outcome = match session.poll_action() {
                None if count > 0 => continue,
                None => break,
                Some(Action::Close) => return (without_nonces(&heard), let_in),
                Some(Action::Verify(credentials)) => verify(&credentials).map(Stepped::Verified),
                Some(Action::Exchange(step)) => {
                    let (begun, response) = match step {
                        Step::Begin { mechanism, initial } => (Some(begin(mechanism, &channel)), initial),
                        Step::Response(response) => (exchange.take(), Some(response)),
                    };
                    let (mechanism, begun) = begun.expect("a response is to a challenge");
                    let (outcome, after) = advance(mechanism, begun, response.as_deref());
                    exchange = after.map(|after| (mechanism, after));
                    outcome
                }
                Some(Action::OpenMaildrop) => {
                    // So that the next login comes.
                    session.handle_answer(Answer::Maildrop(Err(refusal())));
                    continue;
                }
                Some(other) => unreachable!("before login: {other:?}"),
            };
            session.handle_answer(match outcome {
                Ok(Stepped::Challenge(challenge)) => Answer::Challenged(challenge.into()),
                Ok(Stepped::Verified(user)) => {
                    assert!(user.as_str() != "off", "it is disabled");
                    let_in.push(user);
                    Answer::Verified(Ok(()))
                }
                Ok(Stepped::Ask(_)) | Err(()) => Answer::Verified(Err(refusal())),
            });
        }
        if rest.is_empty() {
            return (without_nonces(&heard), let_in);
        }
        let length = cuts.next().map_or(rest.len(), |cut| (usize::from(cut) + 1).min(rest.len()));
        let taken = session.handle_input(&rest[..length]);
        assert!(taken > 0, "nothing waits, and nothing is taken");
        assert!(session.held_octets() <= 2 * octets.len() + 2 * 512);
        assert!(session.held_octets() <= 2 * Lengths::DEFAULT.command + Lengths::DEFAULT.response);
        rest = &rest[taken..];
    }
}

fn begin(mechanism: Mechanism, channel: &Option<Box<[u8]>>) -> (Mechanism, Exchange) {
    let exchange = Exchange::new(mechanism, Arc::clone(&ACCOUNTS), HERE, channel.clone());
    (mechanism, exchange.with_certified(vec![name("nobody"), name("off"), name("user")]))
}

/// One step; the exchange, where it goes on.
fn advance(
    mechanism: Mechanism,
    mut exchange: Exchange,
    response: Option<&[u8]>,
) -> (Result<Stepped, ()>, Option<Exchange>) {
    match exchange.step(response) {
        Ok(Stepped::Challenge(challenge)) => {
            assert!(challenge.len() <= CHALLENGE_MAX);
            (Ok(Stepped::Challenge(challenge)), Some(exchange))
        }
        Ok(Stepped::Verified(user)) => {
            match mechanism {
                Mechanism::Plain | Mechanism::Login => {
                    check_password(&user, exchange.password().expect("it told one"));
                }
                Mechanism::External => assert!(user.as_str() == "user", "nobody else is certified"),
                _ => panic!("{} by a proof that nobody could make", mechanism.as_str()),
            }
            (Ok(Stepped::Verified(user)), None)
        }
        Ok(Stepped::Ask(asking)) => {
            let password = exchange.password().expect("it is what is asked about");
            let outcome = match asking.ask(password) {
                Ok(true) => {
                    let right: &[u8] = match mechanism {
                        Mechanism::OauthBearer | Mechanism::Xoauth2 => b"token",
                        _ => b"right",
                    };
                    assert!(asking.user().as_str() == "outside" && password == right);
                    Ok(Stepped::Verified(asking.user().clone()))
                }
                Ok(false) | Err(_) => Err(()),
            };
            (outcome, None)
        }
        Err(_) => {
            assert!(exchange.step(response).is_err(), "it is over");
            (Err(()), None)
        }
    }
}

fn verify(credentials: &Credentials) -> Result<UserName, ()> {
    let at_once = ACCOUNTS.verify_at_once(credentials, Some(TIMESTAMP), HERE);
    let verified = ACCOUNTS.verify(credentials, Some(TIMESTAMP), HERE);
    if let Some(user) = at_once {
        assert!(verified.as_ref() == Ok(&user));
    }
    let user = verified.map_err(|_| ())?;
    match credentials {
        Credentials::Password { password, .. } => check_password(&user, password),
        // The timestamp is always the same here: an input may know a digest.
        Credentials::Apop { .. } => assert!(user.as_str() != "kept", "of its secret there are keys alone"),
    }
    Ok(user)
}

/// Whoever was let in by a password has said it; beyond ASCII, in one of its forms.
fn check_password(user: &UserName, password: &[u8]) {
    let (_, secret) = USERS.iter().find(|(name, _)| *name == user.as_str()).expect("it has an account");
    assert!(!is_prohibited(password) && (!password.is_ascii() || password == *secret));
}

/// What a challenge says is another thing each time, and as long each time.
fn without_nonces(heard: &[u8]) -> Vec<u8> {
    let lines = heard.split_inclusive(|&octet| octet == b'\n');
    let lines =
        lines.map(|line| if line.starts_with(b"+ ") { vec![b'x'; line.len()] } else { line.to_vec() });
    lines.flatten().collect()
}

fn refusal() -> Refusal {
    Refusal { code: None, text: "no".into() }
}

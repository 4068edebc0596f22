//! One exchange of AUTH (RFC 5034, RFC 4422): what each mechanism asks for, and whose credentials come of it.
//!
//! A step may take long: called in the pool. Whatever is wrong, at whichever step, is one answer.

use std::net::IpAddr;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use pop3d_protocol::pop3::{Credentials, Mechanism, Mechanisms};
use subtle::ConstantTimeEq;

use super::account::{Account, SALT};
use super::bearer::{Presented, TokenCheck};
use super::code::MemoryKey;
use super::scram::{Begun, Binding, ClientFirst, Hash, ITERATIONS, Keys};
use super::{Accounts, Asking, Secret, UserName, WrongCredentials, is_prohibited, prepared};

/// Octets of the random part of CRAM-MD5's challenge.
const CHALLENGE: usize = 18;

/// An exchange under way.
pub struct Exchange {
    accounts: Arc<Accounts>,
    /// Where the client is.
    from: IpAddr,
    /// What the channel can be told by (RFC 9266); none: it is not TLS 1.3.
    channel: Option<Box<[u8]>>,
    state: State,
    /// Whom the client's certificate names.
    certified: Vec<UserName>,
    /// Who the client claims to be, where it has said so.
    user: Vec<u8>,
    /// What it said, by a mechanism that tells passwords or tokens.
    password: Option<Secret>,
    /// What it is told where that is wrong, by a mechanism of tokens.
    refusal: Option<String>,
    /// Who is told where the client gives it up.
    given_up: Option<GivenUp>,
}

type GivenUp = Box<dyn FnOnce() + Send>;

/// What is awaited.
enum State {
    /// The first response of a mechanism.
    Begun(Mechanism),
    /// LOGIN: the user name, then the password.
    LoginUser,
    LoginPassword,
    /// CRAM-MD5: the digest over this challenge.
    Digest(String),
    /// SCRAM: the `client-final-message`. No user: the keys are nobody's, and no proof is right. The keys are of these accounts.
    Scram(Box<Begun>, Option<UserName>, Arc<Accounts>),
    /// SCRAM: nothing, once the client has seen that we know its password. Its proof was right by these accounts.
    Shown(UserName, Arc<Accounts>),
    /// No more steps.
    Over,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let State::Scram(..) = self.state
            && let Some(tell) = self.given_up.take()
        {
            tell();
        }
    }
}

/// What a step came to.
#[derive(Debug, Eq, PartialEq)]
pub enum Stepped {
    /// The client is to answer this.
    Challenge(Vec<u8>),
    /// Whose credentials they were.
    Verified(UserName),
    /// Somebody else is to be asked about [`Exchange::password`].
    Ask(Asking),
}

impl Accounts {
    /// The mechanisms by which somebody could log in; `has_channel`: over a channel that an exchange can be bound to.
    #[must_use]
    pub fn mechanisms(&self, has_channel: bool) -> Mechanisms {
        let offered = |hash: Hash, mechanism| (!self.looks_of(hash).is_empty()).then_some(mechanism);
        let bound = [
            offered(Hash::Sha256, Mechanism::ScramSha256Plus),
            offered(Hash::Sha1, Mechanism::ScramSha1Plus),
        ];
        let unbound = [
            offered(Hash::Sha256, Mechanism::ScramSha256),
            offered(Hash::Sha1, Mechanism::ScramSha1),
            self.has_plain().then_some(Mechanism::CramMd5),
            self.bearer.as_ref().map(|_| Mechanism::OauthBearer),
            self.bearer.as_ref().map(|_| Mechanism::Xoauth2),
            Some(Mechanism::Plain),
            Some(Mechanism::Login),
        ];
        let bound = bound.into_iter().filter(|_| has_channel);
        bound.chain(unbound).flatten().collect()
    }

    /// The keys that an exchange of SCRAM goes by; whose they are, where there is such an account. Takes the same time for
    /// all names.
    fn keys(&self, hash: Hash, user: &[u8]) -> (Keys, Option<&UserName>) {
        let account = self.account(user);
        let secret = account.and_then(|(_, account)| account.plain());
        // Nobody's salt is always the same as well, however the name is spelt, and his keys cost as much. It is another one for
        // each hash, as those of keys that are kept are.
        let key = MemoryKey::of_names();
        let code = key.code(&[&[hash.letter()], &*prepared(user)].concat());
        let more = key.code(code.octets());
        let salt = [code.octets(), more.octets()].concat();
        let password = secret.unwrap_or(Secret::of_nobody()).octets();
        let made = Keys::derive(hash, password, salt.get(..SALT).unwrap_or_default(), ITERATIONS);
        let user = account.map(|(user, _)| user);
        if let Some(kept) = account.and_then(|(_, account)| account.keys(hash)) {
            return (kept.clone(), user);
        }
        if secret.is_some() {
            return (made, user);
        }
        let (length, iterations) =
            self.looks_of(hash).pick(code.number()).copied().unwrap_or((SALT, ITERATIONS));
        (made.of_nobody(salt.get(..length).unwrap_or(&salt), iterations), None)
    }
}

impl Exchange {
    /// Begins an exchange by one of the mechanisms that [`Accounts::mechanisms`] names.
    #[must_use]
    pub fn new(
        mechanism: Mechanism,
        accounts: Arc<Accounts>,
        from: IpAddr,
        channel: Option<Box<[u8]>>,
    ) -> Self {
        Self {
            accounts,
            from,
            channel,
            state: State::Begun(mechanism),
            certified: Vec::new(),
            user: Vec::new(),
            password: None,
            refusal: None,
            given_up: None,
        }
    }

    /// The same, with those whom the client's certificate names: for EXTERNAL.
    #[must_use]
    pub fn with_certified(mut self, certified: Vec<UserName>) -> Self {
        self.certified = certified;
        self
    }

    /// Has somebody told where the client gives the exchange up, in whatever way, behind a step that cost as much as a login
    /// that fails: where SCRAM has made keys to show their salt. Called behind each challenge.
    pub(crate) fn tell_if_given_up(&mut self, tell: impl FnOnce() + Send + 'static) {
        self.given_up = matches!(self.state, State::Scram(..)).then(|| Box::new(tell) as GivenUp);
    }

    /// Goes on by these accounts, which may be others than those that it began with: who was removed, switched off or given another
    /// password meanwhile is not let in.
    pub fn renew(&mut self, accounts: Arc<Accounts>) {
        self.accounts = accounts;
    }

    /// Who the client claims to be, for the log; empty where it has not said so.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The password that the client told; none: the mechanism tells none, or it was wrong.
    #[must_use]
    pub fn password(&self) -> Option<&[u8]> {
        self.password.as_ref().map(Secret::octets)
    }

    /// Whose accounts they are.
    #[must_use]
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Goes on with what the client sent; none: it has sent nothing yet.
    ///
    /// # Errors
    /// One answer, whatever was wrong.
    pub fn step(&mut self, response: Option<&[u8]>) -> Result<Stepped, WrongCredentials> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begun(mechanism) => self.begin(mechanism, response),
            State::LoginUser => self.login_user(response.unwrap_or_default()),
            State::LoginPassword => {
                let user = std::mem::take(&mut self.user);
                let verified = self.verify_password(&user, response.unwrap_or_default());
                self.user = user;
                verified
            }
            State::Digest(challenge) => self.verify_digest(&challenge, response.unwrap_or_default()),
            State::Scram(begun, user, accounts) => {
                let (hash, is_current) = (begun.hash(), Arc::ptr_eq(&accounts, &self.accounts));
                if !is_current && !begun.is_by(&self.accounts.keys(hash, &self.user).0) {
                    return Err(WrongCredentials);
                }
                let said = begun.finish(response.unwrap_or_default()).ok_or(WrongCredentials)?;
                self.state = State::Shown(user.ok_or(WrongCredentials)?, Arc::clone(&self.accounts));
                Ok(Stepped::Challenge(said.into_bytes()))
            }
            State::Shown(user, accounts) if response.is_some_and(<[u8]>::is_empty) => {
                if !self.accounts.has_secrets_of(&accounts, &user) {
                    return Err(WrongCredentials);
                }
                self.let_in(&user)
            }
            State::Shown(..) | State::Over => Err(WrongCredentials),
        }
    }

    fn begin(&mut self, mechanism: Mechanism, response: Option<&[u8]>) -> Result<Stepped, WrongCredentials> {
        match (mechanism, response) {
            // Some have the name asked for by an empty response: it is nobody's.
            (Mechanism::Login, None | Some([])) => {
                self.state = State::LoginUser;
                Ok(Stepped::Challenge(b"Username:".to_vec()))
            }
            // Some clients begin with the user name.
            (Mechanism::Login, Some(user)) => self.login_user(user),
            (Mechanism::CramMd5, None) => self.challenge(),
            (
                Mechanism::Plain
                | Mechanism::ScramSha1
                | Mechanism::ScramSha256
                | Mechanism::ScramSha1Plus
                | Mechanism::ScramSha256Plus
                | Mechanism::External
                | Mechanism::OauthBearer
                | Mechanism::Xoauth2,
                None,
            ) => {
                self.state = State::Begun(mechanism);
                Ok(Stepped::Challenge(Vec::new()))
            }
            (Mechanism::Plain, Some(message)) => self.plain(message),
            (Mechanism::ScramSha1, Some(message)) => self.scram(Hash::Sha1, false, message),
            (Mechanism::ScramSha256, Some(message)) => self.scram(Hash::Sha256, false, message),
            (Mechanism::ScramSha1Plus, Some(message)) => self.scram(Hash::Sha1, true, message),
            (Mechanism::ScramSha256Plus, Some(message)) => self.scram(Hash::Sha256, true, message),
            (Mechanism::External, Some(message)) => self.external(message),
            (Mechanism::OauthBearer, Some(message)) => self.bearer(mechanism, Presented::parse(message)),
            (Mechanism::Xoauth2, Some(message)) => self.bearer(mechanism, Presented::parse_xoauth2(message)),
            (Mechanism::CramMd5, Some(_)) => Err(WrongCredentials),
        }
    }

    /// RFC 4616: whom to be, who one is, and the password, with NUL between.
    fn plain(&mut self, message: &[u8]) -> Result<Stepped, WrongCredentials> {
        let parts: Vec<_> = message.split(|&octet| octet == 0).collect();
        let (authorization, user, password) = match parts[..] {
            [authorization, user, password] => (authorization, user, password),
            // The answer takes as long as any.
            _ => (&b""[..], &b""[..], &b""[..]),
        };
        self.user = user.to_vec();
        let stepped = self.verify_password(user, password)?;
        // Nobody may be somebody else.
        let is_own = authorization.is_empty() || *prepared(authorization) == *prepared(user);
        if is_own { Ok(stepped) } else { Err(WrongCredentials) }
    }

    /// RFC 4422, appendix A: whom to be; nothing: the first whom the certificate names and who has an account.
    fn external(&mut self, message: &[u8]) -> Result<Stepped, WrongCredentials> {
        self.user = message.to_vec();
        let wanted = prepared(message);
        let is_wanted =
            |user: &&UserName| message.is_empty() || *prepared(user.as_str().as_bytes()) == *wanted;
        let mut certified = self.certified.iter().filter(|user| self.accounts.knows(user));
        let user = certified.find(is_wanted).ok_or(WrongCredentials)?;
        self.let_in(user)
    }

    /// A token, and for whom.
    fn bearer(
        &mut self,
        mechanism: Mechanism,
        presented: Option<Presented<'_>>,
    ) -> Result<Stepped, WrongCredentials> {
        let bearer = self.accounts.bearer.clone().ok_or(WrongCredentials)?;
        self.refusal = Some(bearer.refusal(mechanism).to_owned());
        let Presented { user, token } = presented.ok_or(WrongCredentials)?;
        self.user = user;
        match &bearer.check {
            TokenCheck::Keys(keys) => {
                let user = keys.user(token).ok_or(WrongCredentials)?;
                if self.user.is_empty() {
                    self.user = user.as_str().as_bytes().to_vec();
                }
                // Nobody may be somebody else.
                if *prepared(&self.user) != *user.as_str().as_bytes() {
                    return Err(WrongCredentials);
                }
                self.let_in(&user)
            }
            // Nobody's name, also where an account has it.
            TokenCheck::Program(_) if is_prohibited(&self.user) => Err(WrongCredentials),
            TokenCheck::Program(program) => {
                let account = self.accounts.account(&self.user);
                let user = account.map(|(user, _)| user.clone()).or_else(|| UserName::parse(&self.user));
                let mut asking = Asking::new(program, user.ok_or(WrongCredentials)?);
                // The program is asked all the same: the time would tell.
                asking.is_in_vain = account.is_some_and(|(_, account)| !account.switches.permit(self.from));
                self.password = Some(Secret::new(token.as_bytes()));
                Ok(Stepped::Ask(asking))
            }
        }
    }

    /// What the client is told before it is refused, which it answers with nothing that matters (RFC 7628, section 3.2.3); none:
    /// it is refused at once.
    pub(crate) fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    fn login_user(&mut self, user: &[u8]) -> Result<Stepped, WrongCredentials> {
        self.user = user.to_vec();
        self.state = State::LoginPassword;
        Ok(Stepped::Challenge(b"Password:".to_vec()))
    }

    fn verify_password(&mut self, user: &[u8], password: &[u8]) -> Result<Stepped, WrongCredentials> {
        let credentials = Credentials::Password { user: user.into(), password: password.into() };
        if let Some(asking) = self.accounts.asking(user) {
            self.password = Some(Secret::new(password));
            return Ok(Stepped::Ask(asking));
        }
        let verified = self.accounts.verify(&credentials, None, self.from)?;
        self.password = Some(Secret::new(password));
        Ok(Stepped::Verified(verified))
    }

    /// The proof was right: the account is to be used, and from there.
    fn let_in(&self, user: &UserName) -> Result<Stepped, WrongCredentials> {
        let account = self.accounts.account(user.as_str().as_bytes());
        match account.filter(|(_, account)| account.switches.permit(self.from)) {
            Some((user, _)) => Ok(Stepped::Verified(user.clone())),
            None => Err(WrongCredentials),
        }
    }

    /// RFC 2195: a challenge that comes only once.
    fn challenge(&mut self) -> Result<Stepped, WrongCredentials> {
        let mut random = [0; CHALLENGE];
        getrandom::fill(&mut random).map_err(|_| WrongCredentials)?;
        let challenge = format!("<{}@pop3d>", Base64::encode_string(&random));
        self.state = State::Digest(challenge.clone());
        Ok(Stepped::Challenge(challenge.into_bytes()))
    }

    /// The user name, a space, and the digest in hexadecimal digits.
    fn verify_digest(&mut self, challenge: &str, response: &[u8]) -> Result<Stepped, WrongCredentials> {
        let space = response.iter().rposition(|&octet| octet == b' ').unwrap_or(response.len());
        let (user, digest) = response.split_at(space);
        self.user = user.to_vec();
        let account = self.accounts.account(user);
        let secret = account.and_then(|(_, account)| Account::plain(account));
        let key = secret.unwrap_or(Secret::of_nobody()).octets();
        let mac =
            Hmac::<Md5>::new_from_slice(key).expect("a key may have any length").chain_update(challenge);
        let expected: String =
            mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        let digest = digest.get(1..).unwrap_or_default().to_ascii_lowercase();
        let is_right: bool = expected.as_bytes().ct_eq(&digest).into();
        match account {
            Some((user, _)) if is_right && secret.is_some() => self.let_in(user),
            Some(_) | None => Err(WrongCredentials),
        }
    }

    fn scram(&mut self, hash: Hash, is_bound: bool, message: &[u8]) -> Result<Stepped, WrongCredentials> {
        let channel = self.channel.take();
        let binding = match (is_bound, channel.as_deref()) {
            (true, Some(channel)) => Binding::Exporter(channel),
            (true, None) => return Err(WrongCredentials),
            (false, Some(_)) => Binding::Possible,
            (false, None) => Binding::Impossible,
        };
        let first = ClientFirst::parse(message, binding).ok_or(WrongCredentials)?;
        self.user = first.user.clone().into_bytes();
        let is_other = |other: &String| *prepared(other.as_bytes()) != *prepared(&self.user);
        if first.authorization.as_ref().is_some_and(is_other) {
            return Err(WrongCredentials);
        }
        let (keys, user) = self.accounts.keys(hash, &self.user);
        // Who may not be let in learns it at the end, as one whose proof is wrong.
        let user = user.filter(|user| self.accounts.switches(user).permit(self.from)).cloned();
        let (begun, said) = Begun::new(&first, keys, binding).map_err(|_| WrongCredentials)?;
        self.state = State::Scram(Box::new(begun), user, Arc::clone(&self.accounts));
        Ok(Stepped::Challenge(said.into_bytes()))
    }
}

#[cfg(test)]
mod tests;

//! Hashes as they are written: read, found to be hashes that a login can afford, and held against a password.

use std::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, MIN_SALT_LEN, Params, PasswordHash, PasswordVerifier, Version};
use base64ct::{Base64, Encoding};
use pbkdf2::pbkdf2_hmac;
use sha_crypt::ShaCrypt;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::super::number::number;
use super::super::scram::{self, Keys};
use super::cost::{Cost, ScryptCost, as_string};
use super::digest::{CRAM_MD5_LENGTH, Digest, cram_md5};
use super::kind::{Scheme, SchemeError};
use super::md5_crypt::{self, md5_crypt};
use super::{MEMORY_MAX, PASSES_MAX};

/// Most lanes of an Argon2 hash: they run one after the other here.
const LANES_MAX: u32 = 16;
/// Largest cost of bcrypt: about four seconds.
const BCRYPT_MAX: u32 = 16;
/// Least cost of bcrypt that there is.
const BCRYPT_MIN: u32 = 4;
/// Most memory of scrypt, in octets: it is taken in one piece, and without it there is no going on.
const SCRYPT_MEMORY_MAX: u64 = 256 << 20;
/// Most passes of scrypt over its memory.
const SCRYPT_LANES_MAX: u32 = 16;
/// Most rounds of SHA-crypt.
const SHA_CRYPT_MAX: u32 = 2_000_000;
/// Most rounds of PBKDF2.
const PBKDF2_MAX: u32 = 10_000_000;
/// Longest salt of PBKDF2, SCRAM and a digest in octets.
const SALT_MAX: usize = 64;

/// What of a hash is needed to hold a password against it.
pub(super) enum Form {
    Argon2(Box<PasswordHash>),
    Bcrypt(Box<str>),
    Scrypt { salt: Box<[u8]>, cost: ScryptCost, hash: Box<[u8]> },
    ShaCrypt(Box<str>),
    Pbkdf2 { salt: Box<[u8]>, rounds: u32, key: [u8; 20] },
    Scram(Keys),
    Md5Crypt { salt: Box<[u8]>, hash: Box<str> },
    CramMd5([u8; CRAM_MD5_LENGTH]),
    Digest { digest: Digest, expected: Box<[u8]>, salt: Box<[u8]> },
}

impl Form {
    /// Reads a hash of a scheme, and what it costs.
    pub(super) fn parse(scheme: Scheme, text: &str) -> Result<(Self, Cost), SchemeError> {
        let bad = SchemeError::BadHash(scheme);
        let parsed = match scheme {
            Scheme::Argon2id => argon2(Algorithm::Argon2id, text),
            Scheme::Argon2i => argon2(Algorithm::Argon2i, text),
            Scheme::Bcrypt => bcrypt(text),
            Scheme::Scrypt => scrypt(text),
            Scheme::Sha256Crypt => {
                sha_crypt(text, "$5$", 43).map(|(it, rounds, salt)| (it, Cost::Sha256Crypt(rounds, salt)))
            }
            Scheme::Sha512Crypt => {
                sha_crypt(text, "$6$", 86).map(|(it, rounds, salt)| (it, Cost::Sha512Crypt(rounds, salt)))
            }
            Scheme::Pbkdf2 => pbkdf2(text),
            Scheme::ScramSha256 => scram(scram::Hash::Sha256, text),
            Scheme::ScramSha1 => scram(scram::Hash::Sha1, text),
            Scheme::Md5Crypt => md5_crypt_of(text),
            Scheme::CramMd5 => cram_md5_of(text),
            Scheme::Digest(digest) => digest_of(digest, text, 0..=0),
            Scheme::SaltedDigest(digest) => digest_of(digest, text, 1..=SALT_MAX),
        };
        let (form, cost) = parsed.ok_or(bad)?;
        let is_bounded = match &cost {
            Cost::Argon2(_, params) => {
                params.m_cost() <= MEMORY_MAX && params.t_cost() <= PASSES_MAX && params.p_cost() <= LANES_MAX
            }
            Cost::Bcrypt(cost) => *cost <= BCRYPT_MAX,
            Cost::Scrypt(ScryptCost { log_n, r, p }) => {
                // Of 2 to the power of `log_n` blocks, each of 128 times `r` octets (RFC 7914, section 5).
                let memory =
                    128_u64.checked_mul(u64::from(*r)).and_then(|block| block.checked_shl((*log_n).into()));
                *log_n < 32
                    && memory.is_some_and(|memory| memory <= SCRYPT_MEMORY_MAX)
                    && *p <= SCRYPT_LANES_MAX
            }
            Cost::Sha256Crypt(rounds, _) | Cost::Sha512Crypt(rounds, _) => *rounds <= SHA_CRYPT_MAX,
            Cost::Pbkdf2(rounds) | Cost::Scram(_, rounds) => *rounds <= PBKDF2_MAX,
            Cost::Md5Crypt | Cost::CramMd5 | Cost::Digest(_) => true,
        };
        if is_bounded { Ok((form, cost)) } else { Err(SchemeError::TooCostly(scheme)) }
    }

    /// Whether it is the hash of that password. Takes long.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        // Where the password cannot be, a hash is made all the same: the time of a refusal tells nothing.
        let string = as_string(password);
        let text = string.unwrap_or_default();
        let is_of = match self {
            Self::Argon2(hash) => return Argon2::default().verify_password(password, hash.as_ref()).is_ok(),
            Self::Bcrypt(hash) => bcrypt::verify(text, hash).unwrap_or(false),
            Self::Scrypt { salt, cost, hash } => {
                let mut found = vec![0; hash.len()];
                let params = cost.params();
                let is_found = params.is_some_and(|it| scrypt::scrypt(text, salt, &it, &mut found).is_ok());
                is_found & bool::from(found.ct_eq(hash))
            }
            Self::ShaCrypt(hash) => ShaCrypt::default().verify_password(text, hash.as_ref()).is_ok(),
            Self::Pbkdf2 { salt, rounds, key } => {
                let mut found = [0; 20];
                pbkdf2_hmac::<Sha1>(text, salt, *rounds, &mut found);
                found.ct_eq(key).into()
            }
            Self::Scram(keys) => keys.are_of(text),
            Self::Md5Crypt { salt, hash } => md5_crypt(text, salt).as_bytes().ct_eq(hash.as_bytes()).into(),
            Self::CramMd5(expected) => cram_md5(text).ct_eq(expected).into(),
            Self::Digest { digest, expected, salt } => digest.of(text, salt).ct_eq(expected).into(),
        };
        is_of && string.is_some()
    }

    /// The keys of SCRAM, where these are some.
    pub(super) fn keys(&self) -> Option<&Keys> {
        match self {
            Self::Scram(keys) => Some(keys),
            Self::Argon2(_)
            | Self::Bcrypt(_)
            | Self::Scrypt { .. }
            | Self::ShaCrypt(_)
            | Self::Pbkdf2 { .. }
            | Self::Md5Crypt { .. }
            | Self::CramMd5(_)
            | Self::Digest { .. } => None,
        }
    }
}

fn argon2(algorithm: Algorithm, text: &str) -> Option<(Form, Cost)> {
    let hash = PasswordHash::new(text).ok()?;
    let is_algorithm = hash.algorithm.as_str() == algorithm.as_str();
    let is_version = hash.version.is_none_or(|version| Version::try_from(version).is_ok());
    let is_salted = hash.salt.is_some_and(|salt| salt.len() >= MIN_SALT_LEN);
    if !(is_algorithm && is_version && is_salted && hash.hash.is_some()) {
        return None;
    }
    let params = Params::try_from(&hash).ok()?;
    // With the length of this hash, one that is made for nothing would not be made, and cost nothing.
    let params = Params::new(params.m_cost(), params.t_cost(), params.p_cost(), None).ok()?;
    Some((Form::Argon2(Box::new(hash)), Cost::Argon2(algorithm, params)))
}

fn bcrypt(text: &str) -> Option<(Form, Cost)> {
    // `$2x$` is of a program that hashed 8-bit characters wrongly.
    Scheme::of_crypt(text).filter(|&scheme| scheme == Scheme::Bcrypt)?;
    let cost = text.parse::<bcrypt::HashParts>().ok()?.get_cost();
    // What the library takes for a number, and bcrypt has no form for.
    let is_number = text.get(4..6)?.bytes().all(|octet| octet.is_ascii_digit());
    (cost >= BCRYPT_MIN && is_number).then(|| (Form::Bcrypt(text.into()), Cost::Bcrypt(cost)))
}

fn scrypt(text: &str) -> Option<(Form, Cost)> {
    let parsed = PasswordHash::new(text).ok()?;
    if parsed.algorithm.as_str() != "scrypt" || parsed.version.is_some() {
        return None;
    }
    let param = |name| parsed.params.get_decimal(name);
    let cost = ScryptCost { log_n: u8::try_from(param("ln")?).ok()?, r: param("r")?, p: param("p")? };
    let (salt, hash) = (parsed.salt?.as_ref().into(), parsed.hash?.as_bytes().into());
    // Parameters that cannot be are told from those that cost too much.
    let can_be = cost.log_n >= 1 && cost.r >= 1 && cost.p >= 1;
    can_be.then_some((Form::Scrypt { salt, cost, hash }, Cost::Scrypt(cost)))
}

/// The form, the rounds, and the octets of the salt.
fn sha_crypt(text: &str, prefix: &str, length: usize) -> Option<(Form, u32, usize)> {
    const DEFAULT_ROUNDS: u32 = 5000;
    let rest = text.strip_prefix(prefix)?;
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$')?;
            (number(rounds)?, rest)
        }
        None => (DEFAULT_ROUNDS, rest),
    };
    let (salt, hash) = rest.split_once('$')?;
    let is_hash = hash.len() == length && hash.bytes().all(is_crypt_digit);
    let can_be = salt.len() <= 16 && is_hash && rounds >= sha_crypt::Params::ROUNDS_MIN;
    // One that holds for no password at all was not read as it was meant.
    sha_crypt::PasswordHashRef::new(text).ok().filter(|_| can_be)?;
    Some((Form::ShaCrypt(text.into()), rounds, salt.len()))
}

/// Whether crypt(3) writes hashes with it.
fn is_crypt_digit(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"./".contains(&octet)
}

/// As Dovecot writes it: the salt is used as its characters stand.
fn pbkdf2(text: &str) -> Option<(Form, Cost)> {
    let mut parts = text.strip_prefix("$1$")?.split('$');
    let (salt, rounds, hash) = (parts.next()?, number(parts.next()?)?, parts.next()?);
    if parts.next().is_some() || rounds == 0 || !(1..=SALT_MAX).contains(&salt.len()) {
        return None;
    }
    let key = super::hex(hash.as_bytes())?.try_into().ok()?;
    Some((Form::Pbkdf2 { salt: salt.as_bytes().into(), rounds, key }, Cost::Pbkdf2(rounds)))
}

fn scram(hash: scram::Hash, text: &str) -> Option<(Form, Cost)> {
    let keys = Keys::parse(hash, text).filter(|keys| (1..=SALT_MAX).contains(&keys.salt().len()))?;
    let cost = Cost::Scram(hash, keys.iterations());
    Some((Form::Scram(keys), cost))
}

fn md5_crypt_of(text: &str) -> Option<(Form, Cost)> {
    let (salt, hash) = text.strip_prefix("$1$")?.split_once('$')?;
    let is_hash = hash.len() == md5_crypt::LENGTH && hash.bytes().all(is_crypt_digit);
    let form = Form::Md5Crypt { salt: salt.as_bytes().into(), hash: hash.into() };
    (salt.len() <= md5_crypt::SALT_MAX && is_hash).then_some((form, Cost::Md5Crypt))
}

fn cram_md5_of(text: &str) -> Option<(Form, Cost)> {
    let both = Base64::decode_vec(text).ok()?.try_into().ok()?;
    Some((Form::CramMd5(both), Cost::CramMd5))
}

/// The digest, and the salt behind it, which has so many octets.
fn digest_of(digest: Digest, text: &str, salted: RangeInclusive<usize>) -> Option<(Form, Cost)> {
    let octets = Base64::decode_vec(text).ok()?;
    let (expected, salt) = octets.split_at_checked(digest.length())?;
    let form = Form::Digest { digest, expected: expected.into(), salt: salt.into() };
    salted.contains(&salt.len()).then_some((form, Cost::Digest(digest)))
}

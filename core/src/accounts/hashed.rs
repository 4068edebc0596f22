//! Hashes of passwords: made, read, written, and held against a password.

mod cost;
mod digest;
mod form;
mod kind;
mod md5_crypt;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, MIN_SALT_LEN, Params, PasswordHasher, Version};
use base64ct::{Base64, Encoding};
use sha_crypt::CustomizedPasswordHasher as _;
use zeroize::Zeroize;

pub(super) use self::cost::Cost;
use self::form::Form;
use self::kind::Written;
pub use self::kind::{Digest, Scheme, SchemeError};
use super::scram::{self, Keys};
use super::secret::Secret;

/// Most memory of one Argon2 hash, in KiB: every login at once takes as much, and one that failed too.
const MEMORY_MAX: u32 = 1 << 20;
/// Most passes of one Argon2 hash.
const PASSES_MAX: u32 = 64;

/// Memory in KiB of a hash that is made here. These costs are what OWASP's Password Storage Cheat Sheet names first.
const MEMORY: u32 = 19 * 1024;
/// Passes of a hash that is made here.
const PASSES: u32 = 2;
/// Lanes of a hash that is made here.
const LANES: u32 = 1;
/// Octets of the salt of a hash that is made here (RFC 9106, section 3.1).
const SALT_LENGTH: usize = 16;
const _: () = assert!(MEMORY <= MEMORY_MAX && PASSES <= PASSES_MAX, "what is made here must be taken");
const _: () = assert!(SALT_LENGTH >= MIN_SALT_LEN, "the same of its salt");

/// Cost of a bcrypt hash that is made here.
const BCRYPT: u32 = 12;
/// Rounds of a SHA-crypt hash that is made here.
const SHA_CRYPT: u32 = 500_000;
/// A hash of a password. Cheap to clone; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Hashed(Arc<Parts>);

struct Parts {
    scheme: Scheme,
    /// As it stands behind the scheme.
    text: Box<str>,
    form: Form,
    cost: Cost,
}

/// Hashes a password with a salt of its own, by argon2id. Takes long, and much memory: called in the pool.
///
/// # Errors
/// Where there is no memory for it, or the system gives no random octets.
pub fn hash(password: &[u8]) -> io::Result<Hashed> {
    hash_by(Scheme::Argon2id, password)
}

/// Hashes a password with a salt of its own, by a scheme. Takes long, and much memory.
///
/// # Errors
/// Where there is no memory for it, the system gives no random octets, or the scheme cannot keep that password.
pub fn hash_by(scheme: Scheme, password: &[u8]) -> io::Result<Hashed> {
    let mut salt = [0; SALT_LENGTH];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    let is_argon2 = matches!(scheme, Scheme::Argon2id | Scheme::Argon2i);
    if !is_argon2 && cost::as_string(password).is_none() {
        return Err(io::Error::other("this scheme takes passwords of at most 512 octets without NUL"));
    }
    if scheme == Scheme::Bcrypt && password.len() > BCRYPT_OCTETS {
        return Err(io::Error::other(
            "bcrypt knows the first 72 octets of a password only; take another scheme",
        ));
    }
    let text = match scheme {
        Scheme::Argon2id => argon2(Algorithm::Argon2id, password, &salt)?,
        Scheme::Argon2i => argon2(Algorithm::Argon2i, password, &salt)?,
        Scheme::Bcrypt => {
            let parts = bcrypt::hash_with_salt(password, BCRYPT, salt);
            let parts = parts.map_err(|error| io::Error::other(error.to_string()))?;
            parts.format_for_version(bcrypt::Version::TwoY)
        }
        Scheme::Scrypt => scrypt(password, &salt)?,
        Scheme::Sha256Crypt => sha_crypt(sha_crypt::Algorithm::Sha256Crypt, password, &salt)?,
        Scheme::Sha512Crypt => sha_crypt(sha_crypt::Algorithm::Sha512Crypt, password, &salt)?,
        Scheme::Pbkdf2 | Scheme::Md5Crypt | Scheme::CramMd5 | Scheme::Digest(_) | Scheme::SaltedDigest(_) => {
            let what = format!("hashes of {} are read, not made; take another scheme", scheme.as_str());
            return Err(io::Error::other(what));
        }
        Scheme::ScramSha256 => Keys::derive(scram::Hash::Sha256, password, &salt, scram::ITERATIONS).text(),
        Scheme::ScramSha1 => Keys::derive(scram::Hash::Sha1, password, &salt, scram::ITERATIONS).text(),
    };
    Hashed::of(scheme, &text).map_err(io::Error::other)
}

/// As much of a password as bcrypt looks at.
const BCRYPT_OCTETS: usize = 72;

fn argon2(algorithm: Algorithm, password: &[u8], salt: &[u8]) -> io::Result<String> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(io::Error::other)?;
    let argon2 = Argon2::new(algorithm, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password, salt).map_err(io::Error::other)?;
    Ok(hash.to_string())
}

fn scrypt(password: &[u8], salt: &[u8]) -> io::Result<String> {
    let (params, mut hash) = (scrypt::Params::RECOMMENDED, [0; scrypt::Params::RECOMMENDED_LEN]);
    scrypt::scrypt(password, salt, &params, &mut hash).map_err(io::Error::other)?;
    let (salt, hash) =
        (base64ct::Base64Unpadded::encode_string(salt), base64ct::Base64Unpadded::encode_string(&hash));
    Ok(format!("$scrypt$ln={},r={},p={}${salt}${hash}", params.log_n(), params.r(), params.p()))
}

fn sha_crypt(algorithm: sha_crypt::Algorithm, password: &[u8], salt: &[u8]) -> io::Result<String> {
    let params = sha_crypt::Params::new(SHA_CRYPT).map_err(io::Error::other)?;
    // Of the salt's characters, 16 count: those of 12 octets.
    let salt = salt.get(..12).unwrap_or(salt);
    let hash = sha_crypt::ShaCrypt::new(algorithm, params)
        .hash_password_customized(password, salt, None, None, params);
    Ok(hash.map_err(io::Error::other)?.as_str().to_owned())
}

impl Hashed {
    /// Reads `{SCHEME}` and a hash of that scheme, or a hash of crypt(3) that says by itself what it is (`$6$...`). One that no
    /// password could be held against is found here.
    ///
    /// # Errors
    /// Where the scheme is not known, or what follows is no hash of it, or one that takes too much memory or time.
    pub fn parse(stored: &[u8]) -> Result<Self, SchemeError> {
        if stored.starts_with(b"$") {
            return Self::of_crypt(stored);
        }
        let (scheme, secret) = split_scheme(stored).ok_or(SchemeError::UnknownScheme)?;
        Self::of_named(&decoded(scheme, secret)?)
    }

    /// Reads a hash behind the name of its scheme.
    pub(super) fn of_named(stored: &Decoded<'_>) -> Result<Self, SchemeError> {
        if stored.scheme.eq_ignore_ascii_case(b"CRYPT") {
            return Self::of_crypt(&stored.secret);
        }
        let mut scheme = Scheme::parse(stored.scheme).ok_or(SchemeError::UnknownScheme)?;
        if scheme == Scheme::Md5Crypt && !stored.secret.starts_with(b"$") {
            // By both names of it Dovecot takes a digest too.
            scheme = Scheme::Digest(Digest::Md5);
        }
        let bad = SchemeError::BadHash(scheme);
        match scheme.written() {
            Written::AsText => {
                Self::of(scheme, std::str::from_utf8(stored.secret.trim_ascii()).map_err(|_| bad)?)
            }
            Written::AsOctets(length) => {
                Self::of(scheme, &Base64::encode_string(&stored.octets(length).ok_or(bad)?))
            }
        }
    }

    fn of_crypt(hash: &[u8]) -> Result<Self, SchemeError> {
        let text = std::str::from_utf8(hash.trim_ascii()).map_err(|_| SchemeError::UnknownCrypt)?;
        Self::of(Scheme::of_crypt(text).ok_or(SchemeError::UnknownCrypt)?, text)
    }

    fn of(scheme: Scheme, text: &str) -> Result<Self, SchemeError> {
        let (form, cost) = Form::parse(scheme, text)?;
        Ok(Self(Arc::new(Parts { scheme, text: text.into(), form, cost })))
    }

    /// The form in which an accounts file keeps it, `{ARGON2ID}$argon2id$...`; [`Hashed::parse`] reads it.
    #[must_use]
    pub fn stored(&self) -> String {
        format!("{{{}}}{}", self.0.scheme.as_str(), self.0.text)
    }

    /// By which scheme it is.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// Whether it is to be made anew: all but argon2id of the costs of what [`hash`] makes, and keys of SCRAM.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match (&self.0.cost, &self.0.form) {
            (Cost::Argon2(Algorithm::Argon2id, params), _) => {
                params.m_cost() < MEMORY || params.t_cost() < PASSES
            }
            // Other logins than those by the password need the keys.
            (_, Form::Scram(_)) => false,
            _ => true,
        }
    }

    /// Whether it is the hash of that password. Takes long.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        self.0.form.verify(password)
    }

    /// What it costs.
    pub(super) fn cost(&self) -> &Cost {
        &self.0.cost
    }

    /// The keys of SCRAM, where these are some.
    pub(super) fn keys(&self) -> Option<&Keys> {
        self.0.form.keys()
    }
}

impl PartialEq for Hashed {
    fn eq(&self, other: &Self) -> bool {
        self.0.scheme == other.0.scheme && self.0.text == other.0.text
    }
}

impl Eq for Hashed {}

impl fmt::Debug for Hashed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hashed")
    }
}

/// Whether `{SCHEME}secret` has the password itself in it, not a hash of it.
#[must_use]
pub fn tells_password(stored: &[u8]) -> bool {
    let name =
        split_scheme(stored).map(|(scheme, _)| scheme.split(|&octet| octet == b'.').next().unwrap_or(scheme));
    name.is_none_or(is_plain)
}

/// The password that stands in `{SCHEME}secret`; none: a hash does, or it cannot be read.
#[must_use]
pub fn told_password(stored: &[u8]) -> Option<Secret> {
    let (scheme, secret) = split_scheme(stored)?;
    let decoded = decoded(scheme, secret).ok().filter(|decoded| is_plain(decoded.scheme))?;
    let told = Secret::new(&decoded.secret);
    if let Cow::Owned(mut octets) = decoded.secret {
        octets.zeroize();
    }
    Some(told)
}

/// Whether it is the name of a scheme that keeps the password itself.
pub(super) fn is_plain(scheme: &[u8]) -> bool {
    [&b"PLAIN"[..], b"CLEARTEXT", b"CLEAR"].iter().any(|name| scheme.eq_ignore_ascii_case(name))
}

/// Splits `{SCHEME}secret`.
pub(super) fn split_scheme(stored: &[u8]) -> Option<(&[u8], &[u8])> {
    let stored = stored.strip_prefix(b"{")?;
    let end = stored.iter().position(|&octet| octet == b'}')?;
    let (scheme, rest) = stored.split_at_checked(end)?;
    Some((scheme, rest.get(1..)?))
}

/// The name of a scheme, and its secret without what `.b64`, `.base64` or `.hex` behind the name says of it.
pub(super) struct Decoded<'a> {
    pub(super) scheme: &'a [u8],
    pub(super) secret: Cow<'a, [u8]>,
    /// Whether the name said how it was encoded.
    is_named: bool,
}

impl Decoded<'_> {
    /// The octets of a digest, which stand in base64 unless the name said otherwise, or, where they have this length, in
    /// hexadecimal digits.
    fn octets(&self, length: Option<usize>) -> Option<Cow<'_, [u8]>> {
        if self.is_named {
            return Some((&*self.secret).into());
        }
        let text = self.secret.trim_ascii();
        if length.is_some_and(|length| text.len() == 2 * length) {
            return hex(text).map(Cow::Owned);
        }
        Base64::decode_vec(std::str::from_utf8(text).ok()?).ok().map(Cow::Owned)
    }
}

/// Reads the name of a scheme, and what stands behind it.
pub(super) fn decoded<'a>(scheme: &'a [u8], secret: &'a [u8]) -> Result<Decoded<'a>, SchemeError> {
    let Some(dot) = scheme.iter().position(|&octet| octet == b'.') else {
        return Ok(Decoded { scheme, secret: secret.into(), is_named: false });
    };
    let (scheme, encoding) = (scheme.get(..dot).unwrap_or_default(), scheme.get(dot..).unwrap_or_default());
    let text = secret.trim_ascii();
    let octets = match encoding.to_ascii_lowercase().as_slice() {
        b".b64" | b".base64" => std::str::from_utf8(text).ok().and_then(|text| Base64::decode_vec(text).ok()),
        b".hex" => hex(text),
        _ => return Err(SchemeError::UnknownScheme),
    };
    Ok(Decoded { scheme, secret: octets.ok_or(SchemeError::BadEncoding)?.into(), is_named: true })
}

/// Octets from hexadecimal digits.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

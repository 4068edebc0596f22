//! What it costs to hold a password against a hash, and the spending of it.

use std::hint::black_box;

use argon2::{Algorithm, Argon2, Params, Version};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;

use super::super::scram;
use super::digest::{Digest, cram_md5};
use super::md5_crypt::{self, md5_crypt};

/// Longest password that a scheme of strings takes, in octets: no crypt(3) hashes a longer one (libxcrypt's
/// `CRYPT_MAX_PASSPHRASE_SIZE`), and the time of some grows with it.
const STRING_MAX: usize = 512;

/// A salt for what is hashed for nothing.
pub(in super::super) type Salt = [u8; 16];

/// What one hash costs: equal costs take equal time.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Cost {
    Argon2(Algorithm, Params),
    /// Two to that power rounds.
    Bcrypt(u32),
    Scrypt(ScryptCost),
    /// Rounds, and the octets of the salt, which most rounds hash.
    Sha256Crypt(u32, usize),
    Sha512Crypt(u32, usize),
    Pbkdf2(u32),
    Scram(scram::Hash, u32),
    Md5Crypt,
    CramMd5,
    Digest(Digest),
}

/// What scrypt costs (RFC 7914, section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct ScryptCost {
    pub(super) log_n: u8,
    pub(super) r: u32,
    pub(super) p: u32,
}

impl ScryptCost {
    /// The parameters; none: they cannot be.
    pub(super) fn params(self) -> Option<scrypt::Params> {
        scrypt::Params::new(self.log_n, self.r, self.p).ok()
    }
}

/// A password as the schemes of strings take it: without NUL, which ends a string, and which HMAC cannot tell from
/// nothing at its end; and not too long. Another one is the password of nobody.
pub(super) fn as_string(password: &[u8]) -> Option<&[u8]> {
    (password.len() <= STRING_MAX && !password.contains(&0)).then_some(password)
}

impl Cost {
    /// Hashes a password for nothing, so that a login without a hash to be held against costs as much. Says whether it
    /// could: without the memory for it, a true login fails as well. SHA-crypt hashes the salt so often as a digest of password and
    /// salt says, so that names have salts of their own as accounts do.
    pub(in super::super) fn spend(&self, password: &[u8], salt: &Salt) -> bool {
        let string = as_string(password).unwrap_or_default();
        match self {
            Self::Argon2(algorithm, params) => {
                let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
                let argon2 = Argon2::new(*algorithm, Version::default(), params.clone());
                let is_spent = argon2.hash_password_into(password, salt, &mut hash).is_ok();
                black_box(hash);
                is_spent
            }
            Self::Bcrypt(cost) => black_box(bcrypt::hash_with_salt(string, *cost, *salt)).is_ok(),
            Self::Scrypt(cost) => {
                let mut hash = [0; 32];
                let is_spent =
                    cost.params().is_some_and(|it| scrypt::scrypt(string, salt, &it, &mut hash).is_ok());
                black_box(hash);
                is_spent
            }
            Self::Sha256Crypt(rounds, length) => sha_crypt::Params::new(*rounds).is_ok_and(|params| {
                black_box(sha_crypt::sha256_crypt(string, salt.get(..*length).unwrap_or(salt), params));
                true
            }),
            Self::Sha512Crypt(rounds, length) => sha_crypt::Params::new(*rounds).is_ok_and(|params| {
                black_box(sha_crypt::sha512_crypt(string, salt.get(..*length).unwrap_or(salt), params));
                true
            }),
            Self::Pbkdf2(rounds) => {
                let mut key = [0; 20];
                pbkdf2_hmac::<Sha1>(string, salt, *rounds, &mut key);
                black_box(key);
                true
            }
            Self::Scram(hash, rounds) => {
                black_box(scram::Keys::derive(*hash, string, salt, *rounds));
                true
            }
            Self::Md5Crypt => {
                black_box(md5_crypt(string, salt.get(..md5_crypt::SALT_MAX).unwrap_or(salt)));
                true
            }
            Self::CramMd5 => {
                black_box(cram_md5(string));
                true
            }
            Self::Digest(digest) => {
                black_box(digest.of(string, salt));
                true
            }
        }
    }
}

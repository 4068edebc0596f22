//! The schemes of hashes: how each is named in an accounts file, and what its hashes look like.

use std::fmt;

/// A scheme by which a password is hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `{ARGON2ID}` (RFC 9106), the default.
    Argon2id,
    /// `{ARGON2I}`.
    Argon2i,
    /// `{BLF-CRYPT}`, bcrypt.
    Bcrypt,
    /// `{SCRYPT}` (RFC 7914).
    Scrypt,
    /// `{SHA256-CRYPT}`, crypt(3)'s `$5$`.
    Sha256Crypt,
    /// `{SHA512-CRYPT}`, crypt(3)'s `$6$`.
    Sha512Crypt,
    /// `{PBKDF2}`, with SHA-1, in the form of Dovecot.
    Pbkdf2,
    /// `{SCRAM-SHA-256}`: the keys of RFC 5802 with the hash of RFC 7677.
    ScramSha256,
    /// `{SCRAM-SHA-1}`: the keys of RFC 5802.
    ScramSha1,
}

impl Scheme {
    /// All there are, the default first.
    pub const ALL: [Self; 9] = [
        Self::Argon2id,
        Self::Argon2i,
        Self::Bcrypt,
        Self::Scrypt,
        Self::Sha256Crypt,
        Self::Sha512Crypt,
        Self::Pbkdf2,
        Self::ScramSha256,
        Self::ScramSha1,
    ];

    /// The name that stands between braces, as it is written here.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Argon2id => "ARGON2ID",
            Self::Argon2i => "ARGON2I",
            Self::Bcrypt => "BLF-CRYPT",
            Self::Scrypt => "SCRYPT",
            Self::Sha256Crypt => "SHA256-CRYPT",
            Self::Sha512Crypt => "SHA512-CRYPT",
            Self::Pbkdf2 => "PBKDF2",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
        }
    }

    /// Reads a name, in upper or lower case.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"BCRYPT") {
            return Some(Self::Bcrypt);
        }
        Self::ALL.into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }

    /// The scheme that a hash of crypt(3) tells by how it begins.
    pub(super) fn of_crypt(hash: &str) -> Option<Self> {
        let (id, _) = hash.strip_prefix('$')?.split_once('$')?;
        match id {
            "5" => Some(Self::Sha256Crypt),
            "6" => Some(Self::Sha512Crypt),
            "2a" | "2b" | "2y" => Some(Self::Bcrypt),
            "argon2id" => Some(Self::Argon2id),
            "argon2i" => Some(Self::Argon2i),
            "scrypt" => Some(Self::Scrypt),
            _ => None,
        }
    }

    /// What its hashes look like, for who wrote one that does not.
    fn form(self) -> &'static str {
        match self {
            Self::Argon2id => "$argon2id$v=19$m=19456,t=2,p=1$salt$hash, with a salt of 8 octets or more",
            Self::Argon2i => "$argon2i$v=19$m=19456,t=2,p=1$salt$hash, with a salt of 8 octets or more",
            Self::Bcrypt => "$2y$12$ and 53 characters",
            Self::Scrypt => "$scrypt$ln=17,r=8,p=1$salt$hash",
            Self::Sha256Crypt => "$5$salt$hash or $5$rounds=5000$salt$hash",
            Self::Sha512Crypt => "$6$salt$hash or $6$rounds=5000$salt$hash",
            Self::Pbkdf2 => "$1$salt$rounds$hash, the hash in 40 hexadecimal digits",
            Self::ScramSha256 | Self::ScramSha1 => {
                "4096,salt,StoredKey,ServerKey, the last three in base64, with 4096 rounds or more"
            }
        }
    }

    /// The most that a login may cost by it.
    fn bounds(self) -> &'static str {
        match self {
            Self::Argon2id | Self::Argon2i => "at most m=1048576, t=64 and p=16",
            Self::Bcrypt => "at most a cost of 16",
            Self::Scrypt => "at most 256 MiB of memory (ln=18,r=8) and p=16",
            Self::Sha256Crypt | Self::Sha512Crypt => "at most rounds=2000000",
            Self::Pbkdf2 | Self::ScramSha256 | Self::ScramSha1 => "at most 10000000 rounds",
        }
    }
}

/// Why a secret cannot be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SchemeError {
    /// The scheme between braces is none of those that are known.
    UnknownScheme,
    /// What follows `{CRYPT}` is the hash of none of those that are known.
    UnknownCrypt,
    /// What follows the scheme is not a hash of that scheme.
    BadHash(Scheme),
    /// The hash takes more memory or time than a login may.
    TooCostly(Scheme),
    /// What follows a scheme with `.b64` or `.hex` is not encoded so.
    BadEncoding,
}

impl fmt::Display for SchemeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownScheme => {
                formatter
                    .write_str("unknown scheme; write {PLAIN} and a password, or a hash behind one of")?;
                for scheme in Scheme::ALL {
                    write!(formatter, " {{{}}}", scheme.as_str())?;
                }
                formatter.write_str(" {CRYPT}")
            }
            Self::UnknownCrypt => formatter.write_str(
                "unknown hash behind {CRYPT}; those that begin with $5$, $6$, $2a$, $2b$, $2y$, $argon2id$, \
                 $argon2i$ or $scrypt$ are understood",
            ),
            Self::BadHash(scheme) => {
                write!(formatter, "no hash of {{{}}}; it has the form {}", scheme.as_str(), scheme.form())
            }
            Self::TooCostly(scheme) => {
                write!(formatter, "that hash is too costly for a login; {}", scheme.bounds())
            }
            Self::BadEncoding => {
                formatter.write_str("not encoded as the scheme says; .b64 is base64, .hex hexadecimal digits")
            }
        }
    }
}

impl std::error::Error for SchemeError {}

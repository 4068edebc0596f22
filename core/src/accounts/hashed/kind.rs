//! The schemes of hashes: how each is named in an accounts file, and what its hashes look like.

use std::fmt;

use super::digest::CRAM_MD5_LENGTH;
pub use super::digest::Digest;

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
    /// `{MD5-CRYPT}`, crypt(3)'s `$1$`.
    Md5Crypt,
    /// `{CRAM-MD5}`: HMAC's keys, in the form of Dovecot.
    CramMd5,
    /// `{PLAIN-MD5}`, `{SHA}`, `{SHA256}`, `{SHA512}`.
    Digest(Digest),
    /// `{SMD5}`, `{SSHA}`, `{SSHA256}`, `{SSHA512}`: the digest of the password and a salt, and the salt.
    SaltedDigest(Digest),
}

impl Scheme {
    /// All there are, the default first.
    pub const ALL: [Self; 19] = [
        Self::Argon2id,
        Self::Argon2i,
        Self::Bcrypt,
        Self::Scrypt,
        Self::Sha256Crypt,
        Self::Sha512Crypt,
        Self::Pbkdf2,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Md5Crypt,
        Self::CramMd5,
        Self::Digest(Digest::Md5),
        Self::Digest(Digest::Sha1),
        Self::Digest(Digest::Sha256),
        Self::Digest(Digest::Sha512),
        Self::SaltedDigest(Digest::Md5),
        Self::SaltedDigest(Digest::Sha1),
        Self::SaltedDigest(Digest::Sha256),
        Self::SaltedDigest(Digest::Sha512),
    ];

    /// Those by which hashes are made here, the default first. By the others they are read: such files are brought along.
    pub fn made() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|scheme| scheme.is_made())
    }

    /// Whether hashes are made by it here.
    #[must_use]
    pub fn is_made(self) -> bool {
        match self {
            Self::Argon2id
            | Self::Argon2i
            | Self::Bcrypt
            | Self::Scrypt
            | Self::Sha256Crypt
            | Self::Sha512Crypt
            | Self::ScramSha256
            | Self::ScramSha1 => true,
            Self::Pbkdf2 | Self::Md5Crypt | Self::CramMd5 | Self::Digest(_) | Self::SaltedDigest(_) => false,
        }
    }

    /// How its hashes are written.
    pub(super) fn written(self) -> Written {
        match self {
            Self::Argon2id
            | Self::Argon2i
            | Self::Bcrypt
            | Self::Scrypt
            | Self::Sha256Crypt
            | Self::Sha512Crypt
            | Self::Pbkdf2
            | Self::ScramSha256
            | Self::ScramSha1
            | Self::Md5Crypt => Written::AsText,
            Self::CramMd5 => Written::AsOctets(Some(CRAM_MD5_LENGTH)),
            Self::Digest(digest) => Written::AsOctets(Some(digest.length())),
            Self::SaltedDigest(_) => Written::AsOctets(None),
        }
    }

    /// Whether who has the hash finds a usual password out in no time.
    #[must_use]
    pub fn is_guessed_fast(self) -> bool {
        matches!(self, Self::Md5Crypt | Self::CramMd5 | Self::Digest(_) | Self::SaltedDigest(_))
    }

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
            Self::Md5Crypt => "MD5-CRYPT",
            Self::CramMd5 => "CRAM-MD5",
            Self::Digest(Digest::Md5) => "PLAIN-MD5",
            Self::Digest(Digest::Sha1) => "SHA",
            Self::Digest(Digest::Sha256) => "SHA256",
            Self::Digest(Digest::Sha512) => "SHA512",
            Self::SaltedDigest(Digest::Md5) => "SMD5",
            Self::SaltedDigest(Digest::Sha1) => "SSHA",
            Self::SaltedDigest(Digest::Sha256) => "SSHA256",
            Self::SaltedDigest(Digest::Sha512) => "SSHA512",
        }
    }

    /// Reads a name, in upper or lower case.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let other_names = [
            (&b"BCRYPT"[..], Self::Bcrypt),
            (b"MD5", Self::Md5Crypt),
            (b"HMAC-MD5", Self::CramMd5),
            (b"LDAP-MD5", Self::Digest(Digest::Md5)),
            (b"SHA1", Self::Digest(Digest::Sha1)),
        ];
        let other = other_names.into_iter().find(|(other, _)| name.eq_ignore_ascii_case(other));
        other.map(|(_, scheme)| scheme).or_else(|| {
            Self::ALL.into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
        })
    }

    /// The scheme that a hash of crypt(3) tells by how it begins.
    pub(super) fn of_crypt(hash: &str) -> Option<Self> {
        let (id, _) = hash.strip_prefix('$')?.split_once('$')?;
        match id {
            "1" => Some(Self::Md5Crypt),
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
            Self::Md5Crypt => "$1$salt$ and 22 characters, the salt of at most 8",
            Self::CramMd5 => "64 hexadecimal digits",
            Self::Digest(Digest::Md5) => "16 octets in base64, or as 32 hexadecimal digits",
            Self::Digest(Digest::Sha1) => "20 octets in base64, or as 40 hexadecimal digits",
            Self::Digest(Digest::Sha256) => "32 octets in base64, or as 64 hexadecimal digits",
            Self::Digest(Digest::Sha512) => "64 octets in base64, or as 128 hexadecimal digits",
            Self::SaltedDigest(_) => "the digest and a salt of 1 to 64 octets, in base64",
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
            Self::Md5Crypt | Self::CramMd5 | Self::Digest(_) | Self::SaltedDigest(_) => "whatever it costs",
        }
    }
}

/// How the hashes of a scheme are written.
pub(super) enum Written {
    /// As characters, in a form of their own.
    AsText,
    /// As octets in base64 or in hexadecimal digits; so many, where they are always as many.
    AsOctets(Option<usize>),
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
                "unknown hash behind {CRYPT}; those that begin with $1$, $5$, $6$, $2a$, $2b$, $2y$, \
                 $argon2id$, $argon2i$ or $scrypt$ are understood; DES is not, so such an account needs another password",
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

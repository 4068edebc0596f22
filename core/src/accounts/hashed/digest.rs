//! Digests of passwords, as LDAP servers and Dovecot keep them: made at once, and so guessed fast. They are read, never
//! made.

use md5::Md5;
use md5::digest::common::hazmat::SerializableState;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// Which digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digest {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (RFC 3174).
    Sha1,
    /// SHA-256 (RFC 6234).
    Sha256,
    /// SHA-512 (RFC 6234).
    Sha512,
}

impl Digest {
    /// Its length in octets.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// That of a password with a salt behind it.
    pub(super) fn of(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        fn of<D: sha2::Digest>(password: &[u8], salt: &[u8]) -> Vec<u8> {
            D::new().chain_update(password).chain_update(salt).finalize().to_vec()
        }
        match self {
            Self::Md5 => of::<Md5>(password, salt),
            Self::Sha1 => of::<Sha1>(password, salt),
            Self::Sha256 => of::<Sha256>(password, salt),
            Self::Sha512 => of::<Sha512>(password, salt),
        }
    }
}

/// Octets of what [`cram_md5`] makes.
pub(super) const CRAM_MD5_LENGTH: usize = 32;

/// What CRAM-MD5 needs of a password: how MD5 stands behind the outer and behind the inner key of HMAC (RFC 2104,
/// section 4), in the order in which Dovecot writes them.
pub(super) fn cram_md5(password: &[u8]) -> [u8; CRAM_MD5_LENGTH] {
    const BLOCK: usize = 64;
    let mut key = [0; BLOCK];
    let digest = Md5::digest(password);
    let octets = if password.len() > BLOCK { &digest } else { password };
    for (place, octet) in key.iter_mut().zip(octets) {
        *place = *octet;
    }
    let mut both = [0; CRAM_MD5_LENGTH];
    for (half, pad) in both.chunks_exact_mut(CRAM_MD5_LENGTH / 2).zip([0x5c, 0x36]) {
        let state = Md5::new().chain_update(key.map(|octet| octet ^ pad)).serialize();
        for (place, octet) in half.iter_mut().zip(state) {
            *place = octet;
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slow twin goes by whole digests alone: of HMAC's two, what stands behind a block is what it was before.
    #[test]
    fn what_cram_md5_keeps_is_how_hmac_begins() {
        use hmac::{Hmac, KeyInit, Mac};
        use md5::digest::common::hazmat::SerializedState;

        for password in [&b""[..], b"tanstaaf", &[b'x'; 64], &[b'y'; 65]] {
            let kept = cram_md5(password);
            // After one block: the state, and the number of blocks; nothing waits for its block to be full.
            let begin = |state: &[u8]| {
                let mut serialized = SerializedState::<Md5>::default();
                serialized[..16].copy_from_slice(state);
                serialized[16] = 1;
                Md5::deserialize(&serialized).unwrap()
            };
            let inner = begin(&kept[16..]).chain_update(b"a challenge").finalize();
            let outer = begin(&kept[..16]).chain_update(inner).finalize();
            let expected = Hmac::<Md5>::new_from_slice(password).unwrap().chain_update(b"a challenge");
            assert_eq!(outer.as_slice(), expected.finalize().into_bytes().as_slice());
        }
    }
}

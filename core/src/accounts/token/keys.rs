//! Keys as they stand in files: a secret, a public key as PEM, or a set of public keys (JWKS, RFC 7517).

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{Key, TokenKeys};

/// Least octets of a secret (RFC 7518, section 3.2: as many as the hash has).
const SECRET_MIN: usize = 32;
/// Most keys that are looked at: a token without a name of its key is held against each.
const KEYS_MAX: usize = 32;
/// Octets of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE: usize = 32;
/// Least bits of an RSA modulus that ring takes.
const RSA_BITS_MIN: usize = 2048;

/// The object identifier of Ed25519 (RFC 8410, section 3).
const ED25519: &str = "1.3.101.112";
/// That of P-256 (RFC 5480, section 2.1.1.1).
const P256: &str = "1.2.840.10045.3.1.7";

/// Why a file has no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyError {
    /// A secret is too short to be one.
    ShortSecret,
    /// It is neither PEM with a public key nor a set of keys.
    NoKey,
    /// The key is of a kind that is not understood.
    Kind,
    /// No key of the set can be used.
    NoneOfSet,
    /// There are more than `KEYS_MAX`.
    TooMany,
}

impl fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret => {
                write!(formatter, "a secret has at least {SECRET_MIN} octets, beside the line end behind it")
            }
            Self::NoKey => {
                formatter.write_str("neither a public key as PEM nor a set of keys as JSON (JWKS)")
            }
            Self::Kind => formatter.write_str("a key is RSA of 2048 bits or more, of P-256, or of Ed25519"),
            Self::NoneOfSet => formatter
                .write_str("no key of the set can be used: RSA of 2048 bits or more, P-256, or Ed25519"),
            Self::TooMany => write!(formatter, "more than {KEYS_MAX} keys"),
        }
    }
}

impl std::error::Error for KeyError {}

impl TokenKeys {
    /// Adds a secret that who gives tokens has too (HS256), as it stands in a file: a line end behind it is none of it.
    ///
    /// # Errors
    /// Where it is too short.
    pub fn add_secret(&mut self, secret: &[u8]) -> Result<(), KeyError> {
        let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < SECRET_MIN {
            return Err(KeyError::ShortSecret);
        }
        let key = DecodingKey::from_secret(secret).map_err(|_| KeyError::ShortSecret)?;
        self.add(Key { id: None, algorithm: Algorithm::HS256, key })
    }

    /// Adds the public keys of a file: one as PEM, or those of a set.
    ///
    /// # Errors
    /// Where there is none that can be used.
    pub fn add_public(&mut self, text: &[u8]) -> Result<(), KeyError> {
        if text.trim_ascii_start().starts_with(b"{") {
            let set: JwkSet = serde_json::from_slice(text).map_err(|_| KeyError::NoKey)?;
            let before = self.keys.len();
            // Sets have keys for other uses too.
            for key in set.keys.iter().filter_map(of_set) {
                self.add(key)?;
            }
            return if self.keys.len() > before { Ok(()) } else { Err(KeyError::NoneOfSet) };
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text).map_err(|_| KeyError::NoKey)?;
        let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| KeyError::NoKey)?;
        let octets = &*info.subject_public_key.data;
        let (algorithm, key) = match info.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= RSA_BITS_MIN => {
                (Algorithm::RS256, DecodingKey::from_rsa_der(octets))
            }
            // Uncompressed. Keys of other curves have the same length.
            Ok(PublicKey::EC(_)) if is_of_p256(&info) && octets.len() == 1 + 2 * COORDINATE => {
                (Algorithm::ES256, DecodingKey::from_ec_der(octets))
            }
            _ if info.algorithm.algorithm.to_id_string() == ED25519 && octets.len() == COORDINATE => {
                (Algorithm::EdDSA, DecodingKey::from_ed_der(octets))
            }
            _ => return Err(KeyError::Kind),
        };
        self.add(Key { id: None, algorithm, key })
    }

    fn add(&mut self, key: Key) -> Result<(), KeyError> {
        if self.keys.len() >= KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        self.keys.push(key);
        Ok(())
    }
}

/// Whether a key of an elliptic curve names P-256 as its curve.
fn is_of_p256(info: &SubjectPublicKeyInfo<'_>) -> bool {
    let curve = info.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    curve.is_some_and(|curve| curve.to_id_string() == P256)
}

/// A key of a set; none: it is not for signatures, or of a kind that is not understood. A secret has no place among public
/// keys.
fn of_set(jwk: &Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|it| it != named) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let has_length = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() * 8 >= RSA_BITS_MIN,
        DecodingKeyKind::SecretOrDer(octets) => {
            octets.len() == if algorithm == Algorithm::ES256 { 1 + 2 * COORDINATE } else { COORDINATE }
        }
    };
    has_length.then(|| Key { id: jwk.common.key_id.clone(), algorithm, key })
}

//! SCRAM, the server's side (RFC 5802; RFC 7677 for SHA-256): what the client's messages say, and what is said to them.
//!
//! Not here: where the keys come from. A client that fails hears the same whoever it claimed to be.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::number::number;
use super::prepared::prepared_for_keys;

/// Rounds of the keys that are made here (RFC 7677, section 4).
pub(super) const ITERATIONS: u32 = 4096;

/// Octets of our part of the nonce.
const NONCE: usize = 18;

/// Longest nonce of a client, so that the challenge fits into a reply.
const CLIENT_NONCE_MAX: usize = 128;

/// The hash of a mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    /// All there are.
    pub(super) const ALL: [Self; 2] = [Self::Sha1, Self::Sha256];

    fn hmac(self, key: &[u8], octets: &[u8]) -> Vec<u8> {
        const ANY: &str = "a key may have any length";
        match self {
            Self::Sha1 => {
                let mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY).chain_update(octets);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Sha256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY).chain_update(octets);
                mac.finalize().into_bytes().to_vec()
            }
        }
    }

    /// Tells the hashes apart where one code is made for each.
    pub(super) fn letter(self) -> u8 {
        match self {
            Self::Sha1 => b'1',
            Self::Sha256 => b'2',
        }
    }

    fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(octets).to_vec(),
            Self::Sha256 => Sha256::digest(octets).to_vec(),
        }
    }
}

/// What the server keeps of a password (RFC 5802, section 3).
#[derive(Clone)]
pub(super) struct Keys {
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    stored: Vec<u8>,
    server: Vec<u8>,
}

impl Keys {
    /// Makes the keys of a password. Takes a millisecond or two.
    pub(super) fn derive(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let prepared = prepared_for_keys(password);
        let salted = match hash {
            Hash::Sha1 => {
                let mut salted = [0; 20];
                pbkdf2_hmac::<Sha1>(&prepared, salt, iterations, &mut salted);
                salted.to_vec()
            }
            Hash::Sha256 => {
                let mut salted = [0; 32];
                pbkdf2_hmac::<Sha256>(&prepared, salt, iterations, &mut salted);
                salted.to_vec()
            }
        };
        let stored = hash.digest(&hash.hmac(&salted, b"Client Key"));
        let server = hash.hmac(&salted, b"Server Key");
        Self { hash, salt: salt.to_vec(), iterations, stored, server }
    }

    /// Reads keys as Dovecot writes them: rounds, salt, StoredKey and ServerKey, with commas between, the last three in
    /// base64. Fewer rounds than RFC 5802 wants (section 5.1) are none.
    pub(super) fn parse(hash: Hash, text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let iterations = number(parts.next()?).filter(|&iterations| iterations >= ITERATIONS)?;
        let mut octets = || parts.next().and_then(|part| Base64::decode_vec(part).ok());
        let (salt, stored, server) = (octets()?, octets()?, octets()?);
        let length = hash.digest(b"").len();
        let is_whole = parts.next().is_none() && stored.len() == length && server.len() == length;
        is_whole.then_some(Self { hash, salt, iterations, stored, server })
    }

    /// As [`Keys::parse`] reads them.
    pub(super) fn text(&self) -> String {
        let [salt, stored, server] =
            [&self.salt, &self.stored, &self.server].map(|octets| Base64::encode_string(octets));
        format!("{},{salt},{stored},{server}", self.iterations)
    }

    /// Whether they are those of a password. Takes as long as its rounds do.
    pub(super) fn are_of(&self, password: &[u8]) -> bool {
        let other = Self::derive(self.hash, password, &self.salt, self.iterations);
        (other.stored.ct_eq(&self.stored) & other.server.ct_eq(&self.server)).into()
    }

    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub(super) fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The same with other rounds and another salt: keys that no password is known of.
    pub(super) fn of_nobody(mut self, salt: &[u8], iterations: u32) -> Self {
        self.salt = salt.to_vec();
        self.iterations = iterations;
        self
    }
}

/// Whether the exchange is to be bound to its channel, and by what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Binding<'a> {
    /// There is nothing to bind to.
    Impossible,
    /// It could be, and a client that says that we cannot was lied to by somebody between (RFC 5802, section 6).
    Possible,
    /// It is, to what `tls-exporter` gave (RFC 9266).
    Exporter(&'a [u8]),
}

/// What the client began with.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct ClientFirst<'a> {
    /// The user name, its escapes read.
    pub(super) user: String,
    /// Whom it wants to be, where that is somebody else.
    pub(super) authorization: Option<String>,
    header: &'a str,
    bare: &'a str,
    nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// Reads a `client-first-message`; none: it is none, or it does not fit to the channel.
    pub(super) fn parse(message: &'a [u8], binding: Binding<'_>) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let (flag, rest) = message.split_once(',')?;
        match (flag, binding) {
            ("n", Binding::Impossible | Binding::Possible)
            | ("y", Binding::Impossible)
            | ("p=tls-exporter", Binding::Exporter(_)) => {}
            _ => return None,
        }
        let (authorization, bare) = rest.split_once(',')?;
        let authorization = match authorization {
            "" => None,
            given => Some(name(given.strip_prefix("a=")?)?),
        };
        let header = message.get(..message.len() - bare.len())?;
        let mut fields = bare.split(',');
        // One that begins with "m=" asks for what nobody knows yet, and so is no user name either.
        let user = name(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        let is_nonce =
            (1..=CLIENT_NONCE_MAX).contains(&nonce.len()) && nonce.bytes().all(|it| it.is_ascii_graphic());
        (is_nonce && fields.all(is_extension)).then_some(Self { user, authorization, header, bare, nonce })
    }
}

/// Whether a field is an extension that may be passed over: "m" may not be, wherever it stands (RFC 5802, section 5.1).
/// More than the one letter of a name does no harm.
fn is_extension(field: &str) -> bool {
    let (name, value) = field.split_once('=').unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphabetic()) && name != "m";
    is_name && !value.is_empty() && !value.contains('\0')
}

/// A `saslname`: "=2C" is a comma, "=3D" is "=".
fn name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = part.split_at_checked(2)?;
        name.push(match escaped {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

/// An exchange whose first messages are said.
pub(super) struct Begun {
    keys: Keys,
    /// All that the proof is over but the client's final message.
    said: String,
    nonce: String,
    /// What the client must say that the channel is.
    channel: String,
}

impl Begun {
    /// Answers a `client-first-message`: the exchange, and what is said.
    pub(super) fn new(
        first: &ClientFirst<'_>,
        keys: Keys,
        binding: Binding<'_>,
    ) -> Result<(Self, String), getrandom::Error> {
        let mut random = [0; NONCE];
        getrandom::fill(&mut random)?;
        Ok(Self::with_nonce(first, keys, binding, &Base64::encode_string(&random)))
    }

    /// By which hash.
    pub(super) fn hash(&self) -> Hash {
        self.keys.hash
    }

    /// Whether it goes by these keys.
    pub(super) fn is_by(&self, keys: &Keys) -> bool {
        let Keys { hash, salt, iterations, stored, server } = &self.keys;
        let is_of_form = *hash == keys.hash && *iterations == keys.iterations && *salt == keys.salt;
        is_of_form && bool::from(stored.ct_eq(&keys.stored) & server.ct_eq(&keys.server))
    }

    fn with_nonce(first: &ClientFirst<'_>, keys: Keys, binding: Binding<'_>, own: &str) -> (Self, String) {
        let nonce = format!("{}{own}", first.nonce);
        let salt = Base64::encode_string(&keys.salt);
        let message = format!("r={nonce},s={salt},i={}", keys.iterations);
        let mut channel = first.header.as_bytes().to_vec();
        if let Binding::Exporter(data) = binding {
            channel.extend_from_slice(data);
        }
        let channel = Base64::encode_string(&channel);
        let said = format!("{},{message}", first.bare);
        (Self { keys, said, nonce, channel }, message)
    }

    /// Answers a `client-final-message`: what is said where its proof is right.
    pub(super) fn finish(mut self, message: &[u8]) -> Option<String> {
        let message = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut fields = without_proof.split(',');
        let is_ours = fields.next()?.strip_prefix("c=")? == self.channel
            && fields.next()?.strip_prefix("r=")? == self.nonce
            && fields.all(is_extension);
        let proof = Base64::decode_vec(proof).ok()?;
        // Writing to a string does not fail.
        let _ = write!(self.said, ",{without_proof}");
        let hash = self.keys.hash;
        let signature = hash.hmac(&self.keys.stored, self.said.as_bytes());
        if proof.len() != signature.len() {
            return None;
        }
        let client: Vec<u8> =
            proof.iter().zip(&signature).map(|(proof, signature)| proof ^ signature).collect();
        let is_right: bool = hash.digest(&client).ct_eq(&self.keys.stored).into();
        let verifier = hash.hmac(&self.keys.server, self.said.as_bytes());
        (is_right && is_ours).then(|| format!("v={}", Base64::encode_string(&verifier)))
    }
}

/// The client's side, for tests.
#[cfg(test)]
pub(super) mod client {
    use super::*;

    /// The `client-final-message` of SCRAM-SHA-256 without channel binding, to what the server said.
    pub(in super::super) fn answer(said: &str, first: &str, password: &[u8]) -> String {
        let fields: Vec<_> = said.split(',').collect();
        let [nonce, salt, iterations] = fields[..] else { panic!("{said}") };
        let salt = Base64::decode_vec(salt.strip_prefix("s=").unwrap()).unwrap();
        let iterations = iterations.strip_prefix("i=").unwrap().parse().unwrap();
        let mut salted = [0; 32];
        pbkdf2_hmac::<Sha256>(password, &salt, iterations, &mut salted);
        let key = Hash::Sha256.hmac(&salted, b"Client Key");
        let without_proof = format!("c=biws,{nonce}");
        let over = format!("{first},{said},{without_proof}");
        let signature = Hash::Sha256.hmac(&Hash::Sha256.digest(&key), over.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        format!("{without_proof},p={}", Base64::encode_string(&proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(hash: Hash, first: &str, salt: &str, own: &str) -> (Begun, String) {
        let salt = Base64::decode_vec(salt).unwrap();
        let first = ClientFirst::parse(first.as_bytes(), Binding::Impossible).unwrap();
        assert_eq!(first.user, "user");
        let keys = Keys::derive(hash, b"pencil", &salt, 4096);
        Begun::with_nonce(&first, keys, Binding::Impossible, own)
    }

    const FIRST_1: &str = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
    const SALT_1: &str = "QSXCR+Q6sek8bf92";
    const OWN_1: &str = "3rfcNHYJY1ZVvWVs7j";
    const FINAL_1: &str =
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";

    #[test]
    fn the_exchange_of_rfc_5802_section_5_is_right() {
        let (begun, said) = begun(Hash::Sha1, FIRST_1, SALT_1, OWN_1);
        assert_eq!(said, "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
        assert_eq!(begun.finish(FINAL_1.as_bytes()).as_deref(), Some("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    }

    #[test]
    fn the_exchange_of_rfc_7677_section_3_is_right() {
        let (begun, said) = begun(
            Hash::Sha256,
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        );
        assert_eq!(
            said,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let verifier = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(begun.finish(last.as_bytes()).as_deref(), Some(verifier));
    }

    #[test]
    fn a_proof_for_another_exchange_is_wrong() {
        let (other, _) = begun(Hash::Sha1, FIRST_1, SALT_1, "another");
        assert_eq!(other.finish(FINAL_1.as_bytes()), None);
        for (from, to) in
            [("biws", "eSws"), ("v0X8", "v0X9"), (",p=", ",q="), ("c=", "d="), ("p=v0X8", "p="), ("s=", "s")]
        {
            let (begun, _) = begun(Hash::Sha1, FIRST_1, SALT_1, OWN_1);
            assert_eq!(begun.finish(FINAL_1.replace(from, to).as_bytes()), None, "{from} to {to}");
        }
    }

    #[test]
    fn a_first_message_fits_to_its_channel() {
        let (message, exporter) = (|flag: &str| format!("{flag},,n=user,r=x"), Binding::Exporter(b"data"));
        for (flag, binding, fits) in [
            ("n", Binding::Impossible, true),
            ("n", Binding::Possible, true),
            ("n", exporter, false),
            ("y", Binding::Impossible, true),
            ("y", Binding::Possible, false),
            ("y", exporter, false),
            ("p=tls-exporter", exporter, true),
            ("p=tls-exporter", Binding::Possible, false),
            ("p=tls-unique", exporter, false),
            ("p=", exporter, false),
            ("", Binding::Impossible, false),
        ] {
            let message = message(flag);
            let first = ClientFirst::parse(message.as_bytes(), binding);
            assert_eq!(first.is_some(), fits, "{flag}, {binding:?}");
        }
    }

    #[test]
    fn a_name_is_read_with_its_escapes_and_nothing_else_is_one() {
        let user = |name: &str| {
            let message = format!("n,,n={name},r=x");
            ClientFirst::parse(message.as_bytes(), Binding::Impossible).map(|first| first.user)
        };
        assert_eq!(user("a=2Cb=3D").as_deref(), Some("a,b="));
        assert_eq!(user("\u{fc}").as_deref(), Some("\u{fc}"));
        for wrong in ["", "=", "=2", "=2c", "=41", "a,b"] {
            assert_eq!(user(wrong), None, "{wrong}");
        }
        for message in [
            "n,,m=x,n=user,r=x",
            "n,n=user,r=x",
            "n,,n=user",
            "n,,n=user,r=",
            "n,x,n=user,r=x",
            "n,a=,n=user,r=x",
            "n,,n=user,r=x,m=y",
            "n,,n=user,r=x,",
            "n,,n=user,r=x,y",
            "n,,n=user,r=x,e=",
            "n,,n=user,r=x,=y",
            "n,,n=user,r=x,1=y",
            "n,,n=user,r=x,e=\0",
        ] {
            assert_eq!(ClientFirst::parse(message.as_bytes(), Binding::Impossible), None, "{message}");
        }
        assert!(ClientFirst::parse(b"n,,n=user,r=x,e=y,F=z=,ext=1", Binding::Impossible).is_some());
        let first = ClientFirst::parse(b"n,a=other,n=user,r=x", Binding::Impossible).unwrap();
        assert_eq!(first.authorization.as_deref(), Some("other"));
    }
}

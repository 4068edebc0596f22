//! Logins that TLS makes possible: bound to the channel, and by a certificate. And those that fail.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::*;
use crate::accounts::UserName;
use crate::nets::Nets;
use crate::settings::FailedLogins;

fn accounts() -> Accounts {
    let mut accounts = Accounts::new(true);
    // Nobody has mail under such a name.
    for name in ["user-of-a-test", "other-of-a-test"] {
        accounts.add(UserName::parse(name.as_bytes()).unwrap(), b"pencil");
    }
    accounts
}

fn limits() -> Limits {
    Limits { failed_login_delay: Duration::ZERO, ..Limits::default() }
}

fn capabilities(client: &mut Client) -> Vec<String> {
    assert!(says(client, "CAPA").starts_with("+OK"));
    std::iter::from_fn(|| Some(hears(client)).filter(|line| line != ".\r\n")).collect()
}

/// What `tls-exporter` gives (RFC 9266).
fn binding(client: &Client) -> [u8; 32] {
    client.get_ref().conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

/// What SCRAM makes of octets by one hash.
struct Scram {
    mechanism: &'static str,
    hmac: fn(&[u8], &[u8]) -> Vec<u8>,
    digest: fn(&[u8]) -> Vec<u8>,
    /// The salted password.
    salted: fn(&[u8], u32) -> Vec<u8>,
}

macro_rules! scram_by {
    ($hash:ty, $octets:literal, $mechanism:literal) => {
        Scram {
            mechanism: $mechanism,
            hmac: |key, message| {
                let mac = Hmac::<$hash>::new_from_slice(key).unwrap().chain_update(message);
                mac.finalize().into_bytes().to_vec()
            },
            digest: |octets| <$hash>::digest(octets).to_vec(),
            salted: |salt, rounds| {
                let mut salted = [0; $octets];
                pbkdf2_hmac::<$hash>(b"pencil", salt, rounds, &mut salted);
                salted.to_vec()
            },
        }
    };
}

const BY_SHA256: Scram = scram_by!(Sha256, 32, "SCRAM-SHA-256-PLUS");
const BY_SHA1: Scram = scram_by!(Sha1, 20, "SCRAM-SHA-1-PLUS");

/// Logs in by SCRAM with this binding; the last word of the server.
fn scram(client: &mut Client, by: &Scram, binding: &[u8]) -> String {
    let &Scram { mechanism, hmac, digest, salted } = by;
    let (header, bare) = ("p=tls-exporter,,", "n=user-of-a-test,r=rOprNGfwEbeRWgbNEkqO");
    let first = Base64::encode_string(format!("{header}{bare}").as_bytes());
    let said = says(client, &format!("AUTH {mechanism} {first}"));
    let said = Base64::decode_vec(said.trim_end().strip_prefix("+ ").unwrap()).unwrap();
    let said = String::from_utf8(said).unwrap();
    let fields: Vec<_> = said.split(',').collect();
    let salt = Base64::decode_vec(&fields[1][2..]).unwrap();
    let salted = salted(&salt, fields[2][2..].parse().unwrap());
    let bound = Base64::encode_string(&[header.as_bytes(), binding].concat());
    let without_proof = format!("c={bound},{}", fields[0]);
    let message = format!("{bare},{said},{without_proof}");
    let key = hmac(&salted, b"Client Key");
    let signature = hmac(&digest(&key), message.as_bytes());
    let proof: Vec<_> = key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
    let last = format!("{without_proof},p={}", Base64::encode_string(&proof));
    let answer = says(client, &Base64::encode_string(last.as_bytes()));
    let Some(shown) = answer.strip_prefix("+ ") else { return answer };
    let expected = hmac(&hmac(&salted, b"Server Key"), message.as_bytes());
    let shown = Base64::decode_vec(shown.trim_end()).unwrap();
    assert_eq!(shown, format!("v={}", Base64::encode_string(&expected)).into_bytes());
    says(client, "")
}

#[test]
fn a_login_is_bound_to_its_channel_and_no_good_in_another() {
    let pair = Files::new().make("a", &["a.example"]);
    let (running, address) = serve_to(options(vec![pair]), accounts(), limits());
    let connect = |version| {
        let mut client = client(address, "a.example", version, &[]);
        assert!(hears(&mut client).starts_with("+OK"));
        client
    };
    let mut first = connect(Version::Tls13);
    let offered = capabilities(&mut first);
    let sasl = offered.iter().find(|line| line.starts_with("SASL")).unwrap();
    assert!(sasl.contains(" SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 "), "{sasl}");
    let mut second = connect(Version::Tls13);
    let (here, there) = (binding(&first), binding(&second));
    assert!(scram(&mut first, &BY_SHA256, &there).starts_with("-ERR [AUTH]"));
    assert!(scram(&mut first, &BY_SHA1, &[]).starts_with("-ERR [AUTH]"));
    assert!(scram(&mut first, &BY_SHA256, &here).starts_with("+OK"));
    assert!(scram(&mut second, &BY_SHA1, &here).starts_with("-ERR [AUTH]"));
    assert!(scram(&mut second, &BY_SHA256, &there).starts_with("-ERR [IN-USE]"));
    assert!(scram(&mut second, &BY_SHA1, &there).starts_with("-ERR [IN-USE]"));
    assert!(says(&mut first, "QUIT").starts_with("+OK"));
    let mut third = connect(Version::Tls13);
    let bound = binding(&third);
    assert!(scram(&mut third, &BY_SHA1, &bound).starts_with("+OK"));
    // TLS 1.2 has nothing that is known to be one channel's own.
    assert!(!capabilities(&mut connect(Version::Tls12)).concat().contains("PLUS"));
    running.drain(Duration::ZERO);
}

/// An authority, and clients with certificates of it.
pub(super) struct Authority {
    pub(super) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    fn client(&self, address: SocketAddr, name: &str, mail: Option<&str>) -> Client {
        client_with(address, "a.example", self.certified(name, mail, Version::Tls13))
    }

    /// The configuration of a client that shows a certificate.
    pub(super) fn certified(&self, name: &str, mail: Option<&str>, version: Version) -> ClientConfig {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.subject_alt_names.extend(mail.map(|mail| SanType::Rfc822Name(mail.try_into().unwrap())));
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![certificate.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        trusting(version).with_client_auth_cert(chain, key.into()).unwrap()
    }
}

#[test]
fn a_certificate_is_a_login_for_whom_it_names() {
    let files = Files::new();
    let pair = files.make("a", &["a.example"]);
    let (authority, stranger) = (Authority::new(), Authority::new());
    fs::write(files.path("ca"), &authority.certificate).unwrap();
    let authorities = Authorities::read(&files.path("ca")).unwrap();
    assert!(Authorities::read(&files.path("a.key")).is_err(), "there is no certificate in it");
    let options = TlsOptions { authorities: Some(authorities), ..options(vec![pair]) };
    let (running, address) = serve_to(options, accounts(), limits());
    let mut named = authority.client(address, "user-of-a-test", None);
    hears(&mut named);
    assert!(capabilities(&mut named).concat().contains(" EXTERNAL "));
    assert!(says(&mut named, "AUTH EXTERNAL b3RoZXItb2YtYS10ZXN0").starts_with("-ERR [AUTH]"));
    assert!(says(&mut named, "AUTH EXTERNAL =").starts_with("+OK"));
    let mut other = authority.client(address, "nobody", Some("other-of-a-test"));
    hears(&mut other);
    assert_eq!(says(&mut other, "AUTH EXTERNAL"), "+ \r\n");
    assert!(says(&mut other, "b3RoZXItb2YtYS10ZXN0").starts_with("+OK"));
    // Without a certificate, with one of somebody who is not known, and with one that nobody vouches for.
    let unknown = authority.client(address, "nobody", None);
    for mut client in [client(address, "a.example", Version::Tls13, &[]), unknown] {
        hears(&mut client);
        assert!(!capabilities(&mut client).concat().contains("EXTERNAL"));
        assert!(says(&mut client, "AUTH EXTERNAL =").starts_with("-ERR"));
    }
    let mut refused = stranger.client(address, "user-of-a-test", None);
    assert!(refused.read_line(&mut String::new()).is_err());
    running.drain(Duration::ZERO);
}

/// Has the server find another file of authorities.
fn replace_authorities(files: &Files, running: &Running, text: &str) {
    fs::write(files.path("next"), text).unwrap();
    fs::rename(files.path("next"), files.path("ca")).unwrap();
    running.handle().settings().tls.as_ref().unwrap().renew();
}

#[test]
fn others_vouch_for_clients_once_their_file_is_another_and_not_before() {
    let files = Files::new();
    let pair = files.make("a", &["a.example"]);
    let (first, second) = (Authority::new(), Authority::new());
    fs::write(files.path("ca"), &first.certificate).unwrap();
    let authorities = Authorities::read(&files.path("ca")).unwrap();
    let options = TlsOptions { authorities: Some(authorities), ..options(vec![pair]) };
    let (running, address) = serve_to(options, accounts(), limits());
    let is_known = |authority: &Authority| {
        let mut client = authority.client(address, "user-of-a-test", None);
        let mut greeting = String::new();
        client.read_line(&mut greeting).is_ok_and(|_| greeting.starts_with("+OK"))
            && capabilities(&mut client).concat().contains(" EXTERNAL ")
    };
    let replace = |text: &str| replace_authorities(&files, &running, text);
    assert!(is_known(&first) && !is_known(&second));
    replace("no certificate\n");
    assert!(is_known(&first) && !is_known(&second), "those that were there stay");
    replace(&second.certificate);
    assert!(!is_known(&first) && is_known(&second));
    replace(&format!("{}{}", first.certificate, second.certificate));
    assert!(is_known(&first) && is_known(&second));
    running.drain(Duration::ZERO);
}

#[test]
fn who_came_before_its_authority_was_replaced_is_not_let_in_behind_that() {
    let files = Files::new();
    let pair = files.make("a", &["a.example"]);
    let (first, second) = (Authority::new(), Authority::new());
    fs::write(files.path("ca"), &first.certificate).unwrap();
    let authorities = Authorities::read(&files.path("ca")).unwrap();
    let options = TlsOptions { authorities: Some(authorities), ..options(vec![pair]) };
    let (running, address) = serve_to(options, accounts(), limits());
    let mut client = first.client(address, "user-of-a-test", None);
    hears(&mut client);
    assert!(capabilities(&mut client).concat().contains(" EXTERNAL "));
    replace_authorities(&files, &running, &second.certificate);
    assert!(says(&mut client, "AUTH EXTERNAL =").starts_with("-ERR [AUTH]"));
    replace_authorities(&files, &running, &first.certificate);
    assert!(says(&mut client, "AUTH EXTERNAL =").starts_with("+OK"));
    running.drain(Duration::ZERO);
}

#[test]
fn who_guesses_through_tls_is_refused_and_hears_nothing() {
    let pair = Files::new().make("a", &["a.example"]);
    let failed_logins = FailedLogins { refused_after: Some(3), ..Default::default() };
    let (running, address) = serve_to(
        options(vec![pair]),
        accounts(),
        Limits { failed_logins, excepted: Nets::none(), ..limits() },
    );
    let connect = || client(address, "a.example", Version::Tls13, &[]);
    let mut waiting = connect();
    hears(&mut waiting);
    let mut guesser = connect();
    hears(&mut guesser);
    for _ in 0..3 {
        says(&mut guesser, "USER user-of-a-test");
        assert!(says(&mut guesser, "PASS wrong").starts_with("-ERR [AUTH]"));
    }
    assert_eq!(guesser.read(&mut [0]).unwrap(), 0);
    assert!(connect().read_line(&mut String::new()).is_err());
    says(&mut waiting, "USER user-of-a-test");
    assert!(says(&mut waiting, "PASS pencil").starts_with("-ERR [SYS/TEMP]"));
    assert_eq!(waiting.read(&mut [0]).unwrap(), 0);
    running.drain(Duration::ZERO);
}

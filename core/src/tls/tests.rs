//! Certificates as files, and clients of rustls against a server that serves.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use tempfile::TempDir;

use super::*;
use crate::accounts::Accounts;
use crate::maildir::LocalStore;
use crate::server::{Protocol, Running, Server};
use crate::settings::{Limits, Settings, Sizes};
use crate::statistics::Totals;
use crate::transform::Holding;

/// A folder with certificates of some names, and their keys.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes `name.crt` and `name.key`.
    fn make(&self, name: &str, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(self.path(&format!("{name}.crt")), made.cert.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
        self.read(&format!("{name}.crt"), &format!("{name}.key")).unwrap()
    }

    fn read(&self, certificate: &str, key: &str) -> Result<Pair, PairError> {
        Pair::read(&self.path(certificate), &self.path(key))
    }
}

fn options(pairs: Vec<Pair>) -> TlsOptions {
    TlsOptions { pairs, minimum: Version::Tls12, clear: Clear::Everybody }
}

#[test]
fn a_login_waits_for_tls_outside_of_the_nets_alone() {
    let pair = Files::new().make("a", &["a.example"]);
    let nets = ["127.0.0.0/8", "::1/128", "192.0.2.0/24"].map(|net| net.parse().unwrap());
    let tls = |clear| Tls::new(TlsOptions { clear, ..options(vec![pair.clone()]) }).unwrap();
    let required = tls(Clear::From(nets.to_vec()));
    let everybody = tls(Clear::Everybody);
    for (address, is_required) in [
        ("127.0.0.1", false),
        ("::ffff:127.0.0.1", false),
        ("::1", false),
        ("192.0.2.7", false),
        ("192.0.3.7", true),
        ("::2", true),
        ("::ffff:10.0.0.1", true),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(required.is_required(address), is_required, "{address}");
        assert!(!everybody.is_required(address));
    }
    assert!(Tls::new(options(Vec::new())).is_err(), "there is no TLS without a certificate");
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_with_what_is_wrong() {
    let files = Files::new();
    files.make("a", &["a.example"]);
    files.make("b", &["b.example"]);
    fs::write(files.path("empty"), "").unwrap();
    fs::write(files.path("wrong"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(files.path("nonsense"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let whole = fs::read_to_string(files.path("a.crt")).unwrap();
    fs::write(files.path("cut"), &whole[..whole.len() / 2]).unwrap();
    for (certificate, key, file, said) in [
        ("a.crt", "b.key", "b.key", "not the key of"),
        ("none", "a.key", "none", "cannot be read"),
        ("a.crt", "none", "none", "cannot be read"),
        ("empty", "a.key", "empty", "no certificate in it"),
        ("a.key", "a.key", "a.key", "no certificate in it"),
        ("wrong", "a.key", "wrong", "no PEM"),
        ("cut", "a.key", "cut", "PEM"),
        ("nonsense", "a.key", "nonsense", "no certificate that can be used"),
        ("a.crt", "empty", "empty", "no private key in it"),
        ("a.crt", "a.crt", "a.crt", "no private key in it"),
    ] {
        let error = files.read(certificate, key).err().unwrap().to_string();
        let path = files.path(file);
        assert!(error.starts_with(path.to_str().unwrap()) && error.contains(said), "{error}");
    }
    let both = whole + &fs::read_to_string(files.path("a.key")).unwrap();
    fs::write(files.path("both"), both).unwrap();
    assert!(files.read("both", "both").is_ok(), "certificate and key may be one file");
}

/// A server that speaks POP3S with these certificates.
fn serve(options: TlsOptions) -> (Running, SocketAddr) {
    let mut server = Server::new(1, 1).unwrap();
    let address = server.listen(SocketAddr::from(([127, 0, 0, 1], 0)), Protocol::Pop3s).unwrap();
    let settings = Settings {
        store: Arc::new(LocalStore::new("/nonexistent".into(), None)),
        accounts: Arc::new(Accounts::default()),
        mailbox: "/nonexistent".into(),
        chain: None,
        user_chains: Arc::default(),
        rules: Arc::default(),
        holding: Holding { hold: 1000, spool_folder: "/nonexistent".into() },
        sizes: Sizes::Stored,
        apop: false,
        tls: Some(Arc::new(Tls::new(options).unwrap())),
        limits: Limits::default(),
    };
    (server.start(settings, Totals::default()).unwrap(), address)
}

/// Takes whatever certificate there is.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

type Client = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// A client that speaks this version and these protocols; the handshake waits for its first word.
fn client(address: SocketAddr, name: &str, version: Version, protocols: &[&[u8]]) -> Client {
    let versions: &[_] = match version {
        Version::Tls12 => &[&TLS12],
        Version::Tls13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap());
    let stream = connect(address).unwrap();
    BufReader::new(StreamOwned::new(tls.unwrap(), stream))
}

#[expect(clippy::disallowed_methods, reason = "a test waits")]
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

fn says(client: &mut Client, line: &str) -> String {
    write!(client.get_mut(), "{line}\r\n").unwrap();
    hears(client)
}

fn hears(client: &mut Client) -> String {
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    line
}

#[test]
fn both_versions_are_spoken_and_a_session_ends_with_close_notify() {
    let pair = Files::new().make("a", &["a.example"]);
    let (running, address) = serve(options(vec![pair]));
    for version in [Version::Tls12, Version::Tls13] {
        let mut client = client(address, "a.example", version, &[ALPN]);
        assert!(hears(&mut client).starts_with("+OK pop3d ready"));
        assert_eq!(client.get_ref().conn.alpn_protocol(), Some(ALPN));
        assert!(says(&mut client, "STLS").starts_with("-ERR"));
        assert!(says(&mut client, "QUIT").starts_with("+OK"));
        // Without close_notify this would be an error.
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    running.drain(Duration::ZERO);
}

#[test]
fn a_version_too_old_or_another_protocol_ends_the_handshake() {
    let pair = Files::new().make("a", &["a.example"]);
    let (running, address) = serve(TlsOptions { minimum: Version::Tls13, ..options(vec![pair]) });
    for (version, protocols) in [(Version::Tls12, &[][..]), (Version::Tls13, &[&b"imap"[..]][..])] {
        assert!(client(address, "a.example", version, protocols).read_line(&mut String::new()).is_err());
    }
    assert!(hears(&mut client(address, "a.example", Version::Tls13, &[])).starts_with("+OK"));
    running.drain(Duration::ZERO);
}

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for_else_the_first() {
    let files = Files::new();
    let first = files.make("a", &["a.example", "mail.a.example"]);
    let second = files.make("b", &["*.b.example"]);
    let (running, address) = serve(options(vec![first.clone(), second.clone()]));
    for (name, pair) in [
        ("a.example", &first),
        ("mail.a.example", &first),
        ("pop.b.example", &second),
        ("b.example", &first),
        ("x.pop.b.example", &first),
        ("127.0.0.1", &first),
    ] {
        let mut client = client(address, name, Version::Tls13, &[]);
        hears(&mut client);
        let shown = client.get_ref().conn.peer_certificates().unwrap();
        assert_eq!(shown[0], pair.key.cert[0], "{name}");
    }
    running.drain(Duration::ZERO);
}

#[test]
fn octets_that_are_no_tls_end_the_connection_without_a_word_of_pop3() {
    let pair = Files::new().make("a", &["a.example"]);
    let (running, address) = serve(options(vec![pair]));
    for octets in
        [&b"USER user\r\nPASS pass\r\n"[..], &[0; 100], &[0x16, 3, 1, 0xFF, 0xFF, 1], &[0x80; 20_000]]
    {
        let mut stream = connect(address).unwrap();
        // It may have hung up before all is said.
        let _ = stream.write_all(octets);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        // An alert at most.
        assert!(heard.is_empty() || (heard[0] == 0x15 && heard.len() == 7), "{}", heard.escape_ascii());
    }
    assert!(hears(&mut client(address, "a.example", Version::Tls13, &[])).starts_with("+OK"));
    running.drain(Duration::ZERO);
}

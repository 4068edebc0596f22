//! Certificates as files, and clients of rustls against a server that serves.

mod logins;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustls::client::{Resumption, Tls12Resumption, WantsClientCert};
use rustls::pki_types::ServerName;
use rustls::server::ServerConnection;
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, ConnectionCommon, HandshakeKind, SideData, StreamOwned,
};
use tempfile::TempDir;

use super::certificates::{PairError, Seen};
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
    TlsOptions {
        pairs,
        minimum: Version::Tls12,
        clear: Clear::Everybody,
        authorities: None,
        administrators_need_one: false,
    }
}

#[test]
fn a_login_waits_for_tls_outside_of_the_nets_alone() {
    let pair = Files::new().make("a", &["a.example"]);
    let nets = ["127.0.0.0/8", "::1", "192.0.2.0/24"].iter().map(|net| net.parse().unwrap()).collect();
    let tls = |clear| Tls::new(TlsOptions { clear, ..options(vec![pair.clone()]) }).unwrap();
    let required = tls(Clear::From(nets));
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
    let vouched = TlsOptions { administrators_need_one: true, ..options(vec![pair]) };
    assert!(Tls::new(vouched).is_err(), "nobody could be let in");
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
        (
            "none",
            "a.key",
            "none",
            "cannot be read: No such file or directory (os error 2); put it there, or name another",
        ),
        ("a.crt", "none", "none", "; put it there, or name another file"),
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

#[test]
fn a_pair_is_renewed_once_both_files_are_and_not_before() {
    let files = Files::new();
    let first = files.make("a", &["a.example"]);
    let shown = |pair: &Pair| pair.key().cert[0].clone();
    let old = shown(&first);
    files.make("b", &["a.example"]);
    fs::rename(files.path("b.crt"), files.path("a.crt")).unwrap();
    first.renew();
    assert_eq!(shown(&first), old, "the key is that of the old one");
    fs::remove_file(files.path("a.key")).unwrap();
    first.renew();
    assert_eq!(shown(&first), old, "there is no key");
    fs::rename(files.path("b.key"), files.path("a.key")).unwrap();
    first.renew();
    assert_ne!(shown(&first), old);
    assert_eq!(shown(&first), shown(&files.read("a.crt", "a.key").unwrap()));
    // What is as it was is not read again, and what was never a file is not looked for.
    first.renew();
    let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Pair::new(vec![made.cert.der().clone()], key.into()).unwrap().renew();
}

#[test]
fn what_could_not_be_read_is_tried_again_and_what_cannot_be_used_is_not() {
    let (seen, file) = (Seen::new(1), Path::new("file"));
    let unread = || Err(PairError::unread(file, &io::Error::other("too many open files")));
    let unfit = || Err(PairError::new(file, "no PEM".to_owned()));
    let look =
        |stamp, found: Result<u32, PairError>| seen.read_again(stamp, "what is in use stays", || found);
    assert_eq!(look(1, Ok(1)), None, "it is as it was");
    assert_eq!((look(2, unread()), look(2, unread()), look(2, Ok(2))), (None, None, Some(2)));
    assert_eq!(
        (look(2, Ok(3)), look(3, unfit()), look(3, Ok(3)), look(4, Ok(4))),
        (None, None, None, Some(4))
    );
}

#[test]
fn a_pair_is_read_again_where_somebody_else_may_read_it() {
    let files = Files::new();
    let _ = files.make("a", &["a.example"]);
    let key = files.path("a.key");
    let before = certificates::stamp(&key);
    assert_eq!(certificates::stamp(&key), before);
    let end = Instant::now() + Duration::from_secs(60);
    // Within one tick of the file system's clock nothing shows.
    while certificates::stamp(&key) == before {
        assert!(Instant::now() < end, "it is not seen");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn the_days_of_a_certificate_are_counted() {
    let days = |from: (i32, u8, u8), until: (i32, u8, u8)| {
        let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        Pair::new(vec![certificate.der().clone()], key.into()).unwrap().days_left().unwrap()
    };
    let (near, far) = (days((2020, 1, 1), (2999, 1, 1)), days((2020, 1, 1), (2999, 1, 31)));
    assert!(near > 0);
    assert_eq!(far - near, 30);
    assert!(days((2000, 1, 1), (2020, 1, 1)) < -2000);
}

/// A server that speaks POP3S with these certificates.
fn serve(options: TlsOptions) -> (Running, SocketAddr) {
    serve_to(options, Accounts::default(), Limits::default())
}

/// The same for these accounts.
fn serve_to(options: TlsOptions, accounts: Accounts, limits: Limits) -> (Running, SocketAddr) {
    let mut server = Server::new(1, 1).unwrap();
    let address = server.listen(SocketAddr::from(([127, 0, 0, 1], 0)), Protocol::Pop3s).unwrap();
    let mail = std::env::temp_dir();
    let settings = Settings {
        store: Arc::new(LocalStore::new(mail.clone(), None)),
        accounts: Arc::new(accounts),
        mailbox: mail.clone(),
        chain: None,
        user_chains: Arc::default(),
        rules: Arc::default(),
        holding: Holding { hold: 1000, spool_folder: mail },
        sizes: Sizes::Stored,
        tls: Some(Arc::new(Tls::new(options).unwrap())),
        rehash: false,
        limits,
    };
    (server.start(settings, Totals::default()).unwrap(), address)
}

type Client = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// A client that speaks this version and these protocols; the handshake waits for its first word.
fn client(address: SocketAddr, name: &str, version: Version, protocols: &[&[u8]]) -> Client {
    let mut config = trusting(version).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    client_with(address, name, config)
}

/// The configuration of a client that takes any certificate.
fn trusting(version: Version) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    pop3d_trusting::trusting(ring::default_provider(), &only(version)).unwrap()
}

fn only(version: Version) -> [&'static SupportedProtocolVersion; 1] {
    match version {
        Version::Tls12 => [&TLS12],
        Version::Tls13 => [&TLS13],
    }
}

fn client_with(address: SocketAddr, name: &str, config: ClientConfig) -> Client {
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap());
    BufReader::new(StreamOwned::new(tls.unwrap(), connect(address).unwrap()))
}

#[expect(clippy::disallowed_methods, reason = "a test waits")]
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
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
fn of_the_suites_that_both_know_the_server_takes_the_first_of_its_own() {
    let pair = Files::new().make("a", &["a.example"]);
    let (running, address) = serve(options(vec![pair]));
    for version in [Version::Tls12, Version::Tls13] {
        let provider = ring::default_provider();
        let first = provider.cipher_suites.iter().copied().find(|suite| match version {
            Version::Tls12 => suite.tls13().is_none(),
            Version::Tls13 => suite.tls13().is_some(),
        });
        let cipher_suites = provider.cipher_suites.iter().copied().rev().collect();
        let provider = rustls::crypto::CryptoProvider { cipher_suites, ..provider };
        let config = pop3d_trusting::trusting(provider, &only(version)).unwrap().with_no_client_auth();
        let mut client = client_with(address, "a.example", config);
        assert!(hears(&mut client).starts_with("+OK"));
        let taken = client.get_ref().conn.negotiated_cipher_suite().unwrap().suite();
        // The certificate of this test is of ECDSA: what is for RSA is passed over.
        let of_ecdsa = |suite: &rustls::SupportedCipherSuite| !format!("{:?}", suite.suite()).contains("RSA");
        let expected = first.filter(of_ecdsa).map_or(taken, |suite| suite.suite());
        assert_eq!(taken, expected);
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
        assert_eq!(shown[0], pair.key().cert[0], "{name}");
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

/// Has one side hear what the other has to say.
pub(super) fn carry<From, To>(from: &mut ConnectionCommon<From>, to: &mut ConnectionCommon<To>)
where
    From: SideData,
    To: SideData,
{
    let mut said = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut said).unwrap();
    }
    let mut said = &said[..];
    while !said.is_empty() {
        to.read_tls(&mut said).unwrap();
        to.process_new_packets().unwrap();
    }
}

/// A server's configuration, and a client of it that speaks this version and has said nothing yet.
pub(super) fn in_memory(version: Version) -> (Arc<ServerConfig>, ClientConnection) {
    let tls = Tls::new(options(vec![Files::new().make("a", &["a.example"])])).unwrap();
    let client = trusting(version).with_no_client_auth();
    let name = ServerName::try_from("a.example").unwrap();
    (tls.pop3(), ClientConnection::new(Arc::new(client), name).unwrap())
}

/// What the second handshake of a client is, in memory.
fn second_handshake(server: &Arc<ServerConfig>, client: ClientConfig) -> HandshakeKind {
    let client = Arc::new(client);
    let handshake = || {
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        let name = ServerName::try_from("a.example").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&client), name).unwrap();
        while client.wants_write() || server.wants_write() {
            carry(&mut client, &mut server);
            carry(&mut server, &mut client);
        }
        client.handshake_kind().unwrap()
    };
    assert_eq!(handshake(), HandshakeKind::Full);
    handshake()
}

#[test]
fn a_session_is_resumed_by_what_the_client_keeps_alone() {
    let tls = Tls::new(options(vec![Files::new().make("a", &["a.example"])])).unwrap();
    let client = |version, by| {
        let mut config = trusting(version).with_no_client_auth();
        config.resumption = Resumption::default().tls12_resumption(by);
        config
    };
    for (version, by, kind) in [
        (Version::Tls13, Tls12Resumption::Disabled, HandshakeKind::Resumed),
        (Version::Tls12, Tls12Resumption::SessionIdOrTickets, HandshakeKind::Resumed),
        (Version::Tls12, Tls12Resumption::SessionIdOnly, HandshakeKind::Full),
    ] {
        assert_eq!(second_handshake(&tls.pop3(), client(version, by)), kind, "{version:?}");
    }
}

#[test]
fn who_must_have_a_certificate_shows_it_each_time() {
    let files = Files::new();
    let pair = files.make("a", &["a.example"]);
    let authority = logins::Authority::new();
    fs::write(files.path("ca"), &authority.certificate).unwrap();
    for is_needed in [false, true] {
        let authorities = Authorities::read(&files.path("ca")).unwrap();
        let options = TlsOptions {
            authorities: Some(authorities),
            administrators_need_one: is_needed,
            ..options(vec![pair.clone()])
        };
        let tls = Tls::new(options).unwrap();
        for version in [Version::Tls12, Version::Tls13] {
            let kind = if is_needed { HandshakeKind::Full } else { HandshakeKind::Resumed };
            let client = || authority.certified("admin", None, version);
            assert_eq!(second_handshake(&tls.peep(), client()), kind, "{version:?}");
            assert_eq!(second_handshake(&tls.pop3(), client()), HandshakeKind::Resumed, "{version:?}");
        }
    }
}

//! PEEP in TLS: the server's `tls_listen`, and the admin client, which has to know whom it talks to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pop3d_tests::tls::{Certificate, authority, certificate};
use pop3d_tests::{Admin, Client, Mail, Options, Server, checked, peepclient, wait_until};

/// A server with a certificate of "mail.example", whose administrator is root with the password "secret".
fn serving(mail: &Mail, files: &Certificate, tls: &str, peep: &str) -> Server {
    let config = format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}\nlisten = []\n{tls}\n[peep]\nlisten = [\"127.0.0.1:0\"]\n\
         tls_listen = [\"127.0.0.1:0\"]\n{peep}\n[peep.admins]\nroot = \"secret\"\n",
        files.certificate, files.key
    );
    Server::with(mail, &Options { config: &config, ..Options::default() })
}

fn tls_address(server: &Server) -> SocketAddr {
    let mut address = None;
    wait_until("the server listens for administrators in TLS", || {
        let log = server.log();
        address = log.lines().find_map(|line| line.split_once("PEEP in TLS: listening on ")?.1.parse().ok());
        address.is_some()
    });
    address.unwrap()
}

/// The admin client at an address with these options; it asks for the users.
fn asks(address: SocketAddr, options: &[&str]) -> Output {
    let mut command = Command::new(peepclient());
    command.args(["-address", "127.0.0.1", "-port", &address.port().to_string()]);
    command.args(["-user", "root", "-pass", "secret"]).args(options).arg("users");
    command.stdin(Stdio::null()).output().unwrap()
}

fn is_answered(address: SocketAddr, options: &[&str]) {
    let output = asks(address, options);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{options:?}: {said}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a\nb\nc\nd\nother\nuser\n");
}

/// That it fails with this status and says these words.
fn fails(address: SocketAddr, options: &[&str], status: i32, words: &str) -> String {
    let output = asks(address, options);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{options:?}: {said}");
    assert!(said.contains(words) && said.lines().count() == 1, "{options:?}: {said}");
    said
}

fn lent(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_client_knows_its_server_by_an_authority_or_by_a_fingerprint() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path(), "a", &["mail.example", "127.0.0.1"]);
    let other = certificate(folder.path(), "b", &["127.0.0.1"]);
    let named = certificate(folder.path(), "c", &["mail.example"]);
    let server = serving(&mail, &files, "", "");
    let address = tls_address(&server);
    let (authority, stranger) = (text(&files.certificate), text(&other.certificate));
    is_answered(address, &["-tls-ca", authority]);
    is_answered(address, &["--tls", "--tls-ca", authority, "--tls-name", "mail.example"]);
    is_answered(address, &["-tls-insecure"]);

    // The error tells the fingerprint, for who can compare it.
    let said = fails(address, &["-tls-ca", stranger], 76, "--tls-fingerprint");
    let shown = said.split_whitespace().find(|word| word.trim_end_matches(',').len() == 64);
    let shown = shown.unwrap().trim_end_matches(',');
    is_answered(address, &["-tls-fingerprint", shown]);
    let wrong = shown.chars().rev().collect::<String>();
    fails(address, &["-tls-fingerprint", &wrong], 76, "another server");
    fails(address, &["-tls-ca", authority, "-tls-name", "other.example"], 76, "--tls-name");
    fails(address, &["-tls-ca", "/nowhere"], 66, "/nowhere");
    // The authorities of the system do not know it, or there are none.
    let output = asks(address, &["-tls"]);
    assert!(matches!(output.status.code(), Some(66 | 76)), "{output:?}");

    let elsewhere = serving(&mail, &named, "", "");
    fails(tls_address(&elsewhere), &["-tls-ca", text(&named.certificate)], 76, "--tls-name");
}

#[test]
fn a_certificate_that_is_its_own_authority_vouches_for_itself_alone() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let files = authority(folder.path(), "a", &["127.0.0.1"]);
    let other = authority(folder.path(), "b", &["127.0.0.1"]);
    let server = serving(&mail, &files, "", "");
    let address = tls_address(&server);
    let itself = text(&files.certificate);
    is_answered(address, &["-tls-ca", itself]);
    fails(address, &["-tls-ca", itself, "-tls-name", "other.example"], 76, "--tls-name");
    fails(address, &["-tls-ca", text(&other.certificate)], 76, "--tls-fingerprint");
}

#[test]
fn who_mixes_up_the_ports_is_told_so() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path(), "a", &["127.0.0.1"]);
    let server = serving(&mail, &files, "", "");
    is_answered(server.peep_address(), &[]);
    fails(tls_address(&server), &[], 74, "use --tls");
    fails(server.peep_address(), &["-tls-insecure"], 76, "leave out --tls");
    // A password that was sent to a port of TLS is no login, and nothing else is either.
    let mut clear = Admin::connect(tls_address(&server));
    clear.says("a root secret");
    // The server of POP3 in TLS is another one: the protocols have names.
    let pop3s = Server::start(&mail, &["--tls-self-signed", "--pop3s-port", "0"]);
    fails(pop3s.pop3s_address(), &["-tls-insecure"], 76, "another protocol");
    is_answered(tls_address(&server), &["-tls-insecure"]);
}

#[test]
fn where_a_certificate_is_asked_for_a_password_is_not_enough() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path(), "a", &["127.0.0.1"]);
    let own = certificate(folder.path(), "own", &["admin"]);
    let stranger = certificate(folder.path(), "stranger", &["admin"]);
    let both = folder.path().join("both.pem");
    let whole = [fs::read(&own.certificate).unwrap(), fs::read(&own.key).unwrap()].concat();
    fs::write(&both, whole).unwrap();
    let authority = format!("client_ca = {:?}", own.certificate);
    let server = serving(&mail, &files, &authority, "require_certificate = true");
    let address = tls_address(&server);
    let certificate = |files: &Certificate| {
        ["-tls-insecure", "-tls-certificate", text(&files.certificate), "-tls-key", text(&files.key)]
            .map(str::to_owned)
    };
    let (mine, theirs) = (certificate(&own), certificate(&stranger));
    is_answered(address, &lent(&mine));
    is_answered(address, &["-tls-insecure", "-tls-certificate", text(&both)]);
    fails(address, &["-tls-insecure"], 77, "--tls-certificate");
    fails(address, &lent(&theirs), 77, "does not take your certificate");
    // It is no login by itself.
    let words = ["-pass", "wrong"];
    let output = Command::new(peepclient())
        .args(["-address", "127.0.0.1", "-port", &address.port().to_string(), "-user", "root"])
        .args(words)
        .args(&mine)
        .arg("users")
        .output();
    assert_eq!(output.unwrap().status.code(), Some(77));
    // By the port without TLS a password is enough, as the configuration says.
    is_answered(server.peep_address(), &[]);
}

#[test]
fn a_renewed_certificate_is_shown_to_administrators_too() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path(), "a", &["127.0.0.1"]);
    let before = folder.path().join("before");
    fs::copy(&files.certificate, &before).unwrap();
    let server = serving(&mail, &files, "", "");
    is_answered(tls_address(&server), &["-tls-ca", text(&before)]);
    let files = certificate(folder.path(), "a", &["127.0.0.1"]);
    Admin::of(&server).says("cf").hears("+");
    is_answered(tls_address(&server), &["-tls-ca", text(&files.certificate)]);
    fails(tls_address(&server), &["-tls-ca", text(&before)], 76, "--tls-ca");
}

#[test]
fn octets_that_are_no_tls_cost_their_connection_and_no_other() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path(), "a", &["127.0.0.1"]);
    let server = serving(&mail, &files, "", "");
    let address = tls_address(&server);
    let mut held = Vec::new();
    for octets in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xFF, 0xFF], &[0x80; 20_000], &[0x16, 3, 1, 0, 1]]
    {
        let mut client = Client::silent(address);
        // It may have hung up before all is said.
        let _ = client.try_send(octets);
        held.push(client);
    }
    is_answered(address, &["-tls-insecure"]);
    Client::login(server.address(), "user").says("QUIT").hears("+OK");
}

#[test]
fn what_cannot_be_is_named_with_its_place() {
    let mail = Mail::maildir("user", &["x\n"]);
    for (config, words) in [
        ("[peep]\ntls_listen = [\"127.0.0.1:0\"]\n", ":2:14: there is no certificate"),
        ("[tls]\nclient_ca = \"/nonexistent\"\n", ":2:13: there is no certificate"),
        ("[peep]\nrequire_certificate = true\n", ":2:23: nobody vouches"),
    ] {
        let (status, said) = checked(&mail, config);
        assert!(!status.success() && said.contains(words), "{said}");
    }
}

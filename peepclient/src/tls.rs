//! TLS to a server: what its certificate is held against, and what a failure means for whoever sits there.

use std::fmt::Write as _;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    RootCertStore, SignatureScheme, StreamOwned,
};
use sha2::{Digest, Sha256};

use crate::exit::Exit;

/// The name of PEEP in ALPN, so that no other protocol's server takes this client for one of its own.
const ALPN: &[u8] = b"peep";

/// A connection in TLS.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// The SHA-256 of a certificate.
pub(crate) type Fingerprint = [u8; 32];

/// What TLS is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tls {
    pub(crate) trust: Trust,
    /// The name that the certificate has to have; none: that of the host.
    pub(crate) name: Option<String>,
    /// Files of a certificate and its key, for servers that ask who comes.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

/// Which server is the right one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Trust {
    /// Whom the authorities of this system vouch for.
    System,
    /// Whom the authorities of a file vouch for.
    Authorities(PathBuf),
    /// That with this certificate, whatever its name.
    Fingerprint(Fingerprint),
    /// Whoever answers.
    Anybody,
}

/// Reads a fingerprint as `openssl x509 -fingerprint -sha256` writes it, with or without colons.
pub(crate) fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let digits: Vec<_> = text.bytes().filter(|octet| *octet != b':').collect();
    let wrong = || "a fingerprint is a SHA-256: 64 hexadecimal digits, with or without colons".to_owned();
    let mut octets = [0; 32];
    if digits.len() != 2 * octets.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *octet = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(octets)
}

impl Tls {
    /// Does a handshake. `target` is what the user calls the server.
    pub(crate) fn connect(&self, stream: TcpStream, host: &str, target: &str) -> Result<TlsStream, Exit> {
        let name = self.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Exit::Usage(format!("\"{name}\" is no name of a host; say one by --tls-name")))?;
        let judge = Arc::new(Judge::new(&self.trust)?);
        let config = self.config(Arc::clone(&judge))?;
        let failed = |error: Error| Exit::System(format!("no TLS: {error}"));
        let tls = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
        let mut stream = StreamOwned::new(tls, stream);
        while stream.conn.is_handshaking() {
            if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
                return Err(explain(&error, target, &judge.shown()).unwrap_or_else(|| {
                    Exit::Unavailable(format!(
                        "{target} ends the handshake of TLS: {error}; check that PEEP is in TLS there (tls_listen)"
                    ))
                }));
            }
        }
        Ok(stream)
    }

    fn config(&self, judge: Arc<Judge>) -> Result<ClientConfig, Exit> {
        let failed = |error: Error| Exit::System(format!("no TLS: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&judge.provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(judge);
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, &error))?;
                let used = builder.with_client_auth_cert(certificates(certificate)?, secret);
                used.map_err(|error| {
                    let certificate = certificate.display();
                    Exit::NoInput(format!(
                        "the certificate {certificate} and its key cannot be used: {error}"
                    ))
                })?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Exit> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unread(path, &error))?;
    if found.is_empty() {
        return Err(Exit::NoInput(format!(
            "there is no certificate in {}; it has to be PEM",
            path.display()
        )));
    }
    Ok(found)
}

fn unread(path: &Path, error: &dyn std::error::Error) -> Exit {
    Exit::NoInput(format!("cannot read {} as PEM: {error}", path.display()))
}

/// What a failure of TLS means, where it is one that the user can do something about. `shown`: the fingerprint of the
/// certificate that the server has shown.
pub(crate) fn explain(error: &io::Error, target: &str, shown: &str) -> Option<Exit> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let text = match error {
        Error::InvalidCertificate(why) => match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate of {target} is for another name; say for which by --tls-name")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {target} has expired; renew it")
            }
            CertificateError::ApplicationVerificationFailure => {
                format!("{target} is another server: its certificate has the fingerprint {shown}")
            }
            _ => format!(
                "nobody known here vouches for the certificate of {target} ({why}); name who does by --tls-ca, or, if \
                 you know that its fingerprint is {shown}, say so by --tls-fingerprint"
            ),
        },
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            return Some(Exit::NotPermitted(format!(
                "{target} lets in only who has a certificate; name yours by --tls-certificate and --tls-key"
            )));
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError,
        ) => {
            return Some(Exit::NotPermitted(format!(
                "{target} does not take your certificate: {error}; check --tls-certificate"
            )));
        }
        Error::InvalidMessage(_) => {
            format!("{target} does not speak TLS; leave out --tls, or name the port of tls_listen by --port")
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            format!("{target} speaks another protocol in TLS; check the port")
        }
        _ => return None,
    };
    Some(Exit::NotPeep(text))
}

/// Holds a server's certificate against what is trusted, and remembers its fingerprint for whoever is told that it failed.
#[derive(Debug)]
struct Judge {
    provider: Arc<CryptoProvider>,
    measure: Measure,
    shown: Mutex<String>,
}

#[derive(Debug)]
enum Measure {
    /// The certificates that were named, beside who judges by them.
    Authorities(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>),
    Fingerprint(Fingerprint),
    Nothing,
}

/// Whether a certificate fails for what it is good for alone. Whoever names that very certificate means it for this
/// server: one that openssl has made to be its own is an authority's as well. Its time has been looked at before.
fn is_for_another_use(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(_)))
}

impl Judge {
    fn new(trust: &Trust) -> Result<Self, Exit> {
        let provider = Arc::new(ring::default_provider());
        let authorities = |roots: RootCertStore, named| {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            verifier.build().map(|verifier| Measure::Authorities(verifier, named))
        };
        let none = |where_from: &str| {
            Exit::NoInput(format!(
                "there is no authority that can be used in {where_from}; name some by --tls-ca"
            ))
        };
        let mut roots = RootCertStore::empty();
        let measure = match trust {
            Trust::System => {
                // Those that cannot be read vouch for nobody; that there are others is enough.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                authorities(roots, Vec::new()).map_err(|_| none("this system"))?
            }
            Trust::Authorities(path) => {
                let named = certificates(path)?;
                roots.add_parsable_certificates(named.iter().cloned());
                authorities(roots, named).map_err(|_| none(&path.display().to_string()))?
            }
            Trust::Fingerprint(fingerprint) => Measure::Fingerprint(*fingerprint),
            Trust::Anybody => Measure::Nothing,
        };
        Ok(Self { provider, measure, shown: Mutex::default() })
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        further: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found: Fingerprint = Sha256::digest(certificate).into();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = hexadecimal(&found);
        match &self.measure {
            Measure::Authorities(verifier, named) => {
                match verifier.verify_server_cert(certificate, further, name, ocsp, now) {
                    Err(error) if is_for_another_use(&error) && named.contains(certificate) => {
                        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                        Ok(ServerCertVerified::assertion())
                    }
                    judged => judged,
                }
            }
            Measure::Fingerprint(expected) if *expected != found => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            Measure::Fingerprint(_) | Measure::Nothing => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_writes_it() {
        let plain = "00ff".repeat(16);
        let read = fingerprint(&plain).unwrap();
        assert_eq!((read[0], read[1], hexadecimal(&read)), (0, 255, plain.clone()));
        let colons = vec!["00:FF"; 16].join(":");
        assert_eq!(fingerprint(&colons), Ok(read));
        for wrong in
            ["", "00", &plain[1..], &format!("{plain}0"), &plain.replace('f', "g"), &plain.replace('0', "+")]
        {
            assert!(fingerprint(wrong).is_err(), "{wrong}");
        }
    }
}

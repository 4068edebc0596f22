//! Certificates and their keys: read from files, checked, and chosen by the name that a client asks for (RFC 6066, section
//! 3).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// Longest file of a certificate chain or a key, in octets.
const FILE_MAX: u64 = 1 << 20;

/// A certificate with what leads to its authority, and its key.
#[derive(Clone)]
pub struct Pair {
    pub(super) key: Arc<CertifiedKey>,
}

/// Why two files are no certificate and its key.
#[derive(Debug)]
pub struct PairError {
    /// The file that is wrong.
    path: PathBuf,
    what: String,
}

impl fmt::Display for PairError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for PairError {}

impl Pair {
    /// Reads two files of PEM: a certificate, behind it what leads to its authority, and its key. They may be one file.
    ///
    /// # Errors
    /// Where one cannot be read or understood, or the key is not that of the certificate.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, PairError> {
        let wrong = |path: &Path, what: String| PairError { path: path.to_owned(), what };
        let read = |path: &Path| read(path).map_err(|error| wrong(path, format!("cannot be read: {error}")));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(certificate, format!("no PEM: {error}")))?;
        if chain.is_empty() {
            return Err(wrong(certificate, "no certificate in it; write it as PEM".to_owned()));
        }
        let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|_| wrong(key, "no private key in it; write it as PEM, and not encrypted".to_owned()))?;
        Self::new(chain, secret).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong(key, format!("not the key of the certificate in {}", certificate.display()))
            }
            rustls::Error::InvalidCertificate(error) => {
                wrong(certificate, format!("no certificate that can be used: {error:?}"))
            }
            error => wrong(key, format!("no key that can be used: {error}")),
        })
    }

    /// A chain and its key, in memory.
    ///
    /// # Errors
    /// Where the key cannot be used, or is not that of the first certificate.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        Ok(Self { key: Arc::new(key) })
    }

    /// Whether a client that asks for this name is content with the certificate.
    fn is_of(&self, name: &ServerName<'_>) -> bool {
        let certificate = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
        certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
    }
}

/// The octets of a file; they may be a key.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::default();
    let count = File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut octets)?;
    if u64::try_from(count).is_ok_and(|count| count > FILE_MAX) {
        return Err(io::Error::other(format!("it has more than {FILE_MAX} octets")));
    }
    Ok(octets)
}

/// Those that a server has: at least one.
pub(super) struct Certificates {
    pairs: Vec<Pair>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} certificates", self.pairs.len())
    }
}

impl Certificates {
    /// None: there is none.
    pub(super) fn new(pairs: Vec<Pair>) -> Option<Self> {
        (!pairs.is_empty()).then_some(Self { pairs })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let of_name = name.and_then(|name| self.pairs.iter().find(|pair| pair.is_of(&name)));
        of_name.or(self.pairs.first()).map(|pair| Arc::clone(&pair.key))
    }
}

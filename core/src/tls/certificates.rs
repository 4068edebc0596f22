//! Certificates and their keys: read from files, checked, read again once the files are others, and chosen by the name that a
//! client asks for (RFC 6066, section 3).

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use log::{info, warn};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::regular_file;
use crate::state::what_to_raise;

/// Longest file of a certificate chain or a key, in octets.
const FILE_MAX: u64 = 1 << 20;

const DAY: i64 = 86_400;

/// A certificate with what leads to its authority, and its key. Clones are the same pair: one that is renewed is so for all.
#[derive(Clone)]
pub struct Pair(Arc<Inner>);

struct Inner {
    key: ArcSwap<CertifiedKey>,
    /// None: it came from memory.
    files: Option<Files>,
}

/// Where a pair comes from.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    seen: Seen<[Option<Stamp>; 2]>,
}

/// Which files were last looked at, whatever came of it.
pub(super) struct Seen<Stamps>(Mutex<Look<Stamps>>);

struct Look<Stamps> {
    stamps: Stamps,
    /// They could not be read, which may pass without a change of theirs.
    is_to_be_tried_again: bool,
}

/// Device, inode, length and time of change of a file: of its content, and of who may read it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp(u64, u64, u64, i64, i64);

/// Why two files are no certificate and its key.
#[derive(Debug)]
pub struct PairError {
    /// The file that is wrong.
    path: PathBuf,
    what: String,
    /// It could not be read.
    is_unread: bool,
}

impl fmt::Display for PairError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for PairError {}

impl PairError {
    pub(super) fn new(path: &Path, what: String) -> Self {
        Self { path: path.to_owned(), what, is_unread: false }
    }

    /// A file could not be read.
    pub(super) fn unread(path: &Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "let the user read it whom the server serves as",
            io::ErrorKind::NotFound => "put it there, or name another file",
            _ => what_to_raise(error).unwrap_or("name a file of PEM"),
        };
        Self { is_unread: true, ..Self::new(path, format!("cannot be read: {error}; {advice}")) }
    }
}

impl<Stamps: PartialEq> Seen<Stamps> {
    pub(super) fn new(stamps: Stamps) -> Self {
        Self(Mutex::new(Look { stamps, is_to_be_tried_again: false }))
    }

    /// What is read of files that are others than before, or could not be read then; none: there are none, or they cannot be
    /// used, of which the log tells once: `kept`, and why.
    pub(super) fn read_again<T>(
        &self,
        stamps: Stamps,
        kept: &str,
        read: impl FnOnce() -> Result<T, PairError>,
    ) -> Option<T> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let are_others = last.stamps != stamps;
        if !are_others && !last.is_to_be_tried_again {
            return None;
        }
        let found = read();
        let is_to_be_tried_again = found.as_ref().is_err_and(|error| error.is_unread);
        *last = Look { stamps, is_to_be_tried_again };
        if let Err(error) = &found
            && (are_others || !error.is_unread)
        {
            warn!(target: "pop3d", "{kept}: {error}");
        }
        found.ok()
    }
}

impl Pair {
    /// Reads two files of PEM: a certificate, behind it what leads to its authority, and its key. They may be one file.
    ///
    /// # Errors
    /// Where one cannot be read or understood, or the key is not that of the certificate.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, PairError> {
        // Before they are read: what changes in the meantime is noticed later.
        let seen = Seen::new([certificate, key].map(stamp));
        let pair = read_pair(certificate, key)?;
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned(), seen };
        Ok(Self(Arc::new(Inner { key: ArcSwap::from_pointee(pair), files: Some(files) })))
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
        Ok(Self(Arc::new(Inner { key: ArcSwap::from_pointee(key), files: None })))
    }

    /// Reads the files again where they are others than before. Those that cannot be used leave what is there, and the log says
    /// so once. Waits for the disk.
    pub(super) fn renew(&self) {
        let Some(files) = &self.0.files else { return };
        let Files { certificate, key, seen } = files;
        let stamps = [certificate, key].map(|path| stamp(path));
        // One of two that are replaced one after the other is no pair, as a rule.
        let pair = seen.read_again(stamps, "the certificate in use stays", || read_pair(certificate, key));
        let Some(pair) = pair else { return };
        let before = self.0.key.swap(Arc::new(pair));
        // Somebody else may read the same one.
        if before.cert != self.key().cert {
            info!(target: "pop3d", "the certificate in {} was renewed", certificate.display());
        }
    }

    /// The pair as it is now.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.0.key.load_full()
    }

    /// Whole days until the certificate expires, less than 0 where it has; none: it does not say so in a form that is understood.
    pub(super) fn days_left(&self) -> Option<i64> {
        let key = self.key();
        let (_, certificate) = parse_x509_certificate(key.end_entity_cert().ok()?).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let left = certificate.validity().not_after.timestamp() - i64::try_from(now).ok()?;
        Some(left.div_euclid(DAY))
    }

    /// Whether a client that asks for this name is content with the certificate.
    fn is_of(&self, name: &ServerName<'_>) -> bool {
        let key = self.0.key.load();
        let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
        certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
    }
}

/// That of a file as it is now; none: there is none that can be looked at.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some(Stamp(file.dev(), file.ino(), file.len(), file.ctime(), file.ctime_nsec()))
}

fn read_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, PairError> {
    let wrong = PairError::new;
    let read = |path: &Path| read(path).map_err(|error| PairError::unread(path, &error));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(certificate, format!("no PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "no certificate in it; write it as PEM".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| wrong(key, "no private key in it; write it as PEM, and not encrypted".to_owned()))?;
    CertifiedKey::from_der(chain, secret, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => wrong(
            key,
            format!("not the key of the certificate in {}; name the one that is", certificate.display()),
        ),
        rustls::Error::InvalidCertificate(error) => {
            wrong(certificate, format!("no certificate that can be used: {error:?}"))
        }
        error => wrong(key, format!("no key that can be used: {error}")),
    })
}

/// The octets of a file; they may be a key.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::default();
    let count = regular_file::open(path)?.take(FILE_MAX + 1).read_to_end(&mut octets)?;
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

    pub(super) fn pairs(&self) -> &[Pair] {
        &self.pairs
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let of_name = name.and_then(|name| self.pairs.iter().find(|pair| pair.is_of(&name)));
        of_name.or(self.pairs.first()).map(Pair::key)
    }
}

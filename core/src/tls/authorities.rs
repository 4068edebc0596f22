//! Certificates of clients: who vouches for them, and whose they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use log::info;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::TlsError;
use super::certificates::{PairError, Seen, Stamp, read, stamp};
use crate::accounts::UserName;

/// Who vouches for clients.
pub struct Authorities {
    roots: ArcSwap<RootCertStore>,
    path: PathBuf,
    seen: Seen<Option<Stamp>>,
}

impl Authorities {
    /// Reads a file of PEM with their certificates.
    ///
    /// # Errors
    /// Where it cannot be read, or has none that can be used.
    pub fn read(path: &Path) -> Result<Self, PairError> {
        // Before it is read: what changes in the meantime is noticed later.
        let seen = Seen::new(stamp(path));
        let roots = ArcSwap::from_pointee(Self::read_roots(path)?);
        Ok(Self { roots, path: path.to_owned(), seen })
    }

    fn read_roots(path: &Path) -> Result<RootCertStore, PairError> {
        let wrong = |what: String| PairError::new(path, what);
        let octets = read(path).map_err(|error| PairError::unread(path, &error))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&octets) {
            let certificate = certificate.map_err(|error| wrong(format!("no PEM: {error}")))?;
            roots
                .add(certificate)
                .map_err(|error| wrong(format!("no authority that can be used: {error}")))?;
        }
        if roots.is_empty() {
            return Err(wrong("no certificate in it; write it as PEM".to_owned()));
        }
        Ok(roots)
    }

    /// Reads the file again where it is another than before, and tells whether there are others by it. One that cannot be used
    /// leaves those that are there, and the log says so once. Waits for the disk.
    pub(super) fn renew(&self) -> bool {
        let read = || Self::read_roots(&self.path);
        let roots = self.seen.read_again(stamp(&self.path), "the authorities in use stay", read);
        let Some(roots) = roots.filter(|roots| roots.roots != self.roots.load().roots) else { return false };
        self.roots.store(Arc::new(roots));
        info!(target: "pop3d", "the authorities in {} were renewed", self.path.display());
        true
    }

    /// Asks for a certificate, and lets those in who have none, for they have passwords, unless they have to have one.
    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
        has_to: bool,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let builder = WebPkiClientVerifier::builder_with_provider(self.roots.load_full(), provider);
        let builder = if has_to { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| TlsError(error.to_string()))
    }
}

/// Whose certificate it is, as it says: its addresses of mail, then the common name. Those that are no names of users are
/// left out.
pub(super) fn users(certificate: &CertificateDer<'_>) -> Vec<UserName> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else { return Vec::new() };
    let names = certificate.subject_alternative_name().ok().flatten();
    let addresses = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::RFC822Name(address) => Some(*address),
        _ => None,
    });
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    addresses.chain(common).filter_map(|name| UserName::parse(name.as_bytes())).collect()
}

//! `[tls]`: certificates, what is spoken, and who has to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use pop3d_core::nets::Nets;
use pop3d_core::tls::{Authorities, Clear, Pair, Tls, TlsOptions, Version};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::Deserialize;
use toml::Spanned;

use super::File;
use super::values::{Address, NetText};
use crate::cli::Cli;
use crate::exit::Exit;

/// The table as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// A certificate and what leads to its authority, as PEM.
    certificate: Option<Spanned<PathBuf>>,
    /// Its key, as PEM.
    key: Option<Spanned<PathBuf>>,
    /// Further certificates, for clients that ask for their names.
    #[serde(default)]
    sni: Vec<PairTable>,
    min_version: Option<MinVersion>,
    /// Where clients begin with TLS.
    pub(crate) listen: Option<Spanned<Vec<Spanned<Address>>>>,
    /// What has to wait for TLS.
    require_tls: Option<Spanned<Required>>,
    /// Who vouches for clients, as PEM.
    client_ca: Option<Spanned<PathBuf>>,
    /// Who may log in without TLS where logins have to wait for it.
    cleartext_nets: Option<Vec<NetText>>,
}

impl Table {
    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let sni = self.sni.iter().flat_map(|pair| [Some(&pair.certificate), pair.key.as_ref()]);
        let files = [self.certificate.as_ref(), self.key.as_ref(), self.client_ca.as_ref()];
        files.into_iter().chain(sni).flatten().map(|file| file.as_ref().as_path())
    }
}

/// `[[tls.sni]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PairTable {
    certificate: Spanned<PathBuf>,
    key: Option<Spanned<PathBuf>>,
}

/// `min_version`.
#[derive(Clone, Copy, Debug, Deserialize)]
enum MinVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// `require_tls`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Required {
    Nothing,
    Login,
}

/// The TLS of command line and file; none: no certificate is named.
///
/// # Errors
/// Where a certificate cannot be used, or something is asked for that needs one.
pub(crate) fn tls(cli: &Cli, file: &File) -> Result<Option<Arc<Tls>>, Exit> {
    let table = &file.config.tls;
    let pairs = pairs(cli, file)?;
    let required = table.require_tls.as_ref().filter(|required| *required.as_ref() == Required::Login);
    let nets = table.cleartext_nets.as_ref();
    let nets = nets.map_or_else(Nets::loopback, |nets| nets.iter().map(|net| net.0).collect());
    let clear = if required.is_some() { Clear::From(nets) } else { Clear::Everybody };
    let peep = &file.config.peep;
    let need = peep.require_certificate.as_ref().filter(|need| *need.as_ref());
    if let (Some(need), None) = (need, &table.client_ca) {
        let what =
            "nobody vouches for the certificates of administrators; name who does by client_ca in [tls]";
        return Err(file.error(need.span(), what));
    }
    if pairs.is_empty() {
        let listens = [&table.listen, &peep.tls_listen].into_iter().flatten().map(|it| it.span());
        let authorities = table.client_ca.as_ref().map(Spanned::span);
        let place = required.map(|it| it.span()).into_iter().chain(listens).chain(authorities).next();
        return match place {
            Some(place) => Err(file.error(place, NO_CERTIFICATE)),
            None if cli.pop3s_port.is_some() => Err(Exit::Usage(format!("--pop3s-port: {NO_CERTIFICATE}"))),
            None => Ok(None),
        };
    }
    let minimum = match table.min_version {
        None | Some(MinVersion::Tls12) => Version::Tls12,
        Some(MinVersion::Tls13) => Version::Tls13,
    };
    let authorities = table.client_ca.as_ref().map(|path| {
        Authorities::read(path.as_ref()).map_err(|error| file.error(path.span(), &error.to_string()))
    });
    let authorities = authorities.transpose()?;
    let tls =
        Tls::new(TlsOptions { pairs, minimum, clear, authorities, administrators_need_one: need.is_some() });
    tls.map(|tls| Some(Arc::new(tls))).map_err(|error| Exit::Config(format!("[tls]: {error}")))
}

const NO_CERTIFICATE: &str =
    "there is no certificate; name one by certificate and key in [tls], or try --tls-self-signed";

fn pairs(cli: &Cli, file: &File) -> Result<Vec<Pair>, Exit> {
    let table = &file.config.tls;
    let read = |certificate: &Spanned<PathBuf>, key: &Option<Spanned<PathBuf>>| {
        // They may be one file.
        let key = key.as_ref().unwrap_or(certificate);
        let pair = Pair::read(certificate.as_ref(), key.as_ref());
        pair.map_err(|error| file.error(certificate.span(), &error.to_string()))
    };
    match (&table.certificate, &table.key) {
        (Some(certificate), key) => {
            let further = table.sni.iter().map(|pair| read(&pair.certificate, &pair.key));
            std::iter::once_with(|| read(certificate, key)).chain(further).collect()
        }
        _ if !table.sni.is_empty() => {
            let place = table.sni[0].certificate.span();
            Err(file.error(place, "no certificate for who asks for no name; name it by certificate in [tls]"))
        }
        (None, Some(key)) => {
            Err(file.error(key.span(), "a key without a certificate; name it by certificate"))
        }
        (None, None) if cli.tls_self_signed => Ok(vec![self_signed()?]),
        (None, None) => Ok(Vec::new()),
    }
}

/// How long a certificate for trials is valid: some clients take none of more than 398 days.
const VALIDITY: Duration = Duration::from_secs(397 * 86_400);

/// How far the clock of a client may be behind.
const CLOCKS_DIFFER: Duration = Duration::from_secs(86_400);

/// A certificate that nobody vouches for, of the names of this machine; the same as long as the process runs.
fn self_signed() -> Result<Pair, Exit> {
    static MADE: OnceLock<Result<Pair, String>> = OnceLock::new();
    let make = || {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let names = vec![host, "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let failed = |error: rcgen::Error| error.to_string();
        let mut parameters = CertificateParams::new(names).map_err(failed)?;
        let now = SystemTime::now();
        (parameters.not_before, parameters.not_after) =
            ((now - CLOCKS_DIFFER).into(), (now + VALIDITY).into());
        let key = KeyPair::generate().map_err(failed)?;
        let made = parameters.self_signed(&key).map_err(failed)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Pair::new(vec![made.der().clone()], key.into()).map_err(|error| error.to_string())
    };
    let made = MADE.get_or_init(make).clone();
    made.map_err(|error| Exit::System(format!("cannot make a certificate: {error}")))
}

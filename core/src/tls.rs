//! TLS as it is configured: certificates, versions, and whose logins wait for it (RFC 8446, RFC 5246; RFC 2595 and RFC
//! 8314 for what POP3 does with it). One connection's TLS is in `tls/channel.rs`.

mod authorities;
mod certificates;
mod channel;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use log::warn;
use rustls::SupportedProtocolVersion;
use rustls::crypto::ring;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::version::{TLS12, TLS13};

use crate::accounts::UserName;
use crate::nets::Nets;

pub use self::authorities::Authorities;
use self::certificates::Certificates;
pub use self::certificates::{Pair, PairError};
pub(crate) use self::channel::Channel;

/// The name of POP3 in ALPN (RFC 7301).
const ALPN: &[u8] = b"pop3";

/// The name of PEEP in ALPN: nobody can have a client of one protocol talk to the other.
const ALPN_PEEP: &[u8] = b"peep";

/// What TLS is to be.
pub struct TlsOptions {
    /// Certificates with their keys. A client gets the first one that is of the name that it asks for (SNI), else the first.
    pub pairs: Vec<Pair>,
    /// The oldest version that is spoken.
    pub minimum: Version,
    /// Who may log in without TLS.
    pub clear: Clear,
    /// Who vouches for clients; none: no client is asked for a certificate.
    pub authorities: Option<Authorities>,
    /// Whether administrators who come by TLS must have a certificate of these authorities.
    pub administrators_need_one: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Who may log in without TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Clear {
    /// Whoever likes to.
    Everybody,
    /// Who comes from one of these.
    From(Nets),
}

/// TLS, ready to be served.
pub struct Tls {
    served: ArcSwap<Served>,
    certificates: Arc<Certificates>,
    minimum: Version,
    authorities: Option<Authorities>,
    administrators_need_one: bool,
    clear: Clear,
}

/// What is served, to the clients of each protocol.
struct Served {
    pop3: Arc<ServerConfig>,
    peep: Arc<ServerConfig>,
    /// Who vouches for clients; none: nobody does.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Served {
    /// With the authorities as they are now.
    fn new(
        certificates: &Arc<Certificates>,
        minimum: Version,
        authorities: Option<&Authorities>,
        administrators_need_one: bool,
    ) -> Result<Self, TlsError> {
        let versions: &[_] = match minimum {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let config = |protocol: &[u8], has_to: bool| {
            let resolver = Arc::clone(certificates) as Arc<dyn ResolvesServerCert>;
            config(versions, protocol, authorities, has_to, resolver)
        };
        let verifier = authorities.map(|it| it.verifier(Arc::new(ring::default_provider()), false));
        Ok(Self {
            pop3: config(ALPN, false)?,
            peep: config(ALPN_PEEP, administrators_need_one)?,
            verifier: verifier.transpose()?,
        })
    }
}

/// Why there can be no TLS with some options.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

impl Tls {
    /// Makes TLS of these options.
    ///
    /// # Errors
    /// Where there is no certificate, or no randomness; where administrators need one that nobody vouches for.
    pub fn new(options: TlsOptions) -> Result<Self, TlsError> {
        let TlsOptions { pairs, minimum, clear, authorities, administrators_need_one } = options;
        let certificates =
            Certificates::new(pairs).ok_or_else(|| TlsError("there is no certificate".to_owned()))?;
        let certificates = Arc::new(certificates);
        if administrators_need_one && authorities.is_none() {
            return Err(TlsError("nobody vouches for the certificates of administrators".to_owned()));
        }
        let served = Served::new(&certificates, minimum, authorities.as_ref(), administrators_need_one)?;
        let served = ArcSwap::from_pointee(served);
        Ok(Self { served, certificates, minimum, authorities, administrators_need_one, clear })
    }

    /// What the clients of POP3 are served.
    pub(crate) fn pop3(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.served.load().pop3)
    }

    /// The same for administrators.
    pub(crate) fn peep(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.served.load().peep)
    }

    /// Whom a client's certificate names, where somebody vouches for it at this moment. Who did at the handshake may be trusted no
    /// more, the certificate may have expired since, and where a session was resumed nobody has looked at all.
    pub(crate) fn users(&self, channel: &Channel) -> Vec<UserName> {
        let served = self.served.load();
        let (Some(verifier), [certificate, others @ ..]) = (&served.verifier, channel.certificates()) else {
            return Vec::new();
        };
        let verified = verifier.verify_client_cert(certificate, others, UnixTime::now());
        verified.map(|_| authorities::users(certificate)).unwrap_or_default()
    }

    /// Reads those certificates again, and those of the authorities, whose files are others than before. Waits for the disk.
    pub(crate) fn renew(&self) {
        for pair in self.certificates.pairs() {
            pair.renew();
        }
        let Some(authorities) = self.authorities.as_ref().filter(|authorities| authorities.renew()) else {
            return;
        };
        // With tickets of its own: a session that is resumed is not verified again.
        match Served::new(&self.certificates, self.minimum, Some(authorities), self.administrators_need_one) {
            Ok(served) => self.served.store(Arc::new(served)),
            Err(error) => warn!(target: "pop3d", "the authorities in use stay: {error}"),
        }
    }

    /// Whole days until each certificate expires, by their numbers from 1; less than 0: it has.
    pub(crate) fn days_left(&self) -> impl Iterator<Item = (usize, i64)> {
        let pairs = (1..).zip(self.certificates.pairs());
        pairs.filter_map(|(number, pair)| Some((number, pair.days_left()?)))
    }

    /// Whether a login from there has to wait for TLS.
    pub(crate) fn is_required(&self, address: IpAddr) -> bool {
        match &self.clear {
            Clear::Everybody => false,
            Clear::From(nets) => !nets.contains(address),
        }
    }
}

/// What is served to the clients of one protocol. `has_to`: whether they must have a certificate.
fn config(
    versions: &[&'static SupportedProtocolVersion],
    protocol: &[u8],
    authorities: Option<&Authorities>,
    has_to: bool,
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |error: rustls::Error| TlsError(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).map_err(wrong)?;
    let builder = match authorities {
        Some(authorities) => builder.with_client_cert_verifier(authorities.verifier(provider, has_to)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = vec![protocol.to_vec()];
    // Of the suites that both know the one that stands first here: what a client prefers may be what is weakest.
    config.ignore_client_order = true;
    // Sessions are resumed by what the client keeps: nothing is kept here for those that do not come back.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if has_to {
        // One that is resumed is not verified again, and is as good as the certificate was.
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = ring::Ticketer::new().map_err(wrong)?;
    }
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;

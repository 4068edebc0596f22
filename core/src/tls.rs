//! TLS as it is configured: certificates, versions, and whose logins wait for it (RFC 8446, RFC 5246; RFC 2595 and RFC
//! 8314 for what POP3 does with it). One connection's TLS is in `tls/channel.rs`.

mod certificates;
mod channel;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::crypto::ring;
use rustls::server::ServerConfig;
use rustls::version::{TLS12, TLS13};

use self::certificates::Certificates;
pub use self::certificates::{Pair, PairError};
pub(crate) use self::channel::Channel;

/// The name of POP3 in ALPN (RFC 7301).
const ALPN: &[u8] = b"pop3";

/// What TLS is to be.
pub struct TlsOptions {
    /// Certificates with their keys. A client gets the first one that is of the name that it asks for (SNI), else the first.
    pub pairs: Vec<Pair>,
    /// The oldest version that is spoken.
    pub minimum: Version,
    /// Who may log in without TLS.
    pub clear: Clear,
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
    From(Vec<IpNet>),
}

/// TLS, ready to be served.
pub struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    clear: Clear,
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
    /// Where there is no certificate, or no randomness.
    pub fn new(options: TlsOptions) -> Result<Self, TlsError> {
        let TlsOptions { pairs, minimum, clear } = options;
        let certificates =
            Certificates::new(pairs).ok_or_else(|| TlsError("there is no certificate".to_owned()))?;
        let versions: &[_] = match minimum {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let wrong = |error: rustls::Error| TlsError(error.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).map_err(wrong)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Sessions are resumed by what the client keeps: nothing is kept here for those that do not come back.
        config.ticketer = ring::Ticketer::new().map_err(wrong)?;
        Ok(Self { config: Arc::new(config), clear })
    }

    /// Whether a login from there has to wait for TLS.
    pub(crate) fn is_required(&self, address: IpAddr) -> bool {
        match &self.clear {
            Clear::Everybody => false,
            Clear::From(nets) => !nets.iter().any(|net| net.contains(&address.to_canonical())),
        }
    }
}

#[cfg(test)]
mod tests;

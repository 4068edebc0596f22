//! A client's TLS, and certificates for servers.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pop3d_trusting::trusting;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned, SupportedProtocolVersion};

/// A socket, or TLS on one.
pub enum Wire {
    /// The socket alone.
    Plain(TcpStream),
    /// TLS on it.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Does a handshake, with whatever certificate the server has.
    ///
    /// # Errors
    /// Where the server ends it.
    pub fn start_tls(&mut self) -> io::Result<()> {
        self.start_tls_with(config(rustls::ALL_VERSIONS), "localhost")
    }

    /// The same, as it is configured and for this name.
    ///
    /// # Errors
    /// Where the server ends it.
    pub fn start_tls_with(&mut self, config: ClientConfig, name: &str) -> io::Result<()> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, self.socket().try_clone()?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        *self = Self::Tls(Box::new(stream));
        Ok(())
    }

    /// The TLS that there is.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn tls(&self) -> &ClientConnection {
        match self {
            Self::Plain(_) => panic!("there is no TLS"),
            Self::Tls(stream) => &stream.conn,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(room),
            Self::Tls(stream) => stream.read(room),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A client that speaks these versions and takes whatever certificate there is.
///
/// # Panics
/// Where rustls cannot speak them.
#[must_use]
pub fn config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    trusting(ring::default_provider(), versions).unwrap().with_no_client_auth()
}

/// A certificate for a server, as two files.
pub struct Certificate {
    /// The certificate, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
    /// The certificate's octets.
    pub octets: CertificateDer<'static>,
}

/// Makes a certificate of these names as `name.crt` and `name.key`. What is there already is replaced as a renewal does it.
///
/// # Panics
/// Where it cannot be made.
#[must_use]
pub fn certificate(folder: &Path, name: &str, names: &[&str]) -> Certificate {
    made(folder, name, names, rcgen::IsCa::NoCa)
}

/// The same, of a certificate that is its own authority, as `openssl req -x509` makes it.
///
/// # Panics
/// Where it cannot be made.
#[must_use]
pub fn authority(folder: &Path, name: &str, names: &[&str]) -> Certificate {
    made(folder, name, names, rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained))
}

fn made(folder: &Path, name: &str, names: &[&str], is_ca: rcgen::IsCa) -> Certificate {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut asked = rcgen::CertificateParams::new(names).unwrap();
    asked.is_ca = is_ca;
    let key = rcgen::KeyPair::generate().unwrap();
    let made = asked.self_signed(&key).unwrap();
    let write = |name: String, text: String| {
        let (temporary, path) = (folder.join(format!(".{name}")), folder.join(name));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, &path).unwrap();
        path
    };
    Certificate {
        certificate: write(format!("{name}.crt"), made.pem()),
        key: write(format!("{name}.key"), key.serialize_pem()),
        octets: made.der().clone(),
    }
}

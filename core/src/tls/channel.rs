//! One connection's TLS: what stands between the octets of a session and those of its socket.
//!
//! It holds what it was given until the kernel has it, one write at a time, and of what the client sent one record. Idle
//! it holds the 4 KiB that rustls reads into.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConfig, ServerConnection};
use rustls::{HandshakeKind, ProtocolVersion, SupportedCipherSuite, Writer};

/// Octets that are encrypted before they are written: the system calls of a download, against the memory of a slow reader.
const WRITE_MAX: usize = 4 * RECORD;

/// Octets of the longest record's content (RFC 8446, section 5.1), and read from a file at once.
const RECORD: usize = 16 * 1024;

/// Octets that a record is longer than its content, at most: those of TLS 1.2 with AES-GCM (RFC 5288, section 3) are 29.
const RECORD_OVERHEAD: usize = 32;

/// Records that are left of those that one key may encrypt: TLS has something to say of its own.
const RECORDS_LEFT: u64 = 256;
const _: () = assert!((WRITE_MAX / RECORD) as u64 <= RECORDS_LEFT / 2, "a write that begins fits");

/// Reads from the socket in one call: records may be empty, and a handshake may come octet by octet.
const READS_MAX: usize = 8;

/// Octets of a channel binding (RFC 9266, section 2).
const BINDING: usize = 32;

/// TLS on a socket.
pub(crate) struct Channel {
    tls: ServerConnection,
    /// Octets that were encrypted and are not told to be written: their cipher text is not all with the kernel.
    accepted: usize,
    /// Octets of cipher text of these that the kernel took since somebody asked.
    handed: usize,
    /// Records that were encrypted of what was given.
    records: u64,
}

/// Takes what is to be encrypted, as long as the key is good for it.
struct Given<'channel> {
    writer: Writer<'channel>,
    records: &'channel mut u64,
    /// So many records, and no further one.
    most: u64,
}

impl Channel {
    /// A channel whose client is to begin the handshake.
    ///
    /// # Errors
    /// Where the configuration cannot be served.
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut tls = ServerConnection::new(config)?;
        // It counts what is encrypted: without the overhead the last record would be cut, and its rest have one of its own.
        tls.set_buffer_limit(Some(WRITE_MAX + WRITE_MAX / RECORD * RECORD_OVERHEAD));
        Ok(Self { tls, accepted: 0, handed: 0, records: 0 })
    }

    /// Whether the handshake is not over.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Goes on with the handshake as far as the client has; whether it is over.
    ///
    /// # Errors
    /// `WouldBlock` where it waits for the client, `Interrupted` where others should have their turn; every other one is its
    /// end.
    pub(crate) fn handshake(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        for _ in 0..READS_MAX {
            if !self.is_handshaking() {
                return Ok(());
            }
            self.flush(stream)?;
            self.receive(stream)?;
            if self.tls.wants_write() {
                // That was a message of the handshake, which may have cost a signature.
                break;
            }
        }
        match self.flush(stream) {
            // The rest goes before anything else does.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.is_handshaking() => Ok(()),
            Err(error) => Err(error),
            Ok(()) if self.is_handshaking() => Err(io::ErrorKind::Interrupted.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Reads what the client said; 0: it has ended its half, by TLS or without.
    ///
    /// # Errors
    /// Those of the socket, and those of TLS, which the client is told of.
    pub(crate) fn read(&mut self, stream: &mut TcpStream, room: &mut [u8]) -> io::Result<usize> {
        for _ in 0..READS_MAX {
            match self.tls.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Without QUIT there is no UPDATE, whoever ended the connection: no need to know.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.receive(stream)?;
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// Reads some octets from the socket and decrypts the records that are whole.
    fn receive(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        if self.tls.read_tls(stream)? == 0 && self.is_handshaking() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(error) = self.tls.process_new_packets() {
            // The client is told by an alert, if it listens.
            let _ = self.flush(stream);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(())
    }

    /// Writes octets. Those that are refused by `WouldBlock` may be encrypted, and must be given again.
    ///
    /// # Errors
    /// Those of the socket, and one where the key is good for no more.
    pub(crate) fn write(&mut self, stream: &mut TcpStream, octets: &[u8]) -> io::Result<usize> {
        self.send(stream, |writer| writer.write(octets.get(..WRITE_MAX).unwrap_or(octets)))
    }

    /// Writes octets of a file, from `offset` on; 0: it ends there. As `write`.
    ///
    /// # Errors
    /// As `write`, and those of the file.
    pub(crate) fn send_file(
        &mut self,
        stream: &mut TcpStream,
        file: &File,
        offset: u64,
        count: usize,
    ) -> io::Result<usize> {
        self.send(stream, |writer| give_file(writer, file, offset, count))
    }

    fn send(
        &mut self,
        stream: &mut TcpStream,
        give: impl FnOnce(&mut dyn Write) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.accepted == 0 {
            self.flush(stream)?;
            let most = self.records_max();
            let mut given = Given { writer: self.tls.writer(), records: &mut self.records, most };
            self.accepted = give(&mut given)?;
        }
        self.flush(stream)?;
        Ok(mem::take(&mut self.accepted))
    }

    /// Records that may be encrypted. TLS 1.3 has another key in time. In TLS 1.2, where the key is good for no more, rustls says
    /// close_notify, and takes what it is given for nothing: a cut message would look whole.
    fn records_max(&self) -> u64 {
        match self.tls.negotiated_cipher_suite() {
            Some(SupportedCipherSuite::Tls12(suite)) => {
                suite.common.confidentiality_limit.saturating_sub(RECORDS_LEFT)
            }
            Some(SupportedCipherSuite::Tls13(_)) | None => u64::MAX,
        }
    }

    /// Writes what is encrypted, of the handshake too.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn flush(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                // What TLS has of its own to say, which a client can have it say, is nothing that the client takes.
                Ok(count) if self.accepted > 0 => self.handed += count,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Octets that the kernel took since the last call, encrypted as they are, of writes that may not be told yet.
    pub(crate) fn take_handed(&mut self) -> usize {
        mem::take(&mut self.handed)
    }

    /// Says that what was written is all there is.
    ///
    /// # Errors
    /// Those of the socket; after `WouldBlock` it is said by a later call, or by `flush`.
    pub(crate) fn close_notify(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush(stream)
    }

    /// What this channel and no other one has (`tls-exporter`, RFC 9266); none before TLS 1.3: there a channel has it only
    /// with an extension that nobody tells of.
    pub(crate) fn binding(&self) -> Option<Box<[u8]>> {
        if self.tls.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        let exported = self.tls.export_keying_material([0; BINDING], b"EXPORTER-Channel-Binding", None);
        exported.ok().map(|octets| octets.into())
    }

    /// The client's certificate, and what leads to its authority; nothing where it has none. It was vouched for when the client
    /// showed it, which may have been in a session before this one.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    /// Version and cipher suite, for the log.
    pub(crate) fn describe(&self) -> String {
        let version = self.tls.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let suite = self.tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let resumed = self.tls.handshake_kind() == Some(HandshakeKind::Resumed);
        format!("{version} {}{}", suite.unwrap_or_default(), if resumed { ", resumed" } else { "" })
    }
}

impl Write for Given<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if *self.records >= self.most {
            return Err(io::Error::other("one key may encrypt no more in TLS 1.2"));
        }
        let count = self.writer.write(octets)?;
        *self.records += count.div_ceil(RECORD) as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has octets of a file encrypted, from `offset` on, as many as are written at once; returns how many.
fn give_file(writer: &mut dyn Write, file: &File, offset: u64, count: usize) -> io::Result<usize> {
    let count = count.min(WRITE_MAX);
    let mut block = [0; RECORD];
    let mut sent = 0;
    while sent < count {
        let share = (count - sent).min(RECORD);
        match file.read_at(&mut block[..share], offset + sent as u64) {
            Ok(0) => break,
            Ok(read) => match writer.write(&block[..read])? {
                // Something else waits, such as an alert.
                0 => break,
                written => sent += written,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What precedes it goes, and the next call meets it again.
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rustls::crypto::{CryptoProvider, ring};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::version::TLS12;
    use rustls::{CipherSuiteCommon, ClientConnection, Tls12CipherSuite};

    use super::*;
    use crate::tls::Version;
    use crate::tls::tests::{carry, connect, in_memory};

    /// A channel whose handshake is over.
    fn open(config: Arc<ServerConfig>, client: &mut ClientConnection) -> Channel {
        let mut channel = Channel::new(config).unwrap();
        while client.wants_write() || channel.tls.wants_write() {
            carry(client, &mut channel.tls);
            carry(&mut channel.tls, client);
        }
        channel
    }

    /// The configuration of a server that speaks TLS 1.2, where one key may encrypt so many records.
    fn bounded(records: u64) -> Arc<ServerConfig> {
        let bounded = |suite: &SupportedCipherSuite| match suite {
            SupportedCipherSuite::Tls12(suite) => {
                let common = CipherSuiteCommon { confidentiality_limit: records, ..suite.common };
                let suite = Box::leak(Box::new(Tls12CipherSuite { common, ..**suite }));
                Some(SupportedCipherSuite::Tls12(suite))
            }
            SupportedCipherSuite::Tls13(_) => None,
        };
        let provider = ring::default_provider();
        let cipher_suites = provider.cipher_suites.iter().filter_map(bounded).collect();
        let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(CryptoProvider { cipher_suites, ..provider });
        let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12]).unwrap();
        let config = config.with_no_client_auth();
        Arc::new(config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap())
    }

    /// How much of what came from a channel the client can read, and whether it was told that this is all.
    fn hears(client: &mut ClientConnection, mut said: &[u8]) -> (usize, bool) {
        let (mut heard, mut room) = (0, vec![0; RECORD]);
        while client.read_tls(&mut said).unwrap() > 0 {
            client.process_new_packets().unwrap();
            while let Ok(count @ 1..) = client.reader().read(&mut room) {
                heard += count;
            }
        }
        (heard, client.process_new_packets().unwrap().peer_has_closed())
    }

    /// A socket of a server, and its client's.
    fn sockets() -> (TcpStream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        (TcpStream::from_std(stream), client)
    }

    /// The lengths of the records that wait to be written, and how many there are of each.
    fn records(channel: &mut Channel) -> BTreeMap<usize, usize> {
        let mut said = Vec::new();
        while channel.tls.wants_write() {
            channel.tls.write_tls(&mut said).unwrap();
        }
        let mut records = BTreeMap::new();
        let mut rest = said.as_slice();
        while let [_, _, _, high, low, behind @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            *records.entry(length).or_default() += 1;
            rest = &behind[length..];
        }
        records
    }

    #[test]
    fn what_is_long_goes_in_whole_records() {
        let octets = vec![b'x'; 4 * WRITE_MAX];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&octets).unwrap();
        for (version, length) in [(Version::Tls12, 8 + 16), (Version::Tls13, 1 + 16)] {
            let (config, mut client) = in_memory(version);
            let mut channel = open(config, &mut client);
            let whole = BTreeMap::from([(RECORD + length, WRITE_MAX / RECORD)]);
            for _ in 0..2 {
                assert_eq!(give_file(&mut channel.tls.writer(), &file, 0, octets.len()).unwrap(), WRITE_MAX);
                assert_eq!(records(&mut channel), whole);
            }
        }
    }

    #[test]
    fn what_the_kernel_took_of_a_write_is_told_before_it_has_taken_all() {
        let (config, mut client) = in_memory(Version::Tls13);
        let mut channel = open(config, &mut client);
        let (mut stream, mut peer) = sockets();
        let octets = vec![b'x'; WRITE_MAX];
        let (mut handed, mut read, mut has_seen_part) = (0, 0, false);
        loop {
            let written = channel.write(&mut stream, &octets);
            let count = channel.take_handed();
            handed += count;
            match written {
                Ok(_) if has_seen_part => break,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    has_seen_part |= count > 0;
                    read += peer.read(&mut [0; RECORD]).unwrap();
                    assert!(read < 1 << 30, "no write was ever taken in part");
                }
            }
        }
        drop(stream);
        assert_eq!(read + peer.read_to_end(&mut Vec::new()).unwrap(), handed);
    }

    #[test]
    fn what_a_key_of_tls_1_2_may_not_encrypt_any_more_is_neither_taken_nor_followed_by_a_farewell() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"x").unwrap();
        for (length, is_file) in [(1, false), (1, true), (RECORD + 1, false)] {
            let (_, mut client) = in_memory(Version::Tls12);
            let mut channel = open(bounded(RECORDS_LEFT + 4), &mut client);
            let (mut stream, mut peer) = sockets();
            let octets = vec![b'x'; length];
            let mut written = 0;
            let error = (0..2 * RECORDS_LEFT).find_map(|_| {
                let count = if is_file {
                    channel.send_file(&mut stream, &file, 0, 1)
                } else {
                    channel.write(&mut stream, &octets)
                };
                count.map(|count| written += count).err()
            });
            assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::Other));
            assert_eq!(written, 4 / length.div_ceil(RECORD) * length);
            drop(stream);
            let mut said = Vec::new();
            peer.read_to_end(&mut said).unwrap();
            assert_eq!(hears(&mut client, &said), (written, false));
        }
    }
}

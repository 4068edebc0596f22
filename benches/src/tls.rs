//! TLS 1.3 as a client that is cheaper than the server it measures, and what sealing alone costs.
//!
//! The first message of each client is decrypted and compared with its text. Of what is measured, the heads of
//! records are read: they tell how many octets of a message are in each, and nothing is decrypted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use pop3d_trusting::trusting;
use rustls::crypto::cipher::{AeadKey, Iv, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, ContentType, ProtocolVersion, StreamOwned, SupportedCipherSuite,
};

use crate::loopback::Loopback;
use crate::session::{Common, Next, Scenario, Session};
use crate::tally::Tally;
use crate::text::Block;

/// The suite that is measured, alone and in sessions: what rustls likes best.
const SUITE: SupportedCipherSuite = ring::cipher_suite::TLS13_AES_256_GCM_SHA384;

/// Octets of a message in a full record.
const RECORD: usize = 16 << 10;

/// Head of a record: its kind, a version, and how many octets follow (RFC 8446, section 5.1).
const HEAD: usize = 5;

/// Octets of a record that are not of the message: the kind of its content, and the tag.
const SEAL: usize = 1 + 16;

/// RETRs that are said at once: more than can be answered while it is measured.
const RETRS: usize = 1000;

/// Octets that are read at once.
const READ_ROOM: usize = 256 << 10;

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// Octets that one core seals in records of 16 KiB, one after another, and in how long.
///
/// # Errors
/// Where the suite cannot be used.
pub fn seal(length: Duration) -> Result<(u64, Duration), rustls::Error> {
    let SupportedCipherSuite::Tls13(suite) = SUITE else {
        return Err(rustls::Error::General("no suite of TLS 1.3".to_owned()));
    };
    let mut sealer = suite.aead_alg.encrypter(AeadKey::from([7; 32]), Iv::new([9; 12]));
    let text = vec![b'x'; RECORD];
    let (begun, mut sequence) = (Instant::now(), 0);
    while begun.elapsed() < length {
        // The clock is asked once for so many.
        for _ in 0..64 {
            let payload = OutboundChunks::Single(&text);
            let record = OutboundPlainMessage {
                typ: ContentType::ApplicationData,
                version: ProtocolVersion::TLSv1_2,
                payload,
            };
            std::hint::black_box(sealer.encrypt(record, sequence)?);
            sequence += 1;
        }
    }
    Ok((sequence * RECORD as u64, begun.elapsed()))
}

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server's port of POP3S.
    pub server: Loopback,
    /// Clients, one thread each.
    pub connections: u32,
    /// The number of the first user.
    pub first_user: u32,
    /// Length of the measurement.
    pub length: Duration,
}

/// Has clients retrieve the first message of their maildrop over and over; `announce` is called when all have logged in.
///
/// # Errors
/// What the first client met with that failed.
pub fn retrieve(load: &Load, password: &str, announce: impl FnOnce()) -> io::Result<(Tally, Duration)> {
    let common = Common {
        scenario: Scenario::Retr { count: Some(1) },
        password: password.to_owned(),
        compare_every: 1,
        blocks: [Block::new(false), Block::new(true)],
    };
    let config = Arc::new(config()?);
    let users: Vec<u32> = (load.first_user..load.first_user + load.connections).collect();
    let mut tally = Tally::default();
    // Before all others are, so that nobody waits at the barrier for one that failed.
    let mut streams = Vec::new();
    for &user in &users {
        let mut stream = connect(load.server, &config)?;
        drive(&mut stream, &mut Session::new(&common, user, Instant::now()), true, &mut tally)?;
    }
    for &user in &users {
        let mut stream = connect(load.server, &config)?;
        drive(&mut stream, &mut Session::new(&common, user, Instant::now()), false, &mut tally)?;
        streams.push(stream);
    }
    let barrier = Barrier::new(streams.len());
    announce();
    let begun = Instant::now();
    let octets = thread::scope(|scope| {
        let clients: Vec<_> =
            streams.into_iter().map(|stream| scope.spawn(|| count(stream, &barrier, load.length))).collect();
        let mut octets = 0;
        for client in clients {
            octets += client.join().map_err(|_| io::Error::other("a client panicked"))??;
        }
        io::Result::Ok(octets)
    })?;
    tally.octets = octets;
    Ok((tally, begun.elapsed()))
}

fn connect(
    server: Loopback,
    config: &Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = TcpStream::connect(server.address())?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::from(server.address().ip());
    let client = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(client, socket))
}

/// Goes on with a session to its end, or until it has logged in.
fn drive(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    session: &mut Session<'_>,
    to_its_end: bool,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut room = vec![0; RECORD];
    loop {
        let count = stream.read(&mut room)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut octets = &room[..count];
        while !octets.is_empty() {
            let now = Instant::now();
            let (taken, mut next) = session
                .handle_input(octets, now, tally)
                .map_err(|fault| io::Error::other(fault.to_string()))?;
            octets = &octets[taken..];
            if next == Next::Begin {
                if !to_its_end {
                    return Ok(());
                }
                next = session.begin(now);
            }
            match next {
                Next::Say(line) => stream.write_all(line.as_bytes())?,
                Next::Ended => return Ok(()),
                Next::Hear | Next::Begin | Next::Rest(_) => {}
            }
        }
    }
}

/// Asks for the first message over and over; the octets that came in time.
fn count(
    mut stream: StreamOwned<ClientConnection, TcpStream>,
    barrier: &Barrier,
    length: Duration,
) -> io::Result<u64> {
    let (mut room, mut records) = (vec![0; READ_ROOM], Records::default());
    barrier.wait();
    let begun = Instant::now();
    stream.write_all(&b"RETR 1\r\n".repeat(RETRS))?;
    let mut octets = 0;
    while begun.elapsed() < length {
        let count = stream.sock.read(&mut room)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        octets += records.take(&room[..count]);
    }
    Ok(octets)
}

/// Where in a record what was read ends.
#[derive(Debug, Default)]
struct Records {
    head: [u8; HEAD],
    /// Octets of the head that are there: `0 <= known < HEAD`.
    known: usize,
    /// Octets of the record that are to come.
    left: usize,
}

impl Records {
    /// Takes octets off the wire; how many of messages are in the records that begin with them.
    fn take(&mut self, mut octets: &[u8]) -> u64 {
        let mut found = 0;
        while !octets.is_empty() {
            let skipped = self.left.min(octets.len());
            self.left -= skipped;
            octets = &octets[skipped..];
            let more = (HEAD - self.known).min(octets.len());
            self.head[self.known..self.known + more].copy_from_slice(&octets[..more]);
            self.known += more;
            octets = &octets[more..];
            if self.known == HEAD {
                self.known = 0;
                self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
                found += self.left.saturating_sub(SEAL) as u64;
            }
        }
        found
    }
}

fn config() -> io::Result<ClientConfig> {
    let provider = CryptoProvider { cipher_suites: vec![SUITE], ..ring::default_provider() };
    let builder = trusting(provider, &[&rustls::version::TLS13]).map_err(io::Error::other)?;
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_however_they_are_cut() {
        let mut wire = Vec::new();
        for length in [17_u16, 18, 300, 16_401] {
            wire.extend_from_slice(&[0x17, 3, 3]);
            wire.extend_from_slice(&length.to_be_bytes());
            wire.extend_from_slice(&vec![0x17; usize::from(length)]);
        }
        for most in [1, 2, 3, 4, 5, 6, 7, 100, 9_999, wire.len()] {
            let mut records = Records::default();
            let found: u64 = wire.chunks(most).map(|chunk| records.take(chunk)).sum();
            assert_eq!(found, 1 + 283 + 16_384, "pieces of {most}");
            assert_eq!((records.known, records.left), (0, 0));
        }
    }

    #[test]
    fn what_is_sealed_is_counted_in_whole_records() {
        let (octets, elapsed) = seal(Duration::ZERO).unwrap();
        assert_eq!((octets, elapsed > Duration::ZERO), (0, true));
        let (octets, _) = seal(Duration::from_nanos(1)).unwrap();
        assert_eq!(octets % (64 * RECORD as u64), 0);
    }
}

//! Messages through one transform, driven as a worker drives them (`pop3d_core::offline`), in this process.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pop3d_core::offline::{Errand, Failure, Offline, Work};
use pop3d_core::pool::Pool;
use pop3d_core::store::Source;
use pop3d_core::transform::registry::chain;
use pop3d_core::transform::{Chain, Command, Message};
use pop3d_transforms::registry::{Definitions, Permissions, Registry};
use pop3d_transforms::resources::Resources;
use pop3d_transforms::spec::{CommandLine, PluginSpec, ProcessSpec, Spec};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::time::{ClockId, clock_gettime};

/// Threads of the pool: as many as a machine of one core has.
const THREADS: usize = 2;

/// A loop, and the transform that messages pass through.
pub struct Streams {
    offline: Offline,
    chain: Arc<Chain>,
    _registry: Registry,
}

/// The same message so often.
struct Round<'round> {
    chain: &'round Arc<Chain>,
    file: File,
    message: Arc<Message>,
    left: u64,
    octets: u64,
    failure: Option<String>,
}

impl Streams {
    /// Loads a transform.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(spec: Spec) -> io::Result<Self> {
        let offline = Offline::new()?;
        let resources = Resources::new(Pool::start("streams", THREADS)?, offline.reactor(), "bench");
        let name = spec.name().to_owned();
        let definitions = Definitions {
            specs: vec![spec],
            template: ProcessSpec::new("", CommandLine::Direct(vec!["true".to_owned()])),
            plugin_template: PluginSpec::new("", PathBuf::new()),
            folder: None,
            awaited: Vec::new(),
            permissions: Permissions::default(),
        };
        let registry = Registry::new(definitions, resources);
        if let Some(obstacle) = registry.obstacle(&name) {
            return Err(io::Error::other(obstacle));
        }
        let chain = chain(&registry, &[&name]).ok().flatten();
        let chain = chain.ok_or_else(|| io::Error::other("there is no such transform"))?;
        Ok(Self { offline, chain, _registry: registry })
    }

    /// Has a message of so many octets, made by `message_file`, pass so often, one after another.
    ///
    /// # Errors
    /// Where one fails, or comes out with another length.
    pub fn pass(&mut self, file: &File, octets: usize, times: u64) -> io::Result<()> {
        let (file, message) = (file.try_clone()?, Arc::new(message(octets)));
        let mut round = Round { chain: &self.chain, file, message, left: times, octets: 0, failure: None };
        self.offline.run(1, &mut round)?;
        if round.failure.is_none() && round.octets != octets as u64 * times {
            round.failure = Some(format!("{} octets came out", round.octets));
        }
        round.failure.map_or(Ok(()), |failure| Err(io::Error::other(failure)))
    }

    /// Processor time of this process; that of programs and helpers is not in it.
    #[must_use]
    pub fn own_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

impl Work for Round<'_> {
    fn next(&mut self, _slot: usize) -> Option<Errand> {
        self.left = self.left.checked_sub(1)?;
        match self.file.try_clone() {
            Ok(file) => {
                let source = Source { file, length: self.message.octets, octets: None, wire_clean: false };
                Some(Errand {
                    chain: Some(Arc::clone(self.chain)),
                    source,
                    message: Arc::clone(&self.message),
                })
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                None
            }
        }
    }

    fn take(&mut self, _slot: usize, octets: &[u8]) {
        self.octets += octets.len() as u64;
    }

    fn end(&mut self, _slot: usize, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.failure = Some(match failure {
                Failure::Transform { error, .. } => error.to_string(),
                Failure::Message(reason) => reason,
            });
            self.left = 0;
        }
    }
}

/// A message of so many octets, as transforms are told of it.
#[must_use]
pub fn message(octets: usize) -> Message {
    Message {
        user: "user".to_owned(),
        number: 1,
        octets: octets as u64,
        uid: "bench".to_owned(),
        command: Command::Retr,
        remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// Its text, in memory.
///
/// # Errors
/// Where there is none left.
pub fn message_file(octets: usize) -> io::Result<File> {
    let mut file = File::from(memfd_create("message", MemfdFlags::CLOEXEC)?);
    let line = b"Nobody reads what is written here, and every line of it is the same as all others.\n";
    let text: Vec<u8> = line.iter().copied().cycle().take(octets).collect();
    file.write_all(&text)?;
    Ok(file)
}

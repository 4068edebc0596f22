//! A plugin by itself, for measurements: called on the thread that asks, with no pipe and no worker.

use std::path::Path;
use std::sync::Arc;

use pop3d_core::transform::{Error, Filter, Flow, Message, Sink};

use super::library;
use super::plugin::Plugin;

/// A plugin that was loaded.
pub struct Alone {
    plugin: Arc<Plugin>,
}

/// Octets of output that are kept: a server would copy them as well.
const KEPT: usize = 64 * 1024;

#[derive(Default)]
struct Output {
    kept: Vec<u8>,
    count: u64,
}

impl Sink for Output {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        if self.kept.len() >= KEPT {
            self.kept.clear();
        }
        self.kept.extend_from_slice(octets);
        self.count += octets.len() as u64;
        Ok(())
    }
}

impl Alone {
    /// Loads a plugin from its file.
    ///
    /// # Errors
    /// Why it cannot be used, as a sentence.
    pub fn load(file: &Path, options: &[(String, String)]) -> Result<Self, String> {
        let descriptor = library::load(&library::read(file)?)?;
        Ok(Self { plugin: Arc::new(Plugin::configure(descriptor, "alone", options)?) })
    }

    /// Has a message pass, cut into chunks of this length; how many octets come out.
    ///
    /// # Errors
    /// Where it fails.
    pub fn pass(&self, message: &Message, octets: &[u8], chunk: usize) -> Result<u64, Error> {
        let mut instance = Plugin::instance(&self.plugin);
        let mut output = Output::default();
        let mut flow = instance.start(message, &mut output)?;
        for chunk in octets.chunks(chunk) {
            if flow != Flow::More {
                break;
            }
            flow = instance.push(chunk, &mut output)?;
        }
        instance.finish(&mut output)?;
        Ok(output.count)
    }
}

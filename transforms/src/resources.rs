//! What the transforms of a server share: threads, descriptors, children, the engine for WebAssembly.

use std::path::PathBuf;
use std::sync::Arc;

use pop3d_core::pool::Pool;
use pop3d_core::transform::Reactor;

use crate::children::Children;

/// What all transforms share.
#[derive(Clone)]
pub struct Resources {
    /// Starts and ends children, and keeps their time.
    pub pool: Pool,
    /// Where their descriptors are registered.
    pub reactor: Arc<dyn Reactor>,
    /// POP3D_VERSION in their environment.
    pub version: &'static str,
    /// All that run, so that none outlives the server.
    pub children: Arc<Children>,
    /// What runs filters in WebAssembly, made when the first is loaded.
    #[cfg(feature = "wasm")]
    pub(crate) wasm: Arc<crate::wasm::Shared>,
}

impl Resources {
    /// With no children yet.
    #[must_use]
    pub fn new(pool: Pool, reactor: Arc<dyn Reactor>, version: &'static str) -> Self {
        Self {
            pool,
            reactor,
            version,
            children: Arc::default(),
            #[cfg(feature = "wasm")]
            wasm: Arc::default(),
        }
    }

    /// The same, with children that are started otherwise.
    #[must_use]
    pub fn with_children(self, children: Children) -> Self {
        Self { children: Arc::new(children), ..self }
    }

    /// The same, with a folder of its own for what was compiled: filters in WebAssembly are loaded from there sooner.
    #[must_use]
    #[cfg(feature = "wasm")]
    pub fn with_cache(self, folder: PathBuf) -> Self {
        Self { wasm: Arc::new(self.wasm.with_cache(folder)), ..self }
    }

    /// The same, with room for so many guests at once.
    #[must_use]
    #[cfg(feature = "wasm")]
    pub fn with_instances(self, instances: u32) -> Self {
        Self { wasm: Arc::new(self.wasm.with_instances(instances)), ..self }
    }

    /// The same: this build has no guests.
    #[must_use]
    #[cfg(not(feature = "wasm"))]
    pub fn with_instances(self, _instances: u32) -> Self {
        self
    }

    /// The same: this build compiles nothing.
    #[must_use]
    #[cfg(not(feature = "wasm"))]
    pub fn with_cache(self, _folder: PathBuf) -> Self {
        self
    }
}

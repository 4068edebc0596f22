//! The chains that settings have, made of the names that configuration and administrators say.

use std::collections::HashMap;
use std::sync::Arc;

use crate::settings::Settings;
use crate::transform::Chain;
use crate::transform::registry::{self, ChainError, Registry};

/// The chains of settings: one of the same links is the same chain, since what is known of it is known by it (`measure.rs`).
pub(super) struct Chains<'a> {
    registry: &'a dyn Registry,
    /// By the addresses of their links, which they keep from being those of others.
    made: HashMap<Vec<usize>, Arc<Chain>>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(registry: &'a dyn Registry, before: Option<&Settings>) -> Self {
        let chains = before.into_iter().flat_map(Settings::chains);
        Self { registry, made: chains.map(|chain| (addresses(chain), Arc::clone(chain))).collect() }
    }

    /// The chain of some names.
    pub(super) fn of(&mut self, names: &[String]) -> Result<Option<Arc<Chain>>, ChainError> {
        let chain = chain(self.registry, names)?;
        Ok(chain.map(|chain| Arc::clone(self.made.entry(addresses(&chain)).or_insert(chain))))
    }
}

fn addresses(chain: &Chain) -> Vec<usize> {
    chain.links.iter().map(|link| Arc::as_ptr(link).addr()).collect()
}

/// The chain of some names.
pub(super) fn chain(registry: &dyn Registry, names: &[String]) -> Result<Option<Arc<Chain>>, ChainError> {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    registry::chain(registry, &names)
}

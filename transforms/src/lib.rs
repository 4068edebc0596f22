//! What a message passes through on its way out: the implementations of `pop3d_core::transform::Transform`, and the
//! registry that has them by name.

mod alike;
mod bound;
pub mod checkpassword;
pub mod children;
mod complaints;
mod environment;
pub mod folder;
pub mod name;
pub mod native;
mod pool_stream;
pub mod process;
mod queue;
mod record;
pub mod registry;
pub mod resources;
pub mod spec;
mod stamp;
#[cfg(test)]
mod twin;
#[cfg(feature = "wasm")]
pub mod wasm;

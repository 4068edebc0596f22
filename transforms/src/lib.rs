//! What a message passes through on its way out: the implementations of `pop3d_core::transform::Transform`.

pub mod process;
mod queue;
mod record;
pub mod spec;

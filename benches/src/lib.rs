//! What the measurements share: mail that can be made again wherever it is needed.
//!
//! - [`text`]: the text of every message.
//! - [`maildir`]: maildrops full of it.

pub mod maildir;
pub mod text;

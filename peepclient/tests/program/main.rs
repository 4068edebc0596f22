//! The built program against a server that these tests play.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fake;
mod model;
mod prompt;
mod screen;
mod scripts;
mod top;

//! POP3: the session and what it asks of the outside.

pub mod command;
pub mod session;

mod action;
mod authorization;
mod capability;
mod listing;
mod trace;
mod transaction;

pub use session::{Action, Answer, Credentials, Greeting, Opened, Part, Refusal, Session};

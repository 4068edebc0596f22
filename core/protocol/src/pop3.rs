//! POP3: the session and what it asks of the outside.

pub mod command;
pub mod session;

mod action;
mod authorization;
mod capability;
mod count;
mod language;
mod listing;
mod sasl;
mod trace;
mod transaction;

pub use authorization::Tolerance;
pub use capability::LoginDelay;
pub use count::{COUNTED, Counts};
pub use sasl::{CHALLENGE_MAX, Mechanism, Mechanisms, Step};
pub use session::{
    Action, Answer, Credentials, Greeting, Lengths, Opened, Part, Proxied, Refusal, Security, Session,
};

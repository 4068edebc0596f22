//! POP3: the session and what it asks of the outside.

pub mod session;

pub use session::{Action, Answer, Credentials, Greeting, Opened, Part, Refusal, Session};

//! PEEP, the admin protocol: the engines of both halves.
//!
//! `command.rs` has the table of the commands, which both halves read; `session.rs` is the server's half, `client.rs`
//! the client's.

mod client;
mod command;
mod reply;
mod request;
mod session;
#[cfg(test)]
mod tests;
mod told;

pub use self::client::{Client, ReplyError};
pub use self::command::{
    ARGUMENT_MAX, Argument, COMMAND_MAX, COMMANDS, COMMENCEMENT_MAX, Command, Form, Shape,
};
pub use self::reply::{Failure, REPLY_LINE_MAX, Reply};
pub use self::request::{Request, RequestError};
pub use self::session::{Action, Answer, Ranges, Session, WRONG_CREDENTIALS_MAX};

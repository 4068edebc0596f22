//! The server: one mio loop per core, the maildrop, accounts, and what the RETR cursor knows of transforms.
//!
//! What a client may say and what it hears is in `pop3d-protocol`, which has no sockets; this crate has the sockets, and does
//! what the protocol asks for. It names no transform: `pop3d` hands it factories.
//!
//! ```text
//!  POP3 clients ───► worker-0 … worker-n    one mio loop per core: sockets, and the pipes of transforms
//!                      │  ▲
//!                 jobs │  │ notices, and a bell that wakes the loop
//!                      ▼  │
//!                    pools of threads       what would wait: passwords, maildrops, transforms
//!                      ▲
//!                 jobs │
//!  administrators ─► the admin thread       one mio loop: settings replaced, statistics summed
//! ```
//!
//! **The loop.** [`server`] begins and ends everything; `shared` is what its threads have in common. `worker` has the poll loop; it gives each `connection` bounded turns, and
//! tells the living from the gone by `token`. `deadline` is its queue of what is due, `notice` what other threads tell it, `reactor`
//! where the pipes of transforms are registered. [`pool`] has the threads for whatever may wait.
//!
//! **The way out.** `retr` brings a message from its file through the chain into the outbound `buffer`; `transport` is the socket, with the
//! [`tls`] that is on it; `socket` is what is asked of sockets beside. `measure` finds the sizes that messages have behind a chain.
//!
//! **Mail.** [`store`] is what the server knows of where mail is kept; [`maildir`] is the store that is built in.
//!
//! **Who may come in.** [`accounts`] knows names and secrets. `timestamp` is what a greeting shows for APOP, `guesses` has failures
//! cost time, `logins` keeps logins apart, [`nets`] holds addresses against nets, [`proxied`] reads for whom a balancer speaks.
//!
//! **Transforms.** [`transform`] is the contract: a factory for each, a stream for each message, chains, and rules that choose them. [`offline`]
//! runs chains without a server.
//!
//! **Administration.** [`admin`] is the thread that speaks PEEP; [`administration`] answers and carries out what it is asked.
//! [`settings`] is one snapshot of all that can be set, [`sessions`] lists who is there, [`statistics`] counts, and [`state`] keeps what must
//! outlive the process. [`regular_file`] opens what is named to be read.

pub mod accounts;
pub mod admin;
pub mod administration;
mod buffer;
mod connection;
mod deadline;
mod guesses;
mod listening;
mod logins;
pub mod maildir;
mod measure;
pub mod nets;
mod notice;
pub mod offline;
pub mod pool;
pub mod proxied;
mod reactor;
pub mod regular_file;
mod retr;
pub mod server;
pub mod sessions;
pub mod settings;
mod shared;
mod socket;
pub mod state;
pub mod statistics;
pub mod store;
mod timestamp;
pub mod tls;
mod token;
pub mod transform;
mod transport;
mod worker;

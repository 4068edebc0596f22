//! The server: one mio loop per core, the maildrop, accounts, and what the RETR cursor knows of transforms.

pub mod accounts;
pub mod admin;
pub mod administration;
mod buffer;
mod connection;
mod deadline;
mod guesses;
pub mod maildir;
mod measure;
pub mod nets;
mod notice;
pub mod offline;
pub mod pool;
mod reactor;
mod retr;
pub mod server;
pub mod sessions;
pub mod settings;
mod socket;
pub mod state;
pub mod statistics;
pub mod store;
mod token;
pub mod transform;
mod transport;
mod worker;

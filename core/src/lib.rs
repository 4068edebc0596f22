//! The server: one mio loop per core, the maildrop, accounts, and what the RETR cursor knows of transforms.

pub mod accounts;
mod buffer;
mod connection;
mod deadline;
pub mod maildir;
mod measure;
mod notice;
pub mod pool;
mod reactor;
mod retr;
pub mod server;
pub mod settings;
mod socket;
pub mod state;
pub mod statistics;
pub mod store;
mod token;
pub mod transform;
mod transport;
mod worker;

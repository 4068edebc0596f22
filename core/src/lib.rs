//! The server: one mio loop per core, the maildrop, accounts, and what the RETR cursor knows of transforms.

pub mod accounts;
pub mod maildir;
pub mod pool;
pub mod server;
pub mod settings;
pub mod store;
pub mod transform;

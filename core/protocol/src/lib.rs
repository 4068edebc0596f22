//! POP3 and PEEP as values: no sockets, files, clock or threads.
//!
//! A [`pop3::Session`] or a [`peep::Session`] is fed the octets that a client sent, asks for what only the
//! outside can do (an [`engine::Engine::Action`]) and writes its replies into room that the caller gives it. Tests
//! say lines and hear lines; fuzzers cut the same octets at random places and expect the same output.
//!
//! | RFC, section | file |
//! | --- | --- |
//! | 1939, 3: commands and replies | `line.rs`, `reply.rs`, `pop3/command.rs` |
//! | 1939, 3: multi-line responses, byte-stuffing | `multiline.rs` |
//! | 1939, 4 to 6: the states | `pop3/session.rs` |
//! | 1939, 4 (USER, PASS), 7 (APOP) | `pop3/authorization.rs` |
//! | 1939, 5: TRANSACTION | `pop3/transaction.rs` |
//! | 1939, 5 and 7: scan, unique-id listings | `pop3/listing.rs` |
//! | 1939, 7: TOP | `top.rs` |
//! | 2449: CAPA, response codes | `pop3/capability.rs`, `reply.rs` |
//! | 6856: UTF8, LANG | `pop3/session/commands.rs`, `pop3/language.rs` |
//! | PEEP, both halves | `peep/` |

#![no_std]

extern crate alloc;

pub mod engine;
pub mod line;
pub mod maildrop;
pub mod multiline;
pub mod number;
pub mod peep;
pub mod pop3;
pub mod reply;
pub mod text;
pub mod top;
pub mod wiped;

//! What the measurements share: mail that can be made again, and a load generator that checks it.
//!
//! ```text
//! bin/mail ──► maildir ──► text                       mail on disk
//! bin/refusals ──► ranks                             whether a refusal tells who there is
//! bin/bare ──► bare ──► loopback                     the bound
//! bin/alone ──► streams                              what filters cost without a server
//! bin/tls ──► tls                                    records: alone, and in sessions
//! bin/load ──► swarm ──► session ──► answer ──► text  one loop, many connections
//!                   └──► tally ──► latency            what is reported
//! ```
//!
//! - [`bare`]: prepared replies from a bare loop, the bound of what any server can do.
//! - [`text`]: the text of every message, made anew wherever it is needed.
//! - [`maildir`]: maildrops full of it.
//! - [`answer`]: the replies of a server, cut anywhere; counted, and compared with the text.
//! - [`session`]: what one connection says, scenario by scenario; without sockets or clock.
//! - [`swarm`]: the loop that lets many sessions speak at once, within bounds of time and number.
//! - [`tally`], [`latency`]: what was counted, in memory that does not grow.
//! - [`streams`]: messages through one transform, without a server.
//! - [`tls`]: clients that read records without opening them, and records that are sealed for nobody.
//! - [`ranks`]: whether two lists of times differ.
//! - [`loopback`]: the only addresses it speaks to.
//! - [`arguments`]: what several programs read from their command line.

pub mod answer;
pub mod arguments;
pub mod bare;
pub mod latency;
pub mod loopback;
pub mod maildir;
pub mod ranks;
pub mod session;
pub mod streams;
pub mod swarm;
pub mod tally;
pub mod text;
pub mod tls;

//! RETR in TLS 1.3, and what sealing alone gives. It says what the load generator says: `phase=…` when the measurement
//! begins and ends, then one line of `key=value`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use pop3d_benches::arguments::seconds;
use pop3d_benches::loopback::Loopback;
use pop3d_benches::tally::{Tally, say};
use pop3d_benches::tls::{self, Load};

/// Measures TLS 1.3 with AES-GCM.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds of measurement
    #[arg(long, default_value = "5", value_parser = seconds, global = true)]
    seconds: Duration,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Seal records of 16 KiB on one core, and send them nowhere
    Seal,
    /// RETR of the first message by each client, over and over
    Retr {
        /// The server's port of POP3S, in 127.0.0.0/8 or `[::1]`
        #[arg(long)]
        server: Loopback,
        /// Clients at once
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
        connections: u32,
        /// Number of the first user
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..100_000))]
        first_user: u32,
        /// Every user's password
        #[arg(long, default_value = "secret")]
        password: String,
    },
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(line) => {
            say("phase=measured");
            say(&line);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tls: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<String, Box<dyn std::error::Error>> {
    let announce = || say("phase=measuring");
    match &arguments.what {
        What::Seal => {
            announce();
            let (octets, wall) = tls::seal(arguments.seconds)?;
            Ok(Tally { octets, ..Tally::default() }.line(wall))
        }
        What::Retr { server, connections, first_user, password } => {
            let load = Load {
                server: *server,
                connections: *connections,
                first_user: *first_user,
                length: arguments.seconds,
            };
            let (tally, wall) = tls::retrieve(&load, password, announce)?;
            Ok(tally.line(wall))
        }
    }
}

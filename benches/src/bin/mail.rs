//! Fills a mail folder with generated Maildirs for the load generator.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pop3d_benches::maildir::{LineEnd, Maildrops, make};

/// Makes Maildirs of generated messages, `FOLDER/user0000/cur` and so on.
#[derive(Debug, Parser)]
struct Arguments {
    /// The mail folder
    folder: PathBuf,
    /// Number of the first user
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..100_000))]
    first_user: u32,
    /// Users
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    users: u32,
    /// Messages of each user
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    messages: u32,
    /// Octets of each message's text
    #[arg(long, default_value_t = 76_800, value_parser = clap::value_parser!(u64).range(1..=8 << 30))]
    octets: u64,
    /// CRLF as line end on disk, rather than LF
    #[arg(long)]
    crlf: bool,
    /// Let one line in 500 begin with "."
    #[arg(long)]
    dotted: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let maildrops = Maildrops {
        first_user: arguments.first_user,
        users: arguments.users,
        messages: arguments.messages,
        octets: arguments.octets,
        line_end: if arguments.crlf { LineEnd::Crlf } else { LineEnd::Lf },
        dotted: arguments.dotted,
    };
    match make(&arguments.folder, &maildrops) {
        Ok(octets) => {
            println!("octets={octets}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("mail: cannot fill {}: {error}", arguments.folder.display());
            ExitCode::FAILURE
        }
    }
}

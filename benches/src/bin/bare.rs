//! The bound: a loop that parses nothing but the first letters of a command and says what it prepared before it began.
//! No server can be faster on this machine, for the calls that are left are those that every server makes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pop3d_benches::bare::{self, By};
use pop3d_benches::loopback::Loopback;

/// Says prepared replies to the load generator.
#[derive(Debug, Parser)]
struct Arguments {
    /// The mail folder, as `mail` fills it
    folder: PathBuf,
    /// Where to listen, in 127.0.0.0/8 or `[::1]`
    #[arg(long)]
    listen: Loopback,
    /// How messages are sent that are too large to be prepared
    #[arg(long, value_enum, default_value = "write")]
    by: By,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match bare::serve(&arguments.folder, arguments.listen, arguments.by) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}

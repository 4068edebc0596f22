//! The load generator's command line. It says `phase=…` when the measurement begins and ends, then one line of
//! `key=value`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use pop3d_benches::arguments::seconds;
use pop3d_benches::loopback::Loopback;
use pop3d_benches::session::{Common, Scenario};
use pop3d_benches::swarm::{self, CONNECTIONS_MAX, Load, Moment};
use pop3d_benches::tally::say;
use pop3d_benches::text::Block;

/// Puts load on a POP3 server of this machine and checks what it sends.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server, in 127.0.0.0/8 or `[::1]`
    #[arg(long)]
    server: Loopback,
    /// Connections at once
    #[arg(long, default_value_t = 1, value_parser = connections)]
    connections: usize,
    /// Number of the first user: connections log in as user0000, user0001 and so on from there
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..100_000))]
    first_user: u32,
    /// Users that short sessions take turns in; as many as connections where nothing is said
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..100_000))]
    users: u32,
    /// Every user's password
    #[arg(long, default_value = "secret")]
    password: String,
    /// Seconds of work before the measurement
    #[arg(long, default_value = "0", value_parser = seconds)]
    warm_up: Duration,
    /// Seconds of measurement; none: until every session has ended
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Seconds after which the run is given up
    #[arg(long, default_value = "120", value_parser = seconds)]
    deadline: Duration,
    /// Compare one message of so many with its text, 0: none [default: 16; big: 1]
    #[arg(long)]
    compare_every: Option<u64>,
    #[command(subcommand)]
    scenario: Kind,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Kind {
    /// Log in once, RETR all messages round and round
    Retr {
        /// Messages of each connection; none: until the time is over
        #[arg(long)]
        count: Option<u64>,
    },
    /// RETR of the first message by each connection, compared as a whole
    Big,
    /// Connect, login, STAT, LIST, UIDL, RETR 1, QUIT, over and over
    Short,
    /// Connect, login, STAT, LIST, UIDL, QUIT, timed step by step, over and over
    Listing {
        /// One session of each connection
        #[arg(long)]
        once: bool,
    },
    /// NOOP with a rest between
    Noop {
        /// Milliseconds between reply and next NOOP
        #[arg(long, default_value_t = 5)]
        rest: u64,
    },
    /// RETR by slow readers: each takes 4 KiB, and rests; at the end it goes without QUIT
    Crawl {
        /// Milliseconds of a rest
        #[arg(long, default_value_t = 1000)]
        rest: u64,
    },
}

/// Longest rest, in milliseconds.
const REST_MAX: u64 = 600_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (common, load) = match plan(&arguments) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("load: {why}");
            return ExitCode::from(64);
        }
    };
    let mut announce = |moment| {
        say(match moment {
            Moment::Measuring => "phase=measuring",
            Moment::Measured => "phase=measured",
        });
    };
    match swarm::run(&common, &load, &mut announce) {
        Ok((tally, wall)) => {
            say(&tally.line(wall));
            if tally.faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be done, or why it cannot be.
fn plan(arguments: &Arguments) -> Result<(Common, Load), String> {
    let connections = arguments.connections;
    let users = if arguments.users == 0 {
        u32::try_from(connections).map_err(|_| "too many connections".to_owned())?
    } else {
        arguments.users
    };
    if (users as usize) < connections {
        return Err(format!("{connections} connections need as many users, --users says {users}"));
    }
    let scenario = match arguments.scenario {
        Kind::Retr { count } => Scenario::Retr { count },
        Kind::Big => Scenario::Retr { count: Some(1) },
        Kind::Short => Scenario::Short,
        Kind::Listing { once } => Scenario::Listing { once },
        Kind::Noop { rest } => Scenario::Noop { rest: Duration::from_millis(rest.min(REST_MAX)) },
        Kind::Crawl { rest } => Scenario::Crawl { rest: Duration::from_millis(rest.min(REST_MAX)) },
    };
    let ends_by_itself =
        matches!(scenario, Scenario::Retr { count: Some(_) } | Scenario::Listing { once: true });
    if ends_by_itself == arguments.seconds.is_some() {
        return Err("give --seconds, or a count of messages or sessions, not both".to_owned());
    }
    if ends_by_itself && !arguments.warm_up.is_zero() {
        return Err("a count of messages or sessions has no --warm-up".to_owned());
    }
    let usual = if matches!(arguments.scenario, Kind::Big) { 1 } else { 16 };
    let compare_every = arguments.compare_every.unwrap_or(usual);
    let blocks = [Block::new(false), Block::new(true)];
    let common = Common { scenario, password: arguments.password.clone(), compare_every, blocks };
    let load = Load {
        server: arguments.server,
        connections,
        first_user: arguments.first_user,
        users,
        warm_up: arguments.warm_up,
        length: arguments.seconds,
        deadline: arguments.deadline,
    };
    Ok((common, load))
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=CONNECTIONS_MAX).contains(&count) => Ok(count),
        Ok(_) | Err(_) => Err(format!("1 to {CONNECTIONS_MAX}")),
    }
}

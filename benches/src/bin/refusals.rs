//! Measures whether refused logins tell by their time which users there are: medians of many refusals for each kind of
//! user, and a test of ranks for each pair of kinds.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use clap::Parser;
use pop3d_benches::loopback::Loopback;
use pop3d_benches::ranks::{Comparison, compare};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Times refused logins at a server on this machine, which must be told to hold no answer back (`failed_login_delay = 0`).
#[derive(Debug, Parser)]
struct Arguments {
    /// Address and port
    #[arg(long)]
    server: Loopback,
    /// Refusals of each kind
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    count: u32,
    /// Log in by OAUTHBEARER with this token, to its refusal behind what is told of it; without: by USER and PASS
    #[arg(long)]
    token: Option<String>,
    /// Kinds of users, each a word and a user name; "*" in it is the number of the refusal
    #[arg(value_name = "KIND=NAME", required = true, value_parser = kind)]
    kinds: Vec<Kind>,
}

#[derive(Clone, Debug)]
struct Kind {
    word: String,
    name: String,
}

fn kind(text: &str) -> Result<Kind, String> {
    let (word, name) = text.split_once('=').ok_or("write KIND=NAME, such as known=ann")?;
    Ok(Kind { word: word.to_owned(), name: name.to_owned() })
}

/// The time from the password, or the token, to its refusal, in a connection of its own.
fn refusal(server: Loopback, name: &str, token: Option<&str>) -> io::Result<Duration> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut client = BufReader::new(stream);
    expect(&mut client, "+OK")?;
    let begun = if let Some(token) = token {
        client.get_mut().write_all(b"AUTH OAUTHBEARER\r\n")?;
        expect(&mut client, "+ ")?;
        let message = format!("n,a={name},\u{1}auth=Bearer {token}\u{1}\u{1}");
        let line = format!("{}\r\n", Base64::encode_string(message.as_bytes()));
        let begun = Instant::now();
        client.get_mut().write_all(line.as_bytes())?;
        expect(&mut client, "+ ")?;
        client.get_mut().write_all(b"AQ==\r\n")?;
        begun
    } else {
        write!(client.get_mut(), "USER {name}\r\n")?;
        expect(&mut client, "+OK")?;
        let begun = Instant::now();
        client.get_mut().write_all(b"PASS this is wrong\r\n")?;
        begun
    };
    expect(&mut client, "-ERR")?;
    Ok(begun.elapsed())
}

fn expect(client: &mut BufReader<TcpStream>, status: &str) -> io::Result<()> {
    let mut line = String::new();
    client.read_line(&mut line)?;
    let is_expected = line.starts_with(status) && !line.starts_with("-ERR [SYS/");
    if is_expected { Ok(()) } else { Err(io::Error::other(format!("expected {status}, heard {line:?}"))) }
}

fn measure(arguments: &Arguments) -> io::Result<Vec<Vec<Duration>>> {
    let mut times = vec![Vec::new(); arguments.kinds.len()];
    for number in 0..arguments.count {
        // In turn, so that whatever else the machine does strikes all kinds alike.
        for (kind, times) in arguments.kinds.iter().zip(&mut times) {
            let name = kind.name.replace('*', &number.to_string());
            times.push(refusal(arguments.server, &name, arguments.token.as_deref())?);
        }
    }
    Ok(times)
}

fn report(kinds: &[Kind], times: &[Vec<Duration>]) {
    for (Kind { word, .. }, times) in kinds.iter().zip(times) {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let part = |quarters: usize| sorted[(sorted.len() - 1) * quarters / 4];
        let [first, median, third] = [1, 2, 3].map(part);
        println!("{word}: median {median:?}, quartiles {first:?} and {third:?}, {} refusals", sorted.len());
    }
    for (place, (kind, first)) in kinds.iter().zip(times).enumerate() {
        for (other, second) in kinds.iter().zip(times).skip(place + 1) {
            let Comparison { likelihood, deviations, chance } = compare(first, second);
            println!(
                "{} before {}: likelihood {likelihood:.4}, {deviations:+.2} deviations, by chance {chance:.4}",
                kind.word, other.word,
            );
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(times) => {
            report(&arguments.kinds, &times);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("refusals: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Limits: `[limits]`, `[limits.failed_logins]`, and the times of silence.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use pop3d_core::accounts::{NAME_RULE, UserName};
use pop3d_core::administration::TIMEOUT_MAX;
use pop3d_core::settings::{FailedLogins, Limits, LoginDelays, OUTBOUND_BOUNDS};
use pop3d_protocol::line::COMMAND_LINE_MAX;
use pop3d_protocol::pop3::{Lengths, Tolerance};
use serde::Deserialize;
use toml::Spanned;

use super::File;
use super::values::{NetText, Size, Time, positive};
use crate::cli::Cli;
use crate::exit::Exit;

/// Most octets a second that may be asked of every client. Over a hundred years they are no number too large.
const SLOW_READER_RATE_MAX: u64 = 1 << 30;

/// Longest delay of the answer to a first failed login, which later ones multiply. A connection is held as long.
const FAILED_LOGIN_DELAY_MAX: Duration = Duration::from_secs(60);

/// What a command line may be: what RFC 2449 wants, up to what tokens in the first line of AUTH need.
const COMMAND_LINE: RangeInclusive<usize> = COMMAND_LINE_MAX..=64 << 10;

/// What an answer to a challenge may be. A password, its user and whom to be fit into the least.
const SASL_RESPONSE: RangeInclusive<usize> = 1 << 10..=1 << 20;

/// What may be held of all who have not logged in: the longest answer to a challenge, up to what a machine can spare.
const HELD_BEFORE_LOGIN: RangeInclusive<usize> = 1 << 20..=1 << 30;
const _: () = assert!(*SASL_RESPONSE.end() <= *HELD_BEFORE_LOGIN.start(), "one answer always fits");

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(default, deserialize_with = "positive")]
    connections: Option<usize>,
    #[serde(default, deserialize_with = "positive")]
    connections_per_address: Option<usize>,
    sessions_per_user: Option<usize>,
    give_way_after: Option<Time>,
    excepted_nets: Option<Vec<Spanned<NetText>>>,
    slow_reader_rate: Option<Spanned<Size>>,
    slow_reader_period: Option<Spanned<Time>>,
    #[serde(default, deserialize_with = "positive")]
    mistakes_before_login: Option<u16>,
    #[serde(default, deserialize_with = "positive")]
    mistakes: Option<u16>,
    command_line: Option<Spanned<Size>>,
    sasl_response: Option<Spanned<Size>>,
    held_before_login: Option<Spanned<Size>>,
    outbound_buffer: Option<Spanned<Size>>,
    login_delay: Option<Time>,
    #[serde(default)]
    login_delays: BTreeMap<Spanned<String>, Time>,
    failed_login_delay: Option<Spanned<Time>>,
    #[serde(default)]
    failed_logins: FailedLoginsTable,
}

/// `[limits.failed_logins]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailedLoginsTable {
    #[serde(default, deserialize_with = "positive")]
    per_connection: Option<u16>,
    #[serde(default, deserialize_with = "positive")]
    period: Option<Time>,
    undelayed: Option<u32>,
    refuse_after: Option<u32>,
    #[serde(default, deserialize_with = "positive")]
    refuse_for: Option<Time>,
}

/// The limits that command line and configuration say.
///
/// # Errors
/// Where one cannot be, with line and column.
pub(crate) fn limits(cli: &Cli, file: &File) -> Result<Limits, Exit> {
    let config = &file.config;
    let table = &config.limits;
    let mut limits = Limits::default();
    let bound = |time: Duration| (!time.is_zero()).then_some(time);
    if let Some(timeout) = &config.timeout {
        limits.silence = bound(silence(file, timeout)?);
    }
    if let Some(seconds) = cli.timeout {
        limits.silence = bound(Duration::from_secs(seconds));
    }
    // A client that has not logged in is not given longer than one that has.
    let login = match &config.login_timeout {
        Some(timeout) => bound(silence(file, timeout)?),
        None => limits.login_silence,
    };
    limits.login_silence = login.into_iter().chain(limits.silence).min();
    limits.connections = table.connections.unwrap_or(limits.connections);
    limits.connections_per_address = table.connections_per_address.unwrap_or(limits.connections_per_address);
    limits.sessions_per_user = table.sessions_per_user.filter(|&count| count > 0);
    limits.give_way_after = table.give_way_after.map_or(limits.give_way_after, |time| time.0);
    if let Some(nets) = &table.excepted_nets {
        limits.excepted = nets.iter().map(|net| net.as_ref().0).collect();
    }
    if let Some(rate) = &table.slow_reader_rate {
        limits.slow_reader_rate = rate.as_ref().0;
        if limits.slow_reader_rate > SLOW_READER_RATE_MAX {
            return Err(file.error(rate.span(), "no client takes that much in a second; at most 1GiB"));
        }
    }
    if let Some(period) = &table.slow_reader_period {
        limits.slow_reader_period = period.as_ref().0;
        if limits.slow_reader_period < Duration::from_secs(1) {
            return Err(file.error(period.span(), "the rate is one of octets a second; at least 1s"));
        }
    }
    if let Some(delay) = &table.failed_login_delay {
        limits.failed_login_delay = delay.as_ref().0;
        if limits.failed_login_delay > FAILED_LOGIN_DELAY_MAX {
            return Err(file.error(delay.span(), "a client gives up before that; at most 1m"));
        }
    }
    limits.login_delays = login_delays(file)?;
    limits.proxies = config.proxy.nets(file)?;
    limits.trusted = config.proxy.trusted();
    limits.tolerance = tolerance(table);
    let Lengths { command, response } = limits.lengths;
    limits.lengths = Lengths {
        command: size(file, table.command_line.as_ref(), command, COMMAND_LINE)?,
        response: size(file, table.sasl_response.as_ref(), response, SASL_RESPONSE)?,
    };
    let held = table.held_before_login.as_ref();
    limits.held_before_login = size(file, held, limits.held_before_login, HELD_BEFORE_LOGIN)?;
    limits.outbound = size(file, table.outbound_buffer.as_ref(), limits.outbound, OUTBOUND_BOUNDS)?;
    limits.failed_logins = failed_logins(&table.failed_logins);
    Ok(limits)
}

/// A time of silence, no longer than PEEP and the command line take.
fn silence(file: &File, said: &Spanned<Time>) -> Result<Duration, Exit> {
    let time = said.as_ref().0;
    if time > Duration::from_secs(TIMEOUT_MAX) {
        return Err(file.error(said.span(), "at most 24h; \"m\" is for minutes, \"M\" for months"));
    }
    Ok(time)
}

/// A number of octets within bounds.
fn size(
    file: &File,
    said: Option<&Spanned<Size>>,
    otherwise: usize,
    bounds: RangeInclusive<usize>,
) -> Result<usize, Exit> {
    let Some(said) = said else { return Ok(otherwise) };
    let octets = usize::try_from(said.as_ref().0).ok().filter(|octets| bounds.contains(octets));
    octets.ok_or_else(|| {
        let (least, most) = (bounds.start(), bounds.end() >> 10);
        file.error(said.span(), &format!("at least {least} octets, and at most {most}KiB"))
    })
}

fn tolerance(table: &Table) -> Tolerance {
    let Tolerance { failed_logins, mistakes_before_login, mistakes } = Tolerance::DEFAULT;
    Tolerance {
        failed_logins: table.failed_logins.per_connection.unwrap_or(failed_logins),
        mistakes_before_login: table.mistakes_before_login.unwrap_or(mistakes_before_login),
        mistakes: table.mistakes.unwrap_or(mistakes),
    }
}

fn login_delays(file: &File) -> Result<LoginDelays, Exit> {
    let table = &file.config.limits;
    let mut of = HashMap::new();
    for (name, delay) in &table.login_delays {
        let user =
            UserName::parse(name.as_ref().as_bytes()).ok_or_else(|| file.error(name.span(), NAME_RULE))?;
        of.insert(user, delay.0);
    }
    Ok(LoginDelays { all: table.login_delay.map_or(Duration::ZERO, |delay| delay.0), of: Arc::new(of) })
}

fn failed_logins(table: &FailedLoginsTable) -> FailedLogins {
    let FailedLogins { period, undelayed, refused_after, refused_for } = FailedLogins::default();
    FailedLogins {
        period: table.period.map_or(period, |period| period.0),
        undelayed: table.undelayed.unwrap_or(undelayed),
        refused_after: match table.refuse_after {
            None => refused_after,
            Some(0) => None,
            Some(count) => Some(count),
        },
        refused_for: table.refuse_for.map_or(refused_for, |time| time.0),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn limits_of(text: &str) -> Result<Limits, String> {
        let cli = <Cli as clap::Parser>::parse_from(["pop3d"]);
        let file = File::parse(Path::new("pop3d.toml"), text.as_bytes());
        file.and_then(|file| limits(&cli, &file)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_limit_can_be_set_and_has_its_default() {
        assert_eq!(limits_of(""), Ok(Limits::default()));
        let limits = limits_of(
            "timeout = 0\nlogin_timeout = \"5s\"\n\
             [proxy]\nnets = [\"198.51.100.1\"]\nxclient_nets = [\"198.51.100.2\"]\n\
             [limits]\nconnections = 7\nconnections_per_address = 6\nsessions_per_user = 5\n\
             give_way_after = 0\nexcepted_nets = [\"192.0.2.0/24\"]\n\
             slow_reader_rate = \"2KiB\"\nslow_reader_period = \"1m\"\nmistakes_before_login = 5\nmistakes = 4\n\
             command_line = 1000\nsasl_response = \"12KiB\"\nheld_before_login = \"2MiB\"\noutbound_buffer = \"16KiB\"\n\
             failed_login_delay = 0\nlogin_delay = \"1m\"\nlogin_delays = { ann = \"1h\" }\n\
             [limits.failed_logins]\nper_connection = 3\nperiod = \"1h\"\nundelayed = 0\nrefuse_after = 0\n\
             refuse_for = \"1d\"\n",
        );
        let expected = Limits {
            connections: 7,
            connections_per_address: 6,
            sessions_per_user: Some(5),
            give_way_after: Duration::ZERO,
            excepted: ["192.0.2.0/24".parse().unwrap()].into_iter().collect(),
            proxies: ["198.51.100.1".parse().unwrap()].into_iter().collect(),
            trusted: ["198.51.100.2".parse().unwrap()].into_iter().collect(),
            login_silence: Some(Duration::from_secs(5)),
            silence: None,
            slow_reader_rate: 2048,
            slow_reader_period: Duration::from_secs(60),
            tolerance: Tolerance { failed_logins: 3, mistakes_before_login: 5, mistakes: 4 },
            lengths: Lengths { command: 1000, response: 12 << 10 },
            held_before_login: 2 << 20,
            outbound: 16 << 10,
            failed_login_delay: Duration::ZERO,
            login_delays: LoginDelays {
                all: Duration::from_secs(60),
                of: Arc::new([(UserName::parse(b"ann").unwrap(), Duration::from_secs(3600))].into()),
            },
            failed_logins: FailedLogins {
                period: Duration::from_secs(3600),
                undelayed: 0,
                refused_after: None,
                refused_for: Duration::from_secs(86_400),
            },
        };
        assert_eq!(limits, Ok(expected));
    }

    #[test]
    fn a_limit_that_cannot_be_is_named_with_its_place() {
        for (text, place, named) in [
            ("[limits]\nslow_reader_rate = \"2GiB\"", "2:20", "at most 1GiB"),
            ("[limits]\nslow_reader_period = \"10ms\"", "2:22", "at least 1s"),
            ("[limits]\nfailed_login_delay = \"2m\"", "2:22", "at most 1m"),
            ("[limits]\ncommand_line = 254", "2:16", "at least 255 octets"),
            ("[limits]\ncommand_line = \"65KiB\"", "2:16", "at most 64KiB"),
            ("[limits]\nsasl_response = 1023", "2:17", "at least 1024 octets"),
            ("[limits]\nsasl_response = \"2MiB\"", "2:17", "at most 1024KiB"),
            ("[limits]\nheld_before_login = \"1023KiB\"", "2:21", "at least 1048576 octets"),
            ("[limits]\nheld_before_login = \"2GiB\"", "2:21", "at most 1048576KiB"),
            ("[limits]\noutbound_buffer = \"4KiB\"", "2:19", "at least 8192 octets"),
            ("[limits]\noutbound_buffer = \"256KiB\"", "2:19", "at most 128KiB"),
            ("[limits]\nmistakes = 0", "2:12", "more than 0"),
            ("[limits]\nexcepted_nets = [\"::1\", \"192.0.2.7/24\"]", "2:25", "write \"192.0.2.0/24\""),
            ("[limits]\nexcepted_nets = \"::1\"", "2:17", "sequence"),
            ("[proxy]\nlisten = [\"127.0.0.1:0\"]", "2:11", "no balancer is trusted"),
            ("[proxy]\nlisten = [\"127.0.0.1:0\"]\nnets = []", "2:11", "no balancer is trusted"),
            ("[proxy]\nnets = [\"here\"]", "2:9", "no net"),
            ("[limits.login_delays]\nann = \"1h\"\n\"a/b\" = 0", "3:1", "no \"/\""),
            ("[limits.failed_logins]\nper_connection = 0", "2:18", "more than 0"),
            ("[limits.failed_logins]\nrefuse_for = 0", "2:14", "more than 0"),
            ("[limits.failed_logins]\nperiod = \"0s\"", "2:10", "more than 0"),
            ("[limits.failed_logins]\nrefuse_after = -1", "2:16", "-1"),
            ("[limits.failed_logins]\ndelay = 1", "2:1", "unknown field"),
        ] {
            let said = limits_of(text).unwrap_err();
            assert!(said.starts_with(&format!("pop3d.toml:{place}: ")) && said.contains(named), "{said}");
        }
    }
}

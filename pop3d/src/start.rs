//! From command line and configuration to a server that serves. Nothing is served before all of it is known to work.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::{LevelFilter, info, warn};
use pop3d_core::accounts::{Accounts, NAME_RULE, UserName};
use pop3d_core::maildir::{LocalStore, UniqueIds};
use pop3d_core::server::{ListenError, Server};
use pop3d_core::settings::{Limits, Settings};
use pop3d_core::transform::Holding;
use pop3d_core::transform::registry::chain;
use pop3d_transforms::process::Resources;
use pop3d_transforms::registry::{Permissions, Registry};

use crate::cli::Cli;
use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::config::{self, File, Transforms};
use crate::exit::Exit;
use crate::logging::{Log, LogFile};
use crate::signals;

/// The port that is listened on where nothing else is said.
const PORT: u16 = 1110;

/// Most octets a second that may be asked of every client. Over `SLOW_READER_PERIOD` they are no number too large.
const SLOW_READER_RATE_MAX: u64 = 1 << 30;

/// Longest delay of the answer to a first failed login, which later ones multiply. A connection is held as long.
const FAILED_LOGIN_DELAY_MAX: Duration = Duration::from_secs(60);

/// Longest accounts file that is read, in octets: half a million accounts.
const ACCOUNTS_MAX: u64 = 64 << 20;

/// What the server is to be, all of it read and found usable.
struct Plan {
    listen: Listen,
    mailbox: PathBuf,
    unique_ids: UniqueIds,
    state: Option<PathBuf>,
    workers: usize,
    accounts: Accounts,
    transforms: Transforms,
    limits: Limits,
    apop: bool,
    log_level: LevelFilter,
    log_file: Option<PathBuf>,
    /// What is not right and stops nothing.
    warnings: Vec<String>,
}

/// Where clients are served.
enum Listen {
    /// On every address of the machine, IPv6 and IPv4.
    Everywhere(u16),
    Addresses(Vec<SocketAddr>),
}

/// Does what the command line asks for; returns once the server has stopped.
///
/// # Errors
/// Where it cannot start: then nothing is left half started.
pub(crate) fn run(cli: &Cli) -> Result<(), Exit> {
    let file = cli.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
    let mut plan = Plan::new(cli, file)?;
    if cli.check {
        // A program that is not there would be found by the first message only.
        let missing = plan.transforms.missing.drain(..).next();
        return Err(missing.unwrap_or_else(|| Exit::Done("the configuration is right".to_owned())));
    }
    serve(plan)
}

impl Plan {
    fn new(cli: &Cli, file: File) -> Result<Self, Exit> {
        let mut warnings = Vec::new();
        warnings.extend(file.exposes_passwords());
        let accounts = accounts(cli, &file, &mut warnings)?;
        let transforms = Transforms::new(&file, &cli.transforms, Permissions::default())?;
        warnings.extend(transforms.missing.iter().map(Exit::to_string));
        let log_level = log_level(cli, &file)?;
        let listen = Listen::new(cli, &file)?;
        let limits = limits(cli, &file)?;
        let config = file.config;
        let mailbox = cli.mailbox.clone().or(config.mailbox).ok_or_else(|| {
            Exit::Usage("no mail folder: name it by --mailbox, or as mailbox in the configuration".to_owned())
        })?;
        LocalStore::new(mailbox.clone(), None).check().map_err(|error| {
            Exit::NoInput(format!(
                "cannot read the mail folder {}: {error}; make it, or name another by --mailbox",
                mailbox.display()
            ))
        })?;
        Ok(Self {
            listen,
            mailbox,
            unique_ids: config.unique_ids.map(UniqueIds::from).unwrap_or_default(),
            state: cli.state.clone().or(config.state).or_else(default_state),
            workers: config.workers.unwrap_or(0),
            accounts,
            transforms,
            limits,
            apop: config.apop,
            log_level,
            log_file: config.log.file,
            warnings,
        })
    }
}

impl Listen {
    fn new(cli: &Cli, file: &File) -> Result<Self, Exit> {
        if let Some(port) = cli.pop3_port {
            return Ok(Self::Everywhere(port));
        }
        let Some(listen) = &file.config.listen else { return Ok(Self::Everywhere(PORT)) };
        if listen.as_ref().is_empty() {
            return Err(file.error(listen.span(), "no address to listen on; name one such as \"[::]:1110\""));
        }
        let mut addresses = Vec::new();
        for address in listen.as_ref() {
            let (place, address) = (address.span(), address.as_ref().0);
            // Of port 0 each gets another one.
            if address.port() != 0 && addresses.contains(&address) {
                return Err(file.error(place, "this address is named twice"));
            }
            addresses.push(address);
        }
        Ok(Self::Addresses(addresses))
    }
}

fn limits(cli: &Cli, file: &File) -> Result<Limits, Exit> {
    let config = &file.config;
    let mut limits = Limits::default();
    let bound = |time: Duration| (!time.is_zero()).then_some(time);
    if let Some(timeout) = config.timeout {
        limits.silence = bound(timeout.0);
    }
    if let Some(seconds) = cli.timeout {
        limits.silence = bound(Duration::from_secs(seconds));
    }
    // A client that has not logged in is not given longer than one that has.
    let login = config.login_timeout.map_or(limits.login_silence, |timeout| bound(timeout.0));
    limits.login_silence = login.into_iter().chain(limits.silence).min();
    let table = &config.limits;
    limits.connections = table.connections.unwrap_or(limits.connections);
    limits.connections_per_address = table.connections_per_address.unwrap_or(limits.connections_per_address);
    if let Some(rate) = &table.slow_reader_rate {
        limits.slow_reader_rate = rate.as_ref().0;
        if limits.slow_reader_rate > SLOW_READER_RATE_MAX {
            return Err(file.error(rate.span(), "no client takes that much in a second; at most 1GiB"));
        }
    }
    if let Some(delay) = &table.failed_login_delay {
        limits.failed_login_delay = delay.as_ref().0;
        if limits.failed_login_delay > FAILED_LOGIN_DELAY_MAX {
            return Err(file.error(delay.span(), "a client gives up before that; at most 1m"));
        }
    }
    Ok(limits)
}

fn accounts(cli: &Cli, file: &File, warnings: &mut Vec<String>) -> Result<Accounts, Exit> {
    let config = &file.config;
    let mut accounts = Accounts::new(config.apop);
    if let Some(path) = &config.accounts {
        let (text, is_open) = config::read(path, ACCOUNTS_MAX).map_err(|error| {
            Exit::NoInput(format!("cannot read the accounts file {}: {error}", path.display()))
        })?;
        accounts
            .add_file(&text)
            .map_err(|(line, error)| Exit::Config(format!("{}:{line}:1: {error}", path.display())))?;
        if is_open {
            warnings.push(config::exposed(path));
        }
    }
    for (name, secret) in &config.users {
        let user =
            UserName::parse(name.as_ref().as_bytes()).ok_or_else(|| file.error(name.span(), NAME_RULE))?;
        let octets = secret.as_ref().0.octets();
        if octets.starts_with(b"{") {
            let added = accounts.add_stored(user, octets);
            added.map_err(|error| file.error(secret.span(), &error.to_string()))?;
        } else {
            accounts.add(user, octets);
        }
    }
    for account in &cli.users {
        accounts.add(account.name.clone(), account.password.octets());
    }
    if accounts.is_empty() {
        let Some(path) = &config.accounts else {
            return Err(Exit::Config(
                "no accounts: add one by --user name:password, or in [users] of the configuration".to_owned(),
            ));
        };
        warnings.push(format!("nobody can log in: {} has no account", path.display()));
    }
    Ok(accounts)
}

fn log_level(cli: &Cli, file: &File) -> Result<LevelFilter, Exit> {
    match (cli.log_level, &file.config.log.level) {
        (Some(level), _) => Ok(level),
        (None, Some(level)) => level
            .as_ref()
            .parse()
            .map_err(|_| file.error(level.span(), "a level is off, error, warn, info, debug or trace")),
        (None, None) => Ok(LevelFilter::Info),
    }
}

/// Where state is kept unless something else is said.
fn default_state() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/pop3d"));
    }
    // The base directory specification: a relative path is to be ignored.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder =
        absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    folder.map(|folder| folder.join("pop3d"))
}

fn serve(plan: Plan) -> Result<(), Exit> {
    let system = |what: &str, error: io::Error| Exit::System(format!("cannot {what}: {error}"));
    let log_file = plan.log_file.as_deref().map(LogFile::open).transpose().map_err(|error| {
        let path = plan.log_file.as_deref().unwrap_or(Path::new(""));
        Exit::NoInput(format!("cannot write the log {}: {error}", path.display()))
    })?;
    // Listened to before anything is started, so that none is lost.
    let signals = signals::listen().map_err(|error| system("listen to signals", error))?;
    let mut server = Server::new(plan.workers).map_err(|error| system("start", error))?;
    let addresses = listen(&mut server, plan.listen)?;
    let log =
        Log::start(plan.log_level, log_file).map(Arc::new).map_err(|error| system("start to log", error))?;

    for warning in &plan.warnings {
        warn!(target: "pop3d", "{warning}");
    }

    let pools = server.pools().clone();
    let resources = Resources::new(pools.transforms, server.reactor(), env!("CARGO_PKG_VERSION"));
    let children = Arc::clone(&resources.children);
    let names: Vec<_> = plan.transforms.chain.iter().map(String::as_str).collect();
    let registry = Registry::new(plan.transforms.definitions, resources);
    let chain = chain(&registry, &names).map_err(|_| Exit::Config("a link has no transform".to_owned()))?;
    let state = plan.state.filter(|state| is_usable(state));
    let store = LocalStore::new(plan.mailbox, state.clone()).with_unique_ids(plan.unique_ids);
    let settings = Settings {
        store: Arc::new(store),
        accounts: Arc::new(plan.accounts),
        chain,
        holding: Holding { hold: plan.transforms.hold, spool_folder: state.unwrap_or_else(env::temp_dir) },
        sizes: plan.transforms.sizes,
        apop: plan.apop,
        limits: plan.limits,
    };
    let running = server.start(settings).map_err(|error| system("start a worker", error))?;
    for address in addresses {
        info!(target: "pop3d", "listening on {address}");
    }
    signals::serve(signals, running, &children, &log);
    Ok(())
}

fn listen(server: &mut Server, listen: Listen) -> Result<Vec<SocketAddr>, Exit> {
    let addresses = match listen {
        Listen::Addresses(addresses) => addresses,
        Listen::Everywhere(port) => {
            let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            match server.listen(everywhere) {
                Ok(address) => return Ok(vec![address]),
                Err(error) if is_without_ipv6(&error.cause) => {
                    vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))]
                }
                Err(error) => return Err(unavailable(&error)),
            }
        }
    };
    addresses.into_iter().map(|address| server.listen(address).map_err(|error| unavailable(&error))).collect()
}

/// Whether the system has no IPv6, or has it and no address of it.
fn is_without_ipv6(error: &io::Error) -> bool {
    let error = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(error, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn unavailable(error: &ListenError) -> Exit {
    let advice = match error.cause.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: end it, or take another port by --pop3-port"
        }
        io::ErrorKind::PermissionDenied => "; a port below 1024 needs root",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    };
    Exit::Unavailable(format!("{error}{advice}"))
}

/// Makes the state folder, for the server's user alone; without one service goes on, a little slower.
fn is_usable(state: &Path) -> bool {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .and_then(|()| Ok(access(state, Access::WRITE_OK | Access::EXEC_OK)?));
    if let Err(error) = &made {
        warn!(
            target: "pop3d",
            "the state folder {} cannot be used: {error}; every login counts its messages anew, and other processes \
             are not locked out; name another by --state",
            state.display(),
        );
    }
    made.is_ok()
}

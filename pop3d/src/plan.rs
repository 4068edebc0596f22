//! What the server is to be: command line and configuration file, all of it read and found usable before anything is
//! started or changed.

mod listen;
mod places;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use log::LevelFilter;
use pop3d_core::accounts::{Accounts, NAME_RULE, Secret, UserName};
use pop3d_core::admin::Bounds;
use pop3d_core::maildir::{LocalStore, UniqueIds};
use pop3d_core::regular_file;
use pop3d_core::server::{Protocol, WORKERS_MAX};
use pop3d_core::settings::Limits;
use pop3d_core::tls::Tls;
use pop3d_transforms::registry::Permissions;
use rustix::fs::Access;
use toml::Spanned;

pub(crate) use self::listen::{Listen, PeepListen};
use self::listen::{check_apart, peep_tls_listen, proxy_listen};
use crate::cli::{Cli, LEVEL_RULE};
use crate::config::{self, File, Tokens, Transforms};
use crate::exit::{self, Exit};
use crate::privileges::{self, Confinement, Identity};

/// The first port that everybody may listen on.
const PRIVILEGED_END: u16 = 1024;

/// The name of PEEP's socket in the state folder.
const SOCKET: &str = "peep.sock";

/// How long a program that knows passwords may take.
const CHECKPASSWORD_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that it may be given.
const CHECKPASSWORD_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Most threads for transforms.
const TRANSFORM_WORKERS_MAX: usize = 1024;

/// Longest accounts file that is read, in octets: half a million accounts.
pub(crate) const ACCOUNTS_MAX: u64 = 64 << 20;

/// All of it.
pub(crate) struct Plan {
    pub(crate) fixed: Fixed,
    pub(crate) mailbox: PathBuf,
    pub(crate) unique_ids: UniqueIds,
    /// Those of the configuration.
    pub(crate) accounts: Accounts,
    /// The accounts file that the configuration names.
    pub(crate) accounts_file: Option<PathBuf>,
    /// Those of the command line.
    pub(crate) command_line: Vec<(UserName, Arc<Secret>)>,
    pub(crate) administrators: Accounts,
    pub(crate) transforms: Transforms,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) rehash: bool,
    /// The program that knows passwords, and how long it may take.
    pub(crate) checkpassword: Option<(Vec<String>, Duration)>,
    /// What users log in by beside passwords.
    pub(crate) tokens: Option<Tokens>,
    /// How long a program that knows passwords or tokens may take.
    pub(crate) checking_limit: Duration,
    pub(crate) log_level: LevelFilter,
    /// What is wrong and keeps no server from its start, as programs that are not there: each is among the warnings too.
    pub(crate) tolerated: Vec<Exit>,
    /// What is not right and stops nothing.
    pub(crate) warnings: Vec<String>,
    /// What is said of serving as root.
    root: Root,
}

/// What command line and configuration say of serving as root.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Root {
    /// The configuration allows it.
    Allowed,
    /// It is a trial, with accounts on the command line.
    Trial,
    Unmentioned,
}

/// What only a start can take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fixed {
    /// Whom the process becomes.
    pub(crate) identity: Option<Identity>,
    pub(crate) confinement: Confinement,
    /// The folders of what the configuration names, which are read where reading is bounded. Others that it names later are no reason
    /// to start anew: they may be beneath these.
    pub(crate) named: Vec<PathBuf>,
    /// Files that are read whenever the configuration is.
    pub(crate) read_again: Vec<PathBuf>,
    pub(crate) listen: Listen,
    /// Where clients begin with TLS; none: there is no certificate.
    pub(crate) pop3s_listen: Option<Listen>,
    /// Where balancers connect, and what their clients speak.
    pub(crate) proxy_listen: Vec<(SocketAddr, Protocol)>,
    pub(crate) peep_listen: PeepListen,
    /// Where administrators begin with TLS.
    pub(crate) peep_tls_listen: Vec<SocketAddr>,
    pub(crate) peep_socket: Option<PathBuf>,
    pub(crate) peep_bounds: Bounds,
    pub(crate) state: Option<PathBuf>,
    /// Whether command line or configuration name it.
    pub(crate) is_state_named: bool,
    pub(crate) workers: usize,
    /// Threads for transforms; 0: as the server has it.
    pub(crate) transform_workers: usize,
    /// Guests at once; none: as the engine has it.
    pub(crate) wasm_instances: Option<u32>,
    pub(crate) log_file: Option<PathBuf>,
}

impl Plan {
    /// Reads the configuration file that the command line names, and makes a plan of both.
    ///
    /// # Errors
    /// Where something in there cannot be.
    pub(crate) fn read(cli: &Cli) -> Result<Self, Exit> {
        let file = cli.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let mut warnings = Vec::new();
        warnings.extend(file.exposes_passwords());
        let accounts = accounts(&file, &mut warnings)?;
        warnings.extend(config::doubts::of_command_line(cli));
        let administrators = config::administrators(cli, &file)?;
        let peep = &file.config.peep;
        let permissions =
            Permissions { transform_load: peep.transform_load, transform_exec: peep.transform_exec };
        let mut transforms = Transforms::new(&file, &cli.transforms, permissions)?;
        let mut tolerated = std::mem::take(&mut transforms.tolerated);
        let log_level = log_level(cli, &file)?;
        let limits = config::limits(cli, &file)?;
        let tls = config::tls(cli, &file)?;
        let fixed = Fixed::new(cli, &file, &transforms, tls.is_some(), administrators.is_empty())?;
        check_apart(&file, &fixed)?;
        if cli.peep_port.is_some() && fixed.peep_listen == PeepListen::Nowhere {
            warnings.push(
                "--peep-port without an administrator: add one by --peep-admin name:password".to_owned(),
            );
        }
        if administrators.is_empty() && file.config.peep.tls_listen.is_some() {
            warnings
                .push("tls_listen in [peep] without an administrator: add one to [peep.admins]".to_owned());
        }
        warnings.extend(fixed.confinement.absent().map(|folder| {
            format!(
                "write in [confine]: there is no folder {}, and nothing is written there later",
                folder.display()
            )
        }));
        let checking_limit = checking_limit(&file)?;
        let checkpassword = checkpassword(&file, checking_limit, &mut tolerated)?;
        let tokens = config::tokens(&file, &mut warnings, &mut tolerated)?;
        warnings.extend(tolerated.iter().map(Exit::to_string));
        let config = file.config;
        let mailbox = cli.mailbox.clone().or(config.mailbox).ok_or_else(|| {
            Exit::Usage("no mail folder: name it by --mailbox, or as mailbox in the configuration".to_owned())
        })?;
        check_mailbox(&mailbox)?;
        let is_user =
            |name: &UserName| accounts.contains(name) || cli.users.iter().any(|it| it.name == *name);
        places::check(&fixed, &mailbox, is_user)?;
        Ok(Self {
            fixed,
            mailbox,
            unique_ids: config.unique_ids.map(UniqueIds::from).unwrap_or_default(),
            accounts,
            accounts_file: config.accounts,
            command_line: cli.users.iter().map(|it| (it.name.clone(), Arc::clone(&it.password))).collect(),
            administrators,
            transforms,
            limits,
            tls,
            rehash: config.rehash,
            checkpassword,
            tokens,
            checking_limit,
            log_level,
            tolerated,
            warnings,
            root: match (config.allow_root, cli.users.is_empty()) {
                (true, _) => Root::Allowed,
                (false, false) => Root::Trial,
                (false, true) => Root::Unmentioned,
            },
        })
    }

    /// Whether root may serve; a warning, where nobody has allowed it. On a port that needs root the server is one of the network's, and is not left to run as root by
    /// having forgotten something; on others it is started by hand, and warns.
    ///
    /// # Errors
    /// Where it may not, with what to do.
    pub(crate) fn check_root(&self, is_root: bool) -> Result<Option<&'static str>, Exit> {
        if !is_root || self.root == Root::Allowed || self.fixed.identity.is_some() {
            return Ok(None);
        }
        match self.fixed.ports().find(|port| (1..PRIVILEGED_END).contains(port)) {
            Some(port) if self.root == Root::Unmentioned => Err(Exit::Config(format!(
                "started as root for port {port}, and would stay root: name whom it is to become by user in the \
                 configuration, or write allow_root = true there"
            ))),
            Some(_) | None => Ok(Some(
                "serving as root: name another user by user in the configuration, or write allow_root = true there",
            )),
        }
    }

    /// Whether somebody could log in, or let somebody in; what to do, where that is nobody yet. `kept`: whether PEEP has
    /// set accounts.
    ///
    /// # Errors
    /// Where nobody ever could: then something was forgotten.
    pub(crate) fn check_accounts(&self, has_kept: bool) -> Result<Option<&'static str>, Exit> {
        if has_kept
            || self.checkpassword.is_some()
            || self.tokens.as_ref().is_some_and(|tokens| tokens.asks_program())
            || !self.accounts.is_empty()
            || !self.command_line.is_empty()
        {
            return Ok(None);
        }
        if self.accounts_file.is_some() || !self.administrators.is_empty() {
            return Ok(Some("nobody can log in: there are no accounts yet"));
        }
        Err(Exit::Config(
            "no accounts: add one by --user name:password, or in [users] of the configuration".to_owned(),
        ))
    }
}

/// The state folder where nothing names one. Found out once: it stays that of root, who started the server, where the server
/// has become another user by the time that the configuration is read again.
fn default_state() -> Option<PathBuf> {
    static STATE: OnceLock<Option<PathBuf>> = OnceLock::new();
    STATE.get_or_init(pop3d_programs::state_folder).clone()
}

impl Fixed {
    fn new(
        cli: &Cli,
        file: &File,
        transforms: &Transforms,
        has_tls: bool,
        has_no_administrator: bool,
    ) -> Result<Self, Exit> {
        let config = &file.config;
        let named_state = cli.state.clone().or_else(|| config.state.clone());
        let is_state_named = named_state.is_some();
        let state = named_state.or_else(default_state);
        let in_state = || state.as_ref().map(|state| state.join(SOCKET));
        Ok(Self {
            identity: file.identity()?,
            confinement: file.confinement()?,
            named: file.read_folders(transforms),
            read_again: file.read_again().into_iter().map(Path::to_owned).collect(),
            listen: Listen::new(cli, file)?,
            pop3s_listen: if has_tls { Some(Listen::tls(cli, file)?) } else { None },
            proxy_listen: proxy_listen(file, has_tls)?,
            peep_listen: PeepListen::new(cli, file, has_no_administrator)?,
            peep_tls_listen: peep_tls_listen(file, has_no_administrator)?,
            peep_socket: config.peep.socket.clone().or_else(in_state),
            peep_bounds: config::peep_bounds(file)?,
            workers: threads(file, config.workers.as_ref(), WORKERS_MAX)?,
            transform_workers: threads(file, config.transform_pool.workers.as_ref(), TRANSFORM_WORKERS_MAX)?,
            wasm_instances: config
                .transform_pool
                .max_wasm_instances
                .map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
            log_file: config.log.file.clone(),
            state,
            is_state_named,
        })
    }

    /// Every port that is listened on.
    fn ports(&self) -> impl Iterator<Item = u16> {
        let listen = std::iter::once(&self.listen).chain(&self.pop3s_listen);
        let clients = listen.flat_map(|listen| listen.addresses().0).map(|address| address.port());
        let balancers = self.proxy_listen.iter().map(|(address, _)| address.port());
        let peep: Vec<_> = match &self.peep_listen {
            PeepListen::Nowhere => Vec::new(),
            PeepListen::Loopback(port) => vec![*port],
            PeepListen::Addresses(addresses) => addresses.iter().map(SocketAddr::port).collect(),
        };
        let peep = peep.into_iter().chain(self.peep_tls_listen.iter().map(SocketAddr::port));
        clients.chain(balancers).chain(peep)
    }

    /// The first key that another one has another value for.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let keys = [
            ("user or group", self.identity != other.identity),
            ("[confine]", self.confinement != other.confinement),
            // Before the socket, which is in it where nothing else is said.
            ("state", self.state != other.state),
            ("listen", self.listen != other.listen),
            ("[tls] listen, or whether there is a certificate,", self.pop3s_listen != other.pop3s_listen),
            ("[proxy] listen or pop3s_listen", self.proxy_listen != other.proxy_listen),
            ("[peep] listen, or whether there are administrators,", self.peep_listen != other.peep_listen),
            ("[peep] tls_listen", self.peep_tls_listen != other.peep_tls_listen),
            ("[peep] socket", self.peep_socket != other.peep_socket),
            (
                "[peep] connections, socket_connections or failed_logins",
                self.peep_bounds != other.peep_bounds,
            ),
            ("workers", self.workers != other.workers),
            ("[transform_pool] workers", self.transform_workers != other.transform_workers),
            ("[transform_pool] max_wasm_instances", self.wasm_instances != other.wasm_instances),
            ("[log] file", self.log_file != other.log_file),
        ];
        keys.into_iter().find_map(|(key, is_different)| is_different.then_some(key))
    }
}

/// A number of threads, of which there are no more than `most`; 0: as many as there are cores for.
///
/// # Errors
/// Where it is more.
fn threads(file: &File, named: Option<&Spanned<usize>>, most: usize) -> Result<usize, Exit> {
    match named {
        Some(count) if *count.as_ref() > most => {
            let what = format!("a thread is of use where there is a core for it; at most {most}");
            Err(file.error(count.span(), &what))
        }
        count => Ok(count.map_or(0, |count| *count.as_ref())),
    }
}

/// Whether the mail folder that command line or configuration name can be used.
///
/// # Errors
/// Where it cannot, with what to do.
fn check_mailbox(mailbox: &Path) -> Result<(), Exit> {
    check_folder_of_mail(mailbox, "name another by --mailbox")
}

/// Whether whom the server becomes can use it.
///
/// # Errors
/// Where that user cannot, with what to do.
pub(crate) fn check_mailbox_as(mailbox: &Path, identity: &Identity) -> Result<(), Exit> {
    let checked = identity.act(|| is_entered(mailbox));
    checked.map_err(|error| {
        let what = format!("the user {} cannot read the mail folder {}", identity.name(), mailbox.display());
        exit::no_input(&what, &error, "let that user read and enter it, or name another user")
    })
}

/// Whether the mail folder that was set at run time can be used.
///
/// # Errors
/// Where it cannot, with what to do.
pub(crate) fn check_kept_mailbox(mailbox: &Path) -> Result<(), Exit> {
    let advice = "remove [mailbox] from settings.toml in the state folder, where it was set at run time";
    check_folder_of_mail(mailbox, advice)
}

/// Whether a mail folder can be listed, and what is in it opened.
///
/// # Errors
/// Why not.
fn is_entered(mailbox: &Path) -> io::Result<()> {
    LocalStore::new(mailbox.to_owned(), None).check()?;
    privileges::permits(mailbox, Access::READ_OK | Access::EXEC_OK)
}

fn check_folder_of_mail(mailbox: &Path, advice: &str) -> Result<(), Exit> {
    is_entered(mailbox).map_err(|error| {
        let what = format!("cannot read the mail folder {}", mailbox.display());
        let first = match error.kind() {
            io::ErrorKind::PermissionDenied => "let the server's user read and enter it",
            _ => exit::advice(&error),
        };
        exit::no_input(&what, &error, &format!("{first}, or {advice}"))
    })
}

fn accounts(file: &File, warnings: &mut Vec<String>) -> Result<Accounts, Exit> {
    let config = &file.config;
    let mut accounts = Accounts::new(config.apop);
    if let Some(path) = &config.accounts {
        let (text, is_open) =
            regular_file::open(path).and_then(|file| config::read(file, ACCOUNTS_MAX)).map_err(|error| {
                let what = format!("cannot read the accounts file {}", path.display());
                exit::no_input(
                    &what,
                    &error,
                    &format!("{}, or name another by accounts", exit::advice(&error)),
                )
            })?;
        let doubts = accounts
            .add_file(&text)
            .map_err(|(line, error)| Exit::Config(format!("{}:{line}:1: {error}", path.display())))?;
        if is_open {
            warnings.push(config::exposed(path));
        }
        warnings.extend(config::doubts::of_accounts_file(path, &doubts));
        warnings.extend(config::doubts::of_fast_hashes(path, accounts.guessed_fast(), config.rehash));
    }
    for (name, user) in &config.users {
        let of =
            UserName::parse(name.as_ref().as_bytes()).ok_or_else(|| file.error(name.span(), NAME_RULE))?;
        config::User::add_to(user, &mut accounts, &of, file)?;
    }
    warnings.extend(config::doubts::of_users(file));
    Ok(accounts)
}

/// How long a program that knows passwords or tokens may take.
fn checking_limit(file: &File) -> Result<Duration, Exit> {
    match &file.config.checkpassword_timeout {
        Some(limit) if limit.as_ref().0.is_zero() || limit.as_ref().0 > CHECKPASSWORD_TIMEOUT_MAX => {
            Err(file.error(limit.span(), "a client waits for it; more than 0, and at most 1m"))
        }
        Some(limit) => Ok(limit.as_ref().0),
        None => Ok(CHECKPASSWORD_TIMEOUT),
    }
}

/// The program that knows passwords, and how long it may take.
fn checkpassword(
    file: &File,
    limit: Duration,
    missing: &mut Vec<Exit>,
) -> Result<Option<(Vec<String>, Duration)>, Exit> {
    let Some(program) = &file.config.checkpassword else { return Ok(None) };
    let words = program.as_ref().words();
    if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
        return Err(
            file.error(program.span(), "no program is named; write checkpassword = \"PROGRAM /bin/true\"")
        );
    }
    if let Some(what) = config::missing_program(words.first().map_or("", String::as_str)) {
        missing.push(file.error(program.span(), &what));
    }
    Ok(Some((words, limit)))
}

fn log_level(cli: &Cli, file: &File) -> Result<LevelFilter, Exit> {
    match (cli.log_level, &file.config.log.level) {
        (Some(level), _) => Ok(level),
        (None, Some(level)) => level.as_ref().parse().map_err(|_| file.error(level.span(), LEVEL_RULE)),
        (None, None) => Ok(LevelFilter::Info),
    }
}

//! One look at what the plan names and others can change, before anything is started: a start and `--check` take the same.
//! What a start then makes or opens is not made or opened by `--check`, which says at the end what a start would warn of.

use std::env;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use pop3d_core::administration::{Beginning, BeginningError, Configured};
use pop3d_core::maildir::LocalStore;
use pop3d_core::server::Server;
use pop3d_core::state::{Claim, StateFiles, what_to_raise};
use pop3d_core::transform::Kind;
use pop3d_core::transform::registry::{Listed, State};
use pop3d_transforms::resources::Resources;
use rustix::fs::Access;
use rustix::io::Errno;

use super::told::Told;
use crate::cli::Cli;
use crate::config::folder_of;
use crate::exit::{self, Exit};
use crate::host::Program;
use crate::logging::LogFile;
use crate::plan::{self, Fixed, Plan};
use crate::privileges;

/// Looks at the mail folder and the log, as whom the server becomes.
///
/// # Errors
/// Where one of them cannot be used, with what to do.
pub(super) fn look(plan: &Plan) -> Result<(), Exit> {
    let fixed = &plan.fixed;
    if let Some(identity) = &fixed.identity {
        plan::check_mailbox_as(&plan.mailbox, identity)?;
    }
    let Some(log) = &fixed.log_file else { return Ok(()) };
    LogFile::probe(log, fixed.identity.as_ref()).map_err(|error| no_log(log, &error))
}

/// Which files whom the server becomes could not read again.
pub(super) fn not_read_again(fixed: &Fixed) -> Vec<String> {
    let Some(identity) = fixed.identity.as_ref().filter(|_| privileges::is_root()) else { return Vec::new() };
    let doubt = |file: &PathBuf| {
        let error = identity.act(|| privileges::permits(file, Access::READ_OK)).err()?;
        let (file, user) = (file.display(), identity.name());
        Some(format!(
            "{file} cannot be read by the user {user}: {error}; it is read by root now, and by that user at SIGHUP, where \
             nothing is taken then: let that user read it"
        ))
    };
    fixed.read_again.iter().filter_map(doubt).collect()
}

/// Says that the log cannot be written, and what to do.
pub(super) fn no_log(log: &Path, error: &io::Error) -> Exit {
    if log.as_os_str().is_empty() {
        return Exit::NoInput(
            "[log] file names no file; leave it out, and the log goes to standard error".to_owned(),
        );
    }
    let advice = match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "make its folder, or name another file by file in [log]",
        Some(Errno::LOOP) => {
            "it is a link that others than root may have made: name the file that it leads to"
        }
        None if error.kind() == io::ErrorKind::BrokenPipe => {
            "start what reads it first, or name another file by file in [log]"
        }
        _ => "let the server's user write there, or name another file by file in [log]",
    };
    exit::no_input(&format!("cannot write the log {}", log.display()), error, advice)
}

/// What is kept in a state folder; none: there is no such folder, which keeps nothing.
///
/// # Errors
/// Where there is one and it cannot be looked into. A start without what it keeps would let in who was removed, and send mail
/// past transforms.
pub(super) fn kept(fixed: &Fixed) -> Result<Option<StateFiles>, Exit> {
    let Some(state) = &fixed.state else { return Ok(None) };
    // Every login would be refused, for what is in them holds.
    let indexes = state.join("indexes");
    let opened = match privileges::permits(&indexes, Access::READ_OK | Access::EXEC_OK) {
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied && indexes.symlink_metadata().is_ok() =>
        {
            Err(io::Error::new(error.kind(), format!("indexes: {error}")))
        }
        _ => StateFiles::open_there(state),
    };
    match opened {
        // One that nobody has named may never have been, below a folder that is closed to the server's user.
        Err(_) if !fixed.is_state_named && state.symlink_metadata().is_err() => Ok(None),
        Err(error) => Err(match what_to_raise(&error) {
            Some(raise) => {
                Exit::System(format!("cannot open the state folder {}: {error}; {raise}", state.display()))
            }
            None => Exit::Config(format!(
                "the state folder {} cannot be looked into: {error}; what was set at run time is kept there, such as which \
             users were removed: have it belong to the server's user, or name another by --state",
                state.display(),
            )),
        }),
        Ok(files) => Ok(files),
    }
}

/// Adds what was set at run time to what is configured.
///
/// # Errors
/// Where something of it cannot be any more.
pub(super) fn begin(
    configured: Configured,
    store: &LocalStore,
    files: Option<&StateFiles>,
    claim: Option<Claim>,
) -> Result<Beginning, Exit> {
    let beginning = Beginning::new(configured, store, files, claim);
    let beginning = beginning.map_err(|error| match error {
        BeginningError::Want(what) => Exit::System(what),
        BeginningError::Unusable(what) => Exit::Config(what),
    })?;
    beginning.kept_mailbox().map_or(Ok(()), plan::check_kept_mailbox)?;
    Ok(beginning)
}

/// Says what a start would: why it is refused, or what it warns of.
///
/// # Errors
/// That all is right, where it is; else what is wrong.
pub(super) fn check(cli: Cli, mut plan: Plan) -> Result<(), Exit> {
    // A program that is not there would be found by the first message only, and a rule that does nothing by nobody.
    if let Some(tolerated) = plan.tolerated.drain(..).next() {
        return Err(tolerated);
    }
    let mut warnings = std::mem::take(&mut plan.warnings);
    warnings.extend(doubts(&plan));
    if let Some(identity) = plan.fixed.identity.as_ref().filter(|_| privileges::is_root()) {
        // What follows a start does as that user.
        identity
            .assume()
            .map_err(|error| super::system(&format!("become the user {}", identity.name()), &error))?;
    }
    // From here on a start has a log.
    let told = Told::listen();
    try_beginning(cli, plan)?;
    warnings.extend(told.take());
    for warning in &warnings {
        exit::warn(warning);
    }
    Err(Exit::Done("the configuration is right".to_owned()))
}

/// Loads the plugins of a configuration and what was set at run time, as a start does, and lets them go again.
///
/// # Errors
/// Why something of it cannot be used, with its line and column where the configuration names it.
fn try_beginning(cli: Cli, plan: Plan) -> Result<(), Exit> {
    let server = Server::new(1, 1).map_err(|error| super::system("start", &error))?;
    // Nothing is kept of what is compiled: the state folder is the running server's.
    let pool = server.pools().transforms.clone();
    let mut resources = Resources::new(pool, server.reactor(), env!("CARGO_PKG_VERSION"));
    if let Some(instances) = plan.fixed.wasm_instances {
        resources = resources.with_instances(instances);
    }
    let files = kept(&plan.fixed)?;
    let state = plan.fixed.state.clone().filter(|_| files.is_some());
    let store = LocalStore::new(plan.mailbox.clone(), None);
    let (_program, configured) = Program::new(cli, plan, resources, state);
    let registry = &configured.registry;
    // The programs were looked for before.
    let is_wrong = |it: &Listed| it.kind != Kind::Process && it.state == State::Failed;
    if let Some(Listed { name, .. }) = registry.list().into_iter().find(is_wrong) {
        let why = registry.last_error(&name).unwrap_or_default();
        let place = configured.places.get(&name).map_or("", String::as_str);
        return Err(Exit::Config(format!("{place}the transform {name} cannot be used: {why}")));
    }
    begin(configured, &store, files.as_ref(), None).map(drop)
}

/// What a start warns of once it meets it.
fn doubts(plan: &Plan) -> Vec<String> {
    let Fixed { state, peep_socket, identity, .. } = &plan.fixed;
    let mut doubts = Vec::new();
    // Where it is not there, root makes it for whom the server becomes.
    let look = |state: &PathBuf| doubt_of_state(state).or_else(|| doubt_of_claim(state));
    let of_state = |state: &PathBuf| match identity {
        Some(identity) if state.exists() => {
            identity.act(|| Ok(look(state))).unwrap_or_else(|error| Some(unusable_state(state, &error)))
        }
        Some(_) | None => look(state),
    };
    doubts.extend(state.as_ref().map_or_else(|| Some(NO_STATE.to_owned()), of_state));
    let is_in_state = |socket: &Path| folder_of(socket) == state.as_deref();
    // What is wrong with the folder has been told, as by a start.
    if let Some(socket) = peep_socket.as_deref().filter(|it| !is_in_state(it) || doubts.is_empty()) {
        let look = || wrong_socket(socket, is_in_state(socket)).map_or(Ok(()), Err);
        let looked = identity.as_ref().map_or_else(look, |identity| identity.act(look));
        doubts.extend(looked.err().map(|cause| no_socket(socket, &cause)));
    }
    doubts
}

/// What is said where nothing names a state folder.
pub(super) const NO_STATE: &str = "no state folder, for there is no HOME: every login counts its messages anew, and what PEEP changes ends with this \
     process; name one by --state";

/// What is said where nothing can be kept in the state folder, or less than all; none: it can.
pub(super) fn doubt_of_state(state: &Path) -> Option<String> {
    let error = is_writable(state).err()?;
    if !StateFiles::open_there(state).is_ok_and(|files| files.is_some()) {
        return Some(unusable_state(state, &error));
    }
    Some(format!(
        "the state folder {} can only be read: {error}; what is kept there holds, but new messages are counted at every login, \
         other processes are not locked out, and what PEEP changes ends with this process; let the server's user write there, \
         or name another by --state",
        state.display(),
    ))
}

/// What is said where the state folder cannot be used.
pub(super) fn unusable_state(state: &Path, error: &io::Error) -> String {
    format!(
        "the state folder {} cannot be used: {error}; every login counts its messages anew, other processes are not locked \
         out, and what PEEP changes ends with this process; name another by --state",
        state.display(),
    )
}

/// What is said where nothing can be kept in the state folder for another reason than the folder; none: it can.
fn doubt_of_claim(state: &Path) -> Option<String> {
    let files = StateFiles::open_there(state).ok()??;
    let error = files.probe_claim().err()?;
    Some(unclaimed(&files, &error.to_string()))
}

/// What is said where the state folder is not this server's to write.
pub(super) fn unclaimed(files: &StateFiles, why: &str) -> String {
    let state = files.path_of("");
    let state = state.display();
    format!(
        "the state folder {state}: {why}; what PEEP changes ends with this process; name another by --state"
    )
}

/// What is said where PEEP's socket cannot be.
pub(super) fn no_socket(socket: &Path, cause: &io::Error) -> String {
    format!("no socket for PEEP at {}: {cause}; name another by socket in [peep]", socket.display())
}

/// Whether files can be made in a folder, or it can be made itself.
///
/// # Errors
/// Why not.
fn is_writable(folder: &Path) -> io::Result<()> {
    let absolute = std::path::absolute(folder)?;
    let there = absolute.ancestors().find(|it| it.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
    if !there.metadata()?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    // As whom the process acts for the moment.
    privileges::permits(there, Access::WRITE_OK | Access::EXEC_OK)
}

/// Why there can be no socket; none: there can. `is_in_state`: the folder has been looked at, or is made by a start.
fn wrong_socket(socket: &Path, is_in_state: bool) -> Option<io::Error> {
    // It is bound under another name first, which has the number of the process behind it.
    let mut bound = socket.as_os_str().to_owned();
    bound.push(LONGEST_END);
    if let Err(error) = SocketAddr::from_pathname(bound) {
        return Some(error);
    }
    match socket.symlink_metadata() {
        Ok(found) if !found.file_type().is_socket() => Some(Errno::EXIST.into()),
        Ok(_) => None,
        Err(_) if is_in_state => None,
        Err(_) => {
            folder_of(socket)?.metadata().and_then(|_| is_writable(folder_of(socket).unwrap_or(socket))).err()
        }
    }
}

/// The longest that stands behind a socket's name while it is bound: Linux has no process of a higher number.
const LONGEST_END: &str = ".4194304";

//! From a plan to a server that serves. Nothing is served before all of it is known to work.

mod listening;
mod look;
mod told;

use std::env;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use pop3d_core::admin::AdminThread;
use pop3d_core::administration::Administration;
use pop3d_core::maildir::LocalStore;
use pop3d_core::server::Server;
use pop3d_core::state::accounts::KeptAccounts;
use pop3d_core::state::{Claim, StateFiles, what_to_raise};
use pop3d_transforms::children::Children;
use pop3d_transforms::resources::Resources;

use self::listening::Listening;
use crate::cli::Cli;
use crate::config::folder_of;
use crate::exit::{self, Exit};
use crate::host::Program;
use crate::logging::{Log, LogFile};
use crate::plan::{Fixed, Plan};
use crate::privileges;
use crate::signals::{self, DRAIN_LIMIT};

/// How long a server that stops is waited for: transfers, workers that hang, programs that do not end, the last statistics.
const LEFT_MAX: Duration = Duration::from_secs(DRAIN_LIMIT.as_secs() + 15);
/// Between two looks at whether it has stopped.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Does what the command line asks for; returns once the server has stopped.
///
/// # Errors
/// Where it cannot start: then nothing is left half started.
pub(crate) fn run(cli: Cli) -> Result<(), Exit> {
    let mut plan = Plan::read(&cli)?;
    let warning = plan.check_root(privileges::is_root())?;
    plan.warnings.extend(warning.map(str::to_owned));
    let warning = plan.check_accounts(has_kept_accounts(&plan)?)?;
    plan.warnings.extend(warning.map(str::to_owned));
    look::look(&plan)?;
    plan.warnings.extend(look::not_read_again(&plan.fixed));
    if cli.check { look::check(cli, plan) } else { serve(cli, plan) }
}

/// Whether PEEP has set accounts.
fn has_kept_accounts(plan: &Plan) -> Result<bool, Exit> {
    let Some(files) = look::kept(&plan.fixed)? else { return Ok(false) };
    let kept = KeptAccounts::read(&files).map_err(|error| exit::of_kept(&error))?;
    Ok(kept != KeptAccounts::default())
}

fn serve(cli: Cli, plan: Plan) -> Result<(), Exit> {
    let fixed = plan.fixed.clone();
    let open_log = |path: &Path| LogFile::open(path, fixed.identity.as_ref());
    let log_file = fixed
        .log_file
        .as_deref()
        .map(open_log)
        .transpose()
        .map_err(|error| look::no_log(fixed.log_file.as_deref().unwrap_or(Path::new("")), &error))?;
    // Listened to before anything is started, so that none is lost.
    let signals = signals::listen().map_err(|error| system("listen to signals", &error))?;
    let in_force = confine(&fixed, &plan.mailbox)?;
    let mut server =
        Server::new(fixed.workers, fixed.transform_workers).map_err(|error| system("start", &error))?;
    let mut listening = Listening::open(&mut server, &fixed)?;
    if let Some(identity) = &fixed.identity {
        // Nothing that is read or written from here on is root's business.
        let become_user = identity.assume().and_then(|()| fixed.confinement.forbid_dumps());
        become_user.map_err(|error| system(&format!("become the user {}", identity.name()), &error))?;
    }
    let log = Log::start(plan.log_level, log_file).map_err(|error| system("start to log", &error))?;
    let log = Arc::new(log);
    tell(&plan, in_force);
    let state = fixed.state.clone().filter(|state| is_usable(state));
    let resources = resources(&fixed, &server, state.as_deref())?;
    let children = Arc::clone(&resources.children);
    // What it keeps, such as that a user was removed, and which unique-ids there are, holds also where nothing can be written there.
    let files = look::kept(&fixed)?;
    let store = LocalStore::new(plan.mailbox.clone(), fixed.state.clone().filter(|_| files.is_some()));
    let (program, configured) = Program::new(cli, plan, resources, state.clone());
    let folder = program.folder();
    let claim = files.as_ref().filter(|_| state.is_some()).map(claim).transpose()?.flatten();
    let is_owner = claim.is_some();
    let beginning = look::begin(configured, &store, files.as_ref(), claim)?;
    // Other processes find this one by it, so that it is there for the owner of the state alone.
    match fixed.peep_socket.as_deref() {
        Some(path) if is_owner => listening.open_socket(path),
        // What is wrong with the folder has been told: of a socket elsewhere nobody would think.
        Some(path) if folder_of(path) != fixed.state.as_deref() => {
            warn!(target: "pop3d", "{}", look::no_socket(path, &io::Error::other("the state folder is not this server's")));
        }
        Some(_) | None => {}
    }
    signals.begin_to_serve();
    let running = server
        .start(beginning.settings(), beginning.totals().clone())
        .map_err(|error| system("start a worker", &error))?;
    let administration = Arc::new(Administration::new(beginning, running.handle(), Box::new(program)));
    administration.renew_hashes();
    listening.tell();
    let told = Arc::clone(&administration);
    folder
        .start(move |changed| told.take_in(changed))
        .map_err(|error| system("watch the folder of transforms", &error))?;
    let admin = AdminThread::start(listening.into_doors(), Arc::clone(&administration), fixed.peep_bounds)
        .map_err(|error| system("start the admin thread", &error))?;
    signals::serve(signals, running, &administration, &admin, &children, &log);
    folder.stop();
    admin.stop();
    administration.keep_statistics();
    info!(target: "pop3d", "stopped");
    log.finish();
    Ok(())
}

/// What the system does not give.
fn system(what: &str, error: &io::Error) -> Exit {
    let advice = what_to_raise(error).map_or_else(String::new, |raise| format!("; {raise}"));
    Exit::System(format!("cannot {what}: {error}{advice}"))
}

/// Says what is started, and what of it is not right.
fn tell(plan: &Plan, in_force: Vec<String>) {
    for warning in &plan.warnings {
        warn!(target: "pop3d", "{warning}");
    }
    for what in in_force {
        info!(target: "pop3d", "{what}");
    }
    if let Some(identity) = &plan.fixed.identity {
        info!(target: "pop3d", "serving as the user {}", identity.name());
    }
    if plan.fixed.state.is_none() {
        warn!(target: "pop3d", "{}", look::NO_STATE);
    }
}

/// What transforms are made with.
fn resources(fixed: &Fixed, server: &Server, state: Option<&Path>) -> Result<Resources, Exit> {
    let pool = server.pools().transforms.clone();
    let mut resources = Resources::new(pool, server.reactor(), env!("CARGO_PKG_VERSION"));
    if let Some(state) = state {
        resources = resources.with_cache(state.join("wasm-cache"));
    }
    if let Some(instances) = fixed.wasm_instances {
        resources = resources.with_instances(instances);
    }
    // The folder that programs write in by themselves; Landlock has it open at this moment.
    let (confinement, temporary) = (fixed.confinement.clone(), env::temp_dir());
    let starters = Children::confined(
        move || privileges::children::confine_starter(&confinement, &temporary),
        fixed.confinement.seal_plugins,
    );
    let (children, in_force) =
        starters.map_err(|error| system("confine what starts programs, see [confine]", &error))?;
    for what in in_force {
        info!(target: "pop3d", "{what}");
    }
    Ok(resources.with_children(children))
}

/// Gives up what the server never needs, while there is one thread; what is in force, for the log.
fn confine(fixed: &Fixed, mailbox: &Path) -> Result<Vec<String>, Exit> {
    if let Some(state) = &fixed.state {
        // What is wrong with it is said once there is a log.
        let _ = privileges::make_folder(state, fixed.identity.as_ref());
    }
    let temporary = env::temp_dir();
    let mut folders = vec![mailbox, &temporary];
    folders.extend(fixed.state.as_deref());
    folders.extend(fixed.peep_socket.as_deref().and_then(folder_of));
    folders.extend(fixed.log_file.as_deref().and_then(folder_of));
    // Where it is a link, that which it leads to is opened anew.
    let log_file = fixed.log_file.as_deref().and_then(|file| file.canonicalize().ok());
    folders.extend(log_file.as_deref().and_then(folder_of));
    folders.sort_unstable();
    folders.dedup();
    fixed
        .confinement
        .begin(&folders, &fixed.named)
        .map_err(|error| Exit::System(format!("cannot be confined: {error}; see [confine]")))
}

/// Makes the state folder, where there is none, and says whether something can be kept there; without one service goes on.
fn is_usable(state: &Path) -> bool {
    let made = privileges::make_folder(state, None);
    let doubt =
        made.map_or_else(|error| Some(look::unusable_state(state, &error)), |()| look::doubt_of_state(state));
    if let Some(doubt) = &doubt {
        warn!(target: "pop3d", "{doubt}");
    }
    doubt.is_none()
}

/// Claims the right to write into the state folder, and waits for a server that has it and stops.
///
/// # Errors
/// Where the folder can have no file or no lock.
fn claim_left(files: &StateFiles) -> io::Result<Option<Claim>> {
    let mut until = None;
    loop {
        if let Some(claim) = files.claim()? {
            return Ok(Some(claim));
        }
        if !files.is_being_left()? {
            // It may have ended since.
            return files.claim();
        }
        let until = *until.get_or_insert_with(|| {
            info!(
                target: "pop3d",
                "another server has the state folder {}, and stops: waiting for it, {} seconds at most",
                files.path_of("").display(),
                LEFT_MAX.as_secs(),
            );
            Instant::now() + LEFT_MAX
        });
        if Instant::now() > until {
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The right to write what PEEP changes into the state folder. A server that stops is waited for: what it keeps at last is to be
/// read, and without the folder all that this one counts and is told would end with the process.
///
/// # Errors
/// For want of descriptors or memory: nobody else may have it.
fn claim(files: &StateFiles) -> Result<Option<Claim>, Exit> {
    let what = match claim_left(files) {
        Ok(Some(claim)) => return Ok(Some(claim)),
        Ok(None) => "another server has it".to_owned(),
        Err(error) if what_to_raise(&error).is_some() => {
            return Err(system("claim the state folder", &error));
        }
        Err(error) => error.to_string(),
    };
    warn!(target: "pop3d", "{}", look::unclaimed(files, &what));
    Ok(None)
}

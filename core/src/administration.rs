//! What administrators ask for: questions answered from what is known, and changes made one at a time, kept in the
//! state folder before they take effect.
//!
//! Called by the admin thread (`query`, which never waits) and by its pool (`change`, which may).

mod accounts;
mod apps;
mod chains;
mod change;
mod configured;
mod forgotten;
mod percent;
mod query;
mod refused;
mod renewing;
mod transforms;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use log::{error, warn};
use pop3d_protocol::peep::{Argument, Failure, Ranges};
use pop3d_protocol::pop3::Credentials;
use rustls::server::ServerConfig;

pub(crate) use self::change::makes_transforms;
use self::configured::Kept;
pub use self::configured::{Beginning, Configured, Host};
pub use self::refused::BeginningError;
use self::renewing::Renewals;
use crate::accounts::{Accounts, UserName};
use crate::maildir::LocalStore;
use crate::server::Handle;
use crate::state::Claim;
use crate::state::accounts::KeptAccounts;

/// Longest time that `t=` takes, in seconds: a day.
pub const TIMEOUT_MAX: u64 = 86_400;

/// The file of the statistics in the state folder.
const STATISTICS: &str = "statistics";

/// The file of the key by which names without an account are answered, and its octets.
const NAMES: &str = "names";
const NAMES_LENGTH: usize = 32;

/// What runs the server from outside of it.
pub struct Administration {
    server: Handle,
    host: Box<dyn Host>,
    /// Where changes are kept; none: in memory alone.
    claim: Option<Claim>,
    /// What questions are answered from, beside the settings.
    view: ArcSwap<Configured>,
    /// Held while transforms are made, which may take long, and taken before `state`: no other change waits for that.
    loading: Mutex<()>,
    /// What is being changed: held while something is.
    state: Mutex<State>,
    renewals: Mutex<Renewals>,
    started: Instant,
}

/// Where administrators come from: they are bound to no networks.
const ANYWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Who may administrate, as it was at some time.
#[derive(Clone)]
pub(crate) struct Administrators(Accounts);

impl Administrators {
    /// Whose credentials these are; none: nobody's. May take long.
    pub(crate) fn authenticate(&self, user: &Argument, password: &Argument) -> Option<UserName> {
        let credentials =
            Credentials::Password { user: user.octets().into(), password: password.octets().into() };
        self.0.verify(&credentials, None, ANYWHERE).ok()
    }
}

/// What a change needs to know.
struct State {
    kept: Kept,
    /// The command of the program that the registry has, whether a chain names it or not.
    program: Option<String>,
    /// The last one: others are made of it, so that all share their locks.
    store: LocalStore,
    /// Accounts of the command line that were changed since: until the next start that holds.
    overridden: HashSet<UserName>,
}

impl Administration {
    /// The administration of a server that was started with the settings of `beginning`.
    #[must_use]
    pub fn new(beginning: Beginning, server: Handle, host: Box<dyn Host>) -> Self {
        let Beginning { configured, kept, store, claim, .. } = beginning;
        Self {
            server,
            host,
            claim,
            view: ArcSwap::new(configured),
            loading: Mutex::new(()),
            state: Mutex::new(State {
                program: kept.settings.program.clone(),
                kept,
                store,
                overridden: HashSet::new(),
            }),
            renewals: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Who may administrate for now.
    pub(crate) fn administrators(&self) -> Administrators {
        Administrators(self.view.load().administrators.clone())
    }

    /// Whether who was let in by what was so then may go on: the account may have been taken out, or have another
    /// password.
    pub(crate) fn still_admits(&self, before: &Administrators, user: &UserName) -> bool {
        self.view.load().administrators.still_admits(&before.0, user, ANYWHERE)
    }

    /// The numbers that commands take.
    pub(crate) fn ranges(&self) -> Ranges {
        let most = u64::try_from(self.server.connections_max()).unwrap_or(u64::MAX);
        Ranges { connections: 1..=most, timeout: 0..=TIMEOUT_MAX }
    }

    /// Keeps the statistics, so that a crash loses none before now. Waits for the disk.
    pub fn keep_statistics(&self) {
        let Some(claim) = &self.claim else { return };
        let mut totals = self.server.totals();
        configured::keep_transforms(self.view.load().registry.as_ref(), &mut totals);
        configured::keep_uses(&self.server.settings().accounts, &mut totals);
        let text = totals.to_text();
        if let Err(error) = claim.replace(STATISTICS, text.as_bytes()) {
            warn!(target: "pop3d::peep", "the statistics cannot be kept: {error}");
        }
    }

    /// Says to a server that is started meanwhile that this one stops, so that it waits for the state folder.
    pub fn leave(&self) {
        let Some(claim) = &self.claim else { return };
        if let Err(error) = claim.leave() {
            warn!(target: "pop3d::state", "a server that is started now does not get the state folder: {error}");
        }
    }

    /// Reads the configuration anew and takes it as a whole, or leaves all as it was.
    ///
    /// # Errors
    /// Where it cannot be taken; the log says why.
    pub fn reload(&self) -> Result<(), Failure> {
        let result = self.take_configuration();
        if let Err(what) = &result {
            error!(target: "pop3d::peep", "the configuration was not taken, and nothing changed: {what}");
        }
        result.map_err(|_| Failure::NotTaken)
    }

    fn take_configuration(&self) -> Result<(), String> {
        let _loading = self.loading();
        let mut configured = self.host.configured()?;
        configured.administrators.inherit(&self.view.load().administrators);
        let configured = Arc::new(configured);
        // What was loaded at run time does not change while `loading` is held.
        let loaded = self.lock().kept.clone();
        configured.load_kept(&loaded);
        let mut state = self.lock();
        let mut kept = state.kept.clone();
        kept.forget_stale(&configured);
        let mut accounts = configured.accounts(&kept, &state.overridden);
        let before = self.server.settings();
        accounts.inherit(&before.accounts);
        if accounts.is_empty() {
            // A start with that configuration would be refused, and otherwise warn of it.
            let names_none = configured.accounts.is_empty()
                && configured.command_line.is_empty()
                && configured.accounts_file.is_none()
                && configured.administrators.is_empty();
            if names_none && kept.accounts == KeptAccounts::default() {
                return Err("there would be no accounts; add one in [users] of the configuration".to_owned());
            }
            warn!(target: "pop3d::peep", "nobody can log in: there are no accounts");
        }
        state.store = state.store.moved_to(kept.mailbox(&configured));
        let settings = configured.settings(&kept, &state.store, Arc::new(accounts), Some(before.as_ref()))?;
        let forgotten = configured.forget_strangers(&mut kept, &settings.accounts);
        // A full disk keeps nobody from a configuration of which nothing is kept.
        self.keep_changed(&state.kept, &kept).map_err(|_| "what is kept cannot be written".to_owned())?;
        self.host.taken();
        state.kept = kept;
        self.server.replace_settings(settings);
        self.view.store(configured);
        self.renewals().try_again();
        forgotten::tell_forgotten(&forgotten);
        let count = self.server.settings().accounts.names().count();
        log::info!(target: "pop3d::peep", "the configuration was read again: {count} accounts");
        Ok(())
    }

    /// Takes certificates that were renewed since. Waits for the disk.
    pub(crate) fn renew_certificates(&self) {
        let tls = self.server.settings().tls.clone();
        if let Some(tls) = tls {
            tls.renew();
        }
    }

    /// TLS as administrators get it; none: there is no certificate.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.server.settings().tls.as_ref().map(|tls| tls.peep())
    }

    fn loading(&self) -> MutexGuard<'_, ()> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is changed as a whole, by assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change: `kept` is written to the state folder first, then new settings are made of it and swapped in.
    fn put(&self, state: &mut State, kept: Kept) -> Result<(), Failure> {
        let configured = self.view.load_full();
        let before = self.server.settings();
        let accounts = Arc::clone(&before.accounts);
        state.store = state.store.moved_to(kept.mailbox(&configured));
        let settings = configured.settings(&kept, &state.store, accounts, Some(before.as_ref()));
        let settings = settings.map_err(|what| {
            error!(target: "pop3d::peep", "not changed: {what}");
            Failure::NotTaken
        })?;
        // A transform that was made anew changes the chains, and nothing that is kept.
        if kept.settings != state.kept.settings {
            self.keep_settings(&kept)?;
        }
        state.kept = kept;
        self.server.replace_settings(settings);
        Ok(())
    }

    /// Keeps settings and app passwords where they are others than before, both or none of them.
    fn keep_changed(&self, before: &Kept, kept: &Kept) -> Result<(), Failure> {
        let has_other_apps = kept.apps != before.apps;
        if has_other_apps {
            self.keep_apps(kept)?;
        }
        if kept.settings == before.settings {
            return Ok(());
        }
        self.keep_settings(kept).inspect_err(|_| {
            if has_other_apps {
                // Should that fail as well, it has been told.
                let _ = self.keep_apps(before);
            }
        })
    }

    fn keep_settings(&self, kept: &Kept) -> Result<(), Failure> {
        let Some(claim) = &self.claim else { return Ok(()) };
        kept.settings.save(claim).map_err(|error| not_kept(&error))
    }

    fn keep_apps(&self, kept: &Kept) -> Result<(), Failure> {
        let Some(claim) = &self.claim else { return Ok(()) };
        kept.apps.save(claim).map_err(|error| not_kept(&error))
    }

    fn keep_accounts(&self, kept: &Kept) -> Result<(), Failure> {
        let Some(claim) = &self.claim else { return Ok(()) };
        kept.accounts.save(claim).map_err(|error| not_kept(&error))
    }
}

fn not_kept(error: &io::Error) -> Failure {
    error!(target: "pop3d::peep", "not changed, for it cannot be kept: {error}");
    Failure::NotSaved
}

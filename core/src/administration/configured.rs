//! What command line and configuration say, what was changed at run time since, and the settings that follow from both.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::{LevelFilter, error, info, warn};

use super::chains::Chains;
use super::forgotten::tell_forgotten;
use super::percent::{percent_decoded, percent_encoded};
use super::refused::BeginningError;
use super::{NAMES, NAMES_LENGTH, STATISTICS};
use crate::accounts::file::edit::Renewal;
use crate::accounts::{Accounts, Secret, UserName, answer_names_by};
use crate::maildir::{LocalStore, UniqueIds};
use crate::settings::{Limits, Settings, Sizes};
use crate::state::accounts::KeptAccounts;
use crate::state::apps::KeptApps;
use crate::state::settings::KeptSettings;
use crate::state::{Claim, StateFiles};
use crate::statistics::Totals;
use crate::tls::Tls;
use crate::transform::registry::{ChainError, Listed, PROGRAM_NAME, Registry};
use crate::transform::rules::{NamedRule, Rule};
use crate::transform::{Holding, TransformStatistics};

/// What command line and configuration say of what can be changed while the server runs.
pub struct Configured {
    /// The mail folder.
    pub mailbox: PathBuf,
    /// Whose unique-ids messages get that are met for the first time.
    pub unique_ids: UniqueIds,
    /// Accounts of the configuration and its accounts file.
    pub accounts: Accounts,
    /// The accounts file; none: there is none.
    pub accounts_file: Option<PathBuf>,
    /// Those of the command line. They live in memory only, and win.
    pub command_line: Vec<(UserName, Arc<Secret>)>,
    /// Who may administrate.
    pub administrators: Accounts,
    /// Names of the chain of all.
    pub chain: Vec<String>,
    /// Which messages pass through other chains.
    pub rules: Vec<NamedRule>,
    /// The transforms that there are.
    pub registry: Arc<dyn Registry>,
    /// Where those of the configuration stand in it, by name: what an error about one begins with.
    pub places: BTreeMap<String, String>,
    /// How much output is held before "+OK", and where it is spooled.
    pub holding: Holding,
    /// Which sizes STAT and LIST tell.
    pub sizes: Sizes,
    /// TLS; none: there is none.
    pub tls: Option<Arc<Tls>>,
    /// Whether a weak hash that PEEP has set, or that stands in the accounts file, is made anew at the next login by its
    /// password.
    pub rehash: bool,
    /// Bounds of connections.
    pub limits: Limits,
}

/// What only the program can do.
pub trait Host: Send + Sync {
    /// Reads command line and configuration anew.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    fn configured(&self) -> Result<Configured, String>;

    /// Puts other hashes into an accounts file, where those of before stand; into whose lines.
    ///
    /// # Errors
    /// Why it cannot be written, as a sentence. Then it is as it was.
    fn renew_hashes(&self, file: &Path, renewals: &[Renewal]) -> Result<Vec<UserName>, String>;

    /// What `configured` gave last is what holds from here on.
    fn taken(&self);

    /// The level of the log.
    fn log_level(&self) -> String;

    /// The level of this name; none where there is no such level.
    fn level_named(&self, name: &str) -> Option<LevelFilter>;

    /// Sets the level of the log.
    fn set_log_level(&self, level: LevelFilter);
}

/// What was changed at run time.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) accounts: KeptAccounts,
    pub(super) apps: KeptApps,
    pub(super) settings: KeptSettings,
}

/// A server that is about to be started: its settings, and what its administration needs later.
pub struct Beginning {
    pub(super) configured: Arc<Configured>,
    pub(super) kept: Kept,
    pub(super) store: LocalStore,
    pub(super) claim: Option<Claim>,
    settings: Settings,
    totals: Totals,
}

impl Beginning {
    /// Reads what was kept in the state folder. Without a claim to it changes are not kept there: another process does.
    ///
    /// # Errors
    /// Where a file there is damaged, or what was set at run time cannot be any more: serving without it could show
    /// mail that a transform was to hold back. The file is left as it is. What the configuration overrules is forgotten.
    pub fn new(
        configured: Configured,
        store: &LocalStore,
        files: Option<&StateFiles>,
        claim: Option<Claim>,
    ) -> Result<Self, BeginningError> {
        let mut kept = Kept::default();
        let mut totals = Totals::default();
        if let Some(files) = files {
            kept.accounts = KeptAccounts::read(files)?;
            kept.apps = KeptApps::read(files)?;
            kept.settings = KeptSettings::read(files)?;
            totals = read_statistics(files, claim.as_ref())?;
            if let Some(key) = names_key(files, claim.as_ref())? {
                answer_names_by(key);
            }
        }
        let configured = Arc::new(configured);
        let found = kept.clone();
        kept.forget_stale(&configured);
        if let Some(program) = &kept.settings.program {
            configured.registry.set_program(program).map_err(|error| {
                BeginningError::Unusable(format!(
                    "the program that was set at run time, \"{program}\", cannot be used any more: {error}; {ADVICE}"
                ))
            })?;
        }
        configured.load_kept(&kept);
        restore_transforms(configured.registry.as_ref(), &mut totals);
        let store = store.moved_to(kept.mailbox(&configured));
        let accounts = Arc::new(configured.accounts(&kept, &HashSet::new()));
        restore_uses(&accounts, &mut totals);
        let forgotten = configured.forget_strangers(&mut kept, &accounts);
        let settings =
            configured.settings(&kept, &store, accounts, None).map_err(BeginningError::Unusable)?;
        match claim.as_ref().map(|claim| kept.save_changed(&found, claim)) {
            Some(Ok(())) => tell_forgotten(&forgotten),
            Some(Err(error)) => {
                // It holds for this process, and the next one forgets it where the configuration is the same still.
                warn!(target: "pop3d::peep", "what the configuration overrules of what was set at run time stays in the state folder, app passwords too: {error}");
            }
            None => {}
        }
        kept.tell(&configured);
        Ok(Self { configured, kept, store, claim, settings, totals })
    }

    /// The settings to start with.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// The mail folder that was set at run time, where that is in force.
    #[must_use]
    pub fn kept_mailbox(&self) -> Option<&Path> {
        let kept = self.kept.settings.mailbox.as_ref()?;
        kept.in_force(&self.configured.mailbox_text()).map(Path::new)
    }

    /// What earlier processes have counted.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }
}

/// What to do about something in `settings.toml` that cannot be any more.
const ADVICE: &str = "bring it back, or take it out of what was set at run time: by \"tf= default\" of PEEP, for a user by \
                      \"tf= default USER\"; where the server does not run, in settings.toml of the state folder";

/// The key by which names without an account are answered, made where there is none; nothing of it can be lost but that it
/// is the same as before.
///
/// # Errors
/// For want of descriptors or memory.
fn names_key(files: &StateFiles, claim: Option<&Claim>) -> Result<Option<Secret>, BeginningError> {
    match files.read_unless_wanting(NAMES)? {
        Ok(Some(octets)) if octets.len() == NAMES_LENGTH => return Ok(Some(Secret::new(&octets))),
        Ok(_) => {}
        Err(error) => {
            warn!(target: "pop3d::login", "{}: it cannot be read: {error}", files.path_of(NAMES).display());
            return Ok(None);
        }
    }
    let Some(claim) = claim else { return Ok(None) };
    let key = Secret::random();
    if let Err(error) = claim.replace(NAMES, key.octets()) {
        warn!(target: "pop3d::login", "{}: it cannot be kept: {error}", files.path_of(NAMES).display());
    }
    Ok(Some(key))
}

/// What was counted before. Numbers are no mail: where they cannot be read, counting begins anew, and what is there is
/// kept under another name.
///
/// # Errors
/// For want of descriptors or memory.
fn read_statistics(files: &StateFiles, claim: Option<&Claim>) -> Result<Totals, BeginningError> {
    let octets = match files.read_unless_wanting(STATISTICS)? {
        Ok(Some(octets)) => octets,
        Ok(None) => return Ok(Totals::default()),
        Err(error) => {
            warn!(target: "pop3d::peep", "the statistics cannot be read and begin anew: {error}");
            match claim.map(|claim| claim.set_aside(STATISTICS, "statistics.damaged")) {
                Some(Ok(())) => warn!(
                    target: "pop3d::peep",
                    "the file is kept as statistics.damaged; let it belong to the server's user, and put it back while the \
                     server does not run"
                ),
                Some(Err(error)) => {
                    warn!(target: "pop3d::peep", "it cannot be renamed, and is lost once statistics are kept: {error}");
                }
                // Nothing is written there by this process.
                None => {}
            }
            return Ok(Totals::default());
        }
    };
    Ok(Totals::from_text(&String::from_utf8_lossy(&octets)).unwrap_or_else(|(line, what)| {
        warn!(target: "pop3d::peep", "statistics, line {line}: {what}; they begin anew, and the file is kept as statistics.damaged");
        if let Some(Err(error)) = claim.map(|claim| claim.replace("statistics.damaged", &octets)) {
            warn!(target: "pop3d::peep", "statistics.damaged cannot be written: {error}");
        }
        Totals::default()
    }))
}

/// What the names begin with by which a transform's numbers are kept.
const KEPT: &str = "pop3d_transform_kept{transform=\"";

/// Adds the numbers of all transforms.
pub(super) fn keep_transforms(registry: &dyn Registry, totals: &mut Totals) {
    for Listed { name, .. } in registry.list() {
        for (of, value) in registry.statistics(&name).unwrap_or_default().kept() {
            totals.put(format!("{KEPT}{name}\",of=\"{of}\"}}"), value);
        }
    }
}

/// Gives the transforms their numbers back. Those of transforms that there are not any more are forgotten.
fn restore_transforms(registry: &dyn Registry, totals: &mut Totals) {
    let mut restored: HashMap<String, TransformStatistics> = HashMap::new();
    for (key, value) in totals.take(KEPT) {
        let named = key.strip_prefix(KEPT).and_then(|rest| rest.strip_suffix("\"}"));
        if let Some((name, of)) = named.and_then(|named| named.split_once("\",of=\"")) {
            restored.entry(name.to_owned()).or_default().restore(of, value);
        }
    }
    for (name, before) in &restored {
        registry.restore(name, before);
    }
}

/// What the names begin with by which it is kept when an app password was used last.
const USED: &str = "pop3d_app_password_used_seconds{user=\"";

/// Adds when each app password was used last: so that it is on disk once a minute and not once a login.
pub(super) fn keep_uses(accounts: &Accounts, totals: &mut Totals) {
    for (user, name, used) in accounts.app_uses() {
        let user = percent_encoded(user.as_str());
        totals.put(format!("{USED}{user}\",app=\"{name}\"}}"), used);
    }
}

/// Tells the app passwords when they were used last. Those that there are not any more are forgotten.
fn restore_uses(accounts: &Accounts, totals: &mut Totals) {
    for (key, used) in totals.take(USED) {
        let named = key.strip_prefix(USED).and_then(|rest| rest.strip_suffix("\"}"));
        let Some((user, name)) = named.and_then(|named| named.rsplit_once("\",app=\"")) else { continue };
        if let Some(user) = percent_decoded(user.as_bytes()).and_then(|user| UserName::parse(user.as_bytes()))
        {
            accounts.restore_app_use(&user, name, used);
        }
    }
}

impl Configured {
    /// The limit of connections, as it is kept.
    pub(super) fn connections(&self) -> u64 {
        u64::try_from(self.limits.connections).unwrap_or(u64::MAX)
    }

    /// Silence after login in seconds, as it is kept; 0: none.
    pub(super) fn timeout(&self) -> u64 {
        self.limits.silence.map_or(0, |silence| silence.as_secs().max(1))
    }

    /// The mail folder, as it is kept.
    pub(super) fn mailbox_text(&self) -> String {
        self.mailbox.display().to_string()
    }

    /// Loads the transforms that were loaded at run time, and that are not there by themselves. Whether there was one. Those
    /// that cannot be loaded are listed as failed, as far as that is possible.
    pub(super) fn load_kept(&self, kept: &Kept) -> bool {
        let mut has_loaded = false;
        for (name, file) in &kept.settings.transforms {
            self.registry.make_way(name, file);
            if self.registry.last_error(name).is_some() {
                continue;
            }
            match self.registry.load_kept(name, file) {
                Ok(()) => has_loaded = true,
                Err(error) => error!(target: "pop3d::peep", "transform {name}: {error}"),
            }
        }
        has_loaded
    }

    /// The accounts that follow from this and from what was changed since.
    pub(super) fn accounts(&self, kept: &Kept, overridden: &HashSet<UserName>) -> Accounts {
        let mut accounts = self.accounts.clone();
        kept.accounts.apply(&mut accounts);
        for (user, password) in &self.command_line {
            if !overridden.contains(user) {
                accounts.add(user.clone(), password.octets());
            }
        }
        kept.apps.apply(&mut accounts);
        accounts
    }

    /// The settings that follow from this and from what was changed since, with a store of the mail folder that does.
    /// Chains of `before` that have the same links still are the very same.
    ///
    /// # Errors
    /// Where a chain names a transform that there is not.
    pub(super) fn settings(
        &self,
        kept: &Kept,
        store: &LocalStore,
        accounts: Arc<Accounts>,
        before: Option<&Settings>,
    ) -> Result<Settings, String> {
        let mailbox = kept.mailbox(self);
        let store = store.clone().with_unique_ids(self.unique_ids);
        let mut chains = Chains::new(self.registry.as_ref(), before);
        let mut user_chains = HashMap::new();
        for (user, names) in &kept.settings.user_chains {
            let Some(name) = UserName::parse(user.as_bytes()) else { continue };
            let what = || format!("the chain of user {user} that was set at run time");
            let chain = chains.of(names).map_err(|error| self.unusable(&what(), names, kept, &error))?;
            user_chains.insert(name, chain);
        }
        let names = kept.chain(self);
        let what = if names == self.chain { "the chain" } else { "the chain that was set at run time" };
        let chain = chains.of(names).map_err(|error| self.unusable(what, names, kept, &error))?;
        let rule = |(number, rule): (usize, &NamedRule)| {
            let what = || format!("rule {number}");
            let chain = chains.of(&rule.names);
            let chain = chain.map_err(|error| self.unusable(&what(), &rule.names, kept, &error))?;
            Ok::<_, String>(Rule { condition: Arc::clone(&rule.condition), chain })
        };
        let rules = (1..).zip(&self.rules).map(rule).collect::<Result<_, _>>()?;
        Ok(Settings {
            store: Arc::new(store),
            mailbox,
            accounts,
            chain,
            user_chains: Arc::new(user_chains),
            rules,
            holding: self.holding.clone(),
            sizes: self.sizes,
            tls: self.tls.clone(),
            rehash: self.rehash,
            limits: kept.limits(self),
        })
    }

    /// Why a chain cannot be had, and what to do.
    fn unusable(&self, what: &str, names: &[String], kept: &Kept, error: &ChainError) -> String {
        let link = names.get(error.index()).map_or("", String::as_str);
        let place = self.places.get(link).map_or("", String::as_str);
        match (error, self.registry.last_error(link)) {
            (ChainError::TooNarrow { .. }, _) => format!("{place}{what} can never be passed: {error}"),
            (ChainError::NoSuchTransform { .. }, Some(why)) => {
                let is_kept = kept.settings.transforms.contains_key(link);
                let advice = if is_kept { format!("; {ADVICE}") } else { String::new() };
                format!("{place}{what} names the transform {link}, which cannot be used: {why}{advice}")
            }
            (ChainError::NoSuchTransform { .. }, None) if place.is_empty() => {
                format!("{what} names the transform {link}, which there is not; {ADVICE}")
            }
            (ChainError::NoSuchTransform { .. }, None) => {
                format!("{place}{what} names the transform {link}, whose file is not there")
            }
        }
    }
}

impl Kept {
    /// Writes settings and app passwords where they are others than those that were found.
    fn save_changed(&self, found: &Self, claim: &Claim) -> io::Result<()> {
        if self.apps != found.apps {
            self.apps.save(claim)?;
        }
        if self.settings == found.settings { Ok(()) } else { self.settings.save(claim) }
    }

    /// Forgets what was set at run time where the configuration has said something else since.
    pub(super) fn forget_stale(&mut self, configured: &Configured) {
        let settings = &mut self.settings;
        settings.connections.take_if(|it| it.in_force(&configured.connections()).is_none());
        settings.timeout.take_if(|it| it.in_force(&configured.timeout()).is_none());
        settings.mailbox.take_if(|it| it.in_force(&configured.mailbox_text()).is_none());
        settings.chain.take_if(|it| it.in_force(&configured.chain).is_none());
        if !self.uses(PROGRAM_NAME) {
            self.settings.program = None;
        }
    }

    /// Whether a chain that was set at run time names a transform.
    pub(super) fn uses(&self, name: &str) -> bool {
        let chain = self.settings.chain.iter().flat_map(|chain| &chain.value);
        chain.chain(self.settings.user_chains.values().flatten()).any(|link| link == name)
    }

    /// Whether a message may pass a transform: by the chain in force, by that of a user, or by a rule.
    pub(super) fn is_in_use(&self, name: &str, configured: &Configured) -> bool {
        let rules = configured.rules.iter().flat_map(|rule| &rule.names);
        let users = self.settings.user_chains.values().flatten();
        self.chain(configured).iter().chain(users).chain(rules).any(|link| link == name)
    }

    /// The mail folder that is in force.
    pub(super) fn mailbox(&self, configured: &Configured) -> PathBuf {
        let changed = self.settings.mailbox.as_ref();
        let changed = changed.and_then(|mailbox| mailbox.in_force(&configured.mailbox_text()));
        changed.map_or_else(|| configured.mailbox.clone(), PathBuf::from)
    }

    fn chain<'it>(&'it self, configured: &'it Configured) -> &'it [String] {
        let changed = self.settings.chain.as_ref();
        changed.and_then(|chain| chain.in_force(&configured.chain)).unwrap_or(&configured.chain)
    }

    fn limits(&self, configured: &Configured) -> Limits {
        let mut limits = configured.limits.clone();
        let connections = self.settings.connections.as_ref();
        if let Some(&count) = connections.and_then(|count| count.in_force(&configured.connections())) {
            limits.connections = usize::try_from(count).unwrap_or(usize::MAX);
        }
        let timeout = self.settings.timeout.as_ref();
        if let Some(&seconds) = timeout.and_then(|seconds| seconds.in_force(&configured.timeout())) {
            limits.silence = (seconds > 0).then(|| Duration::from_secs(seconds));
            // A client that has not logged in is not given longer than one that has.
            limits.login_silence = limits.login_silence.into_iter().chain(limits.silence).min();
        }
        limits
    }

    /// Says what is not as command line and configuration say.
    fn tell(&self, configured: &Configured) {
        let settings = &self.settings;
        let mut told = Vec::new();
        if let Some(it) = settings.connections.as_ref().and_then(|it| it.in_force(&configured.connections()))
        {
            told.push(format!("max connections {it}"));
        }
        if let Some(it) = settings.timeout.as_ref().and_then(|it| it.in_force(&configured.timeout())) {
            told.push(format!("timeout {it}"));
        }
        if let Some(it) = settings.mailbox.as_ref().and_then(|it| it.in_force(&configured.mailbox_text())) {
            told.push(format!("mail folder {it}"));
        }
        if let Some(it) = settings.chain.as_ref().and_then(|it| it.in_force(&configured.chain)) {
            told.push(format!("chain {}", if it.is_empty() { "none".to_owned() } else { it.join(",") }));
        }
        if !told.is_empty() {
            info!(target: "pop3d", "as set at run time: {}", told.join(", "));
        }
    }
}

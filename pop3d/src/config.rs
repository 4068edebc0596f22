//! The configuration file: TOML, every key known or an error with its line and column.

pub(crate) mod doubts;
mod kinds;
mod limits;
mod oauth;
mod peep;
mod program;
mod proxy;
mod reads;
mod tls;
mod transforms;
mod users;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pop3d_core::maildir::UniqueIds;
use pop3d_transforms::registry::Permissions;
use serde::Deserialize;
use toml::Spanned;

pub(crate) use self::limits::limits;
pub(crate) use self::oauth::{Tokens, tokens};
pub(crate) use self::peep::{administrators, bounds as peep_bounds};
pub(crate) use self::program::missing_program;
pub(crate) use self::reads::folder_of;
pub(crate) use self::tls::tls;
pub(crate) use self::transforms::{Chain, Transforms};
pub(crate) use self::users::User;
pub(crate) use self::values::Address;
use self::values::{NameOrNumber, Time, Words};
use crate::exit::{self, Exit};
use crate::privileges::{Confinement, Identity, IdentityError};

/// Longest configuration file that is read, in octets.
const FILE_MAX: u64 = 16 << 20;

/// Reads a configuration as `--check` does, without looking at what it names; what is wrong with it.
///
/// # Errors
/// Where it is no configuration, or its transforms cannot be.
#[doc(hidden)]
pub fn check_text(text: &str) -> Result<(), String> {
    let file = File::parse(Path::new("text"), text.as_bytes()).map_err(|error| error.to_string())?;
    Transforms::new(&file, &[], Permissions::default()).map(drop).map_err(|error| error.to_string())
}

/// A configuration file as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where clients are served.
    pub(crate) listen: Option<Spanned<Vec<Spanned<Address>>>>,
    /// The mail folder.
    pub(crate) mailbox: Option<PathBuf>,
    /// Whose unique-ids messages get that are met for the first time.
    pub(crate) unique_ids: Option<UniqueIdsOf>,
    /// The state folder.
    pub(crate) state: Option<PathBuf>,
    /// Whom the server becomes once it listens.
    pub(crate) user: Option<Spanned<NameOrNumber>>,
    /// Whether it may stay root where nobody else is named.
    #[serde(default)]
    pub(crate) allow_root: bool,
    /// The group that it has then; none: that of the user.
    pub(crate) group: Option<Spanned<NameOrNumber>>,
    #[serde(default)]
    pub(crate) confine: ConfineTable,
    /// Worker threads; 0: one a core.
    pub(crate) workers: Option<Spanned<usize>>,
    /// Silence after login; 0: no bound.
    pub(crate) timeout: Option<Spanned<Time>>,
    /// Silence before login; 0: no bound.
    pub(crate) login_timeout: Option<Spanned<Time>>,
    /// Whether APOP is offered.
    #[serde(default)]
    pub(crate) apop: bool,
    /// Whether weak hashes of the state folder are made anew at login.
    #[serde(default)]
    pub(crate) rehash: bool,
    /// Accounts by name.
    #[serde(default)]
    pub(crate) users: BTreeMap<Spanned<String>, Spanned<User>>,
    /// A program that knows the passwords of users without an account.
    pub(crate) checkpassword: Option<Spanned<Words>>,
    /// How long that may take.
    pub(crate) checkpassword_timeout: Option<Spanned<Time>>,
    /// A file of accounts.
    pub(crate) accounts: Option<PathBuf>,
    #[serde(default)]
    pub(crate) oauth: oauth::Table,
    #[serde(default)]
    pub(crate) proxy: proxy::Table,
    #[serde(default)]
    pub(crate) limits: limits::Table,
    #[serde(default)]
    pub(crate) log: LogTable,
    #[serde(default)]
    pub(crate) peep: peep::Table,
    #[serde(default)]
    pub(crate) tls: tls::Table,
    /// What each message passes through.
    pub(crate) transform: Option<Spanned<Chain>>,
    /// Which messages pass through other chains; the first that matches wins.
    #[serde(default)]
    pub(crate) rule: Vec<Spanned<transforms::RuleTable>>,
    /// The folder whose plugins are transforms by their stems.
    pub(crate) transform_dir: Option<PathBuf>,
    #[serde(default)]
    pub(crate) transforms: BTreeMap<String, Spanned<transforms::Table>>,
    #[serde(default)]
    pub(crate) transform_defaults: transforms::Defaults,
    #[serde(default)]
    pub(crate) transform_pool: transforms::PoolTable,
}

/// `[confine]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfineTable {
    /// Whether nothing is written but beneath the server's own folders.
    #[serde(default)]
    landlock: bool,
    /// Further folders to write in.
    #[serde(default)]
    write: Vec<PathBuf>,
    /// Further folders to read from; none: from everywhere.
    read: Option<Spanned<Vec<PathBuf>>>,
    /// Whether system calls are refused; where nothing is said they are, unless `new_privileges` is true.
    seccomp: Option<Spanned<bool>>,
    /// Whether plugins in helper processes are kept to their messages.
    #[serde(default)]
    seal_plugins: Option<Spanned<bool>>,
    /// Whether the process may leave a core dump.
    #[serde(default)]
    core_dumps: bool,
    /// Whether transforms may run set-user-ID programs as their owners.
    #[serde(default)]
    new_privileges: bool,
}

/// `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogTable {
    pub(crate) level: Option<Spanned<String>>,
    pub(crate) file: Option<PathBuf>,
}

/// `unique_ids`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UniqueIdsOf {
    Names,
    Dovecot,
    Courier,
}

impl From<UniqueIdsOf> for UniqueIds {
    fn from(of: UniqueIdsOf) -> Self {
        match of {
            UniqueIdsOf::Names => Self::Names,
            UniqueIdsOf::Dovecot => Self::Dovecot,
            UniqueIdsOf::Courier => Self::Courier,
        }
    }
}

/// A configuration file and where it stands, for errors that name a place in it. There is no `Debug`: the text may
/// hold passwords.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) config: Config,
    path: PathBuf,
    text: String,
    /// Whether everybody on this machine may read it.
    is_open: bool,
}

/// The octets of a file, and whether everybody on this machine may read it.
///
/// # Errors
/// Where it cannot be read, or has more than `limit` octets.
pub(crate) fn read(file: fs::File, limit: u64) -> io::Result<(Vec<u8>, bool)> {
    let is_open = file.metadata()?.permissions().mode() & 0o004 != 0;
    let mut octets = Vec::new();
    file.take(limit + 1).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length <= limit) {
        Ok((octets, is_open))
    } else {
        Err(io::Error::other(format!("it has more than {limit} octets")))
    }
}

impl File {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Where it cannot be read, or is no configuration; then with line and column.
    pub(crate) fn read(path: &Path) -> Result<Self, Exit> {
        // It may be a pipe, from another program.
        let opened = fs::File::open(path);
        let (octets, is_open) = opened.and_then(|file| read(file, FILE_MAX)).map_err(|error| {
            let what = format!("cannot read the configuration file {}", path.display());
            exit::no_input(&what, &error, &format!("{}, or name another by --config", exit::advice(&error)))
        })?;
        let mut file = Self::parse(path, &octets)?;
        file.is_open = is_open;
        Ok(file)
    }

    fn parse(path: &Path, octets: &[u8]) -> Result<Self, Exit> {
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        file.text = String::from_utf8_lossy(octets).into_owned();
        if let Err(error) = str::from_utf8(octets) {
            // What stands before it is the same in both.
            let place = error.valid_up_to();
            return Err(file.error(place..place, "an octet that is not of UTF-8; save the file as UTF-8"));
        }
        file.config = toml::from_str(&file.text).map_err(|error| {
            let message = error.message().replace('\n', ", ");
            file.error(error.span().unwrap_or_default(), &kinds::with_advice(message))
        })?;
        Ok(file)
    }

    /// Whom the server becomes; none: nobody else.
    ///
    /// # Errors
    /// Where there is no such user or group, with line and column.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Exit> {
        let Config { user, group, .. } = &self.config;
        let Some(user) = user else {
            return match group {
                Some(group) => Err(self.error(group.span(), "a group without a user; name both")),
                None => Ok(None),
            };
        };
        let identity = Identity::new(&user.as_ref().0, group.as_ref().map(|group| group.as_ref().0.as_str()));
        identity.map(Some).map_err(|error| match (error, group) {
            (IdentityError::Group(what), Some(group)) => self.error(group.span(), &what),
            (IdentityError::User(what) | IdentityError::Group(what), _) => self.error(user.span(), &what),
        })
    }

    /// What the server gives up.
    ///
    /// # Errors
    /// Where one excludes the other, with line and column.
    pub(crate) fn confinement(&self) -> Result<Confinement, Exit> {
        let ConfineTable { landlock, write, read, seccomp, seal_plugins, core_dumps, new_privileges } =
            &self.config.confine;
        let (landlock, core_dumps, new_privileges) = (*landlock, *core_dumps, *new_privileges);
        if let Some(seccomp) = seccomp.as_ref().filter(|seccomp| new_privileges && *seccomp.as_ref()) {
            let what = "the kernel takes no filter from who may gain rights; leave out new_privileges";
            return Err(self.error(seccomp.span(), what));
        }
        let seccomp = seccomp.as_ref().map_or(!new_privileges, |seccomp| *seccomp.as_ref());
        if let Some(seal) = seal_plugins.as_ref().filter(|seal| !seccomp && *seal.as_ref()) {
            return Err(
                self.error(seal.span(), "plugins are sealed by a seccomp filter, which is switched off")
            );
        }
        let seal_plugins = seal_plugins.as_ref().is_some_and(|seal| *seal.as_ref());
        if let Some(read) = read.as_ref().filter(|_| !landlock) {
            return Err(self.error(read.span(), "reading is bounded by Landlock; write landlock = true"));
        }
        let read = read.as_ref().map(|read| read.as_ref().clone());
        let write = write.clone();
        Ok(Confinement { landlock, write, read, seccomp, seal_plugins, core_dumps, new_privileges })
    }

    /// Where it has passwords in plain that everybody on this machine can read: what to do.
    pub(crate) fn exposes_passwords(&self) -> Option<String> {
        let config = &self.config;
        let is_plain = config.users.values().any(|it| it.as_ref().is_plain());
        let is_exposed = self.is_open && (is_plain || config.peep.has_plain_passwords());
        is_exposed.then(|| exposed(&self.path))
    }

    /// What is wrong at a place of the file.
    pub(crate) fn error(&self, place: Range<usize>, what: &str) -> Exit {
        let before = self.text.get(..place.start).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        Exit::Config(format!("{}:{line}:{column}: {what}", self.path.display()))
    }
}

/// What to do about passwords that everybody can read.
pub(crate) fn exposed(path: &Path) -> String {
    format!("everybody can read the passwords in {0}; chmod o-r {0}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        wrong_octets(text.as_bytes())
    }

    fn wrong_octets(octets: &[u8]) -> String {
        File::parse(Path::new("pop3d.toml"), octets).err().unwrap().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_column() {
        let said = wrong("mailbox = \"x\"\n\n  lissten = []\n");
        assert!(said.starts_with("pop3d.toml:3:3: unknown field `lissten`"), "{said}");
        assert!(wrong("[limits]\nconections = 1\n").starts_with("pop3d.toml:2:1: "));
        assert!(wrong("[transforms.x]\ncommand = \"cat\"\nspol = true\n").starts_with("pop3d.toml:3:1: "));
    }

    #[test]
    fn the_example_has_every_key() {
        let example = include_str!("../../examples/pop3d.toml");
        for header in [
            "",
            "[users.x]",
            "[oauth]",
            "[proxy]",
            "[limits]",
            "[limits.failed_logins]",
            "[confine]",
            "[log]",
            "[tls]",
            "[[tls.sni]]",
            "[peep]",
            "[transforms.x]",
            "[[rule]]",
            "[transform_defaults]",
            "[transform_pool]",
        ] {
            let said = wrong(&format!("{header}\nno_key = 1\n"));
            let (_, known) = said.split_once("unknown field `no_key`, expected").expect(&said);
            for key in known.split('`').skip(1).step_by(2) {
                let is_there =
                    [format!("{key} = "), format!("[{key}]"), format!("[{key}."), format!(".{key}]")]
                        .iter()
                        .any(|form| example.contains(form));
                assert!(is_there, "{header} {key}");
            }
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_named_with_what_could() {
        for (text, place, named) in [
            ("timeout = \"soon\"", "1:11", "write \"30s\" or \"10m\""),
            ("timeout = -1", "1:11", "not negative"),
            ("timeout = 1.5", "1:11", "\"30s\""),
            ("[transform_defaults]\nhold = \"much\"", "2:8", "write \"64KiB\""),
            ("listen = [\"[::]:1110\", \"here\"]", "1:24", "127.0.0.1:1110"),
            ("listen = \"[::]:1110\"", "1:10", "sequence"),
            ("mailbox = ", "1:11", ""),
            ("apop = \"yes\"", "1:8", "boolean"),
            ("[confine]\nwrite = \"/tmp\"", "2:9", "sequence"),
            ("[confine]\nseccomp = \"on\"", "2:11", "boolean"),
            ("[confine]\nchroot = true", "2:1", "unknown field"),
            ("unique_ids = \"cyrus\"", "1:14", "`dovecot`"),
            ("user = -1", "1:8", "0 to 4294967295"),
            ("[transforms.x]\ncommand = \"cat\"\nmax_running = 0", "3:15", "more than 0"),
            ("[transform_defaults]\nhosts = 0", "2:9", "more than 0"),
            ("[limits]\nconnections = 0", "2:15", "more than 0"),
            ("[limits]\nconnections_per_address = -1", "2:27", "-1"),
            ("[transforms.x]\ncommand = \"cat\"\ncpu = 0", "3:7", "more than 0"),
            ("[transforms.x]\ncommand = 1", "2:11", "command line"),
            ("timeout = 1\ntimeout = 2", "2:1", "duplicate key"),
        ] {
            let said = wrong(text);
            assert!(said.starts_with(&format!("pop3d.toml:{place}: ")) && said.contains(named), "{said}");
        }
    }

    #[test]
    fn who_is_not_there_is_named_with_its_place() {
        for (text, place, named) in [
            ("\nuser = \"no-such-user\"", "2:8", "no user \"no-such-user\"; make it, or name another"),
            (
                "user = \"root\"\ngroup = \"no-such-group\"",
                "2:9",
                "no group \"no-such-group\"; make it, or name another",
            ),
            ("group = \"root\"", "1:9", "without a user"),
            ("user = 4242424", "1:8", "no user \"4242424\" whose group could be taken; name a group too"),
        ] {
            let file = File::parse(Path::new("pop3d.toml"), text.as_bytes()).ok().unwrap();
            let said = file.identity().unwrap_err().to_string();
            assert!(said.starts_with(&format!("pop3d.toml:{place}: ")) && said.contains(named), "{said}");
        }
    }

    #[test]
    fn a_filter_and_rights_that_are_gained_exclude_each_other() {
        let confinement = |text: &str| {
            let file = File::parse(Path::new("pop3d.toml"), text.as_bytes()).ok().unwrap();
            file.confinement().map(|it| it.seccomp).map_err(|error| error.to_string())
        };
        assert_eq!(confinement(""), Ok(true));
        assert_eq!(confinement("[confine]\nseccomp = false"), Ok(false));
        assert_eq!(confinement("[confine]\nnew_privileges = true"), Ok(false));
        let said = confinement("[confine]\nnew_privileges = true\nseccomp = true").unwrap_err();
        assert!(said.starts_with("pop3d.toml:3:11: ") && said.contains("leave out new_privileges"), "{said}");
    }

    #[test]
    fn what_is_no_text_is_named_with_its_place() {
        let said = wrong_octets(b"mailbox = \"x\"\n# \xC3\xBC \xFF");
        assert!(said.starts_with("pop3d.toml:2:5: an octet that is not of UTF-8"), "{said}");
    }

    #[test]
    fn an_account_may_be_a_table() {
        let check = |value: &str| {
            let text = format!("[users]\nann = {value}");
            File::parse(Path::new("pop3d.toml"), text.as_bytes()).map(drop).map_err(|error| error.to_string())
        };
        check("{ password = \"x\", allow_nets = [\"192.0.2.0/24\", \"::1\"], delete = false }").unwrap();
        check("{ password = \"x\", app_passwords = { phone = \"y\" } }").unwrap();
        for (wrong, named) in [
            ("{ disabled = true }", "password"),
            ("{ password = \"x\", allow_nets = [\"192.0.2.0/33\"] }", "no net"),
            ("{ password = \"x\", nodelete = true }", "nodelete"),
            ("{ password = 4711 }", "between quotes"),
            ("true", "a password between quotes, or a table"),
        ] {
            let said = check(wrong).unwrap_err();
            assert!(
                said.starts_with("pop3d.toml:2:") && said.contains(named) && !said.contains("4711"),
                "{said}"
            );
        }
    }

    #[test]
    fn no_error_and_no_debug_repeats_a_password() {
        for secret in ["4711", "47.11"] {
            let said = wrong(&format!("[users]\nuser = {secret}"));
            assert!(said.starts_with("pop3d.toml:2:8: ") && said.contains("between quotes"), "{said}");
            assert!(!said.contains(secret), "{said}");
        }
        let file = File::parse(Path::new("x"), b"[users]\nuser = \"tanstaaf\"").ok().unwrap();
        let shown = format!("{:?}", file.config);
        assert!(shown.contains("user") && !shown.contains("tanstaaf"), "{shown}");
    }
}

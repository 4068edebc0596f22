//! The configuration file: TOML, every key known or an error with its line and column.

mod transforms;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

pub(crate) use self::transforms::{Chain, Transforms};
use self::values::{Size, Time};
use crate::exit::Exit;

/// Longest configuration file that is read, in octets.
const FILE_MAX: u64 = 16 << 20;

/// Reads a configuration as `--check` does, without looking at what it names; what is wrong with it.
///
/// # Errors
/// Where it is no configuration, or its transforms cannot be.
#[doc(hidden)]
pub fn check_text(text: &str) -> Result<(), String> {
    let file = File::parse(Path::new("text"), text.to_owned()).map_err(|error| error.to_string())?;
    Transforms::new(&file, &[]).map(drop).map_err(|error| error.to_string())
}

/// A configuration file as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where clients are served.
    pub(crate) listen: Option<Vec<SocketAddr>>,
    /// The mail folder.
    pub(crate) mailbox: Option<PathBuf>,
    /// The state folder.
    pub(crate) state: Option<PathBuf>,
    /// Worker threads; 0: one a core.
    pub(crate) workers: Option<usize>,
    /// Silence after login; 0: no bound.
    pub(crate) timeout: Option<Time>,
    /// Silence before login; 0: no bound.
    pub(crate) login_timeout: Option<Time>,
    /// Whether APOP is offered.
    #[serde(default)]
    pub(crate) apop: bool,
    /// Accounts by name: a password, or `{SCHEME}secret`.
    #[serde(default)]
    pub(crate) users: BTreeMap<Spanned<String>, Spanned<String>>,
    /// A file of accounts.
    pub(crate) accounts: Option<PathBuf>,
    #[serde(default)]
    pub(crate) limits: LimitsTable,
    #[serde(default)]
    pub(crate) log: LogTable,
    /// What each message passes through.
    pub(crate) transform: Option<Spanned<Chain>>,
    #[serde(default)]
    pub(crate) transforms: BTreeMap<String, Spanned<transforms::Table>>,
    #[serde(default)]
    pub(crate) transform_defaults: transforms::Defaults,
    #[serde(default)]
    pub(crate) transform_pool: transforms::PoolTable,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    pub(crate) connections: Option<usize>,
    pub(crate) connections_per_address: Option<usize>,
    pub(crate) slow_reader_rate: Option<Size>,
    pub(crate) failed_login_delay: Option<Time>,
}

/// `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogTable {
    pub(crate) level: Option<Spanned<String>>,
    pub(crate) file: Option<PathBuf>,
}

/// A configuration file and where it stands, for errors that name a place in it.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) config: Config,
    path: PathBuf,
    text: String,
}

impl File {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Where it cannot be read, or is no configuration; then with line and column.
    pub(crate) fn read(path: &Path) -> Result<Self, Exit> {
        let unreadable = |why: String| {
            Exit::NoInput(format!("cannot read the configuration file {}: {why}", path.display()))
        };
        let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if length > FILE_MAX {
            return Err(unreadable(format!("it has more than {FILE_MAX} octets")));
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> Result<Self, Exit> {
        let mut file = Self { config: Config::default(), path: path.to_owned(), text };
        file.config = toml::from_str(&file.text).map_err(|error| {
            let message = error.message().replace('\n', ", ");
            file.error(error.span().unwrap_or_default(), &message)
        })?;
        Ok(file)
    }

    /// What is wrong at a place of the file.
    pub(crate) fn error(&self, place: Range<usize>, what: &str) -> Exit {
        let before = self.text.get(..place.start).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
        Exit::Config(format!("{}:{line}:{column}: {what}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        File::parse(Path::new("pop3d.toml"), text.to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_column() {
        let said = wrong("mailbox = \"x\"\n\n  lissten = []\n");
        assert!(said.starts_with("pop3d.toml:3:3: unknown field `lissten`"), "{said}");
        assert!(wrong("[limits]\nconections = 1\n").starts_with("pop3d.toml:2:1: "));
        assert!(wrong("[transforms.x]\ncommand = \"cat\"\nspol = true\n").starts_with("pop3d.toml:3:1: "));
    }

    #[test]
    fn a_value_that_cannot_be_is_named_with_what_could() {
        assert!(wrong("timeout = \"soon\"").contains("write \"30s\" or \"10m\""));
        assert!(wrong("timeout = -1").contains("not negative"));
        assert!(wrong("[transform_defaults]\nhold = \"much\"").contains("write \"64KiB\""));
        assert!(
            wrong("listen = [\"here\"]").starts_with("pop3d.toml:1:11: "),
            "{}",
            wrong("listen = [\"here\"]")
        );
        assert!(wrong("mailbox = ").starts_with("pop3d.toml:1:"));
    }
}

//! The settings that PEEP changed: the file `settings.toml` of the state folder.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::seal;
use super::{Claim, KeptError, StateFiles};

/// The file's name.
pub const FILE: &str = "settings.toml";

/// The settings that PEEP changed. To change them, change a copy, save it, and only then put it in place.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSettings {
    /// The command line of a program that is the global chain (`tfx=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The limit of connections (`c=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Changed<u64>>,
    /// Seconds of silence; 0: no bound (`t=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Changed<u64>>,
    /// The mail folder (`m=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<Changed<String>>,
    /// The names of the global chain (`tf=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Changed<Vec<String>>>,
    /// Files that were loaded as transforms (`tf+`), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transforms: BTreeMap<String, String>,
    /// The names of the chains of users who have their own; an empty one: no transform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user_chains: BTreeMap<String, Vec<String>>,
}

/// A setting that was changed at run time, and what command line and configuration said then.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Changed<T> {
    /// What it was changed to.
    pub value: T,
    /// What was configured.
    pub configured: T,
}

impl<T: PartialEq> Changed<T> {
    /// The value, while the same is configured as when it was changed. Otherwise somebody has edited the
    /// configuration since, and means that.
    pub fn in_force(&self, configured_now: &T) -> Option<&T> {
        (self.configured == *configured_now).then_some(&self.value)
    }
}

impl KeptSettings {
    /// Reads them; none where there is no file.
    ///
    /// # Errors
    /// Where the file cannot be read, or anything in it is damaged or unknown. It is left as it is.
    pub fn read(files: &StateFiles) -> Result<Self, KeptError> {
        files.read_kept(FILE, Self::parse)
    }

    /// Reads the octets of the file.
    ///
    /// # Errors
    /// The place of what is wrong, and what is wrong there.
    pub fn parse(octets: &[u8]) -> Result<Self, (usize, String)> {
        let text = std::str::from_utf8(octets)
            .map_err(|error| (error.valid_up_to(), "an octet that is not of UTF-8".to_owned()))?;
        let kept = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(0, |span| span.start);
            (place, error.message().trim_end().replace('\n', ", "))
        })?;
        seal::check(octets).map_err(|(place, error)| (place, error.to_string()))?;
        Ok(kept)
    }

    /// Writes them to disk.
    ///
    /// # Errors
    /// Where that cannot be. The file is as it was.
    pub fn save(&self, claim: &Claim) -> io::Result<()> {
        claim.replace(FILE, self.text()?.as_bytes())
    }

    /// The text of the file.
    ///
    /// # Errors
    /// Where TOML cannot say it.
    pub fn text(&self) -> io::Result<String> {
        let settings = toml::to_string(self).map_err(io::Error::other)?;
        let mut text = format!(
            "# What PEEP changed among the settings. pop3d replaces this file with each change. A \"value\" is in\n\
             # force while command line and configuration say what stands beside it as \"configured\".\n{}\n{settings}",
            seal::ADVICE
        );
        seal::seal(&mut text);
        Ok(text)
    }
}

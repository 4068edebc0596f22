//! Settings that were changed at run time, as the file `settings.toml` of the state folder.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::{Damage, StateFolder};

/// The name of the file.
const FILE: &str = "settings.toml";

/// Longest file that is read, in octets.
const FILE_MAX: u64 = 64 << 20;

/// What whoever opens the file reads first.
const HEAD: &str = "# What was set by PEEP while the server ran. It holds as long as the configuration says what it said then\n\
    # (\"configured\"). May be edited while no server runs.\n\n";

/// What was set at run time.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSettings {
    /// The command line of the program that `tfx=` made a transform of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Connections at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Changed<u64>>,
    /// Seconds of silence after login; 0: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Changed<u64>>,
    /// The mail folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<Changed<String>>,
    /// Names of the chain of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Changed<Vec<String>>>,
    /// Names of the chains of some users; empty: their messages pass through nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user_chains: BTreeMap<String, Vec<String>>,
}

/// A value that was set in place of a configured one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Changed<T> {
    /// What was set.
    pub value: T,
    /// What command line and configuration said then.
    pub configured: T,
}

impl<T: PartialEq> Changed<T> {
    /// The value, unless the configuration has said something else since: whatever was said last holds.
    pub fn in_force(&self, configured: &T) -> Option<&T> {
        (self.configured == *configured).then_some(&self.value)
    }
}

impl KeptSettings {
    /// Reads the file; nothing was set where there is none.
    ///
    /// # Errors
    /// Where it cannot be read or understood. To serve without what was set could show mail that a transform was to
    /// hold back.
    pub fn read(folder: &StateFolder) -> Result<Self, Damage> {
        let damage = |line, what: &dyn std::fmt::Display| {
            let what = format!("{what}; mend this file or move it away, it holds what was set by PEEP");
            Damage { path: folder.path_of(FILE), line, what }
        };
        let octets = match folder.read(FILE, FILE_MAX) {
            Ok(Some(octets)) => octets,
            Ok(None) => return Ok(Self::default()),
            Err(error) => return Err(damage(None, &error)),
        };
        let line = |end: usize| 1 + octets.iter().take(end).filter(|&&octet| octet == b'\n').count();
        let text = std::str::from_utf8(&octets)
            .map_err(|error| damage(Some(line(error.valid_up_to())), &"an octet that is not of UTF-8"))?;
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line(span.start));
            damage(line, &error.message().replace('\n', ", "))
        })
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// Where it cannot be written: then the old one stays.
    pub fn save(&self, folder: &StateFolder) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        folder.replace(FILE, format!("{HEAD}{text}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept() -> impl Strategy<Value = KeptSettings> {
        let changed = |value: BoxedStrategy<u64>| {
            prop::option::of(
                (value.clone(), value).prop_map(|(value, configured)| Changed { value, configured }),
            )
        };
        // TOML has no larger numbers; nor has a setting.
        let number = (0..=u64::MAX >> 1).boxed();
        let names = prop::collection::vec("[a-z0-9._-]{1,8}", 0..3);
        let chain =
            (names.clone(), names.clone()).prop_map(|(value, configured)| Changed { value, configured });
        let mailbox =
            ("\\PC{1,20}", "\\PC{1,20}").prop_map(|(value, configured)| Changed { value, configured });
        (
            prop::option::of("\\PC{0,30}"),
            changed(number.clone()),
            changed(number),
            prop::option::of(mailbox),
            prop::option::of(chain),
            prop::collection::btree_map("\\PC{1,10}", names, 0..4),
        )
            .prop_map(|(program, connections, timeout, mailbox, chain, user_chains)| KeptSettings {
                program,
                connections,
                timeout,
                mailbox,
                chain,
                user_chains,
            })
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_again(kept in kept()) {
            let place = tempfile::tempdir().unwrap();
            let folder = StateFolder::open(place.path()).unwrap();
            kept.save(&folder).unwrap();
            prop_assert_eq!(KeptSettings::read(&folder), Ok(kept));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        assert_eq!(KeptSettings::read(&folder), Ok(KeptSettings::default()));
        for (text, line) in [
            (&b"\n\nnonsense = 1\n"[..], 3),
            (b"[timeout]\nvalue = \"x\"\nconfigured = 1\n", 2),
            (b"\n\"\xFF", 2),
        ] {
            folder.replace(FILE, text).unwrap();
            let damage = KeptSettings::read(&folder).unwrap_err();
            assert_eq!(damage.line, Some(line), "{damage}");
            assert!(damage.to_string().contains("settings.toml:"), "{damage}");
        }
    }

    #[test]
    fn whatever_was_said_last_holds() {
        let changed = Changed { value: 5, configured: 10 };
        assert_eq!((changed.in_force(&10), changed.in_force(&11)), (Some(&5), None));
    }
}

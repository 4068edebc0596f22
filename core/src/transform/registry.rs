//! Transforms by name, as an administrator lists, switches, reloads and watches them while the server runs.
//!
//! Only the contract is here: `core` names no implementation. Its calls may wait for files, so a job of the pool makes
//! them and never a worker.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;

use super::{Chain, Kind, Places, Transform, TransformStatistics};

/// Names that no transform of the configuration may have: the first two mean something in a chain that an administrator
/// names, the last is the program of `set_program`.
pub const RESERVED_NAMES: [&str; 3] = ["none", "default", PROGRAM_NAME];

/// The name of the transform that `set_program` makes.
pub const PROGRAM_NAME: &str = "exec";

/// Longest name of a transform, in octets.
pub const NAME_MAX: usize = 64;

/// Whether a transform can have that name: it must be an argument of PEEP, and a comma joins names to chains.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.chars().all(is_name_letter)
}

/// Whether a name may have that letter.
#[must_use]
pub fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.".contains(letter)
}

/// All transforms there are, by name.
///
/// What changes one makes a new generation of it. Chains hold the transforms that they were made of: who changes one
/// makes its chains anew (`chain`), and messages under way end as they began.
pub trait Registry: Send + Sync {
    /// What there is, sorted by name.
    fn list(&self) -> Vec<Listed>;

    /// The current transform of that name.
    fn transform(&self, name: &str) -> Option<Arc<dyn Transform>>;

    /// Makes a transform of a file in the folder of transforms.
    ///
    /// # Errors
    /// `NameInUse`, `NotPermitted`, `NotLoadable`, looked for in this order.
    fn load(&self, name: &str, file: &str) -> Result<(), RegistryError>;

    /// The same of one that was loaded by an earlier process, when it was permitted. Where that is not possible it is listed
    /// as failed.
    ///
    /// # Errors
    /// `NameInUse`, `NotLoadable`.
    fn load_kept(&self, name: &str, file: &str) -> Result<(), RegistryError> {
        self.load(name, file)
    }

    /// Takes away a transform that is there only because its file lies in the folder of transforms, where an earlier process
    /// had loaded this other file, which is there too, by its name: that one is used by chains.
    fn make_way(&self, _name: &str, _file: &str) {}

    /// Makes transforms of the files in the folder of transforms that are none yet.
    ///
    /// # Errors
    /// `NotPermitted`.
    fn look(&self) -> Result<(), RegistryError>;

    /// Makes transforms of the files in the folder of transforms that are none yet, and loads those anew that changed, as
    /// far as it is told of them. What cannot be loaded is in the log. Whether anything is another generation than before.
    fn take_in(&self, changed: &FolderChange) -> bool;

    /// Whether the transform of that name is as its file is, and to load that once more would cost memory for good, as a library
    /// in the process does. Where all are loaded anew it stays as it is.
    fn is_to_stay(&self, name: &str) -> bool;

    /// Takes a transform away. Only for one that no chain uses.
    ///
    /// # Errors
    /// `NoSuchTransform`.
    fn remove(&self, name: &str) -> Result<(), RegistryError>;

    /// Loads its file, or looks for its program, anew: a new generation.
    ///
    /// # Errors
    /// `NoSuchTransform`; `NotPermitted`; `NotLoadable`, then the old generation stays.
    fn reload(&self, name: &str) -> Result<(), RegistryError>;

    /// Sets one option: a new generation.
    ///
    /// # Errors
    /// `NoSuchTransform`; `NotLoadable`, then the old generation stays.
    fn set_option(&self, name: &str, key: &str, value: &str) -> Result<(), RegistryError>;

    /// Makes a transform of a command line, in place of the one that was made so before; its name.
    ///
    /// # Errors
    /// `NotPermitted`, `NoSuchProgram`.
    fn set_program(&self, command: &str) -> Result<String, RegistryError>;

    /// What the transform of that name has done, over all its generations.
    fn statistics(&self, name: &str) -> Option<TransformStatistics>;

    /// Adds what the transform of that name did in earlier processes; `false` where there is no such transform.
    fn restore(&self, name: &str, before: &TransformStatistics) -> bool;

    /// Why it last failed a message: what the log says, in at most 400 octets; empty where it has failed none.
    fn last_error(&self, name: &str) -> Option<String>;
}

/// What has changed in the folder of transforms.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FolderChange {
    /// The names of files that were written, put there or taken away; none: it may be any.
    pub files: Option<BTreeSet<OsString>>,
    /// Names of files that somebody is writing, and that are not to be looked at before that is over.
    pub unfinished: BTreeSet<OsString>,
}

impl FolderChange {
    /// Whether the file of that name is to be looked at.
    #[must_use]
    pub fn concerns(&self, name: &OsStr) -> bool {
        !self.unfinished.contains(name) && self.files.as_ref().is_none_or(|files| files.contains(name))
    }
}

/// A transform as a list shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its name: `is_name`.
    pub name: String,
    /// Which implementation it is.
    pub kind: Kind,
    /// Whether it can be used.
    pub state: State,
    /// How often it was made, from 1.
    pub generation: u64,
}

/// Whether a transform can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It can.
    Ready,
    /// It is being loaded for the first time.
    Loading,
    /// What it needs was not there when it was made.
    Failed,
    /// It is switched off.
    Disabled,
}

/// Why a registry did not do what it was told. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RegistryError {
    /// No transform has that name.
    NoSuchTransform,
    /// A file, a program or an option cannot be used; why.
    NotLoadable(String),
    /// A transform has that name, or it is reserved.
    NameInUse,
    /// The configuration does not allow it.
    NotPermitted,
    /// The program cannot be found; what was looked for.
    NoSuchProgram(String),
}

/// Why there is no chain of some names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ChainError {
    /// No transform has one of the names.
    NoSuchTransform {
        /// The index of the first of them.
        index: usize,
    },
    /// It would wait for itself: each message needs places in all links at the same time.
    TooNarrow {
        /// The index of the first link for which there is no place.
        index: usize,
        /// How many places are needed by then.
        needed: usize,
        /// How many there are.
        places: Places,
    },
}

/// The chain of transforms with these names, in their order; none where there is no name.
///
/// # Errors
/// Where there is no such transform, or no message could ever pass.
pub fn chain(registry: &dyn Registry, names: &[&str]) -> Result<Option<Arc<Chain>>, ChainError> {
    let link =
        |(index, name): (usize, &&str)| registry.transform(name).ok_or(ChainError::NoSuchTransform { index });
    let links = names.iter().enumerate().map(link).collect::<Result<Vec<_>, _>>()?;
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (index, link) in links.iter().enumerate() {
        let Some(places) = link.places() else { continue };
        let needed = taken.entry(places.bound.clone()).or_default();
        *needed += 1;
        if *needed > places.count {
            return Err(ChainError::TooNarrow { index, needed: *needed, places });
        }
    }
    Ok((!links.is_empty()).then(|| Arc::new(Chain::new(links))))
}

impl ChainError {
    /// The index of the link that it is about.
    #[must_use]
    pub fn index(&self) -> usize {
        match self {
            Self::NoSuchTransform { index } | Self::TooNarrow { index, .. } => *index,
        }
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTransform { .. } => formatter.write_str("there is no such transform"),
            Self::TooNarrow { needed, places: Places { bound, count }, .. } => {
                write!(formatter, "{needed} of its links must run at once, and {bound} is {count}")
            }
        }
    }
}

impl std::error::Error for ChainError {}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ready => "ready",
            Self::Loading => "loading",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
        })
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTransform => formatter.write_str("no such transform"),
            Self::NotLoadable(reason) => write!(formatter, "cannot be loaded: {reason}"),
            Self::NameInUse => formatter.write_str("name in use"),
            Self::NotPermitted => formatter.write_str("not permitted by the configuration"),
            Self::NoSuchProgram(what) => formatter.write_str(what),
        }
    }
}

impl std::error::Error for RegistryError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_an_argument_and_a_part_of_a_chain() {
        for name in ["a", "scan-mail_2.x", "Z9", &"x".repeat(NAME_MAX)] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "a b", "a,b", "*", "ü", "a/b", "a\0", &"x".repeat(NAME_MAX + 1)] {
            assert!(!is_name(text), "{text}");
        }
    }
}

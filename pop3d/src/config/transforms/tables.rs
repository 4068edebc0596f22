//! The tables of transforms, as they stand in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pop3d_core::transform;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use toml::Spanned;

use super::super::values::{Size, Time, positive};

/// `transform`: names of transforms, or commands used as they are. Each has its place where it is one of an array.
#[derive(Debug)]
pub(crate) struct Chain(pub(super) Vec<(Option<Range<usize>>, String)>);

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Chain;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name or a command, or an array of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Chain, E> {
                Ok(Chain(vec![(None, text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Chain, A::Error> {
                let mut links = Vec::new();
                while let Some(link) = array.next_element::<Spanned<String>>()? {
                    links.push((Some(link.span()), link.into_inner()));
                }
                Ok(Chain(links))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// The keys that a transform and the defaults have in common, as one of them has them.
pub(super) struct Keys<'config> {
    pub(super) isolation: Option<Isolated>,
    pub(super) hosts: Option<usize>,
    pub(super) on_error: Option<Policed>,
    pub(super) spool: Option<bool>,
    pub(super) timeout: Option<Time>,
    pub(super) cpu: Option<Time>,
    pub(super) memory: Option<Size>,
    pub(super) max_output: Option<Size>,
    pub(super) max_running: Option<usize>,
    pub(super) cwd: Option<&'config Path>,
    pub(super) env: &'config Environment,
    pub(super) options: Option<&'config toml::Table>,
}

/// Writes a table that has the keys that transforms and their defaults have in common, with some of its own before them and behind
/// them. Of a table that is taken as a part of another, serde knows neither the places nor which keys are unknown.
macro_rules! table {
    ($(#[$attribute:meta])* $name:ident { $($before:tt)* } keys { $($behind:tt)* }) => {
        $(#[$attribute])*
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($before)*
            isolation: Option<Isolated>,
            #[serde(default, deserialize_with = "positive")]
            hosts: Option<usize>,
            on_error: Option<Policed>,
            spool: Option<bool>,
            #[serde(default, deserialize_with = "positive")]
            timeout: Option<Time>,
            #[serde(default, deserialize_with = "positive")]
            cpu: Option<Time>,
            #[serde(default, deserialize_with = "positive")]
            memory: Option<Size>,
            #[serde(default, deserialize_with = "positive")]
            max_output: Option<Size>,
            #[serde(default, deserialize_with = "positive")]
            max_running: Option<usize>,
            pub(super) cwd: Option<Spanned<PathBuf>>,
            #[serde(default)]
            pub(super) env: Environment,
            pub(super) options: Option<Spanned<toml::Table>>,
            $($behind)*
        }

        impl $name {
            pub(super) fn keys(&self) -> Keys<'_> {
                Keys {
                    isolation: self.isolation,
                    hosts: self.hosts,
                    on_error: self.on_error,
                    spool: self.spool,
                    timeout: self.timeout,
                    cpu: self.cpu,
                    memory: self.memory,
                    max_output: self.max_output,
                    max_running: self.max_running,
                    cwd: self.cwd.as_ref().map(|cwd| cwd.as_ref().as_path()),
                    env: &self.env,
                    options: self.options.as_ref().map(Spanned::as_ref),
                }
            }
        }
    };
}

table! {
    /// `[transforms.NAME]`.
    #[derive(Debug, Deserialize)]
    Table {
        pub(super) kind: Option<Kind>,
        pub(super) command: Option<Spanned<Command>>,
        pub(super) file: Option<Spanned<PathBuf>>,
    }
    keys {}
}

table! {
    /// `[transform_defaults]`: what holds where a transform says nothing else.
    #[derive(Debug, Default, Deserialize)]
    Defaults {}
    keys {
        pub(super) hold: Option<Spanned<Size>>,
        pub(super) sizes: Option<SizesTold>,
    }
}

/// `env`: values by name, each with its place.
pub(super) type Environment = BTreeMap<Spanned<String>, Spanned<String>>;

/// `[transform_pool]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolTable {
    pub(crate) queue_timeout: Option<Time>,
    /// Threads; 0: as many as there are cores, and one.
    pub(crate) workers: Option<Spanned<usize>>,
    #[serde(default, deserialize_with = "positive")]
    pub(crate) max_wasm_instances: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Process,
    Native,
    Wasm,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Isolated {
    Process,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a command line, or an array of the program and its arguments")]
pub(super) enum Command {
    Line(String),
    Words(Vec<String>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Policed {
    Fail,
    Pass,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SizesTold {
    Stored,
    Exact,
}

impl Table {
    /// The kind of code that its keys are for; none: they are for both.
    pub(super) fn is_for(&self) -> Option<transform::Kind> {
        match (self.is_for_a_plugin(), self.env.is_empty()) {
            (true, _) => Some(transform::Kind::Native),
            (false, false) => Some(transform::Kind::Wasm),
            (false, true) => None,
        }
    }

    /// Whether it has keys that are for programs alone.
    pub(super) fn is_for_a_program(&self) -> bool {
        self.max_running.is_some() || self.cwd.is_some()
    }

    /// Whether it has keys that are for native plugins alone.
    pub(super) fn is_for_a_plugin(&self) -> bool {
        self.isolation.is_some() || self.hosts.is_some()
    }

    /// Whether it has keys that are for one kind of code alone, of each.
    pub(super) fn is_for_both(&self) -> bool {
        self.is_for_a_plugin() && !self.env.is_empty()
    }
}

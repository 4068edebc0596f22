//! The same filter as each kind of transform, and as a plain function.

use std::fs;
use std::path::Path;

use crate::guest::Guest;
use crate::{Plugins, rot13};

/// What a transform is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A program.
    Program,
    /// A native plugin in helper processes.
    Isolated,
    /// A native plugin in the server.
    Native,
    /// One that says of itself that it never waits.
    Inline,
    /// A component.
    Component,
    /// A WASI command.
    Command,
}

/// All of them.
pub const KINDS: [Kind; 6] =
    [Kind::Program, Kind::Isolated, Kind::Native, Kind::Inline, Kind::Component, Kind::Command];

/// What a filter does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Nothing.
    Identity,
    /// Turns letters by 13.
    Rot13,
    /// Writes each octet twice.
    Double,
    /// Writes nothing.
    Swallow,
    /// Writes only at the end.
    AtEnd,
    /// Writes an octet at a time.
    Singly,
    /// Writes as many octets as the message says by its first nine digits, then fails: for a while where that is an
    /// even number, else for good.
    Fail,
}

/// Those that do not fail.
pub const DEEDS: [Deed; 6] =
    [Deed::Identity, Deed::Rot13, Deed::Double, Deed::Swallow, Deed::AtEnd, Deed::Singly];

impl Deed {
    /// The plain function.
    #[must_use]
    pub fn twin(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Identity | Self::AtEnd | Self::Singly => octets.to_vec(),
            Self::Rot13 => rot13(octets),
            Self::Double => octets.iter().flat_map(|&octet| [octet, octet]).collect(),
            Self::Swallow => Vec::new(),
            Self::Fail => octets[..octets.len().min(edge(octets))].to_vec(),
        }
    }

    /// The name of the option "do" of the native plugin.
    fn option(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Rot13 => "rot13",
            Self::Double => "double",
            Self::Swallow => "swallow",
            Self::AtEnd => "at-end",
            Self::Singly => "one-by-one",
            Self::Fail => "fail",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Identity => "cat",
            Self::Rot13 => "LC_ALL=C tr A-Za-z N-ZA-Mn-za-m",
            Self::Double => "perl -pe 's/(.)/$1$1/gs'",
            Self::Swallow => "cat >/dev/null",
            Self::AtEnd => "perl -0777 -pe ''",
            Self::Singly => "dd bs=1 status=none",
            // The number is the unique-id too. What is behind it is read, so that whatever writes does not notice.
            Self::Fail => {
                "head -c $MESSAGE_UID; cat >/dev/null; test $MESSAGE_UID = 999999999 || exit $(expr 75 + 3 '*' '(' $MESSAGE_UID % 2 ')')"
            }
        }
    }

    fn guest(self) -> Guest<'static> {
        let same = Guest::default();
        match self {
            Self::Identity => same,
            Self::Rot13 => {
                Guest { piece: "(call $rot13 (local.get $p) (local.get $n)) (i32.const 0)", ..same }
            }
            Self::Double => {
                Guest { piece: "(call $double (local.get $p) (local.get $n)) (i32.const 0)", ..same }
            }
            Self::Swallow => Guest { piece: "(i32.const 0)", ..same },
            Self::AtEnd => Guest {
                piece: "(call $hold (local.get $p) (local.get $n)) (i32.const 0)",
                last: "(call $give) (i32.const 0)",
                ..same
            },
            Self::Singly => {
                Guest { piece: "(call $singly (local.get $p) (local.get $n)) (i32.const 0)", ..same }
            }
            Self::Fail => Guest { piece: "(call $fail (local.get $p) (local.get $n))", ..same },
        }
    }
}

/// After how many octets a message fails.
#[must_use]
pub fn edge(message: &[u8]) -> usize {
    std::str::from_utf8(&message[..9]).unwrap().parse().unwrap()
}

/// A message that fails after so many octets, and is longer than that. Most of its lines are ".".
#[must_use]
pub fn failing_at(edge: usize) -> Vec<u8> {
    let mut message = format!("{edge:09}\n\n").into_bytes();
    while message.len() < edge.min(2_000_000) + 3_000 {
        message.extend_from_slice(b".\n.\nx\r\n.\r\n");
    }
    message
}

/// A folder with filters of all kinds.
pub struct Filters {
    plugins: Plugins,
}

impl Default for Filters {
    /// Builds what all native ones are.
    fn default() -> Self {
        Self::of(Plugins::default())
    }
}

impl Filters {
    /// Those in a folder that is there and stays.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self::of(Plugins::at(folder))
    }

    fn of(plugins: Plugins) -> Self {
        plugins.build("filter.so", &[]);
        plugins.build("quick.so", &["TEST_FLAGS=POP3D_FLAG_NONBLOCKING"]);
        Self { plugins }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.plugins.path()
    }

    /// The lines of a configuration that name such a transform. A file of it is made.
    #[must_use]
    pub fn table(&self, name: &str, kind: Kind, deed: Deed, keys: &str) -> String {
        let program = deed.program();
        let option = deed.option();
        let what = match kind {
            Kind::Program => format!("command = \"\"\"{program}\"\"\""),
            Kind::Isolated => self.native(option, "process"),
            Kind::Native => self.native(option, "none"),
            Kind::Inline => self.native(option, "none").replace("filter.so", "quick.so"),
            Kind::Component => self.wasm(name, &deed.guest().component()),
            Kind::Command => self.wasm(name, &deed.guest().command()),
        };
        format!("[transforms.{name}]\n{what}\n{keys}\n")
    }

    /// The keys of a native plugin that does this.
    #[must_use]
    pub fn native(&self, what: &str, isolation: &str) -> String {
        let file = self.path().join("filter.so");
        let hosts = if isolation == "process" { "hosts = 1\n" } else { "" };
        format!(
            "file = \"{}\"\nisolation = \"{isolation}\"\n{hosts}options = {{ do = \"{what}\" }}",
            file.display()
        )
    }

    /// The keys of a guest that is this file.
    #[must_use]
    pub fn wasm(&self, name: &str, octets: &[u8]) -> String {
        let file = self.path().join(format!("{name}.wasm"));
        fs::write(&file, octets).unwrap();
        format!("file = \"{}\"", file.display())
    }
}

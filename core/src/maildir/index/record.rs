//! One message of an index, in a form that is easy to work with.

use super::super::folder::{Place, Stamp};

/// What is known of a message's size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::maildir) enum Size {
    /// The file was read to its end.
    Counted {
        /// Octets as sent.
        octets: u64,
        /// Whether the file can be sent as it stands.
        wire_clean: bool,
        /// What the file looked like.
        stamp: Stamp,
        /// Whether it may since have changed without looking different: it was written only just before.
        racy: bool,
        /// A checksum of the content, where another message may come to have its name; none also where an older version counted.
        content: Option<u64>,
    },
    /// The file's name says so, or another server's list.
    Named {
        /// Octets as sent.
        octets: u64,
    },
    /// The file could not be read.
    Unknown {
        /// Its length, as far as known.
        length: u64,
        /// What it looked like, as far as known.
        stamp: Option<Stamp>,
    },
}

impl Size {
    /// The size to be listed.
    pub(in crate::maildir) fn octets(self) -> u64 {
        match self {
            Self::Counted { octets, .. } | Self::Named { octets } | Self::Unknown { length: octets, .. } => {
                octets
            }
        }
    }

    /// What the file looked like, as far as known.
    pub(in crate::maildir) fn stamp(self) -> Option<Stamp> {
        match self {
            Self::Counted { stamp, .. } => Some(stamp),
            Self::Named { .. } => None,
            Self::Unknown { stamp, .. } => stamp,
        }
    }
}

/// One message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::maildir) struct Record<'a> {
    /// The file's name when the folder was listed.
    pub(in crate::maildir) name: &'a [u8],
    /// The part of it that never changes; a prefix of `name`.
    pub(in crate::maildir) base: &'a [u8],
    /// The unique-id, where it is not the base.
    pub(in crate::maildir) unique_id: Option<&'a [u8]>,
    /// The folder it was in.
    pub(in crate::maildir) place: Place,
    /// Its size.
    pub(in crate::maildir) size: Size,
}

impl<'a> Record<'a> {
    /// The unique-id.
    pub(in crate::maildir) fn unique_id(&self) -> &'a [u8] {
        self.unique_id.unwrap_or(self.base)
    }
}

//! Why a server cannot be started with what was kept, and whether that may pass.

use std::fmt;

use crate::state::KeptError;

/// Why a server cannot be started with what was kept.
#[derive(Debug)]
pub enum BeginningError {
    /// Descriptors or memory were wanting: nothing may be wrong with what was kept.
    Want(String),
    /// Something of it cannot be used.
    Unusable(String),
}

impl fmt::Display for BeginningError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Want(what) | Self::Unusable(what) => formatter.write_str(what),
        }
    }
}

impl std::error::Error for BeginningError {}

impl From<KeptError> for BeginningError {
    fn from(error: KeptError) -> Self {
        let what = error.to_string();
        if error.is_want() { Self::Want(what) } else { Self::Unusable(what) }
    }
}

//! Why a message fails in a program, and whose doing that is.

use pop3d_core::transform::Error;

pub(super) struct Failure {
    pub(super) error: Error,
    /// Not for want of something that the server was to have.
    pub(super) is_its_own: bool,
}

impl Failure {
    /// The server lacks something: a turn, a process, a descriptor. Nothing was tried of the program.
    pub(super) fn of_server(reason: String) -> Self {
        Self { error: Error::Temporary(reason), is_its_own: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, is_its_own: true }
    }
}

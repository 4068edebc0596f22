//! What went wrong in a guest, in the words of transforms.

use pop3d_core::transform::Error;
use wasmtime::PoolConcurrencyLimitError;

use crate::pool_stream::Pipe;

/// A failure on the host's side goes through the guest unchanged; everything else is the guest's, but for want of room.
pub(super) fn failure(error: &wasmtime::Error, pipe: &Pipe) -> Error {
    if let Some(own) = error.downcast_ref::<Error>() {
        return own.clone();
    }
    if error.is::<PoolConcurrencyLimitError>() {
        pipe.excuse();
        return Error::Temporary("no room for an instance".to_owned());
    }
    log::debug!(target: "pop3d::transform", "{error:?}");
    Error::Crashed(sentence(error))
}

/// The cause, in one line.
pub(super) fn sentence(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    cause.lines().next().unwrap_or_default().to_owned()
}

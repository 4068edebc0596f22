//! What went wrong in a guest, in the words of transforms.

use pop3d_core::transform::Error;
use wasmtime::PoolConcurrencyLimitError;

/// A failure on the host's side goes through the guest unchanged; everything else is the guest's.
pub(super) fn failure(error: &wasmtime::Error) -> Error {
    if let Some(own) = error.downcast_ref::<Error>() {
        return own.clone();
    }
    if error.is::<PoolConcurrencyLimitError>() {
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

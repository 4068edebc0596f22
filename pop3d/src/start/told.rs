//! What a start would write into the log, where there is none: `--check` tells the warnings of it.

use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

/// Warnings and errors, in their order.
pub(super) struct Told(Mutex<Vec<String>>);

static TOLD: Told = Told(Mutex::new(Vec::new()));

impl Told {
    /// Listens from here on, in place of a log.
    pub(super) fn listen() -> &'static Self {
        // Where something logs already, that tells them.
        if log::set_logger(&TOLD).is_ok() {
            log::set_max_level(LevelFilter::Warn);
        }
        &TOLD
    }

    /// What was told so far.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

//! Logging: one line an event, to standard error or to a file that SIGHUP opens anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use log::LevelFilter;

use crate::exit::one_line;

/// A log file that can be opened anew, so that it can be moved away while the server runs.
#[derive(Clone)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl LogFile {
    /// Opens a log file for appending.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(open(path)?)) })
    }

    /// Opens the file of that name anew; where it cannot be, the one that is open stays.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Starts logging, for the whole process and once.
///
/// # Errors
/// Where something logs already.
pub(crate) fn start(level: LevelFilter, file: Option<LogFile>) -> Result<(), log::SetLoggerError> {
    let dispatch = fern::Dispatch::new().level(level).format(|out, message, record| {
        // What a client said is in the message: it must not look like another line.
        let message = one_line(&message.to_string());
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        out.finish(format_args!("{time} {} {}: {message}", record.level(), record.target()));
    });
    let dispatch = match file {
        Some(file) => dispatch.chain(Box::new(file) as Box<dyn Write + Send>),
        None => dispatch.chain(Box::new(io::stderr()) as Box<dyn Write + Send>),
    };
    dispatch.apply()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let what = panic.payload_as_str().unwrap_or("without a word");
        log::error!(target: "pop3d", "a thread panicked{place}: {what}");
    }));
    Ok(())
}

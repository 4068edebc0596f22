//! Logging: one line an event, to standard error or to a file that SIGHUP opens anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
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
        // The working folder may be another one when it is opened anew.
        let path = std::path::absolute(path)?;
        let file = Arc::new(Mutex::new(open(&path)?));
        Ok(Self { path, file })
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

/// Names and addresses of users are not for everybody.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// Gathers a line, writes it in one go when flushed, and never fails: fern panics where a line can be written neither
/// to the log nor to standard error, and a full disk or a reader that has gone must not end a session.
struct Lines<W> {
    out: W,
    line: Vec<u8>,
    /// Lines that were not written since one was.
    lost: u64,
}

impl<W: Write> Lines<W> {
    fn new(out: W) -> Self {
        Self { out, line: Vec::new(), lost: 0 }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.line);
        if self.lost > 0 {
            let time = humantime::format_rfc3339_millis(SystemTime::now());
            let told = format!("{time} WARN pop3d: {} lines of the log could not be written\n", self.lost);
            line.splice(0..0, told.into_bytes());
        }
        self.lost = if self.out.write_all(&line).is_ok() { 0 } else { self.lost.saturating_add(1) };
        line.clear();
        // Kept for its room.
        self.line = line;
        Ok(())
    }
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
    let lines: Box<dyn Write + Send> = match file {
        Some(file) => Box::new(Lines::new(file)),
        None => Box::new(Lines::new(io::stderr())),
    };
    dispatch.chain(lines).apply()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let what = panic.payload_as_str().unwrap_or("without a word");
        log::error!(target: "pop3d", "a thread panicked{place}: {what}");
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Takes nothing while it is full.
    #[derive(Default)]
    struct Disk {
        is_full: bool,
        writes: Vec<String>,
    }

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            if self.is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.writes.push(String::from_utf8_lossy(octets).into_owned());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(lines: &mut Lines<Disk>, number: u32) {
        write!(lines, "line {number}{}", '\n').unwrap();
        lines.flush().unwrap();
    }

    #[test]
    fn a_line_is_written_in_one_go() {
        let mut lines = Lines::new(Disk::default());
        log(&mut lines, 1);
        log(&mut lines, 2);
        assert_eq!(lines.out.writes, ["line 1\n", "line 2\n"]);
    }

    #[test]
    fn a_full_disk_costs_lines_and_says_how_many() {
        let mut lines = Lines::new(Disk::default());
        lines.out.is_full = true;
        log(&mut lines, 1);
        log(&mut lines, 2);
        lines.out.is_full = false;
        log(&mut lines, 3);
        log(&mut lines, 4);
        let [told, after] = &lines.out.writes[..] else { panic!("{:?}", lines.out.writes) };
        assert!(told.ends_with("Z WARN pop3d: 2 lines of the log could not be written\nline 3\n"), "{told}");
        assert_eq!(after, "line 4\n");
    }

    #[test]
    fn a_log_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut log = LogFile::open(&path).unwrap();
        log.write_all(b"1\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        log.write_all(b"2\n").unwrap();
        log.reopen().unwrap();
        log.write_all(b"3\n").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "1\n2\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
        fs::remove_dir_all(folder.path()).unwrap();
        log.reopen().unwrap_err();
        log.write_all(b"4\n").unwrap();
    }
}

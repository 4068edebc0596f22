//! Logging: one line an event, to standard error or to a file that SIGHUP opens anew.
//!
//! Lines are written by a thread of its own: a pipe that nobody reads, or a disk that is full, keeps no worker. What it
//! cannot keep up with is counted and said. A line after a silence is written at once; where they come thick and fast
//! they are gathered, so that a busy server does not wake a thread for each.

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use log::LevelFilter;
use pop3d_protocol::text::one_line;
use rustix::fs::{Access, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::privileges::{self, Identity};

/// Lines that may wait to be written.
const QUEUE: usize = 4096;

/// Least time between two writes: lines that come meanwhile are written together.
const GATHERED_FOR: Duration = Duration::from_millis(5);

/// Octets that are written together, not counting the last line of them.
const GATHERED_MAX: usize = 64 * 1024;

/// How long the last lines may take at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// Where lines go.
enum Sink {
    Stderr,
    File(LogFile),
}

/// What waits to be written.
enum Entry {
    Line(Vec<u8>),
    /// All before it have been written, once the other end is told.
    Mark(SyncSender<()>),
}

/// The log of this process.
pub(crate) struct Log {
    queue: SyncSender<Entry>,
    file: Option<LogFile>,
}

/// Puts lines into the queue, without ever waiting for room.
struct Lines {
    line: Vec<u8>,
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

/// A log file that can be opened anew, so that it can be moved away while the server runs.
#[derive(Clone)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<Arc<File>>>,
}

impl LogFile {
    /// Opens a log file for appending, as whom the process becomes, who opens it anew later.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn open(path: &Path, identity: Option<&Identity>) -> io::Result<Self> {
        // The working folder may be another one when it is opened anew.
        let path = std::path::absolute(path)?;
        let file = match identity {
            None => open(&path)?,
            Some(identity) => match identity.act(|| open(&path)) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    open_as_root(&path, identity)?
                }
                opened => opened?,
            },
        };
        let file = Arc::new(Mutex::new(Arc::new(file)));
        Ok(Self { path, file })
    }

    /// Finds out whether it could be opened, and makes nothing.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn probe(path: &Path, identity: Option<&Identity>) -> io::Result<()> {
        let path = std::path::absolute(path)?;
        match identity.map_or_else(|| probe(&path), |identity| identity.act(|| probe(&path))) {
            Err(error) if identity.is_some() && error.kind() == io::ErrorKind::PermissionDenied => {
                match path.metadata() {
                    // Root may write to it; see `probe`.
                    Ok(found) if !found.is_file() && !found.is_dir() => Ok(()),
                    Ok(_) => open_found_as_root(&path).map(drop),
                    Err(_) => probe(&path),
                }
            }
            probed => probed,
        }
    }

    fn write(&self, octets: &[u8]) -> io::Result<usize> {
        // Not written while it is locked: a pipe that is full would keep whoever opens another one, who hears signals.
        let file = Arc::clone(&self.file.lock().unwrap_or_else(PoisonError::into_inner));
        (&*file).write(octets)
    }

    /// Opens the file of that name anew; where it cannot be, the one that is open stays.
    ///
    /// # Errors
    /// Where it cannot be opened.
    fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    open_by(options().create(true), path)
}

/// Opens a file without waiting for whoever is to read it: a pipe may never have a reader, and signals are not heard meanwhile.
fn open_by(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.open(path).map_err(|error| {
        let is_pipe = || path.metadata().is_ok_and(|found| found.file_type().is_fifo());
        if Errno::from_io_error(&error) == Some(Errno::NXIO) && is_pipe() {
            return io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads this pipe");
        }
        error
    })?;
    // What is written waits as ever: the thread of the log is there for that.
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Opens a file, where there is one, as it would be opened; else looks at its folder.
fn probe(path: &Path) -> io::Result<()> {
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        // Who reads a pipe would be told of an end, where it were opened and closed.
        return privileges::permits(path, Access::WRITE_OK);
    }
    match options().open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Behind a link it is made where that leads.
            let folder = path.parent().unwrap_or(path);
            let target = path.read_link().map_or_else(|_| path.to_owned(), |target| folder.join(target));
            privileges::permits(target.parent().unwrap_or(folder), Access::WRITE_OK | Access::EXEC_OK)
        }
        opened => opened.map(drop),
    }
}

/// Opens what only root may write. One that is made by it is given to whom the process becomes.
fn open_as_root(path: &Path, identity: &Identity) -> io::Result<File> {
    match open_by(options().create_new(true), path) {
        Ok(file) => {
            identity.own(&file)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open_found_as_root(path),
        Err(error) => Err(error),
    }
}

/// Opens a file that is there and that only root may write.
fn open_found_as_root(path: &Path) -> io::Result<File> {
    if path.parent().is_some_and(is_roots) {
        return open(path);
    }
    // Who writes in that folder may have put a name there of another file of root's.
    let file = open_by(options().custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK), path)?;
    let has_another_name = file.metadata()?.nlink() > 1;
    if has_another_name { Err(io::Error::other("it has another name too")) } else { Ok(file) }
}

/// Whether nobody but root writes in a folder.
fn is_roots(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|it| it.uid() == 0 && it.mode() & 0o022 == 0)
}

/// Names and addresses of users are not for everybody.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o640).custom_flags(libc::O_NONBLOCK);
    options
}

impl Log {
    /// Starts logging, for the whole process and once.
    ///
    /// # Errors
    /// Where something logs already, or there is no thread.
    pub(crate) fn start(level: LevelFilter, file: Option<LogFile>) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let lines = Lines { line: Vec::new(), queue: queue.clone(), lost: Arc::clone(&lost) };
        let sink = file.clone().map_or(Sink::Stderr, Sink::File);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&entries, &sink, &lost))?;
        // The level is looked at before a record comes here, so that it can be changed.
        let dispatch = fern::Dispatch::new().level(LevelFilter::Trace).format(|out, message, record| {
            // What a client said is in the message: it must not look like another line.
            let message = one_line(&message.to_string());
            let time = humantime::format_rfc3339_millis(SystemTime::now());
            out.finish(format_args!("{time} {} {}: {message}", record.level(), record.target()));
        });
        let writer: Box<dyn Write + Send> = Box::new(lines);
        dispatch.chain(writer).apply().map_err(io::Error::other)?;
        log::set_max_level(level);
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
            let what = panic.payload_as_str().unwrap_or("without a word");
            log::error!(target: "pop3d", "a thread panicked{place}: {what}");
        }));
        Ok(Self { queue, file })
    }

    /// Opens the log file anew; `false` where there is none.
    ///
    /// # Errors
    /// Where it cannot be opened: the one that is open stays.
    pub(crate) fn reopen(&self) -> io::Result<bool> {
        self.file.as_ref().map_or(Ok(false), |file| file.reopen().map(|()| true))
    }

    /// Waits until the lines so far are written, for a while.
    pub(crate) fn finish(&self) {
        let (sender, written) = sync_channel(1);
        if self.queue.try_send(Entry::Mark(sender)).is_ok() {
            // Whoever reads the log does not get these lines then, and the process ends all the same.
            let _ = written.recv_timeout(FINISH_LIMIT);
        }
    }
}

impl Drop for Log {
    /// A start that fails tells what was wrong behind the lines of the log, and not between them.
    fn drop(&mut self) {
        self.finish();
    }
}

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(octets);
        if octets.ends_with(b"\n")
            && self.queue.try_send(Entry::Line(std::mem::take(&mut self.line))).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn write(&self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => io::stderr().write(octets),
            Self::File(file) => file.write(octets),
        }
    }
}

/// Where lines are put, one after the other.
struct Output<W> {
    write: W,
    /// Whether the last line was cut: the disk was full in the middle of it.
    is_cut: bool,
}

impl<W: FnMut(&[u8]) -> io::Result<usize>> Output<W> {
    fn new(write: W) -> Self {
        Self { write, is_cut: false }
    }

    /// Writes lines; returns how many of them could not be written. They have nowhere else to go then: the disk is full, or
    /// nobody reads any more.
    fn put(&mut self, lines: &[u8]) -> usize {
        // What follows a line that was cut would be part of it, and whoever looks for lines would not find it.
        if self.is_cut && !lines.is_empty() {
            self.is_cut = !self.put_all(b"\n").is_empty();
        }
        let rest = if self.is_cut { lines } else { self.put_all(lines) };
        let written = lines.strip_suffix(rest).unwrap_or_default();
        if let Some(&last) = written.last() {
            self.is_cut = last != b'\n';
        }
        rest.iter().filter(|&&octet| octet == b'\n').count()
    }

    /// Writes octets; returns those that could not be written.
    fn put_all<'octets>(&mut self, octets: &'octets [u8]) -> &'octets [u8] {
        let mut rest = octets;
        while !rest.is_empty() {
            match (self.write)(rest) {
                Ok(0) => break,
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        rest
    }
}

fn write_all(entries: &Receiver<Entry>, sink: &Sink, lost: &AtomicU64) {
    let mut output = Output::new(|octets: &[u8]| sink.write(octets));
    // Lines that found no room or could not be written, since that was last said.
    let mut unsaid = 0;
    let mut lines = Vec::new();
    let mut written: Option<Instant> = None;
    while let Ok(first) = entries.recv() {
        let mut mark = None;
        let mut entry = Some(first);
        if let Some(early) = written.and_then(|written| GATHERED_FOR.checked_sub(written.elapsed())) {
            thread::sleep(early);
        }
        while let Some(next) = entry {
            match next {
                Entry::Line(line) => lines.extend_from_slice(&line),
                Entry::Mark(sender) => mark = Some(sender),
            }
            let is_enough = mark.is_some() || lines.len() >= GATHERED_MAX;
            entry = if is_enough { None } else { entries.try_recv().ok() };
        }
        unsaid += output.put(&lines) as u64;
        lines.clear();
        written = Some(Instant::now());
        // Nobody waits any longer where it cannot be told.
        if let Some(mark) = mark {
            let _ = mark.try_send(());
        }
        unsaid += lost.swap(0, Ordering::Relaxed);
        if unsaid > 0 {
            let time = humantime::format_rfc3339_millis(SystemTime::now());
            let said = format!("{time} WARN pop3d: {unsaid} lines of the log were lost\n");
            if output.put(said.as_bytes()) == 0 {
                unsaid = 0;
            }
        }
    }
}

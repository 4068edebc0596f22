//! Reads messages to count their octets as sent: one by one, or many at once by several threads, for that is what a login
//! waits for where nothing is known of a large maildrop.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pop3d_protocol::multiline::Measure;

use super::super::checksum::{checksum, mix};
use super::super::folder::{self, Listed, Stamp};
use super::super::index::Size;

/// How much of a message is read at once.
const BLOCK: usize = 256 * 1024;

/// The same, at least.
const BLOCK_MIN: usize = 4096;

/// The longest file that is read to its end, in octets. IMAP cannot tell of a message of 4 GiB, and a disk reads this much
/// in minutes; who may write to a folder makes a file of any length there without filling a block of the disk.
pub(in crate::maildir) const READ_MAX: u64 = 64 << 30;

/// Messages that are counted ahead of the one that is put into the index: what bounds the memory for it.
pub(super) const AHEAD: usize = 8192;

/// Messages that are worth another thread: reading them takes some milliseconds, starting it some tens of microseconds.
const WORTH_A_THREAD: usize = 512;

/// Messages that a thread takes at once, so that all end at the same time, whoever met the long ones.
const BATCH: usize = 32;

/// Threads beside those of the pool that count, in all scans of the process together: at most one for each core but one.
static HELPERS: AtomicUsize = AtomicUsize::new(0);

/// A message to be counted.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Where it stands in the listing.
    pub(super) place: usize,
    pub(super) folder: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
}

/// What counting one came to, as [`Counter::count`] says it.
pub(super) type Counted = io::Result<Option<Size>>;

/// Counts messages, by as many threads as that is worth and as are free; in no order, each with its place. One that is
/// missing was not counted.
pub(super) fn count_all(wanted: &[Wanted<'_>], now: Option<Listed>) -> Vec<(usize, Counted)> {
    let next = AtomicUsize::new(0);
    let count = || {
        let (mut counter, mut counted) = (Counter::default(), Vec::new());
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(rest) = wanted.get(start..).filter(|rest| !rest.is_empty()) else { return counted };
            for &Wanted { place, folder, name } in rest.iter().take(BATCH) {
                counted.push((place, counter.count(folder, name, now)));
            }
        }
    };
    let helpers: Vec<Helper> =
        (1..wanted.len().div_ceil(WORTH_A_THREAD)).map_while(|_| Helper::admit()).collect();
    thread::scope(|scope| {
        let helpers: Vec<_> = helpers
            .iter()
            .filter_map(|_| thread::Builder::new().name("counting".into()).spawn_scoped(scope, count).ok())
            .collect();
        let mut counted = count();
        for helper in helpers {
            // What a thread had that panicked is counted by who misses it.
            counted.extend(helper.join().unwrap_or_default());
        }
        counted
    })
}

/// That a helping thread may be. Dropping it lets another be.
struct Helper;

impl Helper {
    fn admit() -> Option<Self> {
        let most = thread::available_parallelism().map_or(0, |cores| cores.get() - 1);
        let admitted = HELPERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |helpers| {
            (helpers < most).then(|| helpers + 1)
        });
        // Made only where it was counted: dropping one that was not would count too few.
        match admitted {
            Ok(_) => Some(Self),
            Err(_) => None,
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        HELPERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts octets as sent.
#[derive(Default)]
pub(super) struct Counter {
    block: Vec<u8>,
}

impl Counter {
    /// Reads a message to its end; none where it is no regular file or gone. `now` is given where the file may be
    /// written again.
    ///
    /// # Errors
    /// Also where it is too long for that.
    pub(super) fn count(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        now: Option<Listed>,
    ) -> io::Result<Option<Size>> {
        let file = match folder::open_message(folder, name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A symbolic link is no message, and no regular file needs a device.
            Err(error) if super::is_no_file(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let status = folder::status_of(&file)?;
        if !folder::is_regular(&status) {
            return Ok(None);
        }
        if status.stx_size > READ_MAX {
            return Err(io::Error::other(format!("{} octets are too many to be counted", status.stx_size)));
        }
        let mut content = now.map(|_| 0);
        let (measure, length) = self.measure(&file, status.stx_size, &mut content)?;
        let racy = length != status.stx_size || now.is_some_and(|now| folder::is_racy(&status, now));
        Ok(Some(Size::Counted {
            octets: measure.octets().0,
            wire_clean: measure.is_wire_clean(),
            stamp: Stamp::of(&status),
            racy,
            content,
        }))
    }

    /// Measures a file, and sums up its content where that is wanted; blocks of files of one length are of one length. One
    /// that is longer than expected is left within a block from there: it is still being written.
    fn measure(
        &mut self,
        mut file: &File,
        expected: u64,
        content: &mut Option<u64>,
    ) -> io::Result<(Measure, u64)> {
        // One octet more than there should be shows that there is no more. Most messages are small, and filling a large block
        // with zeros would cost more than reading them.
        let room = usize::try_from(expected).unwrap_or(BLOCK).saturating_add(1).clamp(BLOCK_MIN, BLOCK);
        if self.block.len() < room {
            self.block.resize(room, 0);
        }
        let mut measure = Measure::default();
        let mut length = 0;
        loop {
            match file.read(&mut self.block) {
                Ok(0) => return Ok((measure, length)),
                Ok(count) => {
                    let Some(read) = self.block.get(..count) else { continue };
                    measure.update(read);
                    if let Some(content) = content {
                        *content = mix(&[*content, checksum(read)]);
                    }
                    length += count as u64;
                    // A small file is whole after one read: one call less for each message of a large maildrop. And one that
                    // somebody writes on as fast as it is read has no end.
                    if length > expected || length == expected && count < self.block.len() {
                        return Ok((measure, length));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Seek, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn several_threads_count_what_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..2 * WORTH_A_THREAD + 7).map(|number| format!("{number}")).collect();
        for (number, name) in names.iter().enumerate() {
            // Some are missing, and some are of no line end.
            if number % 100 != 0 {
                fs::write(folder.path().join(name), "x\n.y\r\nz".repeat(number % 9)).unwrap();
            }
        }
        let opened = File::open(folder.path()).unwrap();
        let wanted: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(place, name)| Wanted { place, folder: opened.as_fd(), name: name.as_bytes() })
            .collect();
        // Who helped once, or found no room to help, must not change what comes after.
        for _ in 0..3 {
            let mut counted = count_all(&wanted, None);
            counted.sort_by_key(|(place, _)| *place);
            let mut alone = Counter::default();
            assert_eq!(counted.len(), names.len());
            for ((place, size), one) in counted.into_iter().zip(&wanted) {
                assert_eq!(place, one.place);
                assert_eq!(size.unwrap(), alone.count(one.folder, one.name, None).unwrap());
            }
        }
    }

    #[test]
    fn a_file_that_grows_is_not_followed() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'x'; 1 << 20]).unwrap();
        file.rewind().unwrap();
        let (_, length) = Counter::default().measure(&file, 10, &mut None).unwrap();
        assert!(length > 10 && length <= BLOCK_MIN as u64, "{length}");
    }
}

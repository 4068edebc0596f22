//! The log: lines in their order, files opened anew, and disks that are full.

use std::io::Read;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

#[test]
fn lines_that_find_no_room_are_counted_and_nobody_waits() {
    let (queue, entries) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let mut lines = Lines { line: Vec::new(), queue, lost: Arc::clone(&lost) };
    for _ in 0..3 {
        let number = 1;
        writeln!(lines, "line {number}").unwrap();
    }
    drop(lines);
    assert_eq!(lost.load(Ordering::Relaxed), 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    write_all(&entries, &Sink::File(LogFile::open(&path, None).unwrap()), &lost);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.starts_with("line 1\n") && text.ends_with("2 lines of the log were lost\n"), "{text}");
}

#[test]
fn lines_that_come_together_are_all_written_in_their_order() {
    let (queue, entries) = sync_channel(QUEUE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let long = "x".repeat(GATHERED_MAX / 3);
    let expected: String = (0..20).map(|number| format!("{number} {long}\n")).collect();
    for line in expected.split_inclusive('\n') {
        queue.send(Entry::Line(line.into())).unwrap();
    }
    let (sender, written) = sync_channel(1);
    queue.send(Entry::Mark(sender)).unwrap();
    drop(queue);
    write_all(&entries, &Sink::File(LogFile::open(&path, None).unwrap()), &AtomicU64::new(0));
    assert_eq!(written.try_recv(), Ok(()));
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
}

#[test]
fn a_log_that_was_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let log = LogFile::open(&path, None).unwrap();
    log.write(b"1\n").unwrap();
    std::fs::rename(&path, &moved).unwrap();
    log.write(b"2\n").unwrap();
    log.reopen().unwrap();
    log.write(b"3\n").unwrap();
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "1\n2\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "3\n");
    std::fs::remove_dir_all(folder.path()).unwrap();
    log.reopen().unwrap_err();
    log.write(b"4\n").unwrap();
}

/// A log that is a pipe, and who reads it.
fn pipe(folder: &Path) -> (PathBuf, File) {
    let path = folder.join("log");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    (path, reader)
}

#[test]
fn a_pipe_that_nobody_reads_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut reader) = pipe(folder.path());
    let log = LogFile::open(&path, None).unwrap();
    log.write(b"1\n").unwrap();
    assert_eq!(reader.read(&mut [0; 9]).unwrap(), 2);
    assert!(!fcntl_getfl(&**log.file.lock().unwrap()).unwrap().contains(OFlags::NONBLOCK));
    drop(reader);
    assert_eq!(log.reopen().unwrap_err().to_string(), "nobody reads this pipe");
    assert_eq!(log.write(b"2\n").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(LogFile::open(&path, None).is_err());
}

#[test]
fn a_pipe_that_is_full_keeps_nobody_from_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, reader) = pipe(folder.path());
    let log = LogFile::open(&path, None).unwrap();
    let (writing, other) = (log.clone(), log.clone());
    let filling = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    while (&filling).write(&[b'x'; 4096]).is_ok() {}
    // It stands in this until the other end is gone, or has not come to it yet.
    let writer = thread::spawn(move || drop(writing.write(b"x\n")));
    std::fs::remove_file(&path).unwrap();
    let (sender, reopened) = sync_channel(1);
    thread::spawn(move || sender.send(other.reopen().is_ok()));
    assert_eq!(reopened.recv_timeout(Duration::from_secs(30)), Ok(true));
    drop(reader);
    log.write(b"1\n").unwrap();
    writer.join().unwrap();
}

#[test]
fn a_line_that_a_full_disk_cut_does_not_swallow_the_next_one() {
    // Each write takes so many octets at most.
    let rooms = [4, 0, 0, 1, 100, 100];
    let (mut rooms, mut file) = (rooms.into_iter(), Vec::new());
    let mut output = Output::new(|octets: &[u8]| {
        let room = rooms.next().unwrap().min(octets.len());
        file.extend_from_slice(&octets[..room]);
        if room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
    });
    assert_eq!(output.put(b"1\n2 is cut\n3\n"), 2);
    assert_eq!(output.put(b"4\n"), 1);
    assert_eq!(output.put(b"5\n"), 0);
    assert_eq!(output.put(b"6\n"), 0);
    assert_eq!(String::from_utf8(file).unwrap(), "1\n2 \n5\n6\n");
}

#[test]
fn lines_that_a_full_disk_refused_are_told_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let log = LogFile::open(&path, None).unwrap();
    let (queue, entries) = sync_channel(0);
    let sink = Sink::File(log.clone());
    let writer = thread::spawn(move || write_all(&entries, &sink, &AtomicU64::new(0)));
    let write = |line: &[u8]| {
        queue.send(Entry::Line(line.to_vec())).unwrap();
        let (sender, written) = sync_channel(1);
        queue.send(Entry::Mark(sender)).unwrap();
        written.recv().unwrap();
    };
    write(b"1\n");
    write(b"2\n");
    std::fs::remove_file(&path).unwrap();
    log.reopen().unwrap();
    write(b"3\n");
    drop(queue);
    writer.join().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("WARN pop3d: 2 lines of the log were lost\n"), "{text}");
    assert!(text.lines().any(|line| line == "3"), "{text}");
}

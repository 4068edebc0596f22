//! Helpers without a process, or with one that is none.

use std::process::{Command as Program, Stdio};
use std::task::Context;

use pop3d_core::transform::{Command, Wake};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::mailboxes::End;
use super::*;
use crate::children::Children;

impl Host {
    /// One that is alive, has no message, and never says anything.
    pub(in crate::native) fn without_process() -> Arc<Self> {
        Self::deaf().0
    }

    /// The same, and the other end of its socket, from which nobody reads.
    fn deaf() -> (Arc<Self>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let outgoing = Arc::new(Outgoing::new(ours.try_clone().unwrap()));
        let shared = Arc::new(Shared { socket: ours, state: Mutex::default() });
        (Arc::new(Self { name: "test".to_owned(), shared, outgoing, next: Arc::default() }), theirs)
    }

    pub(in crate::native) fn die(&self) {
        self.shared.lock().ended = Some(End::new(Error::Crashed("it died".to_owned())));
    }

    pub(in crate::native) fn is_given_a_message(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.shared.lock().streams.insert(number, Mailbox::default());
    }

    /// An answer to each of its messages has been owed for so long.
    pub(in crate::native) fn has_said_nothing_for(&self, time: Duration) {
        let asked = Instant::now().checked_sub(time).unwrap();
        self.shared.lock().streams.values_mut().for_each(|mailbox| mailbox.asked.push_back(asked));
    }
}

#[test]
fn a_helper_for_which_there_are_no_threads_leaves_nothing_behind() {
    for there_are in 0..3 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let child =
            Program::new("sleep").arg("1000").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let id = Pid::from_child(&child);
        Frame::new(0, Kind::Loaded, Vec::new()).write(&mut &theirs).unwrap();
        let mut threads = Vec::new();
        let mut spawn = |_: &str, work: Work| {
            if threads.len() == there_are {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            threads.push(thread::spawn(work));
            Ok(())
        };
        let (children, record) = (Children::default(), Arc::default());
        let (memory, timeout) = (None, Duration::from_secs(60));
        let start = Start {
            name: "test",
            options: &[],
            library: &[],
            children: &children,
            record: &record,
            memory,
            timeout,
        };
        let process = Process::new(child, Arc::clone(&record));
        let unstarted = Host::attend(process, ours, &start, &mut spawn).err().unwrap();
        let Unstarted::OfServer(why) = unstarted else { panic!("{unstarted:?}") };
        assert!(why.starts_with("its helper process cannot be started: "), "{why}");
        let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        assert_eq!(waitid(WaitId::Pid(id), seen).err(), Some(Errno::CHILD), "it is not reaped");
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

fn message(octets: u64) -> Arc<Message> {
    let remote = [127, 0, 0, 1].into();
    let (user, uid) = ("user".into(), "uid".into());
    Arc::new(Message { user, number: 1, octets, uid, command: Command::Retr, remote })
}

/// A pipe of a file of so many octets.
fn pipe(octets: u64) -> Arc<Pipe> {
    let pipe = Pipe::new(Wake(Arc::new(|| {})), 1 << 30, octets);
    let file = tempfile::tempfile().unwrap();
    file.set_len(octets).unwrap();
    pipe.take_file(file);
    Arc::new(pipe)
}

#[test]
fn a_helper_that_ends_with_many_messages_has_failed_once() {
    let (host, _theirs) = Host::deaf();
    let mut context = Context::from_waker(Waker::noop());
    let mut runs: Vec<_> = (0..10)
        .map(|_| {
            let pipe = pipe(1000);
            (Arc::clone(&pipe), Box::pin(Arc::clone(&host).run(message(1000), pipe)))
        })
        .collect();
    for (_, run) in &mut runs {
        assert!(run.as_mut().poll(&mut context).is_pending());
    }
    host.die();
    let mut blamed = 0;
    for (pipe, run) in &mut runs {
        let outcome = run.as_mut().poll(&mut context);
        assert!(matches!(outcome, Poll::Ready(Err(Error::Crashed(_)))), "{outcome:?}");
        blamed += usize::from(!pipe.is_excused());
    }
    assert_eq!(blamed, 1);
}

fn answer(stream: u32) -> Frame {
    let answer = Answer { result: Ok(Flow::More), is_unread: false, owed: 0, spent: Duration::ZERO };
    Frame::new(stream, Kind::Answer, frames::write_answer(&answer))
}

#[test]
fn a_helper_is_watched_until_it_has_closed_a_message_that_nobody_wants() {
    let mut context = Context::from_waker(Waker::noop());
    for is_in_a_call in [true, false] {
        let (host, _theirs) = Host::deaf();
        // Longer than what is pushed at once.
        let pipe = pipe(200_000);
        let mut run = Box::pin(Arc::clone(&host).run(message(200_000), pipe));
        assert!(run.as_mut().poll(&mut context).is_pending());
        let deliver = || assert!(host.shared.deliver(answer(0)).is_ok());
        if !is_in_a_call {
            deliver();
        }
        drop(run);
        let owed = if is_in_a_call { 2 } else { 1 };
        for _ in 0..owed {
            assert_eq!(host.load(), 1);
            assert!(host.shared.hangs(Duration::ZERO));
            deliver();
        }
        assert_eq!(host.load(), 0);
        assert!(!host.shared.hangs(Duration::ZERO));
    }
}

#[test]
fn a_helper_owes_no_answer_to_what_it_was_not_sent() {
    let (host, _theirs) = Host::deaf();
    // More than the socket takes: whatever comes next is read before it is sent.
    host.outgoing.send(&[], &vec![0; 16 << 20]);
    let pipe = pipe(40_000);
    // Somebody has emptied it meanwhile.
    pipe.take_file(tempfile::tempfile().unwrap());
    let held = Arc::clone(&pipe);
    let mut run = Box::pin(Arc::clone(&host).run(message(40_000), pipe));
    let outcome = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(outcome, Poll::Ready(Err(Error::Temporary(_)))), "{outcome:?}");
    assert!(held.is_excused());
    assert_eq!(host.load(), 0);
    assert!(!host.shared.hangs(Duration::ZERO));
}

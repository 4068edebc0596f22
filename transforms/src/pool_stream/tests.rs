//! Streams of the pool against a plain function, in every cutting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use pop3d_core::transform::{Command, Filter, Flow, Sink};
use proptest::prelude::*;

use super::*;
use crate::twin::{Manner, drive, heard_wake, rot13};

/// A filter of rot13 that also does what a test wants.
#[derive(Clone, Copy, Default)]
struct Rot13 {
    passes_at: Option<u64>,
    stops_at: Option<u64>,
    fails_at: Option<u64>,
    panics_at: Option<u64>,
    seen: u64,
}

impl Filter for Rot13 {
    fn start(&mut self, _: &Message, out: &mut dyn Sink) -> Result<Flow, Error> {
        out.write(b"X: y\n")?;
        Ok(if self.passes_at == Some(0) { Flow::Pass } else { Flow::More })
    }

    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<Flow, Error> {
        self.seen += chunk.len() as u64;
        let is_past = |at: Option<u64>| at.is_some_and(|at| self.seen >= at);
        if is_past(self.fails_at) {
            return Err(Error::Permanent("as the test wants".to_owned()));
        }
        assert!(!is_past(self.panics_at), "as the test wants");
        out.write(&rot13(chunk))?;
        Ok(match (is_past(self.passes_at), is_past(self.stops_at)) {
            (true, _) => Flow::Pass,
            (false, true) => Flow::Stop,
            (false, false) => Flow::More,
        })
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        out.write(b"end\n")
    }
}

fn message(octets: u64) -> Arc<Message> {
    Arc::new(Message {
        user: "user".into(),
        number: 1,
        octets,
        uid: "uid".into(),
        command: Command::Retr,
        remote: [127, 0, 0, 1].into(),
    })
}

const LIMITS: Limits =
    Limits { cpu: Duration::from_secs(10), timeout: None, may_hang: false, max_output: 1 << 30 };

/// A stream of that filter, and where its wake is heard.
fn stream(filter: Rot13, octets: u64, limits: Limits) -> (PoolStream, Receiver<()>, Arc<Record>) {
    let pool = Pool::start("test", 2).unwrap();
    let (wake, wakes) = heard_wake();
    let (message, record) = (message(octets), Arc::new(Record::default()));
    let own = Arc::clone(&message);
    let stream = PoolStream::new(pool, Arc::clone(&record), limits, &message, wake, move |pipe| {
        Box::pin(run_filter(Box::new(filter), own, pipe))
    });
    (stream, wakes, record)
}

/// What comes out, when the input is offered in pieces of these sizes; and where the rest passes from.
fn play(
    filter: Rot13,
    input: &[u8],
    cuts: &[usize],
    room: usize,
    as_file: bool,
) -> Result<(Vec<u8>, Option<u64>), Error> {
    let (mut stream, wakes, _) = stream(filter, input.len() as u64, LIMITS);
    drive(&mut stream, &wakes, input, &Manner { cuts: cuts.to_vec(), room, as_file })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_comes_out_is_what_the_function_gives(
        input in prop::collection::vec(any::<u8>(), 0..300_000),
        cuts in prop::collection::vec(1_usize..100_000, 1..5),
        room in 1_usize..100_000,
        as_file in any::<bool>(),
    ) {
        let (output, passes_from) = play(Rot13::default(), &input, &cuts, room, as_file).unwrap();
        prop_assert!(output == [b"X: y\n", rot13(&input).as_slice(), b"end\n"].concat());
        prop_assert_eq!(passes_from, None);
    }

    #[test]
    fn what_passes_is_what_was_not_pushed(
        input in prop::collection::vec(any::<u8>(), 0..200_000),
        at in 0_u64..250_000,
        as_file in any::<bool>(),
    ) {
        let filter = Rot13 { passes_at: Some(at), ..Rot13::default() };
        let (mut output, passes_from) = play(filter, &input, &[30_000], 10_000, as_file).unwrap();
        let from = passes_from.map_or(input.len(), |from| usize::try_from(from).unwrap());
        prop_assert!(from >= input.len().min(usize::try_from(at).unwrap()));
        output.extend_from_slice(&input[from..]);
        prop_assert!(output == [b"X: y\n", rot13(&input[..from]).as_slice(), b"end\n", &input[from..]].concat());
    }
}

#[test]
fn a_filter_that_stops_ends_the_message() {
    let filter = Rot13 { stops_at: Some(1), ..Rot13::default() };
    // Smaller pieces may be pushed together.
    let (output, passes_from) = play(filter, &[b'a'; 100_000], &[CHUNK], 1000, false).unwrap();
    assert_eq!((output.len(), passes_from), (5 + CHUNK + 4, None));
}

#[test]
fn a_failure_is_that_of_the_filter_and_a_panic_is_one() {
    let fails = Rot13 { fails_at: Some(50_000), ..Rot13::default() };
    let panics = Rot13 { panics_at: Some(50_000), ..Rot13::default() };
    for as_file in [false, true] {
        let error = play(fails, &[b'a'; 100_000], &[1000], 100, as_file).unwrap_err();
        assert!(matches!(&error, Error::Permanent(why) if why == "as the test wants"), "{error}");
        let error = play(panics, &[b'a'; 100_000], &[1000], 100, as_file).unwrap_err();
        assert!(matches!(error, Error::Crashed(_)), "{error}");
    }
}

#[test]
fn output_has_a_bound() {
    let limits = Limits { max_output: 10_000, ..LIMITS };
    let (mut stream, wakes, record) = stream(Rot13::default(), 100_000, limits);
    stream.write(&[b'a'; 20_000]).unwrap();
    let error = loop {
        match stream.read(&mut [0; 100]) {
            Ok(Read::Pending) => wakes.recv().unwrap(),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Limit("max_output")), "{error}");
    drop(stream);
    assert_eq!((record.statistics().failed, record.statistics().messages), (1, 1));
}

/// Counts how many there are.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_stream_that_is_dropped_frees_its_task() {
    let pool = Pool::start("test", 1).unwrap();
    let there = Arc::new(AtomicUsize::new(1));
    let counted = Counted(Arc::clone(&there));
    let wake = Wake(Arc::new(|| ()));
    let record = Arc::new(Record::default());
    let stream = PoolStream::new(pool.clone(), Arc::clone(&record), LIMITS, &message(1), wake, move |pipe| {
        Box::pin(async move {
            let _counted = counted;
            pipe.next(&mut Vec::new()).await.map(drop)
        })
    });
    drop(stream);
    let (sender, done) = channel();
    // Behind all that was queued.
    pool.run(move || sender.send(()).unwrap());
    done.recv().unwrap();
    assert_eq!(there.load(Ordering::SeqCst), 0);
    assert_eq!((record.statistics().running, record.statistics().failed), (0, 0));
}

#[test]
fn a_task_that_never_ends_is_stopped_and_holds_up_nobody() {
    let (short, long) = (Duration::from_millis(50), Duration::from_secs(3600));
    for (cpu, timeout) in [(short, None), (short, Some(long)), (long, Some(short))] {
        let pool = Pool::start("test", 1).unwrap();
        let (wake, wakes) = heard_wake();
        let limits = Limits { cpu, timeout, ..LIMITS };
        let record = Arc::new(Record::default());
        let mut endless =
            PoolStream::new(pool.clone(), Arc::clone(&record), limits, &message(1), wake, |_| {
                Box::pin(std::future::poll_fn(|context| {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }))
            });
        let (sender, done) = channel();
        pool.run(move || sender.send(()).unwrap());
        done.recv().unwrap();
        let error = loop {
            match endless.read(&mut [0; 1]) {
                Ok(Read::Pending) => wakes.recv().unwrap(),
                Ok(read) => panic!("{read:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::TimedOut(limit) if limit == short), "{error}");
        assert_eq!(record.statistics().timed_out, 1);
    }
}

#[test]
fn a_call_that_does_not_return_costs_its_message_and_one_thread() {
    let pool = Pool::start("test", 2).unwrap();
    let record = Arc::new(Record::default());
    let (wake, wakes) = heard_wake();
    let timeout = Duration::from_millis(20);
    let limits = Limits { timeout: Some(timeout), may_hang: true, ..LIMITS };
    let (awaited, waits) = channel::<()>();
    let mut stream =
        PoolStream::new(pool.clone(), Arc::clone(&record), limits, &message(1), wake, move |_| {
            Box::pin(async move {
                let _ = waits.recv();
                Ok(())
            })
        });
    let error = loop {
        match stream.read(&mut [0; 1]) {
            Ok(Read::Pending) => wakes.recv().unwrap(),
            Ok(read) => panic!("{read:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::TimedOut(limit) if limit == timeout), "{error}");
    drop(stream);
    let statistics = record.statistics();
    assert_eq!((statistics.timed_out, statistics.failed, statistics.running), (1, 1, 0));
    // The other thread is there for others, also while that one is still in its call.
    for _ in 0..10 {
        let (sender, done) = channel();
        pool.run(move || sender.send(()).unwrap());
        done.recv().unwrap();
    }
    // Once it returns, nothing more comes of it.
    drop(awaited);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while Arc::strong_count(&record) > 1 {
        assert!(std::time::Instant::now() < until, "the stream is not let go");
        std::thread::yield_now();
    }
    let statistics = record.statistics();
    assert_eq!((statistics.timed_out, statistics.failed, statistics.running), (1, 1, 0));
}

#[test]
fn a_task_that_notices_first_that_its_message_is_unwanted_has_not_failed() {
    let pool = Pool::start("test", 1).unwrap();
    let record = Arc::new(Record::default());
    let later = Error::Temporary("later".to_owned());
    let fail = || record.count_failure(&later, later.to_string(), true);
    (0..9).for_each(|_| fail());
    let (begun, has_begun) = channel();
    let (dropped, is_dropped) = channel();
    let wake = Wake(Arc::new(|| ()));
    let mut stream =
        PoolStream::new(pool.clone(), Arc::clone(&record), LIMITS, &message(1), wake, move |pipe| {
            Box::pin(async move {
                pipe.append(b"x")?;
                begun.send(()).unwrap();
                // Within one turn of the task, as a filter that is at work.
                is_dropped.recv().unwrap();
                pipe.append(b"x")
            })
        });
    // Nothing is there yet, or the first octet: the pool is at work meanwhile.
    stream.read(&mut [0; 1]).unwrap();
    has_begun.recv().unwrap();
    drop(stream);
    dropped.send(()).unwrap();
    let (sender, done) = channel();
    pool.run(move || sender.send(()).unwrap());
    done.recv().unwrap();
    let statistics = record.statistics();
    assert_eq!((statistics.running, statistics.failed), (0, 9), "{}", record.last_error());
    assert!(!statistics.cpu.is_zero(), "what it cost is not counted");
    // It had gone well so far, and is between failures.
    fail();
    assert!(record.admit("x", Instant::now()).is_ok());
}

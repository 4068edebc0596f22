//! Measures what a filter costs by itself and in streams, each figure of which a bound is known (`benches/filters`): a
//! call, an instance, a program that is started, a loop that is stopped, a file that is compiled.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use pop3d_benches::streams::{Streams, message, message_file};
use pop3d_core::pool::Pool;
use pop3d_core::transform::{Error, Read, Transform, Wake};
use pop3d_transforms::native::{self, alone::Alone as Plugin};
use pop3d_transforms::spec::{CommandLine, Isolation, PluginSpec, ProcessSpec, Spec};
use pop3d_transforms::wasm::{Wasm, WasmEngine, WasmSpec, alone::Alone as Guest};

/// Octets of a long message, of a short one, and of a chunk.
const LONG: usize = 16 << 20;
const SHORT: usize = 4 << 10;
const CHUNK: usize = 16 << 10;

/// Short messages in a row, before something else is measured.
const TURN: u64 = 200;

/// Programs started for one figure.
const PROGRAMS: u64 = 200;

/// Instances that wait at the same time.
const PARKED: usize = 500;

/// Processor time that a loop without end has.
const LOOP_CPU: Duration = Duration::from_millis(200);

/// Measures filters by themselves. Prints a line for each figure: its name and its value.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder of the filters (`target/debug/filters FOLDER`)
    folder: PathBuf,
    /// Seconds for each figure that is a rate
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
    /// GiB of memory that the process has when it starts programs a second time
    #[arg(long, default_value_t = 4)]
    gibibytes: usize,
    /// Only these parts
    #[arg(long, value_delimiter = ',', value_parser = PARTS)]
    only: Vec<String>,
}

/// What can be measured by itself.
const PARTS: [&str; 8] =
    ["plugins", "guests", "pooled", "isolated", "parked", "stopped", "compiled", "programs"];

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    // A helper process of an isolated plugin is this program again.
    if std::env::args().nth(1).is_some_and(|argument| argument == native::ARGUMENT) {
        return native::helper::run(false, || Ok(()));
    }
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "alone: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failed> {
    let mut figures = BTreeMap::new();
    let time = Duration::from_secs_f64(arguments.seconds.clamp(0.01, 60.0));
    for part in PARTS {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|name| name == part) {
            continue;
        }
        match part {
            "plugins" => plugins(&arguments.folder, time, &mut figures)?,
            "guests" => guests(&arguments.folder, time, &mut figures)?,
            "pooled" => pooled(&arguments.folder, time, &mut figures)?,
            "isolated" => isolated(&arguments.folder, time, &mut figures)?,
            "parked" => drop(figures.insert("wasm parked KiB", parked(&arguments.folder)?)),
            "stopped" => stopped(&arguments.folder, &mut figures)?,
            "compiled" => compiled(&arguments.folder, &mut figures)?,
            _ => programs(arguments.gibibytes, &mut figures)?,
        }
    }
    let mut out = io::stdout().lock();
    for (name, value) in figures {
        writeln!(out, "{name}\t{value}")?;
    }
    Ok(())
}

type Figures = BTreeMap<&'static str, f64>;

/// Does something for so long; the seconds for each time.
fn seconds_each<T>(time: Duration, mut deed: impl FnMut() -> Result<T, Error>) -> Result<f64, Failed> {
    // What is made by the first one is not measured.
    deed()?;
    let (begun, mut times) = (Instant::now(), 0_u32);
    while begun.elapsed() < time {
        deed()?;
        times += 1;
    }
    Ok(begun.elapsed().as_secs_f64() / f64::from(times))
}

/// Native plugins in this process.
fn plugins(folder: &Path, time: Duration, figures: &mut Figures) -> Result<(), Failed> {
    let load = |deed: &str| Plugin::load(&folder.join("filter.so"), &[("do".into(), deed.into())]);
    let (identity, swallow) = (load("identity")?, load("swallow")?);
    let (short, long) = (vec![b'x'; SHORT], vec![b'x'; LONG]);
    let mail = message(SHORT);
    let each = seconds_each(time, || identity.pass(&mail, &short, SHORT))?;
    figures.insert("native mail us", each * 1e6);
    let mail = message(LONG);
    let each = seconds_each(time, || identity.pass(&mail, &long, CHUNK))?;
    figures.insert("native MB/s", LONG as f64 / each / 1e6);
    let octets = vec![b'x'; 1 << 20];
    let each = seconds_each(time, || swallow.pass(&mail, &octets, 1))?;
    figures.insert("native call ns", each / octets.len() as f64 * 1e9);
    Ok(())
}

/// Filters in WebAssembly, on this thread.
fn guests(folder: &Path, time: Duration, figures: &mut Figures) -> Result<(), Failed> {
    let engine = Arc::new(WasmEngine::new(None)?);
    let load = |name: &str| -> Result<Guest, Failed> {
        let octets = fs::read(folder.join(format!("{name}.wasm")))?;
        Ok(Guest::load(&octets, &engine)?)
    };
    let (short, long) = (message_file(SHORT)?, message_file(LONG)?);
    let (short_mail, long_mail) = (Arc::new(message(SHORT)), Arc::new(message(LONG)));
    let chunk = vec![b'x'; CHUNK];
    for (name, figure) in [
        ("component-identity", "component MB/s"),
        ("component-rot13", "component rot13 MB/s"),
        ("component-wide", "component rot13 simd MB/s"),
    ] {
        let mut guest = load(name)?;
        let times = 1000;
        let each = seconds_each(time, || guest.push(&long_mail, &chunk, times))?;
        figures.insert(figure, (CHUNK as u64 * times) as f64 / each / 1e6);
    }
    let mut guest = load("component-swallow")?;
    let times = 10_000;
    let each = seconds_each(time, || guest.push(&long_mail, b"x", times))?;
    figures.insert("component call ns", each / times as f64 * 1e9);
    let mut guest = load("component-identity")?;
    let each = seconds_each(time, || guest.instantiate(&short_mail))?;
    figures.insert("component instance us", each * 1e6);
    let each = seconds_each(time, || guest.pass(&short_mail, &short))?;
    figures.insert("component mail us", each * 1e6);
    let mut guest = load("command-identity")?;
    let each = seconds_each(time, || guest.pass(&short_mail, &short))?;
    figures.insert("command mail us", each * 1e6);
    let each = seconds_each(time, || guest.pass(&long_mail, &long))?;
    figures.insert("command MB/s", LONG as f64 / each / 1e6);
    Ok(())
}

/// Processor time of a short message through a plugin in the pool, and of the two hand-overs that it cannot do without: to a
/// thread of the pool, and back to a loop that waits for events.
fn pooled(folder: &Path, time: Duration, figures: &mut Figures) -> Result<(), Failed> {
    let mut spec = PluginSpec::new("pooled", folder.join("filter.so"));
    (spec.isolation, spec.cpu) = (Isolation::None, Duration::from_secs(600));
    spec.options = vec![("do".into(), "identity".into())];
    let mut streams = Streams::new(Spec::Plugin(spec))?;
    let pool = Pool::start("hand-over", 2)?;
    let mut poll = mio::Poll::new()?;
    let bell = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0))?);
    let mut events = mio::Events::with_capacity(1);
    let file = message_file(SHORT)?;
    let (mut mails, mut hands) = ((0, Duration::ZERO), (0, Duration::ZERO));
    let begun = Instant::now();
    // By turns, so that whatever else the machine does is in both.
    while begun.elapsed() < 2 * time {
        let spent = Streams::own_time();
        streams.pass(&file, SHORT, TURN)?;
        mails = (mails.0 + TURN, mails.1 + Streams::own_time().saturating_sub(spent));
        let spent = Streams::own_time();
        for _ in 0..TURN {
            let bell = Arc::clone(&bell);
            pool.run(move || bell.wake().unwrap_or_default());
            poll.poll(&mut events, None)?;
        }
        hands = (hands.0 + TURN, hands.1 + Streams::own_time().saturating_sub(spent));
    }
    let each = |(count, spent): (u64, Duration)| spent.as_secs_f64() * 1e6 / count as f64;
    figures.insert("pooled mail us", each(mails));
    figures.insert("pooled hand-overs us", each(hands));
    Ok(())
}

/// What the server itself pays for a plugin in a helper process.
fn isolated(folder: &Path, time: Duration, figures: &mut Figures) -> Result<(), Failed> {
    let mut spec = PluginSpec::new("isolated", folder.join("filter.so"));
    (spec.hosts, spec.cpu) = (1, Duration::from_secs(600));
    spec.options = vec![("do".into(), "identity".into())];
    let mut streams = Streams::new(Spec::Plugin(spec))?;
    // Made before: that costs more than to pass it.
    let file = message_file(LONG)?;
    streams.pass(&file, LONG, 1)?;
    let (begun, spent, mut messages) = (Instant::now(), Streams::own_time(), 0_u32);
    while begun.elapsed() < time.max(Duration::from_millis(100)) {
        streams.pass(&file, LONG, 1)?;
        messages += 1;
    }
    let (elapsed, spent) = (begun.elapsed(), Streams::own_time().saturating_sub(spent));
    let megabytes = f64::from(messages) * LONG as f64 / 1e6;
    figures.insert("isolated MB/s", megabytes / elapsed.as_secs_f64());
    figures.insert("isolated parent ms/MB", spent.as_secs_f64() * 1e3 / megabytes);
    Ok(())
}

/// Resident memory of an instance that waits for more of its message, in KiB.
fn parked(folder: &Path) -> Result<f64, Failed> {
    let engine = Arc::new(WasmEngine::new(None)?);
    let octets = fs::read(folder.join("component-identity.wasm"))?;
    let wasm = Arc::new(Wasm::new(WasmSpec::new("parked"), &octets, &engine, Pool::start("parked", 2)?)?);
    let mail = Arc::new(message(LONG));
    let mut parked = Vec::new();
    let mut room = vec![0; 64 << 10];
    let mut before = 0;
    for number in 0..=PARKED {
        if number == 1 {
            // What all share is there with the first.
            before = resident()?;
        }
        let (sender, woken) = std::sync::mpsc::channel();
        let wake = Wake(Arc::new(move || sender.send(()).unwrap_or_default()));
        let mut stream = Arc::clone(&wasm).open(Arc::clone(&mail), wake)?;
        stream.write(&room[..SHORT])?;
        // It has written what it was given, so that it waits, or will at once.
        while let Read::Pending = stream.read(&mut room)? {
            woken.recv()?;
        }
        parked.push(stream);
    }
    Ok((resident()? - before) as f64 / PARKED as f64 / 1024.0)
}

fn resident() -> Result<u64, Failed> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// How long beyond its processor time a loop without end goes on, in milliseconds.
fn stopped(folder: &Path, figures: &mut Figures) -> Result<(), Failed> {
    let engine = Arc::new(WasmEngine::new(None)?);
    let octets = fs::read(folder.join("component-loop.wasm"))?;
    let spec = WasmSpec { cpu: LOOP_CPU, ..WasmSpec::new("loop") };
    let wasm = Arc::new(Wasm::new(spec, &octets, &engine, Pool::start("loop", 1)?)?);
    let (sender, woken) = std::sync::mpsc::channel();
    let wake = Wake(Arc::new(move || sender.send(()).unwrap_or_default()));
    let begun = Instant::now();
    let mut stream = wasm.clone().open(Arc::new(message(SHORT)), wake)?;
    // So short a message is written: it takes no file for that.
    stream.write(&[b'x'; SHORT])?;
    stream.finish()?;
    while let Ok(Read::Pending) = stream.read(&mut [0; 1]) {
        woken.recv()?;
    }
    let elapsed = begun.elapsed();
    // Where the machine has other things to do, its time runs on and the filter's does not.
    let spent = wasm.statistics().cpu.max(LOOP_CPU);
    figures.insert("wasm loop ms in all", elapsed.as_secs_f64() * 1e3);
    figures.insert("wasm loop ms beyond cpu", (spent - LOOP_CPU).as_secs_f64() * 1e3);
    Ok(())
}

/// How long a file of some 20 kB takes to be of use, where it is compiled and where it was before, in milliseconds.
fn compiled(folder: &Path, figures: &mut Figures) -> Result<(), Failed> {
    let octets = fs::read(folder.join("component-large.wasm"))?;
    let cache = tempfile::tempdir()?;
    let engine = Arc::new(WasmEngine::new(Some(cache.path().join("cache")))?);
    fs::create_dir_all(cache.path().join("cache"))?;
    let pool = Pool::start("compiled", 1)?;
    for figure in ["reload cold ms", "reload cached ms"] {
        let begun = Instant::now();
        Wasm::new(WasmSpec::new("large"), &octets, &engine, pool.clone())?;
        figures.insert(figure, begun.elapsed().as_secs_f64() * 1e3);
    }
    figures.insert("reload octets", octets.len() as f64);
    Ok(())
}

/// Programs started for a short message each, in a small process and in a large one.
fn programs(gibibytes: usize, figures: &mut Figures) -> Result<(), Failed> {
    let spec = ProcessSpec::new("cat", CommandLine::Direct(vec!["cat".into()]));
    let mut streams = Streams::new(Spec::Process(spec))?;
    let file = message_file(SHORT)?;
    streams.pass(&file, SHORT, 20)?;
    let mut start = |figures: &mut Figures, wall, parent| -> Result<(), Failed> {
        let (begun, spent) = (Instant::now(), Streams::own_time());
        streams.pass(&file, SHORT, PROGRAMS)?;
        figures.insert(wall, begun.elapsed().as_secs_f64() * 1e3 / PROGRAMS as f64);
        let spent = Streams::own_time().saturating_sub(spent);
        figures.insert(parent, spent.as_secs_f64() * 1e3 / PROGRAMS as f64);
        Ok(())
    };
    start(figures, "spawn ms", "spawn parent ms")?;
    let mut large = vec![0_u8; gibibytes << 30];
    for page in large.chunks_mut(4096) {
        page[0] = 1;
    }
    start(figures, "spawn large ms", "spawn large parent ms")?;
    std::hint::black_box(&large);
    Ok(())
}

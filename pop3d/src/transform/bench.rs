//! `pop3d transform bench`: a chain beside none, in turn, with long messages and with short ones.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pop3d_core::offline::{Errand, Failure, Work};
use pop3d_core::store::Source;
use pop3d_core::transform::{Chain, Message};
use pop3d_protocol::multiline::Measure;
use pop3d_protocol::text::one_line;
use pop3d_transforms::children::processor_time;
use serde_json::{Value, json};

use super::check::told;
use super::trial::Trial;
use super::{is_read, journal, mail, samples};
use crate::cli::Bench;
use crate::exit::Exit;

/// Octets of a long message: what a message costs beside its octets plays no part.
const LONG: usize = 16 << 20;

/// Octets of a short message, as most are.
const SHORT: usize = 4 << 10;

/// What was measured of one chain with one message: the median of all rounds, and the least and the most.
#[derive(Clone, Copy, Debug, Default)]
struct Figure {
    median: f64,
    least: f64,
    most: f64,
}

/// The rounds of one chain.
#[derive(Default)]
struct Rounds {
    /// MB a second of long messages.
    throughput: Vec<f64>,
    /// Milliseconds of processor time for a MB of them.
    long_processor: Vec<f64>,
    /// Short messages a second.
    messages: Vec<f64>,
    /// Microseconds of processor time for one of them.
    short_processor: Vec<f64>,
}

/// Measures.
///
/// # Errors
/// Where the chain cannot be used, or fails.
pub(super) fn run(arguments: &Bench) -> Result<(), Exit> {
    journal::begin();
    let mut trial = Trial::new(&arguments.chain)?;
    let kept = |length| {
        let message = mail::kept(&samples::attachment(length));
        message.map_err(|error| Exit::System(format!("no memory for a message: {error}")))
    };
    let (long, short) = (kept(LONG)?, kept(SHORT)?);
    let chain = trial.chain.clone();
    let (mut without, mut with) = (Rounds::default(), Rounds::default());
    // What is made by the first message is not measured.
    for source in [&long, &short] {
        measure(&mut trial, chain.as_ref(), source, arguments, Duration::ZERO)?;
    }
    for _ in 0..arguments.rounds {
        for (chain, rounds) in [(None, &mut without), (chain.as_ref(), &mut with)] {
            let run = measure(&mut trial, chain, &long, arguments, arguments.time)?;
            rounds.throughput.push(run.megabytes() / run.seconds());
            rounds.long_processor.push(run.processor.as_secs_f64() * 1e3 / run.megabytes());
            let run = measure(&mut trial, chain, &short, arguments, arguments.time)?;
            rounds.messages.push(run.messages as f64 / run.seconds());
            rounds.short_processor.push(run.processor.as_secs_f64() * 1e6 / run.messages as f64);
        }
    }
    let mut out = io::stdout().lock();
    let written = match arguments.json {
        true => writeln!(out, "{}", json(trial.name(), arguments, &without, &with)),
        false => write!(out, "{}", text(trial.name(), arguments, &without, &with)),
    };
    is_read(written).map(drop)
}

/// What some time of messages came to.
struct Run {
    messages: u64,
    octets: u64,
    time: Duration,
    processor: Duration,
}

impl Run {
    fn seconds(&self) -> f64 {
        self.time.as_secs_f64().max(1e-9)
    }

    fn megabytes(&self) -> f64 {
        self.octets as f64 / 1e6
    }
}

/// Has messages pass for so long, and at least one in each slot.
fn measure(
    trial: &mut Trial,
    chain: Option<&Arc<Chain>>,
    source: &Source,
    arguments: &Bench,
    time: Duration,
) -> Result<Run, Exit> {
    let at_once = arguments.at_once as usize;
    let mut stream = Stream {
        chain,
        source,
        message: told(&arguments.chain.user, 1, "bench", source.length),
        until: Instant::now() + time,
        left: at_once,
        measures: (0..at_once).map(|_| Measure::default()).collect(),
        passed: 0,
        failure: None,
    };
    let (begun, spent) = (Instant::now(), processor_time());
    trial.offline.run(at_once, &mut stream).map_err(|error| Exit::System(format!("cannot wait: {error}")))?;
    let (time, processor) = (begun.elapsed(), processor_time().saturating_sub(spent));
    let _ = journal::take();
    if let Some(failure) = stream.failure {
        return Err(Exit::Failed(format!("{}: a message failed: {}", trial.name(), one_line(&failure))));
    }
    Ok(Run { messages: stream.passed, octets: stream.passed * source.length, time, processor })
}

/// The same message over and over.
struct Stream<'bench> {
    chain: Option<&'bench Arc<Chain>>,
    source: &'bench Source,
    message: Arc<Message>,
    until: Instant,
    /// Messages that are begun in any case.
    left: usize,
    /// One for each slot: a server looks at every octet too.
    measures: Vec<Measure>,
    passed: u64,
    failure: Option<String>,
}

impl Work for Stream<'_> {
    fn next(&mut self, slot: usize) -> Option<Errand> {
        if self.failure.is_some() || (self.left == 0 && Instant::now() >= self.until) {
            return None;
        }
        self.left = self.left.saturating_sub(1);
        self.measures[slot] = Measure::default();
        match self.source.file.try_clone() {
            Ok(file) => {
                let source = Source { file, length: self.source.length, octets: None, wire_clean: false };
                Some(Errand { chain: self.chain.cloned(), source, message: Arc::clone(&self.message) })
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                None
            }
        }
    }

    fn take(&mut self, slot: usize, octets: &[u8]) {
        self.measures[slot].update(octets);
    }

    fn end(&mut self, slot: usize, result: Result<(), Failure>) {
        std::hint::black_box(self.measures[slot].octets());
        match result {
            Ok(()) => self.passed += 1,
            Err(Failure::Transform { error, .. }) => self.failure = Some(error.to_string()),
            Err(Failure::Message(reason)) => self.failure = Some(reason),
        }
    }
}

/// The median of some values, of which there is at least one, and the least and the most.
fn figure(values: &[f64]) -> Figure {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else { return Figure::default() };
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    Figure { median, least, most }
}

/// What is shown of each, and how.
fn rows<'rounds>(
    without: &'rounds Rounds,
    with: &'rounds Rounds,
) -> [(&'static str, &'static str, &'rounds [f64], &'rounds [f64]); 4] {
    [
        ("MB/s, messages of 16 MiB", "mb_per_second", &without.throughput, &with.throughput),
        ("processor ms/MB", "cpu_ms_per_mb", &without.long_processor, &with.long_processor),
        ("messages/s of 4 KiB", "messages_per_second", &without.messages, &with.messages),
        (
            "processor µs/message of 4 KiB",
            "cpu_us_per_message",
            &without.short_processor,
            &with.short_processor,
        ),
    ]
}

fn text(chain: &str, arguments: &Bench, without: &Rounds, with: &Rounds) -> String {
    let Bench { rounds, time, at_once, .. } = arguments;
    let mut text = format!(
        "{chain} beside none: median (least - most) of {rounds} rounds of {time:?}, {at_once} messages at once\n"
    );
    for (what, _, without, with) in rows(without, with) {
        let (without, with) = (figure(without), figure(with));
        let shown = |figure: Figure| {
            format!("{} ({} - {})", short(figure.median), short(figure.least), short(figure.most))
        };
        let ratio = with.median / without.median;
        text.push_str(&format!(
            "{what:<30}  none {:<32}  chain {:<32}  ratio {ratio:.3}\n",
            shown(without),
            shown(with)
        ));
    }
    text
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

fn json(chain: &str, arguments: &Bench, without: &Rounds, with: &Rounds) -> Value {
    let mut object = json!({
        "chain": chain,
        "rounds": arguments.rounds,
        "time_ms": u64::try_from(arguments.time.as_millis()).unwrap_or(u64::MAX),
        "at_once": arguments.at_once,
    });
    let values = |values: &[f64]| {
        let Figure { median, least, most } = figure(values);
        json!({ "median": median, "least": least, "most": most })
    };
    for (_, key, without, with) in rows(without, with) {
        object[key] = json!({ "none": values(without), "chain": values(with) });
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        let median = |values: &[f64]| figure(values).median;
        assert_eq!(median(&[3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 3.0, 5.0]).to_bits(), 4.0_f64.to_bits());
        let Figure { least, most, .. } = figure(&[9.0, 1.0, 3.0]);
        assert_eq!((least.to_bits(), most.to_bits()), (1.0_f64.to_bits(), 9.0_f64.to_bits()));
    }
}

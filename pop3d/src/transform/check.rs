//! `pop3d transform check`: one message after the other through the chain, and what became of each.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use pop3d_core::offline::{Errand, Failure, Work};
use pop3d_core::store::Source;
use pop3d_core::transform::registry::Registry as _;
use pop3d_core::transform::{Command, Error, Message, OnError, Transform as _};
use pop3d_protocol::multiline::Measure;
use pop3d_protocol::text::one_line;
use pop3d_transforms::children::processor_time;

use super::diff::{self, Diff};
use super::mail::{self, Mail};
use super::report::{Report, Summary, Verdict};
use super::trial::Trial;
use super::{is_read, journal};
use crate::cli::Check;
use crate::exit::Exit;

/// Passes all messages that the command line names.
///
/// # Errors
/// Where the chain or the messages cannot be used, or a message failed.
pub(super) fn run(arguments: &Check) -> Result<(), Exit> {
    let mails = mail::of(arguments)?;
    journal::begin();
    let mut trial = Trial::new(&arguments.chain)?;
    let mut summary = Summary::default();
    let mut out = io::stdout().lock();
    for (number, mail) in (1..).zip(mails) {
        let (report, difference) = pass(&mut trial, mail, number, arguments)?;
        summary.add(&report);
        let written = match arguments.json {
            true => writeln!(out, "{}", report.json()),
            false => write!(out, "{}{difference}", report.text()),
        };
        if !is_read(written)? {
            return verdict(&summary);
        }
    }
    let chain = trial.name();
    let written = match arguments.json {
        true => writeln!(out, "{}", summary.json(chain)),
        false => write!(out, "{}", summary.text(chain)),
    };
    is_read(written)?;
    verdict(&summary)
}

fn verdict(summary: &Summary) -> Result<(), Exit> {
    match summary.failed {
        0 => Ok(()),
        failed => Err(Exit::Failed(format!("{failed} of {} messages failed", summary.messages))),
    }
}

/// One message, and the difference where it is wanted.
fn pass(trial: &mut Trial, mail: Mail, number: u32, arguments: &Check) -> Result<(Report, String), Exit> {
    let name = mail.name.clone();
    let (source, input) = match mail.open().and_then(|source| Ok((read(&source)?, source))) {
        Ok((input, source)) => (source, input),
        Err(error) => return Ok((unreadable(name, &error.to_string()), String::new())),
    };
    let message = told(&arguments.chain.user, number, &name, source.length);
    let errand = Errand { chain: trial.chain.clone(), source, message };
    let mut one = One { errand: Some(errand), output: Output::default(), result: Ok(()) };
    let (begun, spent) = (Instant::now(), processor_time());
    trial.offline.run(1, &mut one).map_err(|error| Exit::System(format!("cannot wait: {error}")))?;
    let (time, processor) = (begun.elapsed(), processor_time().saturating_sub(spent));
    let diff = match (&input.kept, &one.output.kept) {
        (Some(input), Some(output)) if one.result.is_ok() => Some(Diff::new(input, output)),
        (_, _) => None,
    };
    let difference = match &diff {
        Some(diff) if !arguments.no_diff && !arguments.json => {
            diff.unified(&name, &format!("{name} ({})", trial.name()))
        }
        Some(_) | None => String::new(),
    };
    let verdict = match &one.result {
        Ok(()) => Verdict::Passed { changed: diff.as_ref().map(Diff::is_changed) },
        Err(failure) => failed(trial, failure, &arguments.chain.user, one.output.length),
    };
    let mut log = journal::take();
    if let Verdict::Failed { reason, .. } = &verdict {
        // It is told already.
        log.retain(|line| !line.ends_with(reason.as_str()));
    }
    let (octets_in, octets_out) = (input.measure.octets().0, one.output.measure.octets().0);
    Ok((Report { name, octets_in, octets_out, time, processor, verdict, log }, difference))
}

fn unreadable(name: String, reason: &str) -> Report {
    let verdict = Verdict::Failed {
        transform: None,
        reason: format!("it cannot be read: {reason}"),
        client: "-ERR [SYS/TEMP]".to_owned(),
    };
    let time = std::time::Duration::ZERO;
    Report { name, octets_in: 0, octets_out: 0, time, processor: time, verdict, log: Vec::new() }
}

/// What a transform hears of a message that no client has asked for.
pub(super) fn told(user: &str, number: u32, name: &str, octets: u64) -> Arc<Message> {
    let uid: String =
        name.rsplit('/').next().unwrap_or_default().replace(|letter: char| !letter.is_ascii_graphic(), "-");
    Arc::new(Message {
        user: user.to_owned(),
        number,
        octets,
        uid: uid.chars().take(UID_MAX).collect(),
        command: Command::Retr,
        remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
    })
}

/// Longest unique-id (RFC 1939, section 7).
const UID_MAX: usize = 70;

/// Why a message failed, and what a client would hear after so much output.
fn failed(trial: &Trial, failure: &Failure, user: &str, produced: u64) -> Verdict {
    let is_late = produced >= trial.hold as u64;
    let link = match (failure, &trial.chain) {
        (Failure::Transform { link, error }, Some(chain)) => {
            chain.links.get(*link).map(|transform| (transform, error, chain.policy().spool))
        }
        (Failure::Transform { .. } | Failure::Message(_), _) => None,
    };
    let Some((transform, error, spool)) = link else {
        let reason = match failure {
            Failure::Transform { error, .. } => error.to_string(),
            Failure::Message(reason) => reason.clone(),
        };
        return Verdict::Failed { transform: None, reason, client: "-ERR [SYS/TEMP]".to_owned() };
    };
    let name = transform.name();
    // With the tail of its standard error.
    let told = trial.registry.last_error(name).unwrap_or_default();
    let told = told.strip_prefix(&format!("user {user}: ")).unwrap_or_default();
    let error_text = error.to_string();
    let reason = if told.contains(&error_text) { told } else { &error_text };
    // What failed rests after a while, and the other messages are to be tried as well.
    trial.registry.wake_up(name);
    let client = if is_late && !spool {
        "a connection that is reset within the message".to_owned()
    } else if transform.policy().on_error == OnError::Pass {
        format!("the message without {name}")
    } else {
        let code = if matches!(error, Error::Permanent(_)) { "SYS/PERM" } else { "SYS/TEMP" };
        format!("-ERR [{code}] transform {name} failed")
    };
    Verdict::Failed { transform: Some(name.to_owned()), reason: one_line(reason), client }
}

/// Octets that were seen, and kept as long as they can be compared.
struct Output {
    kept: Option<Vec<u8>>,
    length: u64,
    measure: Measure,
}

impl Default for Output {
    fn default() -> Self {
        Self { kept: Some(Vec::new()), length: 0, measure: Measure::default() }
    }
}

impl Output {
    fn take(&mut self, octets: &[u8]) {
        self.length += octets.len() as u64;
        self.measure.update(octets);
        match &mut self.kept {
            Some(kept) if kept.len() + octets.len() <= diff::LENGTH_MAX => kept.extend_from_slice(octets),
            Some(_) | None => self.kept = None,
        }
    }
}

/// A message as it is stored.
fn read(source: &Source) -> io::Result<Output> {
    let (mut output, mut block) = (Output::default(), vec![0; 64 * 1024]);
    loop {
        match source.file.read_at(&mut block, output.length) {
            Ok(0) => return Ok(output),
            Ok(count) => output.take(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// One message on its way.
struct One {
    errand: Option<Errand>,
    output: Output,
    result: Result<(), Failure>,
}

impl Work for One {
    fn next(&mut self, _: usize) -> Option<Errand> {
        self.errand.take()
    }

    fn take(&mut self, _: usize, octets: &[u8]) {
        self.output.take(octets);
    }

    fn end(&mut self, _: usize, result: Result<(), Failure>) {
        self.result = result;
    }
}

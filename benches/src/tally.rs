//! What a run counted, and the one line that tells it.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use crate::latency::Latencies;

/// A step of a login that is timed by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// PASS and STAT.
    Login,
    /// LIST.
    List,
    /// UIDL.
    Uidl,
}

/// What the sessions of a run did while it was measured.
#[derive(Debug, Default)]
pub struct Tally {
    /// Whether what happens counts: not while connections log in, warm up and take their leave.
    pub measuring: bool,
    /// Sessions from connect to the reply to QUIT.
    pub sessions: u64,
    /// Whole messages.
    pub messages: u64,
    /// Octets of whole and of cut messages, byte-stuffing not counted.
    pub octets: u64,
    /// Messages whose octets were compared with their text; counted from the start.
    pub compared: u64,
    /// NOOPs answered.
    pub noops: u64,
    /// What took how long: a session, a message or a NOOP, as the scenario has it.
    pub latencies: Latencies,
    /// The slowest of all answers, of whatever command.
    pub slowest_answer: Duration,
    /// How long the steps of logins took, by `Step`.
    pub steps: [Latencies; 3],
    /// Connections that ended by a fault; counted from the start.
    pub faults: u64,
    /// What the first one was.
    pub first_fault: Option<String>,
}

impl Tally {
    /// Notes a fault, measured or not.
    pub fn fault(&mut self, fault: impl fmt::Display) {
        self.faults += 1;
        if self.first_fault.is_none() {
            self.first_fault = Some(fault.to_string());
        }
    }

    /// Notes how long something took.
    pub fn took(&mut self, duration: Duration) {
        if self.measuring {
            self.latencies.add(duration);
        }
    }

    /// Notes how long an answer took.
    pub fn answered(&mut self, duration: Duration) {
        if self.measuring {
            self.slowest_answer = self.slowest_answer.max(duration);
        }
    }

    /// Notes how long a step of a login took.
    pub fn step_took(&mut self, step: Step, duration: Duration) {
        if self.measuring {
            self.steps[step as usize].add(duration);
        }
    }

    /// One line of `key=value`, after a measurement that took `wall`; the fault comes last, and may contain spaces.
    #[must_use]
    pub fn line(&self, wall: Duration) -> String {
        let micros = |duration: Duration| duration.as_micros();
        let [login, list, uidl] = self.steps.each_ref().map(|step| micros(step.quantile(500)));
        let fault = self.first_fault.as_deref().unwrap_or("none");
        format!(
            "seconds={:.6} sessions={} messages={} octets={} noops={} compared={} \
             p50_us={} p99_us={} max_us={} answer_us={} login_us={login} list_us={list} uidl_us={uidl} faults={} fault={fault}",
            wall.as_secs_f64(),
            self.sessions,
            self.messages,
            self.octets,
            self.noops,
            self.compared,
            micros(self.latencies.quantile(500)),
            micros(self.latencies.quantile(990)),
            micros(self.latencies.longest()),
            micros(self.slowest_answer),
            self.faults,
        )
    }
}

/// Says a line at once: whoever reads it samples the server at that moment, so nothing may stay in a buffer.
pub fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // Nobody listens: the run goes on, and its exit status still tells.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

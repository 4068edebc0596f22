//! What became of a message, and of all, as lines for people and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

/// What became of one message.
pub(super) struct Report {
    /// The message.
    pub(super) name: String,
    /// Octets as a client would get them without the chain.
    pub(super) octets_in: u64,
    /// Octets as a client gets them.
    pub(super) octets_out: u64,
    pub(super) time: Duration,
    /// Of this process and what it has started.
    pub(super) processor: Duration,
    pub(super) verdict: Verdict,
    /// What the transforms said.
    pub(super) log: Vec<String>,
}

/// Whether it has passed.
pub(super) enum Verdict {
    /// `changed` is not known of messages that are too long to compare.
    Passed { changed: Option<bool> },
    Failed {
        /// The transform that failed; none: the message itself cannot be read.
        transform: Option<String>,
        reason: String,
        /// What a client would hear.
        client: String,
    },
}

/// What became of all.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) messages: u64,
    pub(super) failed: u64,
    changed: u64,
    octets_in: u64,
    octets_out: u64,
    time: Duration,
    processor: Duration,
}

impl Report {
    /// One line, and below it what the transforms said.
    pub(super) fn text(&self) -> String {
        let Self { name, octets_in, octets_out, time, processor, .. } = self;
        let cost = format!("{}, processor {}", milliseconds(*time), milliseconds(*processor));
        let mut text = match &self.verdict {
            Verdict::Passed { changed: Some(false) } => {
                format!("passed   {name}: {octets_in} octets, unchanged; {cost}\n")
            }
            Verdict::Passed { changed: Some(true) } => {
                format!("passed   {name}: {octets_in} -> {octets_out} octets; {cost}\n")
            }
            Verdict::Passed { changed: None } => {
                format!("passed   {name}: {octets_in} -> {octets_out} octets, too long to compare; {cost}\n")
            }
            Verdict::Failed { transform: Some(transform), reason, client } => {
                format!("FAILED   {name}: transform {transform}: {reason}; {cost}\n  the client: {client}\n")
            }
            Verdict::Failed { transform: None, reason, client } => {
                format!("FAILED   {name}: {reason}\n  the client: {client}\n")
            }
        };
        for line in &self.log {
            text.push_str("  log: ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let mut object = json!({
            "message": self.name,
            "passed": matches!(self.verdict, Verdict::Passed { .. }),
            "octets_in": self.octets_in,
            "octets_out": self.octets_out,
            "time_us": microseconds(self.time),
            "cpu_us": microseconds(self.processor),
            "log": self.log,
        });
        match &self.verdict {
            Verdict::Passed { changed } => object["changed"] = json!(changed),
            Verdict::Failed { transform, reason, client } => {
                object["transform"] = json!(transform);
                object["reason"] = json!(reason);
                object["client"] = json!(client);
            }
        }
        object
    }
}

impl Summary {
    pub(super) fn add(&mut self, report: &Report) {
        self.messages += 1;
        match report.verdict {
            Verdict::Failed { .. } => self.failed += 1,
            Verdict::Passed { changed } => self.changed += u64::from(changed == Some(true)),
        }
        self.octets_in += report.octets_in;
        self.octets_out += report.octets_out;
        self.time += report.time;
        self.processor += report.processor;
    }

    pub(super) fn text(&self, chain: &str) -> String {
        let Self { messages, failed, changed, octets_in, octets_out, time, processor } = self;
        let passed = messages - failed;
        let each =
            |time: &Duration| milliseconds(*time / u32::try_from((*messages).max(1)).unwrap_or(u32::MAX));
        format!(
            "{chain}: {messages} messages, {passed} passed, {changed} of them changed, {failed} failed; \
             {octets_in} -> {octets_out} octets; a message: {}, processor {}\n",
            each(time),
            each(processor)
        )
    }

    pub(super) fn json(&self, chain: &str) -> Value {
        json!({
            "chain": chain,
            "messages": self.messages,
            "passed": self.messages - self.failed,
            "changed": self.changed,
            "failed": self.failed,
            "octets_in": self.octets_in,
            "octets_out": self.octets_out,
            "time_us": microseconds(self.time),
            "cpu_us": microseconds(self.processor),
        })
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

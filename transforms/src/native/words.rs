//! What a helper process writes to standard error: the lines that its plugin logs, each with its level, and whatever the
//! plugin writes there by itself. Of both so much for each message reaches the log, and no more is held here than a line.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicU32, Ordering};

/// Octets of a line; what is longer is cut into several. One that is logged has 1,024 behind its level and name.
const LINE_MAX: usize = 1024 + 128;

/// Lines that a plugin may log for a message (`plugin.rs`, which keeps to it unless the plugin writes such lines itself).
const LOGGED_MAX: u64 = 32;

/// Lines and octets that it may write there by itself for a message, as a program may.
const WRITTEN_MAX: u64 = 64;
const OCTETS_MAX: u64 = 8 * 1024;

/// Messages whose shares may be used up at once. A helper has many at a time, and nobody knows which of them a line is for;
/// but a plugin that was quiet for a million of them has not saved theirs for a flood.
const SHARES_MAX: u32 = 16;

/// What may still reach the log, and what has not.
#[derive(Default)]
struct Words {
    /// Messages that had begun when the last line came.
    seen: u32,
    logged: Share,
    written: Share,
    octets: Share,
    /// Octets that have not.
    unlogged: u64,
}

/// What is left of something.
#[derive(Default)]
struct Share(u64);

impl Share {
    /// Adds what so many messages have of it.
    fn refill(&mut self, messages: u32, each: u64) {
        self.0 = (self.0 + u64::from(messages) * each).min(u64::from(SHARES_MAX) * each);
    }

    /// Takes so much of it, if that is there.
    fn take(&mut self, count: u64) -> bool {
        let left = self.0.checked_sub(count);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// Puts what a helper writes into the log, until it ends. `begun`: its messages so far, and one for loading.
pub(super) fn log(name: &str, stderr: impl Read, begun: &AtomicU32) {
    let mut words = Words::default();
    let mut log = |level, text: &str| log::log!(target: "pop3d::transform", level, "{text}");
    let mut say = |line: &[u8]| words.take(name, line, begun.load(Ordering::Relaxed), &mut log);
    each_line(BufReader::new(stderr), &mut say);
    if words.unlogged > 0 {
        let text = format!("transform {name}: {} more octets of standard error", words.unlogged);
        log(log::Level::Info, &text);
    }
}

/// Calls `say` with each line, without its end.
fn each_line(mut from: impl BufRead, say: &mut dyn FnMut(&[u8])) {
    let mut line = Vec::new();
    loop {
        let octets = match from.fill_buf() {
            Ok([]) => break,
            Ok(octets) => octets,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let room = LINE_MAX - line.len();
        let end = octets.iter().take(room).position(|octet| *octet == b'\n');
        let count = end.unwrap_or(room.min(octets.len()));
        line.extend_from_slice(octets.get(..count).unwrap_or_default());
        from.consume(count + usize::from(end.is_some()));
        if end.is_some() || line.len() == LINE_MAX {
            say(&line);
            line.clear();
        }
    }
    if !line.is_empty() {
        say(&line);
    }
}

impl Words {
    /// Takes a line, of a helper that was told of so many messages.
    fn take(&mut self, name: &str, line: &[u8], messages: u32, log: &mut dyn FnMut(log::Level, &str)) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return;
        }
        let octets = line.len() as u64;
        // Their number begins anew after all there are.
        let begun = messages.wrapping_sub(std::mem::replace(&mut self.seen, messages));
        self.logged.refill(begun, LOGGED_MAX);
        self.written.refill(begun, WRITTEN_MAX);
        self.octets.refill(begun, OCTETS_MAX);
        let line = String::from_utf8_lossy(line);
        let level = line.split_once(' ').and_then(|(level, text)| Some((level.parse().ok()?, text)));
        if let Some((level, text)) = level
            && self.logged.take(1)
        {
            log(level, text);
        } else if level.is_none() && self.octets.take(octets) && self.written.take(1) {
            log(log::Level::Warn, &format!("transform {name}: {line}"));
        } else {
            self.unlogged += octets;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reaches the log of these octets, and how many octets do not.
    fn heard(octets: &[u8], room: usize, messages: u32) -> (Vec<String>, u64) {
        let (mut words, mut lines) = (Words::default(), Vec::new());
        let mut log = |level: log::Level, text: &str| lines.push(format!("{level} {text}"));
        each_line(BufReader::with_capacity(room, octets), &mut |line| {
            words.take("x", line, messages, &mut log);
        });
        (lines, words.unlogged)
    }

    #[test]
    fn a_line_has_its_level_or_is_a_warning_however_it_is_cut() {
        for room in [1, 2, 7, 4096] {
            let (lines, unlogged) = heard(b"INFO transform x: a line\nby itself\n\nnot INFO \xFF", room, 1);
            let expected = [
                "INFO transform x: a line",
                "WARN transform x: by itself",
                "WARN transform x: not INFO \u{fffd}",
            ];
            assert_eq!((lines, unlogged), (expected.map(str::to_owned).to_vec(), 0));
        }
    }

    #[test]
    fn so_much_of_it_reaches_the_log_for_each_message() {
        for messages in [1, 3] {
            let (lines, unlogged) = heard(&b"0123456789\n".repeat(1000), 4096, messages);
            assert_eq!(lines.len(), 64 * messages as usize);
            assert_eq!(unlogged, 10 * (1000 - lines.len() as u64));
            let (lines, _) = heard(&b"INFO it pretends to log\n".repeat(1000), 4096, messages);
            assert_eq!(lines.len(), 32 * messages as usize);
            let (lines, unlogged) = heard(&vec![b'x'; 1 << 20], 4096, messages);
            let logged: usize = lines.iter().map(|line| line.len() - "WARN transform x: ".len()).sum();
            assert!(logged <= 8192 * messages as usize && logged as u64 + unlogged == 1 << 20, "{logged}");
        }
    }

    #[test]
    fn what_was_not_said_of_messages_without_end_is_not_saved_for_a_flood() {
        for messages in [1_000_000, u32::MAX] {
            let (lines, _) = heard(&b"0123456789\n".repeat(100_000), 4096, messages);
            assert_eq!(lines.len(), 64 * 16);
            let (lines, _) = heard(&b"INFO it pretends to log\n".repeat(100_000), 4096, messages);
            assert_eq!(lines.len(), 32 * 16);
        }
        let (mut words, mut count) = (Words::default(), 0);
        // Each of many messages has its own, also where their number begins anew.
        for messages in (0..1000_u32).map(|more| more.wrapping_sub(500)) {
            for _ in 0..32 {
                words.take("x", b"INFO a line", messages, &mut |_, _| count += 1);
            }
        }
        assert_eq!((count, words.unlogged), (32 * 1000, 0));
    }

    #[test]
    fn the_longest_line_that_a_plugin_logs_is_one() {
        let text = format!("DEBUG transform {}: {}\n", "n".repeat(64), "x".repeat(1024));
        let (lines, _) = heard(text.as_bytes(), 100, 1);
        assert_eq!(lines, [text.trim_end()]);
    }
}

//! The difference between a message and what became of it, line by line as a client gets them: CRLF and LF end a line,
//! and whether the last one has its end makes no difference. Octets that are no text are written out.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use pop3d_protocol::text::one_line_of;

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline, group_diff_ops};

/// Longest message whose difference is looked for, in octets.
pub(super) const LENGTH_MAX: usize = 16 << 20;

/// How long is looked for the shortest difference; then it may be a longer one.
const TIME_MAX: Duration = Duration::from_secs(1);

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// Octets shown of a line.
const LINE_MAX: usize = 1000;

/// Lines of two messages, and how the second comes from the first.
pub(super) struct Diff<'message> {
    old: Vec<&'message [u8]>,
    new: Vec<&'message [u8]>,
    changes: Vec<DiffOp>,
}

impl<'message> Diff<'message> {
    pub(super) fn new(old: &'message [u8], new: &'message [u8]) -> Self {
        let (old, new) = (lines(old), lines(new));
        let deadline = Instant::now() + TIME_MAX;
        let changes = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(deadline));
        Self { old, new, changes }
    }

    /// Whether the client gets something else.
    pub(super) fn is_changed(&self) -> bool {
        self.changes.iter().any(|change| change.tag() != DiffTag::Equal)
    }

    /// In the unified format; empty where there is none.
    pub(super) fn unified(&self, old_name: &str, new_name: &str) -> String {
        let mut text = String::new();
        if !self.is_changed() {
            return text;
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "--- {old_name}\n+++ {new_name}");
        for group in group_diff_ops(self.changes.clone(), CONTEXT) {
            self.write_group(&group, &mut text);
        }
        text
    }

    fn write_group(&self, group: &[DiffOp], text: &mut String) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
        let old = range(first.old_range().start, last.old_range().end);
        let new = range(first.new_range().start, last.new_range().end);
        let _ = writeln!(text, "@@ -{old} +{new} @@");
        for change in group {
            let (old, new) = (&self.old[change.old_range()], &self.new[change.new_range()]);
            let parts: &[(char, &[&[u8]])] = match change.tag() {
                DiffTag::Equal => &[(' ', old)],
                DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => &[('-', old), ('+', new)],
            };
            for (mark, lines) in parts {
                for line in *lines {
                    let _ = writeln!(text, "{mark}{}", shown(line));
                }
            }
        }
    }
}

/// The lines of a message, without their ends.
fn lines(message: &[u8]) -> Vec<&[u8]> {
    let lines = message.split_inclusive(|&octet| octet == b'\n');
    let bare = |line: &'_ [u8]| -> usize {
        let without = line.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        without.unwrap_or(line).len()
    };
    lines.map(|line| &line[..bare(line)]).collect()
}

/// Lines from `start` to before `end` as the format counts them: from 1, and of none the line before.
fn range(start: usize, end: usize) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => (start + 1).to_string(),
        count => format!("{},{count}", start + 1),
    }
}

/// A line for a terminal: what would move its cursor, change its colours or is no UTF-8 is written out.
pub(super) fn shown(line: &[u8]) -> String {
    let cut = &line[..line.len().min(LINE_MAX)];
    let mut text = one_line_of(cut);
    if cut.len() < line.len() {
        let _ = write!(text, " [and {} octets]", line.len() - cut.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unified(old: &[u8], new: &[u8]) -> String {
        Diff::new(old, new).unified("old", "new")
    }

    #[test]
    fn a_change_has_its_place_and_its_surroundings() {
        let old = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n";
        assert_eq!(
            unified(old, new),
            "--- old\n+++ new\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+10\n"
        );
        assert_eq!(unified(b"", b"a\n"), "--- old\n+++ new\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified(b"a\nb\n", b""), "--- old\n+++ new\n@@ -1,2 +0,0 @@\n-a\n-b\n");
    }

    #[test]
    fn line_ends_that_the_client_gets_alike_are_no_difference() {
        for (old, new) in [(&b"a\nb\n"[..], &b"a\r\nb\r\n"[..]), (b"a\nb", b"a\nb\n"), (b"", b"")] {
            assert!(!Diff::new(old, new).is_changed());
            assert_eq!(unified(old, new), "");
        }
        for (old, new) in [(&b"a\n"[..], &b"a\n\n"[..]), (b"a\rb\n", b"a\nb\n"), (b"a\r\r\n", b"a\r\n")] {
            assert!(Diff::new(old, new).is_changed());
        }
    }

    #[test]
    fn nothing_that_a_terminal_would_obey_is_shown_as_it_is() {
        let text = unified(b"", b"\x1b[2J\xff\0\tx\r\xc3\xbc\x9b");
        assert!(text.ends_with("+\\u{1b}[2J\\xff\\u{0}\\tx\\rü\\x9b\n"), "{text}");
        let text = shown(&[b'x'; LINE_MAX + 5]);
        assert!(
            text.ends_with("x [and 5 octets]") && text.len() == LINE_MAX + " [and 5 octets]".len(),
            "{text}"
        );
    }

    #[test]
    fn octets_that_differ_are_a_difference_also_where_they_look_the_same() {
        assert!(Diff::new(b"\xff\n", b"\\xff\n").is_changed());
    }
}

//! `top` at a terminal of 80x24: what it shows, what keys do, and how it leaves the terminal.

use rustix::process::Signal;
use tempfile::TempDir;

use crate::fake::{Fake, Local};
use crate::screen::Terminal;

/// Shows the screen of the played server.
const GUIDE: &str = include_str!("../../../docs/peepclient.md");

struct Scene {
    home: TempDir,
    local: Local,
}

impl Scene {
    fn set() -> Self {
        let home = tempfile::tempdir().unwrap();
        let local = Local::start(&home.path().join("peep.sock"));
        Self { home, local }
    }

    fn top(&self) -> Terminal {
        let terminal = Terminal::start(self.home.path(), &["--socket", self.local.path(), "top"]);
        terminal.shows("sessions: 3");
        terminal
    }
}

/// Ends with a status, and leaves the terminal as it was.
fn leaves_with(mut terminal: Terminal, status: i32) {
    assert_eq!(terminal.ends(), status);
    assert_eq!(terminal.is_taken(), (false, false));
    let (modes, found) = (terminal.modes(), &terminal.found);
    assert_eq!(modes.local_modes, found.local_modes);
    assert_eq!(modes.input_modes, found.input_modes);
    assert_eq!(modes.output_modes, found.output_modes);
}

/// In which order the sessions stand.
fn order(screen: &str) -> Vec<&str> {
    let rows = screen.lines().filter(|line| line.contains("192.0.2.") || line.contains("2001:db8"));
    rows.filter_map(|line| line.split_whitespace().nth(1)).collect()
}

#[test]
fn sessions_and_transforms_are_shown_with_what_is_counted() {
    let scene = Scene::set();
    let terminal = scene.top();
    // A rate needs two polls: the played server counts a megabyte for each.
    let screen = terminal
        .waits_until("a rate", |screen| screen.contains("kB, highest ") || screen.contains("MB, highest "));
    println!("{screen}");
    assert_eq!(terminal.is_taken(), (true, true));
    for text in [
        "pop3d 0.1.0 at ",
        "up 1 d 1 h",
        "3 of 998 connections · 900 logins · 42 messages · ",
        "transforms: 2, chain: banner",
        "2300",
        "? help",
    ] {
        assert!(screen.contains(text), "{text} is not in\n{screen}");
    }
    let words: Vec<&str> = screen.split_whitespace().collect();
    assert!(words.join(" ").contains("13 alice 192.0.2.9:50313 TRANSACTION 2 s 7.3 MB"), "{screen}");
    assert_eq!(order(&screen), ["13", "7", "12"]);
    let tables = screen.lines().map(str::trim_end).skip_while(|line| !line.starts_with("┌ sessions"));
    for line in tables {
        assert!(GUIDE.lines().any(|shown| shown == line), "the guide does not show {line}");
    }
    terminal.types("q");
    leaves_with(terminal, 0);
}

#[test]
fn keys_sort_and_choose() {
    let scene = Scene::set();
    let terminal = scene.top();
    terminal.types("r");
    terminal.waits_until("the other order", |screen| order(screen) == ["12", "7", "13"]);
    terminal.types("\x1B[D");
    let screen = terminal.shows("sessions: 3, by time ▲");
    assert_eq!(order(&screen), ["13", "7", "12"]);
    terminal.types("?");
    let screen = terminal.shows("keys; any key: back");
    println!("{screen}");
    terminal.types(" \t");
    terminal.waits_until("no help", |screen| !screen.contains("any key: back"));
    terminal.types("\x1B[C");
    terminal.shows("transforms: 2, chain: banner, by kind ▲");
    terminal.types("\x03");
    leaves_with(terminal, 0);
}

#[test]
fn a_session_is_closed_after_a_question() {
    let scene = Scene::set();
    let terminal = scene.top();
    terminal.types("\x1B[Bk");
    terminal.shows("Close session 7 of bob at 192.0.2.1:50312? y: yes, any other key: no");
    terminal.types("n");
    terminal.shows("q leave");
    assert_eq!(scene.local.model().sessions.len(), 3);
    terminal.types("ky");
    terminal.shows("OK! session 7 is closed");
    let screen = terminal.shows("sessions: 2");
    assert_eq!(order(&screen), ["13", "12"]);
}

#[test]
fn the_chain_is_switched() {
    let scene = Scene::set();
    let terminal = scene.top();
    terminal.types("t");
    terminal.shows("Chain (names with \",\" between, none): banner");
    terminal.types(",redact\r");
    terminal.shows("OK! the chain is \"banner,redact\"");
    terminal.shows("chain: banner,redact");
    assert_eq!(scene.local.model().chain, ["banner", "redact"]);
    terminal.types("tx\r");
    terminal.shows("ERROR! there is no such transform");
}

#[test]
fn a_server_that_goes_away_is_waited_for() {
    let mut scene = Scene::set();
    let terminal = scene.top();
    scene.local.go_away();
    terminal.shows("next attempt in ");
    scene.local.model().sessions.pop();
    // Whether by itself or by the key, it comes back.
    scene.local.come_back();
    terminal.types("c");
    let screen = terminal.shows("sessions: 2");
    assert!(!screen.contains("next attempt"), "{screen}");
    terminal.types("q");
    leaves_with(terminal, 0);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let scene = Scene::set();
        let terminal = scene.top();
        terminal.signals(signal);
        leaves_with(terminal, status);
    }
}

#[test]
fn a_server_of_the_published_protocol_is_shown_as_far_as_it_tells() {
    let fake = Fake::scripted(|line| match line {
        "a root x" => Some("+\r\n"),
        "cap?" => Some("+3\r\na\r\nc=1-998\r\nt=0-86400\r\n"),
        "c?" => Some("+998\r\n"),
        "cc?" => Some("+3\r\n"),
        "rb?" => Some("+123456\r\n"),
        "re?" => Some("+42\r\n"),
        "hu?" => Some("+900\r\n"),
        "cu?" => Some("+2\r\nalice\r\nbob\r\n"),
        _ => Some("-0\r\n"),
    });
    let home = tempfile::tempdir().unwrap();
    let port = fake.port();
    let terminal = Terminal::start(home.path(), &["-port", &port, "-user", "root", "-pass", "x", "top"]);
    let screen = terminal.shows("users logged in: 2");
    assert!(screen.contains("3 of 998 connections · 900 logins · 42 messages · 123 kB sent"), "{screen}");
    assert!(screen.contains("alice") && !screen.contains("transforms:"), "{screen}");
    terminal.types("k");
    terminal.shows("ERROR! there is no session to close");
    terminal.types("t");
    terminal.shows("ERROR! this server tells of no transforms");
    terminal.types("q");
    leaves_with(terminal, 0);
}

//! The prompt at a terminal: answers, completion, history, and passwords that nobody sees.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::fake::{Fake, Local, PASSWORD, USER};
use crate::screen::Terminal;

const TAB: &str = "\t";
const UP: &str = "\x1B[A";
const CONTROL_C: &str = "\x03";
const CONTROL_D: &str = "\x04";

struct Scene {
    home: TempDir,
    fake: Fake,
}

impl Scene {
    fn set() -> Self {
        Self { home: tempfile::tempdir().unwrap(), fake: Fake::start() }
    }

    fn prompt(&self) -> Terminal {
        let port = self.fake.port();
        let terminal = Terminal::start(self.home.path(), &["-port", &port, "-user", USER, "-pass", PASSWORD]);
        terminal.shows("peep> ");
        terminal
    }

    fn history_file(&self) -> PathBuf {
        self.home.path().join("state/peepclient/history")
    }

    fn history(&self) -> String {
        std::fs::read_to_string(self.history_file()).unwrap()
    }
}

#[test]
fn the_prompt_answers_and_ends() {
    let scene = Scene::set();
    let mut terminal = scene.prompt();
    terminal.types("users\r");
    terminal.shows("peep> users\nOK!\nalice\nbob\npeep> ");
    terminal.types("set timeout 5\r");
    terminal.shows("peep> set timeout 5\nOK!\npeep> ");
    terminal.types("timeout\r");
    terminal.shows("OK! 5\n");
    terminal.types("usres\r");
    terminal.shows("ERROR! there is no command \"usres\"; did you mean \"users\"?\n");
    terminal.types("kick 99\r");
    terminal.shows("ERROR! there is no such session\n");
    terminal.types("sessions\r");
    let screen = terminal.shows("alice  192.0.2.9:50313      TRANSACTION          2  7340032");
    println!("{screen}");
    let guide = include_str!("../../../docs/peepclient.md");
    for line in screen.lines().skip_while(|line| *line != "peep> users").filter(|line| line.trim() != "peep>")
    {
        assert!(guide.lines().any(|shown| shown == line.trim_end()), "the guide does not show {line}");
    }
    terminal.types("transform error banner\r");
    terminal.shows("OK! out of fuel\nat push\n");
    // Typed at once, as by who pastes.
    terminal.types("log level\ruptime\rquit\r");
    terminal.shows("OK! info\npeep> uptime\nOK! 90061\n");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.modes().local_modes, terminal.found.local_modes);
}

#[test]
fn tab_completes_commands_and_users() {
    let scene = Scene::set();
    let mut terminal = scene.prompt();
    terminal.types(&format!("del{TAB}"));
    terminal.shows("peep> delete ");
    terminal.types(&format!("{TAB}b{TAB}"));
    terminal.shows("peep> delete user bob ");
    terminal.types("\r");
    terminal.shows("OK!\n");
    assert!(!scene.fake.model().users.contains_key("bob"));
    // The user has gone, and is not offered.
    terminal.types(&format!("kick user {TAB}"));
    terminal.shows("peep> kick user alice ");
    terminal.types(CONTROL_C);
    terminal.waits_until("another prompt", |screen| screen.ends_with("\npeep> "));
    terminal.types(&format!("set transform ba{TAB}"));
    terminal.shows("peep> set transform banner ");
    terminal.types("\r");
    terminal.waits_until("another prompt", |screen| screen.ends_with("OK!\npeep> "));
    terminal.types(CONTROL_D);
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn the_history_outlives_the_prompt_and_never_holds_a_password() {
    let scene = Scene::set();
    let mut terminal = scene.prompt();
    terminal.types("maildir\r");
    terminal.shows("OK! /var/mail\n");
    terminal.types("set password bob hidden\r");
    terminal.shows("hidden\nOK!\n");
    terminal.types("sett password bob hidden\r");
    terminal.shows("ERROR!");
    terminal.types("quit\r");
    assert_eq!(terminal.ends(), 0);
    let mode = std::fs::metadata(scene.history_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(scene.history().contains("maildir") && !scene.history().contains("hidden"));
    let terminal = scene.prompt();
    terminal.types(&format!("{UP}{UP}"));
    terminal.shows("peep> maildir");
}

#[test]
fn a_new_password_is_asked_for_and_not_shown() {
    let scene = Scene::set();
    let terminal = scene.prompt();
    terminal.types("add user carol\r");
    terminal.shows("Password of carol: ");
    assert!(!terminal.echoes());
    terminal.types("three\r");
    terminal.shows("Once more: ");
    assert!(!terminal.echoes());
    terminal.types("three\r");
    let screen = terminal.shows("OK!\npeep> ");
    assert!(!screen.contains("three"), "{screen}");
    assert_eq!(scene.fake.model().users["carol"], "three");
    terminal.types("set password carol\r");
    terminal.waits_until("a second question", |screen| screen.matches("Password of carol: ").count() == 2);
    terminal.types("four\r");
    terminal.waits_until("a second \"Once more\"", |screen| screen.matches("Once more: ").count() == 2);
    terminal.types("for\r");
    terminal.shows("ERROR! nothing done: the two passwords differ\n");
    assert_eq!(scene.fake.model().users["carol"], "three");
}

#[test]
fn who_asks_is_asked_for() {
    let scene = Scene::set();
    let port = scene.fake.port();
    let mut terminal = Terminal::start(scene.home.path(), &["-port", &port, "users"]);
    terminal.shows("Administrator: ");
    terminal.types("root\r");
    terminal.shows("Password of root at localhost:");
    assert!(!terminal.echoes());
    terminal.types(&format!("{PASSWORD}\r"));
    let screen = terminal.shows("alice\nbob");
    assert!(!screen.contains(PASSWORD), "{screen}");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(terminal.modes().local_modes, terminal.found.local_modes);
}

#[test]
fn a_signal_while_a_password_is_typed_leaves_the_terminal_as_it_was() {
    let scene = Scene::set();
    let port = scene.fake.port();
    let mut terminal = Terminal::start(scene.home.path(), &["-port", &port, "-user", USER]);
    terminal.shows("Password of root");
    terminal.types(CONTROL_C);
    assert_eq!(terminal.ends(), 130);
    assert_eq!(terminal.modes().local_modes, terminal.found.local_modes);
}

#[test]
fn a_signal_at_the_prompt_leaves_the_terminal_as_it_was() {
    let scene = Scene::set();
    let mut terminal = scene.prompt();
    assert!(!terminal.echoes());
    terminal.signals(Signal::TERM);
    assert_eq!(terminal.ends(), 143);
    assert_eq!(terminal.modes().local_modes, terminal.found.local_modes);
}

#[test]
fn a_server_that_goes_away_ends_the_prompt_with_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let mut local = Local::start(&home.path().join("peep.sock"));
    let mut terminal = Terminal::start(home.path(), &["--socket", local.path()]);
    terminal.shows("peep> ");
    local.go_away();
    terminal.types("users\r");
    let screen = terminal.shows("is lost: the server closed it");
    assert!(screen.contains("peepclient: the connection to"), "{screen}");
    assert_eq!(terminal.ends(), 74);
}

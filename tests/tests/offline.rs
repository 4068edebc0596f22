//! `pop3d transform`: what the writer of a filter sees of it before a client is involved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pop3d_tests::{Deed, Filters, KINDS, Kind, message, program, rot13};
use serde_json::Value;
use tempfile::TempDir;

/// A folder of two messages, and a configuration.
struct Trial {
    folder: TempDir,
    config: PathBuf,
}

/// The status, standard output and standard error.
type Said = (i32, String, String);

impl Trial {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("mail")).unwrap();
        fs::write(folder.path().join("mail/1"), "Subject: Hello\n\none\n").unwrap();
        fs::write(folder.path().join("mail/2"), message(200_000, 1)).unwrap();
        let place = folder.path().join("pop3d.toml");
        fs::write(&place, config).unwrap();
        Self { folder, config: place }
    }

    fn mail(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    fn transform(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(program());
        command.arg("transform").args(arguments).current_dir(self.folder.path());
        if !arguments.contains(&"-c") {
            command.arg("-c").arg(&self.config);
        }
        let output = command.output().unwrap();
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// What is said of each message of the folder, and of all.
    fn json(&self, chain: &str) -> (i32, Vec<Value>) {
        let mail = self.mail();
        let (status, out, _) =
            self.transform(&["check", chain, "--json", "--maildir", mail.to_str().unwrap()]);
        (status, out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

/// One line on standard error.
fn refused((status, out, said): &Said, expected: i32, part: &str) {
    assert_eq!((*status, out.as_str()), (expected, ""), "{said}");
    assert!(said.starts_with("pop3d: ") && said.matches('\n').count() == 1, "{said}");
    assert!(said.contains(part), "{said}");
}

#[test]
fn every_kind_is_tried_and_its_differences_are_shown() {
    let filters = Filters::default();
    let tables: String = KINDS
        .iter()
        .map(|kind| filters.table(&format!("{kind:?}").to_lowercase(), *kind, Deed::Rot13, ""))
        .collect();
    let trial = Trial::new(&tables);
    let first = trial.mail().join("1");
    let name = first.to_str().unwrap();
    for kind in KINDS {
        let chain = format!("{kind:?}").to_lowercase();
        let (status, out, said) = trial.transform(&["check", &chain, name]);
        assert_eq!((status, said.as_str()), (0, ""), "{out}");
        for line in ["-Subject: Hello", "+Fhowrpg: Uryyb", "-one", "+bar"] {
            assert!(out.lines().any(|it| it.trim_end() == line), "{chain}: {out}");
        }
        let (status, lines) = trial.json(&chain);
        let octets = (20 + 3, rot13(&fs::read(trial.mail().join("2")).unwrap()).len());
        assert_eq!(status, 0);
        assert_eq!((&lines[0]["octets_in"], &lines[0]["octets_out"]), (&octets.0.into(), &octets.0.into()));
        assert!(lines[..2].iter().all(|line| line["passed"] == true && line["changed"] == true), "{lines:?}");
        assert!(lines[1]["octets_out"].as_u64().unwrap() >= octets.1 as u64);
    }
    // Twice is none.
    let (status, lines) = trial.json("native,component");
    assert_eq!(status, 0);
    assert!(lines[..2].iter().all(|line| line["changed"] == false), "{lines:?}");
}

#[test]
fn a_message_that_fails_is_told_with_its_reason_and_the_status_is_1() {
    let trial = Trial::new("[transforms.no]\ncommand = \"echo what is wrong >&2; exit 75\"\n");
    let mail = trial.mail();
    let (status, out, said) = trial.transform(&["check", "no", "--maildir", mail.to_str().unwrap()]);
    assert_eq!((status, said.as_str()), (1, "pop3d: 2 of 2 messages failed\n"), "{out}");
    assert_eq!(out.matches("FAILED").count(), 2, "{out}");
    assert!(out.contains("what is wrong") && out.contains("-ERR [SYS/TEMP] transform no failed"), "{out}");
    let (status, lines) = trial.json("no");
    assert_eq!((status, &lines[0]["transform"]), (1, &"no".into()));
}

#[test]
fn a_filter_that_says_nothing_is_stopped_after_its_time() {
    let filters = Filters::default();
    let hangs = format!("[transforms.hangs]\n{}\ntimeout = \"1s\"\n", filters.native("hang", "process"));
    let trial =
        Trial::new(&format!("{hangs}[transforms.sleeps]\ncommand = \"sleep 1000\"\ntimeout = \"1s\"\n"));
    let first = trial.mail().join("1");
    for chain in ["hangs", "sleeps"] {
        let (status, out, _) = trial.transform(&["check", chain, first.to_str().unwrap()]);
        assert_eq!(status, 1, "{out}");
        assert!(out.contains("FAILED"), "{out}");
    }
}

#[test]
fn what_cannot_be_tried_is_said_in_one_line() {
    let trial = Trial::new("[transforms.cat]\ncommand = \"cat\"\n");
    refused(&trial.transform(&["check", "cat", "no-such-message"]), 66, "no-such-message");
    refused(&trial.transform(&["check", "cat", "--maildir", "nowhere"]), 66, "nowhere");
    refused(&trial.transform(&["check", "cat,nosuch"]), 66, "nosuch");
    refused(&trial.transform(&["check", "cat", "-c", "no-such-file"]), 66, "no-such-file");
    fs::write(trial.folder.path().join("bad.toml"), "nonsense = 1\n").unwrap();
    refused(&trial.transform(&["check", "cat", "-c", "bad.toml"]), 78, "bad.toml:1:1");
    fs::write(trial.folder.path().join("text.wasm"), "no module").unwrap();
    refused(&trial.transform(&["check", "./text.wasm"]), 78, "text.wasm");
}

#[test]
fn the_list_has_every_transform_with_its_state() {
    let filters = Filters::default();
    let good = filters.table("good", Kind::Isolated, Deed::Identity, "");
    let bad = filters.path().join("bad.wasm");
    fs::write(&bad, "no module").unwrap();
    let bad = format!("[transforms.bad]\nfile = \"{}\"\n", bad.display());
    let trial = Trial::new(&format!("{good}{bad}[transforms.cat]\ncommand = \"cat\"\n"));
    let (status, out, said) = trial.transform(&["list"]);
    assert_eq!((status, said.as_str()), (0, ""));
    let line = |name: &str| out.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(line("good").contains("native") && line("good").contains("ready"), "{out}");
    assert!(line("cat").contains("process") && line("cat").contains("ready"), "{out}");
    assert!(line("bad").contains("wasm") && line("bad").contains("failed"), "{out}");
    let (_, json, _) = trial.transform(&["list", "--json"]);
    let names: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names.len(), 3, "{json}");
}

#[test]
fn a_chain_is_measured_beside_none() {
    let trial = Trial::new("[transforms.cat]\ncommand = \"cat\"\n");
    let arguments = ["bench", "cat", "--rounds", "1", "--time", "1ms", "--json"];
    let (status, out, said) = trial.transform(&arguments);
    assert_eq!((status, said.as_str()), (0, ""));
    let figures: Value = serde_json::from_str(&out).unwrap();
    assert!(figures.is_object(), "{out}");
    let (status, out, _) = trial.transform(&["bench", "exit 1", "--rounds", "1", "--time", "1ms"]);
    assert_ne!(status, 0, "{out}");
}

/// Without a configuration a command or a file is enough.
#[test]
fn messages_that_are_built_in_pass_a_command_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let said = |folder: &Path, chain: &str| {
        Command::new(program()).args(["transform", "check", chain]).current_dir(folder).output().unwrap()
    };
    let output = said(folder.path(), "cat");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}");
    assert!(out.lines().filter(|line| line.contains("unchanged")).count() > 10, "{out}");
}

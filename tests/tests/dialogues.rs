//! Plays every dialogue below `tests/dialogues` against the built program or, with `POP3_UNDER_TEST=host:port`,
//! against any other POP3 server. The form of a dialogue is described in `tests/README.md`.

#[path = "dialogues/form.rs"]
mod form;
#[path = "dialogues/maildrop.rs"]
mod maildrop;
#[path = "dialogues/md5.rs"]
mod md5;
#[path = "dialogues/play.rs"]
mod play;
#[path = "dialogues/server.rs"]
mod server;
#[path = "dialogues/text.rs"]
mod text;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs, thread};

use form::Dialogue;
use server::{Foreign, Program};

/// Dialogues of our own program that are played at once.
const PLAYERS: usize = 4;

#[test]
fn every_dialogue_is_answered_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let mut dialogues = Vec::new();
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
        if env::var("DIALOGUES").is_ok_and(|part| !name.contains(&part)) {
            continue;
        }
        let written = fs::read_to_string(&path).unwrap();
        dialogues.push(Dialogue::parse(&name, &written).unwrap_or_else(|wrong| panic!("{wrong}")));
    }
    assert!(!dialogues.is_empty(), "no dialogue below {}", folder.display());

    let failures = match Foreign::from_environment() {
        Some(server) => play_foreign(&server, &dialogues),
        None => play_own(&dialogues),
    };
    for failure in &failures {
        println!("FAILED {failure}");
    }
    assert!(failures.is_empty(), "{} of {} dialogues failed", failures.len(), dialogues.len());
}

/// Plays all dialogues against our program, each with a server of its own; returns what went wrong.
fn play_own(dialogues: &[Dialogue]) -> Vec<String> {
    let program = Program::find();
    let plays: Vec<_> = dialogues
        .iter()
        .flat_map(|dialogue| dialogue.maildrops.iter().map(move |&kind| (dialogue, kind)))
        .collect();
    let next = Mutex::new(plays.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                loop {
                    let Some(&(dialogue, kind)) = next.lock().expect("no player panics").next() else {
                        return;
                    };
                    if let Err(failure) = program.play(dialogue, kind) {
                        failures.lock().expect("no player panics").push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no player panics");
    failures.sort();
    // The same line fails in both forms of a maildrop as a rule: one report is enough.
    failures.dedup_by_key(|failure| failure.split(": ").next().unwrap_or_default().to_owned());
    println!("{} dialogues, {} plays, {} failed", dialogues.len(), plays.len(), failures.len());
    failures
}

/// Plays the dialogues that fit any server, one after the other: they share a maildrop.
fn play_foreign(server: &Foreign, dialogues: &[Dialogue]) -> Vec<String> {
    let (fitting, left_out): (Vec<_>, Vec<_>) = dialogues.iter().partition(|dialogue| server.fits(dialogue));
    let failures: Vec<_> = fitting.iter().filter_map(|dialogue| server.play(dialogue).err()).collect();
    println!("{} dialogues, {} left out, {} failed", fitting.len(), left_out.len(), failures.len());
    failures
}

/// All dialogues below a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of dialogues can be read") {
        let path = entry.expect("the folder of dialogues can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            found.push(path);
        }
    }
    found.sort();
    found
}

//! Programs by name: generations, and what outlives them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pop3d_core::transform::registry::{ChainError, Registry as _, RegistryError, State, chain};
use pop3d_core::transform::{Kind, Transform, Wake};
use pop3d_transforms::registry::{Definitions, Permissions, Registry};
use pop3d_transforms::spec::{CommandLine, PluginSpec, ProcessSpec, Spec};

use super::driver::{Loop, octets};
use super::text;

const PERMITTED: Permissions = Permissions { transform_load: true, transform_exec: true };

fn definitions(programs: &[(&str, &str)]) -> Definitions {
    let spec = |(name, line): &(&str, &str)| ProcessSpec::new(name, CommandLine::parse(line).unwrap());
    let template = ProcessSpec::new("", CommandLine::Direct(Vec::new()));
    let specs = programs.iter().map(|program| Spec::Process(spec(program))).collect();
    let plugin_template = PluginSpec::new("", PathBuf::new());
    Definitions {
        specs,
        template,
        plugin_template,
        folder: None,
        awaited: Vec::new(),
        permissions: PERMITTED,
    }
}

fn registry(worker: &Loop, programs: &[(&str, &str)]) -> Registry {
    Registry::new(definitions(programs), worker.resources.clone())
}

fn listed(registry: &Registry) -> String {
    let lines = registry.list().into_iter().map(|listed| {
        let (name, kind, state, generation) = (listed.name, listed.kind, listed.state, listed.generation);
        format!("{name} {kind} {state} {generation}")
    });
    lines.collect::<Vec<_>>().join(", ")
}

fn is_same(one: &Arc<dyn Transform>, other: &Arc<dyn Transform>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

fn write_program(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("program");
    // By another process: what another test has just forked must not have it open for writing, or it cannot be run.
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let status = Command::new("sh").args(["-c", write, path.to_str().unwrap(), body]).status().unwrap();
    assert!(status.success());
    path
}

#[test]
fn transforms_are_listed_by_name_and_chained_by_name() {
    let mut worker = Loop::new();
    let registry =
        registry(&worker, &[("up", "tr a-z A-Z"), ("absent", "no-such-program"), ("end", "sed s/$/!/")]);
    assert_eq!(listed(&registry), "absent process failed 1, end process ready 1, up process ready 1");
    let two = chain(&registry, &["up", "end"]).unwrap().unwrap();
    assert_eq!(two.names().collect::<Vec<_>>(), ["up", "end"]);
    assert_eq!(text(worker.send_file(two, b"hello\n")), "HELLO!\n");
    assert!(chain(&registry, &[]).unwrap().is_none());
    let unknown = chain(&registry, &["up", "gone", "nowhere"]).err();
    assert_eq!(unknown, Some(ChainError::NoSuchTransform { index: 1 }));
    assert_eq!((registry.list()[0].kind, registry.list()[0].state), (Kind::Process, State::Failed));
}

#[test]
fn who_names_no_transform_is_told() {
    let registry = registry(&Loop::new(), &[("cat", "cat")]);
    let unknown = Err(RegistryError::NoSuchTransform);
    assert_eq!(registry.reload("gone"), unknown);
    assert_eq!(registry.remove("gone"), unknown);
    assert_eq!(registry.set_option("gone", "key", "value"), unknown);
    assert!(registry.transform("gone").is_none() && registry.statistics("gone").is_none());
    assert_eq!((registry.last_error("gone"), registry.last_error("cat")), (None, Some(String::new())));
    registry.remove("cat").unwrap();
    assert_eq!(listed(&registry), "");
}

#[test]
fn nothing_is_loaded_anew_where_that_is_not_permitted() {
    let folder = tempfile::tempdir().unwrap();
    let broken = PluginSpec::new("broken", folder.path().join("broken.so"));
    let mut definitions = definitions(&[("cat", "cat")]);
    definitions.specs.push(Spec::Plugin(broken));
    definitions.permissions.transform_load = false;
    let registry = Registry::new(definitions, Loop::new().resources.clone());
    assert_eq!(listed(&registry), "broken native failed 1, cat process ready 1");
    for name in ["broken", "cat"] {
        assert_eq!(registry.reload(name), Err(RegistryError::NotPermitted), "{name}");
    }
    assert_eq!(registry.reload("gone"), Err(RegistryError::NoSuchTransform));
}

#[test]
fn a_reload_is_a_further_generation_and_a_program_that_is_gone_leaves_the_old_one() {
    let mut worker = Loop::new();
    let folder = tempfile::tempdir().unwrap();
    let path = write_program(folder.path(), "echo one");
    let registry = registry(&worker, &[("x", path.to_str().unwrap())]);
    let first = registry.transform("x").unwrap();
    registry.reload("x").unwrap();
    assert_eq!(listed(&registry), "x process ready 2");
    let second = registry.transform("x").unwrap();
    assert!(!is_same(&first, &second));

    std::fs::remove_file(&path).unwrap();
    let Err(RegistryError::NotLoadable(reason)) = registry.reload("x") else { panic!() };
    assert!(reason.contains(path.to_str().unwrap()), "{reason}");
    assert_eq!(listed(&registry), "x process failed 2");
    assert_eq!(registry.last_error("x").unwrap(), reason);
    assert!(is_same(&second, &registry.transform("x").unwrap()));

    write_program(folder.path(), "echo two");
    registry.reload("x").unwrap();
    assert_eq!(listed(&registry), "x process ready 3");
    assert_eq!(text(worker.send_file(registry.transform("x").unwrap(), b"")), "two\n");
    // Who holds the first one still can use it.
    assert_eq!(text(worker.send_file(first, b"")), "two\n");
    assert_eq!(registry.statistics("x").unwrap().messages, 2);
}

#[test]
fn a_program_that_was_gone_is_ready_by_a_reload_or_a_reading_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_program(folder.path(), "cat");
    let programs = [("x", path.to_str().unwrap())];
    let registry = registry(&Loop::new(), &programs);
    std::fs::remove_file(&path).unwrap();
    registry.reload("x").unwrap_err();
    let renewed = registry.renewed(definitions(&programs));
    assert_eq!(listed(&renewed), "x process failed 1");
    write_program(folder.path(), "cat");
    assert_eq!(listed(&registry.renewed(definitions(&programs))), "x process ready 1");
    renewed.reload("x").unwrap();
    assert_eq!(listed(&renewed), "x process ready 2");
}

#[test]
fn an_option_that_is_refused_leaves_the_state_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_program(folder.path(), "cat");
    let registry = registry(&Loop::new(), &[("x", path.to_str().unwrap())]);
    registry.set_option("x", "", "x").unwrap_err();
    assert_eq!(listed(&registry), "x process ready 1");
    std::fs::remove_file(&path).unwrap();
    registry.reload("x").unwrap_err();
    registry.set_option("x", "", "x").unwrap_err();
    assert_eq!(listed(&registry), "x process failed 1");
}

#[test]
fn an_option_is_set_in_a_further_generation() {
    let mut worker = Loop::new();
    let registry = registry(&worker, &[("x", "echo \"$OPTION_PRE_FIX$OPTION_END\"")]);
    let first = registry.transform("x").unwrap();
    registry.set_option("x", "pre-fix", "[ext]").unwrap();
    registry.set_option("x", "end", "a:b").unwrap();
    registry.set_option("x", "end", "!").unwrap();
    assert_eq!(listed(&registry), "x process ready 4");
    assert_eq!(text(worker.send_file(registry.transform("x").unwrap(), b"")), "[ext]!\n");
    assert_eq!(text(worker.send_file(first, b"")), "\n");
    // It stays over a reload.
    registry.reload("x").unwrap();
    assert_eq!(text(worker.send_file(registry.transform("x").unwrap(), b"")), "[ext]!\n");
    for (key, value) in [("", "x"), ("key", "a\0b")] {
        assert!(matches!(registry.set_option("x", key, value), Err(RegistryError::NotLoadable(_))));
    }
    assert_eq!(listed(&registry), "x process ready 5");
}

#[test]
fn options_have_a_bound() {
    let registry = registry(&Loop::new(), &[("x", "cat")]);
    let set = |number: usize| registry.set_option("x", &format!("key{number}"), "value");
    assert!((0..1000).all(|number| set(number).is_ok()));
    assert!(matches!(set(1000), Err(RegistryError::NotLoadable(_))));
    assert_eq!(set(999), Ok(()));
}

#[test]
fn files_are_not_loaded() {
    let registry = registry(&Loop::new(), &[("cat", "cat")]);
    for (name, error) in [("cat", "name in use"), ("none", "name in use"), ("exec", "name in use")] {
        assert_eq!(registry.load(name, "x.so").unwrap_err().to_string(), error, "{name}");
    }
    assert!(matches!(registry.load("x", "x.wasm"), Err(RegistryError::NotLoadable(_))));
    assert!(matches!(registry.load("a,b", "x.wasm"), Err(RegistryError::NotLoadable(_))));
    let permissions = Permissions { transform_load: false, transform_exec: false };
    let forbidden = registry.renewed(Definitions { permissions, ..definitions(&[("cat", "cat")]) });
    assert_eq!(forbidden.load("x", "x.so"), Err(RegistryError::NotPermitted));
    assert_eq!(forbidden.load("cat", "x.so"), Err(RegistryError::NameInUse));
}

#[test]
fn what_was_loaded_while_that_was_permitted_is_kept_once_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let definitions = |transform_load| {
        let permissions = Permissions { transform_load, transform_exec: false };
        Definitions { folder: Some(folder.path().to_owned()), permissions, ..definitions(&[]) }
    };
    // It is to be loaded, though its file is gone.
    let registry = Registry::new(definitions(false), Loop::new().resources.clone());
    assert!(matches!(registry.load_kept("mine", "x.so"), Err(RegistryError::NotLoadable(_))));
    assert_eq!(listed(&registry), "mine native failed 1");
    assert_eq!(registry.load("other", "x.so"), Err(RegistryError::NotPermitted));
    assert_eq!(registry.load("mine", "x.so"), Err(RegistryError::NameInUse));
    for transform_load in [true, false, true] {
        let renewed = registry.renewed(definitions(transform_load));
        assert_eq!(listed(&renewed), "mine native failed 1");
    }
}

#[test]
fn a_program_of_the_administrator_takes_the_place_of_the_one_before() {
    let mut worker = Loop::new();
    let registry = registry(&worker, &[]);
    assert_eq!(registry.set_program("tr a-z A-Z"), Ok("exec".to_owned()));
    assert_eq!(text(worker.send_file(registry.transform("exec").unwrap(), b"x")), "X");
    for command in ["no-such-program", "/etc/passwd x", " ", "cat \0"] {
        assert!(matches!(registry.set_program(command), Err(RegistryError::NoSuchProgram(_))), "{command}");
    }
    assert_eq!(listed(&registry), "exec process ready 1");
    assert_eq!(registry.set_program("no-such-program || echo y"), Ok("exec".to_owned()));
    assert_eq!(text(worker.send_file(registry.transform("exec").unwrap(), b"x")), "y\n");
    assert_eq!(listed(&registry), "exec process ready 2");
    assert_eq!(registry.statistics("exec").unwrap().messages, 2);

    let kept = registry.renewed(definitions(&[("cat", "cat")]));
    assert_eq!(listed(&kept), "cat process ready 1, exec process ready 2");
    assert!(is_same(&kept.transform("exec").unwrap(), &registry.transform("exec").unwrap()));
    let forbidden = Definitions { permissions: Permissions::default(), ..definitions(&[]) };
    let without = kept.renewed(forbidden);
    assert_eq!(listed(&without), "");
    assert_eq!(without.set_program("cat"), Err(RegistryError::NotPermitted));
}

#[test]
fn a_program_of_the_administrator_runs_by_the_template() {
    let mut worker = Loop::new();
    let mut definitions = definitions(&[]);
    definitions.template.options = vec![("a".to_owned(), "b".to_owned())];
    let registry = Registry::new(definitions, worker.resources.clone());
    registry.set_program("echo $TRANSFORM_NAME $OPTION_A").unwrap();
    assert_eq!(text(worker.send_file(registry.transform("exec").unwrap(), b"")), "exec b\n");
}

#[test]
fn statistics_and_the_last_error_go_on_over_generations() {
    let mut worker = Loop::new();
    let registry = registry(&worker, &[("x", "cat; exit $OPTION_STATUS")]);
    let mut send = |octets: &[u8]| worker.send_file(registry.transform("x").unwrap(), octets);
    registry.set_option("x", "status", "0").unwrap();
    send(b"12345").unwrap();
    registry.set_option("x", "status", "3").unwrap();
    send(b"678").unwrap_err();
    assert_eq!(registry.last_error("x").unwrap(), "user alice: exit status 3");
    registry.reload("x").unwrap();
    registry.set_option("x", "status", "0").unwrap();
    send(b"90").unwrap();
    registry.transform("x").unwrap().count_passed();
    let statistics = registry.statistics("x").unwrap();
    assert_eq!((statistics.messages, statistics.failed, statistics.passed), (3, 1, 1));
    assert_eq!((statistics.bytes_in, statistics.bytes_out, statistics.durations.count()), (10, 10, 3));
    let percentile = |percent| statistics.durations.percentile_us(percent);
    assert!(0 < percentile(50) && percentile(50) <= percentile(99));
    assert_eq!(registry.last_error("x").unwrap(), "user alice: exit status 3");
}

#[test]
fn the_last_error_says_what_the_log_says() {
    let mut worker = Loop::new();
    let registry = registry(&worker, &[("x", "echo it hurts >&2; exit 75")]);
    worker.send_file(registry.transform("x").unwrap(), b"").unwrap_err();
    let error = registry.last_error("x").unwrap();
    assert_eq!(error, "user alice: exit status 75; standard error ends: it hurts");
    let loud = registry.renewed(definitions(&[("x", "printf '%0900d\\n%0900d\\n' 1 2 >&2; exit 75")]));
    worker.send_file(loud.transform("x").unwrap(), b"").unwrap_err();
    assert_eq!(loud.last_error("x").unwrap().len(), 400);
}

#[test]
fn what_stays_in_the_configuration_keeps_what_it_was() {
    let mut worker = Loop::new();
    let before = registry(&worker, &[("same", "cat"), ("other", "cat"), ("gone", "cat")]);
    for name in ["same", "other", "gone"] {
        worker.send_file(before.transform(name).unwrap(), &octets(10)).unwrap();
    }
    before.set_option("same", "key", "value").unwrap();
    let same = before.transform("same").unwrap();
    let after = before.renewed(definitions(&[("same", "cat"), ("other", "tr a b"), ("fresh", "cat")]));
    assert_eq!(listed(&after), "fresh process ready 1, other process ready 2, same process ready 2");
    assert!(is_same(&same, &after.transform("same").unwrap()));
    assert!(!is_same(&before.transform("other").unwrap(), &after.transform("other").unwrap()));
    let messages = |name| after.statistics(name).map(|statistics| statistics.messages);
    assert_eq!(["same", "other", "fresh", "gone"].map(messages), [Some(1), Some(1), Some(0), None]);
    // The one before is as it was.
    assert_eq!(listed(&before), "gone process ready 1, other process ready 1, same process ready 2");
    // What is under way in both counts for both.
    worker.send_file(before.transform("other").unwrap(), b"x").unwrap();
    assert_eq!(messages("other"), Some(2));
}

#[test]
fn a_configuration_that_is_not_taken_changes_nothing_of_what_is_known_of_transforms() {
    let mut worker = Loop::new();
    let registry = registry(&worker, &[("x", "exit 3;")]);
    let mut send = |registry: &Registry| worker.send_file(registry.transform("x").unwrap(), b"");
    for _ in 0..10 {
        send(&registry).unwrap_err();
    }
    let rests = |registry: &Registry| {
        let message = Arc::new(super::driver::message(1));
        registry.transform("x").unwrap().open(message, Wake(Arc::new(|| {}))).is_err()
    };
    assert!(rests(&registry));
    let well = registry.renewed(definitions(&[("x", "cat")]));
    let mut broken = definitions(&[]);
    broken.specs.push(Spec::Plugin(PluginSpec::new("x", PathBuf::from("/nowhere/x.so"))));
    let broken = registry.renewed(broken);
    assert!(rests(&registry) && rests(&well));
    assert!(registry.last_error("x").unwrap().starts_with("user alice: "), "{:?}", registry.last_error("x"));
    assert!(broken.last_error("x").unwrap().contains("/nowhere/x.so"), "{:?}", broken.last_error("x"));
    well.taken();
    send(&well).unwrap();
    broken.taken();
    assert_eq!(registry.last_error("x"), broken.last_error("x"));
}

#[test]
fn generations_together_are_no_more_than_may_run() {
    let mut worker = Loop::new();
    let mut programs = definitions(&[("x", "cat; read line")]);
    let Spec::Process(spec) = &mut programs.specs[0] else { panic!("no program") };
    spec.max_running = 1;
    let registry = Registry::new(programs, worker.resources.clone());
    let open = |worker: &Loop| {
        let input = super::driver::Input::file(b"x");
        worker.open(registry.transform("x").unwrap(), super::driver::message(1), input)
    };
    let first = open(&worker);
    registry.reload("x").unwrap();
    let second = open(&worker);
    let statistics = registry.statistics("x").unwrap();
    assert_eq!((statistics.running, statistics.queued), (1, 1));
    let mut deliveries = [first, second];
    worker.run(&mut deliveries, |deliveries| deliveries.iter().all(|it| it.outcome.is_some()));
    let statistics = registry.statistics("x").unwrap();
    assert_eq!((statistics.running, statistics.queued, statistics.messages), (0, 0, 2));
}

#[test]
fn the_processor_time_of_a_program_and_of_what_it_starts_is_counted() {
    let mut worker = Loop::new();
    let count = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let busy = format!("{count}; ({count}); cat");
    let registry = registry(&worker, &[("busy", &busy), ("idle", "sleep 0.2"), ("never", "cat")]);
    for name in ["busy", "idle"] {
        worker.send_file(registry.transform(name).unwrap(), b"x").unwrap();
    }
    worker.wait_for_children();
    let cpu = |name| registry.statistics(name).unwrap().cpu;
    assert!(cpu("busy") > 2 * cpu("idle"), "{:?} and {:?}", cpu("busy"), cpu("idle"));
    assert!(!cpu("idle").is_zero() && cpu("never").is_zero());
}

//! What was set at run time, at a start and with a configuration that have changed since.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

use pop3d_tests::{Admin, Client, Guest, Mail, Options, Server, fails_to_start, wait_until};
use rustix::process::Signal;

/// Ends a server that keeps what it was told.
fn stop(mut server: Server) {
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

fn admin(state: &Path) -> Admin {
    Admin::at(&state.join("peep.sock"))
}

/// What `--check` says with this state folder, and its exit status.
fn checks(mail: &Mail, state: &Path) -> (ExitStatus, String) {
    let mut command = Command::new(pop3d_tests::program());
    command.arg("--check").arg("-m").arg(mail.path()).args(["-u", "user:pass", "--state"]).arg(state);
    let output = command.output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_setting_that_the_configuration_overruled_at_a_start_does_not_come_back() {
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    let start = |timeout: &str| {
        let arguments = ["-T", timeout];
        Server::with(
            &mail,
            &Options { state: Some(state.path()), arguments: &arguments, ..Options::default() },
        )
    };
    let server = start("600");
    admin(state.path()).says("t= 300").hears("+").says("c= 77").hears("+");
    stop(server);
    for (configured, expected) in [("600", 300), ("420", 420), ("600", 600)] {
        let server = start(configured);
        let mut admin = admin(state.path());
        assert_eq!((admin.number("t?"), admin.number("c?")), (expected, 77), "-T {configured}");
        stop(server);
    }
    let settings = fs::read_to_string(state.path().join("settings.toml")).unwrap();
    assert!(settings.contains("[connections]") && !settings.contains("[timeout]"), "{settings}");
}

#[test]
fn a_mail_folder_that_was_set_at_run_time_and_is_gone_stops_the_start() {
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { state: Some(state.path()), ..Options::default() };
    let elsewhere = state.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let server = Server::with(&mail, &options);
    admin(state.path()).says(&format!("m= {}", elsewhere.display())).hears("+");
    stop(server);
    fs::remove_dir(&elsewhere).unwrap();
    let (status, said) = fails_to_start(&mail, state.path());
    assert_eq!(status.code(), Some(66), "{said}");
    let said = said.lines().last().unwrap();
    assert!(said.contains(elsewhere.to_str().unwrap()) && said.contains("settings.toml"), "{said}");
    let (status, checked) = checks(&mail, state.path());
    assert_eq!((status.code(), checked.trim_end()), (Some(66), said));
    fs::create_dir(&elsewhere).unwrap();
    stop(Server::with(&mail, &options));
    assert!(checks(&mail, state.path()).0.success());
}

#[test]
fn check_finds_in_the_state_folder_what_would_stop_the_start() {
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    for (name, text, named) in [
        ("settings.toml", "[timeout]\nvalue = 1\n# end\n", "settings.toml:1:1: "),
        (
            "settings.toml",
            "[user_chains]\nuser = [\"gone\"]\n# end\n",
            "names the transform gone, which there is not",
        ),
        ("app-passwords", "x", "app-passwords:1:1: "),
        ("accounts", "x", "accounts:1:1: "),
    ] {
        let file = state.path().join(name);
        fs::write(&file, text).unwrap();
        for (status, said) in [checks(&mail, state.path()), fails_to_start(&mail, state.path())] {
            assert!(status.code() == Some(78) && said.contains(named), "{said}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        fs::remove_file(&file).unwrap();
    }
    assert!(checks(&mail, state.path()).0.success());
}

#[test]
fn a_chain_that_holds_up_a_configuration_is_taken_away_as_the_log_says() {
    let mail = Mail::maildir("user", &["x\n"]);
    let config = "[transforms.up]\ncommand = \"tr a-z A-Z\"\n";
    let server = Server::with(&mail, &Options { config, ..Options::default() });
    let mut admin = Admin::of(&server);
    admin.says("tf= up user").hears("+").says("tf= up").hears("+");
    fs::write(server.config(), config.replace("up", "upper")).unwrap();
    for _ in 0..2 {
        admin.says("cf").hears("-11");
    }
    let advice = "\"tf= default\" of PEEP, for a user by \"tf= default USER\"";
    server.logs(advice);
    admin.says("tf= default user").hears("+").says("tf= default").hears("+");
    admin.says("cf").hears("+");
    Client::login(server.address(), "user").says("QUIT").hears("+OK");
}

#[test]
fn a_transform_that_was_loaded_at_run_time_and_whose_file_is_gone_can_be_taken_back() {
    let (mail, folder) = (Mail::maildir("user", &["x\n"]), tempfile::tempdir().unwrap());
    let state = tempfile::tempdir().unwrap();
    let config = format!("transform_dir = {:?}\n", folder.path());
    let start = |config: &str| {
        Server::with(&mail, &Options { state: Some(state.path()), config, ..Options::default() })
    };
    let file = folder.path().join("file.wasm");
    let guest = Guest::default().component();
    fs::write(&file, &guest).unwrap();
    let server = start(&config);
    admin(state.path()).says("tf+ name file.wasm").hears("+");
    stop(server);
    fs::remove_file(&file).unwrap();
    let server = start(&config);
    let mut administrator = admin(state.path());
    assert_eq!(administrator.lines("tfl?"), ["name wasm failed 1"]);
    assert!(administrator.says("tfe? name").line().contains("No%20such%20file"));
    administrator.says("tf= name").hears("-20");
    // Once the file is back it can be loaded as it was.
    fs::write(folder.path().join(".new"), &guest).unwrap();
    fs::rename(folder.path().join(".new"), &file).unwrap();
    administrator.says("tf+ name file.wasm").line();
    wait_until("it is loaded", || administrator.says("tf= name").line() == "+");
    administrator.says("tf= default").hears("+");
    stop(server);
    fs::remove_file(&file).unwrap();
    let server = start(&config);
    let mut administrator = admin(state.path());
    administrator.says("tf- name").hears("+").says("tf- name").hears("-20");
    assert!(administrator.lines("tfl?").is_empty());
    stop(server);
    let settings = fs::read_to_string(state.path().join("settings.toml")).unwrap();
    assert!(!settings.contains("file.wasm"), "{settings}");
    // Where it cannot be listed, for there is no folder any more, it can be taken back all the same.
    let server = start(&config);
    fs::write(&file, &guest).unwrap();
    admin(state.path()).says("tf+ name file.wasm").hears("+");
    stop(server);
    let server = start("");
    admin(state.path()).says("tf- name").hears("+").says("tf- name").hears("-20");
    stop(server);
}

#[test]
fn a_state_folder_that_cannot_be_changed_at_run_time_is_named_as_such() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pop3d.toml");
    let state = |name: &str| format!("state = {:?}\n", folder.path().join(name));
    fs::write(&config, state("one")).unwrap();
    let mut command = Command::new(pop3d_tests::program());
    command.arg("-m").arg(mail.path()).args(["-p", "0", "-u", "user:pass", "-c"]).arg(&config);
    let log = folder.path().join("log");
    let mut child = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    wait_until("it listens", || folder.path().join("one/peep.sock").exists());
    fs::write(&config, state("two")).unwrap();
    admin(&folder.path().join("one")).says("cf").hears("-11");
    let said = || fs::read_to_string(&log).unwrap();
    wait_until("the log says why", || said().contains("cannot be changed while the server runs"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said().contains("state cannot be changed while the server runs"), "{}", said());
}

#[test]
fn a_configuration_without_accounts_is_not_taken_where_a_start_would_be_refused() {
    let mail = Mail::maildir("user", &["x\n"]);
    let folder = tempfile::tempdir().unwrap();
    let (config, state) = (folder.path().join("pop3d.toml"), folder.path().join("state"));
    fs::write(&config, "[users]\nann = \"pass\"\n").unwrap();
    let mut command = Command::new(pop3d_tests::program());
    command.arg("-m").arg(mail.path()).args(["-p", "0", "--state"]).arg(&state).arg("-c").arg(&config);
    let mut server = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_until("it serves", || std::os::unix::net::UnixStream::connect(state.join("peep.sock")).is_ok());
    let mut admin = admin(&state);
    fs::write(&config, "").unwrap();
    admin.says("cf").hears("-11");
    assert_eq!(admin.lines("u?").len(), 1);
    // That PEEP has removed all is no fault of the configuration.
    fs::write(&config, "[users]\nann = \"pass\"\n").unwrap();
    admin.says("u- ann").hears("+").says("cf").hears("+");
    assert_eq!(admin.lines("u?").len(), 0);
    rustix::process::kill_process(rustix::process::Pid::from_child(&server), Signal::TERM).unwrap();
    let said = std::io::read_to_string(server.stderr.take().unwrap()).unwrap();
    assert!(said.contains("there would be no accounts; add one in [users]"), "{said}");
    assert!(said.contains("nobody can log in: there are no accounts"), "{said}");
    server.wait().unwrap();
}

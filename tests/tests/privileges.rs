//! What the server gives up before it serves. Those that only root can be without are left out, and say so, where the tests
//! run as somebody else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use pop3d_tests::{Admin, Client, Mail, Options, Server, checked, fails_to_start_with, program, wait_until};
use rustix::process::Signal;

/// A user that every system has, by a number that nobody needs a name for.
const NOBODY: u32 = 65_534;

/// A line of the server's status, without its name.
fn status(server: &Server, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn gives(path: &std::path::Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn started_as_root_it_serves_as_another_user() {
    if !rustix::process::geteuid().is_root() {
        println!("not shown: it takes root");
        return;
    }
    let mail = Mail::maildir("user", &["Subject: one\n\nbody\n", "two\n"]);
    gives(mail.path());
    let folder = mail.path().join("user");
    gives(&folder);
    for part in ["new", "cur", "tmp"] {
        if folder.join(part).exists() {
            gives(&folder.join(part));
            for file in fs::read_dir(folder.join(part)).unwrap() {
                gives(&file.unwrap().path());
            }
        }
    }
    // Made by the server, for whom it becomes.
    let above = tempfile::tempdir().unwrap();
    fs::set_permissions(above.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = above.path().join("state");
    let config = format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\n");
    let server = Server::with(&mail, &Options { config: &config, state: Some(&state), ..Options::default() });
    let same = format!("{NOBODY} {NOBODY} {NOBODY} {NOBODY}");
    assert_eq!((status(&server, "Uid:"), status(&server, "Gid:")), (same.clone(), same));
    assert_eq!(status(&server, "Groups:"), "");
    assert_eq!(status(&server, "NoNewPrivs:"), "1");
    assert_eq!(status(&server, "CapEff:"), "0000000000000000");
    // What cannot be dumped is root's in the eyes of the others.
    assert_eq!(fs::metadata(format!("/proc/{}/environ", server.pid())).unwrap().uid(), 0);
    // In every thread.
    for task in fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap() {
        // A thread may have ended since.
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else { continue };
        assert!(status.contains(&format!("Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n")), "{status}");
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    }

    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    assert!(client.body().unwrap().starts_with(b"Subject: one\r\n"));
    client.says("DELE 1").hears("+OK");
    client.says("QUIT").hears("+OK");
    assert_eq!(mail.files("user").len(), 1);
    assert_eq!(fs::metadata(&state).unwrap().uid(), NOBODY);
    server.logs("serving as the user");
}

/// Has a server go without `--state`, and see a `/var/lib` of its own.
const WITHOUT_STATE: &str = r#"
exec unshare --mount /bin/sh -c '
    mount -t tmpfs tmpfs /var/lib || exit 1
    left=$#
    while [ $left -gt 0 ]; do
        argument=$1; shift; left=$((left - 1))
        if [ "$argument" = --state ]; then shift; left=$((left - 1)); else set -- "$@" "$argument"; fi
    done
    exec "$0" "$@"' "$0" "$@"
"#;

#[test]
fn the_configuration_is_read_again_where_the_state_folder_is_that_of_root_by_default() {
    let may_mount = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|it| it.success());
    if !rustix::process::geteuid().is_root() || !may_mount {
        return eprintln!("left out: it takes root, who may mount");
    }
    let mail = Mail::maildir("user", &["x\n"]);
    gives(mail.path());
    let config = format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\n");
    let options = Options { config: &config, before: WITHOUT_STATE, ..Options::default() };
    let server = Server::with(&mail, &options);
    let path = server.config();
    gives(path.parent().unwrap());
    gives(&path);
    let state = format!("/proc/{}/root/var/lib/pop3d", server.pid());
    assert_eq!(fs::metadata(state).unwrap().uid(), NOBODY);
    server.signal(Signal::HUP);
    server.logs("read again");
}

#[test]
fn a_state_folder_is_made_where_its_user_gets_to() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("left out: only root becomes another user");
    }
    let mail = Mail::maildir("user", &["x\n"]);
    gives(mail.path());
    let above = tempfile::tempdir().unwrap();
    fs::set_permissions(above.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = above.path().join("not/there/state");
    let config = format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\n");
    let server = Server::with(&mail, &Options { config: &config, state: Some(&state), ..Options::default() });
    assert!(!server.log().contains("cannot be used"), "{}", server.log());
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(state.join("peep.sock").exists());
}

#[test]
fn a_state_folder_that_its_user_cannot_look_into_ends_a_start() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("left out: only root becomes another user");
    }
    let mail = Mail::maildir("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let server = Server::with(&mail, &Options { state: Some(state.path()), ..Options::default() });
    Admin::at(&state.path().join("peep.sock")).says("u- user").hears("+");
    drop(server);
    gives(mail.path());
    let config = format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\n");
    let (status, said) = fails_to_start_with(&mail, state.path(), &config);
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(said.contains("cannot be looked into") && said.contains("name another by --state"), "{said}");
}

#[test]
fn an_index_that_is_there_and_cannot_be_read_is_not_made_anew() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("left out: only root becomes another user");
    }
    let mail = Mail::maildir("user", &["x\n"]);
    gives(mail.path());
    let state = tempfile::tempdir().unwrap();
    gives(state.path());
    let config = format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\n");
    let server =
        Server::with(&mail, &Options { config: &config, state: Some(state.path()), ..Options::default() });
    assert!(Client::tries(server.address(), "user", "pass").starts_with("+OK"));
    let mut folders = fs::read_dir(state.path().join("indexes")).unwrap();
    let index = folders.next().unwrap().unwrap().path().join("user");
    drop(server);
    let before = fs::read(&index).unwrap();
    chown(&index, Some(0), Some(0)).unwrap();
    // A copy of the folder that root brought back.
    let server =
        Server::with(&mail, &Options { config: &config, state: Some(state.path()), ..Options::default() });
    assert!(Client::tries(server.address(), "user", "pass").starts_with("-ERR [SYS/TEMP]"));
    server.logs(index.to_str().unwrap());
    assert!(fs::read(&index).unwrap() == before);
    chown(&index, Some(NOBODY), Some(NOBODY)).unwrap();
    assert!(Client::tries(server.address(), "user", "pass").starts_with("+OK"));
}

#[test]
fn files_that_only_root_could_read_again_are_named() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("left out: only root becomes another user");
    }
    let mail = Mail::maildir("user", &["x\n"]);
    gives(mail.path());
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let accounts = folder.path().join("accounts");
    fs::write(&accounts, "ann:{PLAIN}x\n").unwrap();
    let says = |mode: u32| {
        fs::set_permissions(&accounts, fs::Permissions::from_mode(mode)).unwrap();
        let config = format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\naccounts = {accounts:?}\n");
        checked(&mail, &config).1
    };
    let named = format!("{} cannot be read by the user", accounts.display());
    assert!(says(0o600).contains(&named) && !says(0o644).contains(&named));
}

#[test]
fn without_a_user_root_is_warned_and_served_as_before() {
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::start(&mail, &[]);
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(server.log().contains("serving as root"), is_root, "{}", server.log());
    assert_eq!(checked(&mail, "").1.contains("serving as root"), is_root);
    let allowed = Options { config: "allow_root = true\n", ..Options::default() };
    assert!(!Server::with(&mail, &allowed).log().contains("serving as root"));
    Client::login(server.address(), "user").says("QUIT").hears("+OK");
    assert_eq!(status(&server, "NoNewPrivs:"), "1");
}

#[test]
fn a_mail_folder_that_the_user_may_not_read_is_found_before_the_start() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("left out: only root becomes another user");
    }
    let mail = Mail::maildir("user", &["x\n"]);
    fs::set_permissions(mail.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let config = format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\n");
    let state = tempfile::tempdir().unwrap();
    for (status, said) in [checked(&mail, &config), fails_to_start_with(&mail, state.path(), &config)] {
        assert_eq!(status.code(), Some(66), "{said}");
        assert!(said.contains("let that user read and enter it, or name another user"), "{said}");
    }
}

#[test]
fn what_was_set_at_run_time_is_looked_at_as_the_user_too() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("left out: only root becomes another user");
    }
    let (mail, closed) = (Mail::maildir("user", &["x\n"]), tempfile::tempdir().unwrap());
    let state = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let settings = format!("[mailbox]\nvalue = {:?}\nconfigured = {:?}\n# end\n", closed.path(), mail.path());
    fs::write(state.path().join("settings.toml"), settings).unwrap();
    let config = state.path().join("pop3d.toml");
    fs::write(&config, format!("user = {NOBODY}\ngroup = {NOBODY}\n")).unwrap();
    gives(mail.path());
    gives(state.path());
    gives(&state.path().join("settings.toml"));
    for further in [&["--check"][..], &["-p", "0"]] {
        let mut command = Command::new(program());
        command.arg("-m").arg(mail.path()).args(["-u", "user:pass"]).arg("--state").arg(state.path());
        let output = command.arg("-c").arg(&config).args(further).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(66), "{said}");
        assert!(
            said.contains("let the server's user read and enter it, or remove [mailbox] from settings.toml"),
            "{said}"
        );
    }
}

/// What a start without accounts on the command line says of a configuration, and whether it is content.
fn checks(mail: &Mail, config: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pop3d.toml");
    fs::write(&path, format!("{config}\n[users]\nann = \"secret\"\n")).unwrap();
    let mut command = Command::new(program());
    command.arg("-m").arg(mail.path()).arg("--state").arg(folder.path()).arg("-c").arg(&path).arg("--check");
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn root_serves_on_ports_of_its_own_only_where_somebody_has_said_so() {
    let mail = Mail::maildir("user", &["x\n"]);
    let is_root = rustix::process::geteuid().is_root();
    for config in [
        "listen = [\"127.0.0.1:110\"]",
        "listen = [\"127.0.0.1:1110\"]\n[proxy]\nlisten = [\"127.0.0.1:110\"]\nnets = [\"127.0.0.1\"]",
        "listen = [\"127.0.0.1:1110\"]\n[peep]\nlisten = [\"127.0.0.1:1023\"]\nadmins = { root = \"x\" }",
    ] {
        let (is_content, said) = checks(&mail, config);
        assert_eq!(is_content, !is_root, "{config}: {said}");
        assert!(!is_root || said.contains("allow_root = true"), "{said}");
    }
    for config in [
        "listen = [\"127.0.0.1:110\"]\nallow_root = true",
        "listen = [\"127.0.0.1:110\"]\nuser = \"65534\"\ngroup = \"65534\"",
        "listen = [\"127.0.0.1:110\"]\nuser = \"root\"",
        "listen = [\"127.0.0.1:1110\", \"127.0.0.1:0\"]",
    ] {
        let (is_content, said) = checks(&mail, config);
        assert!(is_content, "{config}: {said}");
    }
    // Accounts on the command line are a trial.
    let balancers = "[proxy]\nlisten = [\"127.0.0.1:110\"]\nnets = [\"127.0.0.1\"]\n";
    assert!(checked(&mail, balancers).0.success());
}

#[test]
fn what_is_read_elsewhere_is_refused_where_reading_is_bounded() {
    let (elsewhere, permitted) = ("elsewhere", "permitted");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for name in [elsewhere, permitted] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("file"), format!("{name}\n")).unwrap();
    }
    let place = |name: &str| folder.path().join(name).display().to_string();
    let mail = Mail::maildir("user", &["x\n"]);
    // What a command names may be read, so the paths stand in a file of its own.
    let filter = folder.path().join(permitted).join("filter");
    let script = format!("cat\ncat {}/file {}/file 2>/dev/null\ntrue\n", place(elsewhere), place(permitted));
    fs::write(&filter, script).unwrap();
    let transform = format!("transform = [\"sh {}\"]\n", filter.display());
    let reads = format!("[confine]\nlandlock = true\nread = [\"{}\"]\n", place(permitted));
    for (confine, is_refused) in [(reads.as_str(), true), ("[confine]\nlandlock = true\n", false)] {
        let config = format!("{transform}{confine}");
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        if server.log().contains("no Landlock") {
            println!("not shown: this kernel has no Landlock");
            return;
        }
        assert_eq!(server.log().contains("Landlock: reads beneath "), is_refused);
        let mut client = Client::login(server.address(), "user");
        client.says("RETR 1").hears("+OK");
        let body = String::from_utf8(client.body().unwrap()).unwrap();
        assert!(body.contains("permitted") && body.contains("elsewhere") != is_refused, "{body}");
    }
    let (status, said) = checked(&mail, "[confine]\nread = []\n");
    assert!(!status.success() && said.contains("2:8: reading is bounded by Landlock"), "{said}");
}

#[test]
fn what_is_named_later_is_read_where_that_is_permitted_without_a_new_start() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let accounts = |name: &str| {
        let folder = folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("accounts"), format!("{}:{{PLAIN}}pass\n", name.replace('/', "-"))).unwrap();
        folder.join("accounts")
    };
    let (permitted, elsewhere) = (accounts("permitted/deeper"), accounts("elsewhere"));
    let confine =
        format!("[confine]\nlandlock = true\nread = [\"{}\"]\n", folder.path().join("permitted").display());
    let mail = Mail::maildir("user", &["x\n"]);
    let server = Server::with(&mail, &Options { config: &confine, ..Options::default() });
    if server.log().contains("no Landlock") {
        println!("not shown: this kernel has no Landlock");
        return;
    }
    let mut admin = Admin::of(&server);
    let mut reads = |accounts: &Path| {
        fs::write(server.config(), format!("accounts = {accounts:?}\n{confine}")).unwrap();
        admin.says("cf").line()
    };
    assert_eq!(reads(&permitted), "+", "{}", server.log());
    Client::login(server.address(), "permitted-deeper").says("QUIT").hears("+OK");
    assert_eq!(reads(&elsewhere), "-11");
    server.logs("cannot read the accounts file");
    Client::login(server.address(), "permitted-deeper").says("QUIT").hears("+OK");
}

#[test]
fn neither_the_server_nor_who_is_told_passwords_leaves_a_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("check");
    fs::write(&program, "#!/bin/sh\ngrep core /proc/self/limits > \"$0.limits\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let limits = |path: &Path| -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        line.split_whitespace().take(2).map(|limit| limit.parse().unwrap_or(u64::MAX)).collect()
    };
    let own = limits(Path::new("/proc/self/limits"));
    let mail = Mail::default();
    for (confine, may_dump) in [("", false), ("[confine]\ncore_dumps = true\n", true)] {
        let config = format!("checkpassword = {program:?}\n{confine}");
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        Client::login(server.address(), "nobody").says("QUIT").hears("+OK");
        let of_server = format!("/proc/{}/limits", server.pid());
        for path in [folder.path().join("check.limits"), of_server.into()] {
            let found = limits(&path);
            // With 1 not even the program is started that takes dumps.
            assert!(if may_dump { found == own } else { found.iter().all(|&limit| limit <= 1) }, "{found:?}");
        }
    }
}

#[test]
fn a_log_is_opened_as_whom_the_server_becomes() {
    if !rustix::process::geteuid().is_root() {
        println!("not shown: it takes root");
        return;
    }
    let mail = Mail::default();
    gives(mail.path());
    let above = tempfile::tempdir().unwrap();
    fs::set_permissions(above.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (theirs, ours) = (above.path().join("theirs"), above.path().join("ours"));
    for folder in [&theirs, &ours] {
        fs::create_dir(folder).unwrap();
    }
    gives(&theirs);
    let config = |log: &Path| format!("user = \"{NOBODY}\"\ngroup = \"{NOBODY}\"\n[log]\nfile = {log:?}\n");
    // In a folder of the user's, and in one of root's.
    for log in [theirs.join("log"), ours.join("log")] {
        let (config, state) = (config(&log), above.path().join("state"));
        let options = Options { config: &config, log: Some(&log), state: Some(&state), ..Options::default() };
        let server = Server::with(&mail, &options);
        assert_eq!(fs::metadata(&log).unwrap().uid(), NOBODY);
        server.signal(Signal::HUP);
        server.logs("SIGHUP: log opened anew");
    }
    // A link that the user has left there, to a file of root's.
    let (secret, link) = (ours.join("secret"), theirs.join("link"));
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&secret, &link).unwrap();
    let (status, said) = fails_to_start_with(&mail, &ours, &config(&link));
    assert!(status.code() == Some(66) && said.contains("cannot write the log"), "{said}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "x");
}

#[test]
fn what_is_written_elsewhere_is_refused() {
    // Beneath the temporary folder everything may be written, so that the forbidden place is elsewhere.
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let permitted = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mail = Mail::maildir("user", &["x\n"]);
    let config = format!(
        "transform = [\"sh -c 'cat; touch {}/a {}/b 2>/dev/null; true'\"]\n[confine]\nlandlock = true\nwrite = [\"{}\"]\n",
        elsewhere.path().display(),
        permitted.path().display(),
        permitted.path().display(),
    );
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut client = Client::login(server.address(), "user");
    client.says("RETR 1").hears("+OK");
    assert_eq!(client.body().unwrap(), b"x\r\n");
    client.says("DELE 1").hears("+OK");
    client.says("QUIT").hears("+OK");
    assert!(mail.files("user").is_empty());
    assert!(permitted.path().join("b").exists());
    if server.log().contains("no Landlock") {
        println!("not shown: this kernel has no Landlock");
        return;
    }
    server.logs("Landlock");
    assert!(!elsewhere.path().join("a").exists());
}

#[test]
fn a_log_behind_a_link_is_opened_anew_where_writing_is_bounded() {
    // Not beneath the temporary folder, where everything may be written.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (links, logs) = (folder.path().join("links"), folder.path().join("logs"));
    fs::create_dir(&links).unwrap();
    fs::create_dir(&logs).unwrap();
    let (link, log) = (links.join("log"), logs.join("log"));
    symlink(&log, &link).unwrap();
    let mail = Mail::flat("user", &["x\n"]);
    let config = format!("[log]\nfile = {link:?}\n[confine]\nlandlock = true\n");
    let server = Server::with(&mail, &Options { config: &config, log: Some(&log), ..Options::default() });
    let moved = logs.join("log.1");
    fs::rename(&log, &moved).unwrap();
    server.signal(Signal::USR1);
    wait_until("the log is there again, or the old one says why not", || {
        log.exists() || fs::read_to_string(&moved).unwrap().contains("Permission denied")
    });
    assert!(log.exists());
}

//! Wrong arguments and configurations: one line on standard error that names the thing, a status of sysexits, and
//! nothing started.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn pop3d(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pop3d")).args(arguments).output().unwrap()
}

/// The status and the one line that is said.
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = pop3d(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches('\n').count(), 1, "{said}");
    assert!(said.starts_with("pop3d: "), "{said}");
    (output.status.code().unwrap(), said)
}

fn mail() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

fn check(text: &str) -> Output {
    let folder = mail();
    let file = folder.path().join("pop3d.toml");
    write_for_its_owner(&file, text.replace("MAIL", path(folder.path())).as_bytes());
    // What this machine's server keeps is not looked at.
    let state = folder.path().join("state");
    let own_state = if text.contains("state = ") { &[][..] } else { &["--state", path(&state)] };
    pop3d(&[&["--check", "-c", path(&file)], own_state].concat())
}

/// Writes a file that nobody else can read, so that nothing is to be said of that.
fn write_for_its_owner(file: &Path, octets: &[u8]) {
    fs::write(file, octets).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, named) in [
        (&["--verbos"][..], "--verbos"),
        (&["-p", "70000"], "70000"),
        (&["-p", "-1"], "-1"),
        (&["-T", "x"], "x"),
        (&["-T", "86401"], "86401"),
        (&["-u", "nocolon"], "name:password"),
        (&["-u", "a/b:x"], "user name"),
        (&["-u", ".hidden:x"], "user name"),
        (&["-u", ":x"], "user name"),
        (&["extra"], "extra"),
        (&["transform"], "requires a subcommand"),
        (&["transform"], "list, check, bench"),
        (&["passwd", "ann"], "--config <FILE.toml>|--file <FILE>"),
        (&["-u", "user:pass"], "--mailbox"),
    ] {
        let (status, said) = refused(arguments);
        assert_eq!(status, 64, "{said}");
        assert!(said.contains(named), "{said}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for (argument, part) in [("-h", "--mailbox"), ("--help", "--transform"), ("-V", "pop3d 0.")] {
        let output = pop3d(&[argument]);
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(part));
    }
}

#[test]
fn a_mail_folder_that_cannot_be_read_is_named() {
    let folder = mail();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for missing in [folder.path().join("missing"), file] {
        let (status, said) = refused(&["-u", "user:pass", "-m", path(&missing)]);
        assert_eq!(status, 66, "{said}");
        assert!(said.contains(path(&missing)), "{said}");
    }
}

#[test]
fn a_mail_folder_that_cannot_be_entered_is_named() {
    let (folder, state) = (mail(), mail());
    let permit = |folder: &Path, mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    permit(state.path(), 0o755);
    let file = state.path().join("pop3d.toml");
    // Modes mean nothing to root.
    let is_root = rustix::process::geteuid().is_root();
    let user = if is_root { "user = \"65534\"\ngroup = \"65534\"\n" } else { "" };
    write_for_its_owner(&file, format!("{user}[users]\na = \"b\"\n").as_bytes());
    permit(folder.path(), if is_root { 0o744 } else { 0o600 });
    let arguments = ["-c", path(&file), "-m", path(folder.path()), "--state", path(state.path())];
    for further in [&["--check"][..], &[]] {
        let (status, said) = refused(&[&arguments[..], further].concat());
        assert_eq!(status, 66, "{said}");
        assert!(said.contains(path(folder.path())) && said.contains("read and enter it"), "{said}");
    }
    permit(folder.path(), 0o755);
}

#[test]
fn a_server_that_nobody_could_log_in_to_does_not_start() {
    let folder = mail();
    let (status, said) = refused(&["-m", path(folder.path())]);
    assert_eq!(status, 78, "{said}");
    assert!(said.contains("--user"), "{said}");
}

#[test]
fn a_port_in_use_is_named() {
    let folder = mail();
    // One of IPv4 alone is in the way of all addresses as well.
    for address in ["127.0.0.1:0", "[::]:0"] {
        let other = TcpListener::bind(address).unwrap();
        let port = other.local_addr().unwrap().port().to_string();
        let (status, said) = refused(&["-u", "user:pass", "-m", path(folder.path()), "-p", &port]);
        assert_eq!(status, 69, "{said}");
        assert!(said.contains(&port) && said.contains("--pop3-port"), "{said}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let (status, said) = refused(&["-c", "does/not/exist.toml"]);
    assert_eq!(status, 66, "{said}");
    assert!(
        said.contains("does/not/exist.toml") && said.contains("make it, or name another by --config"),
        "{said}"
    );
}

#[test]
fn check_says_what_is_wrong_with_line_and_column() {
    for (text, place, named) in [
        ("mailbox = \"MAIL\"\nfoo = 1\n", ":2:1: ", "foo"),
        ("mailbox = \"MAIL\"\n[users]\n\"a/b\" = \"x\"\n", ":3:1: ", "user name"),
        ("mailbox = \"MAIL\"\n[users]\na = \"{ROT13}x\"\n", ":3:5: ", "scheme"),
        ("mailbox = \"MAIL\"\n[users]\na = 1\n", ":3:5: ", "quotes"),
        ("timeout = \"soon\"\n", ":1:11: ", "30s"),
        ("timeout = \"10M\"\n[users]\na = \"b\"\n", ":1:11: ", "at most 24h; \"m\" is for minutes"),
        ("timeout = 0\nlogin_timeout = 86401\n[users]\na = \"b\"\n", ":2:17: ", "at most 24h"),
        ("[peep.admins]\n\"a/b\" = \"x\"\n", ":2:1: ", "of an administrator have 1 to 128 octets"),
        ("listen = [\"localhost\"]\n", ":1:11: ", "127.0.0.1:1110"),
        ("[limits]\nslow_reader_rate = \"2GiB\"\n[users]\na = \"b\"\n", ":2:20: ", "1GiB"),
        ("[limits]\nfailed_login_delay = \"61s\"\n[users]\na = \"b\"\n", ":2:22: ", "1m"),
        ("listen = []\n[users]\na = \"b\"\n", ":1:10: ", "no address"),
        ("listen = [\"[::1]:1\", \"[::1]:1\"]\n[users]\na = \"b\"\n", ":1:22: ", "twice"),
        (
            "transform = [\"cat\", \"no-such-program\"]\nmailbox = \"MAIL\"\n[users]\na = \"b\"\n",
            ":1:21: ",
            "no-such",
        ),
        ("transform = \"x.wasm\"\nmailbox = \"MAIL\"\n[users]\na = \"b\"\n", ":1:13: ", "x.wasm"),
        ("[transforms.x]\ncommand = \"\"\n[users]\na = \"b\"\n", ":2:11: ", "command"),
        ("[transforms.x]\nkind = \"native\"\ncommand = \"cat\"\n", ":1:1: ", "file"),
        ("[log]\nlevel = \"loud\"\n[users]\na = \"b\"\n", ":2:9: ", "level"),
        ("mailbox = \"MAIL\"\ncheckpassword = \"/no/such /bin/true\"\n", ":2:17: ", "no program /no/such"),
        ("mailbox = \"MAIL\"\n[oauth]\nprogram = \"/no/such\"\n", ":3:11: ", "no program /no/such"),
        (
            "mailbox = \"MAIL\"\n[users]\na = \"b\"\n[transforms.x]\ncommand = \"cat\"\ncwd = \"/no/such\"\n",
            ":6:7: ",
            "no folder /no/such",
        ),
        (
            "listen = [\"[::]:4000\"]\n[users]\na = \"b\"\n[peep]\nlisten = [\"127.0.0.1:4000\"]\nadmins = { b = \"c\" }\n",
            ":5:11: ",
            "taken by [::]:4000 of listen",
        ),
        ("listen = [\"[::]:4000\", \"0.0.0.0:4000\"]\n[users]\na = \"b\"\n", ":1:24: ", "another port"),
        ("x", ":1:", "pop3d.toml"),
    ] {
        let output = check(text);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}: {said}");
        assert_eq!(said.matches('\n').count(), 1, "{said}");
        assert!(said.contains(place) && said.contains(named), "{text}: {said}");
    }
}

#[test]
fn check_loads_plugins_and_says_which_cannot_be_used() {
    let folder = mail();
    let plugin = |name: &str| {
        let file = folder.path().join(name);
        fs::write(&file, "no code\n").unwrap();
        path(&file).to_owned()
    };
    let (native, guest) = (plugin("x.so"), plugin("y.wasm"));
    for (text, place, named) in [
        (format!("[transforms.z]\nfile = {native:?}\n"), ":3:8: ", "the transform z cannot be used"),
        (format!("[transforms.z]\nfile = {native:?}\nisolation = \"none\"\n"), ":3:8: ", "no shared library"),
        (format!("transform = [\"cat\", {guest:?}]\n"), ":2:21: ", "the transform y cannot be used"),
        (format!("transform = \"x\"\ntransform_dir = {:?}\n", path(folder.path())), ":2:13: ", "x.so"),
        // What nothing names is found as well.
        (format!("transform_dir = {:?}\n", path(folder.path())), "the transform x cannot be used: ", "x.so"),
    ] {
        let output = check(&format!("mailbox = \"MAIL\"\n{text}[users]\na = \"b\"\n"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}: {said}");
        assert_eq!(said.matches('\n').count(), 1, "{said}");
        assert!(said.contains(place) && said.contains(named), "{text}: {said}");
    }
}

#[test]
fn check_says_what_is_wrong_with_the_accounts_file_by_line() {
    let folder = mail();
    let file = folder.path().join("accounts");
    let text = format!("mailbox = \"MAIL\"\naccounts = \"{}\"\n", path(&file));
    let output = check(&text);
    assert_eq!(output.status.code(), Some(66), "{output:?}");
    for (accounts, place, named) in [
        ("# x\n\nuser:{ARGON2ID}x\n", ":3:1: ", "argon2id"),
        ("user:{PLAIN}x\nuser:{PLAIN}y\n", ":2:1: ", "further up"),
        ("user:pass\n", ":1:1: ", "{PLAIN}"),
        ("../user:{PLAIN}x\n", ":1:1: ", "user name"),
    ] {
        fs::write(&file, accounts).unwrap();
        let output = check(&text);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(&format!("{}{place}", path(&file))) && said.contains(named), "{said}");
    }
    fs::write(&file, "user:{PLAIN}x\n").unwrap();
    assert!(check(&text).status.success());
}

#[test]
fn check_finds_a_log_that_cannot_be_written_and_makes_none() {
    let folder = mail();
    let log = |name: &str| folder.path().join(name);
    let text = |file: &Path| {
        format!("mailbox = \"MAIL\"\nallow_root = true\n[users]\na = \"b\"\n[log]\nfile = {file:?}\n")
    };
    for (file, named) in [
        (log("none/log"), "make its folder, or name another file"),
        (folder.path().to_owned(), "Is a directory"),
        ("".into(), "[log] file names no file; leave it out"),
    ] {
        let output = check(&text(&file));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(66) && said.contains(named), "{said}");
        assert_eq!(said.matches('\n').count(), 1, "{said}");
    }
    // What is read is not written into.
    let file = log("accounts");
    fs::write(&file, "").unwrap();
    let output = check(&format!("accounts = {file:?}\n{}", text(&file)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(78) && said.contains("which the server reads"), "{said}");
    let output = check(&text(&log("log")));
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // A pipe without a reader is not waited for.
    assert!(Command::new("mkfifo").arg(log("pipe")).status().unwrap().success());
    let output = check(&text(&log("pipe")));
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(!log("log").exists());
}

#[test]
fn check_warns_of_what_a_start_warns_of_once_it_meets_it() {
    let folder = mail();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = check(&format!(
        "mailbox = \"MAIL\"\nallow_root = true\nstate = {file:?}\ntransform_dir = {file:?}\n[users]\na = \"b\"\n[peep]\nsocket = {file:?}\n"
    ));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let told: Vec<_> = said.lines().collect();
    assert_eq!(told.len(), 3, "{said}");
    for (line, part) in told.iter().zip([
        "the state folder ",
        "no socket for PEEP at ",
        "/file cannot be read: Not a directory",
    ]) {
        assert!(line.starts_with("pop3d: warning: ") && line.contains(part), "{said}");
    }
}

#[test]
fn check_warns_of_each_file_of_the_state_folder_that_a_start_warns_of() {
    let folder = mail();
    let state = folder.path().join("state");
    for name in ["owner", "names"] {
        fs::create_dir_all(state.join(name)).unwrap();
    }
    fs::write(state.join("statistics"), "no number\n").unwrap();
    fs::write(state.join("peep.sock"), "somebody's").unwrap();
    let text = |socket: &str| {
        format!(
            "mailbox = \"MAIL\"\nallow_root = true\nstate = {state:?}\n[users]\na = \"b\"\n[peep]\n{socket}"
        )
    };
    let told = |text: &str| {
        let output = check(text);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = told(&text(""));
    let parts = ["Is a directory", "statistics, line 1: ", "names: it cannot be read: not a regular file"];
    assert_eq!(lines.len(), parts.len(), "{lines:?}");
    for (line, part) in lines.iter().zip(parts) {
        assert!(line.starts_with("pop3d: warning: ") && line.contains(part), "{lines:?}");
    }
    assert_eq!(fs::read_dir(&state).unwrap().count(), 4);
    fs::remove_dir(state.join("owner")).unwrap();
    let lines = told(&text(""));
    assert!(lines[0].contains("/state/peep.sock: File exists"), "{lines:?}");
    let lines = told(&text(&format!("socket = \"/{}\"\n", "x".repeat(105))));
    assert!(lines[0].contains("no socket for PEEP at /xxx") && lines[0].contains("SUN_LEN"), "{lines:?}");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 3);
}

#[test]
fn check_warns_of_what_is_written_and_has_no_effect() {
    let folder = mail();
    let file = folder.path().join("pop3d.toml");
    let text = "allow_root = true\n[users]\na = \"b\"\n[peep]\ntls_listen = [\"127.0.0.1:0\"]\n\
                [confine]\nlandlock = true\nwrite = [\"/no/such\"]\n";
    write_for_its_owner(&file, text.as_bytes());
    let (mail, state) = (path(folder.path()), folder.path().join("state"));
    let output =
        pop3d(&["--check", "-c", path(&file), "-m", mail, "--state", path(&state), "--tls-self-signed"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let told: Vec<_> = said.lines().collect();
    assert_eq!(told.len(), 2, "{said}");
    for (line, part) in
        told.iter().zip(["tls_listen in [peep] without an administrator", "there is no folder /no/such"])
    {
        assert!(line.starts_with("pop3d: warning: ") && line.contains(part), "{said}");
    }
}

#[test]
fn want_of_descriptors_is_no_fault_of_any_file() {
    let folder = mail();
    let (file, state) = (folder.path().join("pop3d.toml"), folder.path().join("state"));
    write_for_its_owner(&file, b"allow_root = true\n[users]\na = \"b\"\n");
    fs::create_dir(&state).unwrap();
    write_for_its_owner(&state.join("statistics"), b"x 1\n");
    let arguments = ["--check", "-c", path(&file), "-m", path(folder.path()), "--state", path(&state)];
    let said_with = |files: u32| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_pop3d")]);
        let output = shell.args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for files in 4..64 {
        let (status, said) = said_with(files);
        match status {
            0 => assert_eq!(said, "", "{files}"),
            status => {
                assert_eq!((status, said.matches('\n').count()), (71, 1), "{files}: {said}");
                assert!(said.contains("raise the limit of open files"), "{files}: {said}");
            }
        }
    }
}

#[test]
fn a_password_is_never_repeated() {
    for arguments in
        [&["-u", "a/b:tanstaaf"][..], &["-u", "tanstaaf"], &["-utanstaaf"], &["-u", "a:tanstaaf"]]
    {
        let (_, said) = refused(arguments);
        assert!(!said.contains("tanstaaf"), "{said}");
    }
}

#[test]
fn nobody_need_be_reading() {
    // What stands at the other end of standard output and standard error has gone.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = |argument: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pop3d"));
        command.arg(argument).stdout(writer.try_clone().unwrap()).stderr(writer.try_clone().unwrap());
        command.status().unwrap().code()
    };
    assert_eq!(status("--help"), Some(0));
    assert_eq!(status("--verbos"), Some(64));
}

#[test]
fn check_is_content_with_what_is_right_and_starts_nothing() {
    let output = check(
        "mailbox = \"MAIL\"\nallow_root = true\ntransform = [\"cat\", \"x\"]\n[users]\na = \"b:c\"\n[transforms.x]\ncommand = [\"cat\"]\n",
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn check_warns_of_passwords_that_are_refused_or_empty_and_shows_none() {
    let folder = mail();
    let (file, accounts) = (folder.path().join("pop3d.toml"), folder.path().join("accounts"));
    let config = "mailbox = \"MAIL\"\naccounts = \"MAIL/accounts\"\nallow_root = true\n[users]\nann = \"\"\nbob = \"tanstaaf\u{E000}\"\n\
                  eve = { password = \"right\", app_passwords = { tv = \"{PLAIN}\" } }\n";
    write_for_its_owner(&file, config.replace("MAIL", path(folder.path())).as_bytes());
    write_for_its_owner(&accounts, b"carl:{PLAIN}tanstaaf\xFC\ndora:{PLAIN}right\nfinn:{PLAIN}\n");
    let user = OsString::from_vec(b"gil:tanstaaf\xFC".to_vec());
    let arguments: [&OsStr; 5] = ["--check".as_ref(), "-c".as_ref(), file.as_ref(), "-u".as_ref(), &user];
    let output = Command::new(env!("CARGO_BIN_EXE_pop3d")).args(arguments).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let nobody = "is refused wherever it is sent (PASS, PLAIN, LOGIN): it is no UTF-8, or has a character that SASLprep prohibits";
    let everybody = "is empty: whoever knows the name can log in";
    let (file, accounts) = (file.display(), accounts.display());
    let expected = [
        format!("pop3d: warning: {accounts}:1:1: the password of carl {nobody}"),
        format!("pop3d: warning: {accounts}:3:1: the password of finn {everybody}"),
        format!("pop3d: warning: {file}:5:7: the password of ann {everybody}"),
        format!("pop3d: warning: {file}:6:7: the password of bob {nobody}"),
        format!("pop3d: warning: {file}:7:52: the app password tv of eve {everybody}"),
        format!("pop3d: warning: --user: the password of gil {nobody}"),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_example_is_right() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mail = format!("{root}/examples/mail");
    let output = pop3d(&["--check", "-c", &format!("{root}/examples/pop3d.toml"), "-m", &mail]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

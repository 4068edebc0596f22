//! A server of the built program, for one test.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::programs_of;
use crate::{Mail, wait_until};

/// What a server is started with.
#[derive(Default)]
pub struct Options<'a> {
    /// Further arguments.
    pub arguments: &'a [&'a str],
    /// A configuration file.
    pub config: &'a str,
    /// What a shell does before, such as `ulimit`.
    pub before: &'a str,
    /// The log, where the configuration names a file.
    pub log: Option<&'a Path>,
    /// The state folder; a temporary one where there is none.
    pub state: Option<&'a Path>,
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    folder: TempDir,
}

/// The accounts of every server; the password of each is "pass".
const USERS: [&str; 6] = ["user", "other", "a", "b", "c", "d"];

impl Server {
    /// A server of this mail with these arguments.
    #[must_use]
    pub fn start(mail: &Mail, arguments: &[&str]) -> Self {
        Self::with(mail, &Options { arguments, ..Options::default() })
    }

    /// A server whose messages pass through the transform "filter", given by the keys of its table.
    #[must_use]
    pub fn filtering(mail: &Mail, keys: &str) -> Self {
        let config = format!("transform = \"filter\"\n[transforms.filter]\n{keys}\n");
        Self::with(mail, &Options { config: &config, ..Options::default() })
    }

    /// A server of this mail.
    #[must_use]
    pub fn with(mail: &Mail, options: &Options<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stderr = folder.path().join("log");
        let log = options.log.map_or_else(|| stderr.clone(), Path::to_owned);
        let state = options.state.map_or_else(|| folder.path().join("state"), Path::to_owned);
        let config = folder.path().join("pop3d.toml");
        fs::write(&config, options.config).unwrap();
        let mut command = command(mail, options.before, &state, &config);
        command.args(options.arguments);
        let stderr = File::create(stderr).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let mut server = Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), log, folder };
        let mut port = None;
        wait_until("the server listens", || {
            let log = server.log();
            assert!(server.child.try_wait().unwrap().is_none(), "the server ended: {log}");
            let line = log.lines().find_map(|line| line.split_once("listening on "));
            port =
                line.and_then(|(_, address)| address.rsplit(':').next()).and_then(|port| port.parse().ok());
            port.is_some()
        });
        server.address.set_port(port.unwrap());
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for administrators by TCP.
    #[must_use]
    pub fn peep_address(&self) -> SocketAddr {
        let mut address = None;
        wait_until("the server listens for administrators", || {
            let log = self.log();
            let mut places = log.lines().filter_map(|line| line.split_once("PEEP: listening on "));
            address = places.find_map(|(_, place)| place.parse().ok());
            address.is_some()
        });
        address.unwrap()
    }

    /// Where it listens for POP3 in TLS.
    #[must_use]
    pub fn pop3s_address(&self) -> SocketAddr {
        let mut address = self.address;
        wait_until("the server listens for POP3S", || {
            let log = self.log();
            let mut places = log.lines().filter_map(|line| line.split_once("POP3S: listening on "));
            let port = places.find_map(|(_, place)| place.rsplit(':').next()?.parse().ok());
            port.inspect(|&port| address.set_port(port)).is_some()
        });
        address
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("pop3d.toml")
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        // Not made yet, or moved away by the test.
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has logged this: its log is written by a thread of its own, a moment after what it tells of.
    pub fn logs(&self, said: &str) {
        wait_until(said, || self.log().contains(said));
    }

    /// Its state folder, where none was given.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// How many processes it has started that are there still, as zombies too.
    #[must_use]
    pub fn children(&self) -> usize {
        self.child_numbers().len()
    }

    /// The numbers of these processes.
    #[must_use]
    pub fn child_numbers(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        let numbers = |children: String| -> Vec<u32> {
            children.split_whitespace().map(|number| number.parse().unwrap()).collect()
        };
        children.flat_map(numbers).collect()
    }

    /// How many descriptors it has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The most memory that it had, in KiB.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory that it has, in KiB.
    #[must_use]
    pub fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// What a server says that does not start with this state folder, and its exit status.
#[must_use]
pub fn fails_to_start(mail: &Mail, state: &Path) -> (ExitStatus, String) {
    fails_to_start_with(mail, state, "")
}

/// The same with a configuration.
#[must_use]
pub fn fails_to_start_with(mail: &Mail, state: &Path, config: &str) -> (ExitStatus, String) {
    let path = state.join("pop3d.toml");
    fs::write(&path, config).unwrap();
    let output = command(mail, "", state, &path).output().unwrap();
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What `--check` says of a configuration, and its exit status.
///
/// # Panics
/// Where it cannot be run.
#[must_use]
pub fn checked(mail: &Mail, config: &str) -> (ExitStatus, String) {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("pop3d.toml");
    fs::write(&path, config).unwrap();
    let output = command(mail, "", state.path(), &path).arg("--check").output().unwrap();
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The program with what every server is started with.
fn command(mail: &Mail, before: &str, state: &Path, config: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("{before}\nexec \"$0\" \"$@\"")).arg(program());
    command.arg("-m").arg(mail.path()).args(["-p", "0"]);
    command.arg("--state").arg(state).arg("-c").arg(config);
    for user in USERS {
        command.arg("-u").arg(format!("{user}:pass"));
    }
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is killed can end nothing itself.
        let programs = programs_of(self.pid());
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        programs.kill();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// The program under test: `POP3D_PROGRAM`, or the one that cargo builds here.
#[must_use]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| found("POP3D_PROGRAM", "pop3d"))
}

/// The admin client: `PEEPCLIENT_PROGRAM`, or the one that cargo builds here.
#[must_use]
pub fn peepclient() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| found("PEEPCLIENT_PROGRAM", "peepclient"))
}

fn found(variable: &str, package: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Some(program) = std::env::var_os(variable) {
        return root.join(program);
    }
    built(package)
}

/// What `cargo build --workspace` makes under this name.
///
/// # Panics
/// Where it does not build.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // As `cargo test --workspace` builds it: else what it depends on is built again with other features.
    let build = ["build", "--quiet", "--workspace", "--all-targets"];
    let mut command = Command::new(cargo);
    command.current_dir(&root).args(build);
    // What tells this test whose it is would have dependencies with build scripts that ask for it, such as ring, and all
    // that depends on them, built again: here, and for the next `cargo test` once more.
    let of_test = |name: &OsString| {
        let name = name.as_encoded_bytes();
        [&b"CARGO_PKG_"[..], b"CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
    };
    for name in std::env::vars_os().map(|(name, _)| name).filter(of_test) {
        command.env_remove(name);
    }
    assert!(command.status().unwrap().success(), "{name} does not build");
    // Beside the folder that this test is in: target/debug/deps.
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().nth(3).unwrap();
    target.join("debug").join(name)
}

//! Starts a child: finds its program, makes its pipes, its environment and its limits. Runs in the pool.
//!
//! The server is never forked: what is asked of `Command` here is what it can do by posix_spawn, whatever the
//! server's size. So there is no code between fork and exec. A shell sets its limits itself before it begins its line; for
//! all others, and to the octet, they are set from outside right after.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pop3d_core::transform::{Error, Message};
use rustix::fs::{Access, AtFlags, CWD, OFlags, accessat, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::Process;
use super::failure::Failure;
use crate::children::Owner;
use crate::environment::{environment, temporary};
use crate::queue::Place;
use crate::spec::{CommandLine, ProcessSpec};

/// Octets that the pipe of a child's output holds where the kernel permits: fewer turns for a long message.
const OUTPUT_PIPE: usize = 256 * 1024;

/// A message up to this size does not need a larger pipe than the kernel gives by itself.
const SHORT_MESSAGE: u64 = 64 * 1024;

/// Descriptors of one child.
const DESCRIPTORS_MAX: u64 = 256;

/// The shell of `CommandLine::Shell`.
const SHELL: &str = "/bin/sh";

/// Where a child's standard input comes from.
pub(super) enum Source {
    /// The message itself, at offset 0.
    File(File),
    /// What the cursor feeds.
    Pipe,
    /// The message has no octet.
    Nothing,
}

/// A child with our ends of its pipes, which never wait.
pub(super) struct Started {
    pub(super) owner: Owner,
    pub(super) stdin: Stdin,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// What is ours of a child's standard input.
pub(super) enum Stdin {
    /// Shares its offset with the child.
    File(File),
    Pipe(OwnedFd),
    Nothing,
}

/// Starts the child for a message.
pub(super) fn start(
    process: &Process,
    message: &Message,
    source: Source,
    place: Place,
) -> Result<Started, Failure> {
    let Process { spec, resources, record, .. } = process;
    let mut command = command(spec)?;
    command.env_clear().envs(temporary());
    let (name, path) = (&spec.name, &spec.path);
    command.envs(environment(name, resources.version, path, message, &spec.env, &spec.options));
    let unavailable = |error: io::Error| Failure::of_server(format!("no descriptors for a child: {error}"));
    let (stdin, theirs) = standard_input(source).map_err(unavailable)?;
    let (stdout, their_stdout) = output_pipe(message.octets > SHORT_MESSAGE).map_err(unavailable)?;
    let (stderr, their_stderr) = output_pipe(false).map_err(unavailable)?;
    command.stdin(theirs).stdout(their_stdout).stderr(their_stderr);

    let Some(permission) = resources.children.permission() else {
        return Err(Failure::of_server("the server stops".to_owned()));
    };
    let program = PathBuf::from(command.get_program());
    // Its ends of the pipes are in `command`, which is gone behind this: while they are open here, no end of file comes.
    let started = resources.children.start(move || command.spawn()).and_then(|started| started);
    let child = started.map_err(|error| refusal(&program, spec, &error))?;
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = number.ok_or_else(|| Failure::of_server("a child without a number".to_owned()))?;
    let owner = permission.adopt(pid, place, &resources.pool, record).map_err(unavailable)?;
    limit(pid, spec);
    Ok(Started { owner, stdin, stdout, stderr })
}

/// Whether the program of a spec is there. What a shell will start is not known.
///
/// # Errors
/// Where it is not, with what was looked for.
pub(crate) fn check(spec: &ProcessSpec) -> Result<(), String> {
    match &spec.command {
        CommandLine::Direct(words) => {
            let program = words.first().map_or("", String::as_str);
            find(program, spec).map(drop).map_err(|error| error.to_string())
        }
        CommandLine::Shell(_) => Ok(()),
    }
}

/// The program and its arguments. It leads a process group of its own.
fn command(spec: &ProcessSpec) -> Result<Command, Error> {
    let mut command = match &spec.command {
        CommandLine::Direct(words) => {
            let [program, arguments @ ..] = words.as_slice() else {
                return Err(Error::Permanent("no program is named".to_owned()));
            };
            let mut command = Command::new(find(program, spec)?);
            command.arg0(program).args(arguments);
            command
        }
        CommandLine::Shell(line) => {
            let mut command = Command::new(SHELL);
            command.arg("-c").arg(limits_in_shell(spec) + line);
            command
        }
    };
    command.current_dir(&spec.folder).process_group(0);
    Ok(command)
}

/// Where a program is: a name without "/" is looked for in PATH, another one seen from the child's folder.
fn find(program: &str, spec: &ProcessSpec) -> Result<PathBuf, Error> {
    let can_run = |path: &Path| accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    let mut found = None;
    let folders = if program.contains('/') { "" } else { &spec.path };
    for folder in folders.split(':') {
        let path = spec.folder.join(folder).join(program);
        if path.is_file() {
            if can_run(&path) {
                return Ok(path);
            }
            found = Some(path);
        }
    }
    Err(Error::Permanent(match found {
        Some(path) => format!("{} is not executable", path.display()),
        None => format!("no such program: {program}"),
    }))
}

fn standard_input(source: Source) -> io::Result<(Stdin, Stdio)> {
    match source {
        Source::File(file) => {
            let theirs = file.try_clone()?;
            Ok((Stdin::File(file), theirs.into()))
        }
        Source::Pipe => {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
            never_wait(&ours)?;
            Ok((Stdin::Pipe(ours), theirs.into()))
        }
        Source::Nothing => Ok((Stdin::Nothing, Stdio::null())),
    }
}

fn output_pipe(large: bool) -> io::Result<(OwnedFd, Stdio)> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    never_wait(&ours)?;
    if large {
        // Refused where this user's pipes hold too much already; the pipe works all the same.
        let _ = fcntl_setpipe_size(&ours, OUTPUT_PIPE);
    }
    Ok((ours, theirs.into()))
}

/// Only for our end: the child's is another open file, and waits as programs expect.
fn never_wait(ours: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(ours, fcntl_getfl(ours)? | OFlags::NONBLOCK)?)
}

fn refusal(program: &Path, spec: &ProcessSpec, error: &io::Error) -> Failure {
    let text = format!("cannot start {} in {}: {error}", program.display(), spec.folder.display());
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        // A lack that may pass: of processes, memory, descriptors; a program that is being written.
        Some(
            rustix::io::Errno::AGAIN
            | rustix::io::Errno::NOMEM
            | rustix::io::Errno::MFILE
            | rustix::io::Errno::NFILE
            | rustix::io::Errno::TXTBSY,
        ) => Failure::of_server(text),
        Some(rustix::io::Errno::IO) => Error::Temporary(text).into(),
        Some(_) | None => Error::Permanent(text).into(),
    }
}

/// `cpu` as it holds for a program.
pub(super) fn cpu_limit(spec: &ProcessSpec) -> Duration {
    Duration::from_secs((spec.cpu.as_secs() + u64::from(spec.cpu.subsec_nanos() > 0)).max(1))
}

/// Processor time in seconds: from when on a child is told to end, and when it is killed, should it ignore that.
fn seconds(spec: &ProcessSpec) -> (u64, u64) {
    let seconds = cpu_limit(spec).as_secs();
    (seconds, seconds.saturating_add(1))
}

/// The limits as a shell sets them (POSIX, `ulimit`; all but `-f` widely), in front of a line of its script. It says nothing of those
/// that are above its own: `limit` lowers them as far as they go.
fn limits_in_shell(spec: &ProcessSpec) -> String {
    let ((soft, hard), blocks) = (seconds(spec), spec.max_output.div_ceil(512));
    let memory =
        spec.memory.map_or_else(String::new, |octets| format!(" ulimit -v {};", octets.div_ceil(1024)));
    format!(
        "{{ ulimit -S -t {soft}; ulimit -H -t {hard}; ulimit -n {DESCRIPTORS_MAX}; ulimit -c 0; ulimit -f {blocks};{memory} }} \
         2>/dev/null; "
    )
}

/// Sets the child's limits. What a program starts before that is not bound; what it starts later is.
fn limit(pid: Pid, spec: &ProcessSpec) {
    let (soft, hard) = seconds(spec);
    lower(pid, Resource::Cpu, soft, hard);
    lower(pid, Resource::Nofile, DESCRIPTORS_MAX, DESCRIPTORS_MAX);
    lower(pid, Resource::Core, 0, 0);
    lower(pid, Resource::Fsize, spec.max_output, spec.max_output);
    if let Some(octets) = spec.memory {
        lower(pid, Resource::As, octets, octets);
    }
}

fn lower(pid: Pid, resource: Resource, soft: u64, hard: u64) {
    // The child has our limits, and a hard one is never raised.
    let bound = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(soft.min(bound)), maximum: Some(hard.min(bound)) };
    if let Err(error) = prlimit(Some(pid), resource, limit) {
        // It may be gone already, or have taken another user's rights.
        log::debug!(target: "pop3d::transform", "child {pid}: limit {resource:?} not set: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(path: &str, folder: &str) -> ProcessSpec {
        let command = CommandLine::Direct(vec!["cat".to_owned()]);
        ProcessSpec { path: path.to_owned(), folder: folder.into(), ..ProcessSpec::new("test", command) }
    }

    #[test]
    fn a_program_is_looked_for_in_path_or_seen_from_the_folder() {
        assert!(find("sh", &spec("/nowhere:/bin", "/")).is_ok_and(|path| path == Path::new("/bin/sh")));
        assert!(find("bin/sh", &spec("", "/")).is_ok_and(|path| path == Path::new("/bin/sh")));
        assert!(find("/bin/sh", &spec("", "/tmp")).is_ok_and(|path| path == Path::new("/bin/sh")));
        for (program, path) in
            [("sh", "/nowhere"), ("no-such-program", "/bin"), ("nowhere/sh", "/bin"), ("", "/bin")]
        {
            assert!(matches!(find(program, &spec(path, "/")), Err(Error::Permanent(_))), "{program}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_started_for_want_of_something_has_not_failed() {
        use rustix::io::Errno;
        let refusal = |errno: Errno| refusal(Path::new("/bin/cat"), &spec("/bin", "/"), &errno.into());
        for lack in [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::TXTBSY] {
            let Failure { error, is_its_own } = refusal(lack);
            assert!(matches!(error, Error::Temporary(_)) && !is_its_own, "{error}");
        }
        for (errno, is_permanent) in [(Errno::IO, false), (Errno::ACCESS, true), (Errno::NOEXEC, true)] {
            let Failure { error, is_its_own } = refusal(errno);
            assert!(is_its_own && matches!(error, Error::Permanent(_)) == is_permanent, "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_executable_is_no_program() {
        let Err(Error::Permanent(reason)) = find("passwd", &spec("/nowhere:/etc", "/")) else { panic!() };
        assert_eq!(reason, "/etc/passwd is not executable");
    }
}

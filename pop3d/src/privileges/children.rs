//! What the children of the server are without, beyond what it is without itself: programs that are transforms or know
//! passwords, and helper processes of plugins.
//!
//! A child is confined as the thread is that starts it, so that nothing is done between fork and exec. A helper process is
//! this program: it gives up more before it loads its plugin, and nearly all behind that where it is to be sealed.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError, Scope,
};
use libc::c_long;
use rustix::io::Errno;
use rustix::process::getpid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpOp, SeccompFilter, SeccompRule, TargetArch, apply_filter,
    apply_filter_all_threads,
};

use super::seccomp::{self, Calls, always, condition, filter, pointer, rule};
use super::{Confinement, RULES, Written, confine};

/// What no filter of mail does, and no program that knows passwords, though the server may.
const BEYOND_A_PROGRAM: &[c_long] = &[
    // Files past the rights of their folders, and the quotas of others.
    libc::SYS_name_to_handle_at,
    libc::SYS_quotactl_fd,
    // The memory of other processes.
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_process_mrelease,
];

/// The same, of one processor only: old ways into the kernel.
#[cfg(target_arch = "x86_64")]
const BEYOND_A_PROGRAM_HERE: &[c_long] =
    &[libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS_sysfs, libc::SYS__sysctl, libc::SYS_nfsservctl];
#[cfg(not(target_arch = "x86_64"))]
const BEYOND_A_PROGRAM_HERE: &[c_long] = &[];

/// What puts words into the terminal that the server was started from (`TIOCSTI`, `TIOCLINUX`).
const TYPING: [u64; 2] = [0x5412, 0x541C];

/// What a plugin in a helper process is without too: it has a thread or several, files, and connections of its own.
const BEYOND_A_PLUGIN: &[c_long] = &[
    // Programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Others that connect to it.
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Other processes.
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tkill,
    // Another user.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
];

/// The same, of one processor only.
#[cfg(target_arch = "x86_64")]
const BEYOND_A_PLUGIN_HERE: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const BEYOND_A_PLUGIN_HERE: &[c_long] = &[];

/// What a plugin does that takes octets and gives octets: it talks to the server by the socket that it has, has memory and
/// threads, asks for the time and for randomness, and ends. `clone3` is here since it is told to be absent already.
const OF_A_SEALED_PLUGIN: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The same, of one processor only: older names of what is above.
#[cfg(target_arch = "x86_64")]
const OF_A_SEALED_PLUGIN_HERE: &[c_long] = &[
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_pipe,
    libc::SYS_dup2,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OF_A_SEALED_PLUGIN_HERE: &[c_long] = &[];

/// `PR_SET_NAME` and `PR_SET_VMA`: names of threads and of memory.
const NAMING: [u64; 2] = [15, 0x5356_4D41];

/// `AT_EMPTY_PATH`: what is asked is about a descriptor, and no path.
const OF_A_DESCRIPTOR: u64 = 0x1000;

/// Has the kernel refuse this thread, and every child that it starts, what children are to be without; what is in force, for
/// the log. `temporary`: the folder that programs write in.
///
/// # Errors
/// Where it cannot be done.
pub(crate) fn confine_starter(confinement: &Confinement, temporary: &Path) -> io::Result<Vec<String>> {
    let mut told = Vec::new();
    if confinement.landlock {
        let further = confinement.write.iter().map(PathBuf::as_path);
        let folders: Vec<_> = std::iter::once(temporary).chain(further).collect();
        told.push(confine(&folders, Written::ByChildren).map_err(io::Error::other)?);
    }
    if confinement.seccomp {
        let mut calls = always(BEYOND_A_PROGRAM.iter().chain(BEYOND_A_PROGRAM_HERE));
        let count = calls.len();
        calls.insert(
            libc::SYS_ioctl,
            TYPING.map(|request| rule(1, SeccompCmpOp::Eq, request)).into_iter().collect::<Result<_, _>>()?,
        );
        // Setting the limits of another process, which the server may be. All may read them, by /proc as well; a process sets
        // its own by 0, as C libraries do: its number is not known to a filter that its children have too.
        let others = vec![condition(0, SeccompCmpOp::Ne, 0)?, pointer(2, SeccompCmpOp::Ne)?];
        let others = SeccompRule::new(others).map_err(io::Error::other)?;
        calls.insert(libc::SYS_prlimit64, vec![others]);
        calls.insert(
            libc::SYS_socket,
            vec![no_family_but(&[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK])?],
        );
        let what = format!("seccomp: {count} further system calls refused, and some uses of others");
        told.push(seccomp::apply(&[filter(calls, Errno::PERM)?], what)?);
    }
    if confinement.seal_plugins {
        told.push(if seccomp::is_in_force() {
            let count = sealed()?.1;
            format!("plugins are sealed: {count} system calls permitted, of no file and no connection")
        } else {
            "plugins are not sealed, for there is no seccomp filter".to_owned()
        });
    }
    Ok(told.into_iter().map(|what| format!("children: {what}")).collect())
}

/// The rule that holds for sockets of all other families: packets as they are, the kernel's ciphers, other machines beside
/// this one.
fn no_family_but(families: &[i32]) -> io::Result<SeccompRule> {
    let others =
        families.iter().map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())));
    SeccompRule::new(others.collect::<Result<_, _>>()?).map_err(io::Error::other)
}

/// The same for this helper process, where the server that started it has its filter.
///
/// # Errors
/// Where the filter cannot be made or applied.
pub(crate) fn confine_helper() -> io::Result<()> {
    if !seccomp::is_in_force() {
        return Ok(());
    }
    let mut calls = always(BEYOND_A_PLUGIN.iter().chain(BEYOND_A_PLUGIN_HERE));
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    calls.insert(libc::SYS_clone, vec![rule(0, SeccompCmpOp::MaskedEq(thread), 0)?]);
    // A process that aborts sends a signal to itself.
    let own = u64::from(getpid().as_raw_pid().cast_unsigned());
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        calls.insert(call, vec![rule(0, SeccompCmpOp::Ne, own)?]);
    }
    // Files of this machine, IPv4 and IPv6; no packets as they are, no talk with the kernel.
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let others = families.map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())));
    let others = SeccompRule::new(others.into_iter().collect::<Result<_, _>>()?);
    calls.insert(libc::SYS_socket, vec![others.map_err(io::Error::other)?]);
    apply_filter(&filter(calls, Errno::PERM)?).map_err(io::Error::other)
}

/// Keeps this helper process to the messages that it is told of, in all its threads, where the server that started it has its
/// filter: no file is opened any more, no connection made, and no memory becomes code.
///
/// # Errors
/// Where it cannot be done.
pub(crate) fn seal() -> io::Result<()> {
    if !seccomp::is_in_force() {
        return Ok(());
    }
    // Beside the filter, and of this thread and those that it starts, for Landlock knows no others.
    shut().map_err(io::Error::other)?;
    apply_filter_all_threads(&sealed()?.0).map_err(io::Error::other)
}

/// Landlock that permits nothing.
fn shut() -> Result<(), RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .handle_access(AccessNet::from_all(RULES))?
        .scope(Scope::from_all(RULES))?
        .create()?
        .restrict_self()
        .map(drop)
}

/// The program that permits a sealed plugin what it needs, and how many calls that are.
fn sealed() -> io::Result<(BpfProgram, usize)> {
    let mut calls: Calls = always(OF_A_SEALED_PLUGIN.iter().chain(OF_A_SEALED_PLUGIN_HERE));
    let names = NAMING.map(|what| rule(0, SeccompCmpOp::Eq, what));
    calls.insert(libc::SYS_prctl, names.into_iter().collect::<Result<_, _>>()?);
    calls.insert(
        libc::SYS_newfstatat,
        vec![rule(3, SeccompCmpOp::MaskedEq(OF_A_DESCRIPTOR), OF_A_DESCRIPTOR)?],
    );
    // Its own limits, to be read: of the stack, for threads.
    let own = [0, u64::from(getpid().as_raw_pid().cast_unsigned())].map(|process| {
        let reads = [condition(0, SeccompCmpOp::Eq, process)?, pointer(2, SeccompCmpOp::Eq)?];
        SeccompRule::new(reads.into()).map_err(io::Error::other)
    });
    calls.insert(libc::SYS_prlimit64, own.into_iter().collect::<Result<_, _>>()?);
    let code = u64::from(libc::PROT_EXEC.cast_unsigned());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.insert(call, vec![rule(2, SeccompCmpOp::MaskedEq(code), 0)?]);
    }
    let count = calls.len();
    let processor = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let refusal = SeccompAction::Errno(Errno::PERM.raw_os_error().cast_unsigned());
    let filter = SeccompFilter::new(calls, refusal, SeccompAction::Allow, processor);
    Ok((filter.and_then(BpfProgram::try_from).map_err(io::Error::other)?, count))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn confined() -> bool {
        !seccomp::confine().unwrap().starts_with("no seccomp filter")
    }

    #[test]
    fn a_helper_starts_no_program_and_may_abort() {
        let refused = std::thread::spawn(|| {
            if !confined() {
                return true;
            }
            confine_helper().unwrap();
            std::thread::spawn(|| {}).join().unwrap();
            let started = std::process::Command::new("/bin/true").status();
            let own = rustix::process::test_kill_process(getpid());
            let other = rustix::process::test_kill_process(rustix::process::Pid::INIT);
            let connected = std::net::TcpListener::bind("127.0.0.1:0");
            started.is_err() && own.is_ok() && other == Err(Errno::PERM) && connected.is_err()
        });
        assert!(refused.join().unwrap());
    }

    #[test]
    fn who_starts_programs_starts_them_with_less() {
        let refused = std::thread::spawn(|| {
            let confinement = Confinement { seccomp: true, ..Confinement::default() };
            if !confined() {
                return true;
            }
            let told = confine_starter(&confinement, Path::new("/tmp")).unwrap();
            assert!(told[0].starts_with("children: seccomp: "), "{told:?}");
            let limit = rustix::process::Rlimit { current: Some(1 << 20), maximum: Some(1 << 20) };
            let core = rustix::process::Resource::Core;
            let own = rustix::process::prlimit(None, core, limit);
            let other = rustix::process::prlimit(rustix::process::getppid(), core, limit);
            let status = std::process::Command::new("/bin/true").status().unwrap();
            own.is_ok() && other == Err(Errno::PERM) && status.success()
        });
        assert!(refused.join().unwrap());
    }

    #[test]
    fn plugins_are_said_to_be_sealed_only_where_they_are() {
        let told = |has_filter: bool| {
            let confinement = Confinement { seal_plugins: true, ..Confinement::default() };
            let thread = std::thread::spawn(move || {
                let is_sealed = has_filter && confined();
                (is_sealed, confine_starter(&confinement, Path::new("/tmp")).unwrap().concat())
            });
            thread.join().unwrap()
        };
        let (_, without) = told(false);
        assert_eq!(without, "children: plugins are not sealed, for there is no seccomp filter");
        let (is_sealed, with) = told(true);
        assert_eq!(with.starts_with("children: plugins are sealed: "), is_sealed, "{with}");
    }

    #[test]
    fn a_list_of_what_is_permitted_has_what_threads_and_memory_need() {
        // In a process of its own, for a seal holds in all threads: this test, run again.
        const SEALED: &str = "POP3D_TEST_IS_SEALED";
        if std::env::var_os(SEALED).is_none() {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", std::thread::current().name().unwrap(), "--nocapture"]).env(SEALED, "1");
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("as sealed as can be"), "{said}");
            return;
        }
        rustix::thread::set_no_new_privs(true).unwrap();
        let is_confined = confined();
        confine_helper().unwrap();
        let before = fs::File::open("/dev/zero").unwrap();
        seal().unwrap();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| vec![1_u8; 1 << 22].len())).collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 1 << 22));
        assert_eq!(io::Read::read(&mut &before, &mut [0; 10]).unwrap(), 10);
        if is_confined {
            assert!(fs::File::open("/etc/passwd").is_err() && fs::metadata("/etc").is_err());
            assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err());
        }
        eprintln!("as sealed as can be");
        std::process::exit(0);
    }
}

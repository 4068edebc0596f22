//! System calls that the kernel is to refuse to the server. What its threads are without is so for every program that they
//! start, so that the list names what neither of them needs, and nothing that an ordinary program does; children are without
//! more (`children.rs`).
//!
//! A list of what is permitted would break with the next C library. A refused call fails as if the rights for it were
//! missing (EPERM); where C libraries have another way to do the same they are told that there is no such call (ENOSYS).

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use rustix::io::Errno;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Calls by number; without a rule always, with some where one of them holds.
pub(super) type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// What neither a mail server nor a filter of mail does.
const FOREIGN: &[c_long] = &[
    // Other processes, from inside.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // What is mounted, and other views of the machine.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    // Files past the rights of their folders.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // The kernel itself, and parts of it that were often the way in.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// The same, of one processor only.
#[cfg(target_arch = "x86_64")]
const FOREIGN_HERE: &[c_long] = &[libc::SYS_iopl, libc::SYS_ioperm];
#[cfg(not(target_arch = "x86_64"))]
const FOREIGN_HERE: &[c_long] = &[];

/// What has another way: `clone`, whose flags can be looked at, and `read` and `write`.
const ABSENT: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Flags of `clone` for a namespace of its own: of mounts, cgroups, names, IPC, users, processes, network.
const NAMESPACES: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// Has the kernel refuse this thread, and what it starts, the calls above; what is in force, for the log.
///
/// # Errors
/// Where the filter cannot be made for this processor.
pub(super) fn confine() -> io::Result<String> {
    let mut foreign = always(FOREIGN.iter().chain(FOREIGN_HERE));
    let namespaces = NAMESPACES.map(|flag| rule(0, SeccompCmpOp::MaskedEq(flag), flag));
    foreign.insert(libc::SYS_clone, namespaces.into_iter().collect::<Result<_, _>>()?);
    let count = foreign.len() + ABSENT.len();
    let filters =
        [filter(foreign, Errno::PERM)?, filter(always(ABSENT.iter()), Errno::NOSYS)?, without_x32()];
    apply(&filters, format!("seccomp: {count} system calls refused"))
}

/// Applies filters to this thread and to what it starts; what is in force then.
///
/// # Errors
/// Where they cannot be.
pub(super) fn apply(filters: &[BpfProgram], told: String) -> io::Result<String> {
    for filter in filters.iter().filter(|filter| !filter.is_empty()) {
        match apply_filter(filter) {
            Ok(()) => {}
            // It serves as well without, as it does on a kernel without Landlock.
            Err(Error::Seccomp(error)) => return Ok(format!("no seccomp filter: {error}")),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(told)
}

/// Whether `confine` holds: without it there is nothing at the empty path, with it the way there is barred.
pub(crate) fn is_in_force() -> bool {
    rustix::process::chroot("") == Err(Errno::PERM)
}

pub(super) fn always<'calls>(calls: impl Iterator<Item = &'calls c_long>) -> Calls {
    calls.map(|&call| (call, Vec::new())).collect()
}

/// Whether an argument of a call is a pointer that leads somewhere (`Ne`) or nowhere (`Eq`).
pub(super) fn pointer(argument: u8, operator: SeccompCmpOp) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, 0).map_err(io::Error::other)
}

/// What holds for an argument of a call that has 32 bits.
pub(super) fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).map_err(io::Error::other)
}

pub(super) fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> io::Result<SeccompRule> {
    SeccompRule::new(vec![condition(argument, operator, value)?]).map_err(io::Error::other)
}

/// The program that refuses these calls by this error. Programs for another processor (of 32 bits) are killed by it: their
/// calls have other numbers.
pub(super) fn filter(calls: Calls, error: Errno) -> io::Result<BpfProgram> {
    let processor = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let refusal = SeccompAction::Errno(error.raw_os_error().cast_unsigned());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refusal, processor);
    filter.and_then(BpfProgram::try_from).map_err(io::Error::other)
}

/// The program that refuses the second numbers that x86-64 has for all calls, where a kernel knows them (x32).
#[cfg(target_arch = "x86_64")]
fn without_x32() -> BpfProgram {
    use seccompiler::sock_filter;

    /// The bit that tells them (`__X32_SYSCALL_BIT` of the kernel).
    const X32: u32 = 0x4000_0000;
    let absent = Errno::NOSYS.raw_os_error().cast_unsigned();
    // Load the number; if it is one of those, answer; else permit.
    let (load, is_at_least, answer) =
        (libc::BPF_LD | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JGE, libc::BPF_RET);
    [
        (load, 0, 0),
        (is_at_least, 1, X32),
        (answer, 0, libc::SECCOMP_RET_ALLOW),
        (answer, 0, libc::SECCOMP_RET_ERRNO | absent),
    ]
    .into_iter()
    .map(|(code, jump, k)| sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: jump, jf: 0, k })
    .collect()
}

/// Other processors have one number for a call.
#[cfg(not(target_arch = "x86_64"))]
fn without_x32() -> BpfProgram {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_refused_in_the_thread_that_asked_for_it() {
        let refused = std::thread::spawn(|| {
            let told = confine().unwrap();
            let is_without = told.starts_with("no seccomp filter");
            // A thread and a program start all the same, without clone3.
            std::thread::spawn(|| {}).join().unwrap();
            let status = std::process::Command::new("/bin/true").status().unwrap();
            assert!(status.success());
            is_without || is_in_force()
        });
        assert!(refused.join().unwrap());
        assert!(!is_in_force(), "other threads are as before");
    }
}

//! What `/proc` tells of processes that are no children of the server any more, or never were.

use std::fs;

use rustix::process::{Pid, Signal, kill_process_group};

/// The processes that have this text in their environment or among their arguments, whoever is their parent; those
/// that have ended are not among them.
#[must_use]
pub fn processes_with(mark: &str) -> Vec<Pid> {
    let has = |pid: Pid, file: &str| {
        let octets = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        octets.windows(mark.len()).any(|octets| octets == mark.as_bytes())
    };
    let own = rustix::process::getpid();
    // A process that has ended has neither.
    all().filter(|&pid| pid != own && (has(pid, "environ") || has(pid, "cmdline"))).collect()
}

/// Kills the programs that a server has started, each with its process group. To be asked for before the server ends:
/// then they are nobody's.
#[must_use]
pub(crate) fn programs_of(server: Pid) -> Programs {
    let is_child = |&pid: &Pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name may hold anything, ")" too; behind it come the state and the parent.
        let fields = status.rsplit_once(") ").map(|(_, fields)| fields);
        fields.and_then(|fields| fields.split(' ').nth(1)) == Some(&server.to_string())
    };
    Programs(all().filter(is_child).collect())
}

/// Programs that outlive their server where it is killed.
pub(crate) struct Programs(Vec<Pid>);

impl Programs {
    /// Kills them.
    pub(crate) fn kill(self) {
        for pid in self.0 {
            // Each leads a group of its own. It may have ended by itself.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// All processes of this machine.
fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

//! What the process gives up: the rights of root, rights that programs would gain, core dumps, writing outside of its
//! folders, and system calls that it has no use for. Each is given up before the first octet of a client is read.

pub(crate) mod children;
pub(crate) mod seccomp;

use std::env;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, fchown, lchown};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use nix::unistd::{Gid, Group, Uid, User, getgroups, setegid, seteuid, setgid, setgroups, setuid};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;

/// The newest rules of the kernel that are asked for; an older kernel keeps fewer.
const RULES: ABI = ABI::V6;

/// Whom the process becomes, once it has what only root can take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    user: Uid,
    group: Gid,
    /// As the configuration has it.
    name: String,
}

/// Why there is no identity: what is wrong, by whose name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum IdentityError {
    User(String),
    Group(String),
}

/// What else is given up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Confinement {
    /// Whether nothing is written but beneath some folders.
    pub(crate) landlock: bool,
    /// Further folders.
    pub(crate) write: Vec<PathBuf>,
    /// Where it reads from besides; none: from everywhere.
    pub(crate) read: Option<Vec<PathBuf>>,
    /// Whether the kernel refuses system calls that nothing here makes.
    pub(crate) seccomp: bool,
    /// Whether plugins in helper processes are kept to their messages, once they are loaded.
    pub(crate) seal_plugins: bool,
    /// Whether the process, and programs that are told passwords, may leave a core dump.
    pub(crate) core_dumps: bool,
    /// Whether programs may have the rights of their owners (set-user-ID).
    pub(crate) new_privileges: bool,
}

impl Identity {
    /// The identity of a user, by name or number, and of a group; without one, that of the user.
    ///
    /// # Errors
    /// Where there is none of that name, or the system does not say.
    pub(crate) fn new(user: &str, group: Option<&str>) -> Result<Self, IdentityError> {
        let failed = |error: nix::Error| format!("users cannot be looked up: {error}");
        let no_user =
            || IdentityError::User(format!("there is no user \"{user}\"; make it, or name another"));
        let no_group_of = || {
            IdentityError::User(format!(
                "there is no user \"{user}\" whose group could be taken; name a group too"
            ))
        };
        let no_group = |name: &str| {
            IdentityError::Group(format!("there is no group \"{name}\"; make it, or name another"))
        };
        let by_number = |text: &str| text.parse::<u32>().ok();
        let found = match by_number(user) {
            Some(number) => User::from_uid(Uid::from_raw(number)),
            None => User::from_name(user),
        };
        let found = found.map_err(|error| IdentityError::User(failed(error)))?;
        // A number is one also where nobody has a name for it.
        let number = found.as_ref().map(|found| found.uid).or_else(|| by_number(user).map(Uid::from_raw));
        let number = number.ok_or_else(no_user)?;
        let group = match group {
            Some(name) => match by_number(name) {
                Some(number) => Gid::from_raw(number),
                None => {
                    let found =
                        Group::from_name(name).map_err(|error| IdentityError::Group(failed(error)))?;
                    found.ok_or_else(|| no_group(name))?.gid
                }
            },
            None => found.ok_or_else(no_group_of)?.gid,
        };
        Ok(Self { user: number, group, name: user.to_owned() })
    }

    /// The name or number of the user.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives this user a file, which root has made.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn own(&self, file: &File) -> io::Result<()> {
        if !is_root() {
            return Ok(());
        }
        fchown(file, Some(self.user.as_raw()), Some(self.group.as_raw()))
    }

    /// Does something as this user, and is root again. Called before there is a second thread.
    ///
    /// # Errors
    /// Those of what is done, and where the system refuses.
    pub(crate) fn act<T>(&self, what: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !is_root() {
            return what();
        }
        let (groups, group) = (getgroups()?, Gid::effective());
        setgroups(&[])?;
        setegid(self.group)?;
        seteuid(self.user)?;
        let done = what();
        seteuid(Uid::from_raw(0))?;
        setegid(group)?;
        setgroups(&groups)?;
        done
    }

    /// Becomes this user, in all threads and for good: no group of before is left.
    ///
    /// # Errors
    /// Where the process is not root and another, or the system refuses.
    pub(crate) fn assume(&self) -> io::Result<()> {
        if !Uid::effective().is_root() {
            if (Uid::effective(), Gid::effective()) == (self.user, self.group) {
                return Ok(());
            }
            return Err(io::Error::other("only root can become another user"));
        }
        setgroups(&[])?;
        setgid(self.group)?;
        setuid(self.user)?;
        // Whoever could come back has not left.
        if !self.user.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err(io::Error::other("the rights of root are still there"));
        }
        Ok(())
    }
}

/// Makes the state folder, where there is none, for who is to own it: later the process could not.
///
/// # Errors
/// Those of the system.
pub(crate) fn make_folder(state: &Path, owner: Option<&Identity>) -> io::Result<()> {
    if state.exists() {
        return Ok(());
    }
    let is_for_another = owner.is_some() && is_root();
    if let Some(above) = state.parent() {
        // Who owns it must get there.
        let mode = if is_for_another { 0o755 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(above)?;
    }
    DirBuilder::new().mode(0o700).create(state)?;
    match owner {
        // Whoever could put a link there since gets the link.
        Some(owner) if is_for_another => lchown(state, Some(owner.user.as_raw()), Some(owner.group.as_raw())),
        Some(_) | None => Ok(()),
    }
}

/// Whether a file may be accessed by whom the process acts as for the moment.
///
/// # Errors
/// Why not.
pub(crate) fn permits(path: &Path, access: Access) -> io::Result<()> {
    match accessat(CWD, path, access, AtFlags::EACCESS) {
        // A kernel before 5.8 has no such call, and some sandboxes refuse what they do not know: as whom it was started, then.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Ok(rustix::fs::access(path, access)?),
        permitted => Ok(permitted?),
    }
}

/// Whether the process has the rights of root.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

impl Confinement {
    /// The further folders that are not there: the kernel takes none of them.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &Path> {
        self.write.iter().map(PathBuf::as_path).filter(|folder| self.landlock && !folder.exists())
    }

    /// Gives up what the whole process is to be without. Called before there is a second thread: it holds for this one
    /// and for those that it starts. Returns what is in force, for the log. `folders` are written and read in, `named` read.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn begin(&self, folders: &[&Path], named: &[PathBuf]) -> io::Result<Vec<String>> {
        let mut told = Vec::new();
        self.forbid_dumps()?;
        told.push(if self.core_dumps { "core dumps are permitted" } else { "no core dumps" }.to_owned());
        if self.new_privileges {
            told.push("programs may gain rights: new_privileges in [confine] is switched on".to_owned());
        } else {
            set_no_new_privs(true)?;
            told.push("no new privileges".to_owned());
        }
        if self.landlock {
            let further = self.write.iter().map(PathBuf::as_path);
            let folders: Vec<_> = folders.iter().copied().chain(further).collect();
            told.push(confine(&folders, Written::ByAll).map_err(io::Error::other)?);
            if let Some(read) = &self.read {
                // Helper processes are started from where this program is.
                let program = env::current_exe()?;
                let read = read.iter().chain(named).map(PathBuf::as_path).chain(program.parent());
                let read: Vec<_> = read.chain(folders).collect();
                told.push(confine_reading(&read).map_err(io::Error::other)?);
            }
        } else {
            told.push(
                "Landlock is switched off: landlock in [confine] has the kernel bound writing".to_owned(),
            );
        }
        if self.seccomp {
            told.push(seccomp::confine()?);
        } else {
            told.push("seccomp is switched off: every system call is permitted".to_owned());
        }
        Ok(told)
    }

    /// Leaves no core dump, which would hold secrets: neither of this process, which the kernel forgets when the user changes, nor
    /// of programs, some of which are told passwords.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn forbid_dumps(&self) -> io::Result<()> {
        if !self.core_dumps {
            set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
            // By a limit of 0 the kernel would start the program all the same that takes dumps, where there is one (core(5)).
            let most = getrlimit(Resource::Core).maximum.map_or(1, |most| most.min(1));
            setrlimit(Resource::Core, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        Ok(())
    }
}

/// By whom something is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Written {
    /// By the server, and by children.
    ByAll,
    /// By children, who send no signal to the server either.
    ByChildren,
}

/// The folder of memory that processes share by name (`shm_open`, `sem_open`), which is none of the devices beside it.
const SHARED_MEMORY: &str = "/dev/shm";

/// Has the kernel refuse every writing but beneath these folders, and to devices that are there; what is in force.
fn confine(folders: &[&Path], by: Written) -> Result<String, RulesetError> {
    let writing = AccessFs::from_write(RULES);
    let devices = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(writing)?;
    let ruleset = match by {
        Written::ByAll => ruleset,
        Written::ByChildren => ruleset.scope(Scope::Signal)?,
    };
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(folders, writing))?
        .add_rules(path_beneath_rules([SHARED_MEMORY], writing))?
        .add_rules(path_beneath_rules(["/dev"], devices & writing))?
        .restrict_self()?;
    let signals = match by {
        Written::ByAll => "",
        Written::ByChildren => ", signals to each other only",
    };
    let places = told(folders, &format!(" only{signals}"));
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => format!("Landlock: writes beneath {places}"),
        RulesetStatus::PartiallyEnforced => {
            format!("Landlock, as far as this kernel has it: writes beneath {places}")
        }
        RulesetStatus::NotEnforced => "no Landlock, for this kernel has none".to_owned(),
    })
}

/// Folders for the log, with what is said behind them. One that is not there is not permitted either, nor once it is.
fn told(folders: &[&Path], behind: &str) -> String {
    let (there, absent): (Vec<_>, Vec<_>) = folders.iter().partition(|folder| folder.exists());
    let named = |folders: Vec<&&Path>| {
        folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let without = if absent.is_empty() { String::new() } else { format!("; not there: {}", named(absent)) };
    format!("{}{behind}{without}", named(there))
}

/// What every program reads: libraries, names of users, zones, devices, what the system tells.
const SYSTEM: [&str; 10] =
    ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/dev", "/proc", "/sys"];

/// What of `/etc` may be a link to elsewhere, such as to `/run/systemd/resolve`: names of machines, users and zones.
const LINKED: [&str; 4] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime"];

/// What such files are read from: the folder of each, for files are replaced; the file alone where that folder is a whole
/// part of the system, such as `/run`.
fn behind(links: &[&str]) -> Vec<PathBuf> {
    let files = links.iter().filter_map(|link| Path::new(link).canonicalize().ok());
    files
        .filter_map(|file| match file.parent() {
            Some(folder) if folder.components().count() > 2 => Some(folder.to_owned()),
            Some(_) => Some(file),
            None => None,
        })
        .collect()
}

/// Has the kernel refuse every reading but beneath these folders and those of the system; what is in force.
fn confine_reading(folders: &[&Path]) -> Result<String, RulesetError> {
    let reading = AccessFs::from_read(RULES);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(reading)?
        .create()?
        .add_rules(path_beneath_rules(folders, reading))?
        .add_rules(path_beneath_rules(SYSTEM, reading))?
        .add_rules(path_beneath_rules(behind(&LINKED), reading))?
        .restrict_self()?;
    let places = told(folders, ", and the system's folders, only");
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {
            format!("Landlock: reads beneath {places}")
        }
        RulesetStatus::NotEnforced => "no Landlock, for this kernel has none".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_link_of_the_system_leads_to_is_read_by_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (link, file) = (folder.join("resolv.conf"), folder.join("run").join("resolve").join("stub.conf"));
        symlink(&file, &link).unwrap();
        let links = ["/no/such/link", link.to_str().unwrap()];
        assert!(behind(&links).is_empty(), "it leads nowhere yet");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        assert_eq!(behind(&links), [file.parent().unwrap()]);
        assert_eq!(behind(&["/etc/passwd"]), [Path::new("/etc/passwd")]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_to_be_none_that_is_permitted() {
        let [root, temporary, absent] = ["/", "/tmp", "/no/such/folder"].map(Path::new);
        assert_eq!(told(&[root, temporary], " only"), "/, /tmp only");
        assert_eq!(told(&[root, absent, temporary], " only"), "/, /tmp only; not there: /no/such/folder");
    }

    #[test]
    fn a_user_is_known_by_name_or_number() {
        let root = Identity::new("root", None).unwrap();
        assert_eq!((root.user, root.group, root.name()), (Uid::from_raw(0), Gid::from_raw(0), "root"));
        let other = Identity::new("4242424", Some("4242425")).unwrap();
        assert_eq!((other.user, other.group), (Uid::from_raw(4_242_424), Gid::from_raw(4_242_425)));
        assert_eq!(Identity::new("0", Some("root")).unwrap().group, Gid::from_raw(0));
        for (user, group, is_of_user, said) in [
            ("no-such-user", None, true, "no user \"no-such-user\"; make it"),
            ("no-such-user", Some("no-such-group"), true, "no user \"no-such-user\"; make it"),
            ("root", Some("no-such-group"), false, "no group \"no-such-group\"; make it"),
            ("4242424", None, true, "no user \"4242424\" whose group could be taken; name a group too"),
        ] {
            let (of_user, what) = match Identity::new(user, group).unwrap_err() {
                IdentityError::User(what) => (true, what),
                IdentityError::Group(what) => (false, what),
            };
            assert!(of_user == is_of_user && what.contains(said), "{what}");
        }
    }
}

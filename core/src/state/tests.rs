//! Files that are replaced whole, whatever happens.

mod accounts;
mod interrupted;
mod settings;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

/// A state folder of one's own.
struct House {
    folder: TempDir,
    files: StateFiles,
}

impl House {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let files = StateFiles::open(&folder.path().join("state")).unwrap();
        Self { folder, files }
    }

    fn claim(&self) -> Claim {
        self.files.claim().unwrap().expect("nobody else has this folder")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("state").join(name)
    }

    /// The names in the folder, in order.
    fn names(&self) -> Vec<String> {
        names(&self.folder.path().join("state"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_was_written_last_is_read() {
    let house = House::new();
    let claim = house.claim();
    assert_eq!(house.files.read("accounts").unwrap(), None);
    for octets in [&b"one"[..], b"", &[b'x'; 100_000], b"four"] {
        claim.replace("accounts", octets).unwrap();
        assert_eq!(house.files.read("accounts").unwrap().as_deref(), Some(octets));
        assert_eq!(claim.files().read("accounts").unwrap().as_deref(), Some(octets));
    }
    claim.replace("statistics", b"other").unwrap();
    assert_eq!(house.names(), ["accounts", "owner", "statistics"]);
}

#[test]
fn folder_and_files_are_for_their_owner_only() {
    let house = House::new();
    let claim = house.claim();
    let mode = |name| fs::metadata(house.path(name)).unwrap().permissions().mode() & 0o7777;
    claim.replace("accounts", b"one").unwrap();
    assert_eq!((mode("."), mode("accounts"), mode("owner")), (0o700, 0o600, 0o600));
    // One that was left behind, or put there, lends nothing.
    fs::write(house.path(".accounts"), b"left behind").unwrap();
    fs::set_permissions(house.path(".accounts"), fs::Permissions::from_mode(0o666)).unwrap();
    claim.replace("accounts", b"two").unwrap();
    assert_eq!(mode("accounts"), 0o600);
    assert_eq!(house.names(), ["accounts", "owner"]);
}

#[test]
fn a_symbolic_link_is_followed_by_nobody() {
    let house = House::new();
    let outside = house.folder.path().join("outside");
    fs::write(&outside, b"outside").unwrap();
    symlink(&outside, house.path("accounts")).unwrap();
    symlink(&outside, house.path(".accounts")).unwrap();
    symlink(&outside, house.path("owner")).unwrap();
    assert!(house.files.read("accounts").is_err());
    assert!(house.files.claim().is_err());
    fs::remove_file(house.path("owner")).unwrap();
    house.claim().replace("accounts", b"inside").unwrap();
    assert_eq!(house.files.read("accounts").unwrap().as_deref(), Some(&b"inside"[..]));
    assert_eq!(fs::read_to_string(&outside).unwrap(), "outside");
}

#[test]
fn one_of_two_servers_may_write() {
    let house = House::new();
    let other = StateFiles::open(&house.folder.path().join("state")).unwrap();
    let claim = house.claim();
    assert!(other.claim().unwrap().is_none());
    assert!(house.files.claim().unwrap().is_none(), "nor twice in one");
    claim.replace("accounts", b"one").unwrap();
    assert_eq!(other.read("accounts").unwrap().as_deref(), Some(&b"one"[..]));
    drop(claim);
    assert!(other.claim().unwrap().is_some());
}

#[test]
fn who_gives_up_the_claim_soon_says_so() {
    let house = House::new();
    let other = StateFiles::open(&house.folder.path().join("state")).unwrap();
    assert!(!other.is_being_left().unwrap(), "nobody has it");
    let claim = house.claim();
    assert!(!other.is_being_left().unwrap());
    claim.leave().unwrap();
    assert!(other.is_being_left().unwrap());
    assert!(other.claim().unwrap().is_none(), "it holds until it is given up");
    claim.replace("accounts", b"one").unwrap();
    // A child that is being started has a copy of the descriptor.
    let _copy = claim.owner.try_clone().unwrap();
    drop(claim);
    assert!(!other.is_being_left().unwrap());
    let _claim = other.claim().unwrap().unwrap();
    assert!(!house.files.is_being_left().unwrap(), "the next one stays");
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    let house = House::new();
    fs::create_dir(house.path("accounts")).unwrap();
    assert!(house.files.read("accounts").is_err());
    rustix::fs::mknodat(CWD, house.path("pipe"), FileType::Fifo, FILE_MODE, 0).unwrap();
    assert!(house.files.read("pipe").is_err());
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let house = House::new();
    let file = File::create(house.path("accounts")).unwrap();
    file.set_len(FILE_MAX + 1).unwrap();
    assert!(house.files.read("accounts").unwrap_err().to_string().contains("268435456 octets"));
}

#[test]
fn where_the_file_cannot_be_replaced_everything_is_as_it_was() {
    let house = House::new();
    let claim = house.claim();
    // A folder in the way of the file: the rename fails.
    fs::create_dir(house.path("accounts")).unwrap();
    assert!(claim.replace("accounts", b"one").is_err());
    assert_eq!(house.names(), ["accounts", "owner"]);
    // A folder in the way of the temporary file: there is none to be written.
    claim.replace("statistics", b"old").unwrap();
    fs::create_dir(house.path(".statistics")).unwrap();
    assert!(claim.replace("statistics", b"new").is_err());
    assert_eq!(house.files.read("statistics").unwrap().as_deref(), Some(&b"old"[..]));
    fs::remove_dir(house.path(".statistics")).unwrap();
    claim.replace("statistics", b"new").unwrap();
    assert_eq!(house.files.read("statistics").unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let house = House::new();
    fs::write(house.path("file"), b"x").unwrap();
    assert!(StateFiles::open(&house.path("file")).is_err());
    assert!(StateFiles::open(&house.path("file/below")).is_err());
    let claim = house.claim();
    fs::remove_dir_all(house.path("")).unwrap();
    assert!(claim.replace("accounts", b"x").is_err());
}

#[test]
fn a_folder_that_was_removed_is_named_and_is_not_made_again() {
    let house = House::new();
    let (claim, path) = (house.claim(), house.folder.path().join("state"));
    claim.replace("accounts", b"one").unwrap();
    fs::remove_dir_all(&path).unwrap();
    let refused = || claim.replace("accounts", b"two").unwrap_err();
    let said = format!("the state folder {} was removed; start the server anew", path.display());
    assert_eq!((refused().to_string(), refused().kind()), (said, io::ErrorKind::NotFound));
    assert!(!path.exists());
    // Whoever makes it again has it alone.
    let other = StateFiles::open(&path).unwrap().claim().unwrap().unwrap();
    other.replace("accounts", b"three").unwrap();
    refused();
    assert_eq!(other.files().read("accounts").unwrap().unwrap(), b"three");
}

#[test]
fn threads_that_replace_one_file_leave_one_version_whole() {
    let house = House::new();
    let claim = house.claim();
    std::thread::scope(|scope| {
        for octet in b'a'..=b'd' {
            let claim = &claim;
            scope.spawn(move || {
                for length in 1..20 {
                    claim.replace("accounts", &vec![octet; length * 1000]).unwrap();
                }
            });
        }
    });
    let octets = house.files.read("accounts").unwrap().unwrap();
    assert_eq!(octets.len(), 19_000);
    assert!(octets.iter().all(|octet| Some(octet) == octets.first()));
    assert_eq!(house.names(), ["accounts", "owner"]);
}

#[test]
fn want_of_descriptors_is_no_damage() {
    let said = |error: Errno| {
        let error = KeptError::Unreadable { path: "accounts".into(), error: error.into() };
        (error.is_want(), error.to_string())
    };
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
        let (is_want, text) = said(errno);
        assert!(is_want && text.contains("raise") && !text.contains("move it away"), "{text}");
    }
    let (is_want, text) = said(Errno::IO);
    assert!(!is_want && text.ends_with("; move it away to start without what it keeps"), "{text}");
}

//! A shared library: its file looked at, copied, loaded, and its one symbol found.
//!
//! The copy is a memory file that stays open: the linker gives the old library for a file of the same path, and one that
//! is written over while it is mapped crashes. What is loaded stays so: a library cannot be unloaded soundly.

#![allow(unsafe_code, reason = "loading code, and what it says of itself")]

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use libloading::os::unix::Library;
use pop3d_abi::{ABI, Descriptor, SYMBOL};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, memfd_create, openat};
use rustix::process::{getegid, geteuid};

use crate::stamp::Stamp;

/// Longest file that is loaded, in octets.
const FILE_MAX: u64 = 256 << 20;

/// `dlopen`: find every symbol now, show them to nobody, and never unload.
const FLAGS: i32 = nix::libc::RTLD_NOW | nix::libc::RTLD_LOCAL | nix::libc::RTLD_NODELETE;

/// Libraries that were loaded into this process.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// What an ELF file begins with, of 64 bits and the byte order of this machine.
const ELF: [u8; 6] = [0x7F, b'E', b'L', b'F', 2, if cfg!(target_endian = "little") { 1 } else { 2 }];

/// What an ELF file says behind that of what it is: a shared library.
const SHARED: u16 = 3;

/// And of the machine that it is for (elf.h); none: this one's number is not known here, and the linker finds out.
const MACHINE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else if cfg!(target_arch = "riscv64") {
    Some(243)
} else {
    None
};

/// Reads a file that holds code. Only what nobody else could have written is believed: it is looked at and read by one
/// descriptor.
///
/// # Errors
/// Why it is not taken, as a sentence.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(|error| format!("{shown}: {error}"))?;
    let mut file = File::from(file);
    is_ours(&file, true).map_err(|what| format!("{shown}: {what}"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let opened = File::open(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    is_ours(&opened, false).map_err(|what| format!("{}: {what}", folder.display()))?;
    let mut octets = Vec::new();
    let before = Stamp::of_file(&file);
    let read = (&mut file).take(FILE_MAX + 1).read_to_end(&mut octets);
    read.map_err(|error| format!("{shown}: {error}"))?;
    if octets.len() as u64 > FILE_MAX {
        return Err(format!("{shown}: more than {FILE_MAX} octets"));
    }
    let is_same =
        before.zip(Stamp::of_file(&file)).is_some_and(|(before, after)| before.is_written_as(&after));
    if !is_same {
        return Err(format!("{shown}: it was written while it was read"));
    }
    Ok(octets)
}

/// Whether nobody but root and the server's user could have written it.
fn is_ours(file: &File, must_be_file: bool) -> Result<(), String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if must_be_file && !metadata.is_file() {
        return Err("no regular file".to_owned());
    }
    let owner = metadata.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        return Err("it belongs to another user; chown it to root or to the server's user".to_owned());
    }
    let is_own_group = metadata.gid() == 0 || metadata.gid() == getegid().as_raw();
    let is_sticky = !must_be_file && metadata.mode() & 0o1000 != 0;
    if !is_sticky && (metadata.mode() & 0o002 != 0 || (metadata.mode() & 0o020 != 0 && !is_own_group)) {
        return Err("others can write it; chmod go-w".to_owned());
    }
    Ok(())
}

/// Loads a library for the rest of the process's life; what it exports.
///
/// # Errors
/// Why it cannot be used, as a sentence.
pub(crate) fn load(octets: &[u8]) -> Result<Descriptor, String> {
    if !is_for_this_machine(octets) {
        return Err("it is no shared library for this machine".to_owned());
    }
    if !is_whole(octets) {
        return Err("it ends before its end: it was cut, or is being written".to_owned());
    }
    let memory = memfd_create("pop3d-transform", MemfdFlags::CLOEXEC).map_err(|error| error.to_string())?;
    let mut memory = File::from(memory);
    memory.write_all(octets).map_err(|error| error.to_string())?;
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    // SAFETY: running the constructors of a library is what loading means; the file is one that only root or the
    // server's user could have written (`is_ours`), so that it is as trusted as the configuration that names it.
    let library = unsafe { Library::open(Some(&path), FLAGS) };
    let library = library.map_err(|error| {
        // The path of the copy means nothing to who reads this.
        let said = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        said.replace(&path, "it")
    })?;
    // What was loaded stays, whatever it is, and so must the file that it was loaded from: the linker knows it by its
    // path, and would give it again for another file with the number of a descriptor that was closed.
    let library = ManuallyDrop::new(library);
    let count = KEPT.fetch_add(1, Ordering::Relaxed) + 1;
    log::debug!(target: "pop3d::transform", "{count} libraries are in memory, of which none is ever unloaded");
    let _ = memory.into_raw_fd();
    // SAFETY: the interface says that this symbol, where there is one, is a descriptor; at least its first field,
    // which is the same in every version, may be read, and nothing more is before that was looked at.
    let symbol = unsafe { library.get::<*const Descriptor>(SYMBOL) };
    let symbol = symbol.map_err(|_| "it has no symbol pop3d_transform_v1".to_owned())?;
    describe(*symbol)
}

/// Whether it says of itself that it is a shared library for this machine. The linker would say that there is no such file.
fn is_for_this_machine(octets: &[u8]) -> bool {
    let number = |place: usize| {
        let digits: Option<[u8; 2]> = octets.get(place..place + 2).and_then(|digits| digits.try_into().ok());
        digits.map(u16::from_ne_bytes)
    };
    let is_for = MACHINE.is_none_or(|machine| number(18) == Some(machine));
    octets.starts_with(&ELF) && number(16) == Some(SHARED) && is_for
}

/// Whether all is there that the header of an ELF file of 64 bits tells of: its tables of segments and sections, and all
/// segments. Of what is not there the linker would map pages that cannot be read, and whoever reads one is killed.
fn is_whole(octets: &[u8]) -> bool {
    let number = |place: u64, size: usize| -> Option<u64> {
        let place = usize::try_from(place).ok()?;
        let digits = octets.get(place..place.checked_add(size)?)?;
        let mut number = [0; 8];
        if cfg!(target_endian = "little") {
            number.get_mut(..size)?.copy_from_slice(digits);
            Some(u64::from_le_bytes(number))
        } else {
            number.get_mut(8 - size..)?.copy_from_slice(digits);
            Some(u64::from_be_bytes(number))
        }
    };
    let is_there =
        |place: u64, length: u64| place.checked_add(length).is_some_and(|end| end <= octets.len() as u64);
    // Offsets of Elf64_Ehdr and Elf64_Phdr (elf.5).
    let are_there = || -> Option<bool> {
        let (segments, sections) = (number(32, 8)?, number(40, 8)?);
        let (segment, segment_count) = (number(54, 2)?, number(56, 2)?);
        let (section, section_count) = (number(58, 2)?, number(60, 2)?);
        let mut is_whole =
            is_there(segments, segment * segment_count) && is_there(sections, section * section_count);
        for index in 0..segment_count {
            let place = segments.checked_add(index * segment)?;
            is_whole &= is_there(number(place.checked_add(8)?, 8)?, number(place.checked_add(32)?, 8)?);
        }
        Some(is_whole)
    };
    are_there() == Some(true)
}

/// Reads a descriptor, as much of it as its version allows.
fn describe(place: *const Descriptor) -> Result<Descriptor, String> {
    if place.is_null() || !place.is_aligned() {
        return Err("its symbol pop3d_transform_v1 is no descriptor".to_owned());
    }
    // SAFETY: the symbol is not null, aligned, and lives as long as the library, which is never unloaded; the first
    // field of every version is a u32.
    let abi = unsafe { (*place).abi };
    if abi != ABI {
        return Err(format!("it is of version {abi} of the interface, and this server has version {ABI}"));
    }
    // SAFETY: version 1 begins with two u32.
    let size = unsafe { (*place).size };
    if (size as usize) < size_of::<Descriptor>() {
        return Err(format!("its descriptor has {size} octets, fewer than version {ABI} has"));
    }
    // SAFETY: the descriptor is of version 1 and has all its fields; all bit patterns of them are valid, for the
    // functions are optional.
    let descriptor = unsafe { *place };
    let is_whole = descriptor.configure.is_some()
        && descriptor.release.is_some()
        && descriptor.open.is_some()
        && descriptor.push.is_some()
        && descriptor.finish.is_some()
        && descriptor.close.is_some();
    if !is_whole {
        return Err("its descriptor has a function that is null".to_owned());
    }
    let name = text(descriptor.name).ok_or("its name is null")?;
    let fits = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"_-".contains(&octet);
    if !(1..=32).contains(&name.len()) || !name.bytes().all(fits) {
        return Err("its name is not 1 to 32 of a-z, 0-9, \"_\" and \"-\"".to_owned());
    }
    Ok(descriptor)
}

fn text(place: *const std::ffi::c_char) -> Option<String> {
    if place.is_null() {
        return None;
    }
    // SAFETY: the interface says that names are not null and end in NUL, and the library that they are in stays.
    Some(unsafe { CStr::from_ptr(place) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_could_have_written_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let (folder, file) = (place.path().join("d"), place.path().join("d/x.so"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "code").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let shown = |path: &Path| path.display().to_string();
        // Where nobody may replace another's file, others may write to the folder.
        for (of_folder, of_file, wrong) in [
            (0o755, 0o644, None),
            (0o700, 0o600, None),
            (0o1777, 0o644, None),
            (0o755, 0o646, Some(shown(&file))),
            (0o1777, 0o666, Some(shown(&file))),
            (0o777, 0o644, Some(shown(&folder))),
        ] {
            mode(&folder, of_folder);
            mode(&file, of_file);
            match (read(&file), wrong) {
                (Ok(octets), None) => assert_eq!(octets, b"code"),
                (Err(said), Some(path)) => {
                    assert_eq!(said, format!("{path}: others can write it; chmod go-w"))
                }
                (read, _) => panic!("{of_folder:o} {of_file:o}: {read:?}"),
            }
        }
        mode(&folder, 0o755);
        assert!(read(&folder).unwrap_err().ends_with("no regular file"));
        assert!(read(&folder.join("none")).unwrap_err().contains("No such file"));
        // Only root gives files away.
        mode(&file, 0o644);
        if geteuid().is_root() {
            for path in [&file, &folder] {
                std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
                let said = read(&file).unwrap_err();
                assert!(said.starts_with(&shown(path)) && said.contains("another user"), "{said}");
                std::os::unix::fs::chown(path, Some(0), None).unwrap();
            }
        }
    }

    #[test]
    fn a_library_for_another_machine_is_known() {
        // A program that may lie anywhere says that it is a shared library.
        let program = std::fs::read("/proc/self/exe").unwrap();
        assert!(is_for_this_machine(&program));
        // Of 32 bits; the other byte order; a program; Itanium; nothing.
        for (place, octet) in [(4, 1), (5, 3 - ELF[5]), (16, 2), (18, 50)] {
            let mut other = program.clone();
            other[place] = octet;
            assert!(!is_for_this_machine(&other), "{place}");
        }
        assert!(!is_for_this_machine(&program[..17]) && !is_for_this_machine(b""));
    }

    #[test]
    fn a_library_that_ends_early_is_known() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        assert!(is_whole(&program));
        for length in [0, 6, 63, 64, 100, program.len() / 2, program.len() - 1] {
            assert!(!is_whole(&program[..length]), "{length}");
        }
        let mut wrong = program;
        wrong[32..48].fill(0xFF);
        assert!(!is_whole(&wrong));
    }
}

//! What the parent of this process left open: nobody meant it for the programs that are transforms, nor for the helper
//! processes of plugins, which would have it from here.

#![allow(unsafe_code, reason = "what others have opened is known by its number alone")]

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;

use nix::libc;
use rustix::io::{Errno, FdFlags, fcntl_setfd};

/// The first descriptor behind the standard ones, which each child is given anew.
const FIRST: libc::c_uint = 3;

/// Has every descriptor but the standard ones closed in each program that this process starts. It stays open here: a
/// configuration may be read from it.
///
/// # Errors
/// Where the system refuses.
pub fn keep_from_children() -> io::Result<()> {
    // SAFETY: the call takes three integers, reads and writes no memory, and with this flag closes nothing here.
    let answer =
        unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if answer == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match Errno::from_io_error(&error) {
        // Linux before 5.9, and before 5.11, and where somebody else's filter of system calls is older.
        Some(Errno::NOSYS | Errno::INVAL | Errno::PERM) => one_by_one(),
        Some(_) | None => Err(error),
    }
}

/// The same where the kernel has no call for it.
fn one_by_one() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|&number: &i32| number.cast_unsigned() >= FIRST) else { continue };
        // SAFETY: it is not -1, for it is no less than `FIRST`; it was open a moment ago, and where it is closed since the
        // call below says so and does nothing else.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        match fcntl_setfd(descriptor, FdFlags::CLOEXEC) {
            Ok(()) | Err(Errno::BADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::io::fcntl_getfd;

    use super::*;

    #[test]
    fn what_is_open_is_kept_from_children_by_one_call_and_one_by_one() {
        for keep in [keep_from_children, one_by_one] {
            let left = File::open("/dev/null").unwrap();
            fcntl_setfd(&left, FdFlags::empty()).unwrap();
            keep().unwrap();
            assert_eq!(fcntl_getfd(&left).unwrap(), FdFlags::CLOEXEC);
        }
    }
}

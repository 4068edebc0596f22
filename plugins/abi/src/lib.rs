//! The C interface of native transforms, version 1, as Rust sees it: what `include/pop3d_transform.h` says, item by item.
//!
//! Only layouts and numbers are here. Who loads a plugin and who writes one have the rules of the header to keep.

#![no_std]

use core::ffi::{c_char, c_void};

/// The version of the interface.
pub const ABI: u32 = 1;

/// The name of the one symbol that a plugin exports.
pub const SYMBOL: &[u8] = b"pop3d_transform_v1\0";

/// Keep calling `push`.
pub const MORE: i32 = 0;
/// Call `finish`, then copy the rest of the message unchanged.
pub const PASS: i32 = 1;
/// Ignore the rest of the input, call `finish`.
pub const STOP: i32 = 2;
/// Failed; trying again later may help.
pub const TEMPORARY: i32 = -1;
/// Failed; an administrator has to act.
pub const PERMANENT: i32 = -2;
/// From the host only: the client is gone, return at once.
pub const CLOSED: i32 = -3;

/// The whole message.
pub const RETR: u32 = 0;
/// The headers and some lines of the body.
pub const TOP: u32 = 1;

/// Levels of `Host::log`: error, warn, info, debug.
pub const LOG_ERROR: i32 = 0;
/// See `LOG_ERROR`.
pub const LOG_WARN: i32 = 1;
/// See `LOG_ERROR`.
pub const LOG_INFO: i32 = 2;
/// See `LOG_ERROR`.
pub const LOG_DEBUG: i32 = 3;

/// `push` never waits and costs less than a microsecond a KiB.
pub const FLAG_NONBLOCKING: u64 = 1;

/// Text or octets that belong to somebody else. `ptr` may be null where `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// Where it begins.
    pub ptr: *const u8,
    /// Octets.
    pub len: usize,
}

/// An option of the configuration.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name.
    pub key: Str,
    /// Strings as they are; other values of TOML as JSON.
    pub value: Str,
}

/// The message that is about to come.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Octets of this struct in the host; no field beyond it is to be read.
    pub size: u32,
    /// The message-number in the session, from 1.
    pub number: u32,
    /// Octets of the message as stored.
    pub octets: u64,
    /// `RETR` or `TOP`.
    pub command: u32,
    /// Lines of the body that TOP asks for, else 0.
    pub top_lines: u32,
    /// Who is logged in.
    pub user: Str,
    /// The unique-id.
    pub uid: Str,
    /// The client's address.
    pub remote: Str,
}

/// The host's side of one call: valid until that call returns, on that thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Octets of this struct in the host.
    pub size: u32,
    /// `ABI` of the host.
    pub abi: u32,
    /// To be passed back as the first argument.
    pub ctx: *mut c_void,
    /// Appends output: 0 or `CLOSED`.
    pub write: unsafe extern "C" fn(ctx: *mut c_void, ptr: *const u8, len: usize) -> i32,
    /// Says why the call is about to fail.
    pub error: unsafe extern "C" fn(ctx: *mut c_void, ptr: *const u8, len: usize),
    /// One line for the server's log.
    pub log: unsafe extern "C" fn(ctx: *mut c_void, level: i32, ptr: *const u8, len: usize),
}

/// `configure`: checks the options and makes the shared state.
pub type Configure = unsafe extern "C" fn(
    host: *const Host,
    options: *const Opt,
    count: usize,
    state: *mut *mut c_void,
) -> i32;
/// `release`: frees the state.
pub type Release = unsafe extern "C" fn(state: *mut c_void);
/// `open`: begins one message.
pub type Open = unsafe extern "C" fn(
    state: *mut c_void,
    host: *const Host,
    message: *const Message,
    instance: *mut *mut c_void,
) -> i32;
/// `push`: the next 1 to 65,536 octets.
pub type Push =
    unsafe extern "C" fn(instance: *mut c_void, host: *const Host, ptr: *const u8, len: usize) -> i32;
/// `finish`: the end of the input.
pub type Finish = unsafe extern "C" fn(instance: *mut c_void, host: *const Host) -> i32;
/// `close`: frees the instance.
pub type Close = unsafe extern "C" fn(instance: *mut c_void);

/// What a plugin exports under `SYMBOL`.
///
/// The functions are optional here because a plugin may hold a null pointer, which a host must look for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// `ABI`. To be looked at before all else.
    pub abi: u32,
    /// Octets of this struct in the plugin.
    pub size: u32,
    /// `FLAG_*`.
    pub flags: u64,
    /// Ends in NUL; 1 to 32 of a-z, 0-9, "_" and "-".
    pub name: *const c_char,
    /// Ends in NUL.
    pub version: *const c_char,
    /// Ends in NUL; one line.
    pub description: *const c_char,
    /// See `Configure`.
    pub configure: Option<Configure>,
    /// See `Release`.
    pub release: Option<Release>,
    /// See `Open`.
    pub open: Option<Open>,
    /// See `Push`.
    pub push: Option<Push>,
    /// See `Finish`.
    pub finish: Option<Finish>,
    /// See `Close`.
    pub close: Option<Close>,
}

// SAFETY: a descriptor is constant: functions, and texts that live as long as the plugin, none of which is changed.
#[allow(unsafe_code, reason = "without it a plugin could not have one as a static")]
unsafe impl Sync for Descriptor {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_header_on_64_bits() {
        assert_eq!((size_of::<Str>(), size_of::<Opt>(), size_of::<Message>()), (16, 32, 72));
        assert_eq!((size_of::<Host>(), size_of::<Descriptor>()), (40, 88));
        assert_eq!(core::mem::offset_of!(Descriptor, configure), 40);
        assert_eq!(core::mem::offset_of!(Message, user), 24);
    }
}

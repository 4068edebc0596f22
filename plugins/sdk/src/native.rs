//! The C interface: what the descriptor of a filter points to. Nothing unwinds out of here.

#![allow(unsafe_code, reason = "calls of the C interface, all of whose values are pointers")]

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pop3d_abi::{FLAG_NONBLOCKING, Host, MORE, Opt, PASS, PERMANENT, RETR, STOP, Str, TEMPORARY};

use crate::{Command, Error, Filter, Flow, Level, Message, Options, Output, Sink};

pub use pop3d_abi::{ABI, Descriptor};

/// One message in a filter.
struct Instance<F> {
    filter: F,
    /// It panicked: what it holds may be half changed, and it is only closed from here on.
    is_broken: bool,
}

/// A descriptor of a filter.
///
/// # Panics
/// When compiling, where the name is not one: 1 to 32 of a-z, 0-9, "_" and "-", and a NUL.
#[must_use]
pub const fn descriptor<F: Filter>(
    name: &'static str,
    version: &'static str,
    description: &'static str,
) -> Descriptor {
    assert!(is_name(name.as_bytes()), "the name of a filter is 1 to 32 of a-z, 0-9, \"_\" and \"-\"");
    assert!(is_line(version.as_bytes()) && is_line(description.as_bytes()), "one line, without NUL");
    let size = size_of::<Descriptor>();
    assert!(size < 1 << 16, "fits");
    #[allow(clippy::cast_possible_truncation, reason = "asserted above")]
    Descriptor {
        abi: ABI,
        size: size as u32,
        flags: if F::NONBLOCKING { FLAG_NONBLOCKING } else { 0 },
        name: name.as_ptr().cast(),
        version: version.as_ptr().cast(),
        description: description.as_ptr().cast(),
        configure: Some(configure::<F>),
        release: Some(release::<F>),
        open: Some(open::<F>),
        push: Some(push::<F>),
        finish: Some(finish::<F>),
        close: Some(close::<F>),
    }
}

/// Whether this is a name, and a NUL.
const fn is_name(text: &[u8]) -> bool {
    if text.len() < 2 || text.len() > 33 || !is_line(text) {
        return false;
    }
    let mut at = 0;
    while at + 1 < text.len() {
        if !matches!(text[at], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether this is one line, and a NUL.
const fn is_line(text: &[u8]) -> bool {
    let mut at = 0;
    while at + 1 < text.len() {
        if text[at] == 0 || text[at] == b'\n' || text[at] == b'\r' {
            return false;
        }
        at += 1;
    }
    !text.is_empty() && text[text.len() - 1] == 0
}

/// The host of one call.
struct Call<'call>(&'call Host);

impl Call<'_> {
    /// The host of a call.
    ///
    /// # Safety
    /// `host` must be what the host passed, and must not be used after the call returns.
    unsafe fn new<'call>(host: *const Host) -> Option<Call<'call>> {
        // SAFETY: the interface says that a host is good until the call returns.
        unsafe { host.as_ref() }.map(Call)
    }

    fn say(&self, why: &str) {
        // SAFETY: the context is that of this host, in this call; the text outlives it.
        unsafe { (self.0.error)(self.0.ctx, why.as_ptr(), why.len()) };
    }

    /// The number of a failure, which is told first.
    fn fail(&self, error: &Error) -> i32 {
        match error {
            Error::Temporary(why) => {
                self.say(why);
                TEMPORARY
            }
            Error::Permanent(why) => {
                self.say(why);
                PERMANENT
            }
            // The host knows, and looks at nothing else.
            Error::Closed => TEMPORARY,
        }
    }

    /// The number of a panic, which is told first.
    fn panicked(&self, payload: &(dyn Any + Send)) -> i32 {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        self.say(&format!("panic: {}", text.unwrap_or("of no text")));
        TEMPORARY
    }
}

impl Sink for Call<'_> {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        // SAFETY: as for `error`; the octets outlive the call.
        let answer = unsafe { (self.0.write)(self.0.ctx, octets.as_ptr(), octets.len()) };
        if answer == 0 { Ok(()) } else { Err(Error::Closed) }
    }

    fn log(&mut self, level: Level, text: &str) {
        let level = match level {
            Level::Error => pop3d_abi::LOG_ERROR,
            Level::Warn => pop3d_abi::LOG_WARN,
            Level::Info => pop3d_abi::LOG_INFO,
            Level::Debug => pop3d_abi::LOG_DEBUG,
        };
        // SAFETY: as for `error`.
        unsafe { (self.0.log)(self.0.ctx, level, text.as_ptr(), text.len()) };
    }
}

/// The number of an answer.
fn number(flow: Flow) -> i32 {
    match flow {
        Flow::More => MORE,
        Flow::Pass => PASS,
        Flow::Stop => STOP,
    }
}

/// A panic that nobody is told of. What it carries is forgotten: to drop it may panic again.
fn quietly(action: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(action)) {
        std::mem::forget(payload);
    }
}

/// Octets of the host.
///
/// # Safety
/// `ptr` must be good for reading `len` octets for `'call`, or `len` be 0.
unsafe fn octets<'call>(ptr: *const u8, len: usize) -> &'call [u8] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: not null, and the caller promises the rest.
    unsafe { std::slice::from_raw_parts(ptr, len) }
}

/// A text of the host.
///
/// # Safety
/// As for `octets`.
unsafe fn text<'call>(text: Str) -> &'call str {
    // SAFETY: the caller promises it.
    std::str::from_utf8(unsafe { octets(text.ptr, text.len) }).unwrap_or_default()
}

/// Calls that a host makes through a descriptor, in the order and with the values that the header says.
unsafe extern "C" fn configure<F: Filter>(
    host: *const Host,
    options: *const Opt,
    count: usize,
    state: *mut *mut c_void,
) -> i32 {
    // SAFETY: the host passes itself.
    let Some(call) = (unsafe { Call::new(host) }) else { return PERMANENT };
    let mut given = Vec::new();
    for number in 0..count {
        // SAFETY: the host passes `count` options, which outlive the call.
        let option = unsafe { *options.add(number) };
        // SAFETY: as above.
        given.push(unsafe { (text(option.key).to_owned(), text(option.value).to_owned()) });
    }
    match catch_unwind(|| crate::configured::<F>(Options::new(given))) {
        Ok(Ok(filter)) => {
            // SAFETY: the host passes a place for the state.
            unsafe { *state = Box::into_raw(Box::new(filter)).cast() };
            MORE
        }
        Ok(Err(why)) => {
            call.say(&why);
            PERMANENT
        }
        Err(payload) => {
            call.panicked(&*payload);
            std::mem::forget(payload);
            PERMANENT
        }
    }
}

unsafe extern "C" fn release<F: Filter>(state: *mut c_void) {
    if !state.is_null() {
        // SAFETY: `configure` made it, and the host releases it once, after the last instance was closed.
        quietly(|| drop(unsafe { Box::from_raw(state.cast::<F>()) }));
    }
}

unsafe extern "C" fn open<F: Filter>(
    state: *mut c_void,
    host: *const Host,
    message: *const pop3d_abi::Message,
    instance: *mut *mut c_void,
) -> i32 {
    // SAFETY: the host passes itself.
    let Some(mut call) = (unsafe { Call::new(host) }) else { return PERMANENT };
    // SAFETY: the host passes a message of at least version 1, which outlives the call.
    let told = unsafe { *message };
    let command = if told.command == RETR { Command::Retr } else { Command::Top { lines: told.top_lines } };
    // SAFETY: the texts outlive the call.
    let (user, uid, remote) = unsafe { (text(told.user), text(told.uid), text(told.remote)) };
    let message = Message { user, number: told.number, octets: told.octets, uid, command, remote };
    // SAFETY: `configure` made the state, which is shared: nothing changes it until `release`.
    let prototype = unsafe { &*state.cast::<F>() };
    let begun = catch_unwind(AssertUnwindSafe(|| {
        let mut filter = prototype.clone();
        let flow = filter.start(&message, &mut Output::new(&mut call))?;
        Ok((Box::new(Instance { filter, is_broken: false }), flow))
    }));
    match begun {
        Ok(Ok((made, flow))) => {
            // SAFETY: the host passes a place for the instance.
            unsafe { *instance = Box::into_raw(made).cast() };
            number(flow)
        }
        Ok(Err(error)) => call.fail(&error),
        Err(payload) => {
            let answer = call.panicked(&*payload);
            std::mem::forget(payload);
            answer
        }
    }
}

/// Runs a call of an instance behind a fence.
///
/// # Safety
/// `open` must have made the instance, `close` not have been called, and no other call of it be running; `host` must be
/// that of this call.
unsafe fn fenced<F: Filter>(
    instance: *mut c_void,
    host: *const Host,
    action: impl FnOnce(&mut F, &mut Output<'_>) -> Result<Flow, Error>,
) -> i32 {
    // SAFETY: the caller promises it.
    let Some(mut call) = (unsafe { Call::new(host) }) else { return PERMANENT };
    // SAFETY: the caller promises that it is ours alone.
    let instance = unsafe { &mut *instance.cast::<Instance<F>>() };
    if instance.is_broken {
        call.say("it panicked before");
        return TEMPORARY;
    }
    let filter = &mut instance.filter;
    let ended = catch_unwind(AssertUnwindSafe(|| action(filter, &mut Output::new(&mut call))));
    match ended {
        Ok(Ok(flow)) => number(flow),
        Ok(Err(error)) => call.fail(&error),
        Err(payload) => {
            instance.is_broken = true;
            let answer = call.panicked(&*payload);
            std::mem::forget(payload);
            answer
        }
    }
}

unsafe extern "C" fn push<F: Filter>(
    instance: *mut c_void,
    host: *const Host,
    ptr: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: the host passes octets that outlive the call.
    let chunk = unsafe { octets(ptr, len) };
    // SAFETY: the interface says that an instance is used by one thread at a time, between `open` and `close`.
    unsafe { fenced::<F>(instance, host, |filter, out| filter.push(chunk, out)) }
}

unsafe extern "C" fn finish<F: Filter>(instance: *mut c_void, host: *const Host) -> i32 {
    // SAFETY: as for `push`.
    unsafe { fenced::<F>(instance, host, |filter, out| filter.finish(out).map(|()| Flow::More)) }
}

unsafe extern "C" fn close<F: Filter>(instance: *mut c_void) {
    if !instance.is_null() {
        // SAFETY: `open` made it, and the host closes it once.
        quietly(|| drop(unsafe { Box::from_raw(instance.cast::<Instance<F>>()) }));
    }
}

#[cfg(test)]
mod tests;

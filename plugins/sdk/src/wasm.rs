//! The world `pop3d:transform` by hand: the canonical form of its three functions, and the type that the server makes a
//! component from. There is one message an instance, and one thread.

#![allow(unsafe_code, reason = "the canonical form of the component model is made of pointers")]

use std::alloc::{Layout, alloc, handle_alloc_error, realloc};
use std::cell::UnsafeCell;
use std::sync::{Mutex, PoisonError};

use crate::{Command, Error, Filter, Flow, Level, Message, Options, Output, Sink};

/// The type of the world, as the section `component-type` holds it.
pub const COMPONENT_TYPE: [u8; include_bytes!("component-type.bin").len()] =
    *include_bytes!("component-type.bin");

#[link(wasm_import_module = "pop3d:transform/host@1.0.0")]
unsafe extern "C" {
    #[link_name = "write"]
    fn host_write(ptr: *const u8, len: usize);
    #[link_name = "log"]
    fn host_log(level: i32, ptr: *const u8, len: usize);
}

struct Imports;

impl Sink for Imports {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        // SAFETY: the host copies the octets before it returns.
        unsafe { host_write(octets.as_ptr(), octets.len()) };
        Ok(())
    }

    fn log(&mut self, level: Level, text: &str) {
        let level = match level {
            Level::Error => 0,
            Level::Warn => 1,
            Level::Info => 2,
            Level::Debug => 3,
        };
        // SAFETY: as for `write`.
        unsafe { host_log(level, text.as_ptr(), text.len()) };
    }
}

/// The one message of an instance.
pub struct Slot<F>(Mutex<Option<F>>);

/// A `result<flow, error>` as it lies in memory; `result<_, error>` is the same without the flow.
#[repr(C)]
pub struct Answer {
    is_error: u8,
    _gap: [u8; 3],
    /// A flow, or the case of the error.
    case: u8,
    _more: [u8; 3],
    text: *const u8,
    len: usize,
}

/// The place of answers: the host has read one before the next is made.
struct Place(UnsafeCell<Answer>);

// SAFETY: a guest has one thread.
unsafe impl Sync for Place {}

static PLACE: Place = Place(UnsafeCell::new(Answer {
    is_error: 0,
    _gap: [0; 3],
    case: 0,
    _more: [0; 3],
    text: std::ptr::null(),
    len: 0,
}));

fn answer(outcome: Result<Flow, Error>) -> *const Answer {
    let (is_error, case, text) = match outcome {
        Ok(Flow::More) => (0, 0, String::new()),
        Ok(Flow::Pass) => (0, 1, String::new()),
        Ok(Flow::Stop) => (0, 2, String::new()),
        Err(Error::Temporary(why)) => (1, 0, why),
        Err(Error::Permanent(why)) => (1, 1, why),
        Err(error @ Error::Closed) => (1, 0, error.to_string()),
    };
    // The host reads it after this returns, and throws the instance away soon after.
    let text: &'static str = text.leak();
    let place = PLACE.0.get();
    // SAFETY: one thread, and the host does not look while the guest runs.
    unsafe {
        *place = Answer { is_error, _gap: [0; 3], case, _more: [0; 3], text: text.as_ptr(), len: text.len() }
    };
    place
}

/// Octets that the host made by `allocate`; they are ours.
///
/// # Safety
/// `ptr` and `len` must be from the host, and used once.
unsafe fn taken(ptr: *mut u8, len: usize) -> Vec<u8> {
    if len == 0 {
        return Vec::new();
    }
    // SAFETY: the host made it by `allocate` with this length and an alignment of 1.
    unsafe { Vec::from_raw_parts(ptr, len, len) }
}

/// # Safety
/// As for `taken`.
unsafe fn taken_text(ptr: *mut u8, len: usize) -> String {
    // SAFETY: the caller promises it.
    String::from_utf8(unsafe { taken(ptr, len) }).unwrap_or_default()
}

impl<F: Filter> Default for Slot<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Filter> Slot<F> {
    /// A slot without a message.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn with(&self, action: impl FnOnce(&mut F, &mut Output<'_>) -> Result<Flow, Error>) -> *const Answer {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answer(match held.as_mut() {
            Some(filter) => action(filter, &mut Output::new(&mut Imports)),
            None => Err(Error::permanent("it was not started")),
        })
    }

    /// Begins the message.
    ///
    /// # Safety
    /// Only for the host, by its canonical form: each pair is a place that it made by `allocate`, and a length.
    #[allow(clippy::too_many_arguments, reason = "the record in its canonical form")]
    pub unsafe fn start(
        &self,
        user: (*mut u8, usize),
        number: u32,
        octets: u64,
        uid: (*mut u8, usize),
        command: u32,
        top_lines: u32,
        remote: (*mut u8, usize),
        options: (*mut [usize; 4], usize),
    ) -> *const Answer {
        std::panic::set_hook(Box::new(|info| {
            let text = info.to_string();
            Imports.log(Level::Error, &text);
        }));
        // SAFETY: the host passes each once.
        let (user, uid, remote) =
            unsafe { (taken_text(user.0, user.1), taken_text(uid.0, uid.1), taken_text(remote.0, remote.1)) };
        let mut given = Vec::with_capacity(options.1);
        for number in 0..options.1 {
            // SAFETY: the list has so many pairs of texts, four words each.
            let [key, key_len, value, value_len] = unsafe { *options.0.add(number) };
            // SAFETY: the host passes each once.
            given.push(unsafe {
                (taken_text(key as *mut u8, key_len), taken_text(value as *mut u8, value_len))
            });
        }
        let command = if command == 0 { Command::Retr } else { Command::Top { lines: top_lines } };
        let message = Message { user: &user, number, octets, uid: &uid, command, remote: &remote };
        let mut filter = match crate::configured::<F>(Options::new(given)) {
            Ok(filter) => filter,
            Err(why) => return answer(Err(Error::Permanent(why))),
        };
        let outcome = filter.start(&message, &mut Output::new(&mut Imports));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(filter);
        answer(outcome)
    }

    /// Takes octets.
    ///
    /// # Safety
    /// Only for the host: a place that it made by `allocate`, and its length.
    pub unsafe fn push(&self, ptr: *mut u8, len: usize) -> *const Answer {
        // SAFETY: the host passes it once.
        let chunk = unsafe { taken(ptr, len) };
        self.with(|filter, out| filter.push(&chunk, out))
    }

    /// Ends the message.
    pub fn finish(&self) -> *const Answer {
        self.with(|filter, out| filter.finish(out).map(|()| Flow::More))
    }
}

/// Makes room for what the host passes: `cabi_realloc`.
///
/// # Safety
/// Only for the host: `old` is what this gave for `old_len` and `align`, or `old_len` is 0.
pub unsafe fn allocate(old: *mut u8, old_len: usize, align: usize, len: usize) -> *mut u8 {
    if len == 0 {
        return std::ptr::without_provenance_mut(align);
    }
    let Ok(layout) = Layout::from_size_align(len, align) else { std::process::abort() };
    let place = if old_len == 0 {
        // SAFETY: the layout is not of no octets.
        unsafe { alloc(layout) }
    } else {
        let Ok(old_layout) = Layout::from_size_align(old_len, align) else { std::process::abort() };
        // SAFETY: the host passes what this gave, and a length that fits the layout above.
        unsafe { realloc(old, old_layout, len) }
    };
    if place.is_null() {
        handle_alloc_error(layout);
    }
    place
}

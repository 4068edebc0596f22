//! A plugin that was configured, and a message in it: every call across the boundary is here.
//!
//! A plugin may lie: every number that it returns is looked at before it is used, and what it says of its own memory is
//! believed for the length of a call only. It cannot be kept from writing where it should not; that is what helper
//! processes are for (`host.rs`).

#![allow(unsafe_code, reason = "calls of the C interface")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use pop3d_abi::{
    ABI, CLOSED, Descriptor, FLAG_NONBLOCKING, Host, LOG_ERROR, LOG_INFO, LOG_WARN, MORE, Opt, PASS,
    PERMANENT, RETR, Release, STOP, Str, TEMPORARY, TOP,
};
use pop3d_core::pool::Pool;
use pop3d_core::transform::{Command, Error, Filter, Flow, Message, Sink};

/// Octets that are kept of why a call failed, and of a line for the log.
const TEXT_MAX: usize = 1024;

/// Lines that a message may write into the log.
const LINES_MAX: u32 = 32;

/// A plugin and its state, which its instances share.
pub(crate) struct Plugin {
    descriptor: Descriptor,
    state: *mut c_void,
    name: String,
    /// Where the state is released; none: by whoever is the last to let go of it.
    pool: Option<Pool>,
}

/// The state of a plugin that nobody has any more.
struct Leftover {
    release: Release,
    state: *mut c_void,
}

// SAFETY: the interface says that `open` may be called by several threads with one state, and that functions of
// different instances may run at the same time; nothing else is reached through these pointers.
unsafe impl Send for Plugin {}
// SAFETY: as above.
unsafe impl Sync for Plugin {}
// SAFETY: as above, and nobody else has the state.
unsafe impl Send for Leftover {}

/// One message in a plugin.
pub(crate) struct Instance {
    plugin: Arc<Plugin>,
    /// None: it was not opened, or is closed.
    instance: Option<*mut c_void>,
    lines: u32,
}

// SAFETY: the interface says that an instance is used by one thread at a time, not always the same one.
unsafe impl Send for Instance {}

/// What the host's functions reach during a call.
struct Call<'call> {
    name: &'call str,
    out: Option<&'call mut dyn Sink>,
    /// Why the output could not be taken.
    refusal: Option<Error>,
    said: Vec<u8>,
    lines: &'call mut u32,
}

impl Plugin {
    /// Configures a plugin.
    ///
    /// # Errors
    /// Why it does not want to be, as a sentence.
    pub(crate) fn configure(
        descriptor: Descriptor,
        name: &str,
        options: &[(String, String)],
    ) -> Result<Self, String> {
        let options: Vec<_> =
            options.iter().map(|(key, value)| Opt { key: str_of(key), value: str_of(value) }).collect();
        let configure = descriptor.configure.ok_or("it cannot be configured")?;
        let mut state = ptr::null_mut();
        let mut lines = 0;
        let mut call = Call { name, out: None, refusal: None, said: Vec::new(), lines: &mut lines };
        let host = call.host();
        // SAFETY: the descriptor was looked at when it was loaded, so that `configure` has this signature; host,
        // options and the place of the state outlive the call.
        let answer = unsafe { configure(&raw const host, options.as_ptr(), options.len(), &raw mut state) };
        if answer < 0 {
            let said = call.said();
            return Err(if said.is_empty() { format!("it refuses its options ({answer})") } else { said });
        }
        Ok(Self { descriptor, state, name: name.to_owned(), pool: None })
    }

    /// The same; what it does when it is released, which may take long, it does in the pool. At the end of the process nobody
    /// waits for that.
    pub(crate) fn released_in(self, pool: Pool) -> Self {
        let mut plugin = self;
        plugin.pool = Some(pool);
        plugin
    }

    /// Whether it says that it never waits.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.descriptor.flags & FLAG_NONBLOCKING != 0
    }

    /// A message that has not begun.
    pub(crate) fn instance(plugin: &Arc<Self>) -> Instance {
        Instance { plugin: Arc::clone(plugin), instance: None, lines: 0 }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let Some(release) = self.descriptor.release else { return };
        // Every instance holds the plugin, and so has been closed.
        let leftover = Leftover { release, state: self.state };
        match self.pool.take() {
            Some(pool) => pool.run(move || leftover.release()),
            None => leftover.release(),
        }
    }
}

impl Leftover {
    fn release(self) {
        // SAFETY: `configure` made this state for a descriptor with this function, only the end of a plugin makes this, and
        // it is gone behind the call.
        unsafe { (self.release)(self.state) };
    }
}

impl Filter for Instance {
    fn start(&mut self, message: &Message, out: &mut dyn Sink) -> Result<Flow, Error> {
        let open = self.plugin.descriptor.open.ok_or_else(|| permanent("it cannot be opened"))?;
        let remote = message.remote.to_string();
        let (command, top_lines) = match message.command {
            Command::Retr => (RETR, 0),
            Command::Top { lines } => (TOP, lines),
        };
        let told = pop3d_abi::Message {
            size: u32::try_from(size_of::<pop3d_abi::Message>()).unwrap_or(u32::MAX),
            number: message.number,
            octets: message.octets,
            command,
            top_lines,
            user: str_of(&message.user),
            uid: str_of(&message.uid),
            remote: str_of(&remote),
        };
        let mut instance = ptr::null_mut();
        let (plugin, lines) = (&self.plugin, &mut self.lines);
        let mut call = Call { name: &plugin.name, out: Some(out), refusal: None, said: Vec::new(), lines };
        let host = call.host();
        // SAFETY: `open` has this signature (see `configure`); state is that of this plugin; host, message and the
        // place of the instance outlive the call.
        let answer = unsafe { open(plugin.state, &raw const host, &raw const told, &raw mut instance) };
        let flow = call.flow(answer);
        if answer >= 0 {
            // Whatever else is wrong, it is to be closed.
            self.instance = Some(instance);
        }
        flow
    }

    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<Flow, Error> {
        let push = self.plugin.descriptor.push.ok_or_else(|| permanent("it takes nothing"))?;
        let instance = self.instance.ok_or_else(|| permanent("it was not opened"))?;
        let (plugin, lines) = (&self.plugin, &mut self.lines);
        let mut call = Call { name: &plugin.name, out: Some(out), refusal: None, said: Vec::new(), lines };
        let host = call.host();
        // SAFETY: `push` has this signature; `open` succeeded for this instance and `close` was not called (only `drop`
        // calls it); host and chunk outlive the call.
        let answer = unsafe { push(instance, &raw const host, chunk.as_ptr(), chunk.len()) };
        call.flow(answer)
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        let finish = self.plugin.descriptor.finish.ok_or_else(|| permanent("it does not end"))?;
        let instance = self.instance.ok_or_else(|| permanent("it was not opened"))?;
        let (plugin, lines) = (&self.plugin, &mut self.lines);
        let mut call = Call { name: &plugin.name, out: Some(out), refusal: None, said: Vec::new(), lines };
        let host = call.host();
        // SAFETY: as for `push`.
        let answer = unsafe { finish(instance, &raw const host) };
        call.flow(answer).map(drop)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take()
            && let Some(close) = self.plugin.descriptor.close
        {
            // SAFETY: `open` succeeded for this instance, which is taken out here, so that it is closed once.
            unsafe { close(instance) };
        }
    }
}

impl Call<'_> {
    /// The host of this call, which must not be moved while that is in use.
    fn host(&mut self) -> Host {
        Host {
            size: u32::try_from(size_of::<Host>()).unwrap_or(u32::MAX),
            abi: ABI,
            ctx: ptr::from_mut(self).cast(),
            write,
            error,
            log,
        }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }

    /// What an answer means. Anything but the published ones is a failure of this message.
    fn flow(mut self, answer: i32) -> Result<Flow, Error> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        let said = || {
            let said = self.said();
            if said.is_empty() { "it did not say why".to_owned() } else { said }
        };
        match answer {
            MORE => Ok(Flow::More),
            PASS => Ok(Flow::Pass),
            STOP => Ok(Flow::Stop),
            TEMPORARY => Err(Error::Temporary(said())),
            PERMANENT => Err(Error::Permanent(said())),
            other => Err(Error::Crashed(format!("it answered {other}"))),
        }
    }
}

fn permanent(what: &str) -> Error {
    Error::Permanent(what.to_owned())
}

fn str_of(text: &str) -> Str {
    Str { ptr: text.as_ptr(), len: text.len() }
}

/// The call that a context pointer stands for.
///
/// # Safety
/// `ctx` must be what `Call::host` made it, within the call that it was made for, and no other reference to that call
/// may be in use.
unsafe fn call_of<'call>(ctx: *mut c_void) -> Option<&'call mut Call<'call>> {
    // SAFETY: see above; a null pointer is none.
    unsafe { ctx.cast::<Call<'call>>().as_mut() }
}

/// Octets of a plugin; none where it gives no place for them.
///
/// # Safety
/// `ptr` must be null or good for reading `len` octets until the caller returns.
unsafe fn octets_of<'call>(ptr: *const u8, len: usize) -> Option<&'call [u8]> {
    if len == 0 {
        return Some(&[]);
    }
    if ptr.is_null() || len > isize::MAX as usize {
        return None;
    }
    // SAFETY: not null, and the caller promises the rest.
    Some(unsafe { std::slice::from_raw_parts(ptr, len) })
}

unsafe extern "C" fn write(ctx: *mut c_void, ptr: *const u8, len: usize) -> i32 {
    // SAFETY: the interface makes the plugin pass back the context of the call that it is in, on its thread.
    let Some(call) = (unsafe { call_of(ctx) }) else { return CLOSED };
    // SAFETY: the interface makes the plugin pass octets of its own, which live until this returns.
    let octets = unsafe { octets_of(ptr, len) };
    let Some(out) = &mut call.out else { return CLOSED };
    if call.refusal.is_some() {
        return CLOSED;
    }
    let Some(octets) = octets else {
        // Without them the message would look whole, and the client would delete the original.
        call.refusal = Some(Error::Crashed("it wrote octets that are nowhere".to_owned()));
        return CLOSED;
    };
    // Nothing may unwind into the plugin.
    match catch_unwind(AssertUnwindSafe(|| out.write(octets))) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            call.refusal = Some(error);
            CLOSED
        }
        Err(_) => {
            call.refusal = Some(Error::Crashed("the server could not take its output".to_owned()));
            CLOSED
        }
    }
}

unsafe extern "C" fn error(ctx: *mut c_void, ptr: *const u8, len: usize) {
    // SAFETY: as for `write`.
    let Some(call) = (unsafe { call_of(ctx) }) else { return };
    // SAFETY: as for `write`.
    let Some(octets) = (unsafe { octets_of(ptr, len) }) else { return };
    call.said = octets.get(..TEXT_MAX).unwrap_or(octets).to_vec();
}

unsafe extern "C" fn log(ctx: *mut c_void, level: i32, ptr: *const u8, len: usize) {
    // SAFETY: as for `write`.
    let Some(call) = (unsafe { call_of(ctx) }) else { return };
    // SAFETY: as for `write`.
    let Some(octets) = (unsafe { octets_of(ptr, len) }) else { return };
    *call.lines = call.lines.saturating_add(1);
    if *call.lines > LINES_MAX {
        return;
    }
    let text = String::from_utf8_lossy(octets.get(..TEXT_MAX).unwrap_or(octets));
    let level = match level {
        LOG_ERROR => log::Level::Error,
        LOG_WARN => log::Level::Warn,
        LOG_INFO => log::Level::Info,
        _ => log::Level::Debug,
    };
    // Nothing may unwind into the plugin.
    let _ = catch_unwind(|| log::log!(target: "pop3d::transform", level, "transform {}: {text}", call.name));
}

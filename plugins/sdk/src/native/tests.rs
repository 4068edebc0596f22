//! The calls of the C interface, made as a host makes them.

use std::ptr;

use super::*;

/// Panics where an option says so.
#[derive(Clone)]
struct Fragile(String);

impl Filter for Fragile {
    fn configure(options: &mut Options) -> Result<Self, String> {
        let when = options.text("when")?.unwrap_or_default();
        assert!(when != "configure", "in configure");
        Ok(Self(when))
    }

    fn start(&mut self, message: &Message<'_>, out: &mut Output<'_>) -> Result<Flow, Error> {
        assert!(self.0 != "start", "in start");
        out.write(message.user.as_bytes())?;
        Ok(Flow::More)
    }

    fn push(&mut self, chunk: &[u8], out: &mut Output<'_>) -> Result<Flow, Error> {
        assert!(self.0 != "push", "in push");
        out.write(chunk)?;
        if self.0 == "fail" { Err(Error::permanent("it fails")) } else { Ok(Flow::Pass) }
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(self.0 != "drop", "in drop");
    }
}

#[derive(Default)]
struct Heard {
    written: Vec<u8>,
    said: String,
    is_closed: bool,
}

unsafe extern "C" fn write(ctx: *mut c_void, ptr: *const u8, len: usize) -> i32 {
    // SAFETY: the context is what `host` made it.
    let heard = unsafe { &mut *ctx.cast::<Heard>() };
    // SAFETY: the filter passes its octets.
    heard.written.extend_from_slice(unsafe { octets(ptr, len) });
    if heard.is_closed { pop3d_abi::CLOSED } else { 0 }
}

unsafe extern "C" fn error(ctx: *mut c_void, ptr: *const u8, len: usize) {
    // SAFETY: as for `write`.
    unsafe { (*ctx.cast::<Heard>()).said = text(Str { ptr, len }).to_owned() };
}

unsafe extern "C" fn log(_ctx: *mut c_void, _level: i32, _ptr: *const u8, _len: usize) {}

fn host(heard: &mut Heard) -> Host {
    Host { size: 40, abi: ABI, ctx: ptr::from_mut(heard).cast(), write, error, log }
}

fn str_of(text: &str) -> Str {
    Str { ptr: text.as_ptr(), len: text.len() }
}

/// What all calls answer, up to the first failure of `configure` or `open`.
fn all_calls(when: &str, heard: &mut Heard) -> Vec<i32> {
    static DESCRIPTOR: Descriptor = descriptor::<Fragile>("fragile\0", "1\0", "Breaks\0");
    let option = Opt { key: str_of("when"), value: str_of(when) };
    let message = pop3d_abi::Message {
        size: 72,
        number: 1,
        octets: 3,
        command: RETR,
        top_lines: 0,
        user: str_of("user "),
        uid: Str { ptr: ptr::null(), len: 0 },
        remote: str_of("::1"),
    };
    let host = host(heard);
    let (mut state, mut instance) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the calls of a host, in its order.
    unsafe {
        let configured = DESCRIPTOR.configure.unwrap()(&raw const host, &raw const option, 1, &raw mut state);
        if configured < 0 {
            assert!(state.is_null());
            return vec![configured];
        }
        let opened = DESCRIPTOR.open.unwrap()(state, &raw const host, &raw const message, &raw mut instance);
        let mut answers = vec![configured, opened];
        if opened >= 0 {
            let push = DESCRIPTOR.push.unwrap();
            answers.push(push(instance, &raw const host, b"abc".as_ptr(), 3));
            answers.push(DESCRIPTOR.finish.unwrap()(instance, &raw const host));
            DESCRIPTOR.close.unwrap()(instance);
        }
        DESCRIPTOR.release.unwrap()(state);
        answers
    }
}

#[test]
fn a_message_goes_through_the_calls_of_the_interface() {
    let mut heard = Heard::default();
    assert_eq!(all_calls("", &mut heard), [MORE, MORE, PASS, MORE]);
    assert_eq!((heard.written.as_slice(), heard.said.as_str()), (b"user abc".as_slice(), ""));
    assert_eq!(all_calls("fail", &mut heard), [MORE, MORE, PERMANENT, MORE]);
    assert_eq!(heard.said, "it fails");
    heard.is_closed = true;
    assert!(all_calls("", &mut heard)[1] < 0);
}

#[test]
fn a_panic_is_a_failure_of_its_call_and_those_after_it() {
    let mut heard = Heard::default();
    for (when, answers, said) in [
        ("configure", vec![PERMANENT], "panic: in configure"),
        ("start", vec![MORE, TEMPORARY], "panic: in start"),
        ("push", vec![MORE, MORE, TEMPORARY, TEMPORARY], "it panicked before"),
        ("drop", vec![MORE, MORE, PASS, MORE], ""),
    ] {
        heard.said.clear();
        assert_eq!(all_calls(when, &mut heard), answers, "{when}");
        assert_eq!(heard.said, said);
    }
}

//! The helper process: this program, started with `--plugin-host`. It loads one plugin and works on the messages that
//! it is told of, over the socket that is its standard input. What goes wrong in it takes nobody with it.
//!
//! Output goes out as fast as the client takes it. What a call writes beyond that is kept here, where `memory` bounds it,
//! and never in the server.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use pop3d_core::transform::{Error, Filter, Flow, Sink};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::frames::{self, Answer, BUFFER, Frame, Kind, OUTPUT, TO_HELPER_MAX, WINDOW};
use super::incoming::Incoming;
use super::library;
use super::plugin::{Instance, Plugin};
use crate::bound::Bound;

/// A message that the server has not closed.
struct Open {
    /// None: it has ended, or failed.
    instance: Option<Instance>,
    output: Output,
}

/// Output on its way to the server.
struct Output {
    bound: Bound,
    /// Frames that the server has not taken yet.
    sent: usize,
    kept: VecDeque<Vec<u8>>,
}

/// The server's end of the socket.
type Server = BufWriter<UnixStream>;

/// Works until the server closes the socket. `seal` is called between the loading of the plugin and its first message.
/// `is_tied`: whether it ends at once with the thread that has started it. A plugin in a loop never reads that the server
/// was killed, and would go on for ever.
#[must_use]
pub fn run(is_tied: bool, seal: impl FnOnce() -> io::Result<()>) -> ExitCode {
    match tie(is_tied).and_then(|()| serve(seal)) {
        Ok(()) => ExitCode::SUCCESS,
        // The server has gone, or this was started by hand.
        Err(error) => {
            let _ = writeln!(io::stderr(), "pop3d: --plugin-host is for the server's own use: {error}");
            ExitCode::from(64)
        }
    }
}

fn tie(is_tied: bool) -> io::Result<()> {
    if is_tied {
        // Where the server has gone already, its socket has ended, which is read before a plugin is loaded.
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    Ok(())
}

fn serve(seal: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // Where there is a logger already, that is as good.
    let _ = log::set_logger(&Lines).map(|()| log::set_max_level(log::LevelFilter::Trace));
    // Nothing that a plugin starts can have more rights than it.
    rustix::thread::set_no_new_privs(true)?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut from = Incoming::new(socket.try_clone()?, TO_HELPER_MAX);
    let mut server = BufWriter::with_capacity(BUFFER, socket);
    let first = from.frame()?;
    let sealed = |error| format!("its helper process cannot be sealed: {error}");
    let plugin = match load(&first).and_then(|plugin| seal().map(|()| plugin).map_err(sealed)) {
        Ok(plugin) => plugin,
        Err(what) => {
            Frame::new(0, Kind::Failed, frames::reason(&what).into()).write(&mut server)?;
            return server.flush();
        }
    };
    drop(first);
    Frame::new(0, Kind::Loaded, Vec::new()).write(&mut server)?;
    server.flush()?;
    let mut messages: HashMap<u32, Open> = HashMap::new();
    // What loading has cost is for no message.
    let mut counted = process_time();
    loop {
        let frame = match from.frame() {
            Ok(frame) => frame,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let stream = frame.stream;
        let answer = match frame.kind {
            Kind::Open | Kind::Whole | Kind::Push | Kind::Finish => {
                Some(call(&plugin, &mut messages, &frame, &mut server)?)
            }
            Kind::Taken => {
                if let Some(message) = messages.get_mut(&stream) {
                    let taken = frames::read_taken(&frame.payload).unwrap_or(1);
                    message.output.sent = message.output.sent.saturating_sub(taken);
                    message.output.send(stream, 0, &mut server)?;
                }
                None
            }
            Kind::Close => {
                messages.remove(&stream);
                Some(Answer { result: Ok(Flow::Stop), is_unread: false, owed: 0, spent: Duration::ZERO })
            }
            Kind::Load | Kind::Loaded | Kind::Failed | Kind::Output | Kind::Answer => None,
        };
        if let Some(mut answer) = answer {
            let now = process_time();
            answer.spent = now.saturating_sub(counted);
            counted = now;
            Frame::new(stream, Kind::Answer, frames::write_answer(&answer)).write(&mut server)?;
        }
        // One that has ended is closed by that: the server says nothing more of it.
        if messages.get(&stream).is_some_and(Open::is_over) {
            messages.remove(&stream);
        }
        // Also where the next frame is there already: what that one asks for may take long.
        server.flush()?;
    }
}

/// The processor time of this process.
fn process_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

fn load(frame: &Frame) -> Result<Arc<Plugin>, String> {
    let load = if frame.kind == Kind::Load { frames::read_load(&frame.payload) } else { None };
    let (name, options, octets) = load.ok_or("the server did not say what to load")?;
    let descriptor = library::load(&octets)?;
    Plugin::configure(descriptor, &name, &options).map(Arc::new)
}

/// Does what a frame asks for; what it came to, but for the time.
///
/// # Errors
/// Where the server has gone.
fn call(
    plugin: &Arc<Plugin>,
    messages: &mut HashMap<u32, Open>,
    frame: &Frame,
    server: &mut Server,
) -> io::Result<Answer> {
    let stream = frame.stream;
    let begins = matches!(frame.kind, Kind::Open | Kind::Whole);
    let begun = if begins { frames::read_message(&frame.payload) } else { None };
    if let Some((_, bound, octets)) = begun {
        let mut output = Output { bound, sent: 0, kept: VecDeque::new() };
        output.bound.feed(octets.len());
        messages.insert(stream, Open { instance: Some(Plugin::instance(plugin)), output });
    }
    let mut answer = Answer { result: Err(unknown()), is_unread: false, owed: 0, spent: Duration::ZERO };
    let Some(Open { instance, output }) = messages.get_mut(&stream) else { return Ok(answer) };
    if frame.kind == Kind::Push {
        output.bound.feed(frame.payload.len());
    }
    let mut outlet = Outlet { stream, output, server, failed: None };
    let result = match (instance.as_mut(), frame.kind, &begun) {
        (Some(instance), Kind::Open, Some((message, ..))) => instance.start(message, &mut outlet),
        (Some(instance), Kind::Whole, Some((message, _, octets))) => {
            instance.start(message, &mut outlet).and_then(|mut flow| {
                if flow == Flow::More && !octets.is_empty() {
                    flow = instance.push(octets, &mut outlet)?;
                } else {
                    answer.is_unread = true;
                }
                instance.finish(&mut outlet).map(|()| flow)
            })
        }
        (Some(instance), Kind::Push, _) => instance.push(&frame.payload, &mut outlet),
        (Some(instance), Kind::Finish, _) => instance.finish(&mut outlet).map(|()| Flow::Stop),
        _ => Err(unknown()),
    };
    if let Some(error) = outlet.failed {
        return Err(error);
    }
    if result.is_err() {
        // Nobody wants what it wrote.
        output.kept = VecDeque::new();
    }
    if result.is_err() || matches!(frame.kind, Kind::Whole | Kind::Finish) {
        *instance = None;
    }
    output.send(stream, 0, server)?;
    (answer.result, answer.owed) = (result, output.kept.len() as u64);
    Ok(answer)
}

fn unknown() -> Error {
    Error::Crashed("no such message".to_owned())
}

impl Open {
    fn is_over(&self) -> bool {
        self.instance.is_none() && self.output.kept.is_empty()
    }
}

impl Output {
    /// Sends what the server takes, but for so many frames.
    fn send(&mut self, stream: u32, but: usize, server: &mut Server) -> io::Result<()> {
        while self.sent < WINDOW
            && self.kept.len() > but
            && let Some(piece) = self.kept.pop_front()
        {
            self.sent += 1;
            Frame::new(stream, Kind::Output, piece).write(server)?;
        }
        Ok(())
    }
}

/// Sends output to the server, or keeps it.
struct Outlet<'message> {
    stream: u32,
    output: &'message mut Output,
    server: &'message mut Server,
    failed: Option<io::Error>,
}

impl Sink for Outlet<'_> {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.output.bound.take(octets.len())?;
        for piece in octets.chunks(OUTPUT) {
            match self.output.kept.back_mut() {
                // A filter may write octet by octet.
                Some(last) if last.len() + piece.len() <= OUTPUT => last.extend_from_slice(piece),
                _ => self.output.kept.push_back(piece.to_vec()),
            }
        }
        // The last one may grow, and goes out once the call is over.
        if let Err(error) = self.output.send(self.stream, 1, self.server) {
            self.failed = Some(error);
            return Err(Error::Temporary("the server has gone".to_owned()));
        }
        Ok(())
    }
}

/// Writes what a plugin logs to standard error, which the server reads, with its level.
struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string().replace(['\n', '\r'], " ");
        // Nobody may be reading.
        let _ = writeln!(io::stderr(), "{} {text}", record.level());
    }

    fn flush(&self) {}
}

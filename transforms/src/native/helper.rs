//! The helper process: this program, started with `--plugin-host`. It loads one plugin and works on the messages that
//! it is told of, over the socket that is its standard input. What goes wrong in it takes nobody with it.

use std::collections::HashMap;
use std::io::{self, BufReader, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

use pop3d_core::transform::{Error, Filter, Flow, Sink};

use super::frames::{self, Frame, Kind};
use super::library;
use super::plugin::{Instance, Plugin};

/// Octets of output in one frame.
const OUTPUT: usize = 32 * 1024;

/// The server's end of the socket.
type Server = BufWriter<UnixStream>;

/// Works until the server closes the socket.
#[must_use]
pub fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The server has gone, or this was started by hand.
        Err(error) => {
            let _ = writeln!(io::stderr(), "pop3d: --plugin-host is for the server's own use: {error}");
            ExitCode::from(64)
        }
    }
}

fn serve() -> io::Result<()> {
    // Where there is a logger already, that is as good.
    let _ = log::set_logger(&Lines).map(|()| log::set_max_level(log::LevelFilter::Trace));
    // Nothing that a plugin starts can have more rights than it.
    rustix::thread::set_no_new_privs(true)?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut from = BufReader::new(socket.try_clone()?);
    let mut server = BufWriter::new(socket);
    let first = Frame::read(&mut from)?;
    let plugin = match load(&first) {
        Ok(plugin) => plugin,
        Err(what) => {
            Frame::new(0, Kind::Failed, what.into_bytes()).write(&mut server)?;
            return server.flush();
        }
    };
    drop(first);
    Frame::new(0, Kind::Loaded, Vec::new()).write(&mut server)?;
    server.flush()?;
    let mut instances: HashMap<u32, Instance> = HashMap::new();
    loop {
        let frame = match Frame::read(&mut from) {
            Ok(frame) => frame,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let stream = frame.stream;
        let answer = {
            let mut outlet = Outlet { stream, server: &mut server, failed: None };
            let answer = call(&plugin, &mut instances, &frame, &mut outlet);
            outlet.failed.map_or(Ok(answer), Err)?
        };
        if let Some(answer) = answer {
            if answer.is_err() {
                instances.remove(&stream);
            }
            Frame::new(stream, Kind::Answer, frames::write_answer(&answer)).write(&mut server)?;
            server.flush()?;
        }
    }
}

fn load(frame: &Frame) -> Result<Arc<Plugin>, String> {
    let load = if frame.kind == Kind::Load { frames::read_load(&frame.payload) } else { None };
    let (name, options, octets) = load.ok_or("the server did not say what to load")?;
    let descriptor = library::load(&octets)?;
    Plugin::configure(descriptor, &name, &options).map(Arc::new)
}

/// What a frame asks for; none: it has no answer.
fn call(
    plugin: &Arc<Plugin>,
    instances: &mut HashMap<u32, Instance>,
    frame: &Frame,
    outlet: &mut Outlet<'_>,
) -> Option<Result<Flow, Error>> {
    let unknown = || Err(Error::Crashed("no such message".to_owned()));
    Some(match frame.kind {
        Kind::Open => match frames::read_message(&frame.payload) {
            Some(message) => {
                let mut instance = Plugin::instance(plugin);
                let answer = instance.start(&message, outlet);
                instances.insert(frame.stream, instance);
                answer
            }
            None => unknown(),
        },
        Kind::Push => match instances.get_mut(&frame.stream) {
            Some(instance) => instance.push(&frame.payload, outlet),
            None => unknown(),
        },
        Kind::Finish => match instances.remove(&frame.stream) {
            Some(mut instance) => instance.finish(outlet).map(|()| Flow::Stop),
            None => unknown(),
        },
        Kind::Close => {
            instances.remove(&frame.stream);
            return None;
        }
        Kind::Load | Kind::Loaded | Kind::Failed | Kind::Output | Kind::Answer => return None,
    })
}

/// Sends output to the server.
struct Outlet<'server> {
    stream: u32,
    server: &'server mut Server,
    failed: Option<io::Error>,
}

impl Sink for Outlet<'_> {
    fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        for piece in octets.chunks(OUTPUT) {
            if let Err(error) = Frame::new(self.stream, Kind::Output, piece.to_vec()).write(self.server) {
                self.failed = Some(error);
                return Err(Error::Temporary("the server has gone".to_owned()));
            }
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

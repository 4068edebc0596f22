//! Signals: SIGTERM and SIGINT drain the server, a second one ends it at once; SIGHUP opens the log
//! and reads the configuration anew, SIGUSR1 opens the log alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use log::{error, info, warn};
use pop3d_core::admin::AdminThread;
use pop3d_core::administration::Administration;
use pop3d_core::server::Running;
use pop3d_transforms::children::Children;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::logging::Log;

/// How long transfers may go on once the server is to stop.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// How long the state folder may take to be told that the server stops.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// Added to the number of a signal that ends the process: the status that a shell tells of one killed by it.
pub(crate) const KILLED: i32 = 128;

/// Signals that the process listens to.
pub(crate) struct Heard {
    signals: Signals,
    /// Until anybody is served, those that stop the server end the process at once: a plugin may take long to load, or for ever.
    is_starting: Arc<AtomicBool>,
}

impl Heard {
    /// From here on the server is to be drained first.
    pub(crate) fn begin_to_serve(&self) {
        self.is_starting.store(false, Ordering::SeqCst);
    }
}

/// The signals that the process listens to from here on.
///
/// # Errors
/// Where the system refuses.
pub(crate) fn listen() -> io::Result<Heard> {
    // A file that may not grow is a full disk to whoever writes it. By default this signal would end the process; it is
    // caught, not ignored, so that programs that are transforms have the default again.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    // SIGUSR1 is what many a program that moves logs away sends; its default would cut all messages under way.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let is_starting = Arc::new(AtomicBool::new(true));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&is_starting))?;
    }
    Ok(Heard { signals, is_starting })
}

/// Does what signals ask for; returns once the server has stopped.
pub(crate) fn serve(
    heard: Heard,
    running: Running,
    administration: &Arc<Administration>,
    admin: &AdminThread,
    children: &Arc<Children>,
    log: &Arc<Log>,
) {
    let mut signals = heard.signals;
    let reloader = Reloader::start(administration);
    let Some(signal) = stop_signal(&mut signals, &reloader, log) else { return };
    info!(
        target: "pop3d",
        "signal {}: stopping, transfers may go on for {} seconds",
        name(signal),
        DRAIN_LIMIT.as_secs(),
    );
    let handle = signals.handle();
    let second = {
        let (stopper, log) = (running.stopper(), Arc::clone(log));
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            // None: drained in time.
            let signal = stop_signal(&mut signals, &reloader, &log)?;
            warn!(target: "pop3d", "signal {} again: stopped at once", name(signal));
            stopper.stop();
            Some(signal)
        })
    };
    leave(administration);
    admin.give_up_ports();
    running.drain(DRAIN_LIMIT);
    // They are of process groups of their own, and would outlive the server.
    children.kill_all();
    handle.close();
    let again = match second {
        Ok(second) => second.join().ok().flatten(),
        Err(error) => {
            error!(target: "pop3d", "a second signal was not listened to: {error}");
            None
        }
    };
    if let Some(signal) = again {
        administration.keep_statistics();
        info!(target: "pop3d", "stopped");
        log.finish();
        std::process::exit(KILLED + signal);
    }
}

/// Says to who waits for the state folder that it is given up soon, before the ports are free and another server may be
/// started. Where the folder does not answer nobody can be told, and stopping does not wait for it.
fn leave(administration: &Arc<Administration>) {
    let administration = Arc::clone(administration);
    let (said, heard) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("leave".to_owned()).spawn(move || {
        administration.leave();
        let _ = said.send(());
    });
    match thread {
        // None: it hangs.
        Ok(_) => drop(heard.recv_timeout(LEAVE_LIMIT)),
        Err(error) => {
            error!(target: "pop3d", "a server that is started now does not wait for this one: {error}");
        }
    }
}

/// The thread that reads the configuration anew: what is loaded by it may take long, and a signal to stop must not wait for it.
struct Reloader(Option<SyncSender<()>>);

impl Reloader {
    /// Starts it. It ends with the process: what it is about to keep is whole in its file, or is not there.
    fn start(administration: &Arc<Administration>) -> Self {
        let administration = Arc::clone(administration);
        let (ask, asked) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("reload".to_owned()).spawn(move || {
            for () in asked {
                // What is wrong with it is in the log. A fault of ours must not keep the next one from being read.
                let _ = catch_unwind(AssertUnwindSafe(|| administration.reload()));
            }
        });
        match thread {
            Ok(_) => Self(Some(ask)),
            Err(error) => {
                error!(target: "pop3d", "the configuration is not read at SIGHUP, but by PEEP: {error}");
                Self(None)
            }
        }
    }

    /// Has it read once more.
    fn ask(&self) {
        // Where one is to begin already, that one reads what is there by then.
        let _ = self.0.as_ref().map(|ask| ask.try_send(()));
    }
}

/// Waits for a signal to stop, doing what others ask for; none once the signals are closed.
fn stop_signal(signals: &mut Signals, reloader: &Reloader, log: &Log) -> Option<i32> {
    signals.forever().find(|&signal| {
        let is_to_stop = !matches!(signal, SIGHUP | SIGUSR1);
        if !is_to_stop {
            reopen(log, signal);
        }
        if signal == SIGHUP {
            reloader.ask();
        }
        is_to_stop
    })
}

fn reopen(log: &Log, signal: i32) {
    let signal = name(signal);
    match log.reopen() {
        Ok(true) => info!(target: "pop3d", "{signal}: log opened anew"),
        Err(error) => {
            error!(target: "pop3d", "{signal}: the log cannot be opened anew: {error}; it goes on where it was");
        }
        Ok(false) => info!(target: "pop3d", "{signal}: there is no log file to open anew"),
    }
}

fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("unknown")
}

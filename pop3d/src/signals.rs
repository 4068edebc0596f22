//! Signals: SIGTERM and SIGINT drain the server, a second one ends it at once; SIGHUP opens the log anew.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use log::{error, info};
use pop3d_core::server::Running;
use pop3d_transforms::process::Children;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::logging::Log;

/// How long transfers may go on once the server is to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// The status after a second signal, as a shell tells a process that was interrupted.
const INTERRUPTED: i32 = 130;

/// The signals that the process listens to from here on.
///
/// # Errors
/// Where the system refuses.
pub(crate) fn listen() -> io::Result<Signals> {
    Signals::new([SIGTERM, SIGINT, SIGHUP])
}

/// Does what signals ask for; returns once the server has stopped.
pub(crate) fn serve(mut signals: Signals, running: Running, children: &Arc<Children>, log: &Log) {
    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        match log.reopen() {
            Ok(true) => info!(target: "pop3d", "log opened anew"),
            Ok(false) => info!(target: "pop3d", "SIGHUP: there is no log file to open anew"),
            Err(error) => error!(target: "pop3d", "the log cannot be opened anew: {error}"),
        }
    }
    info!(target: "pop3d", "stopping: transfers may go on for {} seconds", DRAIN_LIMIT.as_secs());
    let (handle, all_children) = (signals.handle(), Arc::clone(children));
    let second = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.forever().any(|signal| signal != SIGHUP) {
            all_children.kill_all();
            std::process::exit(INTERRUPTED);
        }
    });
    if let Err(error) = second {
        error!(target: "pop3d", "a second signal will not be heard: {error}");
    }
    running.drain(DRAIN_LIMIT);
    children.kill_all();
    handle.close();
    info!(target: "pop3d", "stopped");
    log.finish();
}

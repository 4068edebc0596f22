//! What is known of one message's way through a program, by the worker, the pool and the timers alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pop3d_core::transform::{Message, Wake};
use pop3d_protocol::text::one_line;

use super::Process;

/// A message and the program that it is to pass.
pub(super) struct Errand {
    pub(super) process: Arc<Process>,
    pub(super) message: Arc<Message>,
    pub(super) wake: Wake,
    /// An alarm is under way.
    alarm: AtomicBool,
}

impl Errand {
    pub(super) fn new(process: Arc<Process>, message: Arc<Message>, wake: Wake) -> Self {
        Self { process, message, wake, alarm: AtomicBool::new(false) }
    }

    /// Wakes the worker after a while, unless the message is gone by then.
    pub(super) fn wake_after(self: &Arc<Self>, delay: Duration) {
        let errand = Arc::downgrade(self);
        self.process.resources.pool.run_after(delay, move || {
            if let Some(errand) = errand.upgrade() {
                errand.wake.wake();
            }
        });
    }

    /// Like `wake_after`, but there is never more than one alarm.
    pub(super) fn set_alarm(self: &Arc<Self>, delay: Duration) {
        if self.alarm.swap(true, Ordering::Relaxed) {
            return;
        }
        let errand = Arc::downgrade(self);
        self.process.resources.pool.run_after(delay, move || {
            if let Some(errand) = errand.upgrade() {
                errand.alarm.store(false, Ordering::Relaxed);
                errand.wake.wake();
            }
        });
    }

    /// A line of the child's standard error.
    pub(super) fn log_complaint(&self, line: &str) {
        log::info!(target: "pop3d::transform", "{}: {line}", self.title());
    }

    /// Which transform, user and message, for the log.
    pub(super) fn title(&self) -> String {
        let name = one_line(&self.process.spec.name);
        format!("{name}: {}, message {}", one_line(&self.message.user), self.message.number)
    }
}
